//! The targets of a target group, and the selection of a target for each request.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, Weak};
use std::time::Duration;

use hyper::StatusCode;
use tokio::sync::watch;

use super::health::{HealthCheck, HealthState, TargetHealth, Verdict};
use super::random;
use super::sticky::{Mark, Stickiness};
use super::stream::Transport;
use super::target::{Endpoint, Target, lock};
use crate::model::elbv2::ProtocolVersion;
use crate::state::times::Recorder;
use crate::state::traffic::Counts;

/// Interval of checks before a target's first success, so that it serves as soon as its service has started.
const INITIAL_INTERVAL: Duration = Duration::from_millis(100);

/// Key of a registered target: an instance or an address, and a port.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct TargetKey {
    /// Instance id, or address.
    pub(crate) id: String,
    /// Traffic port.
    pub(crate) port: u16,
}

/// Settings of a pool.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoolSettings {
    /// Health check of the targets.
    pub(crate) check: HealthCheck,
    /// Protocol of targets that are registered from now on; the protocol of a target group never changes.
    pub(crate) transport: Transport,
    /// Version of HTTP of these targets; that of a target group never changes.
    pub(crate) version: ProtocolVersion,
    /// Time for which a removed target is reported as draining, before the time scale.
    pub(crate) deregistration_delay: Duration,
    /// Algorithm that selects the target of a request.
    pub(crate) algorithm: Algorithm,
    /// Duration of the slow start, before the time scale.
    pub(crate) slow_start: Option<Duration>,
    /// Health that the group needs for requests to its healthy targets alone.
    pub(crate) minimum_healthy: MinimumHealthy,
    /// Stickiness of clients.
    pub(crate) stickiness: Option<Stickiness>,
    /// True when a listener forwards to the target group; otherwise targets are not checked.
    pub(crate) in_use: bool,
}

/// Minimum of healthy targets. With fewer, requests go to all registered targets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct MinimumHealthy {
    /// Number of targets; one at least.
    pub(crate) count: u64,
    /// Percentage of the registered targets; 0 for none.
    pub(crate) percentage: u64,
}

impl MinimumHealthy {
    fn is_met(self, healthy: usize, registered: usize) -> bool {
        let (healthy, registered) = (healthy as u64, registered as u64);
        healthy >= self.count.max(1) && healthy * 100 >= self.percentage * registered
    }
}

/// Algorithm that selects the target of a request.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Algorithm {
    /// Everyone in turn.
    RoundRobin,
    /// The target with the fewest outstanding requests.
    LeastOutstanding,
    /// Anyone.
    Random,
}

/// The targets of one target group. Clones share the same pool.
#[derive(Clone)]
pub(crate) struct TargetPool(Arc<Inner>);

struct Inner {
    /// ARN of the target group.
    arn: Arc<str>,
    mark: Mark,
    settings: watch::Sender<PoolSettings>,
    time_scale: f64,
    /// Incremented whenever a target's health changes.
    changes: watch::Sender<u64>,
    targets: Mutex<BTreeMap<TargetKey, Arc<Target>>>,
    /// The usable targets, which requests read. Rebuilt when a target's health or the settings change.
    usable: Mutex<Arc<Usable>>,
    turn: AtomicUsize,
    requests: AtomicU64,
    connection_errors: AtomicU64,
    answers: Answers,
}

/// Counts of the targets' responses.
#[derive(Default)]
struct Answers {
    /// Counts by class, from 2xx on.
    classes: [AtomicU64; 4],
    times: Recorder,
}

/// The usable targets, and the algorithm that selects one.
pub(super) struct Usable {
    targets: Vec<Arc<Target>>,
    algorithm: Algorithm,
    slow_start: Option<Duration>,
    pub(super) stickiness: Option<Stickiness>,
    pub(super) transport: Transport,
    pub(super) version: ProtocolVersion,
}

impl TargetPool {
    /// Returns an empty pool for the target group with this ARN. `changes` is incremented whenever the health of a
    /// target changes.
    ///
    /// `time_scale` divides the health interval, the slow start and the deregistration delay, but not the time a new
    /// target has to become healthy.
    pub(crate) fn new(arn: &str, settings: PoolSettings, time_scale: f64, changes: watch::Sender<u64>) -> Self {
        let inner = Inner {
            arn: arn.into(),
            mark: Mark::of(&[arn]),
            usable: Mutex::new(Arc::new(Usable {
                targets: Vec::new(),
                algorithm: settings.algorithm,
                slow_start: None,
                stickiness: None,
                transport: settings.transport,
                version: settings.version,
            })),
            settings: watch::Sender::new(settings),
            time_scale,
            changes,
            targets: Mutex::default(),
            turn: AtomicUsize::new(0),
            requests: AtomicU64::new(0),
            connection_errors: AtomicU64::new(0),
            answers: Answers::default(),
        };
        inner.choose_usable(&BTreeMap::new());
        Self(Arc::new(inner))
    }

