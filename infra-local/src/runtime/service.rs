//! One process of an instance: its start and its restarts.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::time::Instant;

use super::confinement::Confinement;
use super::engine::{Engine, EngineError};
use super::network::{NetworkHandle, Place, Site};
use super::process::{ProcessSpec, spawn};
use super::server_home::{self, DatabaseSpec, Replication};
use super::{artifact, metadata};
use crate::domain::network::{self, End, Flow, Traffic};
use crate::domain::ssm;
use crate::model::Cloud;
use crate::model::ec2::instance::Instance;
use crate::model::machine::{Artifact, MachineDatabase, MachineProgram, MachineService, ParameterReference};
use crate::model::process::ProcessIdentity;
use crate::state::Shared;
use crate::wire::ApiError;

/// Line of a host's console when its database is a standby that streams from its primary: part of the Machine document's
/// format, which deployments wait for.
const STREAMING: &str = "infra: the standby streams from its primary";

/// The program of a unit.
pub(super) enum Unit {
    Service(MachineService),
    Database(Engine, MachineDatabase),
}

/// A started unit.
pub(super) struct Started {
    pub(super) process: ProcessIdentity,
    /// Line for the host's console.
    pub(super) report: Option<&'static str>,
}

/// The host that a unit runs on.
pub(super) struct Host<'a> {
    pub(super) shared: &'a Shared,
    pub(super) region: &'a str,
    pub(super) instance: &'a Instance,
    pub(super) network: &'a NetworkHandle,
    /// Directory of the instance.
    pub(super) directory: &'a Path,
}

impl Host<'_> {
    /// The instance's interface.
    fn site(&self) -> Site {
        self.network.site(Place::Interface(self.instance.network_interface_id.clone()))
    }

    /// The address that programs listen on.
    fn address(&self) -> Ipv4Addr {
        let address = self.instance.address;
        self.shared.read(|cloud| cloud.region(self.region).map_or(address, |region| region.private_address(address)))
    }

    /// Environment of every program; no other variable of the cloud's process is passed on.
    pub(super) fn environment(&self) -> BTreeMap<String, String> {
        let (endpoint, metadata) = if self.site().is_inside() {
            let endpoint = SocketAddr::from((network::ENDPOINTS, self.shared.endpoint().port()));
            (endpoint, format!("http://{}", network::METADATA))
        } else {
            (self.shared.endpoint(), format!("http://{}:{}", self.address(), metadata::PORT))
        };
        let variables = [
            ("HOME", self.directory.join("root").display().to_string()),
            ("TMPDIR", self.directory.join("tmp").display().to_string()),
            ("AWS_REGION", self.region.to_owned()),
            ("AWS_ENDPOINT_URL", format!("http://{endpoint}")),
            ("AWS_EC2_METADATA_SERVICE_ENDPOINT", metadata),
        ];
        let path = std::env::var("PATH").ok().map(|path| ("PATH", path));
        variables.into_iter().chain(path).map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// Programs and packages are downloaded from the internet, so a host needs a way there. AWS's endpoints are asked over
    /// HTTPS.
    fn check_way_out(&self) -> Result<(), UnitError> {
        let interface = End::Interface(&self.instance.network_interface_id);
        let path =
            self.network.current().network.path(Flow::new(interface, network::ENDPOINTS, Traffic::Tcp(443, 443)));
        match path.blocked {
            None => Ok(()),
            Some(by) => Err(UnitError::NoWayOut { component: by.component, reason: by.reason }),
        }
    }

    fn parameter(&self, reference: &ParameterReference) -> Result<String, UnitError> {
        let value = |cloud: &Cloud| ssm::value(cloud.region(self.region)?, &reference.parameter, reference.version);
        let failed =
            |error: ApiError| UnitError::Parameter { name: reference.parameter.clone(), message: error.message };
        self.shared.read(value).map_err(failed)
    }
}

/// Reasons why a unit could not be started.
#[derive(Debug, thiserror::Error)]
pub(super) enum UnitError {
    #[error(transparent)]
    Artifact(#[from] artifact::ArtifactError),
    #[error(transparent)]
    Engine(#[from] EngineError),
    #[error("the parameter {name} cannot be read: {message}")]
    Parameter { name: String, message: String },
    #[error(
        "nothing can be fetched, because the instance has no way to the internet: {component}: {reason}; route 0.0.0.0/0 to \
         an internet gateway and give the instance a public address, or to a NAT gateway, and let its security groups send \
         to port 443"
    )]
    NoWayOut { component: String, reason: String },
    #[error("{} cannot be run: {source}", program.display())]
    Run { program: PathBuf, source: std::io::Error },
}

impl Unit {
    pub(super) fn service(service: MachineService) -> Unit {
        Unit::Service(service)
    }

