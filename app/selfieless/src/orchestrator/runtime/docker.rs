//! Instances as containers of a Docker engine.
//!
//! Containers outlive an orchestrator that was killed. They have labels with its address, by which the next orchestrator
//! with that address finds and removes them.

use std::{collections::HashMap, env, net::SocketAddr, time::Duration};

use async_trait::async_trait;
use bollard::{
    API_DEFAULT_VERSION,
    errors::Error,
    models::{ContainerCreateBody, HostConfig, PortBinding},
    query_parameters::{ListContainersOptions, RemoveContainerOptions, StopContainerOptions},
};

use super::{Instance, Launch, Runtime, RuntimeError};
use crate::orchestrator::settings;

/// Label with the address of the orchestrator.
const OWNER: &str = "selfieless.orchestrator";
/// Label with the port of the instance.
const PORT: &str = "selfieless.port";
/// Time limit of a request to the engine, in seconds.
const LIMIT_SECONDS: u64 = 30;
/// Variables of the machine, which would be wrong in a container.
const LOCAL: [&str; 9] =
    ["PATH", "HOME", "HOSTNAME", "PWD", "OLDPWD", "TMPDIR", "SHLVL", "EXIT_WITH_PARENT", "DOCKER_HOST"];

/// Starts containers.
pub(in super::super) struct Docker {
    engine: bollard::Docker,
    settings: settings::Docker,
    /// Address of the orchestrator.
    owner: String,
}

impl Docker {
    /// Returns a client of the engine, without a connection to it.
    pub(super) fn connect(settings: settings::Docker, address: SocketAddr) -> Result<Self, RuntimeError> {
        let host = &settings.host;
        let engine = if host.starts_with("unix://") {
            bollard::Docker::connect_with_socket(host, LIMIT_SECONDS, API_DEFAULT_VERSION)
        } else {
            bollard::Docker::connect_with_http(host, LIMIT_SECONDS, API_DEFAULT_VERSION)
        };
        let engine = engine.map_err(|source| RuntimeError::Docker { host: host.clone(), source })?;
        Ok(Self { engine, settings, owner: address.to_string() })
    }

    fn error(&self, source: Error) -> RuntimeError {
        RuntimeError::Docker { host: self.settings.host.clone(), source }
    }

    /// Returns the IDs of containers with these labels, running or not.
    async fn containers(&self, labels: Vec<String>) -> Result<Vec<String>, RuntimeError> {
        let filters = Some(HashMap::from([("label".to_owned(), labels)]));
        let options = ListContainersOptions { all: true, filters, ..ListContainersOptions::default() };
        let found = self.engine.list_containers(Some(options)).await.map_err(|source| self.error(source))?;
        Ok(found.into_iter().filter_map(|container| container.id).collect())
    }

    async fn remove_all(&self, labels: Vec<String>) -> Result<(), RuntimeError> {
        for id in self.containers(labels).await? {
            tracing::warn!(id, "a container of a previous orchestrator is removed");
            remove(&self.engine, &id).await.map_err(|source| self.error(source))?;
        }
        Ok(())
    }

    fn owner_label(&self) -> String {
        format!("{OWNER}={}", self.owner)
    }

    fn container(&self, launch: &Launch) -> ContainerCreateBody {
        let settings::Docker { image, network, memory_bytes, nano_cpus, .. } = &self.settings;
        let is_published = network != "host";
        let mut addresses = vec![("LISTEN", launch.listen)];
        addresses.extend(launch.metrics.map(|metrics| ("METRICS_LISTEN", metrics)));
        let (mut environment, mut exposed, mut bindings) = (inherited(), Vec::new(), HashMap::new());
        for (name, address) in addresses {
            let port = address.port();
            // A published port is reached through all addresses of the container.
            let inside = if is_published { format!("0.0.0.0:{port}") } else { address.to_string() };
            environment.push(format!("{name}={inside}"));
            if is_published {
                exposed.push(format!("{port}/tcp"));
                let binding =
                    PortBinding { host_ip: Some(address.ip().to_string()), host_port: Some(port.to_string()) };
                bindings.insert(format!("{port}/tcp"), Some(vec![binding]));
            }
        }
        let labels = [(OWNER, self.owner.clone()), (PORT, launch.listen.port().to_string())];
        ContainerCreateBody {
            image: Some(image.clone()),
            env: Some(environment),
            exposed_ports: is_published.then_some(exposed),
            labels: Some(labels.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()),
            host_config: Some(HostConfig {
                network_mode: Some(network.clone()),
                port_bindings: is_published.then_some(bindings),
                memory: *memory_bytes,
                nano_cpus: *nano_cpus,
                ..HostConfig::default()
            }),
            ..ContainerCreateBody::default()
        }
    }
}

