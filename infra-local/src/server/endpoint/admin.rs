//! The paths below `/_infra/`: status, inventory, operations, faults and shutdown, for the holders of the cloud's token.

use std::sync::Arc;

use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde_json::json;
use tokio::sync::Notify;

use super::answer::Answer;
use super::operations;
use crate::access::Source;
use crate::server::capabilities::Capabilities;
use crate::server::credentials;
use crate::server::credentials::Token;
use crate::server::faults::Fault;
use crate::server::inventory;
use crate::server::status::Status;
use crate::state::Shared;

/// The largest description of a fault.
const FAULT_LIMIT_BYTES: usize = 64 * 1024;

const PATHS: &str = "there are GET /_infra/health, GET /_infra/status, GET /_infra/inventory, GET /_infra/capabilities, \
                     GET /_infra/operations, POST /_infra/fault and POST /_infra/shutdown";

/// Answers requests for the administration paths.
pub(super) struct Admin {
    pub(super) shared: Shared,
    /// Required for every path but `health`.
    pub(super) token: Token,
    /// Notified by `POST /_infra/shutdown`.
    pub(super) stop_requested: Arc<Notify>,
}

impl Admin {
    /// Answers a request for the path below `/_infra/`.
    pub(super) async fn answer(&self, request: Request<Incoming>, source: &Source, path: &str) -> Answer {
        let token = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let (status, body) = match (request.method(), path) {
            (&Method::GET, "health") if *source == Source::Program => {
                document(StatusCode::OK, json!({"status": "running"}))
            }
            _ if *source != Source::Program || !self.token.admits(token) => {
                let file = self.shared.directory().join(credentials::FILE);
                tracing::warn!(path = request.uri().path(), "refused a request without the cloud's token");
                let hint = format!("send `Authorization: Bearer TOKEN` with the token from {}", file.display());
                failure(StatusCode::FORBIDDEN, &hint)
            }
            (&Method::GET, "status") => document(StatusCode::OK, Status::of(&self.shared)),
            (&Method::GET, "inventory") => document(StatusCode::OK, inventory::of(&self.shared)),
            (&Method::GET, "operations") => document(StatusCode::OK, operations::all()),
            (&Method::GET, "capabilities") => match Capabilities::of(self.shared.directory()) {
                Ok(capabilities) => document(StatusCode::OK, capabilities),
                Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
            },
            (&Method::POST, "shutdown") => {
                self.stop_requested.notify_one();
                document(StatusCode::ACCEPTED, json!({}))
            }
            (&Method::POST, "fault") => match self.inject(request).await {
                Ok(outcome) => document(StatusCode::OK, json!({ "done": outcome })),
                Err(error) => failure(StatusCode::BAD_REQUEST, &error),
            },
            _ => failure(StatusCode::NOT_FOUND, PATHS),
        };
        let mut answer = Response::new(s3s::Body::from(body));
        *answer.status_mut() = status;
        answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
        answer
    }

    async fn inject(&self, request: Request<Incoming>) -> Result<String, String> {
        let body = Limited::new(request.into_body(), FAULT_LIMIT_BYTES).collect().await;
        let body = body.map_err(|error| error.to_string())?.to_bytes();
        let fault: Fault = serde_json::from_slice(&body).map_err(|error| error.to_string())?;
        self.shared.inject(&fault).map_err(|error| error.to_string())
    }
}

fn document(status: StatusCode, document: impl Serialize) -> (StatusCode, String) {
    match serde_json::to_string(&document) {
        Ok(text) => (status, text),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

fn failure(status: StatusCode, error: &str) -> (StatusCode, String) {
    (status, json!({ "error": error }).to_string())
}
