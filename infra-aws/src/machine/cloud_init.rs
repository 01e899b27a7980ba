//! The user data that applies a Machine to a stock Debian image: a cloud-config, written as JSON, which is valid YAML.
//!
//! `infra-setup.service` runs until it has succeeded once per instance: it installs packages and programs and configures
//! PostgreSQL. Addresses and secrets are written below `/run` by `infra.service` at every start, before the services
//! start, so that an image of a host contains no secret. A host that builds an image powers off after its setup.

use super::{
    document::{Document, DocumentArtifact, DocumentDatabase, DocumentParameter, DocumentService},
    scripts, units,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value as Json, json};
use std::io::Write as _;

#[cfg(test)]
#[path = "../../../tests/skip.rs"]
mod skip;

/// EC2's limit for user data, in bytes.
pub(super) const MAX_BYTES: usize = 16 * 1024;

const HEADER: &str = "#cloud-config\n";
/// Path of the document on the host: part of the format.
const DOCUMENT: &str = "/etc/infra/machine.json";
const SETUP: &str = "/usr/local/sbin/infra-setup";
const SETUP_CONFIGURATION: &str = "/etc/infra/setup.json";
const SETUP_UNIT: &str = "/etc/systemd/system/infra-setup.service";
const START: &str = "/usr/local/sbin/infra-start";
const STANDBY: &str = "/usr/local/sbin/infra-standby";
const MARIADB: &str = "/usr/local/sbin/infra-mariadb";
/// Directory with one JSON document per service or database; they are applied in the order of their names. Those of databases
/// begin with `00-`, and names of services with a letter.
const PARTS: &str = "/etc/infra/start";
const START_UNIT: &str = "/etc/systemd/system/infra.service";
/// Created when a builder has completed its setup.
const BUILT: &str = "/run/infra-built";

/// The role of a host after its setup.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It runs its services.
    Run,
    /// It starts nothing and powers off, so that an image can be created from it.
    Build,
}

/// Renders the user data for the document on a host in this region.
pub(super) fn user_data(document: &Document, region: &str, purpose: Purpose) -> String {
    let mut files = vec![file(DOCUMENT, &to_json(document), "0644")];
    files.extend(document.files.iter().map(|own| file(&own.path, &own.content, &own.mode)));
    let mut packages = document.packages.clone();
    let mut config = json!({});
    let has_standby = document.databases().any(|(_, database)| database.primary().is_some());
    let has_services = !document.services.is_empty() || document.databases().next().is_some();
    if has_services {
        files.push(file(START_UNIT, &scripts::start_unit(region, has_standby), "0644"));
        files.push(program(START, scripts::START));
        let standby = document.postgres.as_ref().and_then(DocumentDatabase::primary);
        files.extend(standby.map(|_| program(STANDBY, scripts::STANDBY)));
        files.extend(document.mariadb.iter().map(|_| program(MARIADB, scripts::MARIADB)));
        files
            .extend(document.databases().map(|(engine, it)| part(&format!("00-{engine}"), &database_part(engine, it))));
        files.extend(document.services.iter().flat_map(service_files));
        packages.push("awscli".to_owned());
    }
    packages.sort_unstable();
    packages.dedup();
    if !packages.is_empty() || purpose == Purpose::Build {
        files.push(file(SETUP_UNIT, &scripts::setup_unit(region), "0644"));
        files.push(program(SETUP, scripts::SETUP));
        files.push(file(SETUP_CONFIGURATION, &setup_configuration(document, &packages, purpose).to_string(), "0644"));
        // The unit is disabled again by a setup that succeeded; until then it also runs after a reboot.
        config["runcmd"] = json!([
            ["systemctl", "enable", "infra-setup.service"],
            ["systemctl", "start", "--no-block", "infra-setup.service"],
        ]);
    }
    if purpose == Purpose::Build {
        // cloud-init evaluates the condition when it has run its commands.
        let wait = format!("until test -e {BUILT}; do sleep 1; done");
        config["runcmd"].as_array_mut().into_iter().for_each(|commands| commands.push(json!(["sh", "-c", wait])));
        config["power_state"] = json!({ "mode": "poweroff", "condition": ["test", "-e", BUILT] });
    }
    config["write_files"] = files.into();
    format!("{HEADER}{config}\n")
}

