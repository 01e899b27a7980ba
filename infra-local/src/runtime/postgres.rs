//! PostgreSQL servers, which run as an unprivileged user and require a password.

mod binaries;
mod client;
mod copy;
mod discover;
mod home;
mod server;
mod standby;

use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::process::Signal;

pub(crate) use binaries::find_binaries;
pub(crate) use client::Login;
pub(crate) use discover::discover;
pub(crate) use home::{admit, closed_above};
pub(crate) use server::{Launch, Server};

use super::network::Site;
use super::user;
use crate::domain::postgres::NotInstalled;
use crate::model::process::ProcessIdentity;

/// Limit for a fast shutdown, after which the server is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The superuser of the database cluster. It has no password, so clients cannot log in as it.
const SUPERUSER: &str = "postgres";

/// Role by which standbys log in to a primary of a host: part of the Machine document's format.
const REPLICATOR: &str = "replicator";

/// Settings of every server of a host.
const SETTINGS: &[&str] = &["log_min_error_statement=panic", "shared_buffers=16MB"];

/// Settings of a server with replication. Standbys have those of their primary, because some must not be lower. The kept
/// log bounds the absence of a standby; a slot would need a limit too, and would remain after the standby's deletion.
const REPLICATION_SETTINGS: &[&str] = &[
    "log_min_error_statement=panic",
    "shared_buffers=16MB",
    "max_wal_senders=20",
    "wal_keep_size=128MB",
    "wal_retrieve_retry_interval=500ms",
];

/// A server with one database.
#[derive(Clone)]
pub(crate) struct PostgresSpec {
    /// Directory of `data/` and `postgres.log`.
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

impl PostgresSpec {
    fn check(&self) -> Result<(), PostgresError> {
        let replication = self.replication.as_ref().map(|replication| ("replication password", &replication.password));
        let own = [("user", &self.user), ("database", &self.database), ("password", &self.password)];
        for (what, text) in own.into_iter().chain(replication) {
            if text.is_empty() || text.chars().any(char::is_control) {
                return Err(PostgresError::Unusable { what });
            }
        }
        if self.replication.is_some() && self.user == REPLICATOR {
            return Err(PostgresError::Reserved);
        }
        Ok(())
    }

    fn launch(&self) -> Launch<'_> {
        Launch {
            site: &self.site,
            address: self.address,
            port: self.port,
            user: &self.user,
            database: &self.database,
            settings: if self.replication.is_some() { REPLICATION_SETTINGS } else { SETTINGS },
        }
    }
}

/// Reasons why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    /// PostgreSQL is not installed.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// The server's user cannot enter the directory.
    #[error(
        "PostgreSQL does not run as root but as {}, who cannot enter {}: let others pass through it \
         (`chmod o+x {}`), or keep the cloud in another directory",
        user::unprivileged_name(), closed.display(), closed.display()
    )]
    Closed {
        /// The directory above the data that cannot be entered.
        closed: PathBuf,
    },
    /// A name or password that cannot be quoted in SQL.
    #[error("the {what} of the database is empty or has a control character in it: choose another")]
    Unusable {
        /// `user`, `database`, `password` or `replication password`.
        what: &'static str,
    },
    /// The owner of the database has the name of the replication role.
    #[error("the user {REPLICATOR:?} is the role of standbys: choose another name for the owner of the database")]
    Reserved,
    /// A standby does not receive its primary's log.
    #[error("PostgreSQL does not stream from its primary {primary}:{port}; its log ends with: {log}")]
    NotStreaming {
        /// Address of the primary.
        primary: Ipv4Addr,
        /// Port of both servers.
        port: u16,
        /// The last lines of `postgres.log`.
        log: String,
    },
    /// An operation on the file system failed.
    #[error("{} cannot be prepared for PostgreSQL: {source}", path.display())]
    Directory {
        /// The path.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// A program could not be started.
    #[error("{} cannot be run: {source}", program.display())]
    Run {
        /// Its path.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// `initdb`, or the creation of role and database failed.
    #[error("{step} failed: {output}")]
    Setup {
        /// The failed step.
        step: &'static str,
        /// Output of the program.
        output: String,
    },
    /// Another process listens on the address.
    #[error("{address}:{port} cannot be listened on ({source}): stop what uses it or choose another port")]
    Address {
        /// Address of the server.
        address: Ipv4Addr,
        /// Port of the server.
        port: u16,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// The server exited, or did not accept connections in time.
    #[error("PostgreSQL on {address}:{port} {what}; its log ends with: {log}")]
    NotAccepting {
        /// Address of the server.
        address: Ipv4Addr,
        /// Port of the server.
        port: u16,
        /// `ended while starting` or `did not accept within …`.
        what: String,
        /// The last lines of `postgres.log`.
        log: String,
    },
}

/// Starts the server, and creates its data, role and database if they do not exist. Returns once it accepts
/// connections.
///
/// An existing data directory is used again; the role's password becomes the given one. The data of a standby, with its
/// roles and passwords, is its primary's.
pub(crate) async fn start(spec: &PostgresSpec) -> Result<Started, PostgresError> {
    spec.check()?;
    let server = Server::open(&spec.directory)?;
    server.stop_leftover().await;
    if let Some(replication) = &spec.replication
        && let Some(primary) = replication.primary
    {
        return standby::start(&server, spec, replication, primary).await;
    }
    server.initialise(SUPERUSER).await?;
    ensure_role_and_database(&server, spec).await?;
    Ok(Started { process: server.launch(&spec.launch()).await?, streams: false })
}

/// Shuts the server down: closes sessions and writes the data. Kills processes that do not exit in time.
pub(crate) async fn stop(identity: ProcessIdentity) {
    identity.signal(Signal::INT);
    if !identity.exits_within(STOP_LIMIT).await {
        tracing::warn!(pid = identity.pid, "PostgreSQL did not shut down in time and is killed");
        identity.kill();
        identity.exits_within(STOP_LIMIT).await;
    }
}

/// Deletes the data and the log of a stopped server, including data outside of the cloud's directory.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    home::remove(directory)
}

/// Deletes data outside of the cloud's directory whose directories no longer exist.
pub(crate) fn sweep() {
    home::sweep_all();
}

/// Quotes a text as an SQL identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn ensure_role_and_database(server: &Server, spec: &PostgresSpec) -> Result<(), PostgresError> {
    let (role, database) = (identifier(&spec.user), identifier(&spec.database));
    // A standby reads the state of its own replication, which needs `pg_read_all_stats`.
    let replicator = spec.replication.as_ref().map(|replication| {
        format!(
            "CREATE ROLE {REPLICATOR}\n\
             ALTER ROLE {REPLICATOR} LOGIN REPLICATION PASSWORD {}\n\
             GRANT pg_read_all_stats TO {REPLICATOR}\n",
            literal(&replication.password)
        )
    });
    // Creating an existing object fails and is ignored; the last line shows whether all objects exist.
    let statements = format!(
        "{replicator}\
         CREATE ROLE {role}\n\
         ALTER ROLE {role} LOGIN PASSWORD {password}\n\
         CREATE DATABASE {database}\n\
         ALTER DATABASE {database} OWNER TO {role}\n\
         SELECT 'ready' FROM pg_database JOIN pg_authid ON pg_authid.oid = datdba \
         WHERE datname = {database_name} AND rolname = {role_name} AND rolpassword IS NOT NULL\n",
        replicator = replicator.unwrap_or_default(),
        password = literal(&spec.password),
        database_name = literal(&spec.database),
        role_name = literal(&spec.user),
    );
    server.single_user("creating the role and its database", &statements).await
}

#[cfg(test)]
mod tests;