    pub(super) fn database(engine: Engine, database: MachineDatabase) -> Unit {
        Unit::Database(engine, database)
    }

    /// Returns the port that the service listens on.
    pub(super) fn port(&self) -> Option<u16> {
        match self {
            Unit::Service(service) => service.listen,
            Unit::Database(engine, database) => Some(database.port.unwrap_or_else(|| engine.default_port())),
        }
    }

    /// Returns the path of the unit's output.
    pub(super) fn log(&self, directory: &Path) -> PathBuf {
        match self {
            Unit::Service(service) => directory.join(format!("{}.log", service.name)),
            Unit::Database(engine, _) => directory.join(engine.name()).join(engine.log()),
        }
    }

    /// Returns whether the unit's programs are installed.
    fn is_installed(&self, directory: &Path) -> bool {
        match self {
            Unit::Service(service) => programs(service).all(|(name, _)| program_path(directory, &name).exists()),
            Unit::Database(engine, _) => directory.join(engine.name()).exists(),
        }
    }

    /// Downloads the unit's program.
    pub(super) async fn install(&self, host: &Host<'_>) -> Result<(), UnitError> {
        host.check_way_out()?;
        match self {
            Unit::Service(service) => install_programs(service, host.shared, host.directory).await,
            Unit::Database(..) => Ok(()),
        }
    }

    /// Starts the unit. A database accepts connections when this returns, and a new standby streams.
    pub(super) async fn start(&self, host: &Host<'_>) -> Result<Started, UnitError> {
        if !self.is_installed(host.directory) {
            host.check_way_out()?;
        }
        match self {
            Unit::Service(service) => {
                start_service(service, host).await.map(|process| Started { process, report: None })
            }
            Unit::Database(engine, database) => {
                let replication = database.replication.as_ref().map(|replication| {
                    let password = host.parameter(&replication.password)?;
                    Ok::<_, UnitError>(Replication { password, primary: replication.primary })
                });
                let spec = DatabaseSpec {
                    directory: host.directory.join(engine.name()),
                    site: host.site(),
                    address: host.address(),
                    port: database.port.unwrap_or_else(|| engine.default_port()),
                    database: database.database.clone(),
                    user: database.user.clone(),
                    password: host.parameter(&database.password)?,
                    replication: replication.transpose()?,
                };
                let server_home::Started { process, streams } = engine.start(&spec).await?;
                Ok(Started { process, report: streams.then_some(STREAMING) })
            }
        }
    }
}

async fn start_service(service: &MachineService, host: &Host<'_>) -> Result<ProcessIdentity, UnitError> {
    let (shared, directory) = (host.shared, host.directory);
    // Secrets first: without them there is no need to fetch anything.
    let environment = environment(service, host)?;
    install_programs(service, shared, directory).await?;
    let program = program_path(directory, &service.name);
    let spec = ProcessSpec {
        program: program.clone(),
        arguments: service.arguments.clone(),
        environment,
        directory: directory.join("root"),
        log: directory.join(format!("{}.log", service.name)),
        user: None,
        confinement: shared.confines().then(|| confinement(directory)),
    };
    let failed = |source| UnitError::Run { program: program.clone(), source };
    let namespace = host.site().namespace().await.map_err(failed)?;
    spawn(&spec, namespace.as_ref()).map_err(failed)
}

/// Returns the environment of a service, with its secrets.
pub(super) fn environment(service: &MachineService, host: &Host<'_>) -> Result<BTreeMap<String, String>, UnitError> {
    let mut environment = host.environment();
    environment.extend(service.environment.clone());
    for (name, reference) in &service.secrets {
        environment.insert(name.clone(), host.parameter(reference)?);
    }
    let listen = service.listen.map(|port| ("LISTEN".to_owned(), port));
    for (variable, port) in listen.into_iter().chain(service.ports.clone()) {
        environment.insert(variable, format!("{}:{port}", host.address()));
    }
    for (variable, started) in &service.programs {
        let path = program_path(host.directory, &started_program(service, started));
        environment.insert(variable.clone(), path.display().to_string());
    }
    Ok(environment)
}

async fn install_programs(service: &MachineService, shared: &Shared, directory: &Path) -> Result<(), UnitError> {
    for (name, artifact) in programs(service) {
        let program = program_path(directory, &name);
        let (source, wanted, target) = (shared.clone(), artifact.clone(), program.clone());
        let installed = tokio::task::spawn_blocking(move || artifact::install(&source, &wanted, &target)).await;
        installed.map_err(|error| UnitError::Run { program, source: std::io::Error::other(error) })??;
    }
    Ok(())
}

