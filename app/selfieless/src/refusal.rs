//! Errors of both services, and their responses: `{"detail": "…"}`.

use actix_web::{HttpResponse, ResponseError, http::StatusCode};
use kit::{password::PasswordError, reply};
use sea_orm::DbErr;
use serde_json::json;

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub enum Refusal {
    /// The request is invalid, or names a thing that does not exist or exists already.
    #[error("{0}")]
    Invalid(String),
    /// The response would contain too many acts.
    #[error("{acts} acts are too many for a response, whose maximum is {most}. Request a range with start and end.")]
    TooMany {
        /// Number of acts.
        acts: u64,
        /// Maximum number of acts in a response.
        most: u64,
    },
    /// Another service is unavailable. Nothing was changed.
    #[error("{0}")]
    Unavailable(String),
    /// The database returned an error.
    #[error(transparent)]
    Database(#[from] DbErr),
    /// An error whose cause is not in the request.
    #[error(transparent)]
    Internal(Box<dyn std::error::Error + Send + Sync>),
}

impl From<PasswordError> for Refusal {
    fn from(error: PasswordError) -> Self {
        Self::Internal(error.into())
    }
}

impl Refusal {
    /// Returns an invalid request with this message.
    pub fn invalid(message: impl Into<String>) -> Self {
        Self::Invalid(message.into())
    }
}

impl ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Invalid(message) => reply::detail(StatusCode::BAD_REQUEST, message),
            Self::TooMany { .. } => reply::detail(StatusCode::PAYLOAD_TOO_LARGE, &self.to_string()),
            Self::Unavailable(message) => reply::detail(StatusCode::SERVICE_UNAVAILABLE, message),
            Self::Database(error) => reply::database_failure(error),
            Self::Internal(error) => reply::internal_failure(&**error),
        }
    }
}

/// Returns the response to a successful write: `{}`.
pub fn done(status: StatusCode) -> HttpResponse {
    HttpResponse::build(status).json(json!({}))
}

/// Returns the message of an error with its causes, which hyper's errors do not contain.
pub(crate) fn causes(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |text, cause| format!("{text}: {cause}"))
}
