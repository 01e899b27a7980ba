//! Requests to a tier.

use std::time::{Duration, Instant};

use patterns::{
    forward::NODE,
    operation::{Operation, Table},
};
use serde_json::json;
use ureq::{
    Agent,
    http::{StatusCode, Uri},
};

/// Time limit of a request: longer than that of the gatekeeper.
const PATIENCE: Duration = Duration::from_secs(15);

/// Error of a request.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RequestError {
    #[error("{url} does not respond: {source}")]
    NoAnswer { url: String, source: Box<ureq::Error> },
    #[error("{url} answered {status}: {body}")]
    Refused { url: String, status: StatusCode, body: String },
}

/// A tier with a URL.
pub(crate) struct Service {
    base: String,
    agent: Agent,
}

/// A successful request.
pub(crate) struct Success {
    pub(crate) latency: Duration,
    /// Node that ran the statement.
    pub(crate) node: String,
}

impl Service {
    /// Returns the tier at a URL, or an error for an invalid URL.
    pub(crate) fn at(url: &str) -> Result<Self, String> {
        let base = url.trim_end_matches('/');
        let uri: Uri = base.parse().map_err(|error| format!("{url} is not a URL ({error}); write http://HOST:PORT"))?;
        if uri.scheme_str() != Some("http") || uri.host().is_none() {
            return Err(format!("{url} is not the URL of the gatekeeper; write http://HOST:PORT"));
        }
        let config = Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE));
        Ok(Self { base: base.to_owned(), agent: config.build().into() })
    }

    /// Sends a statement, with a table for a write.
    pub(crate) fn send(&self, operation: Operation, sql: &str, table: Option<Table>) -> Result<Success, RequestError> {
        let url = format!("{}{}", self.base, operation.path());
        let body = match table {
            Some(table) => json!({ "sql": sql, "table": table.name() }),
            None => json!({ "sql": sql }),
        };
        let no_answer = |source: ureq::Error| RequestError::NoAnswer { url: url.clone(), source: source.into() };
        let start = Instant::now();
        let mut response = self.agent.post(&url).send_json(body).map_err(no_answer)?;
        let status = response.status();
        let body = response.body_mut().read_to_string().map_err(no_answer)?;
        let latency = start.elapsed();
        if !status.is_success() {
            return Err(RequestError::Refused { url, status, body });
        }
        let node = response.headers().get(NODE).and_then(|node| node.to_str().ok()).unwrap_or("unknown");
        Ok(Success { latency, node: node.to_owned() })
    }
}
