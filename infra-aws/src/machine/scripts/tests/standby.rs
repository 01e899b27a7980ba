//! The program that makes a server a standby.

use super::*;

const STREAMING: &str = "infra: the standby streams from its primary\n";

/// Returns a host with an empty cluster whose primary accepts connections, and whose standbys stream at once.
fn host() -> Host {
    let host = Host::new();
    host.write("etc/postgresql/15/main/conf.d/.keep", "");
    host.write("var/lib/postgresql/15/main/stock", "");
    host.write("var/log/postgresql/postgresql-15-main.log", "an earlier segment has already been removed\n");
    host.command("runuser", "shift 3; exec \"$@\"");
    host.command("pg_basebackup", "mkdir \"$4\"; touch \"$4/copied\" \"$4/infra-standby\"");
    host.command("psql", "echo 1");
    host.command("pg_isready", "");
    host
}

fn standby(host: &Host) -> Output {
    host.run(STANDBY, &["5433", "10.0.0.7"])
}

fn output(output: &Output) -> String {
    assert_success(output);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

fn data(host: &Host) -> Vec<String> {
    let mut names = file_names(&host.path("var/lib/postgresql/15/main"));
    names.sort();
    names
}

#[test]
fn standby_copies_its_primary_once_and_reports_that_it_streams() {
    let host = host();
    assert_eq!(output(&standby(&host)), STREAMING);
    assert_eq!(data(&host), ["copied", "infra-standby", "standby.signal"]);
    assert_eq!(file_names(&host.path("var/lib/postgresql/15")), ["main"]);
    let passfile = host.path("run/infra-postgres/passfile");
    let connection = format!(
        "host=10.0.0.7 port=5433 user=replicator passfile={} sslmode=require connect_timeout=10 tcp_user_timeout=60000",
        passfile.display()
    );
    let target = host.path("var/lib/postgresql/15/main.new");
    assert_eq!(
        host.calls("pg_basebackup"),
        [format!(
            "--dbname {connection} --pgdata {} --wal-method=stream --checkpoint=fast --no-password",
            target.display()
        )]
    );
    assert_eq!(
        host.calls("systemctl"),
        ["reload", "stop", "start"].map(|verb| format!("{verb} postgresql@15-main.service"))
    );
    let settings = host.read("etc/postgresql/15/main/conf.d/infra-standby.conf");
    assert_eq!(settings, format!("primary_conninfo = '{connection}'\n"));
    assert_eq!(host.read("run/infra-postgres/passfile"), "*:*:*:replicator:a\\:b\\\\c\n");
    assert_eq!(fs::metadata(&passfile).unwrap().permissions().mode() & 0o777, 0o600);

    assert_eq!(output(&standby(&host)), "");
    assert_eq!(host.calls("pg_basebackup").len(), 1);
    assert_eq!(host.calls("systemctl").len(), 3);
}

#[test]
fn standby_keeps_its_data_while_its_primary_is_unreachable() {
    let host = host();
    host.command("pg_basebackup", "echo 'connection refused' >&2; exit 1");
    assert_eq!(errors(&standby(&host)), "connection refused\ninfra-standby: pg_basebackup exited with 1\n");
    assert_eq!(data(&host), ["stock"]);
}

#[test]
fn complete_standby_does_not_wait_for_its_primary() {
    let host = host();
    output(&standby(&host));
    host.command("pg_isready", "exit 2");
    host.command("psql", "echo 0");
    assert_eq!(output(&standby(&host)), "");
    assert_eq!(host.calls("pg_isready"), ["--quiet --timeout 5 --host 10.0.0.7 --port 5433"]);
    assert_eq!(host.calls("pg_basebackup").len(), 1);
}

#[test]
fn standby_that_lacks_removed_log_is_copied_again() {
    let host = host();
    output(&standby(&host));
    let log = host.path("var/log/postgresql/postgresql-15-main.log");
    let message = "requested WAL segment 000000010000000000000002 has already been removed";
    let copies = format!("[ \"$(grep -c ^pg_basebackup {})\" = 2 ]", host.path("calls").display());
    host.command("psql", &format!("{copies} && echo 1 || {{ echo 0; echo '{message}' >>{}; }}", log.display()));
    let text = output(&standby(&host));
    assert!(text.starts_with("infra-standby: the primary has removed a part of its log"), "{text}");
    assert!(text.ends_with(STREAMING), "{text}");
    assert_eq!(host.calls("pg_basebackup").len(), 2);
}

#[test]
fn promoted_standby_is_left_as_it_is() {
    let host = host();
    output(&standby(&host));
    fs::remove_file(host.path("var/lib/postgresql/15/main/standby.signal")).unwrap();
    let text = output(&standby(&host));
    assert_eq!(text, "infra-standby: the standby was promoted and is left as it is\n");
    assert_eq!(host.calls("pg_basebackup").len(), 1);
}
