//! Health checks: requests to targets, and the health that follows from the responses.

use std::net::SocketAddr;
use std::pin::pin;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full, Limited};
use hyper::Request;
use hyper::client::conn::{http1, http2};
use hyper::header::{CONNECTION, CONTENT_TYPE, HOST, HeaderMap, TE, USER_AGENT};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;

use super::stream::{Stream, Transport};
use crate::domain::elbv2::Matcher;
use crate::model::elbv2::ProtocolVersion;
use crate::runtime::network::Site;

/// User agent of AWS's checks.
const CHECKER: &str = "ELB-HealthChecker/2.0";

/// An empty message of gRPC: not compressed, of the length 0.
const EMPTY_MESSAGE: &[u8] = &[0; 5];

/// Limit of the body of a response, in bytes.
const ANSWER_BYTES: usize = 1 << 20;

/// Health check of a target group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HealthCheck {
    /// The checked port.
    pub(crate) port: CheckPort,
    /// Over what.
    pub(crate) transport: Transport,
    /// Version of HTTP.
    pub(crate) version: ProtocolVersion,
    /// Path and query of the check's GET request; method of gRPC for that version.
    pub(crate) path: String,
    /// Time between checks, before the time scale.
    pub(crate) interval: Duration,
    /// Limit for one check; never scaled.
    pub(crate) timeout: Duration,
    /// Number of consecutive successes after which an unhealthy target is healthy.
    pub(crate) healthy_threshold: u32,
    /// Number of consecutive failures after which a healthy target is unhealthy.
    pub(crate) unhealthy_threshold: u32,
    /// Status codes that count as success; those of gRPC for that version.
    pub(crate) matcher: Matcher,
}

/// Port of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum CheckPort {
    /// The port that receives the traffic.
    Traffic,
    /// This one.
    Fixed(u16),
}

/// Health of a target in its group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TargetHealth {
    /// State of the target.
    pub(crate) state: HealthState,
    /// AWS's reason code; `None` when healthy.
    pub(crate) reason: Option<&'static str>,
    /// AWS's description of the reason.
    pub(crate) description: Option<String>,
}

/// The states of a target.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HealthState {
    /// Registered, before the first result.
    Initial,
    /// Takes requests.
    Healthy,
    /// Receives requests only when no target is healthy.
    Unhealthy,
    /// Finishes its requests and receives no new ones.
    Draining,
    /// No listener forwards to the target group, so the target is not checked.
    Unused,
}

impl HealthState {
    /// Returns the name in AWS's API.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Initial => "initial",
            Self::Healthy => "healthy",
            Self::Unhealthy => "unhealthy",
            Self::Draining => "draining",
            Self::Unused => "unused",
        }
    }
}

impl TargetHealth {
    pub(super) fn healthy() -> Self {
        Self { state: HealthState::Healthy, reason: None, description: None }
    }

    pub(super) fn initial() -> Self {
        Self::because(HealthState::Initial, "Elb.RegistrationInProgress", "Target registration is in progress")
    }

    pub(super) fn draining() -> Self {
        Self::because(HealthState::Draining, "Target.DeregistrationInProgress", "Target deregistration is in progress")
    }

    pub(super) fn unused() -> Self {
        Self::because(
            HealthState::Unused,
            "Target.NotInUse",
            "Target group is not configured to receive traffic from the load balancer",
        )
    }

    /// Returns a health with AWS's reason code and description.
    pub(crate) fn because(state: HealthState, reason: &'static str, description: impl Into<String>) -> Self {
        Self { state, reason: Some(reason), description: Some(description.into()) }
    }
}

/// Reason of a failed check.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Failure {
    Refused,
    Timeout,
    Status(u16),
}

impl Failure {
    fn health(&self) -> TargetHealth {
        let state = HealthState::Unhealthy;
        match self {
            Self::Refused => TargetHealth::because(state, "Target.FailedHealthChecks", "Health checks failed"),
            Self::Timeout => TargetHealth::because(state, "Target.Timeout", "Request timed out"),
            Self::Status(code) => TargetHealth::because(
                state,
                "Target.ResponseCodeMismatch",
                format!("Health checks failed with these codes: [{code}]"),
            ),
        }
    }
}

/// Checks a target once.
pub(super) async fn check(from: &Site, target: SocketAddr, check: &HealthCheck) -> Result<(), Failure> {
    let port = match check.port {
        CheckPort::Traffic => target.port(),
        CheckPort::Fixed(port) => port,
    };
    let address = SocketAddr::new(target.ip(), port);
    let exchange = async {
        let tcp = from.connect(address).await.map_err(|_| Failure::Refused)?;
        let stream = Stream::over(tcp, address, check.transport, check.version).await;
        let stream = stream.map_err(|_| Failure::Refused)?;
        let status = match check.version {
            ProtocolVersion::Http1 => status(stream, address, &check.path).await,
            ProtocolVersion::Http2 => status_of_http2(stream, address, check).await,
            ProtocolVersion::Grpc => status_of_grpc(stream, address, check).await,
        };
        let status = status.ok_or(Failure::Refused)?;
        if check.matcher.admits(status) { Ok(()) } else { Err(Failure::Status(status)) }
    };
    tokio::time::timeout(check.timeout, exchange).await.unwrap_or(Err(Failure::Timeout))
}

