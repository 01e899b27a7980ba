//! Time and tasks of a store.

use futures::future::{BoxFuture, Either, select};
use std::{
    pin::pin,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// A clock and an executor, so that tests of timeouts need not wait.
pub trait Clock: Send + Sync + 'static {
    /// Returns the time since a fixed point. It never decreases, and may stop while the machine is suspended.
    fn now(&self) -> Duration;

    /// Returns the wall-clock time, which may jump. It is compared only with earlier times of the same clock.
    fn wall(&self) -> Duration;

    /// Waits until [`Clock::now`] reaches `at`.
    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()>;

    /// Runs a task in the background.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// The machine's clock and tokio's executor.
#[derive(Clone, Copy, Debug)]
pub struct SystemClock(Instant);

impl Default for SystemClock {
    fn default() -> Self {
        Self(Instant::now())
    }
}

impl Clock for SystemClock {
    fn now(&self) -> Duration {
        self.0.elapsed()
    }

    fn wall(&self) -> Duration {
        SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        Box::pin(tokio::time::sleep_until((self.0 + at).into()))
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        drop(tokio::spawn(task));
    }
}

/// Returns the result of `work`, or `None` after `limit`.
pub(super) async fn within<T>(clock: &dyn Clock, limit: Duration, work: impl Future<Output = T>) -> Option<T> {
    let sleep = clock.sleep_until(clock.now() + limit);
    match select(pin!(work), sleep).await {
        Either::Left((answer, _)) => Some(answer),
        Either::Right(_) => None,
    }
}

pub(super) async fn sleep(clock: &dyn Clock, time: Duration) {
    clock.sleep_until(clock.now() + time).await;
}
