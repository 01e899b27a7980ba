//! The program that configures MariaDB.

use super::*;

const STREAMING: &str = "infra: the standby streams from its primary\n";

/// Returns a host whose server replicates at once.
fn host() -> Host {
    let host = Host::new();
    host.write("etc/mysql/mariadb.conf.d/.keep", "");
    host.write("var/lib/mysql/stock", "");
    host.command("openssl", "while [ $# -gt 1 ]; do case $1 in -keyout|-out) touch \"$2\";; esac; shift; done");
    host.command("mariadb-dump", "for option; do case $option in --result-file=*) touch \"${option#*=}\";; esac; done");
    let running = "*** 1. row ***\n Slave_IO_Running: Yes\n Slave_SQL_Running: Yes\n Last_IO_Error: \n \
                   Seconds_Behind_Master: 0\n Master_Host: 10.0.0.8";
    answer(&host, running);
    host
}

/// Lets the server report this state of its replication, and records the statements that it executes.
fn answer(host: &Host, state: &str) {
    host.write("state", state);
    let (statements, state) = (host.path("statements"), host.path("state"));
    let script = format!(
        "case \"$*\" in *--protocol=tcp*) exit 0;; esac; cat >>{}; cat {}",
        statements.display(),
        state.display()
    );
    host.command("mariadb", &script);
}

fn run(host: &Host, primary: Option<&str>) -> Output {
    let mut settings = json!({"port": 3307, "database": "ta`sks", "user": "it's"});
    settings["primary"] = primary.into();
    host.run(MARIADB, &[&settings.to_string()])
}

fn output(output: &Output) -> String {
    assert_success(output);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

#[test]
fn primary_accepts_passwords_over_tls_only_and_admits_standbys() {
    let host = host();
    for _ in 0..2 {
        assert_eq!(output(&run(&host, None)), "");
    }
    assert_eq!(host.calls("systemctl"), ["restart mariadb.service"]);
    assert_eq!(host.calls("openssl").len(), 1);
    let settings = host.read("etc/mysql/mariadb.conf.d/90-infra.cnf");
    for line in ["port = 3307", "server_id = 167772167", "require_secure_transport = ON", "log_bin = binlog"] {
        assert!(settings.lines().any(|present| present == line), "{line}: {settings}");
    }
    let statements = host.read("statements");
    for statement in [
        "CREATE DATABASE IF NOT EXISTS `ta``sks` CHARACTER SET utf8mb4;",
        "ALTER USER 'it''s'@'%' IDENTIFIED BY 'pa''ss';",
        "ALTER USER 'replicator'@'%' IDENTIFIED BY 'a:b\\\\c';",
    ] {
        assert!(statements.lines().any(|present| present == statement), "{statement}: {statements}");
    }
    let calls = host.calls("mariadb").join("\n");
    assert!(!calls.contains("pa''ss") && !calls.contains("a:b"), "{calls}");
}

#[test]
fn standby_copies_its_primary_once_and_reports_that_it_replicates() {
    let host = host();
    assert_eq!(output(&run(&host, Some("10.0.0.8"))), STREAMING);
    assert_eq!(output(&run(&host, Some("10.0.0.8"))), "");
    let dumps = host.calls("mariadb-dump");
    assert_eq!(dumps.len(), 1);
    assert!(dumps[0].contains("--host 10.0.0.8 --port 3307 --user replicator --all-databases --single-transaction"));
    assert!(host.read("etc/mysql/mariadb.conf.d/90-infra.cnf").ends_with("read_only = 1\n"));
    let statements = host.read("statements");
    let follow = "CHANGE MASTER TO MASTER_HOST='10.0.0.8', MASTER_PORT=3307, MASTER_USER='replicator', \
                  MASTER_PASSWORD='a:b\\\\c', MASTER_SSL=1,";
    assert_eq!(statements.matches(follow).count(), 1, "{statements}");
    assert!(!statements.contains("CREATE USER"), "{statements}");
    assert!(!host.path("var/lib/mysql/infra-dump.sql").exists());
    // Another primary has another log.
    answer(&host, "Slave_IO_Running: Yes\nSlave_SQL_Running: Yes\nSeconds_Behind_Master: 0\nMaster_Host: 10.0.0.8\n");
    assert_eq!(output(&run(&host, Some("10.0.0.9"))), "");
    assert_eq!(host.calls("mariadb-dump").len(), 2);
}

#[test]
fn standby_waits_while_its_primary_is_unreachable() {
    let host = host();
    host.command("mariadb-dump", "echo 'connection refused' >&2; exit 2");
    let error = errors(&run(&host, Some("10.0.0.8")));
    assert_eq!(error, "connection refused\ninfra-mariadb: mariadb-dump exited with 2\n");
    assert!(!host.path("var/lib/mysql/infra-copied").exists());
}

#[test]
fn standby_that_lacks_removed_log_is_copied_again() {
    let host = host();
    output(&run(&host, Some("10.0.0.8")));
    answer(&host, "Slave_IO_Running: No\nLast_IO_Errno: 1236\nMaster_Host: 10.0.0.8\n");
    let streaming =
        "Slave_IO_Running: Yes\\nSlave_SQL_Running: Yes\\nSeconds_Behind_Master: 0\\nMaster_Host: 10.0.0.8\\n";
    let state = host.path("state");
    host.command("mariadb-dump", &format!("printf '{streaming}' >{}; for option; do case $option in --result-file=*) touch \"${{option#*=}}\";; esac; done", state.display()));
    let text = output(&run(&host, Some("10.0.0.8")));
    assert!(text.starts_with("infra-mariadb: the primary has removed a part of its log"), "{text}");
}
