//! MariaDB servers of hosts: single, primaries, and standbys with GTID replication.

mod binaries;
mod copy;
mod server;
mod standby;

use std::net::Ipv4Addr;
use std::path::Path;

use rustix::process::Signal;

pub(crate) use binaries::{discover, find_binaries};

use super::server_home::{self, DatabaseSpec, HomeError, REPLICATOR, Started, Unusable};
use crate::domain::mariadb::NotInstalled;
use crate::model::process::ProcessIdentity;
use server::{Server, account, literal, quoted};

/// Name of a server's log in its directory.
pub(crate) const LOG: &str = "mariadb.log";

/// Reasons why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MariaDbError {
    /// MariaDB is not installed.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// The directory cannot be used, or a program cannot be run.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A name or password cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
    /// A program failed.
    #[error("{step} failed: {output}")]
    Setup {
        /// The failed step.
        step: &'static str,
        /// Output of the program.
        output: String,
    },
    /// The server exited, or did not accept connections in time.
    #[error("MariaDB on {address}:{port} {what}; its log ends with: {log}")]
    NotAccepting {
        /// Address of the server.
        address: Ipv4Addr,
        /// Port of the server.
        port: u16,
        /// `ended while starting` or `did not accept within …`.
        what: String,
        /// The last lines of its log.
        log: String,
    },
    /// A standby does not receive its primary's log.
    #[error("MariaDB does not replicate from its primary {primary}:{port} ({state}); its log ends with: {log}")]
    NotStreaming {
        /// Address of the primary.
        primary: Ipv4Addr,
        /// Port of both servers.
        port: u16,
        /// The last error of the replication.
        state: String,
        /// The last lines of its log.
        log: String,
    },
}

/// Starts the server, and creates its data, user and database if they do not exist. Returns once it accepts connections; a
/// new standby replicates then.
///
/// An existing data directory is used again; the user's password becomes the given one. The data of a standby, with its users
/// and passwords, is its primary's.
pub(crate) async fn start(spec: &DatabaseSpec) -> Result<Started, MariaDbError> {
    spec.check()?;
    let server = Server::open(&spec.directory)?;
    server.home.stop_leftover("mariadb.pid", Signal::TERM).await;
    if let Some(replication) = &spec.replication
        && let Some(primary) = replication.primary
    {
        return standby::start(&server, spec, replication, primary).await;
    }
    server.initialise().await?;
    let process = server.launch(spec, &primary_settings(spec), &primary_statements(spec)).await?;
    Ok(Started { process, streams: false })
}

/// Copies the data of a stopped server to another directory, if there is any.
pub(crate) async fn copy(from: &Path, to: &Path) -> Result<(), MariaDbError> {
    let (from, to) = (Server::open(from)?.home, Server::open(to)?.home);
    if !from.data().exists() {
        return Ok(());
    }
    let partial = to.empty("data.new")?;
    let output = to.copy(&from.data(), &partial).await?;
    if !output.success {
        return Err(server::setup("copying the data", &output));
    }
    Ok(to.become_data(&partial)?)
}

/// Shuts the server down. Kills it if it does not exit in time.
pub(crate) async fn stop(identity: ProcessIdentity) {
    server_home::stop(identity, Signal::TERM).await;
}

/// Settings of a primary. The log is kept for a day, which bounds the absence of a standby.
fn primary_settings(spec: &DatabaseSpec) -> Vec<String> {
    if spec.replication.is_none() {
        return Vec::new();
    }
    ["--log-bin=binlog", "--binlog-format=ROW", "--max-binlog-size=16M", "--binlog-expire-logs-seconds=86400"]
        .map(str::to_owned)
        .into()
}

/// Returns the statements that a server executes at its start, one per line.
fn primary_statements(spec: &DatabaseSpec) -> String {
    use std::fmt::Write as _;

    let (database, user) = (quoted(&spec.database), account(&spec.user));
    let mut statements = format!(
        "CREATE DATABASE IF NOT EXISTS {database} CHARACTER SET utf8mb4;\n\
         CREATE USER IF NOT EXISTS {user};\n\
         ALTER USER {user} IDENTIFIED BY {};\n\
         GRANT ALL PRIVILEGES ON {database}.* TO {user};\n",
        literal(&spec.password)
    );
    if let Some(replication) = &spec.replication {
        let replicator = account(REPLICATOR);
        // Besides the log, a standby reads all data once.
        let _ = write!(
            statements,
            "CREATE USER IF NOT EXISTS {replicator};\n\
             ALTER USER {replicator} IDENTIFIED BY {};\n\
             GRANT REPLICATION SLAVE, BINLOG MONITOR, SLAVE MONITOR, SELECT, RELOAD, LOCK TABLES, SHOW VIEW, TRIGGER, EVENT, \
             PROCESS ON *.* TO {replicator};\n",
            literal(&replication.password)
        );
    }
    statements
}

#[cfg(test)]
mod tests;
