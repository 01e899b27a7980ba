//! Programs that a user runs in an instance, as with AWS's Session Manager: with the network, the files and the environment
//! of its services.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::{Deserialize, Serialize};

use super::confinement::{self, Launch};
use super::network::{NetworkHandle, Place};
use super::service;
use crate::model::ec2::instance::Instance;
use crate::state::{Shared, console};

/// Description of an instance for programs that run in it.
///
/// Security groups and Landlock apply to the programs as to the instance's services. They run as the user of this process.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Session {
    /// ID of the instance.
    pub instance: String,
    /// Network interface of the programs. `None` for the network of this machine.
    interface: Option<String>,
    /// Directory of the instance.
    directory: PathBuf,
    environment: BTreeMap<String, String>,
    is_confined: bool,
}

impl Session {
    pub(crate) fn new(shared: &Shared, network: &NetworkHandle, region: &str, instance: &Instance) -> Session {
        let directory = console::directory(shared.directory(), &instance.id);
        let site = network.site(Place::Interface(instance.network_interface_id.clone()));
        let interface = site.is_inside().then(|| instance.network_interface_id.clone());
        let host = service::Host { shared, region, instance, site, directory: &directory };
        let environment = host.environment();
        Session { instance: instance.id.clone(), interface, environment, is_confined: shared.confines(), directory }
    }

    /// Builds the command that runs a program of the instance's search path, with the input and output of this process.
    /// `cloud` is the directory of the local cloud.
    ///
    /// # Errors
    /// The network of the instance cannot be entered, or this executable has not called
    /// [`enable_launcher`](crate::enable_launcher).
    pub fn command(&self, cloud: &Path, program: &Path, arguments: &[String]) -> io::Result<Command> {
        let confinement = service::confinement(&self.directory);
        let namespace = self.interface.as_ref().map(|interface| namespace(cloud, interface)).transpose()?;
        let launch = Launch {
            confinement: &confinement,
            is_confined: self.is_confined,
            environment: &self.environment,
            namespace: namespace.as_ref(),
        };
        let mut command = confinement::command(&launch, program, arguments)?;
        command.current_dir(self.directory.join("root"));
        Ok(command)
    }
}

#[cfg(target_os = "linux")]
use super::network::namespaces::namespace;

#[cfg(not(target_os = "linux"))]
fn namespace(_: &Path, _: &str) -> io::Result<super::network::Namespace> {
    Err(io::ErrorKind::Unsupported.into())
}
