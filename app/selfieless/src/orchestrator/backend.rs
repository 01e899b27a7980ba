//! An instance as the target of requests.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::SeqCst},
    },
    time::Duration,
};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{Request, Response, StatusCode, body::Incoming};
use hyper_util::{
    client::legacy::{Client, Error, connect::HttpConnector},
    rt::{TokioExecutor, TokioTimer},
};
use tokio::{sync::Notify, time::timeout};

use crate::refusal::causes;

/// Time limit of a connection.
const CONNECT: Duration = Duration::from_secs(1);
/// Time for which an idle connection is kept: shorter than the keep-alive time of an instance, which otherwise could close
/// it while a request is sent.
const IDLE: Duration = Duration::from_secs(2);

/// Connections to an instance. Each start of an instance has its own, so that no connection outlives it.
pub(super) struct Backend {
    address: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    in_flight: AtomicU64,
    served: AtomicU64,
    idle: Notify,
}

/// Cause of a failed health check.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unhealthy {
    #[error("the health check failed: {}", causes(.0))]
    Request(#[from] Error),
    #[error("the health check has the status {0}")]
    Status(StatusCode),
    #[error("no response to the health check within {0:?}")]
    Late(Duration),
    #[error("the health check is invalid: {0}")]
    Invalid(#[from] hyper::http::Error),
}

impl Backend {
    pub(super) fn new(address: SocketAddr) -> Arc<Self> {
        let mut connector = HttpConnector::new();
        connector.set_connect_timeout(Some(CONNECT));
        connector.set_nodelay(true);
        let mut client = Client::builder(TokioExecutor::new());
        client.pool_timer(TokioTimer::new()).pool_idle_timeout(IDLE);
        Arc::new(Self {
            address,
            client: client.build(connector),
            in_flight: AtomicU64::new(0),
            served: AtomicU64::new(0),
            idle: Notify::new(),
        })
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Returns the number of requests without a complete response.
    pub(super) fn in_flight(&self) -> u64 {
        self.in_flight.load(SeqCst)
    }

    /// Returns the number of complete responses.
    pub(super) fn served(&self) -> u64 {
        self.served.load(SeqCst)
    }

    /// Sends a request whose URI contains the address.
    pub(super) async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Error> {
        self.client.request(request).await
    }

    /// Checks the health of the instance.
    pub(super) async fn check(&self, limit: Duration) -> Result<(), Unhealthy> {
        let request = Request::get(format!("http://{}/api/v1/_health", self.address)).body(Full::default())?;
        match timeout(limit, self.send(request)).await.map_err(|_| Unhealthy::Late(limit))?? {
            response if response.status() == StatusCode::OK => Ok(()),
            response => Err(Unhealthy::Status(response.status())),
        }
    }

    /// Waits until no request is in flight.
    pub(super) async fn until_idle(&self) {
        loop {
            let idle = self.idle.notified();
            if self.in_flight() == 0 {
                return;
            }
            idle.await;
        }
    }
}

/// A request in flight, until this is dropped.
pub(super) struct Lease {
    pub(super) slot: usize,
    pub(super) backend: Arc<Backend>,
}

impl Lease {
    pub(super) fn new(slot: usize, backend: &Arc<Backend>) -> Self {
        backend.in_flight.fetch_add(1, SeqCst);
        Self { slot, backend: Arc::clone(backend) }
    }

    /// Counts the response as complete.
    pub(super) fn complete(&self) {
        self.backend.served.fetch_add(1, SeqCst);
    }
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.backend.in_flight.fetch_sub(1, SeqCst) == 1 {
            self.backend.idle.notify_waiters();
        }
    }
}
