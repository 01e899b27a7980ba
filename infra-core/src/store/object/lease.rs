//! The exclusive right to write, which expires unless it is renewed.
//!
//! The holder measures from before it sent a renewal, and stops [`HOLD`] later. A taker measures from after it read the
//! lease, and waits for [`TAKE`] without a change. Both use only their own clock, so the holder has stopped before the
//! taker begins, whatever the difference of the clocks.

use super::client::{Objects, Put};
use crate::{
    boundary::{self, Boundary},
    diagnostic::Diagnostic,
    event::{Event, Events},
    store::{
        Holder, Recovery, StoreError,
        clock::{sleep, within},
        hold::{Deadline, Held, Hold},
        source,
    },
};
use futures::future::{Either, select};
use object_store::{PutMode, UpdateVersion};
use serde::{Deserialize, Serialize};
use std::{sync::Arc, time::Duration};
use tokio::sync::{oneshot, watch};

/// Validity of a lease without renewals.
pub(super) const TIME_TO_LIVE: Duration = Duration::from_secs(30);
/// Time after which its holder stops. Requests that it sent before have the rest of the validity to take effect.
const HOLD: Duration = Duration::from_secs(25);
/// Time without a change after which another run may take the lease.
pub(super) const TAKE: Duration = Duration::from_secs(35);
const RENEW: Duration = Duration::from_secs(10);
/// Minimum time for one renewal.
const PATIENCE: Duration = Duration::from_secs(5);
const WATCH: Duration = Duration::from_secs(2);
/// Interval in which the holder checks if the machine was suspended.
const TICK: Duration = Duration::from_secs(1);
pub(super) const NAME: &str = "lease";

/// The stored lease.
#[derive(Clone, Debug, Serialize, Deserialize)]
struct Written {
    /// Increases by one with every holder.
    epoch: u64,
    #[serde(flatten)]
    holder: Holder,
    time_to_live_s: u64,
    /// Increases by one with every renewal.
    renewals: u64,
    status: Status,
    /// Random text that changes with every write.
    nonce: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Status {
    Held,
    Released,
    /// Removed by `unlock`. Its holder notices this when it renews.
    Broken,
}

/// A lease that was taken and is not renewed yet.
pub(super) struct Lease {
    objects: Objects,
    written: Written,
    version: UpdateVersion,
    deadline: Deadline,
    /// The nonce of the last renewal that was sent.
    attempted: Option<String>,
    /// `true` if the previous holder released it.
    pub(super) was_released: bool,
}

/// A lease that a task renews. It is released when it is dropped.
pub(super) struct HeldLease {
    stop: oneshot::Sender<oneshot::Sender<()>>,
    pub(super) grip: Grip,
    pub(super) epoch: u64,
    pub(super) holder: Holder,
}

/// Notifies the users of a lease of its state.
#[derive(Clone)]
pub(super) struct Grip(Arc<watch::Sender<Held>>);

impl Lease {
    /// Takes the lease: at once if it is released, after watching it if it may be stale, never while it is renewed.
    /// `epoch` is the last one that is known from other objects.
    pub(super) async fn take(objects: &Objects, epoch: u64, events: &Events) -> Result<Self, StoreError> {
        let clock = &*objects.clock;
        let mut watched: Option<(String, Duration)> = None;
        loop {
            let found = objects.get(NAME).await?;
            let now = clock.now();
            let (mode, before) = match found {
                None => (PutMode::Create, None),
                Some(found) => {
                    let written = parse(objects, &found.bytes)?;
                    if written.status != Status::Released {
                        match &watched {
                            Some((nonce, since)) if *nonce == written.nonce => {
                                if now < *since + TAKE {
                                    sleep(clock, WATCH).await;
                                    continue;
                                }
                            }
                            // The lease was renewed, or another run took it first.
                            Some(_) if written.status == Status::Held => {
                                return Err(StoreError::Locked { holder: Some(written.holder) });
                            }
                            _ => {
                                events.send(Event::Message(watching(&written)));
                                watched = Some((written.nonce, now));
                                sleep(clock, WATCH).await;
                                continue;
                            }
                        }
                    }
                    (PutMode::Update(found.version), Some(written))
                }
            };
            let known = before.as_ref().map_or(0, |before| before.epoch).max(epoch);
            let was_released = match &before {
                Some(before) => before.status == Status::Released,
                None => epoch == 0,
            };
            let written = Written {
                epoch: known + 1,
                holder: Holder::this(),
                time_to_live_s: TIME_TO_LIVE.as_secs(),
                renewals: 0,
                status: Status::Held,
                nonce: super::nonce()?,
            };
            let deadline = Deadline::after(clock, HOLD);
            boundary::reached(Boundary::LeaseTake);
            if let Put::Done(version) = put(objects, &written, mode).await? {
                let attempted = None;
                return Ok(Self { objects: objects.clone(), written, version, deadline, attempted, was_released });
            }
            // The other run is observed from its first write on.
            watched = Some((String::new(), now));
        }
    }

