//! Timers that are reset far more often than they expire.

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use hyper::rt::{Sleep, Timer};
use tokio::time::Instant;

/// A deadline. Postponing it costs nothing: the underlying timer is reset only when it expires.
pub(super) struct Alarm {
    sleep: Pin<Box<tokio::time::Sleep>>,
    due: Instant,
}

impl Alarm {
    pub(super) fn at(due: Instant) -> Self {
        Self { sleep: Box::pin(tokio::time::sleep_until(due)), due }
    }

    pub(super) fn set(&mut self, due: Instant) {
        self.due = due;
        if due < self.sleep.deadline() {
            self.sleep.as_mut().reset(due);
        }
    }

    /// Returns ready once the deadline has passed.
    pub(super) fn poll_expired(&mut self, context: &mut Context<'_>) -> Poll<()> {
        while self.sleep.as_mut().poll(context).is_ready() {
            if self.due <= Instant::now() {
                return Poll::Ready(());
            }
            self.sleep.as_mut().reset(self.due);
        }
        Poll::Pending
    }
}

impl Future for Alarm {
    type Output = ();

    fn poll(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        self.get_mut().poll_expired(context)
    }
}

impl Sleep for Alarm {}

/// Timers for hyper, which resets them once per request.
#[derive(Clone, Copy)]
pub(super) struct Alarms;

impl Timer for Alarms {
    fn sleep(&self, duration: Duration) -> Pin<Box<dyn Sleep>> {
        Box::pin(Alarm::at(Instant::now() + duration))
    }

    fn sleep_until(&self, deadline: std::time::Instant) -> Pin<Box<dyn Sleep>> {
        Box::pin(Alarm::at(deadline.into()))
    }

    fn reset(&self, sleep: &mut Pin<Box<dyn Sleep>>, deadline: std::time::Instant) {
        match sleep.as_mut().downcast_mut_pin::<Alarm>() {
            Some(alarm) => alarm.get_mut().set(deadline.into()),
            None => *sleep = self.sleep_until(deadline),
        }
    }
}
