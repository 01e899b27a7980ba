//! The instances, and the turn of each.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, atomic::AtomicU64, atomic::Ordering::Relaxed};

use kit::metrics::Metrics;
use serde::Serialize;
use tokio::sync::{Notify, watch};

use super::backend::{Backend, Lease};

/// State of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    Stopped,
    Starting,
    Ready,
    Draining,
    Stopping,
}

/// Place of an instance, which keeps its port when the instance is replaced.
struct Slot {
    state: State,
    /// A connection has failed: the instance receives no requests until its next health check.
    is_suspect: bool,
    backend: Option<Arc<Backend>>,
    id: Option<String>,
    replaced: u64,
    last_failure: Option<String>,
}

/// All slots, and the order of requests.
pub(super) struct Fleet {
    first_port: u16,
    rotation: Mutex<Rotation>,
    desired: watch::Sender<usize>,
    /// Wakes the health check of each slot.
    checks: Vec<Notify>,
    pub(super) counts: Counts,
}

struct Rotation {
    slots: Vec<Slot>,
    /// Slot of the last request.
    last: usize,
}

/// Counters since the start, which are also metrics.
pub(super) struct Counts {
    pub(super) forwarded: Arc<AtomicU64>,
    pub(super) retried: Arc<AtomicU64>,
    pub(super) unavailable: Arc<AtomicU64>,
    pub(super) replaced: Arc<AtomicU64>,
}

/// An instance on the page of the status.
#[derive(Debug, Serialize)]
pub(super) struct Shown {
    port: u16,
    state: State,
    healthy: bool,
    id: Option<String>,
    in_flight: u64,
    served: u64,
    replaced: u64,
    last_failure: Option<String>,
}

impl Counts {
    fn of(metrics: &Metrics) -> Self {
        Self {
            forwarded: metrics.counter("orchestrator_forwarded_total", "Requests with a response of an instance."),
            retried: metrics.counter("orchestrator_retried_total", "Requests that another instance received."),
            unavailable: metrics
                .counter("orchestrator_unavailable_total", "Requests without a response of an instance."),
            replaced: metrics.counter("orchestrator_replaced_total", "Instances that failed and were replaced."),
        }
    }
}

impl Fleet {
    /// Returns a fleet of stopped instances, with consecutive ports.
    pub(super) fn new(first_port: u16, maximum: usize, metrics: &Metrics) -> Arc<Self> {
        let slot = || Slot {
            state: State::Stopped,
            is_suspect: false,
            backend: None,
            id: None,
            replaced: 0,
            last_failure: None,
        };
        let slots = (0..maximum).map(|_| slot()).collect();
        // The first request is for the first slot.
        let rotation = Mutex::new(Rotation { slots, last: maximum - 1 });
        let checks = (0..maximum).map(|_| Notify::new()).collect();
        Arc::new(Self { first_port, rotation, desired: watch::Sender::new(0), checks, counts: Counts::of(metrics) })
    }

    /// Returns the port of a slot.
    pub(super) fn port(&self, slot: usize) -> u16 {
        self.first_port + slot as u16
    }

    /// Sets the number of instances.
    pub(super) fn scale_to(&self, instances: usize) {
        self.desired.send_if_modified(|desired| std::mem::replace(desired, instances) != instances);
    }

    /// Returns the number of instances to run: the first slots.
    pub(super) fn desired(&self) -> usize {
        *self.desired.borrow()
    }

    /// Returns a receiver of the number of instances.
    pub(super) fn watch_desired(&self) -> watch::Receiver<usize> {
        self.desired.subscribe()
    }

    /// Waits until a slot must be checked before its time.
    pub(super) async fn until_suspect(&self, slot: usize) {
        self.checks[slot].notified().await;
    }

    /// Returns the instance whose turn it is, if any is healthy.
    pub(super) fn next(&self) -> Option<Lease> {
        let mut rotation = self.rotation();
        let count = rotation.slots.len();
        let turns = (1..=count).map(|step| (rotation.last + step) % count);
        let slot = turns.into_iter().find(|slot| rotation.slots[*slot].is_healthy())?;
        rotation.last = slot;
        let backend = rotation.slots[slot].backend.as_ref()?;
        // Counted under the lock, so that an instance that is drained afterwards waits for this request.
        Some(Lease::new(slot, backend))
    }

    /// Takes an instance that failed a request out of the rotation, until its next health check, which is now.
    pub(super) fn suspect(&self, lease: &Lease) {
        let slot = &mut self.rotation().slots[lease.slot];
        // A new instance may have replaced it.
        if slot.backend.as_ref().is_some_and(|backend| Arc::ptr_eq(backend, &lease.backend)) {
            slot.is_suspect = true;
            self.checks[lease.slot].notify_one();
        }
    }

    pub(super) fn set_starting(&self, slot: usize) {
        self.change(slot, |slot| slot.state = State::Starting);
    }

    pub(super) fn set_started(&self, slot: usize, id: String) {
        self.change(slot, |slot| slot.id = Some(id));
    }

