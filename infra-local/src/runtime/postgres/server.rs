//! A data directory, its programs, and the server that runs on it.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{Read as _, Seek as _, SeekFrom};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::process::Command;
use tokio::time::Instant;

use super::binaries::Binaries;
use super::{PostgresError, find_binaries, home, stop};
use crate::model::process::ProcessIdentity;
use crate::runtime::confinement::Confinement;
use crate::runtime::network::Site;
use crate::runtime::process::ProcessSpec;
use crate::runtime::user::User;
use crate::runtime::{process, user};

/// Limit until a server accepts connections, including recovery after a crash.
const START_LIMIT: Duration = Duration::from_mins(1);

/// Limit of a program that runs in a network namespace, such as a copy of a primary.
const TOOL_LIMIT: Duration = Duration::from_mins(30);

/// Length of the part of a log that is searched, in bytes.
const LOG_LIMIT: u64 = 1 << 20;

/// A data directory and its programs.
pub(crate) struct Server {
    binaries: Binaries,
    user: Option<User>,
    home: PathBuf,
    log: PathBuf,
}

/// Parameters of a start.
pub(crate) struct Launch<'a> {
    /// Where it runs.
    pub(crate) site: &'a Site,
    /// The only address it listens on.
    pub(crate) address: Ipv4Addr,
    /// TCP port.
    pub(crate) port: u16,
    /// User of the connection that checks whether the server accepts connections.
    pub(crate) user: &'a str,
    /// Database of that connection.
    pub(crate) database: &'a str,
    /// Settings `name=value` that override the data directory's configuration file.
    pub(crate) settings: &'a [&'a str],
}

