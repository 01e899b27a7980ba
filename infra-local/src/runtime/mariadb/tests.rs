//! Tests with real servers.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::time::Duration;

use tokio::process::Command;

use super::*;
use crate::runtime::network::Site;
use crate::runtime::server_home::Replication;

#[path = "../../../../tests/skip.rs"]
mod skip;

const PASSWORD: &str = "o'ne \\ \"x\"";
const REPLICATION_PASSWORD: &str = "re'pl\\i \"cate\"";

/// Returns whether MariaDB is installed; otherwise the test is skipped.
fn is_installed() -> bool {
    match find_binaries() {
        Ok(_) => true,
        Err(error) => {
            skip::skip(&error.to_string());
            false
        }
    }
}

/// Returns a directory that the server's user may enter.
fn open_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

/// A primary and a standby in separate directories, with the same port and separate addresses.
struct Pair {
    primary: DatabaseSpec,
    standby: DatabaseSpec,
    _directories: [tempfile::TempDir; 2],
}

impl Pair {
    /// `network` is the second byte of the servers' addresses, different in each test.
    fn new(network: u8) -> Self {
        let directories = [open_directory(), open_directory()];
        let addresses = [Ipv4Addr::new(127, network, 7, 9), Ipv4Addr::new(127, network, 7, 10)];
        let port = std::net::TcpListener::bind((addresses[0], 0)).unwrap().local_addr().unwrap().port();
        let server = |index: usize, primary| DatabaseSpec {
            directory: directories[index].path().join("mariadb"),
            site: Site::Host,
            address: addresses[index],
            port,
            database: "ta`sks".to_owned(),
            user: "it's me".to_owned(),
            password: PASSWORD.to_owned(),
            replication: Some(Replication { password: REPLICATION_PASSWORD.to_owned(), primary }),
        };
        Self { primary: server(0, None), standby: server(1, Some(addresses[0])), _directories: directories }
    }
}

async fn query(spec: &DatabaseSpec, password: &str, sql: &str) -> Result<String, String> {
    query_with(spec, password, "--skip-ssl", sql).await
}

