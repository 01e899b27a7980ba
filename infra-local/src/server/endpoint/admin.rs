//! The paths below `/_infra/`: status, inventory, operations, calls, metrics, events, faults, reachability, tunnels and
//! shutdown, for the holders of the cloud's token.

use std::sync::Arc;

use chrono::{DateTime, Utc};
use http_body_util::{BodyExt as _, Limited};
use hyper::body::Incoming;
use hyper::header::{AUTHORIZATION, CONTENT_TYPE, HeaderValue, UPGRADE};
use hyper::{Method, Request, Response, StatusCode};
use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::json;
use tokio::sync::Notify;

use super::answer::Answer;
use super::operations;
use super::query::{Query, QueryError};
use crate::access::Source;
use crate::runtime::network::NetworkHandle;
use crate::runtime::session::Session;
use crate::server::calls::{self, Calls};
use crate::server::capabilities::Capabilities;
use crate::server::credentials;
use crate::server::credentials::Token;
use crate::server::events::{self, Events};
use crate::server::faults::{self, Fault};
use crate::server::inventory;
use crate::server::metrics::{self, MetricsDocument};
use crate::server::network_map;
use crate::server::reach::{self, Reach, ReachError, ReachRequest};
use crate::server::session::{self, SessionError, SessionRequest};
use crate::server::status::Status;
use crate::server::tunnel::{self, TunnelError, TunnelRequest};
use crate::state::Shared;

/// The largest request.
const LIMIT_BYTES: usize = 64 * 1024;

const PATHS: &str = "there are GET /_infra/health, GET /_infra/status, GET /_infra/inventory, GET /_infra/network, GET \
                     /_infra/capabilities, GET /_infra/operations, GET /_infra/calls, GET /_infra/metrics, GET \
                     /_infra/events, GET /_infra/session, POST /_infra/fault, POST /_infra/reach, POST /_infra/tunnel \
                     and POST /_infra/shutdown";

/// Handler of the administration paths.
pub(super) struct Admin {
    pub(super) shared: Shared,
    pub(super) network: NetworkHandle,
    /// Recorded requests to the services.
    pub(super) calls: Arc<Calls>,
    /// Recent events.
    pub(super) events: Arc<Events>,
    /// Token that all paths but `health` require.
    pub(super) token: Token,
    /// Notified by `POST /_infra/shutdown`.
    pub(super) stop_requested: Arc<Notify>,
}

impl Admin {
    /// Responds to a request for the path below `/_infra/`.
    pub(super) async fn answer(&self, request: Request<Incoming>, source: &Source, path: &str) -> Answer {
        let token = request.headers().get(AUTHORIZATION).map(HeaderValue::as_bytes).unwrap_or_default();
        let is_admitted = *source == Source::Program && self.token.admits(token);
        if is_admitted && request.method() == Method::POST && path == "tunnel" {
            return self.tunnel(request).await.unwrap_or_else(|error| {
                let is_unknown = matches!(error, TunnelError::Party(_) | TunnelError::NoPort(_));
                let (status, body) = failure(refusal(is_unknown), &error.to_string());
                json_answer(status, body)
            });
        }
        let query = Query::of(request.uri());
        let (status, body) = match (request.method(), path) {
            (&Method::GET, "health") if *source == Source::Program => {
                document(StatusCode::OK, json!({"status": "running"}))
            }
            _ if !is_admitted => {
                let file = self.shared.directory().join(credentials::FILE);
                tracing::warn!(path = request.uri().path(), "refused a request without the cloud's token");
                let hint = format!("send `Authorization: Bearer TOKEN` with the token from {}", file.display());
                failure(StatusCode::FORBIDDEN, &hint)
            }
            (&Method::GET, "status") => document(StatusCode::OK, Status::of(&self.shared)),
            (&Method::GET, "inventory") => document(StatusCode::OK, inventory::of(&self.shared)),
            (&Method::GET, "network") => document(StatusCode::OK, network_map::of(&self.shared)),
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
            (&Method::GET, "calls") => match self.calls(&query) {
                Ok(page) => document(StatusCode::OK, page),
                Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::GET, "metrics") => match self.metrics(&query) {
                Ok(metrics) => document(StatusCode::OK, metrics),
                Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::GET, "events") => match self.events(&query) {
                Ok(page) => document(StatusCode::OK, page),
                Err(error) => failure(StatusCode::BAD_REQUEST, &error.to_string()),
            },
            (&Method::GET, "session") => match self.session(&request) {
                Ok(session) => document(StatusCode::OK, session),
                Err(error) => {
                    let is_unknown = matches!(error, SessionError::Party(_) | SessionError::NoService { .. });
                    failure(refusal(is_unknown), &error.to_string())
                }
            },
            (&Method::POST, "reach") => match self.reach(request).await {
                Ok(reach) => document(StatusCode::OK, reach),
                Err((status, error)) => failure(status, &error),
            },
            _ => failure(StatusCode::NOT_FOUND, PATHS),
        };
        json_answer(status, body)
    }