/// Returns the document in user data rendered by [`user_data`].
pub(super) fn document(user_data: &str) -> Option<Document> {
    let config: Json = serde_json::from_str(user_data.strip_prefix(HEADER)?).ok()?;
    let files = config["write_files"].as_array()?;
    let document = files.iter().find(|file| file["path"] == DOCUMENT)?;
    serde_json::from_str(document["content"].as_str()?).ok()
}

fn file(path: &str, content: &str, mode: &str) -> Json {
    json!({ "path": path, "content": content, "permissions": mode })
}

/// Returns an executable script. Its compression leaves more of the user data to files and services.
fn program(path: &str, text: &str) -> Json {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    // Writing to memory does not fail.
    let compressed = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish()).unwrap_or_default();
    json!({ "path": path, "content": STANDARD.encode(compressed), "encoding": "gz+b64", "permissions": "0755" })
}

fn to_json(document: &Document) -> String {
    // A struct of texts and numbers always has a JSON form.
    serde_json::to_string(document).unwrap_or_default()
}

/// Returns the input of the setup program.
fn setup_configuration(document: &Document, packages: &[String], purpose: Purpose) -> Json {
    let programs = document.services.iter().flat_map(|service| {
        let started = service.programs.values();
        let started = started.map(|program| (&program.artifact, units::started_program(service, program)));
        std::iter::once((&service.artifact, units::program(service))).chain(started)
    });
    let programs = programs.map(|(DocumentArtifact { bucket, key, sha256 }, path)| {
        json!({ "bucket": bucket, "key": key, "sha256": sha256, "path": path })
    });
    let mut enabled: Vec<String> = document.services.iter().map(units::unit_name).collect();
    if !enabled.is_empty() || document.databases().next().is_some() {
        enabled.insert(0, "infra.service".to_owned());
    }
    json!({
        "packages": packages,
        "programs": programs.collect::<Vec<_>>(),
        "postgres_port": document.postgres.as_ref().map(|postgres| postgres.port),
        "postgres_replication": document.postgres.as_ref().is_some_and(|postgres| postgres.replication.is_some()),
        "units": enabled,
        "build": purpose == Purpose::Build,
    })
}

fn service_files(service: &DocumentService) -> [Json; 3] {
    [
        file(&units::environment_file(service), &units::environment(service), "0600"),
        file(&format!("/etc/systemd/system/{}", units::unit_name(service)), &units::unit(service), "0644"),
        part(&service.name, &service_part(service)),
    ]
}

fn part(name: &str, content: &Json) -> Json {
    file(&format!("{PARTS}/{name}.json"), &content.to_string(), "0644")
}

fn service_part(service: &DocumentService) -> Json {
    let listen = service.listen.map(|port| ("LISTEN".to_owned(), port.into()));
    let ports = listen.into_iter().chain(service.ports.iter().map(|(name, port)| (name.clone(), (*port).into())));
    let secrets = service.secrets.iter().map(|(name, parameter)| (name.clone(), versioned(parameter).into()));
    json!({
        "environment": units::run_file(service),
        "ports": ports.collect::<serde_json::Map<_, _>>(),
        "secrets": secrets.collect::<serde_json::Map<_, _>>(),
    })
}

fn database_part(engine: &str, database: &DocumentDatabase) -> Json {
    let mut secrets = json!({ "PASSWORD": versioned(&database.password) });
    if let Some(replication) = &database.replication {
        secrets["REPLICATION_PASSWORD"] = versioned(&replication.password).into();
    }
    let primary = database.primary();
    let DocumentDatabase { port, database, user, .. } = database;
    let mut settings = json!({ "port": port, "database": database, "user": user });
    if let Some(primary) = primary {
        settings["primary"] = primary.into();
    }
    json!({ engine: settings, "secrets": secrets })
}