/// The service's own program and those that it starts, with their file names.
fn programs(service: &MachineService) -> impl Iterator<Item = (String, &Artifact)> {
    let started = service.programs.values().map(|program| (started_program(service, program), &program.artifact));
    std::iter::once((service.name.clone(), &service.artifact)).chain(started)
}

/// File name of a program that a service starts. Names of services contain no colon.
fn started_program(service: &MachineService, program: &MachineProgram) -> String {
    format!("{}:{}", service.name, program.name)
}

fn program_path(directory: &Path, name: &str) -> PathBuf {
    directory.join("bin").join(name)
}

/// The files of an instance, as its programs may use them.
pub(super) fn confinement(directory: &Path) -> Confinement {
    Confinement {
        writable: vec![directory.join("root"), directory.join("tmp")],
        readable: vec![directory.join("bin")],
        user: None,
    }
}

/// systemd's `Restart=always`: a growing pause between restarts, and no further restart after too many in a short time.
#[derive(Default)]
pub(super) struct Restarts {
    starts: VecDeque<Instant>,
    count: u32,
    started: bool,
    pause: Duration,
    not_before: Option<Instant>,
    exhausted: bool,
    last_message: Option<String>,
}

/// The first pause, `RestartSec`.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
/// Upper bound of the pauses.
const LONGEST_PAUSE: Duration = Duration::from_secs(5);
/// `StartLimitBurst` in `StartLimitIntervalSec`.
const BURST: usize = 5;
const INTERVAL: Duration = Duration::from_secs(10);

impl Restarts {
    /// Returns whether a start is due.
    pub(super) fn is_due(&self, now: Instant) -> bool {
        !self.exhausted && self.not_before.is_none_or(|time| time <= now)
    }

    /// Records that the service is being started.
    pub(super) fn starts(&mut self, now: Instant) {
        while self.starts.front().is_some_and(|start| now - *start > INTERVAL) {
            self.starts.pop_front();
        }
        self.starts.push_back(now);
        if self.started {
            self.count += 1;
        }
    }

    /// Records a successful start.
    pub(super) fn started(&mut self) {
        self.started = true;
        self.last_message = None;
    }

    /// Records that the program could not be started because a requirement is missing. Such starts are retried
    /// indefinitely.
    pub(super) fn failed_to_start(&mut self, now: Instant) {
        self.starts.pop_back();
        self.back_off(now);
    }

    /// Records that the service runs; after a while, earlier failures no longer count.
    pub(super) fn runs(&mut self, now: Instant) {
        if self.starts.back().is_none_or(|start| now - *start > INTERVAL) {
            self.pause = Duration::ZERO;
        }
    }

    /// Records that the process has exited.
    pub(super) fn ended(&mut self, now: Instant) {
        self.started = true;
        let recent = self.starts.iter().filter(|start| now - **start <= INTERVAL).count();
        self.exhausted = recent >= BURST;
        self.back_off(now);
    }

    /// Returns whether the unit will not be restarted.
    pub(super) fn exhausted(&self) -> bool {
        self.exhausted
    }

    /// Returns the number of restarts.
    pub(super) fn count(&self) -> u32 {
        self.count
    }

    /// Returns whether a message differs from the previous one.
    pub(super) fn is_new_message(&mut self, line: &str) -> bool {
        let new = self.last_message.as_deref() != Some(line);
        self.last_message = Some(line.to_owned());
        new
    }

    fn back_off(&mut self, now: Instant) {
        self.pause = (self.pause * 2).clamp(FIRST_PAUSE, LONGEST_PAUSE);
        self.not_before = Some(now + self.pause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn five_exits_in_ten_seconds_stop_the_restarts() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for number in 0..BURST {
            assert!(restarts.is_due(now), "start {number}");
            restarts.starts(now);
            restarts.started();
            restarts.ended(now);
            assert!(!restarts.is_due(now));
            now += restarts.pause;
        }
        assert!(restarts.exhausted());
        assert_eq!(restarts.count(), 4);
        assert!(!restarts.is_due(now + Duration::from_mins(1)));
    }

    #[test]
    fn a_service_that_exits_occasionally_is_always_restarted() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            restarts.starts(now);
            restarts.started();
            now += Duration::from_secs(4);
            restarts.runs(now);
            restarts.ended(now);
            now += restarts.pause;
        }
        assert!(!restarts.exhausted());
    }

    #[test]
    fn a_failed_start_is_retried() {
        let mut restarts = Restarts::default();
        let mut now = Instant::now();
        for _ in 0..20 {
            restarts.starts(now);
            restarts.failed_to_start(now);
            now += restarts.pause;
        }
        assert!(!restarts.exhausted());
        assert!(restarts.is_new_message("why") && !restarts.is_new_message("why"));
    }
}
