//! Confinement of the programs that instances run.
//!
//! A program sees the system's directories and its instance's own, writes only to the directories in its
//! [`Confinement`], gains no privileges, and reaches no process and no Unix socket of the user's session. Landlock enforces
//! file access and the limits on signals; a mount namespace hides everything else, path-based sockets above all, because
//! Landlock does not restrict connecting to those. What the kernel does not offer is left out, and
//! [`Status::confinement`](crate::Status::confinement) says so.
//!
//! Only a process with a single thread can enter a user namespace, so programs are started through a launcher: this
//! executable again, which confines itself and then becomes the program. Executables that have not called
//! [`enable_launcher`] start programs from a confined thread instead, without a mount namespace.
//!
//! Programs in the namespace of an instance see the instance's `/etc/resolv.conf` and `/etc/hosts`. This needs the mount
//! namespace; without it, and without confinement, these files are this machine's.
//!
//! Source: Linux, "Landlock: unprivileged access control"; `user_namespaces(7)`, `pivot_root(2)`.

#[cfg(target_os = "linux")]
mod launcher;
#[cfg(target_os = "linux")]
mod mounts;
#[cfg(target_os = "linux")]
mod name_files;
#[cfg(target_os = "linux")]
mod restrictions;

use std::collections::BTreeMap;
use std::io;
#[cfg(target_os = "linux")]
use std::os::fd::AsRawFd as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use serde::{Deserialize, Serialize};

use crate::runtime::executable;
use crate::runtime::network::{NameFiles, Namespace};
use crate::runtime::user::User;

/// First argument of a launcher.
const LAUNCH: &str = "infra-launch";
/// First argument of a launcher that only reports what it can enforce.
const PROBE: &str = "infra-launch-probe";

/// Access of a program besides the system's directories.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Confinement {
    /// Directories it may write to.
    pub(crate) writable: Vec<PathBuf>,
    /// Directories it may read, and execute programs from.
    pub(crate) readable: Vec<PathBuf>,
    /// The user it runs as; the cloud's own when absent.
    pub(crate) user: Option<User>,
}

/// Restrictions and network of a program that is about to start.
#[derive(Debug)]
pub(super) struct Launch<'a> {
    pub(super) confinement: &'a Confinement,
    /// Whether the confinement is enforced. Without it, only its user is used.
    pub(super) is_confined: bool,
    /// The whole environment of the program.
    pub(super) environment: &'a BTreeMap<String, String>,
    /// The network namespace of the program. The cloud's own when absent.
    pub(super) namespace: Option<&'a Namespace>,
    /// Whether the program has the standard input of this process, which waits for it. A program of the background has none.
    pub(super) is_interactive: bool,
}

/// A [`Launch`] as the launcher receives it.
#[derive(Debug, Serialize, Deserialize)]
struct Instructions {
    confinement: Confinement,
    is_confined: bool,
    network: Option<Network>,
}

/// The network namespace that a launcher enters.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Network {
    /// A file of the namespace. `None` if it is the launcher's standard input.
    file: Option<PathBuf>,
    /// The process whose user namespace owns it. `None` when that is the launcher's own.
    owner: Option<u32>,
    /// Files of a confined program. Another one sees this machine's.
    names: Option<NameFiles>,
}

/// The parts of the confinement that this machine enforces.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::struct_excessive_bools)]
pub struct ConfinementStatus {
    /// Programs read and write only their own files, and cannot be debugged into (Landlock).
    pub files: bool,
    /// Programs signal and reach over abstract sockets only what they started (Landlock, since Linux 6.12).
    pub signals: bool,
    /// Programs see no Unix socket of the user's session: session bus, ssh-agent, Docker (mount namespace).
    pub sockets: bool,
    /// Programs gain no privileges through set-user-id files, and have limits on processes, files and file sizes.
    pub privileges: bool,
    /// Reasons why a part is not enforced.
    pub reasons: Vec<String>,
}

/// Makes this executable the launcher of confined programs, and the process that owns a cloud's network. Call it first in
/// `main`, before anything that depends on the environment or the arguments: in a process that was started for such a task
/// it does not return.
pub fn enable_launcher() {
    #[cfg(target_os = "linux")]
    {
        let mut arguments = std::env::args_os().skip(1);
        match arguments.next() {
            Some(first) if first == LAUNCH => launcher::run(arguments),
            Some(first) if first == PROBE => launcher::probe(),
            Some(first) => crate::runtime::network::namespaces::become_process(&first, arguments),
            None => {}
        }
        executable::enable();
    }
}

impl ConfinementStatus {
    /// Returns the status of a cloud that was started without confinement.
    pub(crate) fn off() -> ConfinementStatus {
        let reasons = vec!["the cloud was started with `--unconfined`".to_owned()];
        ConfinementStatus { reasons, ..ConfinementStatus::default() }
    }