    fn calls(&self, query: &Query) -> Result<calls::Page, QueryError> {
        query.check(&["after", "limit"])?;
        let limit = query.number_within("limit", 1..=calls::PAGE_LIMIT)?.unwrap_or(calls::PAGE_DEFAULT);
        Ok(self.calls.page(query.number("after")?, limit))
    }

    fn metrics(&self, query: &Query) -> Result<MetricsDocument, QueryError> {
        query.check(&["since", "region"])?;
        let since = query.number("since")?.map_or(DateTime::UNIX_EPOCH, |since| {
            // A time after all times has no values.
            DateTime::from_timestamp_millis(since).unwrap_or(DateTime::<Utc>::MAX_UTC)
        });
        Ok(metrics::of(&self.shared, since, query.text("region")))
    }

    fn events(&self, query: &Query) -> Result<events::Page, QueryError> {
        query.check(&["after"])?;
        // A change that precedes the request is part of the response.
        self.events.observe(&self.shared);
        Ok(self.events.page(query.number("after")?.unwrap_or_default()))
    }

    async fn inject(&self, request: Request<Incoming>) -> Result<String, String> {
        let fault: Fault = read(request).await?;
        let done = faults::network::inject(&self.shared, &self.network, &fault).await;
        // A fault of a few requests could be used up before the next observation.
        self.events.observe(&self.shared);
        done.map_err(|error| error.to_string())
    }

    /// Connects to the port that the query names, and upgrades the HTTP connection.
    async fn tunnel(&self, request: Request<Incoming>) -> Result<Answer, TunnelError> {
        if request.headers().get(UPGRADE).is_none_or(|protocol| protocol != tunnel::PROTOCOL) {
            return Err(TunnelError::NoUpgrade);
        }
        let wanted = TunnelRequest::from_query(request.uri().query().unwrap_or_default());
        let stream = tunnel::connect(&self.shared, &self.network, &wanted).await?;
        Ok(tunnel::upgrade(request, stream))
    }

    fn session(&self, request: &Request<Incoming>) -> Result<Session, SessionError> {
        let request = SessionRequest::from_query(request.uri().query().unwrap_or_default());
        session::open(&self.shared, &self.network, &request)
    }

    async fn reach(&self, request: Request<Incoming>) -> Result<Reach, (StatusCode, String)> {
        let request: ReachRequest = read(request).await.map_err(|error| (StatusCode::BAD_REQUEST, error))?;
        let reach = reach::reach(&self.shared, &self.network, &request).await;
        reach.map_err(|error| {
            let is_unknown = matches!(error, ReachError::Party(_) | ReachError::Source(_));
            (refusal(is_unknown), error.to_string())
        })
    }
}

fn json_answer(status: StatusCode, body: String) -> Answer {
    let mut answer = Response::new(s3s::Body::from(body));
    *answer.status_mut() = status;
    answer.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    answer
}

/// Parses the JSON document of a request.
async fn read<T: DeserializeOwned>(request: Request<Incoming>) -> Result<T, String> {
    let body = Limited::new(request.into_body(), LIMIT_BYTES).collect().await;
    let body = body.map_err(|error| error.to_string())?.to_bytes();
    serde_json::from_slice(&body).map_err(|error| error.to_string())
}

fn document(status: StatusCode, document: impl Serialize) -> (StatusCode, String) {
    match serde_json::to_string(&document) {
        Ok(text) => (status, text),
        Err(error) => failure(StatusCode::INTERNAL_SERVER_ERROR, &error.to_string()),
    }
}

/// Returns the status of a refused request, which names something unknown or is wrong in another way.
fn refusal(is_unknown: bool) -> StatusCode {
    if is_unknown { StatusCode::NOT_FOUND } else { StatusCode::BAD_REQUEST }
}

fn failure(status: StatusCode, error: &str) -> (StatusCode, String) {
    (status, json!({ "error": error }).to_string())
}