    /// Starts to renew the lease.
    pub(super) fn keep(self) -> (HeldLease, Hold) {
        let (sender, receiver) = watch::channel(Held::Until(self.deadline));
        let (stop, stopped) = oneshot::channel();
        let clock = self.objects.clock.clone();
        let hold = Hold::new(clock.clone(), receiver);
        let grip = Grip(Arc::new(sender));
        let kept =
            HeldLease { stop, grip: grip.clone(), epoch: self.written.epoch, holder: self.written.holder.clone() };
        clock.spawn(Box::pin(self.renewing(grip, stopped)));
        (kept, hold)
    }

    async fn renewing(mut self, grip: Grip, mut stopped: oneshot::Receiver<oneshot::Sender<()>>) {
        let clock = self.objects.clock.clone();
        let mut next = clock.now() + RENEW;
        loop {
            let tick = clock.sleep_until(next.min(clock.now() + TICK));
            if let Either::Left((asked, _)) = select(&mut stopped, tick).await {
                grip.lose("it was released");
                // A lease that could not be renewed cannot be released either, and expires.
                if !self.deadline.has_passed(&*clock) {
                    self.release().await;
                }
                if let Ok(done) = asked {
                    // The caller may have stopped waiting.
                    let _ = done.send(());
                }
                return;
            }
            if self.deadline.has_passed(&*clock) {
                // The machine may have been suspended, so all users of the lease check it.
                grip.set(Held::Until(self.deadline));
            } else if clock.now() < next {
                continue;
            }
            let left = self.deadline.at().saturating_sub(clock.now()).max(PATIENCE);
            let renewed = within(&*clock, left, self.renew()).await;
            match renewed.unwrap_or_else(|| Err(StoreError::Journal("no response in time".into()))) {
                Ok(deadline) => {
                    grip.set(Held::Until(deadline));
                    next = deadline.at().saturating_sub(HOLD) + RENEW;
                }
                Err(StoreError::Lost { reason }) => {
                    grip.lose(&reason);
                    // The lease is already lost, so nothing is released.
                    if let Ok(done) = stopped.await {
                        let _ = done.send(());
                    }
                    return;
                }
                Err(error) => {
                    tracing::warn!(%error, "the lease could not be renewed; retrying");
                    next = clock.now() + TICK;
                }
            }
        }
    }

    async fn renew(&mut self) -> Result<Deadline, StoreError> {
        let renewals = self.written.renewals + 1;
        let written = Written { renewals, nonce: super::nonce()?, ..self.written.clone() };
        let before = self.attempted.replace(written.nonce.clone());
        let deadline = Deadline::after(&*self.objects.clock, HOLD);
        boundary::reached(Boundary::LeaseRenew);
        match put(&self.objects, &written, PutMode::Update(self.version.clone())).await? {
            Put::Done(version) => {
                (self.written, self.version, self.deadline) = (written, version, deadline);
                Ok(deadline)
            }
            Put::Collided => {
                let found = self.objects.get(NAME).await?;
                let found = found.and_then(|found| Some((parse(&self.objects, &found.bytes).ok()?, found.version)));
                if let Some((written, version)) = &found
                    && before.is_some_and(|before| before == written.nonce)
                {
                    // A renewal that was abandoned succeeded after all. Its time is unknown.
                    (self.written, self.version) = (written.clone(), version.clone());
                    return Ok(self.deadline);
                }
                let other = found.map(|(written, _)| written);
                Err(StoreError::Lost {
                    reason: match other {
                        Some(Written { status: Status::Broken, .. }) => "it was broken by `unlock`".into(),
                        Some(other) => format!("it was taken by {}", other.holder),
                        None => "it was removed".into(),
                    },
                })
            }
        }
    }

