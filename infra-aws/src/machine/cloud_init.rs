//! The user data that makes a stock Debian image run a Machine: a cloud-config, written as JSON, which is YAML.
//!
//! The setup script runs once: it fetches programs and sets PostgreSQL up. What only holds while a host runs, its
//! address and its secrets, is written below `/run` at every start, before the services start, so that no image that is
//! made of a host holds a secret. A host that is only built, for an image, powers itself off once it is set up.

use super::document::{Document, DocumentArtifact, DocumentParameter, DocumentPostgres, DocumentService};
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// What PostgreSQL's part of the start is called; names of services begin with a letter.
const POSTGRES: &str = "00-postgres";

/// EC2's limit for user data.
pub(super) const LONGEST: usize = 16 * 1024;

const HEADER: &str = "#cloud-config\n";
/// Where the document stands on the host: part of the format.
const DOCUMENT: &str = "/etc/infra/machine.json";
/// Where the services' environments that hold only while the host runs are written.
const RUN: &str = "/run/infra";
const SETUP: &str = "/usr/local/sbin/infra-setup";
/// What is run at every start, in the order of the names.
const STARTS: &str = "/etc/infra/start.d";
const START_UNIT: &str = "/etc/systemd/system/infra.service";
/// What the scripts have in common.
const FUNCTIONS: &str = "/usr/local/lib/infra-functions";
/// Says that a host which is only built has been set up.
const BUILT: &str = "/run/infra-built";

const FUNCTIONS_TEXT: &str = r#"set -eu
umask 077

# A new role takes a while until every service knows it.
patiently() {
    for pause in 1 1 2 4 8 15 15 15 15 15 15 15; do
        "$@" && return
        sleep "$pause"
    done
    "$@"
}

# NAME:VERSION
parameter() {
    patiently aws ssm get-parameter --with-decryption --name "$1" --query Parameter.Value --output text
}

# BUCKET KEY SHA256 PROGRAM
program() {
    # An image may have brought it.
    echo "$3  $4" | sha256sum --check --status 2>/dev/null && return
    patiently aws s3 cp --only-show-errors "s3://$1/$2" "$4.part"
    echo "$3  $4.part" | sha256sum --check --quiet
    chmod 0755 "$4.part"
    mv "$4.part" "$4"
}

