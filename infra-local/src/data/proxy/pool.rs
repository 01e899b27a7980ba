//! The targets of one target group: which of them take the next request, and the connections to them.

use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use hyper::StatusCode;
use hyper::client::conn::http1::{self, SendRequest};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::Instant;

use super::super::balancers::Counts;
use super::body::ProxyBody;
use super::health::{self, Failure, HealthCheck, HealthState, TargetHealth, Verdict};
use super::times::Times;

/// How often a target that was never healthy is asked, so that starting up takes no longer than the service does.
const INITIAL_INTERVAL: Duration = Duration::from_millis(100);

/// AWS's limit for opening a connection to a target.
const CONNECT_LIMIT: Duration = Duration::from_secs(10);

/// An idle connection older than this is not used again: many servers close theirs after five seconds.
const IDLE_LIMIT: Duration = Duration::from_secs(4);

/// Idle connections kept for one target.
const IDLE_COUNT: usize = 64;

/// What a target is registered as: an instance and one of its ports.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetKey {
    /// Instance id.
    pub(crate) id: String,
    /// Traffic port.
    pub(crate) port: u16,
}

/// Where a target really is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Endpoint {
    /// Its address and port.
    pub(crate) address: SocketAddr,
    /// Whether the network lets the balancer through to it; if not, everything sent there times out.
    pub(crate) reachable: bool,
}

/// How a pool treats its targets.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoolSettings {
    /// How targets are checked.
    pub(crate) check: HealthCheck,
    /// How long a removed target is shown as draining, before the time scale.
    pub(crate) deregistration_delay: Duration,
    /// Who is next.
    pub(crate) algorithm: Algorithm,
    /// Whether a listener leads here; if not, nothing is checked.
    pub(crate) in_use: bool,
}

/// Who takes the next request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Everyone in turn.
    RoundRobin,
    /// Whoever has the fewest requests under way.
    LeastOutstanding,
}

/// The data plane of one target group. Clones are the same pool.
#[derive(Clone)]
pub(crate) struct TargetPool(Arc<Inner>);

struct Inner {
    settings: watch::Sender<PoolSettings>,
    time_scale: f64,
    /// Bumped whenever a target's health changes.
    changes: watch::Sender<u64>,
    targets: Mutex<BTreeMap<TargetKey, Arc<Target>>>,
    turn: AtomicUsize,
    requests: AtomicU64,
    connection_errors: AtomicU64,
    answers: Mutex<Answers>,
}

/// What targets answered.
#[derive(Default)]
struct Answers {
    /// By class, from 2xx on.
    classes: [u64; 4],
    times: Times,
}

impl TargetPool {
    /// An empty pool. `changes` is bumped whenever the health of a target changes.
    ///
    /// `time_scale` divides the health interval and the deregistration delay, but not the time a new target has to
    /// become healthy.
    pub(crate) fn new(settings: PoolSettings, time_scale: f64, changes: watch::Sender<u64>) -> Self {
        Self(Arc::new(Inner {
            settings: watch::Sender::new(settings),
            time_scale,
            changes,
            targets: Mutex::default(),
            turn: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            connection_errors: AtomicU64::new(0),
            answers: Mutex::default(),
        }))
    }

    /// Changes how targets are treated from now on; connections and states are kept.
    pub(crate) fn configure(&self, settings: PoolSettings) {
        self.0.settings.send_if_modified(|current| {
            let changed = *current != settings;
            *current = settings;
            changed
        });
    }

    /// Makes these the registered targets: new ones begin to be checked, missing ones drain, the others go on.
    ///
    /// Must be called on a tokio runtime.
    pub(crate) fn set_targets(&self, wanted: &BTreeMap<TargetKey, Endpoint>) {
        let mut targets = self.targets();
        let mut changed = false;
        for (key, target) in targets.iter() {
            if !wanted.contains_key(key) && !target.is_draining() {
                changed = true;
                self.drain(key.clone(), target);
            }
        }
        for (key, endpoint) in wanted {
            match targets.get(key) {
                Some(target) if target.address == endpoint.address && !target.is_draining() => {
                    target.reachable.store(endpoint.reachable, Ordering::Relaxed);
                }
                _ => {
                    changed = true;
                    targets.insert(key.clone(), self.register(*endpoint));
                }
            }
        }
        drop(targets);
        if changed {
            self.0.changed();
        }
    }

