//! Errors of pages, as pages.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, HeaderValue, RETRY_AFTER},
    },
};
use askama::Template;
use kit::session::SessionError;
use sea_orm::DbErr;

use super::frame::{self, Frame};
use crate::{
    shop::{ShopError, status_of},
    users::AccountError,
};

/// Result of a handler.
pub(super) type Answer = Result<HttpResponse, Failure>;

/// Error of a handler.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    /// The page needs a user. Contains the page to show after the sign-in.
    #[error("Sign in to see this page.")]
    SignIn(String),
    #[error("This page does not exist, or its object has been deleted.")]
    NotFound,
    #[error("Only administrators can see this page.")]
    Forbidden,
    /// With the allowed methods.
    #[error("This page does not support this method.")]
    Method(&'static str),
    #[error(
        "The form did not come from this site, or is out of date: you may have signed in or out in another window. Go back, reload the page and send the form again. Your browser must allow cookies."
    )]
    Forged,
    #[error("A form is expected, in UTF-8 and of the type application/x-www-form-urlencoded.")]
    NotAForm,
    #[error(transparent)]
    Shop(#[from] ShopError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error("a page cannot be rendered: {0}")]
    Render(#[from] askama::Error),
    #[error(transparent)]
    Session(#[from] SessionError),
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::SignIn(_) => StatusCode::FOUND,
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Forbidden | Self::Forged => StatusCode::FORBIDDEN,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Shop(error) => error.status(),
            Self::Account(error) => account_status(error),
            Self::Database(error) => status_of(error),
            Self::Render(_) | Self::Session(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        if let Self::SignIn(target) = self {
            return frame::redirect(&frame::sign_in_for(target));
        }
        let status = self.status_code();
        if status.is_server_error() {
            tracing::error!(error = %self, "page");
        }
        let page = ErrorPage { frame: Frame::plain(title(status)), detail: self.detail() };
        let mut answer = frame::html(status, &page).unwrap_or_else(|_| HttpResponse::new(status));
        let headers = answer.headers_mut();
        match self {
            Self::Method(allowed) => drop(headers.insert(ALLOW, HeaderValue::from_static(allowed))),
            Self::Account(AccountError::TooMany(after)) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(after.seconds()));
            }
            _ => {}
        }
        answer
    }
}

/// Returns the status of a registration or sign-in that failed.
fn account_status(error: &AccountError) -> StatusCode {
    match error {
        AccountError::Invalid(_) => StatusCode::BAD_REQUEST,
        AccountError::Taken => StatusCode::CONFLICT,
        AccountError::Wrong => StatusCode::UNAUTHORIZED,
        AccountError::TooMany(_) => StatusCode::TOO_MANY_REQUESTS,
        AccountError::UnknownOutcome(_) => StatusCode::SERVICE_UNAVAILABLE,
        AccountError::Database(error) => status_of(error),
        AccountError::Password(_) => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

impl Failure {
    /// Returns the message for the user. Errors of the database are in the log only.
    fn detail(&self) -> String {
        let is_for_users =
            matches!(self, Self::Shop(ShopError::UnknownOutcome(_)) | Self::Account(AccountError::UnknownOutcome(_)));
        match self.status_code() {
            _ if is_for_users => self.to_string(),
            StatusCode::SERVICE_UNAVAILABLE => "Nothing was changed. Try again shortly.".to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR => "The log of the service contains the cause.".to_owned(),
            _ => self.to_string(),
        }
    }
}

fn title(status: StatusCode) -> &'static str {
    match status {
        StatusCode::NOT_FOUND => "Not found",
        StatusCode::FORBIDDEN => "Not permitted",
        StatusCode::CONFLICT => "Not possible",
        StatusCode::TOO_MANY_REQUESTS => "Too many attempts",
        StatusCode::SERVICE_UNAVAILABLE => "Temporarily unavailable",
        StatusCode::INTERNAL_SERVER_ERROR => "Internal error",
        _ => "Invalid request",
    }
}

#[derive(Template)]
#[template(path = "error.html")]
struct ErrorPage {
    frame: Frame,
    detail: String,
}
