//! The duration of a run.

use std::time::{Duration, Instant};

/// Measures the duration of a run, without the time that the user takes to answer questions.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stopwatch {
    started: Instant,
    waited: Duration,
}

impl Stopwatch {
    pub(super) fn start() -> Self {
        Self { started: Instant::now(), waited: Duration::ZERO }
    }

    /// Returns the duration of the run without the time spent in [`Stopwatch::asking`].
    pub(super) fn elapsed(&self) -> Duration {
        self.since_start().saturating_sub(self.waited)
    }

    /// Returns the time since the run started.
    pub(super) fn since_start(&self) -> Duration {
        self.started.elapsed()
    }

    /// Asks a question and excludes the time until the answer.
    pub(super) fn asking<T>(&mut self, question: impl FnOnce() -> T) -> T {
        let asked = Instant::now();
        let answer = question();
        self.waited += asked.elapsed();
        answer
    }
}
