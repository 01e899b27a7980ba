//! Tasks that run for the lifetime of the cloud: the endpoint and the reconcilers.

use std::future::Future;

use tokio::sync::watch;
use tokio::task::JoinSet;

/// Phases of a cloud.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Running,
    /// The cloud stops and leaves its processes running, to be adopted by the next one.
    Detaching,
    /// The cloud stops together with its processes.
    Stopping,
}

/// Receiver of the phase of the cloud.
#[derive(Clone)]
pub(crate) struct PhaseWatch(watch::Receiver<Phase>);

impl PhaseWatch {
    pub(crate) fn now(&self) -> Phase {
        *self.0.borrow()
    }

    /// Waits until the cloud stops, and returns the phase.
    pub(crate) async fn ended(&mut self) -> Phase {
        // `Background` owns the sender. If it is dropped without a phase change, processes keep running.
        self.0.wait_for(|phase| *phase != Phase::Running).await.map_or(Phase::Detaching, |phase| *phase)
    }
}

/// The tasks. Dropping the set aborts them.
pub(crate) struct Background {
    phase: watch::Sender<Phase>,
    tasks: JoinSet<()>,
}

impl Background {
    pub(crate) fn new() -> Background {
        Background { phase: watch::Sender::new(Phase::Running), tasks: JoinSet::new() }
    }

    /// Starts a task that finishes on its own when the phase changes.
    pub(crate) fn spawn<F>(&mut self, task: impl FnOnce(PhaseWatch) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.tasks.spawn(task(PhaseWatch(self.phase.subscribe())));
    }

    /// Changes the phase, and waits for the tasks in the order of their start.
    pub(crate) async fn end(mut self, phase: Phase) {
        self.phase.send_replace(phase);
        while let Some(ended) = self.tasks.join_next().await {
            if let Err(error) = ended {
                tracing::error!(%error, "a part of the local cloud failed");
            }
        }
    }
}
