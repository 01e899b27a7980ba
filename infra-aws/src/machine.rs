//! The configuration of a host: packages, files, services, a database.
//!
//! - `check`: validation in the preview
//! - `database`, `replication`: the database servers of a host
//! - `document`: the configuration as a versioned JSON document, which is part of the user data
//! - `cloud_init`: the user data that applies the configuration to a stock Debian image
//! - `scripts`, `units`: the programs and systemd units that the user data installs on the host

mod check;
mod cloud_init;
mod database;
mod document;
mod replication;
mod scripts;
mod units;

pub use crate::architecture::Architecture;
pub use database::{Database, MariaDb, Postgres};
pub use replication::Replication;

pub(crate) use check::{architecture_of, problems};
pub(crate) use cloud_init::Purpose;

use infra_core::{Input, value::Unresolved};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, path::PathBuf};

/// The configuration of a host: packages, files, services and a database, on a stock Debian image.
///
/// It is rendered into the host's user data (cloud-init and systemd). Services receive their listening address as
/// `LISTEN=<the host's private address>:<port>`. Secret values in a service's environment become SSM parameters, which
/// the host reads when it starts; user data never contains them.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// Distribution: `debian-12` or `debian-13`.
    pub image: String,
    /// Names of Debian packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Files, written before packages are installed and services started.
    #[serde(default)]
    pub files: Vec<File>,
    /// Programs that systemd keeps running.
    #[serde(default)]
    pub services: Vec<Service>,
    /// PostgreSQL server of the host.
    pub postgres: Option<Postgres>,
    /// MariaDB server of the host.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mariadb: Option<MariaDb>,
    /// Errors found while the host was declared, which the preview reports. Public, because the code that an import prints
    /// contains all fields.
    #[doc(hidden)]
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<String>,
}

/// A file on a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// Absolute path.
    pub path: String,
    /// Content. It must not be secret, because it is part of the user data.
    pub content: Input<String>,
    /// Permissions in octal, such as `0644`.
    pub mode: String,
}

/// A program that a host keeps running, under a separate user without privileges.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Name, unique on the host.
    pub name: String,
    /// Object that the host downloads the program from; set when the host is declared.
    pub artifact: Option<Artifact>,
    /// Command line arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Environment variables, without the secret ones.
    #[serde(default)]
    pub environment: BTreeMap<String, Input<String>>,
    /// Secret environment variables, each with the parameter that contains its value.
    #[serde(default)]
    pub secrets: BTreeMap<String, ParameterReference>,
    /// TCP port of the address that the service receives as `LISTEN`.
    pub listen: Option<u16>,
    /// HTTP path that responds with a 2xx status while the service is healthy.
    pub health: Option<String>,
    /// Further TCP ports, each with the environment variable that contains the host's private address and the port.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub ports: BTreeMap<String, u16>,
    /// Programs that the service itself starts, each with the environment variable that contains its path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, Program>,
    #[serde(skip)]
    pub(crate) source: Option<Source>,
}

/// A program that a service starts, such as the worker processes of a supervisor.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Program {
    /// Name, unique among the service's programs.
    pub name: String,
    /// Object that the host downloads the program from; set when the host is declared.
    pub artifact: Option<Artifact>,
    #[serde(skip)]
    pub(crate) source: Option<Source>,
}

/// The origin of a program on the machine that runs the deployment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    Cargo(String),
    Prebuilt(PathBuf),
}

/// An executable in a bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// Name of the bucket.
    pub bucket: Input<String>,
    /// Key of the object.
    pub key: Input<String>,
    /// Expected SHA-256 of the executable, in hexadecimal.
    pub sha256: Input<String>,
    /// Processor architecture that the executable was built for, if known.
    pub architecture: Option<Input<Architecture>>,
    /// Oldest version of the GNU C library that the executable runs with, if known; empty when it needs none.
    pub glibc: Option<Input<String>>,
}

/// A version of an SSM parameter.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterReference {
    /// Name of the parameter.
    pub parameter: Input<String>,
    /// Number of the version.
    pub version: Input<u64>,
}

impl Machine {
    /// Creates the configuration of a stock Debian 12 without services.
    pub fn debian() -> Self {
        Self::debian_release(12)
    }

    /// Creates the configuration of a stock Debian of this release, 12 or 13, without services.
    pub fn debian_release(release: u32) -> Self {
        Self {
            image: format!("debian-{release}"),
            packages: Vec::new(),
            files: Vec::new(),
            services: Vec::new(),
            postgres: None,
            mariadb: None,
            refused: Vec::new(),
        }
    }