    pub(super) fn set_ready(&self, slot: usize, backend: Arc<Backend>) {
        self.change(slot, |slot| (slot.state, slot.is_suspect, slot.backend) = (State::Ready, false, Some(backend)));
    }

    /// Returns an instance that passed its health check to the rotation.
    pub(super) fn set_healthy(&self, slot: usize) {
        self.change(slot, |slot| slot.is_suspect = false);
    }

    pub(super) fn set_draining(&self, slot: usize) {
        self.change(slot, |slot| slot.state = State::Draining);
    }

    /// Removes a failed instance from the rotation.
    pub(super) fn set_failed(&self, slot: usize, failure: String) {
        self.counts.replaced.fetch_add(1, Relaxed);
        self.change(slot, |slot| {
            slot.replaced += 1;
            slot.last_failure = Some(failure);
        });
        self.set_stopping(slot);
    }

    pub(super) fn set_stopping(&self, slot: usize) {
        self.change(slot, |slot| (slot.state, slot.backend) = (State::Stopping, None));
    }

    pub(super) fn set_stopped(&self, slot: usize) {
        self.change(slot, |slot| (slot.state, slot.id) = (State::Stopped, None));
    }

    /// Returns the number of healthy instances.
    pub(super) fn healthy(&self) -> usize {
        self.rotation().slots.iter().filter(|slot| slot.is_healthy()).count()
    }

    /// Returns whether all instances are stopped.
    pub(super) fn is_stopped(&self) -> bool {
        self.rotation().slots.iter().all(|slot| slot.state == State::Stopped)
    }

    /// Returns the instances that are not stopped, or should not be.
    pub(super) fn shown(&self) -> Vec<Shown> {
        let desired = self.desired();
        let rotation = self.rotation();
        let slots = rotation.slots.iter().enumerate();
        let slots = slots.filter(|(at, slot)| slot.state != State::Stopped || *at < desired);
        slots.map(|(at, slot)| slot.shown(self.port(at))).collect()
    }

    fn change(&self, slot: usize, change: impl FnOnce(&mut Slot)) {
        change(&mut self.rotation().slots[slot]);
    }

    fn rotation(&self) -> MutexGuard<'_, Rotation> {
        self.rotation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn is_healthy(&self) -> bool {
        self.state == State::Ready && !self.is_suspect
    }

    fn shown(&self, port: u16) -> Shown {
        Shown {
            port,
            state: self.state,
            healthy: self.is_healthy(),
            id: self.id.clone(),
            in_flight: self.backend.as_ref().map_or(0, |backend| backend.in_flight()),
            served: self.backend.as_ref().map_or(0, |backend| backend.served()),
            replaced: self.replaced,
            last_failure: self.last_failure.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn fleet(ready: &[usize]) -> Arc<Fleet> {
        let fleet = Fleet::new(8000, 4, &Metrics::default());
        for slot in ready {
            fleet.set_ready(*slot, Backend::new(([127, 0, 0, 1], fleet.port(*slot)).into()));
        }
        fleet
    }

    fn turns(fleet: &Fleet, count: usize) -> Vec<usize> {
        (0..count).map(|_| fleet.next().unwrap().slot).collect()
    }

    #[test]
    fn healthy_instances_take_turns() {
        assert!(fleet(&[]).next().is_none());
        let fleet = fleet(&[0, 2, 3]);
        assert_eq!(turns(&fleet, 7), [0, 2, 3, 0, 2, 3, 0]);
        fleet.set_ready(1, Backend::new(([127, 0, 0, 1], 8001).into()));
        assert_eq!(turns(&fleet, 5), [1, 2, 3, 0, 1]);
        fleet.set_draining(2);
        assert_eq!(turns(&fleet, 3), [3, 0, 1]);
        fleet.set_failed(3, "the health check failed".into());
        assert_eq!(turns(&fleet, 3), [0, 1, 0]);
    }

    #[test]
    fn a_suspect_receives_no_requests_until_it_is_checked() {
        let fleet = fleet(&[0, 1]);
        let lease = fleet.next().unwrap();
        fleet.suspect(&lease);
        assert_eq!(turns(&fleet, 2), [1, 1]);
        fleet.set_healthy(0);
        assert_eq!(turns(&fleet, 2), [0, 1]);
        // The lease belongs to an instance that was replaced.
        fleet.set_ready(0, Backend::new(([127, 0, 0, 1], 8000).into()));
        fleet.suspect(&lease);
        assert_eq!(turns(&fleet, 2), [0, 1]);
    }

    #[tokio::test]
    async fn a_lease_is_in_flight_until_it_is_dropped() {
        let fleet = fleet(&[0]);
        let leases = [fleet.next().unwrap(), fleet.next().unwrap()];
        let backend = Arc::clone(&leases[0].backend);
        assert_eq!(backend.in_flight(), 2);
        let idle = tokio::spawn({
            let backend = Arc::clone(&backend);
            async move { backend.until_idle().await }
        });
        tokio::task::yield_now().await;
        assert!(!idle.is_finished());
        drop(leases);
        idle.await.unwrap();
        assert_eq!(backend.in_flight(), 0);
    }
}
