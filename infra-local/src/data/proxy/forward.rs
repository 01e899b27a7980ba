//! Carries one request to a target and its answer back.

use std::net::SocketAddr;
use std::pin::pin;
use std::sync::Arc;
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body as _, Incoming};
use hyper::client::conn::http1::SendRequest;
use hyper::header::{self, HeaderMap, HeaderName, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::body::{self, Activity, Download, ProxyBody, Upload};
use super::listener::Route;
use super::pool::{ConnectError, InFlight, Target, TargetPool};

const HOP_BY_HOP: [HeaderName; 9] = [
    header::CONNECTION,
    HeaderName::from_static("keep-alive"),
    HeaderName::from_static("proxy-connection"),
    header::PROXY_AUTHENTICATE,
    header::PROXY_AUTHORIZATION,
    header::TE,
    header::TRAILER,
    header::TRANSFER_ENCODING,
    header::UPGRADE,
];
const FORWARDED_FOR: HeaderName = HeaderName::from_static("x-forwarded-for");
const FORWARDED_PROTO: HeaderName = HeaderName::from_static("x-forwarded-proto");
const FORWARDED_PORT: HeaderName = HeaderName::from_static("x-forwarded-port");
const TRACE_ID: HeaderName = HeaderName::from_static("x-amzn-trace-id");

/// Answers a client, with a target's answer or with the status AWS's balancer gives in its place.
pub(super) async fn forward(
    mut request: Request<Incoming>,
    route: &Route,
    peer: SocketAddr,
    local: SocketAddr,
) -> Response<ProxyBody> {
    if [Method::TRACE, Method::CONNECT].contains(request.method()) {
        return own(StatusCode::METHOD_NOT_ALLOWED);
    }
    let Some(pool) = choose(route) else {
        return own(StatusCode::SERVICE_UNAVAILABLE);
    };
    let upgrade = upgrade_protocol(request.headers());
    let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));

    let (mut parts, incoming) = request.into_parts();
    rewrite(&mut parts, peer, local, upgrade);
    let bodyless = incoming.is_end_stream();
    // What has no body and changes nothing may be sent again when a kept connection turns out to be closed.
    let repeatable = (bodyless && parts.method.is_safe()).then(|| parts.clone());
    let activity = Activity::begin(bodyless);
    let upload = Upload { inner: incoming, activity: activity.clone() }.boxed();
    let job = Job { request: Request::from_parts(parts, upload), repeatable };

    let mut sent = match job.send(pool, &activity, route.idle_timeout).await {
        Ok(sent) => sent,
        Err(status) => return own(status),
    };
    if sent.response.status() == StatusCode::SWITCHING_PROTOCOLS {
        let Some(client_side) = client_side else {
            return own(StatusCode::BAD_GATEWAY);
        };
        let target_side = hyper::upgrade::on(&mut sent.response);
        tokio::spawn(tunnel(client_side, target_side, sent.in_flight));
        return sent.response.map(|_| body::text(""));
    }
    remove_hop_by_hop(sent.response.headers_mut());
    sent.target.keep_for_later(sent.sender);
    sent.response.map(|incoming| Download::new(incoming, activity, route.idle_timeout, sent.in_flight).boxed())
}

/// A request that is looking for a target.
struct Job {
    request: Request<ProxyBody>,
    repeatable: Option<Parts>,
}

/// A request that got an answer.
struct Sent {
    response: Response<Incoming>,
    sender: SendRequest<ProxyBody>,
    target: Arc<Target>,
    in_flight: InFlight,
}

/// Why there is no answer.
enum Unanswered {
    /// Nothing was sent: any target may have it.
    Unsent(Box<Request<ProxyBody>>),
    /// It was sent, or begun.
    Failed(StatusCode),
}