    /// Changes the settings; connections and health are kept.
    pub(crate) fn configure(&self, settings: PoolSettings) {
        let changed = self.0.settings.send_if_modified(|current| {
            let changed = *current != settings;
            *current = settings;
            changed
        });
        if changed {
            self.0.choose_usable(&self.targets());
        }
    }

    /// Sets the registered targets: new ones are checked, missing ones drain, the others are unchanged.
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
                Some(target) if target.address() == endpoint.address && !target.is_draining() => {
                    target.set_path(endpoint);
                }
                _ => {
                    changed = true;
                    targets.insert(key.clone(), self.register(key, endpoint.clone()));
                }
            }
        }
        if changed {
            self.0.choose_usable(&targets);
            drop(targets);
            self.0.tell();
        }
    }

    /// Returns all targets, registered or draining, with their health.
    pub(crate) fn health(&self) -> BTreeMap<TargetKey, TargetHealth> {
        self.targets().iter().map(|(key, target)| (key.clone(), target.health().clone())).collect()
    }

    /// Returns whether the target has no requests in progress and receives no new ones.
    pub(crate) fn is_drained(&self, key: &TargetKey) -> bool {
        self.targets().get(key).is_none_or(|target| target.is_draining() && target.in_flight() == 0)
    }

    /// Returns the counts so far.
    pub(crate) fn counts(&self) -> Counts {
        let answers = &self.0.answers;
        Counts {
            responses: answers.classes.each_ref().map(|count| count.load(Ordering::Relaxed)),
            times: answers.times.times(),
            connections: 0,
            own_errors: [0; 2],
            requests: self.0.requests.load(Ordering::Relaxed),
            connection_errors: self.0.connection_errors.load(Ordering::Relaxed),
        }
    }

    pub(super) fn count_request(&self) {
        self.0.requests.fetch_add(1, Ordering::Relaxed);
    }

    /// Counts a response of a target, and the time until it began.
    pub(super) fn count_answer(&self, status: StatusCode, took: Duration) {
        self.count_request();
        let class = usize::from(status.as_u16() / 100).checked_sub(2);
        if let Some(count) = class.and_then(|class| self.0.answers.classes.get(class)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.0.answers.times.count(took);
    }

    pub(super) fn count_connection_error(&self) {
        self.0.connection_errors.fetch_add(1, Ordering::Relaxed);
    }

    /// Returns the ARN of the target group.
    pub(super) fn arn(&self) -> &Arc<str> {
        &self.0.arn
    }

    /// Returns the target group's mark in cookies.
    pub(super) fn mark(&self) -> Mark {
        self.0.mark
    }

    /// Returns the targets that can receive requests now.
    pub(super) fn usable(&self) -> Arc<Usable> {
        Arc::clone(&lock(&self.0.usable))
    }

    /// Returns the index of the first usable target to try.
    pub(super) fn turn(&self, usable: &Usable) -> usize {
        usable.place(self.0.turn.fetch_add(1, Ordering::Relaxed))
    }

    fn register(&self, key: &TargetKey, endpoint: Endpoint) -> Arc<Target> {
        let (in_use, protocol) = {
            let settings = self.0.settings.borrow();
            (settings.in_use, (settings.transport, settings.version))
        };
        let initial = if in_use { TargetHealth::initial() } else { TargetHealth::unused() };
        let mark = Mark::of(&[&self.0.arn, &key.id, &key.port.to_string()]);
        let target = Arc::new(Target::new(mark, endpoint, protocol, initial));
        let checker =
            tokio::spawn(keep_checking(Arc::downgrade(&self.0), self.0.settings.subscribe(), Arc::downgrade(&target)));
        target.set_checker(Some(checker));
        target
    }

    fn drain(&self, key: TargetKey, target: &Arc<Target>) {
        target.drain();
        let delay = self.0.scaled(self.0.settings.borrow().deregistration_delay);
        let (pool, drained) = (Arc::downgrade(&self.0), Arc::downgrade(target));
        tokio::spawn(async move {
            tokio::time::sleep(delay).await;
            if let Some(target) = drained.upgrade() {
                target.close();
            }
            let Some(pool) = pool.upgrade() else { return };
            let mut targets = lock(&pool.targets);
            // The target may have been registered again, as a new target, in between.
            if targets.get(&key).is_some_and(|target| drained.as_ptr() == Arc::as_ptr(target)) {
                targets.remove(&key);
                drop(targets);
                pool.tell();
            }
        });
    }

    fn targets(&self) -> MutexGuard<'_, BTreeMap<TargetKey, Arc<Target>>> {
        lock(&self.0.targets)
    }
}

impl Usable {
    pub(super) fn len(&self) -> usize {
        self.targets.len()
    }

    /// Returns the number of targets with requests in progress.
    #[cfg(test)]
    pub(super) fn busy(&self) -> usize {
        self.targets.iter().filter(|target| target.in_flight() > 0).count()
    }

