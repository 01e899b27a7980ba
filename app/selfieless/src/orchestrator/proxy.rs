//! Forwards requests to instances (RFC 9110, section 7.6).

use std::{net::IpAddr, sync::atomic::Ordering::Relaxed, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse, HttpResponseBuilder,
    body::SizedStream,
    http::StatusCode,
    web::{Bytes, Data},
};
use futures::{Stream, stream};
use http_body_util::{BodyExt, Full};
use hyper::{
    Method, Request, Response,
    body::{Body, Incoming},
    header::{CONNECTION, CONTENT_LENGTH, EXPECT, HeaderMap, HeaderName, HeaderValue, VIA},
};
use kit::{log, reply};
use tokio::time::timeout;

use super::{backend::Lease, fleet::Fleet, scaling::Scaling};
use crate::refusal::causes;

/// Number of instances that may receive a request.
const ATTEMPTS: usize = 2;
/// Time limit of the next part of a response.
const PATIENCE: Duration = Duration::from_secs(8);
/// Paths that are not counted in a window.
const UNCOUNTED: [&str; 2] = ["/api/v1/_health", "/api/v1/_crash"];
/// Headers of one connection, besides those that `Connection` names.
const HOP_BY_HOP: [&str; 8] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
const RECEIVED_BY: HeaderValue = HeaderValue::from_static("1.1 orchestrator");

/// Error of the response of an instance.
#[derive(Debug, thiserror::Error)]
enum BodyError {
    #[error("the response was interrupted: {0}")]
    Interrupted(#[from] hyper::Error),
    #[error("no further part of the response within {PATIENCE:?}")]
    Late,
}

/// Forwards a request to the next instance, and returns its response.
///
/// If the connection is refused, another instance receives the request. If the connection is lost later, the instance may
/// have acted on the request, so only an idempotent one is sent again.
pub(super) async fn forward(
    request: HttpRequest,
    body: Bytes,
    fleet: Data<Fleet>,
    scaling: Data<Scaling>,
) -> HttpResponse {
    if !UNCOUNTED.contains(&request.path()) {
        scaling.record();
    }
    let Some(forwarded) = Forwarded::new(&request, body) else {
        return reply::detail(StatusCode::BAD_REQUEST, "The request cannot be forwarded.");
    };
    for attempt in 1..=ATTEMPTS {
        let Some(lease) = fleet.next() else {
            break;
        };
        let Some(request) = forwarded.to(&lease) else {
            return reply::detail(StatusCode::BAD_REQUEST, "The request cannot be forwarded.");
        };
        let error = match lease.backend.send(request).await {
            Ok(response) => {
                fleet.counts.forwarded.fetch_add(1, Relaxed);
                return respond(&forwarded.method, response, lease);
            }
            Err(error) => error,
        };
        let (cause, instance) = (causes(&error), lease.backend.address());
        tracing::warn!(error = cause, %instance, attempt, "an instance failed a request");
        fleet.suspect(&lease);
        if !error.is_connect() && !is_idempotent(&forwarded.method) {
            fleet.counts.unavailable.fetch_add(1, Relaxed);
            let why = "The instance failed while it handled the request, which may have had an effect.";
            return reply::detail(StatusCode::BAD_GATEWAY, why);
        }
        if attempt < ATTEMPTS {
            fleet.counts.retried.fetch_add(1, Relaxed);
        }
    }
    fleet.counts.unavailable.fetch_add(1, Relaxed);
    reply::detail(StatusCode::SERVICE_UNAVAILABLE, "No instance is healthy. Try again shortly.")
}

/// A request that can be sent several times.
struct Forwarded {
    method: Method,
    target: String,
    headers: HeaderMap,
    body: Bytes,
}

impl Forwarded {
    fn new(request: &HttpRequest, body: Bytes) -> Option<Self> {
        let mut headers = HeaderMap::new();
        for (name, value) in request.headers() {
            headers.append(
                HeaderName::from_bytes(name.as_str().as_bytes()).ok()?,
                HeaderValue::from_bytes(value.as_bytes()).ok()?,
            );
        }
        remove_hop_by_hop(&mut headers);
        // The body is complete, so the client waits for nothing.
        headers.remove(EXPECT);
        headers.remove(CONTENT_LENGTH);
        headers.append(VIA, RECEIVED_BY);
        if let Some(peer) = request.peer_addr() {
            headers.append(FORWARDED_FOR, address_value(peer.ip())?);
        }
        if let Some(id) = log::id(request) {
            headers.insert(REQUEST_ID, HeaderValue::from_bytes(id.as_bytes()).ok()?);
        }
        Some(Self {
            method: Method::from_bytes(request.method().as_str().as_bytes()).ok()?,
            target: request.uri().path_and_query()?.as_str().to_owned(),
            headers,
            body,
        })
    }

