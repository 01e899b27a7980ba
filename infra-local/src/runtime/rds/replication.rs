//! Streaming replication: creation of standbys, and their promotion.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::network::Site;
use crate::runtime::postgres::{PostgresError, Server};
use crate::runtime::server_home::Login;

/// Time limit for a reload of a server's settings.
const RELOAD: Duration = Duration::from_secs(10);

/// Converts the data of a former primary to that of a standby of its successor. Only differences are copied if
/// possible.
pub(super) async fn rejoin(server: &Server, successor: &Login) -> Result<(), PostgresError> {
    let data = server.data();
    let source = format!(
        "--source-server=host={} port={} user={} dbname=postgres",
        successor.address, successor.port, successor.user
    );
    let arguments = [OsStr::new("--no-sync"), OsStr::new(&source), OsStr::new("--target-pgdata"), data.as_os_str()];
    let output = server.tool("pg_rewind", &arguments, &successor.environment(), "").await?;
    if output.success {
        return Ok(());
    }
    tracing::info!(reason = output.text(), "pg_rewind could not be used: the data is copied as a whole");
    server.copy_from(&Site::Host, successor).await
}

/// Returns the command by which a standby reads the end of a dead primary's log from the primary's directory, so that
/// no committed transaction is lost.
pub(super) fn drain(former: &Path) -> String {
    let log = former.join("pg_wal");
    let quoted = log.to_string_lossy().replace('%', "%%").replace('\'', "'\\''");
    format!("cp '{quoted}/%f' \"%p\" 2>/dev/null")
}

/// Promotes a running standby, once it has read its new settings.
pub(super) async fn promote(server: &Server, standby: &Login, restores: bool) -> Result<(), PostgresError> {
    let deadline = Instant::now() + RELOAD;
    while restores && standby.query(server, "SHOW restore_command;").await?.is_empty() {
        if Instant::now() >= deadline {
            return Err(failed("its settings were not read again".to_owned()));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    let answer = standby.query(server, "SELECT pg_promote(true, 60);").await?;
    if answer != "t" {
        return Err(failed(answer));
    }
    // A former primary is compared by the control file, which a checkpoint updates.
    standby.query(server, "CHECKPOINT;").await.map(drop)
}

/// Returns the lag of a standby that is connected to its primary for replication; `None` when it is not.
///
/// A standby that has applied all of the log that it received has no lag, even if the last transaction was long ago.
pub(super) async fn lag(server: &Server, standby: &Login) -> Option<Duration> {
    let question = "SELECT CASE WHEN pg_last_wal_replay_lsn() >= pg_last_wal_receive_lsn() THEN 0 \
                    ELSE coalesce(extract(epoch FROM now() - pg_last_xact_replay_timestamp()), 0) END \
                    FROM pg_stat_wal_receiver WHERE status = 'streaming';";
    let answer = standby.query(server, question).await.ok()?;
    let seconds: f64 = answer.parse().ok()?;
    Duration::try_from_secs_f64(seconds.max(0.0)).ok()
}

fn failed(output: String) -> PostgresError {
    PostgresError::Setup { step: "promotion", output }
}
