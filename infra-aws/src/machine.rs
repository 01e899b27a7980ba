//! What a host runs: packages, files, services, a database.
//!
//! - `document`: the same as a versioned JSON document, which travels inside the user data
//! - `cloud_init`: the user data that makes a stock Debian image run it
//! - `scripts`, `units`: the programs and systemd units that the user data puts on the host
//! - `prepare`: the resources that a host needs for it

mod check;
mod cloud_init;
mod document;
mod prepare;
mod scripts;
mod units;

pub(crate) use check::problems;
pub(crate) use cloud_init::Purpose;
pub(crate) use prepare::{Host, prepare};

use infra_core::{Input, value::Unresolved};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt, path::PathBuf};

/// What a host runs: packages, files, services and a database, on a stock Debian image.
///
/// It becomes the host's user data (cloud-init and systemd). Services are told where to listen as
/// `LISTEN=<the host's private address>:<port>`. Secret values in a service's environment become SSM parameters that
/// the host reads when it starts: they never stand in user data.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Machine {
    /// The distribution: `debian-12` or `debian-13`.
    pub image: String,
    /// Debian packages.
    #[serde(default)]
    pub packages: Vec<String>,
    /// Files, written before anything is installed or started.
    #[serde(default)]
    pub files: Vec<File>,
    /// Programs that are kept running.
    #[serde(default)]
    pub services: Vec<Service>,
    /// A PostgreSQL server.
    pub postgres: Option<Postgres>,
    /// What is wrong with the declaration, for the preview.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    refused: Vec<String>,
}

/// A file on a host.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct File {
    /// Where: an absolute path.
    pub path: String,
    /// What stands in it; nothing secret, since it travels in the user data.
    pub content: Input<String>,
    /// Who may do what with it, such as `0644`.
    pub mode: String,
}

/// A program that a host keeps running, as a user of its own without any rights.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Service {
    /// Its name, unique on the host.
    pub name: String,
    /// Where the host fetches the program; known once the host is declared.
    pub artifact: Option<Artifact>,
    /// Its arguments.
    #[serde(default)]
    pub arguments: Vec<String>,
    /// Its environment, without what is secret.
    #[serde(default)]
    pub environment: BTreeMap<String, Input<String>>,
    /// The secret part of its environment, kept in parameters.
    #[serde(default)]
    pub secrets: BTreeMap<String, ParameterReference>,
    /// The TCP port it is told to listen on.
    pub listen: Option<u16>,
    /// The HTTP path that answers 2xx when it works.
    pub health: Option<String>,
    #[serde(skip)]
    source: Option<Source>,
}

/// Where a program comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Source {
    Cargo(String),
    Prebuilt(PathBuf),
}

/// A program in a bucket.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Artifact {
    /// The bucket.
    pub bucket: Input<String>,
    /// The key in it.
    pub key: Input<String>,
    /// What the SHA-256 of the program must be.
    pub sha256: Input<String>,
    /// What it runs on, where that matters.
    pub architecture: Option<Input<Architecture>>,
    /// The oldest GNU C library it runs with, where that matters; empty when it needs none.
    pub glibc: Option<Input<String>>,
}

/// A parameter in one of its versions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ParameterReference {
    /// Its name.
    pub parameter: Input<String>,
    /// The version.
    pub version: Input<u64>,
}

/// A PostgreSQL server with a database, and a role that owns it.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Postgres {
    /// The TCP port.
    pub port: u16,
    /// The database.
    pub database: String,
    /// The role that owns it.
    pub user: String,
    /// The parameter that keeps the role's password; known once the host is declared.
    pub password: Option<ParameterReference>,
    #[serde(skip)]
    secret: Option<Input<String>>,
}

/// What a program runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Architecture {
    /// Intel's and AMD's, 64 bits.
    #[serde(rename = "x86_64")]
    X86_64,
    /// ARM's, 64 bits: AWS's Graviton.
    Arm64,
}

