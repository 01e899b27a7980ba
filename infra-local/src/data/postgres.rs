//! Real PostgreSQL servers, as a user without privileges, reachable only with a password.

mod binaries;
mod home;

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::process::Command;
use tokio::time::Instant;

use binaries::Binaries;
pub(crate) use binaries::find_binaries;

use super::process::{self, ProcessIdentity, ProcessSpec, User};

/// How long a server may take to accept; recovery after a crash is part of it.
const START_LIMIT: Duration = Duration::from_mins(1);

/// How long a fast shutdown may take before the server is killed.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// The cluster's own superuser; it has no password, so nobody logs in with it.
const SUPERUSER: &str = "postgres";

/// One server with one database.
#[derive(Clone)]
pub(crate) struct PostgresSpec {
    /// Holds `data/` and `postgres.log`.
    pub(crate) directory: PathBuf,
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
}

/// Why a server could not be started.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PostgresError {
    /// PostgreSQL is not installed.
    #[error(
        "PostgreSQL is not installed: no directory in PATH, /usr/lib/postgresql or Homebrew holds both initdb and postgres. \
         Install it (Debian: apt-get install postgresql, Fedora: dnf install postgresql-server, macOS: brew install postgresql)"
    )]
    NotInstalled,
    /// A name or password that cannot be written into SQL here.
    #[error("the {what} of the database is empty or has a control character in it: choose another")]
    Unusable {
        /// `user`, `database` or `password`.
        what: &'static str,
    },
    /// The file system said no.
    #[error("{} cannot be prepared for PostgreSQL: {source}", path.display())]
    Directory {
        /// What was touched.
        path: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// One of the programs could not be run at all.
    #[error("{} cannot be run: {source}", program.display())]
    Run {
        /// Its path.
        program: PathBuf,
        /// The system's reason.
        #[source]
        source: io::Error,
    },
    /// `initdb` or the set-up of role and database failed.
    #[error("{step} failed: {output}")]
    Setup {
        /// What was being done.
        step: &'static str,
        /// What the program said.
        output: String,
    },
    /// Something else answers there.
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
    /// The server ended, or did not accept in time.
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

/// Starts the server, creating its data, role and database when they are not there, and returns once it accepts.
///
/// An existing data directory is used again; the role's password becomes the given one.
pub(crate) async fn start(spec: &PostgresSpec) -> Result<ProcessIdentity, PostgresError> {
    for (what, text) in [("user", &spec.user), ("database", &spec.database), ("password", &spec.password)] {
        if text.is_empty() || text.chars().any(char::is_control) {
            return Err(PostgresError::Unusable { what });
        }
    }
    let server =
        Server { binaries: find_binaries()?, user: process::unprivileged_user(), home: home::home(&spec.directory)? };
    server.end_leftover().await;
    server.initialise().await?;
    server.write_access_rules()?;
    server.ensure_role_and_database(spec).await?;
    server.launch(spec).await
}

/// Shuts the server down: sessions are ended, data is written, and what does not obey is killed.
pub(crate) async fn stop(identity: ProcessIdentity) {
    identity.signal(Signal::INT);
    if !identity.gone_within(STOP_LIMIT).await {
        tracing::warn!(pid = identity.pid, "PostgreSQL did not shut down in time and is killed");
        identity.kill();
        identity.gone_within(STOP_LIMIT).await;
    }
}

/// Deletes the data and log of a stopped server, wherever its data had to be kept.
pub(crate) fn remove(directory: &Path) -> io::Result<()> {
    home::remove(directory)
}

/// Deletes the data that had to be kept elsewhere for directories that are gone.
pub(crate) fn sweep() {
    home::sweep_all();
}

/// One data directory and the programs that work on it.
struct Server {
    binaries: Binaries,
    user: Option<User>,
    home: PathBuf,
}

impl Server {
    fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// A server that outlived a killed cloud still holds the data directory: end it.
    async fn end_leftover(&self) {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return;
        };
        let leftover = text.lines().next().and_then(|pid| pid.trim().parse().ok()).and_then(ProcessIdentity::of);
        if let Some(identity) = leftover.filter(|identity| works_in(identity.pid, &self.data())) {
            tracing::info!(pid = identity.pid, "ending the PostgreSQL server that still runs on this data");
            stop(identity).await;
        }
    }

    /// Creates the data directory beside its final name, so that a half-made one is never used.
    async fn initialise(&self) -> Result<(), PostgresError> {
        if self.data().join("PG_VERSION").exists() {
            return Ok(());
        }
        let partial = self.home.join("data.new");
        let prepare = |source| PostgresError::Directory { path: partial.clone(), source };
        if partial.exists() {
            fs::remove_dir_all(&partial).map_err(prepare)?;
        }
        let mut command = self.command(&self.binaries.initdb);
        // Trust holds for nobody: the access rules are replaced before any server listens.
        command.args(["--username", SUPERUSER, "--auth=trust", "--encoding=UTF8"]);
        command.args(["--locale=C", "--no-sync", "--pgdata"]).arg(&partial);
        let output = run(command, "", &self.binaries.initdb).await?;
        if !output.success {
            return Err(PostgresError::Setup { step: "initdb", output: output.text() });
        }
        fs::rename(&partial, self.data()).map_err(prepare)
    }

    /// Only passwords, only over loopback; there is no socket in the file system at all.
    fn write_access_rules(&self) -> Result<(), PostgresError> {
        let path = self.data().join("pg_hba.conf");
        let rules = "host all all 127.0.0.0/8 scram-sha-256\nhost replication all 127.0.0.0/8 scram-sha-256\n";
        home::write_anew(&path, rules.as_bytes()).map_err(|source| PostgresError::Directory { path, source })
    }

    /// Works on the data directory before the server is up, through the server's single-user mode:
    /// statements go in over a pipe, so the password shows in no command line, and nothing is logged.
    async fn ensure_role_and_database(&self, spec: &PostgresSpec) -> Result<(), PostgresError> {
        let (role, database) = (identifier(&spec.user), identifier(&spec.database));
        let (role_name, database_name) = (literal(&spec.user), literal(&spec.database));
        // Creating what is there fails and is passed over; the last line tells whether everything is as it should be.
        let statements = format!(
            "CREATE ROLE {role}\n\
             ALTER ROLE {role} LOGIN PASSWORD {password}\n\
             CREATE DATABASE {database}\n\
             ALTER DATABASE {database} OWNER TO {role}\n\
             SELECT 'ready' FROM pg_database JOIN pg_authid ON pg_authid.oid = datdba \
             WHERE datname = {database_name} AND rolname = {role_name} AND rolpassword IS NOT NULL\n",
            password = literal(&spec.password),
        );
        let mut command = self.command(&self.binaries.postgres);
        command.args(["--single", "-D"]).arg(self.data());
        for setting in ["log_min_error_statement=panic", "log_statement=none", "password_encryption=scram-sha-256"] {
            command.args(["-c", setting]);
        }
        command.arg("postgres");
        let output = run(command, &statements, &self.binaries.postgres).await?;
        if output.success && output.stdout.contains("\"ready\"") {
            return Ok(());
        }
        Err(PostgresError::Setup { step: "creating the role and its database", output: output.stderr })
    }

    async fn launch(&self, spec: &PostgresSpec) -> Result<ProcessIdentity, PostgresError> {
        let (address, port) = (spec.address, spec.port);
        // The server's own complaint stands only in its log; asking first gives a better error.
        drop(tokio::net::TcpListener::bind((address, port)).await.map_err(|source| PostgresError::Address {
            address,
            port,
            source,
        })?);
        let log = spec.directory.join("postgres.log");
        let settings = [
            format!("listen_addresses={address}"),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "password_encryption=scram-sha-256".to_owned(),
            "log_min_error_statement=panic".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
            "shared_buffers=16MB".to_owned(),
            "fsync=on".to_owned(),
        ];
        let mut arguments = vec!["-D".to_owned(), self.data().to_string_lossy().into_owned()];
        arguments.extend(settings.into_iter().flat_map(|setting| ["-c".to_owned(), setting]));
        let identity = process::spawn(&ProcessSpec {
            program: self.binaries.postgres.clone(),
            arguments,
            environment: environment(),
            directory: self.data(),
            log: log.clone(),
            user: self.user,
        })
        .map_err(|source| PostgresError::Run { program: self.binaries.postgres.clone(), source })?;

        let deadline = Instant::now() + START_LIMIT;
        loop {
            let what = if accepts(spec).await {
                return Ok(identity);
            } else if !identity.is_alive() {
                "ended while starting".to_owned()
            } else if Instant::now() >= deadline {
                stop(identity).await;
                format!("did not accept within {} s", START_LIMIT.as_secs())
            } else {
                tokio::time::sleep(Duration::from_millis(10)).await;
                continue;
            };
            return Err(PostgresError::NotAccepting { address, port, what, log: tail(&log) });
        }
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command.env_clear().envs(environment()).current_dir(&self.home).kill_on_drop(true);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        command
    }
}

