//! Helpers for the documents beside a state: author, time, and the error for a damaged document.

use super::EngineError;
use crate::store::{Recovery, StoreError};

/// Returns the error for a document that cannot be parsed.
pub(super) fn broken(document: &str, error: &serde_json::Error) -> EngineError {
    let (path, line, reason) = (document.into(), error.line(), error.to_string());
    EngineError::Store(StoreError::Broken { path, line, reason, recovery: Recovery::History })
}

/// Returns the current time in RFC 3339.
pub(super) fn now() -> String {
    rfc3339(chrono::Utc::now())
}

/// Formats a time in RFC 3339, in seconds.
pub(super) fn rfc3339(time: chrono::DateTime<chrono::Utc>) -> String {
    time.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)
}

/// Returns the user and host, as far as the environment names them.
pub fn author() -> String {
    let user = whoami::username().unwrap_or_else(|_| "unknown".into());
    match whoami::hostname() {
        Ok(host) => format!("{user}@{host}"),
        Err(_) => user,
    }
}
