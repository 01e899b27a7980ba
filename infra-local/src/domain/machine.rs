//! Reads the Machine document of an instance from its image and its user data, and checks it.

use std::collections::BTreeSet;
use std::path::{Component, Path};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;

use crate::model::ec2::instance::Instance;
use crate::model::machine::{Artifact, MachineDocument, MachineFile, MachineService};

/// Path of the document on the host, as the cloud-config declares it.
const DOCUMENT_PATH: &str = "/etc/infra/machine.json";

/// The newest format version that this local cloud supports.
const SUPPORTED_VERSION: u64 = 1;

/// Reasons why user data with a Machine document cannot be run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum MachineError {
    /// The document was written by a newer library.
    #[error(
        "the Machine document has format version {found}, this local cloud runs version {SUPPORTED_VERSION}: \
         restart the local cloud with the program that wrote the document"
    )]
    UnsupportedVersion {
        /// Version in the document.
        found: u64,
    },
    /// The file is not a valid document.
    #[error("the file {DOCUMENT_PATH} in the user data is not a Machine document: {source}")]
    Malformed {
        /// The error of the JSON parser.
        #[source]
        source: serde_json::Error,
    },
    /// A path leaves the instance's directory, or a value is invalid.
    #[error("the Machine document in the user data has {problem}")]
    Invalid {
        /// Description of the problem and its place.
        problem: String,
    },
    /// The file's content has an encoding that cloud-init supports and the local cloud does not.
    #[error("the file {DOCUMENT_PATH} in the user data has encoding {encoding:?}: write it as plain text or `b64`")]
    Encoding {
        /// Value of `encoding`.
        encoding: String,
    },
}

impl MachineDocument {
    /// Returns the Machine document of an instance: that of its user data, merged over that of its image.
    pub(crate) fn of(instance: &Instance) -> Result<Option<Self>, MachineError> {
        let own = Self::from_user_data(&instance.decoded_user_data())?;
        Ok(match (own, instance.image_machine.clone()) {
            (Some(own), Some(base)) => Some(own.merged_over(base)),
            (own, base) => own.or(base),
        })
    }

    /// Merges two configurations. `self` wins where both declare the same file, service or database.
    fn merged_over(self, base: Self) -> Self {
        let MachineDocument { mut packages, mut files, mut services, .. } = base;
        packages.retain(|package| !self.packages.contains(package));
        files.retain(|file| !self.files.iter().any(|own| own.path == file.path));
        services.retain(|service| !self.services.iter().any(|own| own.name == service.name));
        packages.extend(self.packages);
        files.extend(self.files);
        services.extend(self.services);
        Self {
            image: base.image,
            packages,
            files,
            services,
            postgres: self.postgres.or(base.postgres),
            mariadb: self.mariadb.or(base.mariadb),
            ..self
        }
    }

    /// Returns whether a service of the host writes data that must be consistent in a copy.
    pub(crate) fn keeps_data(&self) -> bool {
        self.postgres.is_some() || self.mariadb.is_some()
    }

    /// Parses the document in decoded user data; `None` when there is none, in which case the host runs no services.
    pub(crate) fn from_user_data(user_data: &[u8]) -> Result<Option<Self>, MachineError> {
        let Some(file) = document_file(user_data) else {
            return Ok(None);
        };
        let text = file.text()?;
        let malformed = |source| MachineError::Malformed { source };
        let Version { machine } = serde_json::from_str(&text).map_err(malformed)?;
        if machine != SUPPORTED_VERSION {
            return Err(MachineError::UnsupportedVersion { found: machine });
        }
        let machine: Self = serde_json::from_str(&text).map_err(malformed)?;
        machine.check().map_err(|problem| MachineError::Invalid { problem })?;
        Ok(Some(machine))
    }

    /// Checks that names which become paths are single components, and that arguments and environment can be passed to
    /// a process.
    fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for service in &self.services {
            let name = &service.name;
            if !is_service_name(name) {
                return Err(format!(
                    "the service name {name:?}: use letters, digits, '-', '_' and '.', beginning with a letter or digit"
                ));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(format!("the service name {name:?}, which the host uses itself"));
            }
            if !names.insert(name) {
                return Err(format!("two services named {name:?}"));
            }
            service.check().map_err(|problem| format!("{problem} in the service {name:?}"))?;
        }
        self.files.iter().try_for_each(MachineFile::check)
    }
}