/// Runs a query with this option of the client.
async fn query_with(spec: &DatabaseSpec, password: &str, tls: &str, sql: &str) -> Result<String, String> {
    let output = Command::new(find_binaries().unwrap().client)
        .args(["--no-defaults", "--protocol=tcp", tls, "--batch", "--skip-column-names"])
        .arg(format!("--host={}", spec.address))
        .arg(format!("--port={}", spec.port))
        .arg(format!("--user={}", spec.user))
        .arg(format!("--execute={sql}"))
        .arg(&spec.database)
        .env("MYSQL_PWD", password)
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

async fn execute(spec: &DatabaseSpec, sql: &str) -> String {
    query(spec, PASSWORD, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Repeats a query until it returns the expected result.
async fn wait_for(spec: &DatabaseSpec, sql: &str, expected: &str) {
    let waits = async {
        while query(spec, PASSWORD, sql).await.as_deref() != Ok(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waits).await.unwrap_or_else(|_| panic!("{sql} is not {expected}"));
}

#[tokio::test]
async fn data_survives_a_restart_and_the_password_changes() {
    if !is_installed() {
        return;
    }
    let Pair { primary, _directories, .. } = Pair::new(243);
    let single = DatabaseSpec { replication: None, ..primary };
    let server = start(&single).await.unwrap();
    execute(&single, "CREATE TABLE t AS SELECT 42 AS answer").await;
    assert!(query(&single, "wrong", "SELECT 1").await.unwrap_err().contains("Access denied"));
    let cipher = "SHOW SESSION STATUS LIKE 'Ssl_cipher'";
    assert_eq!(execute(&single, cipher).await, "Ssl_cipher");
    let encrypted = query_with(&single, PASSWORD, "--ssl", cipher).await.unwrap();
    assert!(encrypted.contains("TLS_") || encrypted.contains("AES"), "{encrypted}");
    stop(server.process).await;
    let changed = DatabaseSpec { password: "two".to_owned(), ..single.clone() };
    let server = start(&changed).await.unwrap();
    assert_eq!(query(&changed, "two", "SELECT answer FROM t").await.unwrap(), "42");
    assert!(query(&changed, PASSWORD, "SELECT 1").await.is_err());
    let directory = single.directory.join("data");
    assert!(!directory.join("start.sql").exists(), "it contains passwords");

    // As after a crash of the cloud: the server still runs, but is not recorded.
    let again = start(&changed).await.unwrap();
    assert!(!server.process.is_alive());
    assert_eq!(query(&changed, "two", "SELECT answer FROM t").await.unwrap(), "42");
    stop(again.process).await;
}

#[tokio::test]
async fn a_standby_reads_what_its_primary_writes_across_restarts_of_both() {
    if !is_installed() {
        return;
    }
    let Pair { primary, standby, _directories } = &Pair::new(242);
    let mut writer = start(primary).await.unwrap();
    execute(primary, "CREATE TABLE t AS SELECT 1 AS n").await;
    let mut reader = start(standby).await.unwrap();
    assert!(!writer.streams && reader.streams);
    execute(primary, "INSERT INTO t VALUES (2)").await;
    wait_for(standby, "SELECT sum(n) FROM t", "3").await;
    let refused = query(standby, PASSWORD, "INSERT INTO t VALUES (9)").await.unwrap_err();
    assert!(refused.contains("--read-only"), "{refused}");

    stop(reader.process).await;
    execute(primary, "INSERT INTO t VALUES (3)").await;
    reader = start(standby).await.unwrap();
    assert!(reader.streams);
    wait_for(standby, "SELECT sum(n) FROM t", "6").await;

    stop(writer.process).await;
    assert_eq!(execute(standby, "SELECT sum(n) FROM t").await, "6");
    stop(reader.process).await;
    reader = start(standby).await.unwrap();
    assert!(!reader.streams, "it starts without its primary");
    assert_eq!(execute(standby, "SELECT sum(n) FROM t").await, "6");
    writer = start(primary).await.unwrap();
    execute(primary, "INSERT INTO t VALUES (4)").await;
    wait_for(standby, "SELECT sum(n) FROM t", "10").await;

    stop(reader.process).await;
    server_home::remove(&standby.directory).unwrap();
    reader = start(standby).await.unwrap();
    assert_eq!(execute(standby, "SELECT sum(n) FROM t").await, "10");
    stop(reader.process).await;
    stop(writer.process).await;
}

#[tokio::test]
async fn a_standby_that_lacks_removed_log_is_copied_again() {
    if !is_installed() {
        return;
    }
    let Pair { primary, standby, _directories } = &Pair::new(241);
    let writer = start(primary).await.unwrap();
    execute(primary, "CREATE TABLE t AS SELECT 1 AS n").await;
    let reader = start(standby).await.unwrap();
    stop(reader.process).await;
    execute(primary, "INSERT INTO t VALUES (2)").await;
    stop(writer.process).await;
    // Each start begins another file of the log.
    let writer = start(primary).await.unwrap();
    let log = primary.directory.join("data");
    let first = log.join("binlog.000001");
    let index = log.join("binlog.index");
    stop(writer.process).await;
    fs::remove_file(first).unwrap();
    let kept = fs::read_to_string(&index).unwrap().lines().skip(1).fold(String::new(), |text, line| text + line + "\n");
    fs::write(&index, kept).unwrap();
    let writer = start(primary).await.unwrap();
    let error = start(standby).await.unwrap_err().to_string();
    assert!(error.contains("1236"), "{error}");
    let reader = start(standby).await.unwrap();
    assert!(reader.streams);
    assert_eq!(execute(standby, "SELECT sum(n) FROM t").await, "3");
    stop(reader.process).await;
    stop(writer.process).await;
}

#[tokio::test]
async fn a_standby_without_its_primary_is_refused_and_keeps_no_data() {
    if !is_installed() {
        return;
    }
    let Pair { standby, _directories, .. } = &Pair::new(240);
    let error = start(standby).await.unwrap_err().to_string();
    assert!(error.starts_with("mariadb-dump failed: ") && !error.contains("re'pl"), "{error}");
    assert!(!standby.directory.join("data").exists());
}
