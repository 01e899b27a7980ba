//! Client of the local cloud's administration paths, and in [`services`] of its services. Documents are JSON values, because
//! the console shows only parts of them and must work with clouds of other versions.

pub(crate) mod services;
mod signature;

use crate::source::CloudAccess;
use axum::http::{Method, Request, StatusCode, header::AUTHORIZATION};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use serde_json::Value as Json;
use std::time::Duration;

/// Time limit for a response.
const LIMIT: Duration = Duration::from_secs(10);

/// The largest response.
const LIMIT_BYTES: usize = 64 * 1024 * 1024;

/// Reasons why the local cloud returned no document.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub(crate) enum CloudError {
    /// There is no local cloud.
    #[error("the local cloud is not running")]
    NotRunning,
    /// It did not respond.
    #[error("the local cloud does not respond: {0}")]
    NoResponse(String),
    /// It has no such path.
    #[error("the local cloud has no `{0}`: it is of an earlier version than this console")]
    Unknown(String),
    /// It refused the request.
    #[error("{0}")]
    Refused(String),
}

impl CloudAccess {
    /// Sends a GET request to a path below `/_infra/`.
    pub(crate) async fn get(&self, path: &str) -> Result<Json, CloudError> {
        self.send(Method::GET, path, Bytes::new()).await
    }

    /// Sends a document to a path below `/_infra/`.
    pub(crate) async fn post(&self, path: &str, document: &Json) -> Result<Json, CloudError> {
        self.send(Method::POST, path, document.to_string().into()).await
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> Result<Json, CloudError> {
        let request = Request::builder().method(method).uri(format!("{}/_infra/{path}", self.endpoint));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        let (status, body) = exchange(request.body(Full::new(body)).map_err(|error| failed(&error))?).await?;
        let document: Json = serde_json::from_slice(&body).map_err(|error| failed(&error))?;
        if status.is_success() {
            return Ok(document);
        }
        if status == StatusCode::NOT_FOUND {
            let name = path.split('?').next().unwrap_or(path);
            return Err(CloudError::Unknown(name.to_owned()));
        }
        let reason = document["error"].as_str().map_or_else(|| format!("it responds {status}"), str::to_owned);
        Err(CloudError::Refused(reason))
    }
}

/// Sends a request, and returns the status and the body of the response.
async fn exchange(request: Request<Full<Bytes>>) -> Result<(StatusCode, Bytes), CloudError> {
    let exchange = async {
        let client = Client::builder(TokioExecutor::new()).build_http();
        let response = client.request(request).await.map_err(|error| failed(&error))?;
        let status = response.status();
        let body = Limited::new(response.into_body(), LIMIT_BYTES).collect().await;
        Ok((status, body.map_err(|error| CloudError::NoResponse(error.to_string()))?.to_bytes()))
    };
    let late = |_| CloudError::NoResponse(format!("no response within {} s", LIMIT.as_secs()));
    tokio::time::timeout(LIMIT, exchange).await.map_err(late)?
}

fn failed(error: &dyn std::error::Error) -> CloudError {
    CloudError::NoResponse(error.to_string())
}
