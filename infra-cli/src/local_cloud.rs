//! Starting, finding and stopping the local cloud of a directory.

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
    io::{self, BufRead},
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

/// How often a process that starts or stops is looked at.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long a command waits for a stopping cloud before it says so.
const SILENCE: Duration = Duration::from_secs(1);

/// Where the background process writes what it does.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("cloud.log")
}

/// Begins to use the cloud of this directory, and starts it when it does not run. While the returned usage is held, no
/// other command stops the cloud for being empty.
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

/// The cloud of this directory, started when it does not run. One that is stopping is waited for.
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

/// The patience of a command with a cloud that stops.
struct Wait {
    begun: Instant,
    said: bool,
}

impl Wait {
    fn new() -> Self {
        Self { begun: Instant::now(), said: false }
    }

    /// Waits a moment. Says so after a second, and fails after a minute.
    async fn for_stop_of(&mut self, directory: &Path, process: Option<&Running>) -> Result<(), Failure> {
        let process = process.map(|running| format!(" (process {})", running.pid)).unwrap_or_default();
        let waited = self.begun.elapsed();
        if waited > STOP_LIMIT {
            let log = log(directory);
            let summary = format!("the local cloud{process} neither answers nor stops");
            let reason = format!("waited for {} s", STOP_LIMIT.as_secs());
            let hint = format!("look at {}, end the process, and try again", log.display());
            return Err(Failure::of(Diagnostic::error(summary).because(reason).hint(hint)));
        }
        if waited > SILENCE && !std::mem::replace(&mut self.said, true) {
            complain!("the local cloud{process} is stopping; this command goes on once it has stopped");
        }
        sleep(LOOK_EVERY).await;
        Ok(())
    }
}

async fn start(directory: &Path) -> Result<Running, Failure> {
    let log = log(directory);
    let output = fs::OpenOptions::new().create(true).append(true).mode(0o600).open(&log)?;
    let mut command = Command::new(std::env::current_exe()?);
    // Nor may what runs in the cloud read the passphrase of the secrets.
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
        // A group of its own: Ctrl-C is for the command, not for the cloud.
        .process_group(0)
        .spawn()?;
    let end = Instant::now() + START_LIMIT;
    let mut pause = Duration::from_millis(5);
    loop {
        if let Some(running) = daemon::find(directory).await {
            return Ok(running);
        }
        if let Some(status) = child.try_wait()? {
            // Somebody else may have been quicker.
            if let Some(running) = daemon::find(directory).await {
                return Ok(running);
            }
            return Err(not_started(&log, &format!("it ended at once, {status}")));
        }
        if Instant::now() > end {
            return Err(not_started(&log, &format!("it does not answer after {} s", START_LIMIT.as_secs())));
        }
        sleep(pause).await;
        pause = (pause * 2).min(Duration::from_millis(100));
    }
}

/// Creates the directory, for its owner alone. Database servers may pass through it and the one above.
pub(crate) fn prepare(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    directory.parent().into_iter().chain([directory]).try_for_each(infra_local::admit_databases)
}

fn not_started(log: &Path, reason: &str) -> Failure {
    let last = tail(log, 5).unwrap_or_default().join("\n");
    Failure {
        kind: crate::failure::Kind::Failed,
        diagnostics: vec![
            Diagnostic::error(format!("the local cloud does not start: {reason}"))
                .about(log.display())
                .because(last)
                .hint("the file holds the whole log"),
        ],
    }
}

/// What the machine of a cloud can provide; `None` when a cloud of an earlier version does not know.
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

/// What the background process runs.
pub(crate) async fn serve(directory: &Path) -> Result<(), Failure> {
    let options = Options::remembered(directory)?;
    daemon::run(options).await.map_err(|error| Failure::failed(error.to_string()))
}

/// Name of the file that says that the cloud goes on when it is empty.
const KEPT: &str = "kept";

/// Lets the cloud of this directory run on when it is empty, until [`stop`].
pub(crate) fn keep(directory: &Path) -> io::Result<()> {
    fs::OpenOptions::new().create(true).append(true).mode(0o600).open(directory.join(KEPT)).map(drop)
}

/// Whether the cloud was started on its own, and not for the sake of one command.
pub(crate) fn is_kept(directory: &Path) -> bool {
    directory.join(KEPT).exists()
}

/// Asks the cloud to stop and waits until its process has ended; false when it did not run.
pub(crate) async fn stop(directory: &Path) -> Result<bool, Failure> {
    match fs::remove_file(directory.join(KEPT)) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error.into()),
        _ => {}
    }
    let Some(running) = daemon::recorded(directory) else {
        return Ok(false);
    };
    // A cloud that is stopping already does not answer.
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

/// Stops a cloud that holds nothing, unless other commands use it: then the last of them does. A cloud that cannot be
/// asked is no failure of the command, which has done its work.
pub(crate) async fn leave(directory: &Path, usage: Usage) {
    // Nobody begins to use the cloud, and so nothing is created in it, before this is dropped.
    let _sole = match usage.end() {
        Ok(Some(sole)) => sole,
        Ok(None) => return,
        Err(error) => return tracing::warn!(%error, "the local cloud goes on running"),
    };
    // A busy machine may take longer than `find` waits.
    let Some(running) = daemon::recorded(directory) else {
        return;
    };
    if let Ok(status) = running.status().await
        && status.is_empty()
        && let Err(failure) = stop(directory).await
    {
        tracing::warn!(?failure, "the empty local cloud goes on running");
    }
}

/// The last lines of a file.
pub(crate) fn tail(path: &Path, lines: usize) -> io::Result<Vec<String>> {
    let mut last = std::collections::VecDeque::new();
    for line in io::BufReader::new(fs::File::open(path)?).split(b'\n') {
        if last.len() == lines {
            last.pop_front();
        }
        last.push_back(String::from_utf8_lossy(&line?).into_owned());
    }
    Ok(last.into())
}