    /// Returns the number of requests in progress.
    #[cfg(test)]
    pub(super) fn outstanding(&self) -> usize {
        self.targets.iter().map(|target| target.in_flight()).sum()
    }

    /// Returns the target at a position, modulo the number of targets.
    pub(super) fn target(&self, place: usize) -> &Arc<Target> {
        &self.targets[place % self.targets.len()]
    }

    /// Returns the position of the target with this mark.
    pub(super) fn find(&self, mark: Mark) -> Option<usize> {
        self.targets.iter().position(|target| target.mark == mark)
    }

    fn place(&self, turn: usize) -> usize {
        let count = self.targets.len().max(1);
        match self.algorithm {
            Algorithm::Random => random::below(count as u64) as usize,
            Algorithm::LeastOutstanding => {
                let places = (0..self.targets.len()).map(|step| (turn + step) % count);
                places.min_by_key(|place| self.targets[*place].in_flight()).unwrap_or(0)
            }
            Algorithm::RoundRobin => {
                let first = turn % count;
                let Some(period) = self.slow_start else {
                    return first;
                };
                let mut places = (0..self.targets.len()).map(|step| (first + step) % count);
                places.find(|place| random::fraction() < self.targets[*place].warmth(period)).unwrap_or(first)
            }
        }
    }
}

impl Inner {
    fn scaled(&self, period: Duration) -> Duration {
        period.div_f64(self.time_scale.max(1e-3))
    }

    /// Selects the healthy targets; with fewer than the group's minimum, all targets that are not draining.
    fn choose_usable(&self, targets: &BTreeMap<TargetKey, Arc<Target>>) {
        let in_state = |wanted: &[HealthState]| -> Vec<Arc<Target>> {
            let usable = targets.values().filter(|target| wanted.contains(&target.health().state));
            usable.cloned().collect()
        };
        let mut usable = in_state(&[HealthState::Healthy]);
        let settings = self.settings.borrow();
        let registered = targets.values().filter(|target| target.health().state != HealthState::Draining).count();
        if !settings.minimum_healthy.is_met(usable.len(), registered) {
            usable = in_state(&[HealthState::Healthy, HealthState::Initial, HealthState::Unhealthy]);
        }
        *lock(&self.usable) = Arc::new(Usable {
            targets: usable,
            algorithm: settings.algorithm,
            slow_start: settings.slow_start.map(|period| self.scaled(period)),
            stickiness: settings.stickiness.clone(),
            transport: settings.transport,
            version: settings.version,
        });
    }

    /// Starts the slow start of a target next to healthy ones. The first targets receive their full share at once.
    fn begin_slow_start(&self, target: &Arc<Target>) {
        let Some(period) = self.settings.borrow().slow_start.map(|period| self.scaled(period)) else {
            return;
        };
        let targets = lock(&self.targets);
        let mut others = targets.values().filter(|other| !Arc::ptr_eq(other, target));
        if others.any(|other| other.health().state == HealthState::Healthy && other.warmth(period) >= 1.0) {
            target.warm_up();
        }
    }

    fn changed(&self) {
        self.choose_usable(&lock(&self.targets));
        self.tell();
    }

    fn tell(&self) {
        self.changes.send_modify(|revision| *revision += 1);
    }
}

/// Checks a target repeatedly, until it is dropped or drains.
async fn keep_checking(pool: Weak<Inner>, mut settings: watch::Receiver<PoolSettings>, target: Weak<Target>) {
    let mut verdict = Verdict::new();
    loop {
        let PoolSettings { check, in_use, .. } = settings.borrow_and_update().clone();
        let pause = {
            let (Some(pool), Some(target)) = (pool.upgrade(), target.upgrade()) else {
                return;
            };
            target.forget_idle();
            let interval = pool.scaled(check.interval);
            let current = target.health().state;
            let next = if !in_use {
                (current != HealthState::Unused).then(TargetHealth::unused)
            } else if current == HealthState::Unused {
                verdict = Verdict::new();
                Some(TargetHealth::initial())
            } else {
                let answer = target.run_check(&check).await;
                let patience = check.interval * check.unhealthy_threshold;
                verdict.after(current, &answer, &check, patience)
            };
            if let Some(next) = next {
                let recovers = next.state == HealthState::Healthy;
                if target.becomes(next) {
                    if recovers {
                        pool.begin_slow_start(&target);
                    }
                    pool.changed();
                }
            }
            match target.health().state {
                HealthState::Initial => interval.min(INITIAL_INTERVAL),
                // No check is due until the settings change.
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

#[cfg(test)]
mod tests {
    use super::MinimumHealthy;

    #[test]
    fn the_minimum_is_a_number_and_a_percentage_of_targets() {
        let met = |count, percentage, healthy| MinimumHealthy { count, percentage }.is_met(healthy, 4);
        assert!(met(1, 0, 1) && met(0, 0, 1) && met(2, 50, 2) && met(1, 100, 4));
        assert!(!met(0, 0, 0) && !met(2, 0, 1) && !met(1, 51, 2));
    }
}
