//! Starts, finds and stops the local cloud of a directory.

use crate::{failure::Failure, passphrase};
use infra_core::{
    diagnostic::Diagnostic,
    target::{Host, Obstacle},
};
use infra_local::{
    Options, Usage,
    daemon::{self, Running},
};
use std::{
    fs,
    io::{self, BufRead, Seek},
    os::unix::{
        fs::{DirBuilderExt, OpenOptionsExt},
        process::CommandExt,
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
    time::Duration,
};
use tokio::time::{Instant, sleep};

const START_LIMIT: Duration = Duration::from_secs(30);
const STOP_LIMIT: Duration = Duration::from_mins(1);

/// Interval between checks of a process that starts or stops.
const POLL_INTERVAL: Duration = Duration::from_millis(20);

/// Time after which a command reports that it waits for a stopping cloud.
const NOTICE_DELAY: Duration = Duration::from_secs(1);

/// Returns the path of the background process's log.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("cloud.log")
}

/// Begins to use the cloud of this directory, and starts it if it does not run. Until the returned usage is dropped, no
/// other command stops the cloud because it is empty.
pub(crate) async fn enter(directory: &Path) -> Result<(Running, Usage), Failure> {
    prepare(directory)?;
    let mut wait = Wait::new();
    let usage = loop {
        if let Some(usage) = Usage::begin(directory)? {
            break usage;
        }
        wait.for_stop_of(directory, daemon::recorded(directory).as_ref()).await?;
    };
    Ok((ensure(directory).await?, usage))
}

/// Returns the cloud of this directory, and starts it if it does not run. Waits for a cloud that is stopping.
async fn ensure(directory: &Path) -> Result<Running, Failure> {
    let mut wait = Wait::new();
    loop {
        if let Some(running) = daemon::find(directory).await {
            return Ok(running);
        }
        match daemon::recorded(directory) {
            Some(stopping) => wait.for_stop_of(directory, Some(&stopping)).await?,
            None => return start(directory).await,
        }
    }
}

/// Progress of waiting for a cloud that is stopping.
struct Wait {
    started: Instant,
    noticed: bool,
}

impl Wait {
    fn new() -> Self {
        Self { started: Instant::now(), noticed: false }
    }

    /// Waits for one interval. Prints a notice after [`NOTICE_DELAY`], and fails after [`STOP_LIMIT`].
    async fn for_stop_of(&mut self, directory: &Path, process: Option<&Running>) -> Result<(), Failure> {
        let process = process.map(|running| format!(" (process {})", running.pid)).unwrap_or_default();
        let waited = self.started.elapsed();
        if waited > STOP_LIMIT {
            let log = log(directory);
            let summary = format!("the local cloud{process} neither responds nor stops");
            let reason = format!("waited for {} s", STOP_LIMIT.as_secs());
            let hint = format!("read {}, kill the process, and try again", log.display());
            return Err(Failure::of(Diagnostic::error(summary).because(reason).hint(hint)));
        }
        if waited > NOTICE_DELAY && !std::mem::replace(&mut self.noticed, true) {
            print_error!("the local cloud{process} is stopping; this command continues once it has stopped");
        }
        sleep(POLL_INTERVAL).await;
        Ok(())
    }
}

async fn start(directory: &Path) -> Result<Running, Failure> {
    let log = log(directory);
    let output = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&log)?;
    let begin = output.metadata()?.len();
    let mut command = Command::new(std::env::current_exe()?);
    // The passphrase of the secrets stays out of the reach of the programs in the cloud.
    for variable in passphrase::VARIABLES {
        command.env_remove(variable);
    }
    let mut child = command
        .arg("--directory")
        .arg(directory.parent().unwrap_or(directory))
        .args(["local", "serve"])
        .stdin(Stdio::null())
        .stdout(output.try_clone()?)
        .stderr(output)
        // In its own process group, the cloud does not receive the Ctrl-C of the command.
        .process_group(0)
        .spawn()?;
    let end = Instant::now() + START_LIMIT;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(running) = daemon::find(directory).await {
            if running.pid != child.id() {
                // Another command has started the cloud, and this process waits for the lock of the directory: it would
                // start the cloud again after its stop.
                child.kill()?;
                child.wait()?;
            }
            return Ok(running);
        }
        if let Some(status) = child.try_wait()? {
            // Another command may have started the cloud first.
            if let Some(running) = daemon::find(directory).await {
                return Ok(running);
            }
            return Err(not_started(&log, begin, &format!("it exited immediately: {status}")));
        }
        if Instant::now() > end {
            let reason = format!("it has not responded after {} s", START_LIMIT.as_secs());
            return Err(not_started(&log, begin, &reason));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Creates the directory with access for its owner. Database servers may traverse it and its parent.
pub(crate) fn prepare(directory: &Path) -> Result<(), Failure> {
    let created =
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory).and_then(|()| {
            directory.parent().into_iter().chain([directory]).try_for_each(infra_local::admit_databases)
        });
    created.map_err(|error| {
        let summary = format!("the directory of the local cloud cannot be created: {error}");
        let refused = Diagnostic::error(summary).about(directory.display());
        Failure::of(refused.hint("choose a directory that this user can write to: `--directory PATH`"))
    })
}

