//! Standbys: their start, and the copy of the primary's data.

use std::ffi::OsStr;
use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::Instant;

use super::copy::COPIED;
use super::server::{Server, accepts, client_arguments, client_environment, literal};
use super::{MariaDbError, stop};
use crate::model::process::ProcessIdentity;
use crate::runtime::server_home::{DatabaseSpec, Login, Replication, Started};

/// File in the data directory of a standby that has replicated at least once.
const COMPLETE: &str = "infra-standby";

/// Limit until a started standby replicates from a primary that accepts connections.
const STREAM_LIMIT: Duration = Duration::from_secs(30);

/// Interval of checks on the replication.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Error of a primary that has removed the end of its log which the standby lacks.
const REMOVED: &str = "1236";

/// Starts a standby. New data is a copy of the primary's; it counts as complete once the standby has replicated.
///
/// A standby with complete data starts without its primary, and serves reads. It is copied again if the primary no longer
/// has the log that the standby lacks.
pub(super) async fn start(
    server: &Server,
    spec: &DatabaseSpec,
    replication: &Replication,
    primary: Ipv4Addr,
) -> Result<Started, MariaDbError> {
    let upstream = spec.replicator(replication, primary);
    let own = spec.replicator(replication, spec.address);
    let has = |name: &str| server.home.data().join(name).exists();
    if !has(COPIED) {
        server.copy_from(&spec.site, &upstream).await?;
    }
    let is_complete = has(COMPLETE);
    let settings = ["--read-only=1".to_owned()];
    let process = server.launch(spec, &settings, &follow(&upstream)).await?;
    if is_complete && !accepts(&spec.site, primary, spec.port).await {
        return Ok(Started { process, streams: false });
    }
    let state = observe(server, spec, &own, process).await;
    if state.is_streaming() {
        server.home.write(COMPLETE, "")?;
        return Ok(Started { process, streams: true });
    }
    if is_complete && !state.is_outdated() && process.is_alive() {
        return Ok(Started { process, streams: false });
    }
    stop(process).await;
    if state.is_outdated() {
        tracing::warn!(%primary, "a standby has been absent for too long: the data is copied again");
        server.home.remove(COPIED)?;
    }
    let log = server.home.log_tail();
    Err(MariaDbError::NotStreaming { primary, port: spec.port, state: state.field("Last_IO_Error"), log })
}

/// Returns the statements by which a standby follows its primary.
fn follow(primary: &Login) -> String {
    format!(
        "CHANGE MASTER TO MASTER_HOST='{}', MASTER_PORT={}, MASTER_USER={}, MASTER_PASSWORD={}, MASTER_SSL=0, \
         MASTER_CONNECT_RETRY=1, MASTER_USE_GTID=slave_pos;\nSTART SLAVE;\n",
        primary.address,
        primary.port,
        literal(&primary.user),
        literal(&primary.password)
    )
}

/// Result of `SHOW SLAVE STATUS`: a line per field.
struct State(String);

impl State {
    fn field(&self, name: &str) -> String {
        let fields = self.0.lines().filter_map(|line| line.trim().split_once(": "));
        fields.into_iter().find(|(field, _)| *field == name).map_or_else(String::new, |(_, value)| value.to_owned())
    }

    fn is_streaming(&self) -> bool {
        let has = |name, value: &str| self.field(name) == value;
        has("Slave_IO_Running", "Yes") && has("Slave_SQL_Running", "Yes") && has("Seconds_Behind_Master", "0")
    }

    fn is_outdated(&self) -> bool {
        self.field("Last_IO_Errno") == REMOVED
    }
}

/// Waits until the standby replicates or is known to lack removed log, and returns its last state.
async fn observe(server: &Server, spec: &DatabaseSpec, own: &Login, process: ProcessIdentity) -> State {
    let deadline = Instant::now() + STREAM_LIMIT;
    let mut arguments = client_arguments(own);
    arguments
        .extend(["--connect-timeout=5", "--batch", "--vertical", "--execute=SHOW SLAVE STATUS"].map(str::to_owned));
    let arguments: Vec<&OsStr> = arguments.iter().map(OsStr::new).collect();
    loop {
        let client = &server.binaries.client;
        let answer = server.home.tool_at(&spec.site, client, &arguments, &client_environment(own)).await;
        let state = State(answer.map_or_else(|error| error.to_string(), |answer| answer.text()));
        let has_ended = Instant::now() >= deadline || !process.is_alive();
        if state.is_streaming() || state.is_outdated() || has_ended {
            return state;
        }
        tokio::time::sleep(ASK_EVERY).await;
    }
}
