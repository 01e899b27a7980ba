//! Streaming replication: creation of standbys, and their promotion.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::network::Site;
use crate::runtime::postgres::{PostgresError, Server};
use crate::runtime::server_home::Login;

/// Time limit until a standby has replayed the log of its dead primary.
const DRAIN: Duration = Duration::from_mins(1);

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

/// Promotes a running standby, once it has replayed the log in the data directory of its dead primary, if there is one.
pub(super) async fn promote(server: &Server, standby: &Login, former: Option<&Path>) -> Result<(), PostgresError> {
    if let Some(former) = former
        && let Some(last) = last_record(server, standby, former).await?
    {
        // The process that replays the log reads the command in its own time, and a promotion does not wait for it.
        let deadline = Instant::now() + DRAIN;
        let question = format!("SELECT pg_last_wal_replay_lsn() > '{last}';");
        while standby.query(server, &question).await? != "t" {
            if Instant::now() >= deadline {
                return Err(failed(format!("the log of the former primary was not replayed up to {last}")));
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
    let answer = standby.query(server, "SELECT pg_promote(true, 60);").await?;
    if answer != "t" {
        return Err(failed(answer));
    }
    // A former primary is compared by the control file, which a checkpoint updates.
    standby.query(server, "CHECKPOINT;").await.map(drop)
}

/// Returns the position of the last record that a dead primary has written and its standby has not replayed; `None` if
/// the standby has replayed everything.
async fn last_record(server: &Server, standby: &Login, former: &Path) -> Result<Option<String>, PostgresError> {
    let replayed = standby.query(server, "SELECT pg_last_wal_replay_lsn();").await?;
    let log = former.join("pg_wal");
    let Some(timeline) = latest_timeline(&log) else {
        tracing::warn!(path = %log.display(), "a standby is promoted without the log of its primary, which is gone");
        return Ok(None);
    };
    let [path, start, timeline] =
        [format!("--path={}", log.display()), format!("--start={replayed}"), format!("--timeline={timeline}")];
    let arguments = [&path, &start, &timeline].map(OsStr::new);
    // The program fails at the end of the log, which is not a complete record.
    let output = server.tool("pg_waldump", &arguments, &[], "").await?;
    Ok(output.stdout.lines().rev().find_map(record_position).map(str::to_owned))
}

/// Returns the timeline of the newest segments in a directory: the first eight digits of their names.
fn latest_timeline(log: &Path) -> Option<u32> {
    let names = std::fs::read_dir(log).ok()?.flatten().filter_map(|entry| entry.file_name().into_string().ok());
    let segments = names.filter(|name| name.len() == 24 && name.bytes().all(|byte| byte.is_ascii_hexdigit()));
    segments.filter_map(|name| u32::from_str_radix(&name[..8], 16).ok()).max()
}

/// Returns the position in a line of `pg_waldump`, such as `0/3000148`.
fn record_position(line: &str) -> Option<&str> {
    let (_, rest) = line.split_once(" lsn: ")?;
    rest.split_once(',').map(|(position, _)| position)
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn records_and_timelines_are_read() {
        let line = "rmgr: Heap        len (rec/tot):     59/    59, tx:        735, lsn: 0/03000148, prev 0/03000110, \
                    desc: INSERT off 2 flags 0x00, blkref #0: rel 1663/5/16384 blk 0";
        assert_eq!(record_position(line), Some("0/03000148"));
        assert_eq!(record_position("pg_waldump: error: invalid record length at 0/3000180"), None);

        let log = tempfile::tempdir().unwrap();
        assert_eq!(latest_timeline(log.path()), None);
        for name in ["000000010000000000000003", "0000000A0000000000000002", "0000000B.history", "archive_status"] {
            std::fs::write(log.path().join(name), "").unwrap();
        }
        assert_eq!(latest_timeline(log.path()), Some(10));
    }
}
