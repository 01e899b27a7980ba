//! The service `users`, which knows whether a user exists. It is called through the balancer.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty, Limited};
use hyper::{
    Request, StatusCode, Uri,
    header::{HeaderValue, ORIGIN},
};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::time::timeout;

use crate::refusal::{Refusal, causes};

/// Time limit of a request to the service: shorter than that of a request to this service.
const PATIENCE: Duration = Duration::from_secs(3);
/// Time limit of a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Time for which an idle connection is kept: shorter than the keep-alive time of servers.
const IDLE: Duration = Duration::from_secs(2);
/// Maximum size of the list of users, in bytes.
const LIMIT: usize = 32 * 1024 * 1024;

/// Address of the service `users`, and the origin of requests to it.
#[derive(Debug, Clone)]
pub struct Settings {
    /// URL of the list of users.
    pub users: Uri,
    /// Header `Origin`.
    pub origin: HeaderValue,
}

/// Error of a request to the service `users`.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// The connection failed.
    #[error("the request failed: {}", causes(.0))]
    Request(#[from] hyper_util::client::legacy::Error),
    /// The URL or a header is invalid.
    #[error("the request is invalid: {0}")]
    Invalid(#[from] hyper::http::Error),
    /// The response was interrupted, or too long.
    #[error("the response cannot be read: {0}")]
    Response(Box<dyn std::error::Error + Send + Sync>),
    /// The service returned an error.
    #[error("the response has the status {0}")]
    Status(StatusCode),
    /// The response is not a list of names.
    #[error("the response is not a JSON array of names: {0}")]
    Malformed(#[from] serde_json::Error),
    /// The service did not respond in time.
    #[error("no response within {PATIENCE:?}")]
    Late,
}

impl From<DirectoryError> for Refusal {
    fn from(error: DirectoryError) -> Self {
        tracing::error!(%error, "the service users is unavailable");
        Self::Unavailable("The service users is unavailable, so nothing was stored. Try again shortly.".to_owned())
    }
}

/// Client of the service `users`.
pub struct Directory {
    client: Client<HttpConnector, Empty<Bytes>>,
    settings: Settings,
}

impl Directory {
    /// Returns a client without a connection.
    pub fn new(settings: Settings) -> Self {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Self { client: client.build(connector), settings }
    }

    /// Returns whether a user exists.
    ///
    /// # Errors
    /// [`DirectoryError`] if the service does not return its list in time. A lost connection is tried twice.
    pub async fn has(&self, username: &str) -> Result<bool, DirectoryError> {
        let names = async {
            match self.names().await {
                Err(DirectoryError::Request(error)) if !error.is_connect() => {
                    tracing::warn!(%error, "the list of users is requested again");
                    self.names().await
                }
                first => first,
            }
        };
        let names = timeout(PATIENCE, names).await.map_err(|_| DirectoryError::Late)??;
        Ok(names.iter().any(|name| name == username))
    }

    async fn names(&self) -> Result<Vec<String>, DirectoryError> {
        let Settings { users, origin } = &self.settings;
        let request = Request::get(users).header(ORIGIN, origin).body(Empty::new())?;
        let response = self.client.request(request).await?;
        match response.status() {
            StatusCode::OK => (),
            StatusCode::NO_CONTENT => return Ok(Vec::new()),
            status => return Err(DirectoryError::Status(status)),
        }
        let body = Limited::new(response.into_body(), LIMIT).collect().await.map_err(DirectoryError::Response)?;
        Ok(serde_json::from_slice(&body.to_bytes())?)
    }
}