    /// Every target, registered or draining, with its health.
    pub(crate) fn health(&self) -> BTreeMap<TargetKey, TargetHealth> {
        self.targets().iter().map(|(key, target)| (key.clone(), target.health().clone())).collect()
    }

    /// Whether nothing is under way to this target any more and nothing new will be.
    pub(crate) fn is_drained(&self, key: &TargetKey) -> bool {
        self.targets().get(key).is_none_or(|target| target.is_draining() && target.in_flight() == 0)
    }

    /// What went to the targets so far.
    pub(crate) fn counts(&self) -> Counts {
        let answers = lock(&self.0.answers);
        Counts {
            responses: answers.classes,
            times: answers.times,
            connections: 0,
            requests: self.0.requests.load(Ordering::Relaxed),
            connection_errors: self.0.connection_errors.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts an answer of a target, and how long it took to begin.
    pub(super) fn count_answer(&self, status: StatusCode, took: Duration) {
        let mut answers = lock(&self.0.answers);
        let class = usize::from(status.as_u16() / 100).checked_sub(2);
        if let Some(count) = class.and_then(|class| answers.classes.get_mut(class)) {
            *count += 1;
        }
        answers.times.count(took.as_secs_f64());
    }

    pub(super) fn count_connection_error(&self) {
        self.0.connection_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// The targets a request may go to, best first. When none is healthy it may go to all of them.
    pub(super) fn candidates(&self) -> Vec<Arc<Target>> {
        let targets = self.targets();
        let in_state = |wanted: &[HealthState]| -> Vec<Arc<Target>> {
            let usable = targets.values().filter(|target| wanted.contains(&target.health().state));
            usable.cloned().collect()
        };
        let mut found = in_state(&[HealthState::Healthy]);
        if found.is_empty() {
            found = in_state(&[HealthState::Initial, HealthState::Unhealthy]);
        }
        drop(targets);
        if !found.is_empty() {
            let turn = self.0.turn.fetch_add(1, Ordering::Relaxed) % found.len();
            found.rotate_left(turn);
            if self.0.settings.borrow().algorithm == Algorithm::LeastOutstanding {
                found.sort_by_key(|target| target.in_flight());
            }
        }
        found
    }

    fn register(&self, endpoint: Endpoint) -> Arc<Target> {
        let initial = if self.0.settings.borrow().in_use { TargetHealth::initial() } else { TargetHealth::unused() };
        let target = Arc::new(Target {
            address: endpoint.address,
            reachable: AtomicBool::new(endpoint.reachable),
            health: Mutex::new(initial),
            idle: Mutex::default(),
            in_flight: AtomicUsize::new(0),
            checker: Mutex::default(),
        });
        let checker =
            tokio::spawn(keep_checking(Arc::downgrade(&self.0), self.0.settings.subscribe(), Arc::downgrade(&target)));
        *lock(&target.checker) = Some(Checker(checker));
        target
    }

    fn drain(&self, key: TargetKey, target: &Arc<Target>) {
        *lock(&target.checker) = None;
        *target.health() = TargetHealth::draining();
        let delay = self.0.scaled(self.0.settings.borrow().deregistration_delay);
        let (pool, drained) = (Arc::downgrade(&self.0), Arc::downgrade(target));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            let Some(pool) = pool.upgrade() else { return };
            let mut targets = lock(&pool.targets);
            // It may have been registered again, as a new target, in between.
            if targets.get(&key).is_some_and(|target| drained.as_ptr() == Arc::as_ptr(target)) {
                targets.remove(&key);
                drop(targets);
                pool.changed();
            }
        });
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<TargetKey, Arc<Target>>> {
        lock(&self.0.targets)
    }
}

impl Inner {
    fn scaled(&self, period: Duration) -> Duration {
        period.div_f64(self.time_scale.max(1e-3))
    }

    fn changed(&self) {
        self.changes.send_modify(|revision| *revision += 1);
    }
}

/// Asks one target again and again, until it is dropped or drains.
async fn keep_checking(
    pool: std::sync::Weak<Inner>,
    mut settings: watch::Receiver<PoolSettings>,
    target: std::sync::Weak<Target>,
) {
    let mut verdict = Verdict::new();
    loop {
        let PoolSettings { check, in_use, .. } = settings.borrow_and_update().clone();
        let pause = {
            let (Some(pool), Some(target)) = (pool.upgrade(), target.upgrade()) else {
                return;
            };
            let interval = pool.scaled(check.interval);
            let current = target.health().state;
            let next = if !in_use {
                (current != HealthState::Unused).then(TargetHealth::unused)
            } else if current == HealthState::Unused {
                verdict = Verdict::new();
                Some(TargetHealth::initial())
            } else {
                let answer = target.ask(&check).await;
                let patience = check.interval * check.unhealthy_threshold;
                verdict.after(current, &answer, &check, patience)
            };
            if let Some(next) = next
                && target.becomes(next)
            {
                pool.changed();
            }
            match target.health().state {
                HealthState::Initial => interval.min(INITIAL_INTERVAL),
                // Nothing is due before the settings change.
                HealthState::Unused => Duration::MAX,
                _ => interval,
            }
        };
        let changed = async {
            if settings.changed().await.is_err() {
                std::future::pending::<()>().await;
            }
        };
        let _due_or_changed = tokio::time::timeout(pause, changed).await;
    }
}

/// One registration of a target.
pub(super) struct Target {
    address: SocketAddr,
    reachable: AtomicBool,
    health: Mutex<TargetHealth>,
    idle: Mutex<VecDeque<(SendRequest<ProxyBody>, Instant)>>,
    in_flight: AtomicUsize,
    checker: Mutex<Option<Checker>>,
}

/// Ends with its target's registration.
struct Checker(JoinHandle<()>);

impl Drop for Checker {
    fn drop(&mut self) {
        self.0.abort();
    }
}

/// Why no connection could be opened; nothing was sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ConnectError {
    Refused,
    Timeout,
}

impl Target {
    /// A connection that was used before and is still open, if there is one.
    pub(super) fn idle_connection(&self) -> Option<SendRequest<ProxyBody>> {
        let mut idle = lock(&self.idle);
        while let Some((sender, since)) = idle.pop_back() {
            if since.elapsed() < IDLE_LIMIT && sender.is_ready() {
                return Some(sender);
            }
        }
        None
    }