    /// Finds out once what this machine enforces.
    pub(crate) fn of_this_machine() -> &'static ConfinementStatus {
        static STATUS: OnceLock<ConfinementStatus> = OnceLock::new();
        STATUS.get_or_init(|| {
            probe().unwrap_or_else(|error| ConfinementStatus {
                reasons: vec![format!("the launcher does not work: {error}")],
                ..ConfinementStatus::default()
            })
        })
    }
}

#[cfg(target_os = "linux")]
fn probe() -> io::Result<ConfinementStatus> {
    let Some(mut command) = executable::command(PROBE) else {
        let restricted = std::thread::spawn(|| restrictions::restrict(&Confinement::default(), false, &[])).join();
        let mut status = restricted.map_err(|_| io::Error::other("the probing thread panicked"))?;
        // Resource limits are a process's, not a thread's.
        status.privileges = false;
        status.reasons.push("this executable is no launcher: see `infra_local::enable_launcher`".to_owned());
        return Ok(status);
    };
    let output = command.current_dir("/").stdin(Stdio::null()).output()?;
    serde_json::from_slice(&output.stdout)
        .map_err(|error| io::Error::other(format!("{error} ({})", String::from_utf8_lossy(&output.stderr).trim())))
}

#[cfg(not(target_os = "linux"))]
fn probe() -> io::Result<ConfinementStatus> {
    Err(io::Error::other("programs are confined on Linux alone"))
}

/// Builds the command that starts a program; the caller adds directory and output. Programs of the background are spawned
/// with [`spawn`].
#[cfg(target_os = "linux")]
pub(super) fn command(launch: &Launch<'_>, program: &Path, arguments: &[String]) -> io::Result<Command> {
    let needs_launcher = launch.is_confined || launch.namespace.is_some();
    if needs_launcher && let Some(mut command) = executable::command(LAUNCH) {
        let instructions = Instructions {
            confinement: launch.confinement.clone(),
            is_confined: launch.is_confined,
            network: launch.namespace.map(|namespace| Network {
                file: launch.is_interactive.then(|| path(namespace)),
                owner: namespace.owner,
                names: namespace.names.clone(),
            }),
        };
        command.arg(serde_json::to_string(&instructions)?).arg(program).args(arguments);
        command.env_clear().envs(launch.environment).env(executable::MARK, "1");
        return Ok(command);
    }
    if launch.namespace.is_some() {
        let reason = "only a launcher enters a network namespace: see `infra_local::enable_launcher`";
        return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
    }
    Ok(plain_command(launch, program, arguments))
}

/// Builds the command that starts a program without confinement, which is all that other systems have.
#[cfg(not(target_os = "linux"))]
pub(super) fn command(launch: &Launch<'_>, program: &Path, arguments: &[String]) -> io::Result<Command> {
    Ok(plain_command(launch, program, arguments))
}

/// Returns the file of a namespace as a path, which exists as long as the namespace's value.
#[cfg(target_os = "linux")]
fn path(namespace: &Namespace) -> PathBuf {
    format!("/proc/{}/fd/{}", std::process::id(), namespace.file.as_raw_fd()).into()
}

fn plain_command(launch: &Launch<'_>, program: &Path, arguments: &[String]) -> Command {
    use std::os::unix::process::CommandExt as _;
    let mut command = Command::new(program);
    command.args(arguments).env_clear().envs(launch.environment);
    if let Some(user) = launch.confinement.user {
        command.uid(user.uid).gid(user.gid);
    }
    command
}

/// Spawns a command of [`command`]. Must be called on a tokio runtime.
#[cfg(target_os = "linux")]
pub(super) fn spawn(launch: &Launch<'_>, mut command: tokio::process::Command) -> io::Result<tokio::process::Child> {
    command.stdin(match launch.namespace {
        Some(namespace) => namespace.file.try_clone()?.into(),
        None => Stdio::null(),
    });
    if !launch.is_confined || executable::is_enabled() {
        return command.spawn();
    }
    // Restrictions are a thread's, and its children's.
    let runtime = tokio::runtime::Handle::current();
    let confined = std::thread::scope(|scope| {
        let thread = scope.spawn(|| {
            let _entered = runtime.enter();
            let status = restrictions::restrict(launch.confinement, false, &[]);
            tracing::debug!(?status, "confined");
            command.spawn()
        });
        thread.join()
    });
    confined.map_err(|_| io::Error::other("the thread that starts the program panicked"))?
}

#[cfg(not(target_os = "linux"))]
pub(super) fn spawn(_: &Launch<'_>, mut command: tokio::process::Command) -> io::Result<tokio::process::Child> {
    command.stdin(Stdio::null()).spawn()
}
