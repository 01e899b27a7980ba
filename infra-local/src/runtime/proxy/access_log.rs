//! Logs of the requests to balancers: one line of JSON per request in a file, and AWS's logs in buckets.
//!
//! A request puts an entry into a bounded channel, and a thread formats and writes the entries of a moment together. A
//! request never waits for the log: an entry that does not fit is counted and reported. The files are those of the local
//! cloud, and always written. The logs in buckets ([`record`], [`deliveries`]) are those of AWS, and written if
//! `access_logs.s3.enabled` or `connection_logs.s3.enabled` is set.

mod deliveries;
mod record;

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, Write as _};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use chrono::{DateTime, SecondsFormat, Utc};
use hyper::header::{HeaderMap, HeaderName, HeaderValue};
use hyper::http::uri::PathAndQuery;
use hyper::{Method, Request, Response, Version};
use serde::Serialize;
use tokio::time::Instant;

pub(crate) use deliveries::Deliveries;
pub(super) use record::{CLIENT_CLOSED, Record, connection_line};

pub(crate) use crate::domain::elbv2::logs::{LogKind, LogPlace};

/// Number of entries that wait to be written.
const WAITING: usize = 8192;

/// Time for which entries are collected.
const COLLECT: Duration = Duration::from_millis(100);

/// The longest logged path and header, in bytes.
const LONGEST: usize = 2048;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The writer of the logs of all balancers.
#[derive(Clone, Debug)]
pub(crate) struct AccessLogs {
    messages: SyncSender<Message>,
    lost: Arc<AtomicU64>,
}

/// A message to the thread that writes.
#[allow(clippy::large_enum_variant)]
enum Message {
    /// An entry of a file.
    Line(Arc<Path>, Entry),
    /// A line of a log in a bucket.
    Delivery(Arc<LogPlace>, String),
    /// Delivers all logs into their buckets, and responds.
    DeliverAll(SyncSender<()>),
}

/// A log in a bucket.
#[derive(Clone, Debug)]
pub(crate) struct DeliveredLog {
    logs: AccessLogs,
    place: Arc<LogPlace>,
}

/// The log of one balancer.
#[derive(Clone, Debug)]
pub(crate) struct AccessLog {
    logs: AccessLogs,
    path: Arc<Path>,
}

/// A request, and the response to it.
#[derive(Debug)]
pub(super) struct Entry {
    /// Time of the request.
    at: DateTime<Utc>,
    began: Instant,
    elapsed: Duration,
    client: SocketAddr,
    method: Method,
    path: Option<PathAndQuery>,
    version: Version,
    status: u16,
    request_id: Option<HeaderValue>,
    pub(super) forwarded: Forwarded,
}

/// The part of an entry that concerns the target.
#[derive(Debug, Clone, Default)]
pub(super) struct Forwarded {
    /// The last target that was tried.
    pub(super) target: Option<SocketAddr>,
    /// Time from sending the request to the head of the response.
    pub(super) elapsed: Option<Duration>,
    /// Time until the request was sent to the target.
    pub(super) waited: Option<Duration>,
    /// Status of the target's response.
    pub(super) status: Option<u16>,
    /// ARN of the target group.
    pub(super) group: Option<Arc<str>>,
    /// The trace id that the target received.
    pub(super) trace_id: Option<HeaderValue>,
}

/// A line of a log.
#[derive(Serialize)]
struct Line<'a> {
    /// Time of the response.
    timestamp: String,
    level: &'static str,
    message: &'static str,
    method: &'a str,
    path: &'a str,
    status: u16,
    /// Time until the head of the response, including the time of the target.
    duration_ms: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    target_ms: Option<f64>,
    client: SocketAddr,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<SocketAddr>,
    protocol: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    trace_id: Option<&'a str>,
}

impl AccessLogs {
    /// Starts the thread that writes. It stops when the last log is dropped.
    pub(crate) fn start(deliveries: Deliveries) -> io::Result<Self> {
        let (messages, written) = sync_channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        let mut writer = Writer { lost: Arc::clone(&lost), deliveries };
        thread::Builder::new().name("access-log".to_owned()).spawn(move || writer.run(&written))?;
        Ok(Self { messages, lost })
    }

