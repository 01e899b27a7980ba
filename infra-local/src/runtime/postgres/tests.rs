//! Tests with a real server.

#![allow(clippy::unwrap_used)]

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use tokio::process::Command;

use super::*;
use crate::runtime::network::Site;
use crate::runtime::server_home::CertificateAuthority;
use crate::state::paths;

mod replication;

#[test]
fn names_and_texts_are_quoted() {
    assert_eq!(identifier("a\"b"), "\"a\"\"b\"");
    assert_eq!(literal("it's \\ here"), "'it''s \\ here'");
}

#[tokio::test]
async fn a_password_that_would_end_the_statement_is_refused() {
    let directory = open_directory();
    let spec = spec(directory.path(), "a\nb");
    assert!(matches!(start(&spec).await, Err(PostgresError::Unusable(Unusable::Text("password")))));
}

/// Returns a directory that the server's user may enter. The data is kept there and deleted with it.
fn open_directory() -> tempfile::TempDir {
    let directory = tempfile::tempdir().unwrap();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
    directory
}

fn spec(directory: &Path, password: &str) -> DatabaseSpec {
    let address = Ipv4Addr::new(127, 251, 7, 9);
    let port = std::net::TcpListener::bind((address, 0)).unwrap().local_addr().unwrap().port();
    DatabaseSpec {
        directory: directory.join("postgres"),
        site: Site::Host,
        address,
        port,
        database: "tasks".to_owned(),
        user: "it's \"me".to_owned(),
        password: password.to_owned(),
        replication: None,
    }
}

/// Runs a query with `psql`, over TCP and with the password.
async fn query(spec: &DatabaseSpec, password: &str, sql: &str) -> Result<String, String> {
    query_with(spec, password, "prefer", sql).await
}

/// Runs a query with `psql` and this `sslmode`.
async fn query_with(spec: &DatabaseSpec, password: &str, mode: &str, sql: &str) -> Result<String, String> {
    let psql = find_binaries().unwrap().postgres.with_file_name("psql");
    let output = Command::new(psql)
        .args([
            "-h",
            &spec.address.to_string(),
            "-p",
            &spec.port.to_string(),
            "-U",
            &spec.user,
            "-d",
            &spec.database,
            "-Atc",
            sql,
        ])
        .env("PGPASSWORD", password)
        .env("PGSSLMODE", mode)
        .env("PGSSLROOTCERT", paths::certificate_bundle(spec.directory.parent().unwrap()))
        .output()
        .await
        .unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test]
async fn data_survives_a_restart_and_the_password_changes() {
    let directory = open_directory();
    let first = spec(directory.path(), "o'ne \\ \"x\"");
    let identity = start(&first).await.unwrap().process;
    query(&first, &first.password, "CREATE TABLE t AS SELECT 42 AS answer").await.unwrap();
    let owner = "SELECT rolname FROM pg_database JOIN pg_roles r ON r.oid = datdba WHERE datname = 'tasks'";
    assert_eq!(query(&first, &first.password, owner).await.unwrap(), first.user);
    assert!(query(&first, "wrong", "SELECT 1").await.unwrap_err().contains("password authentication failed"));
    stop(identity).await;
    assert!(!identity.is_alive());

    let second = DatabaseSpec { password: "two".to_owned(), ..first.clone() };
    let identity = start(&second).await.unwrap().process;
    assert_eq!(query(&second, "two", "SELECT answer FROM t").await.unwrap(), "42");
    assert!(query(&second, &first.password, "SELECT 1").await.is_err());
    let log = fs::read_to_string(first.directory.join("postgres.log")).unwrap();
    assert!(!log.contains("o'ne") && !log.contains("PASSWORD"), "{log}");

    // As after a crash of the cloud: the server still runs, but is not recorded.
    let again = start(&second).await.unwrap().process;
    assert!(!identity.is_alive());
    assert_eq!(query(&second, "two", "SELECT answer FROM t").await.unwrap(), "42");
    stop(again).await;
}

#[tokio::test]
async fn clients_connect_with_and_without_tls() {
    let directory = open_directory();
    let spec = spec(directory.path(), "secret");
    let server = start(&spec).await.unwrap().process;
    let encrypted = "SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()";
    assert_eq!(query_with(&spec, "secret", "require", encrypted).await.unwrap(), "t");
    assert_eq!(query_with(&spec, "secret", "disable", encrypted).await.unwrap(), "f");
    let key = fs::metadata(spec.directory.join("server.key")).unwrap();
    assert_eq!(key.permissions().mode() & 0o777, 0o600);
    stop(server).await;
}

#[tokio::test]
async fn clients_verify_the_certificate_of_an_endpoint() {
    let directory = open_directory();
    let authority = CertificateAuthority::open(directory.path()).unwrap();
    let spec = spec(directory.path(), "secret");
    let server = Server::open(&spec.directory).unwrap();
    server.initialise(SUPERUSER).await.unwrap();
    ensure_role_and_database(&server, &spec).await.unwrap();
    let elsewhere = [Ipv4Addr::new(127, 251, 7, 10)].into();
    let tls = Tls { certified: Some((&authority, &elsewhere)), plaintext_user: None };
    let process = server.launch(&Launch { tls, ..launch(&spec) }).await.unwrap();
    let connect = async |mode| query_with(&spec, "secret", mode, "SELECT 1").await;
    let refused = connect("verify-full").await.unwrap_err();
    assert!(refused.contains("does not match host name"), "{refused}");
    assert_eq!(connect("verify-ca").await.unwrap(), "1");
    assert_eq!(connect("disable").await.unwrap(), "1");

    let own = [spec.address].into();
    let tls = Tls { certified: Some((&authority, &own)), plaintext_user: Some("other") };
    server.secure(&spec.site, tls).await.unwrap();
    process.signal(Signal::HUP);
    while connect("verify-full").await.is_err() || connect("disable").await.is_ok() {
        assert!(process.is_alive(), "{}", server.log_tail());
    }
    let refused = connect("disable").await.unwrap_err();
    assert!(refused.contains("no pg_hba.conf entry") && refused.contains("no encryption"), "{refused}");
    stop(process).await;
}

#[tokio::test]
async fn a_port_in_use_is_reported() {
    let directory = open_directory();
    let spec = spec(directory.path(), "secret");
    let _taken = std::net::TcpListener::bind((spec.address, spec.port)).unwrap();
    let error = start(&spec).await.unwrap_err().to_string();
    assert!(error.contains(&format!("{}:{}", spec.address, spec.port)), "{error}");
}