# ENVIRONMENT-FILE VARIABLE NAME:VERSION
secret() {
    value=$(parameter "$3")
    printf '%s="%s"\n' "$2" "$(printf %s "$value" | sed 's/[\\"$`]/\\&/g')" >>"$1"
}
"#;

/// What the setup script begins with.
const SETUP_HEAD: &str = r#"#!/bin/sh
# Makes the host be as /etc/infra/machine.json says. Runs once, when the host starts for the first time.
. /usr/local/lib/infra-functions
trap 'test $? = 0 || echo "infra-setup failed" | tee /dev/console' EXIT
install -d -m 0755 /opt/infra
"#;

const POSTGRES_SETUP: &str = r#"
main=$(echo /etc/postgresql/*/main)
cat >"$main/conf.d/infra.conf" <<END
listen_addresses = '*'
port = {port}
password_encryption = 'scram-sha-256'
END
chmod 0644 "$main/conf.d/infra.conf"
echo 'host all all 0.0.0.0/0 scram-sha-256' >>"$main/pg_hba.conf"
systemctl restart postgresql
"#;

/// The password goes through the environment and psql's own quoting, never through a command line.
const POSTGRES_START: &str = r#"#!/bin/sh
. /usr/local/lib/infra-functions
patiently pg_isready --quiet --port {port}
PASSWORD=$(parameter {password})
export PASSWORD
runuser -u postgres -- psql --quiet --no-psqlrc --port {port} --set ON_ERROR_STOP=1 \
    --set role={user} --set database={database} <<'END'
\getenv password PASSWORD
SELECT format('CREATE ROLE %I LOGIN', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
ALTER ROLE :"role" PASSWORD :'password';
SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
    WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
END
"#;

/// What becomes of a host once it is set up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// It runs its services.
    Run,
    /// It starts nothing and powers itself off, so that an image can be made of it.
    Build,
}

/// The user data of a host in this region for what the document says.
pub(super) fn user_data(document: &Document, region: &str, purpose: Purpose) -> String {
    let mut files = vec![file(DOCUMENT, &to_json(document), "0644")];
    files.extend(document.files.iter().map(|own| file(&own.path, &own.content, &own.mode)));
    let mut packages = document.packages.clone();
    let mut config = json!({});
    let runs_something = !document.services.is_empty() || document.postgres.is_some();
    if runs_something {
        files.push(file(START_UNIT, &start_unit(region), "0644"));
        files.extend(document.postgres.iter().map(|postgres| start_file(POSTGRES, &postgres_start(postgres))));
        files.extend(document.services.iter().flat_map(service_files));
        packages.push("awscli".to_owned());
    }
    packages.sort_unstable();
    packages.dedup();
    if runs_something || purpose == Purpose::Build {
        files.push(file(FUNCTIONS, FUNCTIONS_TEXT, "0644"));
        files.push(file(SETUP, &setup(document, &packages, region, purpose), "0700"));
        config["runcmd"] = json!([[SETUP]]);
    }
    if purpose == Purpose::Build {
        config["power_state"] = json!({ "mode": "poweroff", "condition": ["test", "-e", BUILT] });
    }
    config["write_files"] = files.into();
    if !packages.is_empty() {
        config["package_update"] = true.into();
        config["packages"] = packages.into();
    }
    format!("{HEADER}{config:#}\n")
}

/// The document in user data of ours.
pub(super) fn document(user_data: &str) -> Option<Document> {
    let config: Json = serde_json::from_str(user_data.strip_prefix(HEADER)?).ok()?;
    let files = config["write_files"].as_array()?;
    let document = files.iter().find(|file| file["path"] == DOCUMENT)?;
    serde_json::from_str(document["content"].as_str()?).ok()
}

fn file(path: &str, content: &str, mode: &str) -> Json {
    json!({ "path": path, "content": content, "permissions": mode })
}

fn to_json(document: &Document) -> String {
    // A struct of texts and numbers always has a JSON form.
    serde_json::to_string(document).unwrap_or_default()
}

/// The script that is run once.
fn setup(document: &Document, packages: &[String], region: &str, purpose: Purpose) -> String {
    let mut script = SETUP_HEAD.to_owned();
    let _ = writeln!(script, "export AWS_DEFAULT_REGION={}", quote(region));
    if !packages.is_empty() {
        // cloud-init goes on when a package cannot be installed.
        let names = packages.iter().map(|name| quote(name)).collect::<Vec<_>>().join(" ");
        let _ = writeln!(script, "dpkg --status {names} >/dev/null");
    }
    if let Some(postgres) = &document.postgres {
        script.push_str(&POSTGRES_SETUP.replace("{port}", &postgres.port.to_string()));
    }
    for service in &document.services {
        let DocumentArtifact { bucket, key, sha256 } = &service.artifact;
        let program = quote(&program(service));
        let _ = writeln!(script, "program {} {} {} {program}", quote(bucket), quote(key), quote(sha256));
    }
    if !document.services.is_empty() || document.postgres.is_some() {
        let units = std::iter::once("infra.service".to_owned()).chain(document.services.iter().map(unit_name));
        let units = units.collect::<Vec<_>>().join(" ");
        let _ = writeln!(script, "systemctl daemon-reload\nsystemctl enable {units}");
        if purpose == Purpose::Run {
            let _ = writeln!(script, "systemctl restart {units}");
        }
    }
    if purpose == Purpose::Build {
        // Every instance of the image is to become a host of its own.
        let _ = writeln!(script, "truncate --size 0 /etc/machine-id\ntouch {BUILT}");
    }
    script
}

/// What is run before the services, at every start.
fn start_unit(region: &str) -> String {
    format!(
        "[Unit]\n\
         Description=What services are told when the host starts\n\
         Wants=network-online.target\n\
         After=network-online.target cloud-config.service postgresql.service\n\
         \n\
         [Service]\n\
         Type=oneshot\n\
         RemainAfterExit=yes\n\
         Restart=on-failure\n\
         RestartSec=5\n\
         Environment=AWS_DEFAULT_REGION={region}\n\
         RuntimeDirectory=infra\n\
         RuntimeDirectoryMode=0700\n\
         RuntimeDirectoryPreserve=yes\n\
         ExecStart=/usr/bin/run-parts --exit-on-error {STARTS}\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

fn start_file(name: &str, script: &str) -> Json {
    file(&format!("{STARTS}/{name}"), script, "0700")
}

fn service_files(service: &DocumentService) -> [Json; 3] {
    [
        file(&environment_file(service), &environment(service), "0600"),
        file(&format!("/etc/systemd/system/{}", unit_name(service)), &unit(service), "0644"),
        start_file(&service.name, &service_start(service)),
    ]
}

/// Writes the part of a service's environment that holds only while the host runs.
fn service_start(service: &DocumentService) -> String {
    let environment = quote(&run_file(service));
    let mut script = format!("#!/bin/sh\n. {FUNCTIONS}\n: >{environment}\n");
    if let Some(port) = service.listen {
        let _ = writeln!(script, "echo \"LISTEN=$(hostname -I | cut -d ' ' -f 1):{port}\" >>{environment}");
    }
    for (name, parameter) in &service.secrets {
        let _ = writeln!(script, "secret {environment} {} {}", quote(name), versioned(parameter));
    }
    script
}

fn postgres_start(postgres: &DocumentPostgres) -> String {
    POSTGRES_START
        .replace("{port}", &postgres.port.to_string())
        .replace("{password}", &versioned(&postgres.password))
        .replace("{user}", &quote(&postgres.user))
        .replace("{database}", &quote(&postgres.database))
}

fn versioned(reference: &DocumentParameter) -> String {
    quote(&format!("{}:{}", reference.parameter, reference.version))
}

fn unit_name(service: &DocumentService) -> String {
    format!("infra-{}.service", service.name)
}

fn program(service: &DocumentService) -> String {
    format!("/opt/infra/{}", service.name)
}

fn environment_file(service: &DocumentService) -> String {
    format!("/etc/infra/{}.env", service.name)
}

fn run_file(service: &DocumentService) -> String {
    format!("{RUN}/{}.env", service.name)
}

fn environment(service: &DocumentService) -> String {
    let mut text = String::new();
    for (name, value) in &service.environment {
        let _ = writeln!(text, "{name}=\"{}\"", escape(value, &['\\', '"', '$', '`']));
    }
    text
}

