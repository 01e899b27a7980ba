//! Operating system processes: started in a separate process group, and identified by pid *and* start time.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::PathBuf;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::process::Child;
use tokio::time::Instant;

use super::confinement::{self, Confinement, Launch};
use super::network::Namespace;
use super::user::User;
use crate::model::process::ProcessIdentity;

/// Interval of checks on a stopping process.
const POLL: Duration = Duration::from_millis(10);

/// Program, arguments, environment and user of a process.
#[derive(Debug, Clone)]
pub(crate) struct ProcessSpec {
    /// Path of the executable.
    pub(crate) program: PathBuf,
    /// Arguments after the program's name.
    pub(crate) arguments: Vec<String>,
    /// The complete environment of the child: nothing is inherited.
    pub(crate) environment: BTreeMap<String, String>,
    /// Working directory.
    pub(crate) directory: PathBuf,
    /// File that standard output and error are appended to; created with mode 0600.
    pub(crate) log: PathBuf,
    /// User of the process; that of the cloud when `None`.
    pub(crate) user: Option<User>,
    /// Directories that the process may access; `None` for an unconfined process.
    pub(crate) confinement: Option<Confinement>,
}

/// Starts a process in its own group, in a network namespace if there is one; a background task reaps it.
///
/// Must be called on a tokio runtime.
pub(crate) fn spawn(spec: &ProcessSpec, namespace: Option<&Namespace>) -> io::Result<ProcessIdentity> {
    let (mut child, identity) = start(spec, namespace)?;
    let pid = identity.pid;
    tokio::spawn(async move {
        if let Err(error) = child.wait().await {
            tracing::warn!(pid, %error, "a child could not be waited for");
        }
    });
    Ok(identity)
}

/// Runs a process until it exits, and returns whether it was successful. A process that runs longer than `limit` is killed
/// and counts as failed.
pub(crate) async fn run(spec: &ProcessSpec, namespace: Option<&Namespace>, limit: Duration) -> io::Result<bool> {
    let (mut child, identity) = start(spec, namespace)?;
    let status = match tokio::time::timeout(limit, child.wait()).await {
        Ok(status) => status?,
        Err(_) => {
            identity.kill();
            child.wait().await?
        }
    };
    Ok(status.success())
}

fn start(spec: &ProcessSpec, namespace: Option<&Namespace>) -> io::Result<(Child, ProcessIdentity)> {
    let log = OpenOptions::new().append(true).create(true).mode(0o600).open(&spec.log)?;
    let program = fs::metadata(&spec.program)?;
    if program.permissions().mode() & 0o111 == 0 {
        return Err(io::ErrorKind::PermissionDenied.into());
    }
    let confinement = Confinement { user: spec.user, ..spec.confinement.clone().unwrap_or_default() };
    let (environment, is_confined) = (&spec.environment, spec.confinement.is_some());
    let launch = Launch { confinement: &confinement, is_confined, environment, namespace, is_interactive: false };
    let mut command: tokio::process::Command = confinement::command(&launch, &spec.program, &spec.arguments)?.into();
    command.current_dir(&spec.directory).stdout(log.try_clone()?).stderr(log).process_group(0);
    let child = confinement::spawn(&launch, command)?;
    // Only the caller reaps the child, so its entry exists even if it is a zombie.
    let pid = child.id().ok_or_else(|| io::Error::other("the process was reaped before it was looked at"))?;
    let identity = system::read(pid)
        .map(|process_stat| ProcessIdentity { pid, started: process_stat.started })
        .ok_or_else(|| io::Error::other(format!("process {pid} cannot be looked at: is /proc mounted?")))?;
    Ok((child, identity))
}

/// Returns the CPU time used so far by these processes, each with its descendants and the children it has reaped.
///
/// Descendants count wherever they are grouped: a database server puts each of its processes into a session of its own.
pub(crate) fn cpu_time(roots: &BTreeSet<u32>) -> BTreeMap<u32, Duration> {
    let all = system::usage();
    let mut used = BTreeMap::<u32, Duration>::new();
    for (pid, usage) in &all {
        // Parents can change while the list is read: a chain that is longer than the number of processes is a cycle.
        let mut ancestor = *pid;
        for _ in 0..all.len() {
            if roots.contains(&ancestor) {
                *used.entry(ancestor).or_default() += usage.time;
                break;
            }
            match all.get(&ancestor) {
                Some(usage) => ancestor = usage.parent,
                None => break,
            }
        }
    }
    used
}

