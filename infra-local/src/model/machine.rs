//! The Machine document: the programs, files and database of a host, which user data and images contain.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

/// The configuration of a host, format version 1.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineDocument {
    /// The format's version.
    #[serde(rename = "machine")]
    pub(crate) version: u64,
    /// The distribution of the host, e.g. `debian-12`.
    pub(crate) image: String,
    /// Distribution packages.
    #[serde(default)]
    pub(crate) packages: Vec<String>,
    /// Files written at boot.
    #[serde(default)]
    pub(crate) files: Vec<MachineFile>,
    /// Programs kept running.
    #[serde(default)]
    pub(crate) services: Vec<MachineService>,
    /// A PostgreSQL server on this host.
    #[serde(default)]
    pub(crate) postgres: Option<MachineDatabase>,
    /// A MariaDB server on this host.
    #[serde(default)]
    pub(crate) mariadb: Option<MachineDatabase>,
}

/// One file on the host.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineFile {
    /// Absolute path on the host.
    pub(crate) path: String,
    /// Text.
    pub(crate) content: String,
    /// File mode in octal, e.g. `0644`.
    #[serde(default = "default_mode")]
    pub(crate) mode: String,
}

/// One supervised program.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineService {
    /// Name of the service, unique on its host.
    pub(crate) name: String,
    /// Location of the program.
    pub(crate) artifact: Artifact,
    /// Command line after the program's name.
    #[serde(default)]
    pub(crate) arguments: Vec<String>,
    /// Plain environment.
    #[serde(default)]
    pub(crate) environment: BTreeMap<String, String>,
    /// Environment variables whose values are parameters that are read at boot.
    #[serde(default)]
    pub(crate) secrets: BTreeMap<String, ParameterReference>,
    /// TCP port. The program receives it as `LISTEN=<address>:<port>`.
    #[serde(default)]
    pub(crate) listen: Option<u16>,
    /// HTTP path that returns 2xx when the service works.
    #[serde(default)]
    pub(crate) health: Option<String>,
    /// Further TCP ports, each with the environment variable that contains the address and the port.
    #[serde(default)]
    pub(crate) ports: BTreeMap<String, u16>,
    /// Programs that the service starts, each with the environment variable that contains its path.
    #[serde(default)]
    pub(crate) programs: BTreeMap<String, MachineProgram>,
}

/// A program that a service starts.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineProgram {
    /// Name of the program, unique in its service.
    pub(crate) name: String,
    /// Location of the program.
    pub(crate) artifact: Artifact,
}

/// A program in object storage.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Artifact {
    /// Bucket.
    pub(crate) bucket: String,
    /// Key in the bucket.
    pub(crate) key: String,
    /// SHA-256 of the content in hexadecimal; other content is refused.
    pub(crate) sha256: String,
}

/// One version of a parameter.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct ParameterReference {
    /// Name of the parameter.
    pub(crate) parameter: String,
    /// Version; the latest when `None`.
    #[serde(default)]
    pub(crate) version: Option<u64>,
}

/// A database server with one database.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineDatabase {
    /// TCP port; the server's usual one when `None`.
    #[serde(default)]
    pub(crate) port: Option<u16>,
    /// Database owned by `user`.
    pub(crate) database: String,
    /// Role that logs in with the password.
    pub(crate) user: String,
    /// The role's password.
    pub(crate) password: ParameterReference,
    /// Replication; a single server when `None`.
    #[serde(default)]
    pub(crate) replication: Option<MachineReplication>,
}

/// Role of a database server in a replication.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct MachineReplication {
    /// Password of the role by which standbys log in to the primary.
    pub(crate) password: ParameterReference,
    /// Private address of the primary, which has the same port; `None` on the primary.
    #[serde(default)]
    pub(crate) primary: Option<Ipv4Addr>,
}

fn default_mode() -> String {
    "0644".to_owned()
}