    /// Returns the request to an instance.
    fn to(&self, lease: &Lease) -> Option<Request<Full<Bytes>>> {
        let uri = format!("http://{}{}", lease.backend.address(), self.target);
        let mut request = Request::builder().method(&self.method).uri(uri).body(Full::new(self.body.clone())).ok()?;
        *request.headers_mut() = self.headers.clone();
        Some(request)
    }
}

fn address_value(address: IpAddr) -> Option<HeaderValue> {
    HeaderValue::from_str(&address.to_string()).ok()
}

fn is_idempotent(method: &Method) -> bool {
    [Method::GET, Method::HEAD, Method::PUT, Method::DELETE, Method::OPTIONS, Method::TRACE].contains(method)
}

/// Removes the headers of the connection, which are not forwarded.
fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = headers
        .get_all(CONNECTION)
        .iter()
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .filter_map(|name| HeaderName::from_bytes(name.trim().as_bytes()).ok())
        .collect();
    for name in named {
        headers.remove(name);
    }
    for name in HOP_BY_HOP {
        headers.remove(name);
    }
}

/// Returns the response of an instance. The request is in flight until the last part of the response is sent.
fn respond(method: &Method, response: Response<Incoming>, lease: Lease) -> HttpResponse {
    let (mut head, body) = response.into_parts();
    remove_hop_by_hop(&mut head.headers);
    let declared = head.headers.remove(CONTENT_LENGTH);
    let status = StatusCode::from_u16(head.status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut builder = HttpResponseBuilder::new(status);
    for (name, value) in &head.headers {
        builder.append_header((name.as_str(), value.as_bytes()));
    }
    let declared = declared.and_then(|length| length.to_str().ok()?.parse().ok());
    let length = if method == Method::HEAD { declared } else { body.size_hint().exact() };
    match length {
        Some(length) => builder.body(SizedStream::new(length, parts(body, lease))),
        None => builder.streaming(parts(body, lease)),
    }
}

fn parts(body: Incoming, lease: Lease) -> impl Stream<Item = Result<Bytes, BodyError>> {
    stream::try_unfold((body, lease), async |(mut body, lease)| {
        loop {
            match timeout(PATIENCE, body.frame()).await.map_err(|_| BodyError::Late)? {
                Some(frame) => {
                    // Trailers are not forwarded.
                    if let Ok(part) = frame?.into_data() {
                        return Ok(Some((part, (body, lease))));
                    }
                }
                None => {
                    lease.complete();
                    return Ok(None);
                }
            }
        }
    })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use actix_web::test::TestRequest;

    use super::*;

    #[test]
    fn headers_of_the_connection_are_not_forwarded() {
        let request = TestRequest::get()
            .uri("/api/v1/x?a=%2F&b")
            .append_header(("connection", "close, x-private"))
            .append_header(("connection", "x-other"))
            .append_header(("x-private", "1"))
            .append_header(("x-other", "1"))
            .append_header(("te", "trailers"))
            .append_header(("upgrade", "websocket"))
            .append_header(("expect", "100-continue"))
            .append_header(("origin", "http://example.org"))
            .append_header(("x-twice", "1"))
            .append_header(("x-twice", "2"))
            .append_header(("via", "1.1 balancer"))
            .append_header(("x-forwarded-for", "192.0.2.1"))
            .peer_addr("192.0.2.2:5".parse().unwrap())
            .to_http_request();
        let forwarded = Forwarded::new(&request, Bytes::new()).unwrap();
        assert_eq!(forwarded.target, "/api/v1/x?a=%2F&b");
        let mut headers: Vec<_> =
            forwarded.headers.iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
        headers.sort();
        assert_eq!(
            headers,
            [
                "origin: http://example.org",
                "via: 1.1 balancer",
                "via: 1.1 orchestrator",
                "x-forwarded-for: 192.0.2.1",
                "x-forwarded-for: 192.0.2.2",
                "x-twice: 1",
                "x-twice: 2",
            ]
        );
    }
}