    /// Returns the log in a bucket.
    pub(crate) fn delivered(&self, place: LogPlace) -> DeliveredLog {
        DeliveredLog { logs: self.clone(), place: Arc::new(place) }
    }

    /// Delivers all logs into their buckets, and waits until they are delivered.
    pub(crate) fn deliver_all(&self) {
        let (done, delivered) = sync_channel(1);
        if self.messages.send(Message::DeliverAll(done)).is_ok() {
            // An error means that the thread has stopped.
            let _ = delivered.recv();
        }
    }

    /// Sends a message if there is space for it.
    fn send(&self, message: Message) {
        if self.messages.try_send(message).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Returns the log of a balancer.
    pub(crate) fn of(&self, path: PathBuf) -> AccessLog {
        AccessLog { logs: self.clone(), path: path.into() }
    }
}

impl AccessLog {
    /// Records a response, if there is space for it.
    pub(super) fn record<B>(&self, mut entry: Entry, response: &Response<B>) {
        entry.elapsed = entry.began.elapsed();
        entry.status = response.status().as_u16();
        // A service that received no ID generates one, and returns it.
        entry.request_id = entry.request_id.or_else(|| request_id(response.headers()));
        self.logs.send(Message::Line(Arc::clone(&self.path), entry));
    }

    /// Records that the client closed the connection before the response.
    pub(super) fn record_closed(&self, mut entry: Entry) {
        entry.elapsed = entry.began.elapsed();
        entry.status = CLIENT_CLOSED;
        self.logs.send(Message::Line(Arc::clone(&self.path), entry));
    }
}

impl DeliveredLog {
    /// Writes a line if there is space for it.
    pub(super) fn write(&self, line: String) {
        self.logs.send(Message::Delivery(Arc::clone(&self.place), line));
    }
}

impl Entry {
    /// Begins the entry of a request.
    pub(super) fn of<B>(request: &Request<B>, client: SocketAddr, began: Instant) -> Self {
        Self {
            at: Utc::now(),
            began,
            elapsed: Duration::ZERO,
            client,
            method: request.method().clone(),
            path: request.uri().path_and_query().cloned(),
            version: request.version(),
            status: 0,
            request_id: request_id(request.headers()),
            forwarded: Forwarded::default(),
        }
    }

    /// Appends the line of the entry.
    fn write(&self, text: &mut Vec<u8>) -> io::Result<()> {
        let header = |value: &'_ Option<HeaderValue>| {
            let text = value.as_ref().and_then(|value| value.to_str().ok()).map(str::to_owned);
            text.map(|text| cut(&text).to_owned())
        };
        let [request_id, trace_id] = [&self.request_id, &self.forwarded.trace_id].map(header);
        let line = Line {
            timestamp: (self.at + self.elapsed).to_rfc3339_opts(SecondsFormat::Micros, true),
            level: if self.status >= 500 { "ERROR" } else { "INFO" },
            message: "request",
            method: self.method.as_str(),
            path: cut(self.path.as_ref().map_or("/", PathAndQuery::as_str)),
            status: self.status,
            duration_ms: milliseconds(self.elapsed),
            target_ms: self.forwarded.elapsed.map(milliseconds),
            client: self.client,
            target: self.forwarded.target,
            protocol: match self.version {
                Version::HTTP_2 => "h2",
                Version::HTTP_10 => "http/1.0",
                _ => "http/1.1",
            },
            request_id: request_id.as_deref(),
            trace_id: trace_id.as_deref(),
        };
        serde_json::to_writer(&mut *text, &line)?;
        text.push(b'\n');
        Ok(())
    }
}

fn request_id(headers: &HeaderMap) -> Option<HeaderValue> {
    headers.get(&REQUEST_ID).cloned()
}

fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1e6).round() / 1e3
}

fn cut(text: &str) -> &str {
    let end = (0..=LONGEST.min(text.len())).rev().find(|end| text.is_char_boundary(*end));
    &text[..end.unwrap_or(0)]
}

/// The state of the thread that writes.
struct Writer {
    lost: Arc<AtomicU64>,
    deliveries: Deliveries,
}

