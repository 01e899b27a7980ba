//! Errors of all tiers, and their responses `{"error": reason}`.

use actix_web::{HttpResponse, http::StatusCode};
use serde_json::json;

use crate::{
    cluster::{ClusterError, QueryError},
    forward::{ForwardError, NODE},
    input::InputError,
    signature::SignatureError,
    sql::SqlError,
};

/// Error of a request. Its text is the reason in the response.
#[derive(Debug, thiserror::Error)]
pub enum TierError {
    /// The body is refused.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The signature is refused.
    #[error(transparent)]
    Signature(#[from] SignatureError),
    /// The request cannot be signed.
    #[error("The request cannot be signed")]
    Unsigned(getrandom::Error),
    /// The next tier does not answer.
    #[error(transparent)]
    Forward(#[from] ForwardError),
    /// The cluster fails.
    #[error(transparent)]
    Cluster(#[from] ClusterError),
}

impl TierError {
    /// Returns the status of the response.
    pub fn status(&self) -> StatusCode {
        match self {
            Self::Input(InputError::Sql(SqlError::Busy)) | Self::Signature(SignatureError::TooMany) => {
                StatusCode::SERVICE_UNAVAILABLE
            }
            Self::Input(_) | Self::Cluster(ClusterError::Query { error: QueryError::TooLarge(_), .. }) => {
                StatusCode::BAD_REQUEST
            }
            Self::Signature(SignatureError::Missing) => StatusCode::UNAUTHORIZED,
            Self::Signature(_) => StatusCode::FORBIDDEN,
            Self::Unsigned(_) | Self::Cluster(ClusterError::Query { .. }) => StatusCode::INTERNAL_SERVER_ERROR,
            Self::Forward(_) | Self::Cluster(_) => StatusCode::BAD_GATEWAY,
        }
    }

    /// Returns the response.
    pub fn response(&self) -> HttpResponse {
        let status = self.status();
        let reason = self.to_string();
        if !matches!(self, Self::Input(_)) {
            tracing::warn!(status = status.as_u16(), reason, "refused");
        }
        let mut response = HttpResponse::build(status);
        if let Self::Cluster(ClusterError::Query { node, .. }) = self {
            response.insert_header((NODE, node.as_str()));
        }
        response.json(json!({ "error": reason }))
    }
}