/// Names that the host's own files use.
const RESERVED: &[&str] = &["console", "mariadb", "postgres"];

const NAME_LIMIT: usize = 128;

fn is_service_name(name: &str) -> bool {
    name.len() <= NAME_LIMIT
        && name.starts_with(|first: char| first.is_ascii_alphanumeric())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

impl MachineService {
    fn check(&self) -> Result<(), String> {
        let mut names = BTreeSet::new();
        for program in self.programs.values() {
            let name = &program.name;
            if !is_service_name(name) {
                return Err(format!("the program name {name:?}"));
            }
            if !names.insert(name) {
                return Err(format!("two programs named {name:?}"));
            }
        }
        let artifacts = self.programs.values().map(|program| &program.artifact);
        for Artifact { sha256, .. } in std::iter::once(&self.artifact).chain(artifacts) {
            if sha256.len() != 64 || !sha256.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(format!("the artifact hash {sha256:?}, which is not 64 hexadecimal digits,"));
            }
        }
        let names =
            self.environment.keys().chain(self.secrets.keys()).chain(self.programs.keys()).chain(self.ports.keys());
        if let Some(name) = names.into_iter().find(|name| name.is_empty() || name.contains(['=', '\0'])) {
            return Err(format!("the variable name {name:?}"));
        }
        if self.arguments.iter().chain(self.environment.values()).any(|text| text.contains('\0')) {
            return Err("a NUL character".to_owned());
        }
        Ok(())
    }
}

impl MachineFile {
    fn check(&self) -> Result<(), String> {
        let Self { path, mode, .. } = self;
        let normal = |part: Component<'_>| matches!(part, Component::RootDir | Component::Normal(_));
        let is_absolute = path.starts_with('/') && !path.ends_with('/') && Path::new(path).components().all(normal);
        if !is_absolute || path.contains('\0') {
            return Err(format!("the file path {path:?}: write an absolute path without '..'"));
        }
        match u32::from_str_radix(mode, 8) {
            Ok(bits) if bits <= 0o7777 => Ok(()),
            _ => Err(format!("the mode {mode:?} of the file {path:?}: write octal permissions such as \"0644\"")),
        }
    }
}

/// Returns whether the host powers itself off after its first boot.
pub(crate) fn powers_off(user_data: &[u8]) -> bool {
    let state = cloud_config(user_data).and_then(|config| config.power_state);
    state.is_some_and(|state| matches!(state.mode.as_str(), "poweroff" | "halt"))
}

#[derive(Deserialize)]
struct Version {
    machine: u64,
}

/// The fields of a cloud-config that the local cloud reads. Only cloud-init uses the others.
#[derive(Deserialize)]
struct CloudConfig {
    #[serde(default)]
    write_files: Vec<CloudConfigFile>,
    #[serde(default)]
    power_state: Option<PowerState>,
}

#[derive(Deserialize)]
struct PowerState {
    mode: String,
}

#[derive(Deserialize)]
struct CloudConfigFile {
    path: String,
    #[serde(default)]
    content: String,
    #[serde(default)]
    encoding: Option<String>,
}

impl CloudConfigFile {
    fn text(self) -> Result<String, MachineError> {
        match self.encoding.as_deref() {
            None | Some("" | "text/plain") => Ok(self.content),
            Some("b64" | "base64") => STANDARD
                .decode(self.content.trim())
                .ok()
                .and_then(|bytes| String::from_utf8(bytes).ok())
                .ok_or_else(|| MachineError::Encoding { encoding: "b64 (but the content is not)".to_owned() }),
            Some(other) => Err(MachineError::Encoding { encoding: other.to_owned() }),
        }
    }
}

/// Returns the file with the Machine document. Of several, the last one counts, because a host writes them in order.
fn document_file(user_data: &[u8]) -> Option<CloudConfigFile> {
    cloud_config(user_data)?.write_files.into_iter().rfind(|file| file.path == DOCUMENT_PATH)
}