fn unit(service: &DocumentService) -> String {
    let command = std::iter::once(program(service)).chain(service.arguments.iter().map(|argument| {
        // In units `%` and `$` stand for something unless doubled.
        let plain = escape(argument, &['\\', '"']).replace('%', "%%").replace('$', "$$").replace('\n', "\\n");
        format!("\"{plain}\"")
    }));
    let command = command.collect::<Vec<_>>().join(" ");
    let name = &service.name;
    let (environment, run) = (environment_file(service), run_file(service));
    let privilege = match service.listen {
        Some(..1024) => "AmbientCapabilities=CAP_NET_BIND_SERVICE\n",
        _ => "",
    };
    format!(
        "[Unit]\n\
         Description={name}\n\
         Wants=infra.service\n\
         After=infra.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         ExecStart={command}\n\
         EnvironmentFile={environment}\n\
         EnvironmentFile={run}\n\
         DynamicUser=yes\n\
         User=infra-{name}\n\
         {privilege}\
         StateDirectory=infra-{name}\n\
         WorkingDirectory=%S/infra-{name}\n\
         Restart=always\n\
         RestartSec=1\n\
         \n\
         [Install]\n\
         WantedBy=multi-user.target\n"
    )
}

fn escape(text: &str, special: &[char]) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        if special.contains(&c) {
            escaped.push('\\');
        }
        escaped.push(c);
    }
    escaped
}