    async fn release(self) {
        let Ok(nonce) = super::nonce() else {
            return;
        };
        let written = Written { status: Status::Released, nonce, ..self.written };
        boundary::reached(Boundary::LeaseRelease);
        // A lease that is not released expires.
        if let Err(error) = put(&self.objects, &written, PutMode::Update(self.version)).await {
            tracing::warn!(%error, "the lease could not be released: the next run has to wait until it expires");
        }
    }
}

impl HeldLease {
    /// Releases the lease and waits until that is done.
    pub(super) async fn release(self) {
        let (done, answer) = oneshot::channel();
        if self.stop.send(done).is_ok() {
            // A task that has stopped holds no lease.
            let _ = answer.await;
        }
    }
}

impl Grip {
    /// Fails if the lease is known to be lost. If the lease may only have expired, puts are allowed: they collide with
    /// those of a taker.
    pub(super) fn ensure(&self) -> Result<(), StoreError> {
        match &*self.0.borrow() {
            Held::Until(_) => Ok(()),
            Held::Lost(reason) => Err(StoreError::Lost { reason: reason.clone() }),
        }
    }

    pub(super) fn lose(&self, reason: &str) {
        self.set(Held::Lost(reason.to_owned()));
    }

    /// Sets the state of the lease. A lost lease stays lost.
    fn set(&self, held: Held) {
        self.0.send_if_modified(|current| {
            let changes = matches!(current, Held::Until(_));
            if changes {
                *current = held;
            }
            changes
        });
    }
}

/// Removes the lease of another holder.
pub(super) async fn break_lease(objects: &Objects) -> Result<Option<Holder>, StoreError> {
    loop {
        let Some(found) = objects.get(NAME).await? else {
            return Ok(None);
        };
        let written = parse(objects, &found.bytes)?;
        match written.status {
            Status::Released => return Ok(None),
            Status::Broken => return Ok(Some(written.holder)),
            Status::Held => {}
        }
        let broken = Written { status: Status::Broken, nonce: super::nonce()?, ..written };
        boundary::reached(Boundary::LeaseRelease);
        // A collision means that it was renewed just now.
        if let Put::Done(_) = put(objects, &broken, PutMode::Update(found.version)).await? {
            return Ok(Some(broken.holder));
        }
    }
}

async fn put(objects: &Objects, written: &Written, mode: PutMode) -> Result<Put, StoreError> {
    let mut body = serde_json::to_vec_pretty(written).map_err(|error| StoreError::Journal(error.to_string()))?;
    body.push(b'\n');
    objects.put(NAME, body, mode, written.nonce.as_bytes()).await
}

fn parse(objects: &Objects, bytes: &[u8]) -> Result<Written, StoreError> {
    serde_json::from_slice(bytes).map_err(|error| StoreError::Broken {
        path: objects.path(NAME).to_string().into(),
        line: error.line().max(1),
        reason: format!("it is not a lease: {}; it contains only the holder of the stack", source::message(&error)),
        recovery: Recovery::Remove,
    })
}

fn watching(written: &Written) -> Diagnostic {
    let (holder, limit) = (&written.holder, TAKE.as_secs());
    match written.status {
        Status::Broken => Diagnostic::note(format!(
            "the lease of {holder} was broken; waiting {limit} s, until its holder has stopped"
        )),
        _ => Diagnostic::note(format!(
            "the stack is locked by {holder}; waiting up to {limit} s for its lease to be renewed or to expire"
        )),
    }
}
