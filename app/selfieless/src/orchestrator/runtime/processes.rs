//! Instances as child processes. They inherit the environment.
//!
//! A child asks the kernel to be killed with its parent (`EXIT_WITH_PARENT`), so none outlives an orchestrator that was
//! killed. The kernel means the *thread* that started the child, so all children are started by the main thread.

use std::{path::PathBuf, process, process::Stdio, time::Duration};

use async_trait::async_trait;
use rustix::process::{Pid, Signal, kill_process};
use tokio::{
    process::{Child, Command},
    time::timeout,
};

use super::{Instance, Launch, Runtime, RuntimeError};

/// Starts child processes.
pub(in super::super) struct Processes {
    program: PathBuf,
}

impl Processes {
    pub(super) fn new(program: PathBuf) -> Self {
        Self { program }
    }

    fn error(&self, source: std::io::Error) -> RuntimeError {
        RuntimeError::Program { program: self.program.display().to_string(), source }
    }
}

#[async_trait(?Send)]
impl Runtime for Processes {
    async fn prepare(&self) -> Result<(), RuntimeError> {
        let metadata = tokio::fs::metadata(&self.program).await.map_err(|source| self.error(source))?;
        if metadata.is_file() { Ok(()) } else { Err(self.error(std::io::ErrorKind::InvalidInput.into())) }
    }

    async fn start(&self, launch: &Launch) -> Result<Box<dyn Instance>, RuntimeError> {
        let mut command = Command::new(&self.program);
        command.env("LISTEN", launch.listen.to_string()).env("EXIT_WITH_PARENT", process::id().to_string());
        match launch.metrics {
            Some(metrics) => command.env("METRICS_LISTEN", metrics.to_string()),
            None => command.env_remove("METRICS_LISTEN"),
        };
        // The log of the child is on standard error; the address on standard output is known.
        command.stdin(Stdio::null()).stdout(Stdio::null()).kill_on_drop(true);
        let child = command.spawn().map_err(|source| self.error(source))?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        Ok(Box::new(Process { child, pid }))
    }
}

struct Process {
    child: Child,
    pid: Option<Pid>,
}

impl Process {
    fn error(&self, source: std::io::Error) -> RuntimeError {
        RuntimeError::Process { id: self.id(), source }
    }
}

#[async_trait(?Send)]
impl Instance for Process {
    fn id(&self) -> String {
        self.pid.map(|pid| pid.to_string()).unwrap_or_default()
    }

    async fn has_exited(&mut self) -> Result<bool, RuntimeError> {
        self.child.try_wait().map(|status| status.is_some()).map_err(|source| self.error(source))
    }

    async fn stop(&mut self, limit: Duration) -> Result<(), RuntimeError> {
        // The ID belongs to the child until its exit status is read.
        if let Some(pid) = self.pid.filter(|_| self.child.id().is_some()) {
            // An error means that the child has exited.
            let _ = kill_process(pid, Signal::TERM);
        }
        if let Ok(stopped) = timeout(limit, self.child.wait()).await {
            return stopped.map(drop).map_err(|source| self.error(source));
        }
        self.child.kill().await.map_err(|source| self.error(source))
    }
}
