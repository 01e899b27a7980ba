//! A registered target: its health, its requests in progress, and its idle connections.

use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::task::Context;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::connection::{Closer, Connection};
use super::health::{self, Failure, HealthCheck, TargetHealth};
use super::multiplexed;
use super::sticky::Mark;
use super::stream::{Stream, Transport};
use super::workers;
use crate::model::elbv2::ProtocolVersion;
use crate::runtime::network::Site;

/// AWS's time limit for opening a connection to a target.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// Maximum age of an idle connection: many servers close theirs after five seconds.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// Limit of idle connections per worker and target.
const IDLE_COUNT: usize = 256;

/// Connections that wait.
type Idle = VecDeque<Box<Connection>>;

/// Address of a target.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// Origin of the connections: an interface of the balancer.
    pub(crate) from: Site,
    /// Address and port of the target.
    pub(crate) address: SocketAddr,
    /// True when the network permits connections from the balancer. If not, connections time out.
    pub(crate) reachable: bool,
}

/// A registered target.
pub(super) struct Target {
    /// Identifier of the target in cookies.
    pub(super) mark: Mark,
    /// Origin of the connections. It changes when another balancer uses the target group.
    from: Mutex<Site>,
    address: SocketAddr,
    transport: Transport,
    version: ProtocolVersion,
    reachable: AtomicBool,
    health: Mutex<TargetHealth>,
    /// Copy of the draining state, which every request reads.
    draining: AtomicBool,
    /// Start of the slow start, while it lasts.
    warming: Mutex<Option<Instant>>,
    /// Idle connections by worker, the most recently used last.
    idle: Vec<Mutex<Idle>>,
    /// The connection of HTTP/2 by worker, which all its requests share.
    multiplexed: Vec<Mutex<Option<multiplexed::Sender>>>,
    in_flight: AtomicUsize,
    /// Closers of the open connections, and of some that are no longer open.
    closers: Mutex<Vec<Weak<Closer>>>,
    checker: Mutex<Option<Checker>>,
}

/// Task of the health checks, which is aborted with the registration.
struct Checker(JoinHandle<()>);

impl Drop for Checker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Reasons why no connection could be opened. No byte of the request was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectError {
    Refused,
    Timeout,
}

impl Target {
    pub(super) fn new(
        mark: Mark,
        endpoint: Endpoint,
        (transport, version): (Transport, ProtocolVersion),
        health: TargetHealth,
    ) -> Self {
        Self {
            mark,
            from: Mutex::new(endpoint.from),
            address: endpoint.address,
            transport,
            version,
            reachable: AtomicBool::new(endpoint.reachable),
            health: Mutex::new(health),
            draining: AtomicBool::new(false),
            warming: Mutex::default(),
            idle: (0..workers::count()).map(|_| Mutex::default()).collect(),
            multiplexed: (0..workers::count()).map(|_| Mutex::default()).collect(),
            in_flight: AtomicUsize::new(0),
            closers: Mutex::default(),
            checker: Mutex::default(),
        }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Sets the endpoint for future connections.
    pub(super) fn set_path(&self, endpoint: &Endpoint) {
        self.reachable.store(endpoint.reachable, Ordering::Relaxed);
        *lock(&self.from) = endpoint.from.clone();
    }

    fn from(&self) -> Site {
        lock(&self.from).clone()
    }

    /// Sets the task of the health checks; `None` stops them.
    pub(super) fn set_checker(&self, checker: Option<JoinHandle<()>>) {
        *lock(&self.checker) = checker.map(Checker);
    }

    /// Returns an idle connection that is still open, if there is one.
    pub(super) fn idle_connection(&self, now: Instant, context: &mut Context<'_>) -> Option<Box<Connection>> {
        loop {
            let mut connection = self.idle_of_worker()?.pop_back()?;
            if connection.used + IDLE_LIMIT <= now {
                self.forget_idle();
                return None;
            }
            if connection.is_free(context) {
                return Some(connection);
            }
        }
    }

    /// Closes connections that have been idle for too long.
    pub(super) fn forget_idle(&self) {
        for idle in &self.idle {
            let mut idle = lock(idle);
            let old = idle.iter().take_while(|connection| connection.used.elapsed() >= IDLE_LIMIT).count();
            let old: Vec<_> = idle.drain(..old).collect();
            drop(idle);
            drop(old);
        }
    }

    /// Returns the idle connections of the calling worker.
    fn idle_of_worker(&self) -> Option<MutexGuard<'_, Idle>> {
        self.idle.get(workers::number()).map(lock)
    }

    /// Keeps a connection for another request after its response has been read.
    pub(super) fn keep_idle(&self, mut connection: Box<Connection>, context: &mut Context<'_>) {
        if !connection.is_free(context) || self.is_draining() {
            return;
        }
        if let Some(mut idle) = self.idle_of_worker()
            && idle.len() < IDLE_COUNT
        {
            idle.push_back(connection);
        }
    }

