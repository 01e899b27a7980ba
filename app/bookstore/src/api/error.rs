//! Errors of the API, as `{"error": "reason"}`.

use actix_web::{
    HttpResponse, ResponseError,
    http::{
        Method, StatusCode,
        header::{ALLOW, HeaderValue, RETRY_AFTER, WWW_AUTHENTICATE},
    },
};
use sea_orm::DbErr;
use serde_json::json;

use crate::{
    input::Faults,
    shop::{ShopError, status_of},
    users::AccountError,
};

/// Result of a handler.
pub(super) type Answer = Result<HttpResponse, Refusal>;

/// Error of a handler.
#[derive(Debug, thiserror::Error)]
pub(super) enum Refusal {
    #[error("Send the header `Authorization: Bearer <token>` with a token of POST /api/login.")]
    NoToken,
    #[error("The token is invalid or has expired. Sign in again.")]
    InvalidToken,
    #[error("Not found.")]
    NoRoute,
    /// With the allowed methods.
    #[error("Method \"{0}\" not allowed.")]
    Method(Method, &'static str),
    #[error(transparent)]
    Shop(#[from] ShopError),
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error(transparent)]
    Database(#[from] DbErr),
    #[error("the token cannot be signed: {0}")]
    Sign(#[from] serde_json::Error),
}

impl From<Faults> for Refusal {
    fn from(faults: Faults) -> Self {
        Self::Shop(faults.into())
    }
}

impl ResponseError for Refusal {
    fn status_code(&self) -> StatusCode {
        match self {
            Self::NoToken | Self::InvalidToken | Self::Account(AccountError::Wrong) => StatusCode::UNAUTHORIZED,
            Self::NoRoute => StatusCode::NOT_FOUND,
            Self::Method(..) => StatusCode::METHOD_NOT_ALLOWED,
            Self::Shop(error) => error.status(),
            Self::Account(AccountError::Invalid(_)) => StatusCode::BAD_REQUEST,
            Self::Account(AccountError::Taken) => StatusCode::CONFLICT,
            Self::Account(AccountError::TooMany(_)) => StatusCode::TOO_MANY_REQUESTS,
            Self::Account(AccountError::UnknownOutcome(_)) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Account(AccountError::Database(error)) | Self::Database(error) => status_of(error),
            Self::Account(AccountError::Password(_)) | Self::Sign(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn error_response(&self) -> HttpResponse {
        let status = self.status_code();
        if status.is_server_error() {
            tracing::error!(error = %self, "api");
        }
        let mut answer = HttpResponse::build(status).json(json!({ "error": self.reason() }));
        let headers = answer.headers_mut();
        match self {
            Self::Method(_, allowed) => drop(headers.insert(ALLOW, HeaderValue::from_static(allowed))),
            Self::NoToken | Self::InvalidToken | Self::Account(AccountError::Wrong) => {
                headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static(r#"Bearer realm="bookstore""#));
            }
            Self::Account(AccountError::TooMany(after)) => {
                headers.insert(RETRY_AFTER, HeaderValue::from(after.seconds()));
            }
            _ => {}
        }
        answer
    }
}

impl Refusal {
    /// Returns the reason for the client. Errors of the database are in the log only.
    fn reason(&self) -> String {
        let is_for_clients =
            matches!(self, Self::Shop(ShopError::UnknownOutcome(_)) | Self::Account(AccountError::UnknownOutcome(_)));
        match self.status_code() {
            _ if is_for_clients => self.to_string(),
            StatusCode::SERVICE_UNAVAILABLE => "The database is unavailable. Try again shortly.".to_owned(),
            StatusCode::INTERNAL_SERVER_ERROR => {
                "Internal error. The log contains the cause, with the ID of this request.".to_owned()
            }
            _ => self.to_string(),
        }
    }
}