impl Job {
    /// Tries targets until one takes the request; another is tried only as long as nothing was sent.
    async fn send(self, pool: &TargetPool, activity: &Activity, idle_timeout: Duration) -> Result<Sent, StatusCode> {
        let Self { mut request, repeatable } = self;
        let mut status = StatusCode::SERVICE_UNAVAILABLE;
        for target in pool.candidates() {
            let in_flight = target.begin();
            let begun = Instant::now();
            if let Some(mut sender) = target.idle_connection() {
                match exchange(&mut sender, request, activity, idle_timeout).await {
                    Ok(response) => {
                        pool.count_request();
                        pool.count_answer(response.status(), begun.elapsed());
                        return Ok(Sent { response, sender, target, in_flight });
                    }
                    Err(Unanswered::Unsent(unsent)) => request = *unsent,
                    Err(Unanswered::Failed(StatusCode::BAD_GATEWAY)) if repeatable.is_some() => {
                        let Some(parts) = repeatable.clone() else {
                            return Err(status);
                        };
                        request = Request::from_parts(parts, body::text(""));
                    }
                    Err(Unanswered::Failed(status)) => return Err(status),
                }
            }
            let mut sender = match target.connect().await {
                Ok(sender) => sender,
                Err(error) => {
                    pool.count_connection_error();
                    status = match error {
                        ConnectError::Refused => StatusCode::BAD_GATEWAY,
                        ConnectError::Timeout => StatusCode::GATEWAY_TIMEOUT,
                    };
                    continue;
                }
            };
            // Time that went into connecting is not the target's.
            let begun = Instant::now();
            match exchange(&mut sender, request, activity, idle_timeout).await {
                Ok(response) => {
                    pool.count_request();
                    pool.count_answer(response.status(), begun.elapsed());
                    return Ok(Sent { response, sender, target, in_flight });
                }
                Err(Unanswered::Unsent(unsent)) => {
                    pool.count_connection_error();
                    status = StatusCode::BAD_GATEWAY;
                    request = *unsent;
                }
                Err(Unanswered::Failed(status)) => {
                    pool.count_request();
                    return Err(status);
                }
            }
        }
        Err(status)
    }
}

/// Sends a request over one connection and waits for the head of the answer, as long as something moves.
async fn exchange(
    sender: &mut SendRequest<ProxyBody>,
    request: Request<ProxyBody>,
    activity: &Activity,
    idle_timeout: Duration,
) -> Result<Response<Incoming>, Unanswered> {
    let mut answer = pin!(sender.try_send_request(request));
    // Time that went into connecting is not the target's.
    let mut due = Instant::now() + idle_timeout;
    loop {
        match tokio::time::timeout_at(due, answer.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Unanswered::Unsent(Box::new(request)),
                    None => Unanswered::Failed(StatusCode::BAD_GATEWAY),
                });
            }
            Err(_) => {
                let moved = activity.last() + idle_timeout;
                if moved > due {
                    due = moved;
                } else if activity.uploaded() {
                    return Err(Unanswered::Failed(StatusCode::GATEWAY_TIMEOUT));
                } else {
                    return Err(Unanswered::Failed(StatusCode::REQUEST_TIMEOUT));
                }
            }
        }
    }
}

/// One of the pools, in proportion to their weights.
fn choose(route: &Route) -> Option<&TargetPool> {
    let total: u128 = route.pools.iter().map(|(_, weight)| u128::from(*weight)).sum();
    let mut point = match route.pools.as_slice() {
        [(pool, _)] => return Some(pool),
        _ => uuid::Uuid::new_v4().as_u128().checked_rem(total)?,
    };
    route.pools.iter().find_map(|(pool, weight)| {
        let weight = u128::from(*weight);
        if point < weight {
            return Some(pool);
        }
        point -= weight;
        None
    })
}

