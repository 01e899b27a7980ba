//! The user data that makes a stock Debian image run a Machine: a cloud-config, written as JSON, which is YAML.
//!
//! One script does what has an order: fetch programs, read parameters, set up PostgreSQL, start services.

use super::document::{Document, DocumentArtifact, DocumentParameter, DocumentPostgres, DocumentService};
use serde_json::{Value as Json, json};
use std::fmt::Write;

/// EC2's limit for user data.
pub(super) const LONGEST: usize = 16 * 1024;

const HEADER: &str = "#cloud-config\n";
/// Where the document stands on the host: part of the format.
const DOCUMENT: &str = "/etc/infra/machine.json";
const SETUP: &str = "/usr/local/sbin/infra-setup";

/// What the setup script begins with.
const PRELUDE: &str = r#"#!/bin/sh
# Makes the host be as /etc/infra/machine.json says. Runs once, when the host starts for the first time.
set -eu
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

address=$(hostname -I | cut -d ' ' -f 1)
install -d -m 0755 /opt/infra
"#;

/// The password goes through the environment and psql's own quoting, never through a command line.
const POSTGRES: &str = r#"
main=$(echo /etc/postgresql/*/main)
cat >"$main/conf.d/infra.conf" <<END
listen_addresses = '*'
port = {port}
password_encryption = 'scram-sha-256'
END
chmod 0644 "$main/conf.d/infra.conf"
echo 'host all all 0.0.0.0/0 scram-sha-256' >>"$main/pg_hba.conf"
systemctl restart postgresql
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
unset PASSWORD
"#;

/// The user data of a host in this region that runs what the document says.
pub(super) fn user_data(document: &Document, region: &str) -> String {
    let mut files = vec![file(DOCUMENT, &to_json(document), "0644")];
    files.extend(document.files.iter().map(|own| file(&own.path, &own.content, &own.mode)));
    for service in &document.services {
        files.push(file(&environment_file(service), &environment(service), "0600"));
        files.push(file(&format!("/etc/systemd/system/{}", unit_name(service)), &unit(service), "0644"));
    }
    let script = setup(document, region);
    let mut packages = document.packages.clone();
    let mut config = json!({ "write_files": files });
    if let Some(script) = script {
        files.push(file(SETUP, &script, "0700"));
        config["write_files"] = files.into();
        config["runcmd"] = json!([[SETUP]]);
        packages.push("awscli".to_owned());
    }
    packages.sort_unstable();
    packages.dedup();
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

/// The setup script; `None` when there is nothing for it to do.
fn setup(document: &Document, region: &str) -> Option<String> {
    if document.services.is_empty() && document.postgres.is_none() {
        return None;
    }
    let mut script = PRELUDE.to_owned();
    let _ = writeln!(script, "export AWS_DEFAULT_REGION={}", quote(region));
    if let Some(postgres) = &document.postgres {
        script.push_str(&postgres_setup(postgres));
    }
    for service in &document.services {
        let DocumentArtifact { bucket, key, sha256 } = &service.artifact;
        let (environment, program) = (quote(&environment_file(service)), quote(&program(service)));
        let _ = writeln!(script, "\nprogram {} {} {} {program}", quote(bucket), quote(key), quote(sha256));
        if let Some(port) = service.listen {
            let _ = writeln!(script, "echo \"LISTEN=$address:{port}\" >>{environment}");
        }
        for (name, parameter) in &service.secrets {
            let _ = writeln!(script, "secret {environment} {} {}", quote(name), versioned(parameter));
        }
    }
    if !document.services.is_empty() {
        let units: Vec<String> = document.services.iter().map(unit_name).collect();
        let _ = writeln!(script, "\nsystemctl daemon-reload\nsystemctl enable --now {}", units.join(" "));
    }
    Some(script)
}

fn postgres_setup(postgres: &DocumentPostgres) -> String {
    POSTGRES
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
    let environment = environment_file(service);
    let privilege = match service.listen {
        Some(..1024) => "AmbientCapabilities=CAP_NET_BIND_SERVICE\n",
        _ => "",
    };
    format!(
        "[Unit]\n\
         Description={name}\n\
         Wants=network-online.target\n\
         After=network-online.target postgresql.service\n\
         StartLimitIntervalSec=0\n\
         \n\
         [Service]\n\
         ExecStart={command}\n\
         EnvironmentFile={environment}\n\
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
        user_data(&serde_json::from_value(whole()).unwrap(), "us-east-1")
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
        let text = user_data(&serde_json::from_value(idle).unwrap(), "us-east-1");
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
        Wants=network-online.target
        After=network-online.target postgresql.service
        StartLimitIntervalSec=0

        [Service]
        ExecStart=/opt/infra/tasks "--greeting" "50%% of $$HOME"
        EnvironmentFile=/etc/infra/tasks.env
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
        insta::assert_snapshot!(script.strip_prefix(PRELUDE).unwrap(), @r#"
        export AWS_DEFAULT_REGION=us-east-1

        main=$(echo /etc/postgresql/*/main)
        cat >"$main/conf.d/infra.conf" <<END
        listen_addresses = '*'
        port = 5432
        password_encryption = 'scram-sha-256'
        END
        chmod 0644 "$main/conf.d/infra.conf"
        echo 'host all all 0.0.0.0/0 scram-sha-256' >>"$main/pg_hba.conf"
        systemctl restart postgresql
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
        unset PASSWORD

        program b artifacts/00ff/tasks 00ff /opt/infra/tasks
        echo "LISTEN=$address:8080" >>/etc/infra/tasks.env
        secret /etc/infra/tasks.env DATABASE_URL /p/name:3

        systemctl daemon-reload
        systemctl enable --now infra-tasks.service
        "#);
    }

    #[test]
    fn the_script_is_one_for_the_shell() {
        let mut shell = Command::new("sh").arg("-n").stdin(Stdio::piped()).spawn().unwrap();
        shell.stdin.take().unwrap().write_all(content(&rendered(), SETUP).as_bytes()).unwrap();
        assert!(shell.wait().unwrap().success());
    }

    #[test]
    fn cloud_init_knows_every_key() {
        let directory = std::env::temp_dir().join(format!("infra-user-data-{}", std::process::id()));
        std::fs::write(&directory, rendered()).unwrap();
        let answer = Command::new("cloud-init").args(["schema", "--config-file"]).arg(&directory).output();
        std::fs::remove_file(&directory).unwrap();
        match answer {
            Ok(answer) => assert!(answer.status.success(), "{}", String::from_utf8_lossy(&answer.stderr)),
            Err(error) => eprintln!("skipped: cloud-init cannot be run here: {error}"),
        }
    }
}
