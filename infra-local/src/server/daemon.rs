//! The local cloud as a background process: `run` is what the process does, [`find`] is how others find it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use crate::runtime::background::Phase;
use crate::runtime::process::ProcessIdentity;
use crate::server::credentials::Generated;
use crate::state::files;
use crate::state::files::write_private;
use crate::{LocalCloud, Options, StartError};

/// How long a running cloud may take to answer that it is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// How long a process may wait for the previous one of its directory to end: that may stop several databases.
const PREVIOUS_LIMIT: Duration = Duration::from_mins(1);

/// How often a waiting process looks whether the previous one has ended.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// A local cloud that runs in a process of its own; the content of `<directory>/daemon.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process.
    pub pid: u32,
    /// When it started, in the system's own unit: a later process with the same pid differs in it.
    pub start_time: u64,
    /// The endpoint's URL.
    pub endpoint: String,
    /// The version of this crate that runs.
    pub version: String,
    /// The id of the cloud, which it keeps until it is reset; empty for an earlier version.
    #[serde(default)]
    pub cloud_id: String,
    /// Token of the administration paths, from `credentials.json`.
    #[serde(skip)]
    pub(crate) token: String,
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = f.debug_struct("Running");
        fields.field("pid", &self.pid).field("start_time", &self.start_time).field("endpoint", &self.endpoint);
        fields.field("version", &self.version).field("cloud_id", &self.cloud_id).finish_non_exhaustive()
    }
}

/// Why the process of a local cloud ended early.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The cloud did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// The process cannot be told when to end, or cannot say that it runs.
    #[error("the local cloud cannot run in the background: {0}")]
    System(#[from] std::io::Error),
}

/// Runs the cloud of a directory until SIGTERM, SIGINT, `POST /_infra/shutdown` or the removal of the directory, then
/// stops its instances. Meanwhile `<directory>/daemon.json` contains its address. Waits for a process that is still
/// stopping in this directory.
pub async fn run(options: Options) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let file = file(&options.directory);
    let cloud = start_after_previous(options).await?;
    let announced = announce(&file, &cloud);
    let mut in_place = true;
    if announced.is_ok() {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: the local cloud stops"),
            _ = interrupt.recv() => tracing::info!("SIGINT: the local cloud stops"),
            () = cloud.stop_requested() => tracing::info!("asked to stop: the local cloud stops"),
            () = cloud.directory_removed() => {
                tracing::warn!("the directory was removed: the local cloud stops");
                in_place = false;
            }
        }
    }
    let lock = cloud.end(Phase::Stopping).await;
    // The next process writes the same file as soon as it has the lock.
    let removed = if announced.is_ok() && in_place { std::fs::remove_file(&file) } else { Ok(()) };
    drop(lock);
    announced?;
    Ok(removed?)
}

/// Starts the cloud once the previous process of the directory has ended. One that answers does not end: that is an
/// error at once.
async fn start_after_previous(options: Options) -> Result<LocalCloud, StartError> {
    let limit = Instant::now() + PREVIOUS_LIMIT;
    loop {
        match LocalCloud::start(options.clone()).await {
            Err(StartError::InUse { .. }) if Instant::now() < limit && find(&options.directory).await.is_none() => {
                tokio::time::sleep(LOOK_EVERY).await;
            }
            outcome => return outcome,
        }
    }
}

/// Finds the cloud that runs in a directory: the process is the one that wrote the file, and it answers.
pub async fn find(directory: &Path) -> Option<Running> {
    let running = recorded(directory)?;
    let answers = tokio::time::timeout(ANSWER_LIMIT, running.is_healthy()).await;
    matches!(answers, Ok(Ok(()))).then_some(running)
}

/// The process that wrote `<directory>/daemon.json`, when it still exists. It may be stopping; see [`find`].
pub fn recorded(directory: &Path) -> Option<Running> {
    let running: Running = serde_json::from_slice(&files::read(&file(directory)).ok()??).ok()?;
    // A cloud of an earlier version has no token, and asks for none.
    let token = Generated::read(directory).map(|generated| generated.token).unwrap_or_default();
    running.is_alive().then_some(Running { token, ..running })
}

fn file(directory: &Path) -> PathBuf {
    directory.join("daemon.json")
}

fn announce(file: &Path, cloud: &LocalCloud) -> std::io::Result<()> {
    let own = ProcessIdentity::of(std::process::id())
        .ok_or_else(|| std::io::Error::other("this process cannot be looked at: is /proc mounted?"))?;
    let running = Running {
        pid: own.pid,
        start_time: own.started,
        endpoint: cloud.endpoint(),
        version: env!("CARGO_PKG_VERSION").to_owned(),
        cloud_id: cloud.id(),
        token: String::new(),
    };
    write_private(file, &serde_json::to_vec_pretty(&running)?)
}