/// Returns name and version in the form that the Parameter Store accepts.
fn versioned(reference: &DocumentParameter) -> String {
    format!("{}:{}", reference.parameter, reference.version)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{
        super::document::tests::{mariadb, standby, whole},
        *,
    };
    use std::{io::Read as _, process::Command};

    fn rendered() -> String {
        user_data(&serde_json::from_value(whole()).unwrap(), "us-east-1", Purpose::Run)
    }

    fn built() -> String {
        user_data(&serde_json::from_value(whole()).unwrap(), "us-east-1", Purpose::Build)
    }

    fn config(user_data: &str) -> Json {
        serde_json::from_str(user_data.strip_prefix(HEADER).unwrap()).unwrap()
    }

    fn content(user_data: &str, path: &str) -> String {
        let files = config(user_data)["write_files"].as_array().unwrap().clone();
        let file = files.into_iter().find(|file| file["path"] == path).unwrap();
        file["content"].as_str().unwrap().to_owned()
    }

    fn decoded(program: &str) -> String {
        let compressed = STANDARD.decode(program).unwrap();
        let mut text = String::new();
        flate2::read::GzDecoder::new(compressed.as_slice()).read_to_string(&mut text).unwrap();
        text
    }

    /// Returns the user data of a machine without services; `machine` sets the fields that differ from an empty
    /// machine.
    fn rendered_without_services(machine: &Json) -> Json {
        let mut document = json!({"machine": 1, "image": "debian-12", "packages": [], "files": [], "services": []});
        document.as_object_mut().unwrap().extend(machine.as_object().unwrap().clone());
        config(&user_data(&serde_json::from_value(document).unwrap(), "us-east-1", Purpose::Run))
    }

    #[test]
    fn document_is_read_back_from_user_data() {
        let document = document(&rendered()).unwrap();
        assert_eq!(serde_json::to_value(document).unwrap(), whole());
        assert!(super::document("#!/bin/sh\n").is_none());
    }

    #[test]
    fn user_data_leaves_space_for_files_and_services() {
        assert!(rendered().len() < MAX_BYTES - 3_500, "{}", rendered().len());
    }

    #[test]
    fn machine_without_services_needs_no_setup() {
        let idle = rendered_without_services(&json!({}));
        assert_eq!(idle.as_object().unwrap().keys().collect::<Vec<_>>(), ["write_files"]);
    }

    #[test]
    fn packages_are_installed_by_the_setup_program_and_not_by_cloud_init() {
        let config = rendered_without_services(&json!({"packages": ["vim", "git", "vim"]}));
        assert_eq!(config.as_object().unwrap().keys().collect::<Vec<_>>(), ["runcmd", "write_files"]);
        let text = format!("{HEADER}{config}");
        insta::assert_snapshot!(content(&text, SETUP_CONFIGURATION), @r#"{"build":false,"packages":["git","vim"],"postgres_port":null,"postgres_replication":false,"programs":[],"units":[]}"#);
    }

    #[test]
    fn setup_and_start_receive_their_configuration() {
        let text = rendered();
        let configuration: Json = serde_json::from_str(&content(&text, SETUP_CONFIGURATION)).unwrap();
        let expected = json!({
            "packages": ["awscli", "postgresql"],
            "programs": [
                {"bucket": "b", "key": "artifacts/00ff/tasks", "sha256": "00ff", "path": "/opt/infra/tasks"},
                {"bucket": "b", "key": "artifacts/11ff/worker", "sha256": "11ff", "path": "/opt/infra/tasks:worker"},
            ],
            "postgres_port": 5432,
            "postgres_replication": true,
            "units": ["infra.service", "infra-tasks.service"],
            "build": false,
        });
        assert_eq!(configuration, expected);
        insta::assert_snapshot!(content(&text, "/etc/infra/start/tasks.json"), @r#"{"environment":"/run/infra/tasks.env","ports":{"LISTEN":8080,"METRICS_LISTEN":9090},"secrets":{"DATABASE_URL":"/p/name:3"}}"#);
        insta::assert_snapshot!(content(&text, "/etc/infra/start/00-postgres.json"), @r#"{"postgres":{"database":"tasks","port":5432,"user":"cloud"},"secrets":{"PASSWORD":"/p/password:1","REPLICATION_PASSWORD":"/p/replication:2"}}"#);
        assert!(content(&text, START_UNIT).contains("\nTimeoutStartSec=5min\n"));
    }

    #[test]
    fn standby_receives_the_address_of_its_primary() {
        let text = user_data(&serde_json::from_value(standby()).unwrap(), "us-east-1", Purpose::Run);
        insta::assert_snapshot!(content(&text, "/etc/infra/start/00-postgres.json"), @r#"{"postgres":{"database":"tasks","port":5432,"primary":"10.0.0.7","user":"cloud"},"secrets":{"PASSWORD":"/p/password:1","REPLICATION_PASSWORD":"/p/replication:2"}}"#);
        assert_eq!(decoded(&content(&text, STANDBY)), scripts::STANDBY);
        assert!(content(&text, START_UNIT).contains("\nTimeoutStartSec=1d\n"));
        assert!(text.len() < MAX_BYTES - 4_000, "{}", text.len());
    }

    #[test]
    fn host_with_mariadb_receives_its_program() {
        let text = user_data(&serde_json::from_value(mariadb()).unwrap(), "us-east-1", Purpose::Run);
        insta::assert_snapshot!(content(&text, "/etc/infra/start/00-mariadb.json"), @r#"{"mariadb":{"database":"tasks","port":3306,"primary":"10.0.0.7","user":"cloud"},"secrets":{"PASSWORD":"/p/password:1","REPLICATION_PASSWORD":"/p/replication:2"}}"#);
        assert_eq!(decoded(&content(&text, MARIADB)), scripts::MARIADB);
        assert!(text.len() < MAX_BYTES - 4_000, "{}", text.len());
    }

    #[test]
    fn unit_and_environment_quote_special_characters() {
        let text = rendered();
        insta::assert_snapshot!(content(&text, "/etc/infra/tasks.env"), @r#"
        K="a \"quoted\" \$value"
        WORKER="/opt/infra/tasks:worker"
        "#);
        insta::assert_snapshot!(content(&text, "/etc/systemd/system/infra-tasks.service"), @r#"
        [Unit]
        Description=tasks
        Requires=infra.service
        After=infra.service
        StartLimitIntervalSec=0

        [Service]
        ExecStart=/opt/infra/tasks "--greeting" "50%% of $$HOME"
        EnvironmentFile=/etc/infra/tasks.env
        EnvironmentFile=/run/infra/tasks.env
        DynamicUser=yes
        User=infra-tasks
        StateDirectory=infra-tasks
        WorkingDirectory=%S/infra-tasks
        Restart=always
        RestartSec=1

        [Install]
        WantedBy=infra.service
        "#);
        for unit in [SETUP_UNIT, START_UNIT] {
            assert!(content(&text, unit).contains("\nEnvironment=AWS_DEFAULT_REGION=us-east-1\n"), "{unit}");
        }
    }

    #[test]
    fn builder_waits_for_its_setup_and_powers_off() {
        let built = config(&built());
        assert_eq!(built["runcmd"][2], json!(["sh", "-c", "until test -e /run/infra-built; do sleep 1; done"]));
        assert_eq!(built["power_state"], json!({"mode": "poweroff", "condition": ["test", "-e", "/run/infra-built"]}));
        let host = config(&rendered());
        assert_eq!(host["runcmd"].as_array().unwrap().len(), 2);
        assert_eq!(host["power_state"], Json::Null);
    }

    #[test]
    fn systemd_accepts_the_units() {
        let directory = tempfile::tempdir().unwrap();
        let text = rendered();
        let units = ["infra.service", "infra-setup.service", "infra-tasks.service"].map(|name| {
            let path = directory.path().join(name);
            // `systemd-analyze verify` fails for executables that do not exist.
            let unit = content(&text, &format!("/etc/systemd/system/{name}"))
                .replace("/opt/infra/tasks", "/bin/true")
                .replace(SETUP, "/bin/true")
                .replace(START, "/bin/true");
            std::fs::write(&path, unit).unwrap();
            path
        });
        let output = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output();
        match output {
            Ok(output) => {
                let output = String::from_utf8_lossy(&output.stderr);
                let relevant: Vec<&str> = output.lines().filter(|line| line.contains("infra")).collect();
                assert!(relevant.is_empty(), "{output}");
            }
            Err(error) => skip::skip(&format!("systemd-analyze cannot run: {error}")),
        }
    }

    #[test]
    fn cloud_init_accepts_every_key() {
        for text in [rendered(), built()] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            match Command::new("cloud-init").args(["schema", "--config-file"]).arg(file.path()).output() {
                Ok(output) => assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr)),
                Err(error) => skip::skip(&format!("cloud-init cannot run: {error}")),
            }
        }
    }
}
