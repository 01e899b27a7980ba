//! A primary and its standby.

use std::time::Duration;

use super::*;
use crate::runtime::server_home::Replication;

const REPLICATION_PASSWORD: &str = "re'pl\\i \"cate\"";

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
        let (address, standby_address) = (Ipv4Addr::new(127, network, 7, 9), Ipv4Addr::new(127, network, 7, 10));
        let port = std::net::TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
        let replication = |primary| Some(Replication { password: REPLICATION_PASSWORD.to_owned(), primary });
        let server = |directory: &tempfile::TempDir| spec(directory.path(), "o'ne \\ \"x\"");
        let [first, second] = &directories;
        let primary = DatabaseSpec { address, port, replication: replication(None), ..server(first) };
        let standby =
            DatabaseSpec { address: standby_address, port, replication: replication(Some(address)), ..server(second) };
        Self { primary, standby, _directories: directories }
    }
}

async fn execute(spec: &DatabaseSpec, sql: &str) -> String {
    query(spec, &spec.password, sql).await.unwrap_or_else(|error| panic!("{sql}: {error}"))
}

/// Repeats a query until it returns the expected result.
async fn wait_for(spec: &DatabaseSpec, sql: &str, expected: &str) {
    let waits = async {
        while query(spec, &spec.password, sql).await.as_deref() != Ok(expected) {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_mins(1), waits).await.unwrap_or_else(|_| panic!("{sql} is not {expected}"));
}

#[tokio::test]
async fn a_standby_reads_what_its_primary_writes_across_restarts_of_both() {
    let Pair { primary, standby, _directories } = &Pair::new(247);
    let mut writer = start(primary).await.unwrap();
    assert!(!writer.streams);
    execute(primary, "CREATE TABLE t AS SELECT 1 AS n").await;
    let mut reader = start(standby).await.unwrap();
    assert!(reader.streams);
    execute(primary, "INSERT INTO t VALUES (2)").await;
    wait_for(standby, "SELECT sum(n) FROM t", "3").await;
    let refused = query(standby, &standby.password, "INSERT INTO t VALUES (9)").await.unwrap_err();
    assert!(refused.contains("read-only transaction"), "{refused}");

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
    let Pair { primary, standby, _directories } = &Pair::new(246);
    let writer = start(primary).await.unwrap();
    let reader = start(standby).await.unwrap();
    stop(reader.process).await;
    stop(writer.process).await;
    let server = Server::open(&primary.directory).unwrap();
    let statements = "SELECT pg_switch_wal()\nCREATE TABLE public.t AS SELECT 7 AS n\nGRANT SELECT ON t TO PUBLIC\n\
         SELECT pg_switch_wal()\nCHECKPOINT\nSELECT 'ready'\n";
    server.single_user("writing log", statements).await.unwrap();
    remove_all_but_last_segment(&server.data().join("pg_wal"));
    let writer = start(primary).await.unwrap();
    let error = start(standby).await.unwrap_err().to_string();
    assert!(error.contains("has already been removed"), "{error}");
    let reader = start(standby).await.unwrap();
    assert!(reader.streams);
    stop(reader.process).await;
    stop(writer.process).await;
}

/// Removes the segments before the one that the server needs for its start.
fn remove_all_but_last_segment(log: &Path) {
    let needed = |entry: &fs::DirEntry| fs::metadata(entry.path()).unwrap().modified().unwrap();
    let mut segments: Vec<_> = fs::read_dir(log).unwrap().map(Result::unwrap).collect();
    segments.retain(|entry| entry.file_name().len() == 24);
    let last_written = segments.iter().map(needed).max().unwrap();
    for segment in segments.iter().filter(|segment| needed(segment) < last_written) {
        fs::remove_file(segment.path()).unwrap();
    }
}

#[tokio::test]
async fn a_standby_without_its_primary_is_refused_and_keeps_no_data() {
    let Pair { standby, _directories, .. } = &Pair::new(245);
    let error = start(standby).await.unwrap_err().to_string();
    assert!(error.starts_with("pg_basebackup failed: "), "{error}");
    assert!(!error.contains("re'pl"), "{error}");
    assert!(!Server::open(&standby.directory).unwrap().has_data());
}

#[tokio::test]
async fn the_replication_role_cannot_own_the_database() {
    let Pair { primary, _directories, .. } = &Pair::new(244);
    let reserved = DatabaseSpec { user: REPLICATOR.to_owned(), ..primary.clone() };
    assert!(matches!(start(&reserved).await, Err(PostgresError::Unusable(Unusable::Reserved))));
}
