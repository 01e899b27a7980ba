//! PostgreSQL servers, which run as an unprivileged user and require a password.

mod binaries;
mod client;
mod copy;
mod discover;
mod server;
mod standby;

use std::net::Ipv4Addr;
use std::path::Path;

use rustix::process::Signal;

pub(crate) use binaries::find_binaries;
pub(crate) use discover::discover;
pub(crate) use server::{Launch, Server, Tls};

use super::server_home::{self, DatabaseSpec, HomeError, REPLICATOR, Started, Unusable};
use crate::domain::postgres::NotInstalled;
use crate::model::process::ProcessIdentity;

/// Name of a server's log in its directory.
pub(crate) const LOG: &str = "postgres.log";

/// The superuser of the database cluster. It has no password, so clients cannot log in as it.
const SUPERUSER: &str = "postgres";

/// Settings of every server of a host.
const SETTINGS: &[&str] =
    &[LOG_PREFIX, SLOW_STATEMENTS, NO_PARAMETERS, "log_min_error_statement=panic", "shared_buffers=16MB"];

/// Prefix of log lines: the application name contains the ID of the request that a connection serves, if the program sets
/// it (`kit::labels`).
const LOG_PREFIX: &str = "log_line_prefix=%m [%p] %quser=%u,db=%d,app=%a,client=%h ";

/// Statements of at least this duration are logged, without the values of their parameters.
const SLOW_STATEMENTS: &str = "log_min_duration_statement=1s";
const NO_PARAMETERS: &str = "log_parameter_max_length=0";

/// Settings of a server with replication. Standbys have those of their primary, because some must not be lower. The kept
/// log bounds the absence of a standby; a slot would need a limit too, and would remain after the standby's deletion.
const REPLICATION_SETTINGS: &[&str] = &[
    LOG_PREFIX,
    SLOW_STATEMENTS,
    NO_PARAMETERS,
    "log_min_error_statement=panic",
    "shared_buffers=16MB",
    "max_wal_senders=20",
    "wal_keep_size=128MB",
    "wal_retrieve_retry_interval=500ms",
];

/// Reasons why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    /// PostgreSQL is not installed.
    #[error(transparent)]
    NotInstalled(#[from] NotInstalled),
    /// The directory cannot be used, or a program cannot be run.
    #[error(transparent)]
    Home(#[from] HomeError),
    /// A name or password cannot be used.
    #[error(transparent)]
    Unusable(#[from] Unusable),
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
    /// `initdb`, or the creation of role and database failed.
    #[error("{step} failed: {output}")]
    Setup {
        /// The failed step.
        step: &'static str,
        /// Output of the program.
        output: String,
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
pub(crate) async fn start(spec: &DatabaseSpec) -> Result<Started, PostgresError> {
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
    Ok(Started { process: server.launch(&launch(spec)).await?, streams: false })
}

/// Copies the data of a stopped server to another directory, if there is any.
pub(crate) async fn copy(from: &Path, to: &Path) -> Result<(), PostgresError> {
    let (from, to) = (Server::open(from)?, Server::open(to)?);
    if !from.has_data() {
        return Ok(());
    }
    let partial = to.empty("data.new")?;
    to.copy(&from.data(), &partial).await?;
    Ok(to.become_data(&partial)?)
}

/// Shuts the server down: closes sessions and writes the data. Kills processes that do not exit in time.
pub(crate) async fn stop(identity: ProcessIdentity) {
    server_home::stop(identity, Signal::INT).await;
}

/// Returns the parameters of the start of a server of a host.
fn launch(spec: &DatabaseSpec) -> Launch<'_> {
    Launch {
        site: &spec.site,
        address: spec.address,
        port: spec.port,
        user: &spec.user,
        database: &spec.database,
        settings: if spec.replication.is_some() { REPLICATION_SETTINGS } else { SETTINGS },
        tls: Tls::default(),
    }
}

/// Quotes a text as an SQL identifier.
pub(crate) fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

/// Quotes a text as an SQL literal.
pub(crate) fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

async fn ensure_role_and_database(server: &Server, spec: &DatabaseSpec) -> Result<(), PostgresError> {
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