/// Returns the variables that a container inherits.
fn inherited() -> Vec<String> {
    let replaced = |name: &str| ["LISTEN", "METRICS_LISTEN"].contains(&name) || LOCAL.contains(&name);
    let variables =
        env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)));
    variables.filter(|(name, _)| !replaced(name)).map(|(name, value)| format!("{name}={value}")).collect()
}

/// Removes a container, running or not.
async fn remove(engine: &bollard::Docker, id: &str) -> Result<(), Error> {
    let options = RemoveContainerOptions { force: true, v: true, ..RemoveContainerOptions::default() };
    match engine.remove_container(id, Some(options)).await {
        // Another client removes it, or has removed it.
        Err(Error::DockerResponseServerError { status_code: 404 | 409, .. }) => Ok(()),
        removed => removed,
    }
}

#[async_trait(?Send)]
impl Runtime for Docker {
    async fn prepare(&self) -> Result<(), RuntimeError> {
        // An older engine does not know the default version of the API. The clone shares the version.
        self.engine.clone().negotiate_version().await.map_err(|source| self.error(source))?;
        let image = self.settings.image.clone();
        self.engine.inspect_image(&image).await.map_err(|source| match source {
            Error::DockerResponseServerError { status_code: 404, .. } => RuntimeError::Image { image, source },
            source => self.error(source),
        })?;
        self.remove_all(vec![self.owner_label()]).await
    }

    async fn start(&self, launch: &Launch) -> Result<Box<dyn Instance>, RuntimeError> {
        // A container whose creation had no response would keep the port.
        self.remove_all(vec![self.owner_label(), format!("{PORT}={}", launch.listen.port())]).await?;
        let created = self.engine.create_container(None, self.container(launch)).await;
        let id = created.map_err(|source| self.error(source))?.id;
        let container = Container { engine: self.engine.clone(), host: self.settings.host.clone(), id };
        if let Err(source) = self.engine.start_container(&container.id, None).await {
            // The error of the start is the cause.
            let _ = remove(&self.engine, &container.id).await;
            return Err(self.error(source));
        }
        Ok(Box::new(container))
    }
}

struct Container {
    engine: bollard::Docker,
    host: String,
    id: String,
}

impl Container {
    fn error(&self, source: Error) -> RuntimeError {
        RuntimeError::Docker { host: self.host.clone(), source }
    }
}

#[async_trait(?Send)]
impl Instance for Container {
    fn id(&self) -> String {
        self.id.clone()
    }

    async fn has_exited(&mut self) -> Result<bool, RuntimeError> {
        match self.engine.inspect_container(&self.id, None).await {
            Ok(container) => Ok(container.state.and_then(|state| state.running) == Some(false)),
            Err(Error::DockerResponseServerError { status_code: 404, .. }) => Ok(true),
            Err(source) => Err(self.error(source)),
        }
    }

    async fn stop(&mut self, limit: Duration) -> Result<(), RuntimeError> {
        let seconds = limit.as_secs_f64().ceil() as i32;
        let options = StopContainerOptions { t: Some(seconds), ..StopContainerOptions::default() };
        let stopped = self.engine.stop_container(&self.id, Some(options)).await;
        // The container is removed in any case; the removal kills it.
        let removed = remove(&self.engine, &self.id).await.map_err(|source| self.error(source));
        match stopped {
            Ok(()) | Err(Error::DockerResponseServerError { status_code: 304 | 404, .. }) => removed,
            Err(source) => removed.and(Err(self.error(source))),
        }
    }
}