/// Result of a program.
pub(crate) struct Finished {
    pub(crate) success: bool,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Finished {
    /// Returns the complete output.
    pub(crate) fn text(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

impl Server {
    /// Prepares a directory for `data/` and `postgres.log`.
    pub(crate) fn open(directory: &Path) -> Result<Server, PostgresError> {
        Ok(Server {
            binaries: find_binaries()?,
            user: user::unprivileged_user(),
            home: home::home(directory)?,
            log: directory.join("postgres.log"),
        })
    }

    /// Returns the directory of the data, if it exists.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Returns whether the data directory exists.
    pub(crate) fn has_data(&self) -> bool {
        self.data().join("PG_VERSION").exists()
    }

    /// Stops a server that survived a killed cloud and still holds the data directory.
    pub(crate) async fn stop_leftover(&self) {
        let Ok(text) = fs::read_to_string(self.data().join("postmaster.pid")) else {
            return;
        };
        let leftover = text.lines().next().and_then(|pid| pid.trim().parse().ok()).and_then(ProcessIdentity::of);
        if let Some(identity) = leftover.filter(|identity| has_working_directory(identity.pid, &self.data())) {
            tracing::info!(pid = identity.pid, "ending the PostgreSQL server that still runs on this data");
            stop(identity).await;
        }
    }

    /// Kills the remaining processes of a server that has died. A session that is committing does not notice the death
    /// at once, and must not confirm the commit to its client when another server already uses the data.
    pub(crate) async fn kill_remaining(&self) {
        let data = self.data();
        let pids = fs::read_dir("/proc").into_iter().flatten().flatten();
        let pids = pids.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
        let remains: Vec<_> =
            pids.filter(|pid| has_working_directory(*pid, &data)).filter_map(ProcessIdentity::of).collect();
        for process in &remains {
            process.signal(Signal::KILL);
        }
        for process in remains {
            process.exits_within(START_LIMIT).await;
        }
    }

    /// Creates the data directory if it does not exist, under a temporary name, so that an incomplete one is never
    /// used.
    pub(crate) async fn initialise(&self, superuser: &str) -> Result<(), PostgresError> {
        if self.has_data() {
            return Ok(());
        }
        let partial = self.empty("data.new")?;
        let mut command = self.command(&self.binaries.initdb);
        // The server never uses the method `trust`: the access rules are replaced before it listens.
        command.args(["--username", superuser, "--auth=trust", "--encoding=UTF8", "--data-checksums"]);
        command.args(["--locale=C", "--no-sync", "--pgdata"]).arg(&partial);
        let output = run(command, "", &self.binaries.initdb).await?;
        if !output.success {
            return Err(PostgresError::Setup { step: "initdb", output: output.text() });
        }
        self.become_data(&partial)
    }

    /// Returns an unused path in the home.
    pub(crate) fn empty(&self, name: &str) -> Result<PathBuf, PostgresError> {
        let path = self.home.join(name);
        if path.exists() {
            fs::remove_dir_all(&path).map_err(failed(&path))?;
        }
        Ok(path)
    }

    /// Renames a complete data directory to its final name, and replaces the previous one.
    pub(crate) fn become_data(&self, finished: &Path) -> Result<(), PostgresError> {
        let former = self.empty("data.old")?;
        let data = self.data();
        if data.exists() {
            fs::rename(&data, &former).map_err(failed(&data))?;
        }
        fs::rename(finished, &data).map_err(failed(&data))?;
        self.empty("data.old").map(drop)
    }

    /// Writes a file in the data directory.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<(), PostgresError> {
        let path = self.data().join(name);
        home::replace_file(&path, content.as_bytes(), self.user).map_err(failed(&path))
    }

    /// Removes a file from the data directory, if it exists.
    pub(crate) fn remove(&self, name: &str) -> Result<(), PostgresError> {
        let path = self.data().join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Executes statements while the server does not run, in single-user mode. The statements, one per line, are sent
    /// through a pipe, so that passwords appear neither in a command line nor in a log. A failed statement is skipped;
    /// the last one has to return `ready`.
    pub(crate) async fn single_user(&self, step: &'static str, statements: &str) -> Result<(), PostgresError> {
        let mut command = self.command(&self.binaries.postgres);
        command.args(["--single", "-D"]).arg(self.data());
        for setting in ["log_min_error_statement=panic", "log_statement=none", "password_encryption=scram-sha-256"] {
            command.args(["-c", setting]);
        }
        command.arg("postgres");
        let output = run(command, statements, &self.binaries.postgres).await?;
        if output.success && output.stdout.contains("\"ready\"") {
            return Ok(());
        }
        Err(PostgresError::Setup { step, output: output.stderr })
    }

    /// Runs a program of PostgreSQL as the server's user, and waits for its result.
    pub(crate) async fn tool(
        &self,
        name: &str,
        arguments: &[&OsStr],
        environment: &[(&str, &str)],
        input: &str,
    ) -> Result<Finished, PostgresError> {
        let program = self.binaries.postgres.with_file_name(name);
        let mut command = self.command(&program);
        command.args(arguments).envs(environment.iter().copied());
        run(command, input, &program).await
    }

    /// Runs a program of PostgreSQL as the server's user at a site, and waits for its result. In a network namespace, it is
    /// confined as the server is, and its output is written to a file first.
    pub(crate) async fn tool_at(
        &self,
        site: &Site,
        name: &str,
        arguments: &[&OsStr],
        own_environment: &[(&str, &str)],
    ) -> Result<Finished, PostgresError> {
        let program = self.binaries.postgres.with_file_name(name);
        let run_failed = |source| PostgresError::Run { program: program.clone(), source };
        let Some(namespace) = site.namespace().await.map_err(run_failed)? else {
            return self.tool(name, arguments, own_environment, "").await;
        };
        let log = self.log.with_file_name(format!("{name}.log"));
        match fs::remove_file(&log) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(failed(&log)(error)),
            _ => {}
        }
        let mut all = environment();
        all.extend(own_environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        let spec = ProcessSpec {
            program: program.clone(),
            arguments: arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect(),
            environment: all,
            directory: self.home.clone(),
            log: log.clone(),
            user: self.user,
            confinement: Some(self.confinement()),
        };
        let success = process::run(&spec, Some(&namespace), TOOL_LIMIT).await.map_err(run_failed)?;
        let stdout = String::from_utf8_lossy(&fs::read(&log).map_err(failed(&log))?).into_owned();
        Ok(Finished { success, stdout, stderr: String::new() })
    }

    /// Copies a directory as the server's user.
    pub(crate) async fn copy(&self, from: &Path, to: &Path) -> Result<(), PostgresError> {
        let program = Path::new("cp");
        let mut command = self.command(program);
        command.arg("-R").arg(from).arg(to);
        let output = run(command, "", program).await?;
        if output.success {
            return fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(failed(to));
        }
        Err(PostgresError::Setup { step: "copying the data", output: output.text() })
    }

    /// Starts the server, and returns once it accepts connections. Clients need a password, and can connect only over
    /// TCP. In the network of this machine, only loopback addresses are admitted; in a network namespace, the network
    /// filters the clients.
    pub(crate) async fn launch(&self, launch: &Launch<'_>) -> Result<ProcessIdentity, PostgresError> {
        let clients = if launch.site.is_inside() { "0.0.0.0/0" } else { "127.0.0.0/8" };
        let rules = ["all", "replication"].map(|what| format!("host {what} all {clients} scram-sha-256\n"));
        self.write("pg_hba.conf", &rules.concat())?;
        let (address, port) = (launch.address, launch.port);
        // The server writes this error only to its log; a check in advance gives a better message.
        drop(launch.site.listen((address, port).into()).await.map_err(|source| PostgresError::Address {
            address,
            port,
            source,
        })?);
        let settings = [
            format!("listen_addresses={address}"),
            format!("port={port}"),
            "unix_socket_directories=".to_owned(),
            "password_encryption=scram-sha-256".to_owned(),
            "log_destination=stderr".to_owned(),
            "logging_collector=off".to_owned(),
            "fsync=on".to_owned(),
        ];
        let settings = settings.into_iter().chain(launch.settings.iter().map(|setting| (*setting).to_owned()));
        let mut arguments = vec!["-D".to_owned(), self.data().to_string_lossy().into_owned()];
        arguments.extend(settings.flat_map(|setting| ["-c".to_owned(), setting]));
        let failed = |source| PostgresError::Run { program: self.binaries.postgres.clone(), source };
        let namespace = launch.site.namespace().await.map_err(failed)?;
        let spec = ProcessSpec {
            program: self.binaries.postgres.clone(),
            arguments,
            environment: environment(),
            directory: self.data(),
            log: self.log.clone(),
            user: self.user,
            confinement: Some(self.confinement()),
        };
        let identity = process::spawn(&spec, namespace.as_ref()).map_err(failed)?;
        self.accepting(launch, identity).await
    }

    async fn accepting(
        &self,
        launch: &Launch<'_>,
        identity: ProcessIdentity,
    ) -> Result<ProcessIdentity, PostgresError> {
        let deadline = Instant::now() + START_LIMIT;
        let mut pause = Duration::from_millis(10);
        loop {
            let address = (launch.address, launch.port).into();
            let what = if accepts(launch.site, address, launch.user, launch.database).await {
                return Ok(identity);
            } else if !identity.is_alive() {
                "ended while starting".to_owned()
            } else if Instant::now() >= deadline {
                stop(identity).await;
                format!("did not accept within {} s", START_LIMIT.as_secs())
            } else {
                // Each check is a line in the server's log.
                tokio::time::sleep(pause).await;
                pause = (pause * 2).min(Duration::from_millis(100));
                continue;
            };
            let (address, port) = (launch.address, launch.port);
            return Err(PostgresError::NotAccepting { address, port, what, log: self.log_tail() });
        }
    }

    /// Returns the path of the server's log.
    pub(crate) fn log(&self) -> &Path {
        &self.log
    }

    /// Returns the last lines of the server's log.
    pub(crate) fn log_tail(&self) -> String {
        let bytes = fs::read(&self.log).unwrap_or_default();
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().collect();
        lines[lines.len().saturating_sub(8)..].join("\n")
    }

    /// Returns the part of the server's log after its first `length` bytes, up to a limit.
    pub(crate) fn log_since(&self, length: u64) -> String {
        let mut bytes = Vec::new();
        let read = fs::File::open(&self.log).and_then(|mut log| {
            log.seek(SeekFrom::Start(length))?;
            log.take(LOG_LIMIT).read_to_end(&mut bytes)
        });
        read.map_or_else(|_| String::new(), |_| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Returns the confinement. The server writes to its own directory; superusers can make it run programs.
    fn confinement(&self) -> Confinement {
        let installation = self.binaries.postgres.parent().and_then(Path::parent);
        let readable = installation.map(Path::to_owned).into_iter().collect();
        Confinement { writable: vec![self.home.clone()], readable, user: None }
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

fn failed(path: &Path) -> impl FnOnce(std::io::Error) -> PostgresError {
    let path = path.to_owned();
    move |source| PostgresError::Directory { path, source }
}

fn environment() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    [("PATH", path.as_str()), ("LC_ALL", "C"), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

async fn run(mut command: Command, input: &str, program: &Path) -> Result<Finished, PostgresError> {
    let failed = |source| PostgresError::Run { program: program.to_owned(), source };
    let mut child =
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().map_err(failed)?;
    if let Some(mut stdin) = child.stdin.take() {
        // The exit status and the output show that a program exited early.
        let _closed = stdin.write_all(input.as_bytes()).await;
    }
    let output = child.wait_with_output().await.map_err(failed)?;
    Ok(Finished {
        success: output.status.success(),
        stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
        stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
    })
}

/// Returns whether the server requests the password of this user and database, as `pg_isready` checks it.
pub(super) async fn accepts(site: &Site, address: SocketAddr, user: &str, database: &str) -> bool {
    const PROTOCOL_3: u32 = 196_608;
    let mut body = PROTOCOL_3.to_be_bytes().to_vec();
    for text in ["user", user, "database", database] {
        body.extend_from_slice(text.as_bytes());
        body.push(0);
    }
    body.push(0);
    let Ok(length) = u32::try_from(body.len() + 4) else {
        return false;
    };
    let ask = async {
        let mut stream = site.connect(address).await?;
        stream.write_all(&length.to_be_bytes()).await?;
        stream.write_all(&body).await?;
        stream.read_u8().await
    };
    // `R` asks for authentication; `E` says that it is still starting.
    matches!(tokio::time::timeout(Duration::from_secs(2), ask).await, Ok(Ok(b'R')))
}

/// Returns whether a process has this working directory, as a server has its data directory.
fn has_working_directory(pid: u32, directory: &Path) -> bool {
    match (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(directory)) {
        (Ok(current), Ok(directory)) => current == directory,
        // If the system does not report it, the server detects the conflict itself and exits.
        _ => false,
    }
}
