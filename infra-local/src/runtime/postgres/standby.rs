//! Standbys of hosts: their start, and the copy of the primary's data.

use std::net::Ipv4Addr;
use std::time::Duration;

use tokio::time::Instant;

use super::copy::SIGNAL;
use super::{PostgresError, Server, launch, stop};
use crate::model::process::ProcessIdentity;
use crate::runtime::server_home::{DatabaseSpec, Login, Replication, Started};

/// File in the data directory of a standby that has streamed at least once.
const COMPLETE: &str = "infra-standby";

/// Limit until a started standby streams from a primary that accepts connections.
const STREAM_LIMIT: Duration = Duration::from_secs(30);

/// Interval of checks on the replication.
const ASK_EVERY: Duration = Duration::from_millis(100);

/// Returns 1 on a standby that streams and is less than 1 MiB behind its primary. The end of the primary's log is null until
/// the primary has sent something.
const IS_STREAMING: &str = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming' \
     AND coalesce(pg_wal_lsn_diff(latest_end_lsn, pg_last_wal_replay_lsn()) < 1048576, true)";

/// Message of a primary that has removed the end of its log which the standby lacks.
const REMOVED: &str = "has already been removed";

/// Starts a standby. New data is a copy of the primary's; it counts as complete once the standby has streamed.
///
/// A standby with complete data starts without its primary, and serves reads. It is copied again if the primary no longer
/// has the log that the standby lacks.
pub(super) async fn start(
    server: &Server,
    spec: &DatabaseSpec,
    replication: &Replication,
    primary: Ipv4Addr,
) -> Result<Started, PostgresError> {
    let upstream = spec.replicator(replication, primary);
    let own = spec.replicator(replication, spec.address);
    if !server.is_standby() {
        server.copy_from(&spec.site, &upstream).await?;
        // The primary may be a former standby.
        server.remove(COMPLETE)?;
        server.become_standby()?;
    }
    let is_complete = server.data().join(COMPLETE).exists();
    let following = quoted_setting(&upstream.following(&spec.address.to_string()));
    server.write("postgresql.auto.conf", &format!("primary_conninfo = {following}\n"))?;
    let log_length = server.log_length();
    let process = server.launch(&launch(spec)).await?;
    if is_complete && !upstream.accepts(&spec.site).await {
        return Ok(Started { process, streams: false });
    }
    let progress = Progress { server, spec, own: &own, process, log_length };
    match progress.observe().await {
        Observed::Streaming => {
            server.write(COMPLETE, "")?;
            return Ok(Started { process, streams: true });
        }
        Observed::Nothing if is_complete && process.is_alive() => return Ok(Started { process, streams: false }),
        Observed::Nothing => stop(process).await,
        Observed::Outdated => {
            tracing::warn!(%primary, "a standby has been absent for too long: the data is copied again");
            stop(process).await;
            server.remove(SIGNAL)?;
        }
    }
    Err(PostgresError::NotStreaming { primary, port: spec.port, log: server.log_tail() })
}

/// Progress of a standby after its start.
struct Progress<'a> {
    server: &'a Server,
    spec: &'a DatabaseSpec,
    own: &'a Login,
    process: ProcessIdentity,
    /// Length of the log before the start.
    log_length: u64,
}

enum Observed {
    Streaming,
    /// The primary has removed a part of its log that the standby lacks.
    Outdated,
    /// Neither within the limit.
    Nothing,
}

impl Progress<'_> {
    async fn observe(&self) -> Observed {
        let deadline = Instant::now() + STREAM_LIMIT;
        loop {
            // A failed query is repeated: the standby may be restarting its receiver.
            let answer = self.own.ask(self.server, &self.spec.site, IS_STREAMING).await;
            if answer.is_ok_and(|answer| answer == "1") {
                return Observed::Streaming;
            }
            if self.server.log_since(self.log_length).contains(REMOVED) {
                return Observed::Outdated;
            }
            if Instant::now() >= deadline || !self.process.is_alive() {
                return Observed::Nothing;
            }
            tokio::time::sleep(ASK_EVERY).await;
        }
    }
}

/// Quotes a text as a value in a configuration file.
fn quoted_setting(text: &str) -> String {
    format!("'{}'", text.replace('\\', "\\\\").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_setting_is_quoted_for_the_configuration_file() {
        assert_eq!(quoted_setting(r"password='a\'b'"), r"'password=''a\\''b'''");
    }
}