fn cloud_config(user_data: &[u8]) -> Option<CloudConfig> {
    let (first, rest) = std::str::from_utf8(user_data).ok()?.split_once('\n')?;
    if first.trim_end() != "#cloud-config" {
        return None;
    }
    serde_json::from_str(rest).ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::{Value, json};

    use super::*;

    fn user_data(document: &Value) -> Vec<u8> {
        let config = json!({
            "package_update": true,
            "write_files": [
                {"path": "/etc/motd", "content": "hello"},
                {"path": DOCUMENT_PATH, "content": document.to_string(), "permissions": "0600"},
            ],
            "runcmd": [["systemctl", "start", "tasks"]],
        });
        format!("#cloud-config\n{config}").into_bytes()
    }

    fn whole() -> Value {
        json!({
            "machine": 1, "image": "debian-12", "packages": ["postgresql"],
            "files": [{"path": "/etc/x", "content": "y", "mode": "0600"}],
            "services": [{
                "name": "tasks", "artifact": {"bucket": "b", "key": "artifacts/00/tasks", "sha256": "0".repeat(64)},
                "arguments": ["--serve"], "environment": {"K": "V"},
                "secrets": {"DATABASE_URL": {"parameter": "/p/url", "version": 3}},
                "listen": 8080, "health": "/healthz", "ports": {"METRICS_LISTEN": 9090},
                "programs": {
                    "WORKER": {"name": "worker", "artifact": {"bucket": "b", "key": "worker", "sha256": "1".repeat(64)}},
                },
            }],
            "postgres": {
                "port": 5433, "database": "tasks", "user": "cloud",
                "password": {"parameter": "/p/password", "version": 1},
                "replication": {"password": {"parameter": "/p/replication", "version": 2}, "primary": "10.0.0.7"},
            },
        })
    }

    #[test]
    fn reads_every_field() {
        let machine = MachineDocument::from_user_data(&user_data(&whole())).unwrap().unwrap();
        assert_eq!(machine.image, "debian-12");
        assert_eq!(machine.packages, ["postgresql"]);
        assert_eq!(machine.files[0].mode, "0600");
        let service = &machine.services[0];
        assert_eq!((service.listen, service.health.as_deref()), (Some(8080), Some("/healthz")));
        assert_eq!(service.secrets["DATABASE_URL"].version, Some(3));
        assert_eq!(service.artifact.key, "artifacts/00/tasks");
        assert_eq!(service.programs["WORKER"].name, "worker");
        assert_eq!(service.ports["METRICS_LISTEN"], 9090);
        let postgres = machine.postgres.unwrap();
        assert_eq!((postgres.port, postgres.user.as_str()), (Some(5433), "cloud"));
        let replication = postgres.replication.unwrap();
        assert_eq!((replication.password.version, replication.primary), (Some(2), Some([10, 0, 0, 7].into())));
    }

    #[test]
    fn user_data_overrides_the_image() {
        let machine = |document: Value| -> MachineDocument { serde_json::from_value(document).unwrap() };
        let own = machine(json!({
            "machine": 1, "image": "debian-13", "packages": ["postgresql", "vim"],
            "files": [{"path": "/etc/x", "content": "own"}],
            "services": [{"name": "web", "artifact": {"bucket": "b", "key": "web", "sha256": "11"}}],
        }));
        let both = own.merged_over(machine(whole()));
        assert_eq!((both.image.as_str(), both.packages.join(" ")), ("debian-12", "postgresql vim".to_owned()));
        assert_eq!(both.files.iter().map(|file| file.content.as_str()).collect::<Vec<_>>(), ["own"]);
        assert_eq!(both.services.iter().map(|service| service.name.as_str()).collect::<Vec<_>>(), ["tasks", "web"]);
        assert_eq!(both.postgres.unwrap().port, Some(5433));
        let again = machine(json!({
            "machine": 1, "image": "debian-12",
            "services": [{"name": "tasks", "artifact": {"bucket": "b", "key": "new", "sha256": "22"}}],
        }));
        assert_eq!(again.merged_over(machine(whole())).services[0].artifact.key, "new");
    }

    #[test]
    fn a_host_may_power_itself_off() {
        assert!(powers_off(b"#cloud-config\n{\"power_state\": {\"mode\": \"poweroff\"}}"));
        assert!(!powers_off(b"#cloud-config\n{\"power_state\": {\"mode\": \"reboot\"}}"));
        assert!(!powers_off(&user_data(&whole())));
    }

    #[test]
    fn other_user_data_runs_no_services() {
        for data in [
            &b""[..],
            b"#!/bin/sh\necho hi",
            b"#cloud-config\npackages: [vim]\n",
            b"#cloud-config\n{}",
            b"\x1f\x8b\x00",
        ] {
            assert_eq!(MachineDocument::from_user_data(data).unwrap(), None);
        }
    }

    #[test]
    fn a_newer_version_is_reported() {
        let data = user_data(&json!({"machine": 7, "image": "debian-19", "orbit": "low"}));
        let error = MachineDocument::from_user_data(&data).unwrap_err();
        assert!(matches!(error, MachineError::UnsupportedVersion { found: 7 }));
        assert!(error.to_string().contains("version 7"), "{error}");
    }

    #[test]
    fn unknown_fields_are_refused_by_name() {
        let mut document = whole();
        document["services"][0]["restart"] = json!("never");
        let error = MachineDocument::from_user_data(&user_data(&document)).unwrap_err();
        assert!(error.to_string().contains("unknown field `restart`"), "{error}");
    }

    #[test]
    fn names_that_lead_out_of_the_instance_are_refused() {
        let refused = |change: &dyn Fn(&mut Value)| {
            let mut document = whole();
            change(&mut document);
            MachineDocument::from_user_data(&user_data(&document)).unwrap_err().to_string()
        };
        for name in ["/x", "../../x", "..", ".", "", ".hidden", "a/b", "a\0b", "console", "mariadb", "postgres", "a b"]
        {
            let error = refused(&|document| document["services"][0]["name"] = json!(name));
            assert!(error.contains("the service name"), "{name:?}: {error}");
        }
        for path in ["etc/x", "/etc/../x", "/..", "/", "/etc/", "", "/a\0b"] {
            let error = refused(&|document| document["files"][0]["path"] = json!(path));
            assert!(error.contains("the file path"), "{path:?}: {error}");
        }
        for mode in ["", "rw", "99999", "-1"] {
            let error = refused(&|document| document["files"][0]["mode"] = json!(mode));
            assert!(error.contains("octal"), "{mode:?}: {error}");
        }
        for sha256 in ["00", "../../etc/passwd"] {
            let error = refused(&|document| document["services"][0]["artifact"]["sha256"] = json!(sha256));
            assert!(error.contains("the artifact hash"), "{sha256:?}: {error}");
        }
        for name in ["../x", "", "a:b"] {
            let error = refused(&|document| document["services"][0]["programs"]["WORKER"]["name"] = json!(name));
            assert!(error.contains("the program name"), "{name:?}: {error}");
        }
        for primary in ["", "../x", "10.0.0", "10.0.0.7 user=x", "-h"] {
            let error = refused(&|document| document["postgres"]["replication"]["primary"] = json!(primary));
            assert!(error.contains("invalid IPv4 address"), "{primary:?}: {error}");
        }
        let error = refused(&|document| document["services"][0]["environment"] = json!({"A=B": "x"}));
        assert!(error.contains("the variable name"), "{error}");
        let error = refused(&|document| {
            let service = document["services"][0].clone();
            document["services"].as_array_mut().unwrap().push(service);
        });
        assert!(error.contains("two services"), "{error}");
    }

    #[test]
    fn base64_content_is_decoded_and_other_encodings_refused() {
        let entry = |encoding: &str, content: String| {
            let config = json!({"write_files": [{"path": DOCUMENT_PATH, "encoding": encoding, "content": content}]});
            MachineDocument::from_user_data(format!("#cloud-config\n{config}").as_bytes())
        };
        assert!(entry("b64", STANDARD.encode(whole().to_string())).unwrap().is_some());
        let error = entry("gz+b64", String::new()).unwrap_err();
        assert!(error.to_string().contains("gz+b64"), "{error}");
    }
}
