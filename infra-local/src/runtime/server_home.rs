//! Database servers in general: their home directory, their programs, and the specification of a server of a host.

mod authority;
mod certificate;
mod directory;
mod spec;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs;
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use rustix::process::Signal;
use tokio::io::AsyncWriteExt as _;
use tokio::process::Command;

pub(crate) use authority::CertificateAuthority;
pub(crate) use certificate::ServerCertificate;
pub(crate) use directory::{admit, closed_above, remove, sweep_all};
pub(crate) use spec::{DatabaseSpec, Login, REPLICATOR, Replication, Started, Unusable};

use super::confinement::Confinement;
use super::network::Site;
use super::process::{self, ProcessSpec};
use super::user::{self, User};
use crate::model::process::ProcessIdentity;

/// Limit of a program that runs in a network namespace, such as a copy of a primary.
const TOOL_LIMIT: Duration = Duration::from_mins(30);

/// Limit until the remaining processes of a dead server have exited.
const KILL_LIMIT: Duration = Duration::from_mins(1);

/// Limit until a leftover server has shut down.
const STOP_LIMIT: Duration = Duration::from_secs(20);

/// Length of the part of a log that is searched, in bytes.
const LOG_LIMIT: u64 = 1 << 20;

/// Reasons why the home of a server cannot be used, or one of its programs cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum HomeError {
    /// The server's user cannot enter the directory.
    #[error(
        "database servers do not run as root but as {}, who cannot enter {}: let others pass through it \
         (`chmod o+x {}`), or keep the cloud in another directory",
        user::unprivileged_name(), closed.display(), closed.display()
    )]
    Closed {
        /// The directory above the data that cannot be entered.
        closed: PathBuf,
    },
    /// An operation on the file system failed.
    #[error("{} cannot be prepared for a database server: {source}", path.display())]
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

/// The directory of a server with its data and its log, and the user that it runs as.
pub(crate) struct ServerHome {
    user: Option<User>,
    home: PathBuf,
    log: PathBuf,
    /// Directories outside of the system's that its programs read.
    readable: Vec<PathBuf>,
}

impl ServerHome {
    /// Prepares a directory for `data/` and the log.
    pub(crate) fn open(directory: &Path, log: &str, readable: Vec<PathBuf>) -> Result<Self, HomeError> {
        let home = directory::home(directory, log)?;
        Ok(Self { user: user::unprivileged_user(), home, log: directory.join(log), readable })
    }

    /// Returns the directory of the data, if it exists.
    pub(crate) fn data(&self) -> PathBuf {
        self.home.join("data")
    }

