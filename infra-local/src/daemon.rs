//! The local cloud as a background process: `run` is what the process does, [`find`] is how others find it.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::signal::unix::{SignalKind, signal};

use crate::cloud::write_private;
use crate::data::process::ProcessIdentity;
use crate::{LocalCloud, Options, StartError};

/// How long a running cloud may take to answer that it is there.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A local cloud that runs in a process of its own; the content of `<directory>/daemon.json`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process.
    pub pid: u32,
    /// When it started, in the system's own unit: a later process with the same pid differs in it.
    pub start_time: u64,
    /// The endpoint's URL.
    pub endpoint: String,
    /// The version of this crate that runs.
    pub version: String,
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

/// Runs the cloud of a directory until SIGTERM, SIGINT or `POST /_infra/shutdown`, then stops what runs in it.
/// Meanwhile `<directory>/daemon.json` says where it is.
pub async fn run(options: Options) -> Result<(), DaemonError> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let file = file(&options.directory);
    let cloud = LocalCloud::start(options).await?;
    let announced = announce(&file, &cloud);
    if announced.is_ok() {
        tokio::select! {
            _ = terminate.recv() => tracing::info!("SIGTERM: the local cloud stops"),
            _ = interrupt.recv() => tracing::info!("SIGINT: the local cloud stops"),
            () = cloud.stop_requested() => tracing::info!("asked to stop: the local cloud stops"),
        }
    }
    cloud.shutdown().await;
    if announced.is_ok() {
        std::fs::remove_file(&file)?;
    }
    Ok(announced?)
}

/// Finds the cloud that runs in a directory: the process is the one that wrote the file, and it answers.
pub async fn find(directory: &Path) -> Option<Running> {
    let running: Running = serde_json::from_slice(&std::fs::read(file(directory)).ok()?).ok()?;
    let identity = ProcessIdentity { pid: running.pid, started: running.start_time };
    if !identity.is_alive() {
        return None;
    }
    let answers = tokio::time::timeout(ANSWER_LIMIT, answers(&running.endpoint)).await;
    matches!(answers, Ok(Ok(true))).then_some(running)
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
    };
    write_private(file, &serde_json::to_vec_pretty(&running)?)
}

/// Whether a local cloud answers at this URL.
async fn answers(endpoint: &str) -> std::io::Result<bool> {
    let Some(address) = endpoint.strip_prefix("http://") else { return Ok(false) };
    let mut stream = TcpStream::connect(address).await?;
    let request = format!("GET /_infra/status HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes()).await?;
    let mut head = [0; 12];
    stream.read_exact(&mut head).await?;
    Ok(&head == b"HTTP/1.1 200")
}