    /// Opens a new connection.
    pub(super) async fn connect(&self) -> Result<SendRequest<ProxyBody>, ConnectError> {
        if !self.reachable.load(Ordering::Relaxed) {
            return Err(ConnectError::Timeout);
        }
        let stream = tokio::time::timeout(CONNECT_LIMIT, TcpStream::connect(self.address))
            .await
            .map_err(|_| ConnectError::Timeout)?
            .map_err(|error| match error.kind() {
                io::ErrorKind::TimedOut => ConnectError::Timeout,
                _ => ConnectError::Refused,
            })?;
        // Small answers must not wait for more to send.
        stream.set_nodelay(true).map_err(|_| ConnectError::Refused)?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await.map_err(|_| ConnectError::Refused)?;
        tokio::spawn(async move {
            if let Err(error) = connection.with_upgrades().await {
                tracing::debug!(%error, "a connection to a target broke");
            }
        });
        Ok(sender)
    }

    /// Keeps a connection for later, once its answer has been read.
    pub(super) fn keep_for_later(self: Arc<Self>, mut sender: SendRequest<ProxyBody>) {
        tokio::spawn(async move {
            if sender.ready().await.is_ok() && !self.is_draining() {
                let mut idle = lock(&self.idle);
                if idle.len() >= IDLE_COUNT {
                    idle.pop_front();
                }
                idle.push_back((sender, Instant::now()));
            }
        });
    }

    /// Counts a request as under way until what is returned is dropped.
    pub(super) fn begin(self: &Arc<Self>) -> InFlight {
        self.in_flight.fetch_add(1, Ordering::Relaxed);
        InFlight(Arc::clone(self))
    }

    fn in_flight(&self) -> usize {
        self.in_flight.load(Ordering::Relaxed)
    }

    fn is_draining(&self) -> bool {
        self.health().state == HealthState::Draining
    }

    fn health(&self) -> MutexGuard<'_, TargetHealth> {
        lock(&self.health)
    }

    /// False when nothing changes; what drains stays so.
    fn becomes(&self, next: TargetHealth) -> bool {
        let mut health = self.health();
        let changes = *health != next && health.state != HealthState::Draining;
        if changes {
            *health = next;
        }
        changes
    }

    async fn ask(&self, check: &HealthCheck) -> Result<(), Failure> {
        if !self.reachable.load(Ordering::Relaxed) {
            return Err(Failure::Timeout);
        }
        health::check(self.address, check).await
    }
}

/// A request that is under way.
pub(super) struct InFlight(Arc<Target>);

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Nothing here panics while it holds a lock, so a poisoned one is as good as any.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