impl Machine {
    /// A stock Debian 12 that runs nothing yet.
    pub fn debian() -> Self {
        Self::debian_release(12)
    }

    /// A stock Debian of this release, 12 or 13.
    pub fn debian_release(release: u32) -> Self {
        Self {
            image: format!("debian-{release}"),
            packages: Vec::new(),
            files: Vec::new(),
            services: Vec::new(),
            postgres: None,
            refused: Vec::new(),
        }
    }

    /// Installs a Debian package.
    pub fn package(mut self, name: impl Into<String>) -> Self {
        self.packages.push(name.into());
        self
    }

    /// Writes a file; `mode` is such as `0644`.
    pub fn file(mut self, path: impl Into<String>, content: impl Into<Input<String>>, mode: impl Into<String>) -> Self {
        self.files.push(File { path: path.into(), content: content.into(), mode: mode.into() });
        self
    }

    /// Keeps a program running.
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

    /// Debian's release number.
    fn release(&self) -> Option<u32> {
        self.image.strip_prefix("debian-")?.parse().ok()
    }

    /// The user data of a host in this region; none when there is nothing to do but to start.
    pub(crate) fn user_data(&self, region: &str, purpose: Purpose) -> Result<Option<String>, Unresolved> {
        if self.is_empty() && purpose == Purpose::Run {
            return Ok(None);
        }
        Ok(Some(cloud_init::user_data(&self.document()?, region, purpose)))
    }

    /// Whether it is what the image is, and no more.
    pub(crate) fn is_empty(&self) -> bool {
        let Self { image: _, packages, files, services, postgres, refused: _ } = self;
        packages.is_empty() && files.is_empty() && services.is_empty() && postgres.is_none()
    }

    /// What user data of ours says; `None` when it is not ours.
    pub(crate) fn from_user_data(text: &str) -> Option<Self> {
        cloud_init::document(text).map(Self::from)
    }
}

impl Service {
    /// The workspace's binary of this name, which `cargo build` makes before anything is planned.
    pub fn cargo_bin(name: impl Into<String>) -> Self {
        let name = name.into();
        Self { source: Some(Source::Cargo(name.clone())), ..Self::named(name) }
    }

    /// A program that has been built already.
    pub fn prebuilt(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { source: Some(Source::Prebuilt(path.into())), ..Self::named(name.into()) }
    }

    /// Gives it an argument.
    pub fn argument(mut self, argument: impl Into<String>) -> Self {
        self.arguments.push(argument.into());
        self
    }

    /// Gives it an environment variable. A secret value goes through a parameter.
    pub fn env(mut self, name: impl Into<String>, value: impl Into<Input<String>>) -> Self {
        self.environment.insert(name.into(), value.into());
        self
    }

    /// Tells it to listen on this TCP port.
    pub fn listen(mut self, port: u16) -> Self {
        self.listen = Some(port);
        self
    }

    /// The HTTP path that answers 2xx when it works.
    pub fn health(mut self, path: impl Into<String>) -> Self {
        self.health = Some(path.into());
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
            source: None,
        }
    }
}

impl Postgres {
    /// A server on port 5432 with this database, owned by a role with this password.
    pub fn new(database: impl Into<String>, user: impl Into<String>, password: impl Into<Input<String>>) -> Self {
        Self { port: 5432, database: database.into(), user: user.into(), password: None, secret: Some(password.into()) }
    }

    /// The role's password, as long as the host is not declared; nothing afterwards.
    pub(crate) fn secret(&self) -> Input<String> {
        self.secret.clone().unwrap_or_else(|| "".into())
    }

    /// Listens on another port.
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }
}

impl Architecture {
    /// What this program runs on, if AWS has it.
    pub fn here() -> Option<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Some(Self::X86_64),
            "aarch64" => Some(Self::Arm64),
            _ => None,
        }
    }

    /// EC2's word for it.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Arm64 => "arm64",
        }
    }
}

impl fmt::Display for Architecture {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}
