//! Execution of the programs on a simulated file system of a host.
#![allow(clippy::unwrap_used)]

mod mariadb;
mod standby;

use super::*;
use serde_json::{Value as Json, json};
use std::{
    collections::BTreeMap,
    fs,
    os::unix::fs::PermissionsExt,
    path::{Path, PathBuf},
    process::{Command, Output},
    time::{Duration, SystemTime},
};
use tempfile::TempDir;

/// The file system of a host below a temporary directory, with stubs of its commands that record their arguments.
struct Host {
    root: TempDir,
}

impl Host {
    fn new() -> Self {
        let host = Self { root: tempfile::tempdir().unwrap() };
        for directory in ["bin", "etc/infra/start", "run", "opt"] {
            fs::create_dir_all(host.path(directory)).unwrap();
        }
        for command in ["apt-get", "dpkg", "dpkg-query", "systemctl", "runuser", "aws"] {
            host.command(command, "");
        }
        host.command("hostname", "echo '10.0.0.7 172.17.0.1 '");
        host
    }

    fn path(&self, path: &str) -> PathBuf {
        self.root.path().join(path)
    }

    fn write(&self, path: &str, content: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn read(&self, path: &str) -> String {
        fs::read_to_string(self.path(path)).unwrap()
    }

    /// Replaces a command of the host with a shell script.
    fn command(&self, name: &str, script: &str) {
        let path = self.path("bin").join(name);
        let calls = self.path("calls");
        fs::write(&path, format!("#!/bin/sh\necho \"{name} $*\" >>{}\n{script}\n", calls.display())).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Replaces the AWS CLI with a Parameter Store that contains these values under NAME:VERSION.
    fn parameters(&self, values: &[(&str, &str)]) {
        let all = values.iter().map(|(name, value)| {
            let (name, version) = name.split_once(':').unwrap();
            json!({"Name": name, "Value": value, "Version": version.parse::<u64>().unwrap()})
        });
        let answer = json!({"Parameters": all.collect::<Vec<_>>(), "InvalidParameters": []});
        self.write("answer.json", &answer.to_string());
        self.command("aws", &format!("cat {}", self.path("answer.json").display()));
    }

    /// Returns the calls of a command since the previous call of this method.
    fn calls(&self, command: &str) -> Vec<String> {
        let calls = fs::read_to_string(self.path("calls")).unwrap_or_default();
        let prefix = format!("{command} ");
        calls.lines().filter_map(|call| call.strip_prefix(&prefix)).map(str::to_owned).collect()
    }

    /// Runs a script of the host with the host's directories in place of the system's.
    fn run(&self, script: &str, arguments: &[&str]) -> Output {
        let root = self.root.path().display();
        let script = ["/etc/", "/run/", "/opt/", "/var/"].iter().fold(script.to_owned(), |script, directory| {
            script.replace(&format!("\"{directory}"), &format!("\"{root}{directory}"))
        });
        // The script sets the path itself, because wrappers of python3 prepend directories to it. Only root may change the
        // owner of a file.
        let bin = self.path("bin");
        let setup = format!(
            "import os, shutil; shutil.chown = lambda *_: None; os.environ['PATH'] = '{}:' + os.environ['PATH']",
            bin.display()
        );
        let mut command = Command::new("python3");
        command.arg("-c").arg(format!("{setup}\n{script}")).args(arguments);
        command.env("PASSWORD", "pa'ss").env("REPLICATION_PASSWORD", "a:b\\c");
        command.output().unwrap()
    }

    fn start(&self) -> Output {
        self.run(START, &[])
    }

    fn service(&self, name: &str, listen: Option<u16>, secrets: &Json) {
        let environment = self.path(&format!("run/infra/{name}.env"));
        let ports: BTreeMap<_, _> = listen.map(|port| ("LISTEN", port)).into_iter().collect();
        let part = json!({"environment": environment, "ports": ports, "secrets": secrets});
        self.write(&format!("etc/infra/start/{name}.json"), &part.to_string());
    }

    /// Runs the setup program with an otherwise empty configuration.
    fn setup(&self, configuration: &Json) -> Output {
        let mut whole = json!({
            "packages": [], "programs": [], "postgres_port": null, "postgres_replication": false, "units": [],
            "build": false,
        });
        whole.as_object_mut().unwrap().extend(configuration.as_object().unwrap().clone());
        self.write("etc/infra/setup.json", &whole.to_string());
        self.run(SETUP, &[])
    }
}

fn assert_success(output: &Output) {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}

fn errors(output: &Output) -> String {
    assert!(!output.status.success());
    String::from_utf8_lossy(&output.stderr).into_owned()
}

fn file_names(directory: &Path) -> Vec<String> {
    fs::read_dir(directory).map_or_else(
        |_| Vec::new(),
        |entries| entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect(),
    )
}

#[test]
fn start_writes_the_address_and_quoted_secrets() {
    let host = Host::new();
    host.service("tasks", Some(8080), &json!({"DATABASE_URL": "/p/url:3", "KEY": "/p/key:1"}));
    host.parameters(&[("/p/url:3", "pa\"ss$w`o\\rd"), ("/p/key:1", "two\nlines\tand a tab\n")]);
    assert_success(&host.start());
    assert_eq!(
        host.read("run/infra/tasks.env"),
        "LISTEN=\"10.0.0.7:8080\"\nDATABASE_URL=\"pa\\\"ss\\$w\\`o\\\\rd\"\nKEY=\"two\nlines\tand a tab\n\"\n"
    );
    let mode = fs::metadata(host.path("run/infra/tasks.env")).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
}

#[test]
fn start_reads_all_secrets_with_one_call() {
    let host = Host::new();
    host.service("one", None, &json!({"A": "/p/a:1", "B": "/p/b:2"}));
    host.service("two", None, &json!({"A": "/p/a:1", "C": "/p/c:3"}));
    host.parameters(&[("/p/a:1", "a"), ("/p/b:2", "b"), ("/p/c:3", "c")]);
    assert_success(&host.start());
    let calls = host.calls("aws");
    assert_eq!(calls.len(), 1, "{calls:?}");
    assert!(calls[0].starts_with("ssm get-parameters --with-decryption "), "{calls:?}");
    assert!(calls[0].ends_with(" --names /p/a:1 /p/b:2 /p/c:3"), "{calls:?}");
    assert_eq!(host.read("run/infra/two.env"), "A=\"a\"\nC=\"c\"\n");
}

#[test]
fn start_reads_more_than_ten_secrets_in_batches() {
    let host = Host::new();
    let names: Vec<String> = (10..22).map(|number| format!("/p/{number}:1")).collect();
    let secrets: serde_json::Map<_, _> =
        names.iter().map(|name| (format!("S{}", &name[3..5]), name.clone().into())).collect();
    host.service("tasks", None, &secrets.into());
    host.parameters(&names.iter().map(|name| (name.as_str(), "v")).collect::<Vec<_>>());
    assert_success(&host.start());
    let sizes: Vec<usize> = host.calls("aws").iter().map(|call| call.matches("/p/").count()).collect();
    assert_eq!(sizes, [10, 2]);
    assert_eq!(host.read("run/infra/tasks.env").lines().count(), 12);
}

#[test]
fn start_without_secrets_does_not_use_the_parameter_store() {
    let host = Host::new();
    host.service("tasks", Some(80), &json!({}));
    assert_success(&host.start());
    assert_eq!(host.read("run/infra/tasks.env"), "LISTEN=\"10.0.0.7:80\"\n");
    assert!(host.calls("aws").is_empty());
}

#[test]
fn start_writes_no_environment_while_the_parameter_store_is_unreachable() {
    let host = Host::new();
    host.service("tasks", Some(8080), &json!({"DATABASE_URL": "/p/url:3"}));
    host.command("aws", "echo 'Could not connect to the endpoint URL' >&2; exit 255");
    let error = errors(&host.start());
    assert_eq!(error, "Could not connect to the endpoint URL\ninfra-start: aws exited with 255\n");
    assert_eq!(file_names(&host.path("run/infra")), [""; 0]);
}

#[test]
fn start_writes_no_environment_without_one_of_the_secrets() {
    let host = Host::new();
    host.service("tasks", Some(8080), &json!({"DATABASE_URL": "/p/url:3", "KEY": "/p/key:1"}));
    host.parameters(&[("/p/key:1", "v"), ("/p/url:2", "another version")]);
    assert_eq!(errors(&host.start()), "infra-start: there is no parameter /p/url:3\n");
    assert_eq!(file_names(&host.path("run/infra")), [""; 0]);
}

#[test]
fn start_writes_no_environment_without_an_address() {
    let host = Host::new();
    host.service("tasks", Some(8080), &json!({}));
    host.command("hostname", "echo ' '");
    assert_eq!(errors(&host.start()), "infra-start: the host has no address yet\n");
    assert_eq!(file_names(&host.path("run/infra")), [""; 0]);
}

#[test]
fn start_passes_the_database_password_through_the_environment() {
    let host = Host::new();
    let postgres = json!({"port": 5433, "database": "tasks", "user": "cloud"});
    let part = json!({"postgres": postgres, "secrets": {"PASSWORD": "/p/password:1"}});
    host.write("etc/infra/start/00-postgres.json", &part.to_string());
    host.parameters(&[("/p/password:1", "se'cret")]);
    let seen = host.path("seen");
    host.command("runuser", &format!("{{ echo \"$PASSWORD\"; cat; }} >{}", seen.display()));
    assert_success(&host.start());
    let call = host.calls("runuser").join("\n");
    assert!(call.starts_with("-u postgres -- psql "), "{call}");
    assert!(call.contains("--port 5433 ") && call.ends_with("--set role=cloud --set database=tasks"), "{call}");
    assert!(!call.contains("se'cret"), "{call}");
    assert!(host.read("seen").starts_with("se'cret\n\\getenv password PASSWORD\nSELECT format('CREATE ROLE"));
}

#[test]
fn start_lets_standbys_log_in_to_a_primary() {
    let host = Host::new();
    let part = json!({
        "postgres": {"port": 5432, "database": "tasks", "user": "cloud"},
        "secrets": {"PASSWORD": "/p/password:1", "REPLICATION_PASSWORD": "/p/replication:1"},
    });
    host.write("etc/infra/start/00-postgres.json", &part.to_string());
    host.parameters(&[("/p/password:1", "secret"), ("/p/replication:1", "other")]);
    let seen = host.path("seen");
    host.command("runuser", &format!("{{ echo \"$REPLICATION_PASSWORD\"; cat; }} >{}", seen.display()));
    assert_success(&host.start());
    let seen = host.read("seen");
    assert!(seen.starts_with("other\n") && seen.contains("ALTER ROLE replicator LOGIN REPLICATION PASSWORD"), "{seen}");
}

#[test]
fn start_of_a_standby_executes_no_statement() {
    let host = Host::new();
    let part = json!({
        "postgres": {"port": 5432, "database": "tasks", "user": "cloud", "primary": "10.0.0.7"},
        "secrets": {"PASSWORD": "/p/password:1", "REPLICATION_PASSWORD": "/p/replication:1"},
    });
    host.write("etc/infra/start/00-postgres.json", &part.to_string());
    host.parameters(&[("/p/password:1", "secret"), ("/p/replication:1", "other")]);
    host.command("infra-standby", "[ \"$REPLICATION_PASSWORD\" = other ]");
    assert_success(&host.start());
    assert_eq!(host.calls("infra-standby"), ["5432 10.0.0.7"]);
    assert!(host.calls("runuser").is_empty());
    host.command("infra-standby", "exit 1");
    assert_eq!(errors(&host.start()), "infra-start: infra-standby exited with 1\n");
}

#[test]
fn setup_does_not_use_apt_when_every_package_is_installed() {
    let host = Host::new();
    host.command("dpkg-query", "echo 'awscli installed'; echo 'postgresql installed'");
    assert_success(&host.setup(&json!({"packages": ["awscli", "postgresql"]})));
    assert!(host.calls("apt-get").is_empty());
}

#[test]
fn setup_installs_the_missing_packages() {
    let host = Host::new();
    host.command("dpkg-query", "echo 'awscli installed'; echo 'vim config-files'; exit 1");
    assert_success(&host.setup(&json!({"packages": ["awscli", "postgresql", "vim"]})));
    let ends: Vec<String> = host.calls("apt-get").iter().map(|call| call.replace(&call_options(call), "")).collect();
    assert_eq!(ends, ["update", "--simulate install postgresql vim", "install postgresql vim"]);
}

/// Removes the options that all calls of apt-get share.
fn call_options(call: &str) -> String {
    call.split_inclusive("--force-confold ").next().unwrap().to_owned()
}

#[test]
fn setup_fails_while_the_mirror_is_unreachable_and_succeeds_afterwards() {
    let host = Host::new();
    let configuration = json!({"packages": ["postgresql"], "units": ["infra.service"]});
    host.command("apt-get", "case \"$*\" in *update) exit 100;; esac");
    let error = errors(&host.setup(&configuration));
    assert!(error.contains("returned non-zero exit status 100"), "{error}");
    assert!(!error.contains("infra-setup failed"), "{error}");
    assert!(host.calls("systemctl").is_empty());
    host.command("apt-get", "");
    assert_success(&host.setup(&configuration));
    assert_eq!(host.calls("systemctl").last().unwrap(), "restart --no-block infra.service");
}

#[test]
fn setup_reports_the_failure_after_a_quarter_of_an_hour() {
    let host = Host::new();
    host.command("apt-get", "exit 100");
    host.write("run/infra-setup", "");
    let first_attempt = SystemTime::now() - Duration::from_mins(16);
    fs::File::open(host.path("run/infra-setup")).unwrap().set_modified(first_attempt).unwrap();
    let error = errors(&host.setup(&json!({"packages": ["postgresql"]})));
    assert!(error.ends_with("\ninfra-setup failed\n"), "{error}");
}

#[test]
fn setup_reports_at_once_that_a_package_does_not_exist() {
    let host = Host::new();
    host.command("apt-get", "case \"$*\" in *--simulate*) exit 100;; esac");
    let error = errors(&host.setup(&json!({"packages": ["no-such-package"]})));
    assert_eq!(error, "infra-setup: apt cannot install no-such-package\ninfra-setup failed\n");
}

#[test]
fn setup_accepts_passwords_over_tls_only_also_on_a_kept_disk() {
    let host = Host::new();
    host.write("etc/postgresql/15/main/conf.d/.keep", "");
    let stock = "local all postgres peer\nhost all all 127.0.0.1/32 scram-sha-256\n";
    let obsolete = "host all all 0.0.0.0/0 scram-sha-256\n";
    host.write("etc/postgresql/15/main/pg_hba.conf", &format!("{stock}{obsolete}{obsolete}"));
    fs::set_permissions(host.path("etc/postgresql/15/main/pg_hba.conf"), fs::Permissions::from_mode(0o640)).unwrap();
    for _ in 0..2 {
        assert_success(&host.setup(&json!({"postgres_port": 5433})));
        let rules = host.read("etc/postgresql/15/main/pg_hba.conf");
        assert_eq!(rules, format!("{stock}hostssl all all 0.0.0.0/0 scram-sha-256\n"));
    }
    let settings = host.read("etc/postgresql/15/main/conf.d/infra.conf");
    assert!(settings.contains("port = 5433\n") && settings.contains("ssl = on\n"), "{settings}");
    assert!(!settings.contains("wal_keep_size"), "{settings}");
    let rules = host.path("etc/postgresql/15/main/pg_hba.conf");
    assert_eq!(fs::metadata(rules).unwrap().permissions().mode() & 0o777, 0o640);
    assert!(host.calls("systemctl").contains(&"restart postgresql.service".to_owned()));
}

#[test]
fn setup_admits_standbys_over_tls_only() {
    let host = Host::new();
    host.write("etc/postgresql/15/main/conf.d/.keep", "");
    host.write("etc/postgresql/15/main/pg_hba.conf", "local all postgres peer\n");
    for _ in 0..2 {
        assert_success(&host.setup(&json!({"postgres_port": 5433, "postgres_replication": true})));
        let rules = host.read("etc/postgresql/15/main/pg_hba.conf");
        let expected = "local all postgres peer\nhostssl all all 0.0.0.0/0 scram-sha-256\n\
                        hostssl replication replicator 0.0.0.0/0 scram-sha-256\n";
        assert_eq!(rules, expected);
    }
    let settings = host.read("etc/postgresql/15/main/conf.d/infra.conf");
    assert!(settings.contains("wal_keep_size = '1GB'\n"), "{settings}");
}

#[test]
fn setup_downloads_a_program_once_and_checks_it() {
    let host = Host::new();
    host.command("aws", "printf hello >\"$5\"");
    let sha256 = "2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824";
    let path = host.path("opt/infra/tasks");
    let program = json!({"bucket": "b", "key": "k", "sha256": sha256, "path": path});
    for _ in 0..2 {
        assert_success(&host.setup(&json!({"programs": [program]})));
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o755);
    }
    assert_eq!(host.calls("aws"), [format!("s3 cp --only-show-errors s3://b/k {}.part", path.display())]);
    fs::remove_file(&path).unwrap();
    host.command("aws", "printf changed >\"$5\"");
    let error = errors(&host.setup(&json!({"programs": [program]})));
    assert!(error.contains("s3://b/k does not have the SHA-256 2cf24dba"), "{error}");
    assert!(!path.exists());
}

#[test]
fn setup_of_a_host_enables_and_starts_its_units() {
    let host = Host::new();
    assert_success(&host.setup(&json!({"units": ["infra.service", "infra-tasks.service"]})));
    assert_eq!(
        host.calls("systemctl"),
        [
            "daemon-reload",
            "reenable infra.service infra-tasks.service",
            "disable infra-setup.service",
            "restart --no-block infra.service"
        ]
    );
}

#[test]
fn setup_of_a_builder_starts_nothing() {
    let host = Host::new();
    host.write("etc/machine-id", "0123456789abcdef0123456789abcdef\n");
    assert_success(&host.setup(&json!({"units": ["infra.service"], "build": true})));
    assert_eq!(host.calls("systemctl"), ["daemon-reload", "reenable infra.service", "disable infra-setup.service"]);
    assert_eq!(host.read("etc/machine-id"), "");
    assert!(host.path("run/infra-built").exists());
}
