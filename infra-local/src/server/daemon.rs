//! The local cloud as a background process: [`run`] is the process, [`find`] finds it from another one.

use std::path::Path;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::time::Instant;

use super::local_cloud::LocalCloud;
use super::options::Options;
use super::running::file;
pub use super::running::{Running, find, recorded};
use super::start_error::StartError;
use crate::model::process::ProcessIdentity;
use crate::runtime::background::Phase;
use crate::state::files::write_private;

/// Time limit for the previous process of the directory to exit; it may have to stop several databases.
const PREVIOUS_LIMIT: Duration = Duration::from_mins(1);

/// Interval of checks whether the previous process has exited.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Reasons why the process of a local cloud failed.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The cloud did not start.
    #[error(transparent)]
    Start(#[from] StartError),
    /// A signal handler could not be installed, or `daemon.json` could not be written.
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
            () = cloud.stop_requested() => tracing::info!("the local cloud stops on request"),
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

/// Starts the cloud once the previous process of the directory has exited. A process that answers will not exit, so
/// that is an error at once.
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