impl Writer {
    /// Writes entries until all logs are dropped.
    fn run(&mut self, messages: &Receiver<Message>) {
        loop {
            // The thread sleeps without a timer while no balancer is used.
            let first = match self.deliveries.pause() {
                None => messages.recv().map_err(|_| RecvTimeoutError::Disconnected),
                Some(pause) => messages.recv_timeout(pause),
            };
            match first {
                Ok(Message::DeliverAll(done)) => self.write([Message::DeliverAll(done)]),
                Ok(first) => {
                    thread::sleep(COLLECT);
                    self.write(std::iter::once(first).chain(messages.try_iter().take(WAITING)));
                }
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => break,
            }
            self.deliveries.deliver(false);
        }
        self.deliveries.deliver(true);
    }

    fn write(&mut self, messages: impl IntoIterator<Item = Message>) {
        let mut texts: BTreeMap<Arc<Path>, Vec<u8>> = BTreeMap::new();
        for message in messages {
            match message {
                Message::Line(path, entry) => {
                    if entry.write(texts.entry(path).or_default()).is_err() {
                        self.lost.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Message::Delivery(place, line) => self.deliveries.add(place, &line),
                Message::DeliverAll(done) => {
                    self.deliveries.deliver(true);
                    // The caller may have stopped waiting.
                    let _ = done.send(());
                }
            }
        }
        for (path, text) in texts {
            if let Err(error) = append(&path, &text) {
                tracing::warn!(%error, log = %path.display(), "requests to a balancer cannot be logged");
            }
        }
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            tracing::warn!(requests = lost, "requests to balancers are not logged, because they are too many");
        }
    }
}

/// Appends to a log. The file is opened each time, because a log that is too long is truncated, and that of a deleted
/// balancer is removed.
fn append(path: &Path, text: &[u8]) -> io::Result<()> {
    let open = || File::options().append(true).create(true).open(path);
    let file = match (open(), path.parent()) {
        (Err(error), Some(directory)) if error.kind() == io::ErrorKind::NotFound => {
            std::fs::create_dir_all(directory)?;
            open()
        }
        (file, _) => file,
    };
    file?.write_all(text)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn request(path: &str) -> Request<()> {
        Request::get(path).header("x-request-id", "req-1").body(()).unwrap()
    }

    #[test]
    fn a_line_has_the_request_the_target_and_the_ids() {
        let mut entry = Entry::of(&request("/a?b=c"), "10.0.0.9:4000".parse().unwrap(), Instant::now());
        entry.at = "2026-11-30T09:15:02.010Z".parse().unwrap();
        entry.status = 502;
        entry.elapsed = Duration::from_micros(1500);
        entry.forwarded = Forwarded {
            target: Some("10.0.1.5:8080".parse().unwrap()),
            elapsed: Some(Duration::from_micros(1200)),
            trace_id: Some(HeaderValue::from_static("Root=1-67891233-abcdef012345678912345678")),
            ..Forwarded::default()
        };
        let mut text = Vec::new();
        entry.write(&mut text).unwrap();
        insta::assert_snapshot!(String::from_utf8(text).unwrap(), @r#"{"timestamp":"2026-11-30T09:15:02.011500Z","level":"ERROR","message":"request","method":"GET","path":"/a?b=c","status":502,"duration_ms":1.5,"target_ms":1.2,"client":"10.0.0.9:4000","target":"10.0.1.5:8080","protocol":"http/1.1","request_id":"req-1","trace_id":"Root=1-67891233-abcdef012345678912345678"}"#);
    }

    #[test]
    fn entries_that_do_not_fit_are_counted_and_do_not_wait() {
        let (messages, written) = sync_channel(1);
        let logs = AccessLogs { messages, lost: Arc::default() };
        let log = logs.of(PathBuf::from("unused"));
        let response = Response::new(());
        for _ in 0..3 {
            log.record(Entry::of(&request("/"), "10.0.0.9:1".parse().unwrap(), Instant::now()), &response);
        }
        assert_eq!(logs.lost.load(Ordering::Relaxed), 2);
        assert_eq!(written.try_iter().count(), 1);
    }

    #[test]
    fn long_paths_are_cut_between_characters() {
        let long = format!("{}é", "a".repeat(LONGEST - 1));
        assert_eq!(cut(&long).len(), LONGEST - 1);
        assert_eq!(cut("short"), "short");
    }
}