/// Returns the error of a start whose log begins at this position of the file.
fn not_started(log: &Path, begin: u64, reason: &str) -> Failure {
    let last = tail(log, begin, 5).unwrap_or_default();
    // The process of the cloud prints its errors as commands do.
    let last: Vec<&str> = last.iter().map(|line| line.strip_prefix("error: ").unwrap_or(line)).collect();
    Failure {
        kind: crate::failure::Kind::Failed,
        diagnostics: vec![
            Diagnostic::error(format!("the local cloud does not start: {reason}"))
                .about(log.display())
                .because(last.join("\n"))
                .hint("the complete log is in this file"),
        ],
    }
}

/// Returns the capabilities of the cloud's machine, or `None` for a cloud of an earlier version, which does not report them.
pub(crate) async fn host(running: &Running) -> Option<Host> {
    let found = running.capabilities().await;
    let found =
        found.inspect_err(|error| tracing::warn!(%error, "the local cloud does not describe its machine")).ok()?;
    let obstacle = |it: infra_local::Obstacle| Obstacle { reason: it.reason, remedy: it.remedy };
    Some(Host {
        unavailable: found.unavailable.into_iter().map(|(feature, it)| (feature, obstacle(it))).collect(),
        free_bytes: found.free_bytes,
        lowest_port: found.lowest_port,
        occupied_ports: found.occupied_ports,
    })
}

/// Serves the cloud in this process, which is the background process.
pub(crate) async fn serve(directory: &Path) -> Result<(), Failure> {
    let options = Options::remembered(directory)?;
    daemon::run(options).await.map_err(|error| Failure::failed(error.to_string()))
}

/// Name of the file whose existence keeps an empty cloud running.
const KEPT: &str = "kept";

/// Keeps the cloud of this directory running while it is empty, until [`stop`].
pub(crate) fn keep(directory: &Path) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(KEPT)).map(drop)
}

/// Returns whether an empty cloud keeps running, because `local start` started it.
pub(crate) fn is_kept(directory: &Path) -> bool {
    directory.join(KEPT).exists()
}

/// Stops the cloud and waits until its process has exited. Returns `false` if it did not run.
pub(crate) async fn stop(directory: &Path) -> Result<bool, Failure> {
    match fs::remove_file(directory.join(KEPT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let Some(running) = daemon::recorded(directory) else {
        return Ok(false);
    };
    // A cloud that is already stopping does not answer.
    if let Err(error) = running.stop().await
        && daemon::find(directory).await.is_some()
    {
        return Err(error.into());
    }
    let mut wait = Wait::new();
    while running.is_alive() {
        wait.for_stop_of(directory, Some(&running)).await?;
    }
    Ok(true)
}

/// Returns the running cloud of a directory.
pub(crate) async fn running(directory: &Path) -> Result<Running, Failure> {
    daemon::find(directory).await.ok_or_else(|| {
        let nothing = Failure::failed("the local cloud is not running");
        nothing.hint("start it with `stack local start` or `stack up`")
    })
}

/// Stops an empty cloud, unless other commands use it: the last one of them stops it. An error is only logged, since the
/// command itself has succeeded.
pub(crate) async fn leave(directory: &Path, usage: Usage) {
    // No command can begin to use the cloud, and so create anything in it, before this is dropped.
    let _sole = match usage.end() {
        Ok(Some(sole)) => sole,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "the local cloud keeps running"),
    };
    // On a busy machine, the answer may take longer than `find` waits.
    let Some(running) = daemon::recorded(directory) else {
        return;
    };
    if let Ok(status) = running.status().await
        && status.is_empty()
        && let Err(failure) = stop(directory).await
    {
        tracing::warn!(?failure, "the empty local cloud keeps running");
    }
}

/// Returns the last lines of a file from this position.
pub(crate) fn tail(path: &Path, begin: u64, lines: usize) -> io::Result<Vec<String>> {
    let mut last = std::collections::VecDeque::new();
    let mut file = fs::File::open(path)?;
    file.seek(io::SeekFrom::Start(begin))?;
    for line in io::BufReader::new(file).split(b'\n') {
        if last.len() == lines {
            last.pop_front();
        }
        last.push_back(String::from_utf8_lossy(&line?).into_owned());
    }
    Ok(last.into())
}
