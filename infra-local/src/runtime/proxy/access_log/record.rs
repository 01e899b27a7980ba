//! Entries of the logs that are delivered into buckets.
//!
//! Sources of the fields and their order: Application Load Balancers, "Access log entries", "Connection log entries"
//! (<https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>,
//! <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-connection-logs.html>).

use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use hyper::body::Incoming;
use hyper::header::{HeaderMap, HeaderValue, LOCATION, USER_AGENT};
use hyper::{Request, Response, Version};
use tokio::time::Instant;

use super::{DeliveredLog, Forwarded};
use crate::runtime::proxy::client::{Client, TlsInfo};
use crate::runtime::proxy::desync::Finding;
use crate::runtime::proxy::headers::upgrade_protocol;
use crate::runtime::proxy::matching::without_port;
use crate::runtime::proxy::multiplexed::is_grpc;
use crate::runtime::proxy::upload::Activity;

/// The status of a request whose client closed the connection before the response.
pub(in crate::runtime::proxy) const CLIENT_CLOSED: u16 = 460;

/// AWS's limit of the `User-Agent` header in an entry, in bytes.
const USER_AGENT_BYTES: usize = 8 * 1024;

/// Value of a field that does not apply.
const NONE: &str = "-";

/// The entry of a request, which is written when it is dropped: after the last byte of the response, or when the client
/// closes the connection.
pub(in crate::runtime::proxy) struct Record {
    log: DeliveredLog,
    client: Arc<Client>,
    created: DateTime<Utc>,
    began: Instant,
    kind: &'static str,
    /// `GET http://example.org:80/ HTTP/1.1`
    request: String,
    user_agent: String,
    head_bytes: u64,
    pub(in crate::runtime::proxy) upload: Option<Activity>,
    pub(in crate::runtime::proxy) forwarded: Forwarded,
    /// Priority of the matched rule and the name of its action.
    pub(in crate::runtime::proxy) action: Option<(u32, &'static str)>,
    pub(in crate::runtime::proxy) finding: Option<Finding>,
    answer: Option<Answer>,
    pub(in crate::runtime::proxy) sent_bytes: u64,
}

/// The response's part of an entry.
struct Answer {
    at: DateTime<Utc>,
    elapsed: Duration,
    status: u16,
    location: Option<String>,
}

impl Record {
    pub(in crate::runtime::proxy) fn new(
        log: DeliveredLog,
        request: &Request<Incoming>,
        client: Arc<Client>,
        began: Instant,
    ) -> Self {
        let user_agent = request.headers().get(USER_AGENT).map_or(NONE.to_owned(), quotable);
        Self {
            created: Utc::now(),
            began,
            kind: kind(request, &client),
            request: request_line(request, &client),
            user_agent: cut(user_agent, USER_AGENT_BYTES),
            head_bytes: request_head_bytes(request),
            log,
            client,
            upload: None,
            forwarded: Forwarded::default(),
            action: None,
            finding: None,
            answer: None,
            sent_bytes: 0,
        }
    }

    /// Records the head of the response.
    pub(in crate::runtime::proxy) fn answered<B>(&mut self, response: &Response<B>) {
        self.sent_bytes = "HTTP/1.1 200 \r\n\r\n".len() as u64
            + response.status().canonical_reason().map_or(0, str::len) as u64
            + header_bytes(response.headers());
        self.answer = Some(Answer {
            at: Utc::now(),
            elapsed: self.began.elapsed(),
            status: response.status().as_u16(),
            location: response.headers().get(LOCATION).map(quotable),
        });
    }

    /// Returns the times of an entry: until the request was sent to the target, until the response began, and until it
    /// was sent to the client; each -1 if no target responded.
    fn times(&self) -> [String; 3] {
        let (Some(waited), Some(target), Some(answer)) = (self.forwarded.waited, self.forwarded.elapsed, &self.answer)
        else {
            return [(); 3].map(|()| "-1".to_owned());
        };
        let rest = answer.elapsed.saturating_sub(waited + target);
        [waited, target, rest].map(|time| format!("{:.3}", time.as_secs_f64()))
    }