    /// Opens a new connection of HTTP/1.1.
    pub(super) async fn connect(&self) -> Result<Box<Connection>, ConnectError> {
        let stream = self.stream().await?;
        Connection::open(stream, self.new_closer()).await.map(Box::new).map_err(|_| ConnectError::Refused)
    }

    /// Returns the open connection of HTTP/2, or a new one.
    pub(super) async fn multiplexed(&self) -> Result<multiplexed::Sender, ConnectError> {
        let shared = self.multiplexed.get(workers::number());
        if let Some(open) = shared.and_then(|shared| lock(shared).clone()).filter(|open| !open.is_closed()) {
            return Ok(open);
        }
        let stream = self.stream().await?;
        let opened = multiplexed::open(stream, self.new_closer()).await.map_err(|_| ConnectError::Refused)?;
        if let Some(shared) = shared {
            *lock(shared) = Some(opened.clone());
        }
        Ok(opened)
    }

    /// Connects to the target.
    async fn stream(&self) -> Result<Stream, ConnectError> {
        if !self.reachable.load(Ordering::Relaxed) {
            return Err(ConnectError::Timeout);
        }
        let tcp = tokio::time::timeout(CONNECT_LIMIT, self.from().connect(self.address))
            .await
            .map_err(|_| ConnectError::Timeout)?
            .map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => ConnectError::Timeout,
                _ => ConnectError::Refused,
            })?;
        // A TLS handshake that takes too long causes 502, not 504.
        tokio::time::timeout(CONNECT_LIMIT, Stream::over(tcp, self.address, self.transport, self.version))
            .await
            .map_err(|_| ConnectError::Refused)?
            .map_err(|_| ConnectError::Refused)
    }

    fn new_closer(&self) -> Arc<Closer> {
        let closer = Arc::new(Closer::default());
        let mut closers = lock(&self.closers);
        if closers.len() == closers.capacity() {
            closers.retain(|closer| closer.strong_count() > 0);
        }
        closers.push(Arc::downgrade(&closer));
        closer
    }

    /// Ends all requests, because the deregistration delay is over.
    pub(super) fn close(&self) {
        let closers = std::mem::take(&mut *lock(&self.closers));
        closers.iter().filter_map(Weak::upgrade).for_each(|closer| closer.close());
    }

    /// Counts a request as in progress until the returned guard is dropped; `None` when the target is draining.
    ///
    /// The request is counted before the state of the target is read, so that a draining target without requests stays
    /// without requests.
    pub(super) fn begin(self: &Arc<Self>) -> Option<InFlight> {
        self.in_flight.fetch_add(1, Ordering::SeqCst);
        let in_flight = InFlight(Arc::clone(self));
        (!self.is_draining()).then_some(in_flight)
    }

    pub(super) fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::SeqCst)
    }

    pub(super) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::SeqCst)
    }

    /// Starts draining: the target receives no more requests.
    pub(super) fn drain(&self) {
        self.set_checker(None);
        let mut health = self.health();
        self.draining.store(true, Ordering::SeqCst);
        *health = TargetHealth::draining();
    }

    pub(super) fn health(&self) -> MutexGuard<'_, TargetHealth> {
        lock(&self.health)
    }

    /// Sets the health and returns whether it changed. A draining target stays draining.
    pub(super) fn becomes(&self, next: TargetHealth) -> bool {
        let mut health = self.health();
        let changes = *health != next && !self.is_draining();
        if changes {
            *health = next;
            *lock(&self.warming) = None;
        }
        changes
    }

    /// Starts the slow start.
    pub(super) fn warm_up(&self) {
        *lock(&self.warming) = Some(Instant::now());
    }

    /// Returns the share of requests during the slow start, from 0 to 1.
    pub(super) fn warmth(&self, period: Duration) -> f64 {
        let mut warming = lock(&self.warming);
        let Some(since) = *warming else {
            return 1.0;
        };
        let part = since.elapsed().as_secs_f64() / period.as_secs_f64().max(1e-3);
        if part >= 1.0 {
            *warming = None;
        }
        part.min(1.0)
    }

    pub(super) async fn run_check(&self, check: &HealthCheck) -> Result<(), Failure> {
        if !self.reachable.load(Ordering::Relaxed) {
            return Err(Failure::Timeout);
        }
        health::check(&self.from(), self.address, check).await
    }
}

/// A request in progress.
pub(super) struct InFlight(Arc<Target>);

impl InFlight {
    pub(super) fn target(&self) -> &Arc<Target> {
        &self.0
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Locks a mutex and ignores poisoning: no code panics while it holds one of these locks.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
