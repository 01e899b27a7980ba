//! Starting, finding and stopping the local cloud of a directory.

use crate::{failure::Failure, passphrase};
use infra_core::diagnostic::Diagnostic;
use infra_local::{
    Options,
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
const STOP_LIMIT: Duration = Duration::from_secs(30);

/// Where the background process writes what it does.
pub(crate) fn log(directory: &Path) -> PathBuf {
    directory.join("cloud.log")
}

/// The cloud of this directory, started when it does not run.
pub(crate) async fn ensure(directory: &Path) -> Result<Running, Failure> {
    if let Some(running) = daemon::find(directory).await {
        return Ok(running);
    }
    prepare(directory)?;
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

/// Makes the directory, for its owner alone.
pub(crate) fn prepare(directory: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)
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

/// What the background process runs.
pub(crate) async fn serve(directory: &Path) -> Result<(), Failure> {
    let options = Options::remembered(directory)?;
    daemon::run(options).await.map_err(|error| Failure::failed(error.to_string()))
}

/// Asks the cloud to end and waits until it has; false when it did not run.
pub(crate) async fn stop(directory: &Path) -> Result<bool, Failure> {
    let Some(running) = daemon::find(directory).await else {
        return Ok(false);
    };
    running.stop().await?;
    let end = Instant::now() + STOP_LIMIT;
    while daemon::find(directory).await.is_some() || running.is_alive() {
        if Instant::now() > end {
            let summary = format!("the local cloud (process {}) does not end", running.pid);
            return Err(Failure::failed(summary).hint(format!("look at {}", log(directory).display())));
        }
        sleep(Duration::from_millis(20)).await;
    }
    Ok(true)
}

/// Ends a cloud that holds nothing. That it cannot be asked is no failure of the command that did its work.
pub(crate) async fn stop_if_empty(directory: &Path) {
    let Some(running) = daemon::find(directory).await else {
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
