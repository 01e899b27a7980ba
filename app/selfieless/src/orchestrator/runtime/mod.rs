//! Runtimes of instances: processes and Docker containers.

mod docker;
mod processes;

use std::{net::SocketAddr, rc::Rc, time::Duration};

use async_trait::async_trait;

pub(super) use docker::Docker;
pub(super) use processes::Processes;

use super::settings;

/// Starts instances.
#[async_trait(?Send)]
pub(super) trait Runtime {
    /// Checks that instances can be started, and removes those of a previous orchestrator with the same ports.
    async fn prepare(&self) -> Result<(), RuntimeError>;

    /// Starts an instance.
    async fn start(&self, launch: &Launch) -> Result<Box<dyn Instance>, RuntimeError>;
}

/// A running instance.
#[async_trait(?Send)]
pub(super) trait Instance {
    /// Returns an ID for operators: that of the process or of the container.
    fn id(&self) -> String;

    /// Returns whether the instance has exited.
    async fn has_exited(&mut self) -> Result<bool, RuntimeError>;

    /// Asks the instance to stop (SIGTERM), kills it after the time limit, and releases its port.
    async fn stop(&mut self, limit: Duration) -> Result<(), RuntimeError>;
}

/// Addresses of an instance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Launch {
    /// Address on which the instance listens.
    pub(super) listen: SocketAddr,
    /// Address at which the orchestrator reaches the instance.
    pub(super) target: SocketAddr,
    /// Address of the metrics, if they are served.
    pub(super) metrics: Option<SocketAddr>,
}

/// Error of a runtime.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuntimeError {
    #[error("{program} cannot be started: {source}; set PROGRAM to the executable of the service acts")]
    Program { program: String, source: std::io::Error },
    #[error("the process {id} does not respond to the operating system: {source}")]
    Process { id: String, source: std::io::Error },
    #[error("the Docker engine at {host} failed: {source}")]
    Docker { host: String, source: bollard::errors::Error },
    #[error("the image {image} cannot be used: {source}; pull or build it, or correct IMAGE")]
    Image { image: String, source: bollard::errors::Error },
}

/// Returns the runtime of the settings. `address` is that of the orchestrator.
pub(super) fn of(settings: &settings::Runtime, address: SocketAddr) -> Result<Rc<dyn Runtime>, RuntimeError> {
    Ok(match settings {
        settings::Runtime::Processes { program } => Rc::new(Processes::new(program.clone())),
        settings::Runtime::Docker(docker) => Rc::new(Docker::connect(docker.clone(), address)?),
    })
}