/// Makes a client's request one of ours.
fn rewrite(parts: &mut Parts, peer: SocketAddr, local: SocketAddr, upgrade: Option<HeaderValue>) {
    let headers = &mut parts.headers;
    let authority = parts.uri.authority().map(ToString::to_string);
    if authority.is_some() || !headers.contains_key(header::HOST) {
        let host = authority.unwrap_or_else(|| local.to_string());
        if let Ok(host) = HeaderValue::from_str(&host) {
            headers.insert(header::HOST, host);
        }
    }
    // Targets are asked for the path alone, in the version that we speak to them.
    parts.uri = parts.uri.path_and_query().cloned().map_or_else(|| Uri::from_static("/"), Uri::from);
    parts.version = Version::HTTP_11;

    remove_hop_by_hop(headers);
    // Our own server has told the client to go on.
    headers.remove(header::EXPECT);
    if let Some(protocol) = upgrade {
        headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
        headers.insert(header::UPGRADE, protocol);
    }

    let hops: Vec<&str> = headers.get_all(&FORWARDED_FOR).iter().filter_map(|hop| hop.to_str().ok()).collect();
    let client = peer.ip().to_string();
    let hops = hops.iter().copied().chain([client.as_str()]).collect::<Vec<_>>().join(", ");
    if let Ok(hops) = HeaderValue::from_str(&hops) {
        headers.insert(FORWARDED_FOR, hops);
    }
    headers.insert(FORWARDED_PROTO, HeaderValue::from_static("http"));
    headers.insert(FORWARDED_PORT, HeaderValue::from(local.port()));
    if !headers.contains_key(&TRACE_ID) {
        let seconds = chrono::Utc::now().timestamp();
        let random = uuid::Uuid::new_v4().simple().to_string();
        let root = format!("Root=1-{seconds:08x}-{}", random.get(..24).unwrap_or(&random));
        if let Ok(root) = HeaderValue::from_str(&root) {
            headers.insert(TRACE_ID, root);
        }
    }
}

/// The protocol a client wants to change to.
fn upgrade_protocol(headers: &HeaderMap) -> Option<HeaderValue> {
    let asked = tokens(headers).any(|token| token.eq_ignore_ascii_case("upgrade"));
    asked.then(|| headers.get(header::UPGRADE).cloned()).flatten()
}

fn remove_hop_by_hop(headers: &mut HeaderMap) {
    let named: Vec<HeaderName> = tokens(headers).filter_map(|token| token.parse().ok()).collect();
    for name in named.iter().chain(&HOP_BY_HOP) {
        headers.remove(name);
    }
}

/// What the `Connection` headers name.
fn tokens(headers: &HeaderMap) -> impl Iterator<Item = &str> {
    let values = headers.get_all(header::CONNECTION).iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

/// Carries bytes both ways until one side closes.
async fn tunnel(client: OnUpgrade, target: OnUpgrade, _in_flight: InFlight) {
    let (Ok(client), Ok(target)) = tokio::join!(client, target) else {
        return;
    };
    let (mut client, mut target) = (TokioIo::new(client), TokioIo::new(target));
    if let Err(error) = tokio::io::copy_bidirectional(&mut client, &mut target).await {
        tracing::debug!(%error, "an upgraded connection broke");
    }
}

/// An answer of the balancer itself, as AWS's looks.
fn own(status: StatusCode) -> Response<ProxyBody> {
    let reason = match status {
        StatusCode::SERVICE_UNAVAILABLE => "Service Temporarily Unavailable",
        StatusCode::GATEWAY_TIMEOUT => "Gateway Time-out",
        _ => status.canonical_reason().unwrap_or_default(),
    };
    let title = format!("{} {reason}", status.as_u16());
    let page = format!(
        "<html>\r\n<head><title>{title}</title></head>\r\n<body>\r\n<center><h1>{title}</h1></center>\r\n</body>\r\n</html>\r\n"
    );
    let mut response = Response::new(body::text(page));
    *response.status_mut() = status;
    let headers = response.headers_mut();
    headers.insert(header::SERVER, HeaderValue::from_static("awselb/2.0"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/html"));
    response
}