    /// Returns an unused path in the home.
    pub(crate) fn empty(&self, name: &str) -> Result<PathBuf, HomeError> {
        let path = self.home.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(path),
        }
    }

    /// Renames a complete data directory to its final name, and replaces the previous one.
    pub(crate) fn become_data(&self, finished: &Path) -> Result<(), HomeError> {
        let former = self.empty("data.old")?;
        let data = self.data();
        if data.exists() {
            fs::rename(&data, &former).map_err(failed(&data))?;
        }
        fs::rename(finished, &data).map_err(failed(&data))?;
        self.empty("data.old").map(drop)
    }

    /// Writes a file in the data directory.
    pub(crate) fn write(&self, name: &str, content: &str) -> Result<(), HomeError> {
        let path = self.data().join(name);
        directory::replace_file(&path, content.as_bytes(), self.user).map_err(failed(&path))
    }

    /// Removes a file from the data directory, if it exists.
    pub(crate) fn remove(&self, name: &str) -> Result<(), HomeError> {
        let path = self.data().join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(failed(&path)(error)),
            _ => Ok(()),
        }
    }

    /// Copies a directory as the server's user. The result of `cp` is returned.
    pub(crate) async fn copy(&self, from: &Path, to: &Path) -> Result<Finished, HomeError> {
        let arguments = [OsStr::new("-R"), from.as_os_str(), to.as_os_str()];
        let output = self.tool(Path::new("cp"), &arguments, &[], "").await?;
        if output.success {
            fs::set_permissions(to, std::os::unix::fs::PermissionsExt::from_mode(0o700)).map_err(failed(to))?;
        }
        Ok(output)
    }

    /// Runs a program as the server's user, and waits for its result.
    pub(crate) async fn tool(
        &self,
        program: &Path,
        arguments: &[&OsStr],
        own_environment: &[(&str, &str)],
        input: &str,
    ) -> Result<Finished, HomeError> {
        let mut command = Command::new(program);
        command.env_clear().envs(environment()).envs(own_environment.iter().copied());
        command.args(arguments).current_dir(&self.home).kill_on_drop(true);
        if let Some(user) = self.user {
            command.uid(user.uid).gid(user.gid);
        }
        run(command, input, program).await
    }

    /// Runs a program as the server's user at a site, and waits for its result. In a network namespace, it is confined as the
    /// server is, and its output is written to a file first.
    pub(crate) async fn tool_at(
        &self,
        site: &Site,
        program: &Path,
        arguments: &[&OsStr],
        own_environment: &[(&str, &str)],
    ) -> Result<Finished, HomeError> {
        let run_failed = |source| HomeError::Run { program: program.to_owned(), source };
        let Some(namespace) = site.namespace().await.map_err(run_failed)? else {
            return self.tool(program, arguments, own_environment, "").await;
        };
        let name = program.file_name().unwrap_or(program.as_os_str()).to_string_lossy();
        let log = self.log.with_file_name(format!("{name}.log"));
        match fs::remove_file(&log) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(&log)(error)),
            _ => {}
        }
        let arguments = arguments.iter().map(|argument| argument.to_string_lossy().into_owned()).collect();
        let own_environment = own_environment.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
        let spec =
            ProcessSpec { log: log.clone(), ..self.process(program, arguments, &self.home, own_environment.collect()) };
        let success = process::run(&spec, Some(&namespace), TOOL_LIMIT).await.map_err(run_failed)?;
        let stdout = String::from_utf8_lossy(&fs::read(&log).map_err(failed(&log))?).into_owned();
        Ok(Finished { success, stdout, stderr: String::new() })
    }

    /// Starts a confined server process with this working directory, whose output is the log.
    pub(crate) async fn spawn(
        &self,
        site: &Site,
        program: &Path,
        arguments: Vec<String>,
        directory: &Path,
        own_environment: BTreeMap<String, String>,
    ) -> Result<ProcessIdentity, HomeError> {
        let run_failed = |source| HomeError::Run { program: program.to_owned(), source };
        let namespace = site.namespace().await.map_err(run_failed)?;
        let spec = self.process(program, arguments, directory, own_environment);
        process::spawn(&spec, namespace.as_ref()).map_err(run_failed)
    }

    /// Checks that an address can be listened on. A server writes this error only to its log.
    pub(crate) async fn check_address(&self, site: &Site, address: Ipv4Addr, port: u16) -> Result<(), HomeError> {
        let listened = site.listen((address, port).into()).await;
        listened.map(drop).map_err(|source| HomeError::Address { address, port, source })
    }

    /// Stops a server that survived a killed cloud and still holds the data directory. The first line of its file in the data
    /// directory is its process id.
    pub(crate) async fn stop_leftover(&self, file: &str, signal: Signal) {
        let Ok(text) = fs::read_to_string(self.data().join(file)) else {
            return;
        };
        let leftover = text.lines().next().and_then(|pid| pid.trim().parse().ok()).and_then(ProcessIdentity::of);
        if let Some(identity) = leftover.filter(|identity| has_working_directory(identity.pid, &self.data())) {
            tracing::info!(pid = identity.pid, "ending the database server that still runs on this data");
            stop(identity, signal).await;
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
            process.exits_within(KILL_LIMIT).await;
        }
    }

    /// Returns the length of the server's log, in bytes.
    pub(crate) fn log_length(&self) -> u64 {
        fs::metadata(&self.log).map_or(0, |log| log.len())
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

    /// Returns a process that writes to the home only. Superusers can make a server run programs.
    fn process(
        &self,
        program: &Path,
        arguments: Vec<String>,
        directory: &Path,
        own_environment: BTreeMap<String, String>,
    ) -> ProcessSpec {
        let mut all = environment();
        all.extend(own_environment);
        let confinement =
            Confinement { writable: vec![self.home.clone()], readable: self.readable.clone(), user: None };
        ProcessSpec {
            program: program.to_owned(),
            arguments,
            environment: all,
            directory: directory.to_owned(),
            log: self.log.clone(),
            user: self.user,
            confinement: Some(confinement),
        }
    }
}

/// Shuts a server down by this signal, and kills it if it does not exit in time.
pub(crate) async fn stop(identity: ProcessIdentity, signal: Signal) {
    identity.signal(signal);
    if !identity.exits_within(STOP_LIMIT).await {
        tracing::warn!(pid = identity.pid, "a database server did not shut down in time and is killed");
        identity.kill();
        identity.exits_within(STOP_LIMIT).await;
    }
}

fn failed(path: &Path) -> impl FnOnce(io::Error) -> HomeError {
    let path = path.to_owned();
    move |source| HomeError::Directory { path, source }
}

fn environment() -> BTreeMap<String, String> {
    let path = std::env::var("PATH").unwrap_or_else(|_| "/usr/bin:/bin".to_owned());
    [("PATH", path.as_str()), ("LC_ALL", "C"), ("TZ", "UTC")]
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .into()
}

async fn run(mut command: Command, input: &str, program: &Path) -> Result<Finished, HomeError> {
    let failed = |source| HomeError::Run { program: program.to_owned(), source };
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

/// Returns whether a process has this working directory, as a server has its data directory.
fn has_working_directory(pid: u32, directory: &Path) -> bool {
    match (fs::read_link(format!("/proc/{pid}/cwd")), fs::canonicalize(directory)) {
        (Ok(current), Ok(directory)) => current == directory,
        // If the system does not report it, the server detects the conflict itself and exits.
        _ => false,
    }
}