impl ProcessIdentity {
    /// Returns the running process with this pid, if there is one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        system::read(pid)
            .filter(|process_stat| !process_stat.zombie)
            .map(|process_stat| Self { pid, started: process_stat.started })
    }

    /// Returns whether the process still runs; a zombie does not count.
    pub(crate) fn is_alive(&self) -> bool {
        system::read(self.pid).is_some_and(|process_stat| process_stat.started == self.started && !process_stat.zombie)
    }

    /// Sends SIGTERM to the process group, kills it after `grace`, and returns when the process has exited.
    pub(crate) async fn terminate(&self, grace: Duration) {
        if !self.signal_group(Signal::TERM) {
            return;
        }
        if !self.group_exits_within(grace).await {
            self.signal_remains();
        }
        while self.is_alive() {
            tokio::time::sleep(POLL).await;
        }
    }

    /// Kills the process group.
    pub(crate) fn kill(&self) {
        self.signal_group(Signal::KILL);
    }

    /// Sends a signal to the process only; returns false when it has exited.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        self.is_alive() && self.raw().is_some_and(|pid| rustix::process::kill_process(pid, signal).is_ok())
    }

    /// Waits until the process has exited; returns false after `limit`.
    pub(crate) async fn exits_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.is_alive() {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    /// Sends a signal to the process group. While the leader exists, even as a zombie, its pid identifies only this
    /// group.
    fn signal_group(&self, signal: Signal) -> bool {
        let is_same = system::read(self.pid).is_some_and(|process_stat| process_stat.started == self.started);
        is_same && self.raw().is_some_and(|pid| rustix::process::kill_process_group(pid, signal).is_ok())
    }

    async fn group_exits_within(&self, limit: Duration) -> bool {
        let deadline = Instant::now() + limit;
        while self.raw().is_some_and(|pid| rustix::process::test_kill_process_group(pid).is_ok()) {
            if Instant::now() >= deadline {
                return false;
            }
            tokio::time::sleep(POLL).await;
        }
        true
    }

    /// Kills the remaining processes of the group. The system does not reuse a pid while a group has its number, and
    /// the group existed a moment ago.
    fn signal_remains(&self) {
        if system::read(self.pid).is_none_or(|process_stat| process_stat.started == self.started)
            && let Some(pid) = self.raw()
        {
            let _gone_meanwhile = rustix::process::kill_process_group(pid, Signal::KILL);
        }
    }

    fn raw(&self) -> Option<Pid> {
        i32::try_from(self.pid).ok().and_then(Pid::from_raw)
    }
}

/// Information of the operating system about a process.
struct ProcessStat {
    started: u64,
    zombie: bool,
}

/// CPU time of a process.
struct Usage {
    parent: u32,
    time: Duration,
}

#[cfg(target_os = "linux")]
mod system {
    use std::collections::BTreeMap;
    use std::fs;
    use std::time::Duration;

    use super::{ProcessStat, Usage};

    /// Unit of times in `/proc`: a constant of the kernel's interface on all supported architectures.
    const TICKS_PER_SECOND: u64 = 100;

    pub(super) fn read(pid: u32) -> Option<ProcessStat> {
        let fields = stat(&pid.to_string())?;
        Some(ProcessStat {
            started: fields.get(19)?.parse().ok()?,
            zombie: matches!(fields.first()?.as_str(), "Z" | "X" | "x"),
        })
    }

    pub(super) fn usage() -> BTreeMap<u32, Usage> {
        let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
        let processes = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let pid = name.parse().ok()?;
            let fields = stat(&name)?;
            let number = |index: usize| fields.get(index)?.parse::<u64>().ok();
            let ticks: u64 = (11..=14).filter_map(number).sum();
            let time = Duration::from_millis(ticks * 1000 / TICKS_PER_SECOND);
            Some((pid, Usage { parent: u32::try_from(number(1)?).ok()?, time }))
        });
        processes.collect()
    }

    /// Returns the fields of `/proc/<pid>/stat` after the command's name, which may contain any character; the first is
    /// the state.
    fn stat(pid: &str) -> Option<Vec<String>> {
        let text = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let (_, rest) = text.rsplit_once(')')?;
        Some(rest.split_whitespace().map(str::to_owned).collect())
    }
}

#[cfg(not(target_os = "linux"))]
mod system {
    use std::collections::BTreeMap;
    use std::hash::{DefaultHasher, Hash as _, Hasher as _};
    use std::process::Command;
    use std::time::Duration;

    use super::{ProcessStat, Usage};

    pub(super) fn read(pid: u32) -> Option<ProcessStat> {
        let output = ps(&["-o", "state=,lstart=", "-p", &pid.to_string()])?;
        let (state, started) = output.trim().split_once(char::is_whitespace)?;
        let mut hasher = DefaultHasher::new();
        started.trim().hash(&mut hasher);
        Some(ProcessStat { started: hasher.finish(), zombie: state.starts_with('Z') })
    }

    pub(super) fn usage() -> BTreeMap<u32, Usage> {
        let listing = ps(&["-A", "-o", "pid=,ppid=,time="]).unwrap_or_default();
        let processes = listing.lines().filter_map(|line| {
            let mut fields = line.split_whitespace();
            let (pid, parent) = (fields.next()?.parse().ok()?, fields.next()?.parse().ok()?);
            let parts = fields.next()?.split(':');
            let seconds = parts.fold(0.0, |total, part| total * 60.0 + part.parse::<f64>().unwrap_or(0.0));
            Some((pid, Usage { parent, time: Duration::from_secs_f64(seconds) }))
        });
        processes.collect()
    }

