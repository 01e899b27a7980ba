//! Targets of deployments.

use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    time::Duration,
};

/// The target of a deployment. It belongs to the stack; no environment variable of the process is read.
#[derive(Clone, Debug, Default)]
pub struct Target {
    /// `aws`, `local`, or a user-defined name.
    pub name: String,
    /// The endpoint of all services, if they are not the cloud's public ones.
    pub endpoint: Option<String>,
    /// Credentials that replace the provider's credential chain.
    pub credentials: Option<Credentials>,
    /// The state in which a resource counts as ready.
    pub readiness: Readiness,
    /// Maximum time for which an operation waits for a change of the target; `None` for the operation's own limit. A target
    /// that applies every change at once needs no time.
    pub longest_wait: Option<Duration>,
    /// Capacity of the machine that runs the target; `None` for a real cloud, or if it is not known.
    pub host: Option<Host>,
}

/// Capacity of the machine that runs a local target. Providers refuse a plan that needs more, before anything is
/// created.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Host {
    /// Features that it cannot provide, by name, such as `postgresql`.
    pub unavailable: BTreeMap<String, Obstacle>,
    /// Free space for everything that is created, in bytes.
    pub free_bytes: u64,
    /// The lowest TCP port that may be listened on.
    pub lowest_port: u16,
    /// TCP ports with a listener on any address of the machine.
    pub occupied_ports: BTreeSet<u16>,
}

/// The reason why a feature is unavailable.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Obstacle {
    /// The missing prerequisite.
    pub reason: String,
    /// The hint.
    pub remedy: String,
}

/// An access key.
#[derive(Clone)]
pub struct Credentials {
    /// Id of the key.
    pub access_key: String,
    /// The secret key.
    pub secret_key: String,
}

impl Credentials {
    /// Creates an access key pair.
    pub fn new(access_key: impl Into<String>, secret_key: impl Into<String>) -> Self {
        Self { access_key: access_key.into(), secret_key: secret_key.into() }
    }
}

/// The state in which a resource counts as ready.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Readiness {
    /// The resource works: instances run, targets are healthy.
    #[default]
    Full,
    /// The control plane has accepted the request. For mock servers, which run nothing behind it.
    ControlPlane,
}

impl Target {
    /// Returns the target AWS, with the credentials that the AWS SDK finds.
    pub fn aws() -> Self {
        Self { name: "aws".into(), ..Self::default() }
    }

    /// Returns a local cloud at this endpoint, with the access key that it generated for its root user.
    pub fn local(endpoint: impl Into<String>, credentials: Credentials) -> Self {
        Self {
            name: "local".into(),
            endpoint: Some(endpoint.into()),
            credentials: Some(credentials),
            readiness: Readiness::Full,
            longest_wait: None,
            host: None,
        }
    }

    /// Returns `true` for the local cloud.
    pub fn is_local(&self) -> bool {
        self.name == "local"
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Credentials({})", self.access_key)
    }
}
