//! Asking a local cloud that runs in another process.

use crate::{RegionStatus, Status, daemon::Running, data::process::ProcessIdentity};
use bytes::Bytes;
use http_body_util::{BodyExt as _, Empty};
use hyper::{Method, Request};
use hyper_util::{client::legacy::Client, rt::TokioExecutor};
use std::{error::Error, io, time::Duration};

/// How long an answer may take.
const LIMIT: Duration = Duration::from_secs(10);

impl Running {
    /// Whether the process lives.
    pub fn is_alive(&self) -> bool {
        ProcessIdentity { pid: self.pid, started: self.start_time }.is_alive()
    }

    /// What runs in the cloud. Fails when it does not answer, or not as this version does.
    pub async fn status(&self) -> io::Result<Status> {
        let body = self.ask(Method::GET, "/_infra/status").await?;
        Ok(serde_json::from_slice(&body)?)
    }

    /// Asks the cloud to stop; it ends a little later, see [`Running::is_alive`].
    pub async fn stop(&self) -> io::Result<()> {
        self.ask(Method::POST, "/_infra/shutdown").await.map(drop)
    }

    async fn ask(&self, method: Method, path: &str) -> io::Result<Bytes> {
        let request = Request::builder().method(method).uri(format!("{}{path}", self.endpoint));
        let request = request.body(Empty::<Bytes>::new()).map_err(io::Error::other)?;
        let client = Client::builder(TokioExecutor::new()).build_http();
        let answer = async {
            let answer = client.request(request).await.map_err(|error| failed(&error))?;
            let status = answer.status();
            let body = answer.into_body().collect().await.map_err(|error| failed(&error))?.to_bytes();
            if status.is_success() { Ok(body) } else { Err(io::Error::other(format!("it answers {status}"))) }
        };
        let late = |_| io::Error::new(io::ErrorKind::TimedOut, "the local cloud does not answer");
        tokio::time::timeout(LIMIT, answer).await.map_err(late)?
    }
}

fn failed(error: &(dyn Error + 'static)) -> io::Error {
    let cause = std::iter::successors(error.source(), |&error| error.source()).last();
    io::Error::other(format!(
        "the local cloud does not answer: {}",
        cause.map_or(error.to_string(), ToString::to_string)
    ))
}

impl Status {
    /// Whether nothing is in the cloud but what every account has from the start.
    pub fn is_empty(&self) -> bool {
        self.counts.values().all(|count| *count == 0) && self.regions.values().all(RegionStatus::is_empty)
    }
}

impl RegionStatus {
    /// Whether nothing is in the region but its default VPC and what came with that.
    pub fn is_empty(&self) -> bool {
        const GIVEN: &[(&str, usize)] =
            &[("vpcs", 1), ("subnets", 3), ("security_groups", 1), ("internet_gateways", 1), ("route_tables", 1)];
        let made = self.counts.iter().any(|(kind, count)| {
            let given = GIVEN.iter().find(|(given, _)| given == kind).map_or(0, |(_, given)| *given);
            *count > given
        });
        !made && self.balancers.is_empty() && self.groups.is_empty()
    }
}
