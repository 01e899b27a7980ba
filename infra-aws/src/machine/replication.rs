//! Streaming replication of the database servers of hosts.

use super::ParameterReference;
use infra_core::Input;
use serde::{Deserialize, Serialize};

/// Role by which standbys log in to their primary: part of the Machine document's format.
pub(crate) const REPLICATOR: &str = "replicator";

/// The role of a database server in streaming replication.
///
/// A standby has the data of its primary, with all roles and passwords, and serves reads. Its first data is a copy of the
/// primary's; afterwards it receives the primary's log, and reconnects by itself after a restart of either server. It serves
/// reads while the primary is stopped. The primary keeps a limited amount of its log for standbys that are absent; a standby
/// that was absent for longer copies the data again at its start.
///
/// An [`Instance`](crate::Instance) whose machine has a standby is created once the standby streams, so resources that use
/// its outputs wait for that. The host reports it on its console, which AWS returns at any time only for instance types of
/// the Nitro system, such as `t3.micro`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Replication {
    /// Private IPv4 address of the primary, whose port is the standby's; none on the primary itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub primary: Option<Input<String>>,
    /// Parameter with the password of the standbys; set when the host is declared.
    pub password: Option<ParameterReference>,
    #[serde(skip)]
    pub(crate) secret: Option<Input<String>>,
}

impl Replication {
    /// Creates the role of a primary, which admits standbys with this password.
    pub fn primary(password: impl Into<Input<String>>) -> Self {
        Self { primary: None, password: None, secret: Some(password.into()) }
    }

    /// Creates the role of a standby. `primary` is the private IPv4 address of the primary, which admits standbys with this
    /// password and listens on the same port.
    pub fn standby_of(primary: impl Into<Input<String>>, password: impl Into<Input<String>>) -> Self {
        Self { primary: Some(primary.into()), ..Self::primary(password) }
    }

    /// Returns true for the role of a standby.
    pub(crate) fn is_standby(&self) -> bool {
        self.primary.is_some()
    }
}
