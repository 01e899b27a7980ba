//! Forwards a request to a target, and its response to the client.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::{Body as _, Incoming};
use hyper::header::{self, HeaderValue};
use hyper::http::request::Parts;
use hyper::upgrade::OnUpgrade;
use hyper::{Request, Response, StatusCode, Version};
use tokio::time::Instant;

use super::access_log::{Entry, Forwarded};
use super::answer;
use super::body::{AnswerBody, Download};
use super::client::Client;
use super::connection::{Connection, Unanswered};
use super::headers::{TRACE_ID, refusal, remove_hop_by_hop, rewrite, upgrade_protocol};
use super::pool::{TargetPool, Usable};
use super::route::{Action, Forward, Route, Settings};
use super::sticky::{self, Mark};
use super::target::{ConnectError, InFlight};
use super::tunnel;
use super::upload::{Activity, Upload};

/// Responds to a client, with a target's response or with the one that AWS's load balancer would generate.
pub(super) async fn respond(
    request: Request<Incoming>,
    route: Arc<Route>,
    client: Arc<Client>,
) -> Response<AnswerBody> {
    let now = Instant::now();
    let mut entry = route.settings.access_log.as_ref().map(|log| (log, Entry::of(&request, client.peer, now)));
    let leaves = request.version() < Version::HTTP_2 && client.exceeds_keep_alive(route.settings.keep_alive, now);
    let mut response = match decide(request, &route, &client, now) {
        Decision::Forward(mut pending) => {
            let answered = pending.run().await;
            if let Some((_, entry)) = &mut entry {
                entry.forwarded = std::mem::take(&mut pending.forwarded);
            }
            answered.unwrap_or_else(|status| own_error(status, &client))
        }
        Decision::Answer(response) => response,
        Decision::Fail(status) => own_error(status, &client),
    };
    let own = matches!(response.body(), AnswerBody::Own(_));
    if own && !route.settings.server_header {
        response.headers_mut().remove(header::SERVER);
    }
    for (name, value) in &route.settings.response_headers {
        response.headers_mut().insert(name, value.clone());
    }
    if !response.headers().contains_key(header::DATE) {
        response.headers_mut().insert(header::DATE, date());
    }
    if leaves {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if let Some((log, entry)) = entry {
        log.record(entry, &response);
    }
    response
}

/// Returns the page for an error of the balancer itself, and counts it.
fn own_error(status: StatusCode, client: &Client) -> Response<AnswerBody> {
    client.errors.count(status);
    answer::page(status)
}

/// Returns the current time in HTTP's format.
fn date() -> HeaderValue {
    let text = chrono::Utc::now().format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    HeaderValue::from_str(&text).unwrap_or(HeaderValue::from_static(""))
}

/// Result of an attempt to forward a request.
#[allow(clippy::large_enum_variant)]
enum Decision {
    /// A response that a rule declares.
    Answer(Response<AnswerBody>),
    /// An error of the balancer.
    Fail(StatusCode),
    Forward(Box<PendingRequest>),
}

fn decide(request: Request<Incoming>, route: &Route, client: &Client, now: Instant) -> Decision {
    let (parts, incoming) = request.into_parts();
    if let Some(status) = refusal(&parts) {
        return Decision::Fail(status);
    }
    match route.action(&parts, client.peer.ip()) {
        Action::Redirect(redirect) => Decision::Answer(answer::redirect(redirect, &parts, client)),
        Action::FixedResponse(fixed) => Decision::Answer(answer::fixed(fixed)),
        Action::Forward(forward) => {
            let pending =
                PendingRequest::new(Request::from_parts(parts, incoming), forward, &route.settings, client, now);
            pending.map_or(Decision::Fail(StatusCode::SERVICE_UNAVAILABLE), Decision::Forward)
        }
    }
}

/// A request for which a target is searched. It stays in one place in memory, because moving it at every step costs
/// time.
struct PendingRequest {
    request: Option<Request<Upload>>,
    /// Copy of a request without a body and of an idempotent method, which is sent again if a reused connection turns
    /// out to be closed.
    repeatable: Option<Parts>,
    activity: Option<Activity>,
    began: Instant,
    limit: Duration,
    pool: TargetPool,
    usable: Arc<Usable>,
    /// Index of the usable target to try first.
    first: usize,
    /// The target that the client's cookie names.
    wanted: Option<Mark>,
    /// Stickiness duration of the target group.
    sticky: Option<Duration>,
    /// The client's side of a connection that may be upgraded.
    client_side: Option<OnUpgrade>,
    /// Facts for the log.
    forwarded: Forwarded,
}

/// A response, and the mark of its target.
type Answered = (Response<AnswerBody>, Mark);

impl PendingRequest {
    /// Returns `None` when no target is available.
    fn new(
        mut request: Request<Incoming>,
        forward: &Forward,
        settings: &Settings,
        client: &Client,
        now: Instant,
    ) -> Option<Box<Self>> {
        let group = forward.sticky.and_then(|_| sticky::group(request.headers()));
        let known = group.and_then(|group| forward.pools.iter().find(|(pool, _)| pool.mark() == group));
        let pool = known.map(|(pool, _)| pool).or_else(|| forward.choose())?;
        let usable = pool.usable();
        let wanted = usable.stickiness.as_ref().and_then(|stickiness| stickiness.target(request.headers()));
        let first = wanted.and_then(|mark| usable.find(mark)).unwrap_or_else(|| pool.turn(&usable));

        let upgrade = upgrade_protocol(request.headers());
        let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, incoming) = request.into_parts();
        rewrite(&mut parts, client, settings, upgrade);
        let trace_id = settings.access_log.as_ref().and_then(|_| parts.headers.get(&TRACE_ID).cloned());
        let activity = (!incoming.is_end_stream()).then(Activity::begin);
        let repeatable = (activity.is_none() && parts.method.is_safe()).then(|| parts.clone());
        let upload = activity.clone().map_or(Upload::Empty, |activity| Upload::Client(incoming, activity));
        Some(Box::new(Self {
            request: Some(Request::from_parts(parts, upload)),
            repeatable,
            activity,
            began: now,
            limit: settings.idle_timeout,
            pool: pool.clone(),
            usable,
            first,
            wanted,
            sticky: forward.sticky,
            client_side,
            forwarded: Forwarded { trace_id, ..Forwarded::default() },
        }))
    }

    async fn run(&mut self) -> Result<Response<AnswerBody>, StatusCode> {
        let (mut response, target) = match self.client_side.take() {
            // Boxed because it is rare and would enlarge every request's future.
            Some(client_side) => Box::pin(self.send_upgrading(client_side)).await?,
            None => self.send().await?,
        };
        let headers = response.headers_mut();
        if let Some(stickiness) = &self.usable.stickiness {
            stickiness.keep_with_target(headers, target, self.wanted == Some(target));
        }
        if let Some(period) = self.sticky {
            sticky::keep_with_group(headers, self.pool.mark(), period);
        }
        Ok(response)
    }

    /// Tries targets until one receives the request; another is tried only as long as nothing was sent.
    async fn send(&mut self) -> Result<Answered, StatusCode> {
        let mut status = StatusCode::SERVICE_UNAVAILABLE;
        for step in 0..self.usable.len() {
            let target = Arc::clone(self.usable.target(self.first + step));
            let Some(in_flight) = target.begin() else { continue };
            self.forwarded.target = Some(target.address());
            if let Some(connection) = poll_fn(|context| Poll::Ready(target.idle_connection(self.began, context))).await
            {
                match self.exchange(connection).await {
                    Ok((response, connection)) => {
                        let elapsed = self.began.elapsed();
                        self.forwarded.elapsed = Some(elapsed);
                        self.pool.count_answer(response.status(), elapsed);
                        return Ok(self.answered(response, connection, in_flight).await);
                    }
                    Err(Some(StatusCode::BAD_GATEWAY)) if self.repeatable.is_some() => {
                        let again = self.repeatable.clone();
                        self.request = again.map(|parts| Request::from_parts(parts, Upload::Empty));
                    }
                    Err(Some(status)) => return Err(status),
                    Err(None) => {}
                }
            }
            let connection = match Box::pin(target.connect()).await {
                Ok(connection) => connection,
                Err(error) => {
                    self.pool.count_connection_error();
                    status = unreachable(error);
                    continue;
                }
            };
            // The target's response time excludes the time to connect.
            let begun = Instant::now();
            match self.exchange(connection).await {
                Ok((response, connection)) => {
                    let elapsed = begun.elapsed();
                    self.forwarded.elapsed = Some(elapsed);
                    self.pool.count_answer(response.status(), elapsed);
                    return Ok(self.answered(response, connection, in_flight).await);
                }
                Err(Some(status)) => {
                    self.pool.count_request();
                    return Err(status);
                }
                Err(None) => {
                    self.pool.count_connection_error();
                    status = StatusCode::BAD_GATEWAY;
                }
            }
        }
        Err(status)
    }

    /// Sends the request over a connection. On failure, the error is the request if nothing was sent, or else a status.
    async fn exchange(
        &mut self,
        mut connection: Box<Connection>,
    ) -> Result<(Response<Incoming>, Box<Connection>), Option<StatusCode>> {
        let request = self.request.take().ok_or(Some(StatusCode::BAD_GATEWAY))?;
        match connection.exchange(request, self.activity.as_ref(), self.limit).await {
            Ok(response) => Ok((response, connection)),
            Err(Unanswered::Failed(status)) => Err(Some(status)),
            Err(Unanswered::Unsent(unsent)) => {
                self.request = Some(*unsent);
                Err(None)
            }
        }
    }

    /// Converts a target's response to the response for the client.
    async fn answered(
        &self,
        mut response: Response<Incoming>,
        connection: Box<Connection>,
        in_flight: InFlight,
    ) -> Answered {
        remove_hop_by_hop(response.headers_mut());
        let (target, limit) = (in_flight.target().mark, self.limit);
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // The client has not requested an upgrade.
            return (answer::page(StatusCode::BAD_GATEWAY), target);
        }
        if self.activity.as_ref().is_some_and(|activity| !activity.uploaded()) {
            // The target responds before it has read the whole body: both directions must continue.
            connection.into_task();
            return (response.map(|incoming| AnswerBody::Target(Download::driven(incoming, limit, in_flight))), target);
        }
        if response.body().is_end_stream() {
            let mut through = Some(connection);
            poll_fn(|context| {
                if let Some(connection) = through.take() {
                    in_flight.target().keep_idle(connection, context);
                }
                Poll::Ready(())
            })
            .await;
            return (response.map(|_| AnswerBody::Own(None)), target);
        }
        (response.map(|incoming| AnswerBody::Target(Download::driving(incoming, connection, limit, in_flight))), target)
    }

    /// Sends a request that may upgrade the connection, over a new connection.
    async fn send_upgrading(&mut self, client_side: OnUpgrade) -> Result<Answered, StatusCode> {
        let mut status = StatusCode::SERVICE_UNAVAILABLE;
        for step in 0..self.usable.len() {
            let target = Arc::clone(self.usable.target(self.first + step));
            let Some(in_flight) = target.begin() else { continue };
            self.forwarded.target = Some(target.address());
            let connection = match target.connect().await {
                Ok(connection) => connection,
                Err(error) => {
                    self.pool.count_connection_error();
                    status = unreachable(error);
                    continue;
                }
            };
            self.pool.count_request();
            let mut sender = connection.into_task();
            let request = self.request.take().ok_or(StatusCode::BAD_GATEWAY)?;
            let answer = tokio::time::timeout(self.limit, sender.send_request(request)).await;
            let answer = answer.map_err(|_| StatusCode::GATEWAY_TIMEOUT)?;
            let mut response = answer.map_err(|_| StatusCode::BAD_GATEWAY)?;
            if response.status() == StatusCode::SWITCHING_PROTOCOLS {
                let target_side = hyper::upgrade::on(&mut response);
                tokio::spawn(tunnel::carry(client_side, target_side, self.limit, in_flight));
                return Ok((response.map(|_| AnswerBody::Own(None)), target.mark));
            }
            remove_hop_by_hop(response.headers_mut());
            let body = |incoming| AnswerBody::Target(Download::driven(incoming, self.limit, in_flight));
            return Ok((response.map(body), target.mark));
        }
        Err(status)
    }
}

fn unreachable(error: ConnectError) -> StatusCode {
    match error {
        ConnectError::Refused => StatusCode::BAD_GATEWAY,
        ConnectError::Timeout => StatusCode::GATEWAY_TIMEOUT,
    }
}
