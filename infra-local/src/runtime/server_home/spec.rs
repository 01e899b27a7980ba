//! The specification of a database server of a host.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use crate::model::process::ProcessIdentity;
use crate::runtime::network::Site;

/// Role by which standbys log in to a primary of a host: part of the Machine document's format.
pub(crate) const REPLICATOR: &str = "replicator";

/// A server with one database.
#[derive(Clone)]
pub(crate) struct DatabaseSpec {
    /// Directory of `data/` and the log.
    pub(crate) directory: PathBuf,
    /// Where it runs.
    pub(crate) site: Site,
    /// The only address the server listens on.
    pub(crate) address: Ipv4Addr,
    /// TCP port.
    pub(crate) port: u16,
    /// Database owned by `user`.
    pub(crate) database: String,
    /// Role that logs in.
    pub(crate) user: String,
    /// The role's password.
    pub(crate) password: String,
    /// Replication; a single server when `None`.
    pub(crate) replication: Option<Replication>,
}

/// Role of a server in a replication.
#[derive(Clone)]
pub(crate) struct Replication {
    /// Password of [`REPLICATOR`].
    pub(crate) password: String,
    /// Address of the primary, which has the same port; `None` on the primary.
    pub(crate) primary: Option<Ipv4Addr>,
}

/// A started server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Started {
    pub(crate) process: ProcessIdentity,
    /// Whether it is a standby that streams from its primary.
    pub(crate) streams: bool,
}

/// Address and user of a connection to a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Login {
    pub(crate) address: Ipv4Addr,
    pub(crate) port: u16,
    pub(crate) user: String,
    pub(crate) password: String,
}

/// A name or password that a server cannot use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub(crate) enum Unusable {
    /// A text that cannot be quoted in SQL.
    #[error("the {0} of the database is empty or has a control character in it: choose another")]
    Text(&'static str),
    /// The owner of the database has the name of the replication role.
    #[error("the user {REPLICATOR:?} is the role of standbys: choose another name for the owner of the database")]
    Reserved,
}

impl DatabaseSpec {
    /// Checks the names and passwords.
    pub(crate) fn check(&self) -> Result<(), Unusable> {
        let replication = self.replication.as_ref().map(|replication| ("replication password", &replication.password));
        let own = [("user", &self.user), ("database", &self.database), ("password", &self.password)];
        for (what, text) in own.into_iter().chain(replication) {
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err(Unusable::Text(what));
            }
        }
        if self.replication.is_some() && self.user == REPLICATOR {
            return Err(Unusable::Reserved);
        }
        Ok(())
    }

    /// Returns the login of a standby on the server at this address.
    pub(crate) fn replicator(&self, replication: &Replication, address: Ipv4Addr) -> Login {
        let password = replication.password.clone();
        Login { address, port: self.port, user: REPLICATOR.to_owned(), password }
    }
}
