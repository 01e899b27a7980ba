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

use super::access_log::{AccessLog, Entry, Forwarded, Record};
use super::answer;
use super::body::{AnswerBody, Download, LoggedBody};
use super::client::Client;
use super::connection::{Connection, Unanswered};
use super::desync;
use super::headers::{TRACE_ID, exceed_response_limit, refusal, remove_hop_by_hop, rewrite, upgrade_protocol};
use super::multiplexed;
use super::pool::{TargetPool, Usable};
use super::route::{Action, Forward, Route, Settings};
use super::sticky::{self, Mark};
use super::target::{ConnectError, InFlight};
use super::tunnel;
use super::upload::{Activity, Upload};
use crate::model::elbv2::ProtocolVersion;

/// Responds to a client, with a target's response or with the one that AWS's load balancer would generate.
pub(super) async fn respond(
    request: Request<Incoming>,
    route: Arc<Route>,
    client: Arc<Client>,
) -> Response<LoggedBody> {
    let now = Instant::now();
    let settings = &route.settings;
    let mut exchange = Exchange::begin(&request, settings, &client, now);
    let mut leaves = request.version() < Version::HTTP_2 && client.exceeds_keep_alive(settings.keep_alive, now);
    let mut response = match decide(request, &route, &client, &mut exchange) {
        Decision::Forward(mut pending) => {
            leaves |= pending.closes;
            if let Some(record) = &mut exchange.record {
                record.upload.clone_from(&pending.activity);
            }
            let answered = pending.run().await;
            exchange.forwarded(std::mem::take(&mut pending.forwarded));
            answered.unwrap_or_else(|status| own_error(status, &client))
        }
        Decision::Answer(response) => response,
        Decision::Fail(status) => own_error(status, &client),
    };
    let own = matches!(response.body(), AnswerBody::Own(_));
    if own && !settings.server_header {
        response.headers_mut().remove(header::SERVER);
    }
    for (name, value) in &settings.response_headers {
        response.headers_mut().insert(name, value.clone());
    }
    if !response.headers().contains_key(header::DATE) {
        response.headers_mut().insert(header::DATE, date());
    }
    if leaves {
        response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    let record = exchange.finish(&response);
    response.map(|body| LoggedBody::new(body, record))
}

/// The logs of a request. The client has closed the connection if it is dropped before the response.
struct Exchange<'a> {
    client: &'a Client,
    entry: Option<(&'a AccessLog, Entry)>,
    record: Option<Box<Record>>,
    finished: bool,
}

impl<'a> Exchange<'a> {
    fn begin(request: &Request<Incoming>, settings: &'a Settings, client: &'a Arc<Client>, now: Instant) -> Self {
        let log = settings.delivered_requests.as_ref();
        Self {
            client,
            entry: settings.access_log.as_ref().map(|log| (log, Entry::of(request, client.peer, now))),
            record: log.map(|log| Box::new(Record::new(log.clone(), request, Arc::clone(client), now))),
            finished: false,
        }
    }

    /// Records the target.
    fn forwarded(&mut self, forwarded: Forwarded) {
        if let Some(record) = &mut self.record {
            record.forwarded = forwarded.clone();
        }
        if let Some((_, entry)) = &mut self.entry {
            entry.forwarded = forwarded;
        }
    }

    /// Records the head of the response. The returned record is written after its body.
    fn finish<B>(mut self, response: &Response<B>) -> Option<Box<Record>> {
        self.finished = true;
        if let Some((log, entry)) = self.entry.take() {
            log.record(entry, response);
        }
        let mut record = self.record.take()?;
        record.answered(response);
        Some(record)
    }
}

impl Drop for Exchange<'_> {
    fn drop(&mut self) {
        if self.finished {
            return;
        }
        self.client.errors.count_client();
        if let Some((log, entry)) = self.entry.take() {
            log.record_closed(entry);
        }
    }
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

fn decide(request: Request<Incoming>, route: &Route, client: &Client, exchange: &mut Exchange<'_>) -> Decision {
    let (parts, incoming) = request.into_parts();
    let finding = desync::classify(&parts);
    if let Some(record) = &mut exchange.record {
        record.finding = finding;
    }
    if let Some(status) = refusal(&parts) {
        return Decision::Fail(status);
    }
    if route.settings.desync.blocks(finding) {
        return Decision::Fail(StatusCode::BAD_REQUEST);
    }
    let (priority, action) = route.action(&parts, client.peer.ip());
    if let Some(record) = &mut exchange.record {
        record.action = Some((priority, action.name()));
    }
    match action {
        Action::Redirect(redirect) => Decision::Answer(answer::redirect(redirect, &parts, client)),
        Action::FixedResponse(fixed) => Decision::Answer(answer::fixed(fixed)),
        Action::Forward(forward) => {
            let closes = route.settings.desync.closes(finding);
            let pending = PendingRequest::new(Request::from_parts(parts, incoming), forward, &route.settings, client);
            match pending {
                Ok(mut pending) => {
                    pending.closes = closes;
                    Decision::Forward(pending)
                }
                Err(status) => Decision::Fail(status),
            }
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
    /// True when the connections of the client and the target are closed after the response.
    closes: bool,
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
    /// Returns the balancer's own status when no target is available, or when the targets speak another protocol.
    fn new(
        mut request: Request<Incoming>,
        forward: &Forward,
        settings: &Settings,
        client: &Client,
    ) -> Result<Box<Self>, StatusCode> {
        let group = forward.sticky.and_then(|_| sticky::group(request.headers()));
        let known = group.and_then(|group| forward.pools.iter().find(|(pool, _)| pool.mark() == group));
        let pool = known.map(|(pool, _)| pool).or_else(|| forward.choose()).ok_or(StatusCode::SERVICE_UNAVAILABLE)?;
        let usable = pool.usable();
        let wanted = usable.stickiness.as_ref().and_then(|stickiness| stickiness.target(request.headers()));
        let first = wanted.and_then(|mark| usable.find(mark)).unwrap_or_else(|| pool.turn(&usable));

        let upgrade = upgrade_protocol(request.headers());
        let client_side = upgrade.is_some().then(|| hyper::upgrade::on(&mut request));
        let (mut parts, incoming) = request.into_parts();
        if let Some(status) = multiplexed::incompatibility(usable.version, &parts) {
            return Err(status);
        }
        let accepts_trailers = multiplexed::accepts_trailers(&parts.headers);
        rewrite(&mut parts, client, settings, upgrade);
        if usable.version != ProtocolVersion::Http1 {
            multiplexed::convert(&mut parts, usable.transport, accepts_trailers);
        }
        let trace_id = parts.headers.get(&TRACE_ID).cloned();
        let activity = (!incoming.is_end_stream()).then(Activity::begin);
        let repeatable = (activity.is_none() && parts.method.is_safe()).then(|| parts.clone());
        let upload = activity.clone().map_or(Upload::Empty, |activity| Upload::Client(incoming, activity));
        Ok(Box::new(Self {
            request: Some(Request::from_parts(parts, upload)),
            repeatable,
            activity,
            began: Instant::now(),
            closes: false,
            limit: settings.idle_timeout,
            pool: pool.clone(),
            usable,
            first,
            wanted,
            sticky: forward.sticky,
            client_side,
            forwarded: Forwarded { trace_id, group: Some(Arc::clone(pool.arn())), ..Forwarded::default() },
        }))
    }

    async fn run(&mut self) -> Result<Response<AnswerBody>, StatusCode> {
        // The rare ways are boxed because they would enlarge every request's future.
        let (mut response, target) = match self.client_side.take() {
            _ if self.usable.version != ProtocolVersion::Http1 => Box::pin(self.send_multiplexed()).await?,
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
                        self.heard(response.status(), self.began);
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
                    self.heard(response.status(), begun);
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
        let (target, limit) = (in_flight.target().mark, self.limit);
        if exceed_response_limit(response.headers()) {
            return (answer::page(StatusCode::BAD_GATEWAY), target);
        }
        remove_hop_by_hop(response.headers_mut());
        if response.status() == StatusCode::SWITCHING_PROTOCOLS {
            // The client has not requested an upgrade.
            return (answer::page(StatusCode::BAD_GATEWAY), target);
        }
        if self.closes || self.activity.as_ref().is_some_and(|activity| !activity.uploaded()) {
            // The connection is not reused; or the target responds before it has read the whole body, and both
            // directions must continue.
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

    /// Sends a request of HTTP/2. Another connection or target is tried only as long as nothing was sent.
    async fn send_multiplexed(&mut self) -> Result<Answered, StatusCode> {
        let mut status = StatusCode::SERVICE_UNAVAILABLE;
        for step in 0..self.usable.len() {
            let target = Arc::clone(self.usable.target(self.first + step));
            let Some(in_flight) = target.begin() else { continue };
            self.forwarded.target = Some(target.address());
            // The target may have closed the first connection, without the balancer having noticed.
            for _ in 0..2 {
                let mut sender = match target.multiplexed().await {
                    Ok(sender) => sender,
                    Err(error) => {
                        self.pool.count_connection_error();
                        status = unreachable(error);
                        break;
                    }
                };
                let begun = Instant::now();
                let request = self.request.take().ok_or(StatusCode::BAD_GATEWAY)?;
                match multiplexed::exchange(&mut sender, request, self.activity.as_ref(), self.limit).await {
                    Ok(response) => {
                        self.heard(response.status(), begun);
                        return Ok((self.answered_multiplexed(response, in_flight), target.mark));
                    }
                    Err(Unanswered::Failed(status)) => {
                        self.pool.count_request();
                        return Err(status);
                    }
                    Err(Unanswered::Unsent(unsent)) => {
                        self.request = Some(*unsent);
                        status = StatusCode::BAD_GATEWAY;
                    }
                }
            }
        }
        Err(status)
    }

    /// Converts a response of HTTP/2 to the response for the client.
    fn answered_multiplexed(&self, mut response: Response<Incoming>, in_flight: InFlight) -> Response<AnswerBody> {
        if exceed_response_limit(response.headers()) {
            return answer::page(StatusCode::BAD_GATEWAY);
        }
        remove_hop_by_hop(response.headers_mut());
        response.map(|incoming| {
            if incoming.is_end_stream() {
                AnswerBody::Own(None)
            } else {
                AnswerBody::Target(Download::driven(incoming, self.limit, in_flight))
            }
        })
    }

    /// Records and counts the head of a response to a request that was sent at this time.
    fn heard(&mut self, status: StatusCode, begun: Instant) {
        let elapsed = begun.elapsed();
        self.forwarded.elapsed = Some(elapsed);
        self.forwarded.waited = Some(begun - self.began);
        self.forwarded.status = Some(status.as_u16());
        self.pool.count_answer(status, elapsed);
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
            self.forwarded.status = Some(response.status().as_u16());
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
