//! Supervises the instance of a slot: starts it, checks it, and replaces it when it fails.

use std::{rc::Rc, sync::Arc, time::Duration};

use tokio::{
    sync::watch,
    time::{Instant, sleep, timeout},
};

use super::{
    backend::Backend,
    fleet::Fleet,
    runtime::{Instance, Launch, Runtime},
    settings::Times,
};

/// Time between the health checks of an instance that starts.
const START_POLL: Duration = Duration::from_millis(50);
/// Time limit of the stop of an instance that has failed, before it is killed.
const FAILED_STOP: Duration = Duration::from_secs(1);
/// Time limit of the stop of an instance without requests, before it is killed.
const IDLE_STOP: Duration = Duration::from_secs(3);
/// Pause after an instance that has failed to start. It doubles with each failure.
const PAUSE: Duration = Duration::from_millis(200);
/// Longest pause.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);

/// Supervisor of a slot.
pub(super) struct Supervisor {
    pub(super) slot: usize,
    pub(super) fleet: Arc<Fleet>,
    pub(super) runtime: Rc<dyn Runtime>,
    pub(super) launch: Launch,
    pub(super) times: Times,
}

/// End of an instance.
enum End {
    /// The instance is no longer needed.
    Unneeded,
    /// The instance failed.
    Failed { was_ready: bool, failure: String },
}

impl Supervisor {
    /// Runs an instance whenever the fleet needs one in this slot, forever.
    pub(super) async fn run(self) {
        let mut desired = self.fleet.watch_desired();
        let mut failures = 0;
        while desired.wait_for(|desired| self.slot < *desired).await.is_ok() {
            let end = self.run_instance(&mut desired).await;
            let End::Failed { was_ready, .. } = end else {
                continue;
            };
            failures = if was_ready { 0 } else { failures + 1 };
            if failures > 0 {
                let pause = PAUSE.saturating_mul(1 << failures.min(8)).min(LONGEST_PAUSE);
                tokio::select! {
                    () = sleep(pause) => (),
                    () = self.until_unneeded(&mut desired) => (),
                }
            }
        }
    }

    /// Runs an instance from its start to its stop.
    async fn run_instance(&self, desired: &mut watch::Receiver<usize>) -> End {
        let (slot, port) = (self.slot, self.fleet.port(self.slot));
        self.fleet.set_starting(slot);
        let mut instance = match self.runtime.start(&self.launch).await {
            Ok(instance) => instance,
            Err(error) => {
                tracing::error!(port, %error, "an instance cannot be started");
                self.fleet.set_failed(slot, error.to_string());
                self.fleet.set_stopped(slot);
                return End::Failed { was_ready: false, failure: error.to_string() };
            }
        };
        let id = instance.id();
        tracing::info!(port, id, "an instance starts");
        self.fleet.set_started(slot, id.clone());
        let end = self.watch(&mut *instance, desired).await;
        let limit = match &end {
            End::Unneeded => {
                tracing::info!(port, id, "an instance is no longer needed");
                self.fleet.set_stopping(slot);
                IDLE_STOP
            }
            End::Failed { failure, .. } => {
                tracing::warn!(port, id, failure, "an instance is replaced");
                self.fleet.set_failed(slot, failure.clone());
                FAILED_STOP
            }
        };
        if let Err(error) = instance.stop(limit).await {
            tracing::error!(port, id, %error, "an instance cannot be stopped");
        }
        self.fleet.set_stopped(slot);
        end
    }

    /// Checks an instance until it fails, or until it is not needed and has no requests.
    async fn watch(&self, instance: &mut dyn Instance, desired: &mut watch::Receiver<usize>) -> End {
        let backend = Backend::new(self.launch.target);
        let deadline = Instant::now() + self.times.start_limit;
        while let Err(error) = backend.check(self.times.health_limit).await {
            let failure = match instance.has_exited().await {
                Ok(false) if Instant::now() < deadline => None,
                Ok(false) => Some(format!("not healthy within {:?} of its start: {error}", self.times.start_limit)),
                Ok(true) => Some("the instance exited while it started".to_owned()),
                Err(error) => Some(error.to_string()),
            };
            if let Some(failure) = failure {
                return End::Failed { was_ready: false, failure };
            }
            tokio::select! {
                () = sleep(START_POLL) => (),
                () = self.until_unneeded(desired) => return End::Unneeded,
            }
        }
        self.fleet.set_ready(self.slot, Arc::clone(&backend));
        loop {
            tokio::select! {
                () = sleep(self.times.health) => (),
                () = self.fleet.until_suspect(self.slot) => (),
                () = self.until_unneeded(desired) => {
                    self.drain(&backend).await;
                    return End::Unneeded;
                }
            }
            if let Err(failure) = backend.check(self.times.health_limit).await {
                return End::Failed { was_ready: true, failure: failure.to_string() };
            }
            // Another program may listen on the port of an instance that has exited.
            if let Ok(true) = instance.has_exited().await {
                return End::Failed { was_ready: true, failure: "the instance has exited".to_owned() };
            }
            self.fleet.set_healthy(self.slot);
        }
    }

    async fn drain(&self, backend: &Backend) {
        self.fleet.set_draining(self.slot);
        if timeout(self.times.drain_limit, backend.until_idle()).await.is_err() {
            let (port, requests) = (backend.address().port(), backend.in_flight());
            tracing::warn!(port, requests, "an instance is stopped with requests in flight");
        }
    }

    async fn until_unneeded(&self, desired: &mut watch::Receiver<usize>) {
        // An error means that the fleet is gone, so no instance is needed.
        let _ = desired.wait_for(|desired| self.slot >= *desired).await;
    }
}
