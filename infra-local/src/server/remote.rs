//! Requests to a local cloud that runs in another process.

use super::capabilities::Capabilities;
use super::faults::Fault;
use super::reach::{Reach, ReachRequest};
use super::session::SessionRequest;
use super::status::Status;
use super::tunnel::{self, TunnelRequest};
use crate::model::process::ProcessIdentity;
use crate::runtime::session::Session;
use crate::server::running::Running;
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty, Full};
use hyper::client::conn::http1;
use hyper::header::{AUTHORIZATION, CONNECTION, HOST, UPGRADE};
use hyper::{Method, Request, StatusCode};
use hyper_util::{
    client::legacy::Client,
    rt::{TokioExecutor, TokioIo},
};
use std::{error::Error, io, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::TcpStream;

/// Time limit for a response.
const LIMIT: Duration = Duration::from_secs(10);

impl Running {
    /// Returns whether the process exists.
    pub fn is_alive(&self) -> bool {
        ProcessIdentity { pid: self.pid, started: self.start_time }.is_alive()
    }

    /// Checks that the cloud responds.
    pub(crate) async fn is_healthy(&self) -> io::Result<()> {
        self.send(Method::GET, "/_infra/health", Bytes::new()).await.map(drop)
    }

    /// Returns the status of the cloud. Fails when it does not respond, or responds in the form of another version.
    pub async fn status(&self) -> io::Result<Status> {
        let body = self.send(Method::GET, "/_infra/status", Bytes::new()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Returns the capabilities of the cloud's machine.
    pub async fn capabilities(&self) -> io::Result<Capabilities> {
        let body = self.send(Method::GET, "/_infra/capabilities", Bytes::new()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Requests that the cloud stops, which takes a moment; see [`Running::is_alive`].
    pub async fn stop(&self) -> io::Result<()> {
        self.send(Method::POST, "/_infra/shutdown", Bytes::new()).await.map(drop)
    }

    /// Returns the recorded requests after the one with this number; see
    /// [`LocalCloud::calls_after`](crate::LocalCloud::calls_after).
    pub async fn calls_after(&self, number: u64) -> io::Result<Vec<serde_json::Value>> {
        let body = self.send(Method::GET, &format!("/_infra/calls?after={number}&limit=5000"), Bytes::new()).await?;
        let mut page: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(serde_json::from_value(page["calls"].take())?)
    }

    /// Injects a fault, and returns a description of its effect. Fails with the reason if the fault is impossible.
    pub async fn inject(&self, fault: &Fault) -> io::Result<String> {
        let body = self.send(Method::POST, "/_infra/fault", serde_json::to_vec(fault)?.into()).await?;
        let response: serde_json::Value = serde_json::from_slice(&body)?;
        Ok(response["done"].as_str().unwrap_or_default().to_owned())
    }

    /// Analyses whether a connection gets through the network. Fails with [`io::ErrorKind::NotFound`] for a source or
    /// destination that does not exist.
    pub async fn reach(&self, request: &ReachRequest) -> io::Result<Reach> {
        let body = self.send(Method::POST, "/_infra/reach", serde_json::to_vec(request)?.into()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Describes a running instance for programs that run in it. It is named by its id, tag `Name` or address. The programs
    /// have the environment of this service; when omitted, that of the only service. Fails with
    /// [`io::ErrorKind::NotFound`] for an unknown instance or service.
    pub async fn session(&self, instance: &str, service: Option<&str>) -> io::Result<Session> {
        let request = SessionRequest { instance: instance.to_owned(), service: service.map(str::to_owned) };
        let path = format!("/_infra/session?{}", request.to_query());
        let body = self.send(Method::GET, &path, Bytes::new()).await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Opens a connection to a port of an instance, load balancer, database or network interface, by its id, name, tag
    /// `Name` or address. The port need not be public. Fails with [`io::ErrorKind::NotFound`] for an unknown one.
    pub async fn tunnel(&self, to: &str, port: u16) -> io::Result<impl AsyncRead + AsyncWrite + Unpin + Send + use<>> {
        let wanted = TunnelRequest { to: to.to_owned(), port };
        let address = self.endpoint.trim_start_matches("http://");
        let stream = TcpStream::connect(address).await?;
        let (mut sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|error| failed(&error))?;
        tokio::spawn(connection.with_upgrades());
        let request = Request::post(format!("/_infra/tunnel?{}", wanted.to_query()))
            .header(HOST, address)
            .header(AUTHORIZATION, format!("Bearer {}", self.token))
            .header(UPGRADE, tunnel::PROTOCOL)
            .header(CONNECTION, "upgrade");
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let answer = sender.send_request(request).await.map_err(|error| failed(&error))?;
        if answer.status() != StatusCode::SWITCHING_PROTOCOLS {
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
            return Err(refused(status, &body));
        }
        let upgraded = hyper::upgrade::on(answer).await.map_err(|error| failed(&error))?;
        Ok(TokioIo::new(upgraded))
    }

    async fn send(&self, method: Method, path: &str, body: Bytes) -> io::Result<Bytes> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        let request = request.header(AUTHORIZATION, format!("Bearer {}", self.token));
        let request = request.body(Full::new(body)).map_err(io::Error::other)?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = async {
            let answer = client.request(request).await.map_err(|error| failed(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
            if status.is_success() { Ok(body) } else { Err(refused(status, &body)) }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the local cloud does not answer");
        tokio::time::timeout(LIMIT, answer).await.map_err(late)?
    }
}

/// Converts a refusal of the cloud into an error.
fn refused(status: StatusCode, body: &[u8]) -> io::Error {
    let response: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    let reason = response.as_ref().and_then(|response| response["error"].as_str());
    let kind = if status == StatusCode::NOT_FOUND { io::ErrorKind::NotFound } else { io::ErrorKind::Other };
    io::Error::new(kind, reason.map_or_else(|| format!("it answers {status}"), str::to_owned))
}

fn failed(error: &(dyn Error + 'static)) -> io::Error {
    let cause = std::iter::successors(error.source(), |&error| error.source()).last();
    io::Error::other(format!(
        "the local cloud does not answer: {}",
        cause.map_or(error.to_string(), ToString::to_string)
    ))
}

impl Status {
    /// Returns whether the cloud contains no resource besides those that every account has from the start.
    pub fn is_empty(&self) -> bool {
        self.counts
            .values()
            .chain(self.regions.values().flat_map(|region| region.counts.values()))
            .all(|count| *count == 0)
    }
}