async fn status(stream: Stream, address: SocketAddr, path: &str) -> Option<u16> {
    let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.ok()?;
    let request = Request::get(path)
        .header(HOST, address.to_string())
        .header(USER_AGENT, CHECKER)
        .header(CONNECTION, "close")
        .body(Empty::<Bytes>::new())
        .ok()?;
    let mut answer = pin!(sender.send_request(request));
    let response = tokio::select! {
        response = answer.as_mut() => response,
        // The connection may finish before its response is polled.
        _closed = connection => answer.await,
    };
    response.ok().map(|response| response.status().as_u16())
}

async fn status_of_http2(stream: Stream, address: SocketAddr, check: &HealthCheck) -> Option<u16> {
    let request = Request::get(uri(address, check)).header(USER_AGENT, CHECKER).body(Full::default()).ok()?;
    over_http2(stream, request).await.map(|answer| answer.status)
}

/// Returns the code of gRPC, which is in the trailers, or in the headers of a response without a message. A response with
/// another status than 200 has that status.
async fn status_of_grpc(stream: Stream, address: SocketAddr, check: &HealthCheck) -> Option<u16> {
    let request = Request::post(uri(address, check))
        .header(USER_AGENT, CHECKER)
        .header(CONTENT_TYPE, "application/grpc")
        .header(TE, "trailers")
        .body(Full::from(EMPTY_MESSAGE))
        .ok()?;
    let answer = over_http2(stream, request).await?;
    if answer.status != 200 {
        return Some(answer.status);
    }
    let code = |headers: &HeaderMap| headers.get("grpc-status")?.to_str().ok()?.parse().ok();
    code(&answer.trailers).or_else(|| code(&answer.headers))
}

fn uri(address: SocketAddr, check: &HealthCheck) -> String {
    let scheme = match check.transport {
        Transport::Plain => "http",
        Transport::Tls => "https",
    };
    format!("{scheme}://{address}{}", check.path)
}

/// A response of HTTP/2 without its body.
struct Checked {
    status: u16,
    headers: HeaderMap,
    trailers: HeaderMap,
}

async fn over_http2(stream: Stream, request: Request<Full<Bytes>>) -> Option<Checked> {
    let (mut sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.ok()?;
    let answer = async {
        let (head, body) = sender.send_request(request).await.ok()?.into_parts();
        let body = Limited::new(body, ANSWER_BYTES).collect().await.ok()?;
        let trailers = body.trailers().cloned().unwrap_or_default();
        Some(Checked { status: head.status.as_u16(), headers: head.headers, trailers })
    };
    let mut answer = pin!(answer);
    tokio::select! {
        checked = answer.as_mut() => checked,
        // The connection may finish before its response is polled.
        _closed = connection => answer.await,
    }
}

/// Counts consecutive results and derives the health from them.
#[derive(Debug)]
pub(super) struct Verdict {
    registered: Instant,
    successes: u32,
    failures: u32,
}

impl Verdict {
    pub(super) fn new() -> Self {
        Self { registered: Instant::now(), successes: 0, failures: 0 }
    }

    /// Returns the health after one more response; `None` when it does not change.
    ///
    /// A new target becomes healthy with its first success. It is asked more often than AWS would, so that it turns
    /// unhealthy not by count but once AWS would have counted enough: after `patience`, which no time scale shortens,
    /// because a real process needs it to start.
    pub(super) fn after(
        &mut self,
        current: HealthState,
        answer: &Result<(), Failure>,
        check: &HealthCheck,
        patience: Duration,
    ) -> Option<TargetHealth> {
        if answer.is_ok() {
            self.successes += 1;
            self.failures = 0;
        } else {
            self.failures += 1;
            self.successes = 0;
        }
        match (current, answer) {
            (HealthState::Initial, Ok(())) => Some(TargetHealth::healthy()),
            (HealthState::Initial, Err(failure)) if self.registered.elapsed() >= patience => Some(failure.health()),
            (HealthState::Unhealthy, Ok(())) if self.successes >= check.healthy_threshold => {
                Some(TargetHealth::healthy())
            }
            (HealthState::Unhealthy, Err(failure)) => Some(failure.health()),
            (HealthState::Healthy, Err(failure)) if self.failures >= check.unhealthy_threshold => {
                Some(failure.health())
            }
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn settings() -> HealthCheck {
        HealthCheck {
            port: CheckPort::Traffic,
            transport: Transport::Plain,
            version: ProtocolVersion::Http1,
            path: "/".to_owned(),
            interval: Duration::from_secs(5),
            timeout: Duration::from_secs(2),
            healthy_threshold: 2,
            unhealthy_threshold: 3,
            matcher: "200".parse().unwrap(),
        }
    }

    #[test]
    fn the_first_success_is_sufficient_and_failures_need_the_threshold() {
        let check = settings();
        let after = |answer, patience| Verdict::new().after(HealthState::Initial, &answer, &check, patience);
        assert_eq!(after(Err(Failure::Refused), Duration::from_hours(1)), None);
        let impatient = after(Err(Failure::Timeout), Duration::ZERO);
        assert_eq!(impatient.unwrap().reason, Some("Target.Timeout"));
        assert_eq!(after(Ok(()), Duration::ZERO), Some(TargetHealth::healthy()));
    }

    #[test]
    fn thresholds_count_consecutive_results() {
        let check = settings();
        let mut verdict = Verdict::new();
        let mut state = HealthState::Healthy;
        let mut seen = Vec::new();
        for good in [false, false, true, false, false, false, true, false, true, true] {
            let answer = if good { Ok(()) } else { Err(Failure::Status(500)) };
            if let Some(health) = verdict.after(state, &answer, &check, Duration::ZERO) {
                state = health.state;
            }
            seen.push(state == HealthState::Healthy);
        }
        assert_eq!(seen, [true, true, true, true, true, false, false, false, false, true]);
    }
}
