//! The error type of the control plane.

use std::borrow::Cow;

/// An error of the AWS API: a status, a code for programs and a message for people.
///
/// Each protocol renders it in its own envelope, see [`super::Protocol`].
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {message}")]
pub(crate) struct ApiError {
    pub(crate) status: u16,
    pub(crate) code: Cow<'static, str>,
    pub(crate) message: String,
}

/// The error code of the local cloud when its disk or its quota is full. AWS has no code for that.
pub(crate) const DISK_FULL: &str = "LocalCloudDiskFull";

/// Returns whether the disk or its quota is full.
pub(crate) fn is_full(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::StorageFull | std::io::ErrorKind::QuotaExceeded)
}

/// Result of an operation.
pub(crate) type Outcome<T> = Result<T, ApiError>;

impl ApiError {
    /// Returns an error of the client with the usual status 400.
    pub(crate) fn new(code: impl Into<Cow<'static, str>>, message: impl Into<String>) -> Self {
        ApiError { status: 400, code: code.into(), message: message.into() }
    }

    pub(crate) fn with_status(mut self, status: u16) -> Self {
        self.status = status;
        self
    }

    /// Returns the error for a missing required parameter.
    pub(crate) fn missing(name: &str) -> Self {
        ApiError::new("MissingParameter", format!("The request must contain the parameter {name}"))
    }

    /// Returns the error for an invalid value of a parameter.
    pub(crate) fn invalid(message: impl Into<String>) -> Self {
        ApiError::new("InvalidParameterValue", message)
    }

    /// Returns an internal error with status 500, after which clients retry.
    pub(crate) fn internal(message: impl Into<String>) -> Self {
        ApiError::new("InternalError", message).with_status(500)
    }
}

impl From<std::io::Error> for ApiError {
    fn from(error: std::io::Error) -> Self {
        if is_full(&error) {
            let message = format!("the local cloud's disk is full, and nothing was changed: {error}");
            // A status after which clients do not retry.
            return ApiError::new(DISK_FULL, message).with_status(507);
        }
        ApiError::internal(format!("the local cloud could not use its directory: {error}"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_disk_is_named_and_not_retried() {
        for kind in [std::io::ErrorKind::StorageFull, std::io::ErrorKind::QuotaExceeded] {
            let error = ApiError::from(std::io::Error::from(kind));
            assert_eq!((error.code.as_ref(), error.status), (DISK_FULL, 507));
            assert!(error.message.contains("disk is full"), "{error}");
        }
        let other = ApiError::from(std::io::Error::from(std::io::ErrorKind::PermissionDenied));
        assert_eq!((other.code.as_ref(), other.status), ("InternalError", 500));
    }
}
