//! Time and tasks as a store sees them.

use futures::future::{BoxFuture, Either, select};
use std::{
    pin::pin,
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

/// Time and tasks as a store sees them, so that tests of what expires do not wait.
pub trait Clock: Send + Sync + 'static {
    /// Time that only grows, from any fixed point; it may stand still while the machine sleeps.
    fn now(&self) -> Duration;

    /// The time on the wall; it may jump. Only ever compared with an earlier answer of the same clock.
    fn wall(&self) -> Duration;

    /// Comes back once [`Clock::now`] says so.
    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()>;

    /// Runs a task beside the caller's.
    fn spawn(&self, task: BoxFuture<'static, ()>);
}

/// The machine's clock, and tokio's tasks.
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
