//! The Machine document: the configuration of a host as versioned JSON. `ARCHITECTURE.md` describes the format. The local
//! cloud parses it with separate code.

use super::{Artifact, Database, File, Machine, ParameterReference, Program, Replication, Service};
use infra_core::{Input, value::Unresolved};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Version of the format that this library writes.
const VERSION: u32 = 1;

/// A Machine of which all values are known.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct Document {
    pub(super) machine: u32,
    pub(super) image: String,
    pub(super) packages: Vec<String>,
    pub(super) files: Vec<DocumentFile>,
    pub(super) services: Vec<DocumentService>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) postgres: Option<DocumentDatabase>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) mariadb: Option<DocumentDatabase>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentFile {
    pub(super) path: String,
    pub(super) content: String,
    pub(super) mode: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentService {
    pub(super) name: String,
    pub(super) artifact: DocumentArtifact,
    pub(super) arguments: Vec<String>,
    pub(super) environment: BTreeMap<String, String>,
    pub(super) secrets: BTreeMap<String, DocumentParameter>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) listen: Option<u16>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) health: Option<String>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) ports: BTreeMap<String, u16>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub(super) programs: BTreeMap<String, DocumentProgram>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentProgram {
    pub(super) name: String,
    pub(super) artifact: DocumentArtifact,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentArtifact {
    pub(super) bucket: String,
    pub(super) key: String,
    pub(super) sha256: String,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentParameter {
    pub(super) parameter: String,
    pub(super) version: u64,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentDatabase {
    pub(super) port: u16,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) password: DocumentParameter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) replication: Option<DocumentReplication>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
pub(super) struct DocumentReplication {
    pub(super) password: DocumentParameter,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(super) primary: Option<String>,
}

impl Document {
    /// Returns the database servers of the host, each with the name of its property.
    pub(super) fn databases(&self) -> impl Iterator<Item = (&'static str, &DocumentDatabase)> {
        let postgres = self.postgres.iter().map(|database| ("postgres", database));
        postgres.chain(self.mariadb.iter().map(|database| ("mariadb", database)))
    }
}

impl DocumentDatabase {
    /// Returns the address of the primary of a standby.
    pub(super) fn primary(&self) -> Option<&str> {
        self.replication.as_ref()?.primary.as_deref()
    }
}

impl Machine {
    pub(super) fn document(&self) -> Result<Document, Unresolved> {
        let file = |file: &File| {
            let File { path, content, mode } = file;
            Ok(DocumentFile { path: path.clone(), content: content.known()?, mode: mode.clone() })
        };
        Ok(Document {
            machine: VERSION,
            image: self.image.clone(),
            packages: self.packages.clone(),
            files: self.files.iter().map(file).collect::<Result<_, _>>()?,
            services: self.services.iter().map(Service::document).collect::<Result<_, _>>()?,
            postgres: self.postgres.as_deref().map(Database::document).transpose()?,
            mariadb: self.mariadb.as_deref().map(Database::document).transpose()?,
        })
    }
}

impl Service {
    fn document(&self) -> Result<DocumentService, Unresolved> {
        let programs = self.programs.iter().map(|(variable, program)| Ok((variable.clone(), program.document()?)));
        let environment = self.environment.iter().map(|(name, value)| Ok((name.clone(), value.known()?)));
        let secrets = self.secrets.iter().map(|(name, secret)| Ok((name.clone(), secret.document()?)));
        Ok(DocumentService {
            name: self.name.clone(),
            artifact: artifact_document(self.artifact.as_ref(), &self.name)?,
            arguments: self.arguments.clone(),
            environment: environment.collect::<Result<_, Unresolved>>()?,
            secrets: secrets.collect::<Result<_, Unresolved>>()?,
            listen: self.listen,
            health: self.health.clone(),
            ports: self.ports.clone(),
            programs: programs.collect::<Result<_, Unresolved>>()?,
        })
    }
}

impl Program {
    fn document(&self) -> Result<DocumentProgram, Unresolved> {
        Ok(DocumentProgram {
            name: self.name.clone(),
            artifact: artifact_document(self.artifact.as_ref(), &self.name)?,
        })
    }
}

fn artifact_document(artifact: Option<&Artifact>, name: &str) -> Result<DocumentArtifact, Unresolved> {
    let Artifact { bucket, key, sha256, .. } = artifact.ok_or_else(|| unprepared(name))?;
    Ok(DocumentArtifact { bucket: bucket.known()?, key: key.known()?, sha256: sha256.known()? })
}

impl Database {
    fn document(&self) -> Result<DocumentDatabase, Unresolved> {
        let password = self.password.as_ref().ok_or_else(|| unprepared("database"))?;
        Ok(DocumentDatabase {
            port: self.port,
            database: self.database.clone(),
            user: self.user.clone(),
            password: password.document()?,
            replication: self.replication.as_ref().map(Replication::document).transpose()?,
        })
    }
}

impl Replication {
    fn document(&self) -> Result<DocumentReplication, Unresolved> {
        let password = self.password.as_ref().ok_or_else(|| unprepared("replication"))?;
        Ok(DocumentReplication {
            password: password.document()?,
            primary: self.primary.as_ref().map(Input::known).transpose()?,
        })
    }
}

impl ParameterReference {
    fn document(&self) -> Result<DocumentParameter, Unresolved> {
        Ok(DocumentParameter { parameter: self.parameter.known()?, version: self.version.known()? })
    }
}

fn unprepared(part: &str) -> Unresolved {
    Unresolved::Unknown(format!("the object or parameter of `{part}`"))
}

impl From<Document> for Machine {
    fn from(document: Document) -> Self {
        let file = |file: DocumentFile| File { path: file.path, content: file.content.into(), mode: file.mode };
        Self {
            image: document.image,
            packages: document.packages,
            files: document.files.into_iter().map(file).collect(),
            services: document.services.into_iter().map(Service::from).collect(),
            postgres: document.postgres.map(|database| Database::from(database).into()),
            mariadb: document.mariadb.map(|database| Database::from(database).into()),
            refused: Vec::new(),
        }
    }
}

impl From<DocumentService> for Service {
    fn from(service: DocumentService) -> Self {
        let program = |(variable, DocumentProgram { name, artifact })| {
            (variable, Program { name, artifact: Some(artifact.into()), source: None })
        };
        Self {
            artifact: Some(service.artifact.into()),
            arguments: service.arguments,
            environment: service.environment.into_iter().map(|(name, value)| (name, value.into())).collect(),
            secrets: service.secrets.into_iter().map(|(name, secret)| (name, secret.into())).collect(),
            listen: service.listen,
            health: service.health,
            ports: service.ports,
            programs: service.programs.into_iter().map(program).collect(),
            ..Self::named(service.name)
        }
    }
}

impl From<DocumentArtifact> for Artifact {
    fn from(DocumentArtifact { bucket, key, sha256 }: DocumentArtifact) -> Self {
        Self { bucket: bucket.into(), key: key.into(), sha256: sha256.into(), architecture: None, glibc: None }
    }
}

impl From<DocumentDatabase> for Database {
    fn from(database: DocumentDatabase) -> Self {
        Self {
            port: database.port,
            database: database.database,
            user: database.user,
            password: Some(database.password.into()),
            replication: database.replication.map(Replication::from),
            secret: None,
        }
    }
}

impl From<DocumentReplication> for Replication {
    fn from(replication: DocumentReplication) -> Self {
        Self {
            primary: replication.primary.map(Input::from),
            password: Some(replication.password.into()),
            secret: None,
        }
    }
}

impl From<DocumentParameter> for ParameterReference {
    fn from(reference: DocumentParameter) -> Self {
        Self { parameter: reference.parameter.into(), version: reference.version.into() }
    }
}

#[cfg(test)]
pub(super) mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::{Value as Json, json};

    /// Returns a document with all fields, similar to the one in ARCHITECTURE.md.
    pub(in crate::machine) fn whole() -> Json {
        json!({
            "machine": 1, "image": "debian-12", "packages": ["postgresql"],
            "files": [{"path": "/etc/x", "content": "it's \"y\"\n", "mode": "0644"}],
            "services": [{
                "name": "tasks",
                "artifact": {"bucket": "b", "key": "artifacts/00ff/tasks", "sha256": "00ff"},
                "arguments": ["--greeting", "50% of $HOME"],
                "environment": {"K": "a \"quoted\" $value"},
                "secrets": {"DATABASE_URL": {"parameter": "/p/name", "version": 3}},
                "listen": 8080, "health": "/healthz", "ports": {"METRICS_LISTEN": 9090},
                "programs": {"WORKER": {
                    "name": "worker",
                    "artifact": {"bucket": "b", "key": "artifacts/11ff/worker", "sha256": "11ff"},
                }},
            }],
            "postgres": {
                "port": 5432, "database": "tasks", "user": "cloud",
                "password": {"parameter": "/p/password", "version": 1},
                "replication": {"password": {"parameter": "/p/replication", "version": 2}},
            },
        })
    }

    /// Returns the document of a host with a standby.
    pub(in crate::machine) fn standby() -> Json {
        let mut document = whole();
        document["services"] = json!([]);
        document["postgres"]["replication"]["primary"] = json!("10.0.0.7");
        document
    }

    /// Returns the document of a host with a MariaDB server.
    pub(in crate::machine) fn mariadb() -> Json {
        let mut document = standby();
        document["mariadb"] = document["postgres"].clone();
        document["mariadb"]["port"] = json!(3306);
        document.as_object_mut().unwrap().remove("postgres");
        document
    }

    #[test]
    fn conversion_to_a_document_and_back_keeps_the_machine() {
        for whole in [whole(), standby(), mariadb()] {
            let document: Document = serde_json::from_value(whole.clone()).unwrap();
            let machine = Machine::from(document);
            assert_eq!(serde_json::to_value(machine.document().unwrap()).unwrap(), whole);
        }
    }

    #[test]
    fn absent_fields_are_omitted() {
        let document = Machine::debian().package("vim").document().unwrap();
        let expected = json!({"machine": 1, "image": "debian-12", "packages": ["vim"], "files": [], "services": []});
        assert_eq!(serde_json::to_value(document).unwrap(), expected);
    }
}