fn environment() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    [("PATH", path.as_str()), ("LC_ALL", "C"), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

struct Finished {
    success: bool,
    stdout: String,
    stderr: String,
}

impl Finished {
    fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

async fn run(mut command: Command, input: &str, program: &Path) -> Result<Finished, PostgresError> {
    let failed = |source| PostgresError::Run { program: program.to_owned(), source };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // A program that ended early is told by its status and output.
        let _closed = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    Ok(Finished {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Whether the server asks for the password of this role and database, as `pg_isready` finds out.
async fn accepts(spec: &PostgresSpec) -> bool {
    const PROTOCOL_3: u32 = 196_608;
    let mut body = PROTOCOL_3.to_be_bytes().to_vec();
    for text in ["user", &spec.user, "database", &spec.database] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let Ok(length) = u32::try_from(body.len() + 4) else {
        return false;
    };
    let ask = async {
        let mut stream = TcpStream::connect((spec.address, spec.port)).await?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&body).await?;
        stream.read_u8().await
    };
    // `R` asks for authentication; `E` says that it is still starting.
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(b'R')))
}

/// Whether a process works in this directory, as a server does in its data directory.
fn works_in(pid: u32, directory: &Path) -> bool {
    match (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(directory)) {
        (Ok(current), Ok(directory)) => current == directory,
        // Where this cannot be asked the server finds out itself and refuses.
        _ => false,
    }
}

fn identifier(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

fn tail(log: &Path) -> String {
    let bytes = fs::read(log).unwrap_or_default();
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(8)..].join("\n")
}

#[cfg(test)]
mod tests;