    fn line(&self) -> String {
        let Self { client, forwarded, .. } = self;
        let tls = client.tls.as_ref();
        let tls_field = |field: fn(&TlsInfo) -> &HeaderValue| tls.map_or(NONE, |tls| text(field(tls)));
        let target = forwarded.target.map_or(NONE.to_owned(), |target| target.to_string());
        let target_status = forwarded.status.map_or(NONE.to_owned(), |status| status.to_string());
        let [waited, target_time, rest] = self.times();
        let received = self.head_bytes + self.upload.as_ref().map_or(0, Activity::received);
        let status = self.answer.as_ref().map_or(CLIENT_CLOSED, |answer| answer.status);
        let at = self.answer.as_ref().map_or_else(Utc::now, |answer| answer.at);
        let (priority, action) =
            self.action.map_or((NONE.to_owned(), NONE), |(priority, action)| (priority.to_string(), action));
        let location = self.answer.as_ref().and_then(|answer| answer.location.as_deref());
        let redirect = location.filter(|_| action == "redirect").unwrap_or(NONE);
        let (class, reason) = self.finding.map_or((NONE, NONE), |finding| (finding.class.as_str(), finding.reason));
        format!(
            "{kind} {at} {balancer} {peer} {target} {waited} {target_time} {rest} {status} {target_status} {received} \
             {sent} \"{request}\" \"{user_agent}\" {cipher} {version} {group} \"{trace}\" \"{domain}\" \"{certificate}\" \
             {priority} {created} \"{action}\" \"{redirect}\" \"-\" \"{target}\" \"{target_status}\" \"{class}\" \
             \"{reason}\" {connection}",
            kind = self.kind,
            at = time(at),
            balancer = self.log.place.balancer,
            peer = client.peer,
            sent = self.sent_bytes,
            request = self.request,
            user_agent = self.user_agent,
            cipher = tls_field(|tls| &tls.cipher),
            version = tls_field(|tls| &tls.version),
            group = forwarded.group.as_deref().unwrap_or(NONE),
            trace = forwarded.trace_id.as_ref().map_or(NONE, text),
            domain = tls.and_then(|tls| tls.domain.as_deref()).unwrap_or(NONE),
            certificate = tls.map_or(NONE, |tls| &tls.certificate),
            created = time(self.created),
            connection = client.trace_id(),
        )
    }
}

impl Drop for Record {
    fn drop(&mut self) {
        self.log.write(self.line());
    }
}

/// Returns the entry of a connection. `handshake` is the duration of the TLS handshake; `None` when it failed.
pub(in crate::runtime::proxy) fn connection_line(client: &Client, handshake: Option<Duration>, is_tls: bool) -> String {
    let (version, cipher) = client.tls.as_ref().map_or((NONE, NONE), |tls| (text(&tls.version), text(&tls.cipher)));
    let latency = handshake.filter(|_| is_tls).map_or(NONE.to_owned(), |time| format!("{:.3}", time.as_secs_f64()));
    let status = match (is_tls, handshake) {
        (false, _) => NONE,
        (true, Some(_)) => "Success",
        (true, None) => "Failed:UnmappedConnectionError",
    };
    let (peer, port) = (client.peer, client.local.port());
    format!(
        "{} {} {} {port} {version} {cipher} {latency} \"-\" - - {status} {}",
        time(Utc::now()),
        peer.ip(),
        peer.port(),
        client.trace_id()
    )
}

fn kind(request: &Request<Incoming>, client: &Client) -> &'static str {
    let upgrades = upgrade_protocol(request.headers()).is_some();
    match (client.tls.is_some(), upgrades) {
        (true, true) => "wss",
        (false, true) => "ws",
        (true, false) if request.version() == Version::HTTP_2 && is_grpc(request.headers()) => "grpcs",
        (true, false) if request.version() == Version::HTTP_2 => "h2",
        (true, false) => "https",
        (false, false) => "http",
    }
}

fn request_line(request: &Request<Incoming>, client: &Client) -> String {
    let named = request.uri().authority().map(hyper::http::uri::Authority::as_str);
    let named = named.or_else(|| request.headers().get(hyper::header::HOST)?.to_str().ok());
    let name = named.map(without_port).filter(|name| !name.is_empty());
    let name = name.map_or_else(|| client.local.ip().to_string(), str::to_owned);
    let path = request.uri().path_and_query().map_or("/", hyper::http::uri::PathAndQuery::as_str);
    let version = match request.version() {
        Version::HTTP_2 => "HTTP/2.0",
        Version::HTTP_10 => "HTTP/1.0",
        _ => "HTTP/1.1",
    };
    let (scheme, port) = (client.scheme(), client.local.port());
    escaped(format!("{} {scheme}://{name}:{port}{path} {version}", request.method()).as_bytes())
}

/// Returns the size of a request's head as a client of HTTP/1.1 sends it.
fn request_head_bytes<B>(request: &Request<B>) -> u64 {
    let path = request.uri().path_and_query().map_or(1, |path| path.as_str().len());
    (request.method().as_str().len() + path + "  HTTP/1.1\r\n\r\n".len()) as u64 + header_bytes(request.headers())
}

fn header_bytes(headers: &HeaderMap) -> u64 {
    headers.iter().map(|(name, value)| (name.as_str().len() + value.len() + ": \r\n".len()) as u64).sum()
}

fn time(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}

fn text(value: &HeaderValue) -> &str {
    value.to_str().unwrap_or(NONE)
}

fn quotable(value: &HeaderValue) -> String {
    escaped(value.as_bytes())
}

/// Escapes quotation marks, and bytes that are not printable.
fn escaped(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for byte in bytes {
        match byte {
            b'"' | b'\\' | 0..b' ' | 0x7f.. => {
                // Writing to a string does not fail.
                let _ = write!(text, "\\x{byte:02x}");
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text
}

/// Cuts a text of ASCII characters.
fn cut(mut text: String, bytes: usize) -> String {
    text.truncate(bytes);
    text
}