    /// Installs a Debian package.
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.push(name.into());
        self
    }

    /// Writes a file with permissions in octal, such as `0644`.
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Input<String>>, mode: impl Into<String>) -> Self {
        self.files.push(File { path: path.into(), content: content.into(), mode: mode.into() });
        self
    }

    /// Runs a program as a systemd service.
    pub fn service(mut self, service: Service) -> Self {
        self.services.push(service);
        self
    }

    /// Runs a PostgreSQL server.
    pub fn postgres(mut self, postgres: Postgres) -> Self {
        self.packages.push("postgresql".to_owned());
        self.postgres = Some(postgres);
        self
    }

    /// Runs a MariaDB server.
    pub fn mariadb(mut self, mariadb: MariaDb) -> Self {
        self.packages.push("mariadb-server".to_owned());
        self.mariadb = Some(mariadb);
        self
    }

    /// Returns the database servers of the host, each with the name of its property.
    pub(crate) fn databases(&self) -> impl Iterator<Item = (&'static str, &Database)> {
        let postgres = self.postgres.as_deref().map(|database| ("postgres", database));
        postgres.into_iter().chain(self.mariadb.as_deref().map(|database| ("mariadb", database)))
    }

    /// Returns the database servers of the host, each with the name of its property.
    pub(crate) fn databases_mut(&mut self) -> impl Iterator<Item = (&'static str, &mut Database)> {
        let postgres = self.postgres.as_deref_mut().map(|database| ("postgres", database));
        postgres.into_iter().chain(self.mariadb.as_deref_mut().map(|database| ("mariadb", database)))
    }

    /// Returns true when a database of the host is a standby of another host's.
    pub(crate) fn has_standby(&self) -> bool {
        self.databases().any(|(_, database)| database.is_standby())
    }

    /// Returns the number of the Debian release.
    pub(crate) fn release(&self) -> Option<u32> {
        self.image.strip_prefix("debian-")?.parse().ok()
    }

    /// Returns the user data of a host in this region; `None` when the configuration adds nothing to the image.
    pub(crate) fn user_data(&self, region: &str, purpose: Purpose) -> Result<Option<String>, Unresolved> {
        if self.is_empty() && purpose == Purpose::Run {
            return Ok(None);
        }
        Ok(Some(cloud_init::user_data(&self.document()?, region, purpose)))
    }

    /// Returns true when the configuration adds nothing to the image.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { image: _, packages, files, services, postgres, mariadb, refused: _ } = self;
        let has_database = postgres.is_some() || mariadb.is_some();
        packages.is_empty() && files.is_empty() && services.is_empty() && !has_database
    }

    /// Parses user data that this library has rendered; returns `None` for any other user data.
    pub(crate) fn from_user_data(text: &str) -> Option<Self> {
        cloud_init::document(text).map(Self::from)
    }
}

impl Service {
    /// Creates a service from the workspace's binary of this name, which `cargo build` builds before the plan.
    pub fn cargo_bin(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { source: Some(Source::Cargo(name.clone())), ..Self::named(name) }
    }

    /// Creates a service from an existing executable.
    pub fn prebuilt(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { source: Some(Source::Prebuilt(path.into())), ..Self::named(name.into()) }
    }

    /// Adds a command line argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Sets an environment variable. A secret value reaches the host through a parameter.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Input<String>>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Sets the TCP port of the address that the service receives as `LISTEN`.
    pub fn listen(mut self, port: u16) -> Self {
        self.listen = Some(port);
        self
    }

    /// Adds a TCP port, such as the one of metrics. The environment variable contains the host's private address and the
    /// port, in the form of `LISTEN`.
    pub fn port(mut self, variable: impl Into<String>, port: u16) -> Self {
        self.ports.insert(variable.into(), port);
        self
    }

    /// Sets the HTTP path that responds with a 2xx status while the service is healthy.
    pub fn health(mut self, path: impl Into<String>) -> Self {
        self.health = Some(path.into());
        self
    }

    /// Installs a program that the service starts. The environment variable contains the program's path.
    pub fn program(mut self, variable: impl Into<String>, program: Program) -> Self {
        self.programs.insert(variable.into(), program);
        self
    }

    fn named(name: String) -> Self {
        Self {
            name,
            artifact: None,
            arguments: Vec::new(),
            environment: BTreeMap::new(),
            secrets: BTreeMap::new(),
            listen: None,
            health: None,
            ports: BTreeMap::new(),
            programs: BTreeMap::new(),
            source: None,
        }
    }
}

impl Program {
    /// Creates a program from the workspace's binary of this name, which `cargo build` builds before the plan.
    pub fn cargo_bin(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { source: Some(Source::Cargo(name.clone())), name, artifact: None }
    }

    /// Creates a program from an existing executable.
    pub fn prebuilt(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { source: Some(Source::Prebuilt(path.into())), name: name.into(), artifact: None }
    }
}
