//! The time during which a writer is known to be the only one.

use super::{Clock, StoreError};
use std::{sync::Arc, time::Duration};
use tokio::sync::watch;

/// The lease from the writer's point of view. Clones share it.
#[derive(Clone)]
pub(super) struct Hold {
    clock: Arc<dyn Clock>,
    held: watch::Receiver<Held>,
}

/// The state of a lease.
#[derive(Clone, Debug)]
pub(super) enum Held {
    /// No other run can have taken the lease before this deadline.
    Until(Deadline),
    /// The lease belongs to another writer, or to none.
    Lost(String),
}

/// A moment by the clocks of the holder.
#[derive(Clone, Copy, Debug)]
pub(super) struct Deadline {
    now: Duration,
    /// Wall-clock deadline. It detects that the machine was suspended, which the other clock does not.
    wall: Duration,
}

impl Deadline {
    /// Returns the deadline after this time.
    pub(super) fn after(clock: &dyn Clock, time: Duration) -> Self {
        Self { now: clock.now() + time, wall: clock.wall() + time }
    }

    pub(super) fn has_passed(self, clock: &dyn Clock) -> bool {
        clock.now() >= self.now || clock.wall() >= self.wall
    }

    /// Returns the deadline on [`Clock::now`].
    pub(super) fn at(self) -> Duration {
        self.now
    }
}

impl Hold {
    pub(super) fn new(clock: Arc<dyn Clock>, held: watch::Receiver<Held>) -> Self {
        Self { clock, held }
    }

    /// Fails if the lease may have been lost.
    pub(super) fn ensure(&self) -> Result<(), StoreError> {
        match &*self.held.borrow() {
            Held::Until(deadline) if deadline.has_passed(&*self.clock) => Err(expired()),
            Held::Until(_) => Ok(()),
            Held::Lost(reason) => Err(StoreError::Lost { reason: reason.clone() }),
        }
    }

    /// Waits until the lease may have been lost, and returns the cause.
    pub(super) async fn lost(&self) -> StoreError {
        let mut held = self.held.clone();
        loop {
            let deadline = match &*held.borrow_and_update() {
                Held::Until(deadline) if deadline.has_passed(&*self.clock) => return expired(),
                Held::Until(deadline) => deadline.at(),
                Held::Lost(reason) => return StoreError::Lost { reason: reason.clone() },
            };
            tokio::select! {
                biased;
                () = self.clock.sleep_until(deadline) => {}
                changed = held.changed() => if changed.is_err() {
                    return StoreError::Lost { reason: "it is no longer renewed".into() };
                },
            }
        }
    }
}

fn expired() -> StoreError {
    StoreError::Lost { reason: "it could not be renewed in time".into() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use futures::{FutureExt, future::BoxFuture};
    use std::sync::Mutex;

    /// A clock that does not advance until it is set, and that wakes no task.
    #[derive(Default)]
    struct Set(Mutex<(Duration, Duration)>);

    impl Clock for Set {
        fn now(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn wall(&self) -> Duration {
            self.0.lock().unwrap().1
        }

        fn sleep_until(&self, _: Duration) -> BoxFuture<'static, ()> {
            Box::pin(std::future::pending())
        }

        fn spawn(&self, _: BoxFuture<'static, ()>) {}
    }

    #[test]
    fn lease_is_lost_after_the_machine_was_suspended() {
        let clock = Arc::new(Set::default());
        let time = Duration::from_secs;
        let deadline = Deadline::after(&*clock, time(25));
        let (keeper, held) = watch::channel(Held::Until(deadline));
        let hold = Hold::new(clock.clone(), held);
        hold.ensure().unwrap();
        // The monotonic clock shows five seconds, the wall clock two hours.
        *clock.0.lock().unwrap() = (time(5), time(7200));
        assert!(matches!(hold.ensure(), Err(StoreError::Lost { .. })));
        assert!(hold.lost().now_or_never().is_some());
        // The lease was not taken in the meantime, and it was renewed.
        keeper.send_replace(Held::Until(Deadline::after(&*clock, time(25))));
        hold.ensure().unwrap();
        assert!(hold.lost().now_or_never().is_none());
        // Setting the wall clock back does not extend the deadline on the other clock.
        *clock.0.lock().unwrap() = (time(31), time(0));
        assert!(hold.ensure().is_err());
        drop(keeper);
        assert!(hold.lost().now_or_never().is_some());
    }
}
