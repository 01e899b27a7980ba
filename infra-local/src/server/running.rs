//! Discovery of a local cloud that runs in another process.

use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::credentials::Generated;
use crate::state::files;

/// Time limit for the response to a health check.
const ANSWER_LIMIT: Duration = Duration::from_secs(2);

/// A local cloud that runs in a separate process; the content of `<directory>/daemon.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// The process.
    pub pid: u32,
    /// Start time, in the operating system's unit: it distinguishes the process from a later one with the same pid.
    pub start_time: u64,
    /// The endpoint's URL.
    pub endpoint: String,
    /// Version of this crate in the process.
    pub version: String,
    /// The id of the cloud, which it keeps until it is reset; empty for an earlier version.
    #[serde(default)]
    pub cloud_id: String,
    /// Token of the administration paths, from `credentials.json`.
    #[serde(skip)]
    pub(crate) token: String,
}

impl Running {
    /// Returns the token of the administration paths.
    pub fn token(&self) -> &str {
        &self.token
    }
}

impl std::fmt::Debug for Running {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let mut fields = f.debug_struct("Running");
        fields.field("pid", &self.pid).field("start_time", &self.start_time).field("endpoint", &self.endpoint);
        fields.field("version", &self.version).field("cloud_id", &self.cloud_id).finish_non_exhaustive()
    }
}

/// Finds the cloud that runs in a directory: the process wrote the file, and it responds.
pub async fn find(directory: &Path) -> Option<Running> {
    let running = recorded(directory)?;
    let answers = tokio::time::timeout(ANSWER_LIMIT, running.is_healthy()).await;
    matches!(answers, Ok(Ok(()))).then_some(running)
}

/// Returns the process that wrote `<directory>/daemon.json`, if it still exists. It may be stopping; see [`find`].
pub fn recorded(directory: &Path) -> Option<Running> {
    let running: Running = serde_json::from_slice(&files::read(&file(directory)).ok()??).ok()?;
    // A cloud of an earlier version has no token and requires none.
    let token = Generated::read(directory).map(|generated| generated.token).unwrap_or_default();
    running.is_alive().then_some(Running { token, ..running })
}

/// Returns the path of the file that describes the running process.
pub(super) fn file(directory: &Path) -> PathBuf {
    directory.join("daemon.json")
}
