//! Everything that runs as long as the cloud does: the endpoint and the reconcilers.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Phases of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// The cloud ends and leaves processes running, to be adopted by the next one.
    Detaching,
    /// The cloud ends and stops its processes.
    Stopping,
}

/// Tells a task the phase, and when it changes.
#[derive(Clone)]
pub(crate) struct PhaseWatch(watch::Receiver<Phase>);

impl PhaseWatch {
    pub(crate) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Returns when the cloud ends.
    pub(crate) async fn ended(&mut self) -> Phase {
        // The sender lives in `Background`; when it is dropped without a word, processes are left alone.
        self.0.wait_for(|phase| *phase != Phase::Running).await.map_or(Phase::Detaching, |phase| *phase)
    }
}

/// The tasks. Dropping this ends them at once.
pub(crate) struct Background {
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

impl Background {
    pub(crate) fn new() -> Background {
        Background { phase: watch::Sender::new(Phase::Running), tasks: JoinSet::new() }
    }

    /// Starts a task that ends on its own when the phase changes.
    pub(crate) fn spawn<F>(&mut self, task: impl FnOnce(PhaseWatch) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(PhaseWatch(self.phase.subscribe())));
    }

    /// Ends all tasks in order.
    pub(crate) async fn end(mut self, phase: Phase) {
        self.phase.send_replace(phase);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the local cloud failed");
            }
        }
    }
}