    fn ps(arguments: &[&str]) -> Option<String> {
        let output = Command::new("ps").args(arguments).env("LC_ALL", "C").output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::path::Path;

    use super::*;

    fn shell(directory: &Path, script: &str) -> ProcessSpec {
        ProcessSpec {
            program: "/bin/sh".into(),
            arguments: vec!["-c".to_owned(), script.to_owned()],
            environment: BTreeMap::from([("GREETING".to_owned(), "hello".to_owned())]),
            directory: directory.to_owned(),
            log: directory.join("log"),
            user: None,
            confinement: None,
        }
    }

    async fn until(what: &str, condition: impl Fn() -> bool) {
        let deadline = Instant::now() + Duration::from_secs(20);
        while !condition() {
            assert!(Instant::now() < deadline, "waited in vain until {what}");
            tokio::time::sleep(POLL).await;
        }
    }

    #[tokio::test]
    async fn a_child_has_only_the_given_environment_and_a_private_log() {
        let directory = tempfile::tempdir().unwrap();
        let identity = spawn(&shell(directory.path(), "echo $GREETING-$HOME-; pwd >&2"), None).unwrap();
        until("the child has ended", || !identity.is_alive()).await;
        let log = directory.path().join("log");
        until("it is in the log", || fs::read_to_string(&log).unwrap().lines().count() == 2).await;
        assert!(fs::read_to_string(&log).unwrap().starts_with("hello--\n"));
        assert_eq!(fs::metadata(&log).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[tokio::test]
    async fn a_dead_child_is_reaped_and_not_alive() {
        let directory = tempfile::tempdir().unwrap();
        let identity = spawn(&shell(directory.path(), "exit 3"), None).unwrap();
        until("the child is gone", || {
            system::read(identity.pid).is_none_or(|process_stat| process_stat.started != identity.started)
        })
        .await;
        assert!(!identity.is_alive());
        identity.terminate(Duration::ZERO).await;
    }

    #[tokio::test]
    async fn a_run_reports_success_and_ends_after_its_limit() {
        let directory = tempfile::tempdir().unwrap();
        let limit = Duration::from_mins(1);
        assert!(run(&shell(directory.path(), "exit 0"), None, limit).await.unwrap());
        assert!(!run(&shell(directory.path(), "exit 3"), None, limit).await.unwrap());
        assert!(!run(&shell(directory.path(), "sleep 60 & wait"), None, Duration::from_millis(50)).await.unwrap());
    }

    #[tokio::test]
    async fn another_start_time_is_another_process() {
        let directory = tempfile::tempdir().unwrap();
        let identity = spawn(&shell(directory.path(), "exec sleep 60"), None).unwrap();
        let stranger = ProcessIdentity { started: identity.started + 1, ..identity };
        assert!(!stranger.is_alive());
        stranger.kill();
        stranger.terminate(Duration::ZERO).await;
        assert!(identity.is_alive());
        assert_eq!(ProcessIdentity::of(identity.pid), Some(identity));
        identity.terminate(Duration::from_secs(10)).await;
        assert!(!identity.is_alive());
    }

    #[tokio::test]
    async fn a_process_that_ignores_sigterm_is_killed_with_its_children() {
        let directory = tempfile::tempdir().unwrap();
        let script = "trap '' TERM; sleep 60 & echo $! > child; while :; do sleep 0.01; done";
        let identity = spawn(&shell(directory.path(), script), None).unwrap();
        let file = directory.path().join("child");
        until("the child wrote its pid", || fs::read_to_string(&file).is_ok_and(|text| text.ends_with('\n'))).await;
        let child = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        identity.terminate(Duration::from_millis(50)).await;
        assert!(!identity.is_alive());
        until("the grandchild is gone", || ProcessIdentity::of(child).is_none()).await;
    }

    #[tokio::test]
    async fn cpu_time_counts_descendants_in_other_groups() {
        let directory = tempfile::tempdir().unwrap();
        let script = "setsid sh -c 'while :; do :; done' & wait";
        let identity = spawn(&shell(directory.path(), script), None).unwrap();
        let roots = BTreeSet::from([identity.pid]);
        let busy = Duration::from_millis(50);
        until("time was used", || cpu_time(&roots).get(&identity.pid).is_some_and(|used| *used >= busy)).await;
        let other = process_with_parent(identity.pid);
        identity.kill();
        assert!(identity.exits_within(Duration::from_secs(10)).await);
        ProcessIdentity::of(other).unwrap().kill();
    }

    fn process_with_parent(parent: u32) -> u32 {
        let all = system::usage();
        all.iter().find(|(_, usage)| usage.parent == parent).map(|(pid, _)| *pid).unwrap()
    }
}
