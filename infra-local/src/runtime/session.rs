//! Programs that a user runs in an instance, as with AWS's Session Manager: with the network, the files and the environment
//! of a service.

use std::collections::BTreeMap;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::process::ExitStatus;

use serde::{Deserialize, Serialize};
use tokio::process::Child;

use super::confinement::{self, Launch};
use super::network::{NameFiles, Namespace, NetworkHandle};
use super::service::{self, UnitError};
use crate::model::ec2::instance::Instance;
use crate::model::machine::MachineService;
use crate::state::{Shared, console};

/// Description of an instance for programs that run in it.
///
/// Security groups and Landlock apply to the programs as to the instance's services. They run as the user of this process.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// ID of the instance.
    pub instance: String,
    /// Network interface of the programs. `None` for the network of this machine.
    interface: Option<String>,
    /// Files by which the programs resolve names.
    names: Option<NameFiles>,
    /// Directory of the instance.
    directory: PathBuf,
    /// Environment of the service, with its secrets.
    environment: BTreeMap<String, String>,
    is_confined: bool,
}

/// A program that a user runs in an instance.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Program {
    /// Name in the search path, or path. The directories of the system are visible in an instance.
    pub path: PathBuf,
    /// Command line after the program's name.
    pub arguments: Vec<String>,
    /// Variables besides those of the service.
    pub environment: BTreeMap<String, String>,
}

impl Session {
    /// Describes a session with the environment of a service; with that of the host if there is none.
    pub(crate) fn new(
        shared: &Shared,
        network: &NetworkHandle,
        region: &str,
        instance: &Instance,
        service: Option<&MachineService>,
    ) -> Result<Session, SessionEnvironmentError> {
        let directory = console::directory(shared.directory(), &instance.id);
        let interface = network.is_private().then(|| instance.network_interface_id.clone());
        let host = service::Host { shared, network, region, instance, directory: &directory };
        let environment = match service {
            Some(service) => service::environment(service, &host).map_err(SessionEnvironmentError)?,
            None => host.environment(),
        };
        let names = NameFiles::of(&network.current().network, &instance.network_interface_id);
        let names = names.filter(|_| interface.is_some());
        let is_confined = shared.confines();
        Ok(Session { instance: instance.id.clone(), interface, names, environment, is_confined, directory })
    }

    /// Runs a program with the input and output of this process, and waits until it stops. `cloud` is the directory of the
    /// local cloud. Ctrl-C reaches the program, which decides what to do.
    ///
    /// # Errors
    /// The network of the instance cannot be entered, or this executable has not called
    /// [`enable_launcher`](crate::enable_launcher).
    pub async fn run(&self, cloud: &Path, program: &Program) -> io::Result<ExitStatus> {
        let confinement = service::confinement(&self.directory);
        let namespace = self.interface.as_ref().map(|interface| namespace(cloud, interface)).transpose()?;
        let namespace = namespace.map(|namespace| Namespace { names: self.names.clone(), ..namespace });
        let mut environment = self.environment.clone();
        environment.extend(program.environment.clone());
        let launch = Launch {
            confinement: &confinement,
            is_confined: self.is_confined,
            environment: &environment,
            namespace: namespace.as_ref(),
            is_interactive: true,
        };
        let mut command = confinement::command(&launch, &program.path, &program.arguments)?;
        command.current_dir(self.directory.join("root"));
        wait(tokio::process::Command::from(command).spawn()?).await
    }
}

/// The environment of a service could not be read.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct SessionEnvironmentError(UnitError);

impl fmt::Debug for Session {
    /// Shows the names of the variables, because their values may be secret.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let variables: Vec<&String> = self.environment.keys().collect();
        f.debug_struct("Session")
            .field("instance", &self.instance)
            .field("variables", &variables)
            .finish_non_exhaustive()
    }
}

/// Waits until a program stops, also after Ctrl-C: the program is in the same process group and has received the signal.
async fn wait(mut child: Child) -> io::Result<ExitStatus> {
    loop {
        tokio::select! {
            status = child.wait() => return status,
            interrupted = tokio::signal::ctrl_c() => interrupted?,
        }
    }
}

#[cfg(target_os = "linux")]
use super::network::namespaces::namespace;

#[cfg(not(target_os = "linux"))]
fn namespace(_: &Path, _: &str) -> io::Result<super::network::Namespace> {
    Err(io::ErrorKind::Unsupported.into())
}
