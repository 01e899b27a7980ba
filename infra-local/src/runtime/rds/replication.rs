//! Streaming replication: creation of standbys, and their promotion.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Duration;

use tokio::time::Instant;

use crate::runtime::postgres::{Login, PostgresError, Server};

/// The file whose presence makes a server a standby; promotion removes it.
const SIGNAL: &str = "standby.signal";

/// Time limit for a reload of a server's settings.
const RELOAD: Duration = Duration::from_secs(10);

/// Returns whether the data directory is that of a standby.
pub(super) fn is_standby(server: &Server) -> bool {
    server.data().join(SIGNAL).exists()
}

/// Makes the data directory that of a standby.
pub(super) fn become_standby(server: &Server) -> Result<(), PostgresError> {
    server.write(SIGNAL, "")
}

/// Replaces the data directory by a copy of a running server's.
pub(super) async fn copy(server: &Server, from: &Login) -> Result<(), PostgresError> {
    let target = server.empty("data.new")?;
    let connection = [format!("--host={}", from.address), format!("--port={}", from.port)];
    let user = format!("--username={}", from.user);
    let fixed = ["--wal-method=stream", "--checkpoint=fast", "--no-password", "--no-sync", &user, "--pgdata"];
    let mut arguments: Vec<&OsStr> = connection.iter().map(|text| OsStr::new(text.as_str())).collect();
    arguments.extend(fixed.into_iter().map(OsStr::new));
    arguments.push(target.as_os_str());
    let output = server.tool("pg_basebackup", &arguments, &from.environment(), "").await?;
    if !output.success {
        return Err(PostgresError::Setup { step: "pg_basebackup", output: output.text() });
    }
    server.become_data(&target)
}

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
    copy(server, successor).await
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

/// Returns whether a standby is connected to its primary for replication.
pub(super) async fn is_streaming(server: &Server, standby: &Login) -> bool {
    let question = "SELECT count(*) FROM pg_stat_wal_receiver WHERE status = 'streaming';";
    standby.query(server, question).await.is_ok_and(|answer| answer == "1")
}

fn failed(output: String) -> PostgresError {
    PostgresError::Setup { step: "promotion", output }
}
