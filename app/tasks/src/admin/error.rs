//! Errors of the admin site, as pages.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        StatusCode,
        header::{ALLOW, HeaderValue},
    },
};
use askama::Template;
use kit::{password::PasswordError, reply};
use sea_orm::DbErr;

use super::{
    page::{self, Frame},
    session::Visit,
};

/// Result of a handler.
pub(super) type Answer = Result<HttpResponse, Failure>;

/// Error of a handler.
#[derive(Debug, thiserror::Error)]
pub(super) enum Failure {
    #[error("This page does not exist, or its object has been deleted.")]
    NotFound,
    #[error("You do not have permission for this. A superuser can grant it.")]
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
    #[error("{0}")]
    Database(DbErr),
    #[error("a page cannot be rendered: {0}")]
    Render(#[from] askama::Error),
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("the operating system gives no random numbers: {0}")]
    Random(getrandom::Error),
    #[error("a change cannot be written to the history: {0}")]
    History(serde_json::Error),
}

impl From<DbErr> for Failure {
    fn from(error: DbErr) -> Self {
        match error {
            // Another request deleted the row after it was found.
            DbErr::RecordNotUpdated => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

impl ResponseError for Failure {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NotFound => StatusCode::NOT_FOUND,
            Self::Method(_) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Forged | Self::Forbidden => StatusCode::FORBIDDEN,
            Self::NotAForm => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Database(error) if reply::is_unavailable(error) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Password(PasswordError::Stopping) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Database(_) | Self::Render(_) | Self::Random(_) | Self::Password(_) | Self::History(_) => {
                StatusCode::INTERNAL_SERVER_ERROR
            }
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        if status.is_server_error() {
            tracing::error!(error = %self, "admin");
        }
        let page = ErrorPage { title: self.title(), detail: self.detail(), style: page::style_version() };
        self.answer(page.render())
    }
}

impl Failure {
    /// Returns the page for a signed-in user, with the menu.
    pub(super) fn page(&self, visit: &Visit) -> HttpResponse {
        let page = SignedInErrorPage { frame: Frame::new(visit, "", self.title()), detail: self.detail() };
        self.answer(page.render())
    }

    fn answer(&self, page: askama::Result<String>) -> HttpResponse {
        let mut answer = page::html(self.status_code(), page.unwrap_or_else(|_| self.title().to_owned()));
        if let Self::Method(allowed) = self {
            answer.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        }
        answer
    }

    fn title(&self) -> &'static str {
        match self.status_code() {
            StatusCode::NOT_FOUND => "Not found",
            StatusCode::FORBIDDEN if matches!(self, Self::Forbidden) => "Not permitted",
            StatusCode::FORBIDDEN => "Refused",
            StatusCode::SERVICE_UNAVAILABLE => "Temporarily unavailable",
            StatusCode::INTERNAL_SERVER_ERROR => "Internal error",
            _ => "Invalid request",
        }
    }

    fn detail(&self) -> String {
        match self.status_code() {
            StatusCode::SERVICE_UNAVAILABLE => "Nothing was changed. Try again shortly.".to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR => "The log of the service contains the cause.".to_owned(),
            _ => self.to_string(),
        }
    }
}

/// Page for users who may not be signed in.
#[derive(Template)]
#[template(path = "admin/error.html")]
struct ErrorPage<'a> {
    title: &'a str,
    detail: String,
    style: &'a str,
}

/// Page in the frame of the site.
#[derive(Template)]
#[template(path = "admin/refused.html")]
struct SignedInErrorPage {
    frame: Frame,
    detail: String,
}