/// A shell word.
fn quote(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_./:".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::{super::document::tests::whole, *};
    use std::{
        io::Write as _,
        process::{Command, Stdio},
    };

    fn rendered() -> String {
        user_data(&serde_json::from_value(whole()).unwrap(), "us-east-1", Purpose::Run)
    }

    fn built() -> String {
        user_data(&serde_json::from_value(whole()).unwrap(), "us-east-1", Purpose::Build)
    }

    fn content(user_data: &str, path: &str) -> String {
        let config: Json = serde_json::from_str(user_data.strip_prefix(HEADER).unwrap()).unwrap();
        let files = config["write_files"].as_array().unwrap().clone();
        let file = files.into_iter().find(|file| file["path"] == path).unwrap();
        file["content"].as_str().unwrap().to_owned()
    }

    #[test]
    fn the_document_comes_back() {
        let document = document(&rendered()).unwrap();
        assert_eq!(serde_json::to_value(document).unwrap(), whole());
        assert!(rendered().len() < LONGEST / 2, "{}", rendered().len());
        assert!(super::document("#!/bin/sh\n").is_none());
    }

    #[test]
    fn an_idle_machine_needs_no_script() {
        let idle = serde_json::json!({"machine": 1, "image": "debian-12", "packages": [], "files": [], "services": []});
        let text = user_data(&serde_json::from_value(idle).unwrap(), "us-east-1", Purpose::Run);
        let config: Json = serde_json::from_str(text.strip_prefix(HEADER).unwrap()).unwrap();
        assert_eq!(config.as_object().unwrap().keys().collect::<Vec<_>>(), ["write_files"]);
    }

    #[test]
    fn units_and_environments() {
        let text = rendered();
        insta::assert_snapshot!(content(&text, "/etc/infra/tasks.env"), @r#"K="a \"quoted\" \$value""#);
        insta::assert_snapshot!(content(&text, "/etc/systemd/system/infra-tasks.service"), @r#"
        [Unit]
        Description=tasks
        Wants=infra.service
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
        WantedBy=multi-user.target
        "#);
    }

    #[test]
    fn the_script() {
        let script = content(&rendered(), SETUP);
        insta::assert_snapshot!(script.strip_prefix(SETUP_HEAD).unwrap(), @r#"
        export AWS_DEFAULT_REGION=us-east-1
        dpkg --status awscli postgresql >/dev/null

        main=$(echo /etc/postgresql/*/main)
        cat >"$main/conf.d/infra.conf" <<END
        listen_addresses = '*'
        port = 5432
        password_encryption = 'scram-sha-256'
        END
        chmod 0644 "$main/conf.d/infra.conf"
        echo 'host all all 0.0.0.0/0 scram-sha-256' >>"$main/pg_hba.conf"
        systemctl restart postgresql
        program b artifacts/00ff/tasks 00ff /opt/infra/tasks
        systemctl daemon-reload
        systemctl enable infra.service infra-tasks.service
        systemctl restart infra.service infra-tasks.service
        "#);
        insta::assert_snapshot!(content(&rendered(), "/etc/infra/start.d/tasks"), @r#"
        #!/bin/sh
        . /usr/local/lib/infra-functions
        : >/run/infra/tasks.env
        echo "LISTEN=$(hostname -I | cut -d ' ' -f 1):8080" >>/run/infra/tasks.env
        secret /run/infra/tasks.env DATABASE_URL /p/name:3
        "#);
        insta::assert_snapshot!(content(&rendered(), "/etc/infra/start.d/00-postgres"), @r#"
        #!/bin/sh
        . /usr/local/lib/infra-functions
        patiently pg_isready --quiet --port 5432
        PASSWORD=$(parameter /p/password:1)
        export PASSWORD
        runuser -u postgres -- psql --quiet --no-psqlrc --port 5432 --set ON_ERROR_STOP=1 \
            --set role=cloud --set database=tasks <<'END'
        \getenv password PASSWORD
        SELECT format('CREATE ROLE %I LOGIN', :'role')
            WHERE NOT EXISTS (SELECT FROM pg_roles WHERE rolname = :'role') \gexec
        ALTER ROLE :"role" PASSWORD :'password';
        SELECT format('CREATE DATABASE %I OWNER %I', :'database', :'role')
            WHERE NOT EXISTS (SELECT FROM pg_database WHERE datname = :'database') \gexec
        END
        "#);
        insta::assert_snapshot!(content(&rendered(), START_UNIT), @"
        [Unit]
        Description=What services are told when the host starts
        Wants=network-online.target
        After=network-online.target cloud-config.service postgresql.service

        [Service]
        Type=oneshot
        RemainAfterExit=yes
        Restart=on-failure
        RestartSec=5
        Environment=AWS_DEFAULT_REGION=us-east-1
        RuntimeDirectory=infra
        RuntimeDirectoryMode=0700
        RuntimeDirectoryPreserve=yes
        ExecStart=/usr/bin/run-parts --exit-on-error /etc/infra/start.d

        [Install]
        WantedBy=multi-user.target
        ");
    }

    #[test]
    fn a_host_that_is_built_starts_nothing_and_powers_itself_off() {
        let script = content(&built(), SETUP);
        assert!(!script.contains("systemctl restart infra"), "{script}");
        assert!(script.ends_with("truncate --size 0 /etc/machine-id\ntouch /run/infra-built\n"), "{script}");
        let config: Json = serde_json::from_str(built().strip_prefix(HEADER).unwrap()).unwrap();
        assert_eq!(config["power_state"]["condition"], json!(["test", "-e", BUILT]));
    }

    /// The scripts are run, with a shell's functions in the place of what talks to AWS.
    #[test]
    fn what_services_are_told_is_written_at_the_start() {
        let directory = tempfile::tempdir().unwrap();
        let at = |path: &str| directory.path().join(path).display().to_string();
        let stubs = "patiently() { \"$@\"; }\naws() { printf 'pa\"ss$word'; }\nhostname() { echo '10.0.0.7 '; }\n";
        std::fs::write(at("functions"), format!("{FUNCTIONS_TEXT}{stubs}")).unwrap();
        let script = content(&rendered(), "/etc/infra/start.d/tasks");
        let script = script.replace(FUNCTIONS, &at("functions")).replace("/run/infra/", &at(""));
        let status = Command::new("sh").arg("-c").arg(script).status().unwrap();
        assert!(status.success());
        let written = std::fs::read_to_string(at("tasks.env")).unwrap();
        assert_eq!(written, "LISTEN=10.0.0.7:8080\nDATABASE_URL=\"pa\\\"ss\\$word\"\n");
    }

    #[test]
    fn the_scripts_are_ones_for_the_shell() {
        for text in [rendered(), built()] {
            let config: Json = serde_json::from_str(text.strip_prefix(HEADER).unwrap()).unwrap();
            let files = config["write_files"].as_array().unwrap();
            let scripts: Vec<_> = files.iter().filter(|file| file["permissions"] == "0700").collect();
            assert_eq!(scripts.len(), 3);
            for script in scripts {
                let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
                shell.stdin.take().unwrap().write_all(script["content"].as_str().unwrap().as_bytes()).unwrap();
                assert!(shell.wait().unwrap().success());
            }
        }
    }

    #[test]
    fn systemd_takes_the_units() {
        let directory = tempfile::tempdir().unwrap();
        let text = rendered();
        let units = ["infra.service", "infra-tasks.service"].map(|name| {
            let path = directory.path().join(name);
            // The programs are not here.
            let unit = content(&text, &format!("/etc/systemd/system/{name}")).replace("/opt/infra/tasks", "/bin/true");
            std::fs::write(&path, unit).unwrap();
            path
        });
        let answer = Command::new("systemd-analyze").args(["verify", "--man=no"]).args(&units).output();
        match answer {
            Ok(answer) => {
                let said = String::from_utf8_lossy(&answer.stderr);
                let about_ours: Vec<&str> = said.lines().filter(|line| line.contains("infra")).collect();
                assert!(about_ours.is_empty(), "{said}");
            }
            Err(error) => eprintln!("skipped: systemd-analyze cannot be run here: {error}"),
        }
    }

    #[test]
    fn cloud_init_knows_every_key() {
        for text in [rendered(), built()] {
            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(file.path(), text).unwrap();
            match Command::new("cloud-init").args(["schema", "--config-file"]).arg(file.path()).output() {
                Ok(answer) => assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr)),
                Err(error) => eprintln!("skipped: cloud-init cannot be run here: {error}"),
            }
        }
    }
}
