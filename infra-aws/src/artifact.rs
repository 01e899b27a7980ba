//! `aws:artifact:CargoBin`: a program that is deployed.

mod build;
mod inspect;

use crate::{client::Aws, machine::Architecture};
use infra_core::{
    Lookup, Output, Schema,
    provider::{Context, LookupHandler, ProviderError},
};
use object::ReadCache;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// A binary of the workspace that the running program belongs to, built by `cargo build` (with `--release` when the
/// running program is a release build) whenever a plan is made; or a file that has been built already.
///
/// `INFRA_ARTIFACT_<NAME>=/path` in the environment takes a file in place of the build, the name in capitals and with
/// `_` for `-`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CargoBin {
    /// The binary's name.
    pub name: String,
    /// The file, when it has been built already.
    pub path: Option<PathBuf>,
}

/// What a [`CargoBin`] came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct CargoBinOutputs {
    /// Where the program lies.
    pub path: Output<String>,
    /// Its SHA-256, in hexadecimal digits.
    pub sha256: Output<String>,
    /// How large it is.
    pub size_bytes: Output<u64>,
    /// What it runs on.
    pub architecture: Output<Architecture>,
    /// The oldest GNU C library it runs with, such as `2.34`; empty when it needs none.
    pub glibc: Output<String>,
}

impl CargoBin {
    /// The workspace's binary of this name.
    pub fn of_workspace(name: impl Into<String>) -> Self {
        Self { name: name.into(), path: None }
    }

    /// A file that has been built already.
    pub fn prebuilt(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: Some(path.into()) }
    }

    /// A name that another program does not have: a prebuilt one is told apart by its path.
    pub(crate) fn distinct_name(&self) -> String {
        match &self.path {
            None => self.name.clone(),
            Some(path) => {
                let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
                format!("{}-{}", self.name, hex::encode(&digest[..3]))
            }
        }
    }
}

impl Lookup for CargoBin {
    const TYPE: &'static str = "aws:artifact:CargoBin";
    type Outputs = CargoBinOutputs;

    fn schema() -> Schema {
        Schema::new().volatile()
    }

    fn label(&self) -> Option<String> {
        Some(self.distinct_name())
    }
}

impl LookupHandler for CargoBin {
    type Client = Aws;

    async fn read(cx: &Context<'_, Aws>, arguments: &Self) -> Result<CargoBinOutputs, ProviderError> {
        let path = match (std::env::var_os(variable(&arguments.name)), &arguments.path) {
            (Some(path), _) => PathBuf::from(path),
            (None, Some(path)) => path.clone(),
            (None, None) => build::cargo_build(&arguments.name, &|line| cx.status(line)).await?,
        };
        outputs(path, cx.client().is_local()).await
    }
}

/// The environment variable that says where a program lies.
fn variable(name: &str) -> String {
    format!("INFRA_ARTIFACT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

async fn outputs(path: PathBuf, here: bool) -> Result<CargoBinOutputs, ProviderError> {
    let path = std::path::absolute(&path).unwrap_or(path);
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read(&path, here)).await;
    let program = read
        .map_err(|error| ProviderError::refused(format!("{shown}: {error}")))?
        .map_err(|why| ProviderError::refused(format!("{shown}: {why}")).hint(inspect::HINT))?;
    Ok(CargoBinOutputs {
        path: shown.into(),
        sha256: program.sha256.into(),
        size_bytes: program.size.into(),
        architecture: program.needs.architecture.into(),
        glibc: program.needs.glibc.unwrap_or_default().into(),
    })
}

struct Program {
    sha256: String,
    size: u64,
    needs: inspect::Needs,
}

fn read(path: &Path, here: bool) -> Result<Program, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut digest = Sha256::new();
    let size = io::copy(&mut file, &mut digest).map_err(|error| error.to_string())?;
    // Only the parts that are looked at: programs are large.
    let parts = ReadCache::new(file);
    let needs = if here { inspect::needs_here(&parts) } else { inspect::needs(&parts) }?;
    Ok(Program { sha256: hex::encode(digest.finalize()), size, needs })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_tell_programs_apart() {
        assert_eq!(CargoBin::of_workspace("tasks").distinct_name(), "tasks");
        let one = CargoBin::prebuilt("tasks", "/a/tasks").distinct_name();
        assert_ne!(one, CargoBin::prebuilt("tasks", "/b/tasks").distinct_name());
    }

    #[tokio::test]
    async fn this_very_test_can_be_deployed() {
        let path = std::env::current_exe().unwrap();
        let program = outputs(path.clone(), true).await.unwrap();
        assert_eq!(Some(program.architecture.known().unwrap()), Architecture::here());
        assert_eq!(program.size_bytes.known().unwrap(), std::fs::metadata(&path).unwrap().len());
        assert_eq!(program.sha256.known().unwrap().len(), 64);
        let error = outputs("/no/such/program".into(), true).await.unwrap_err();
        assert!(error.message.starts_with("/no/such/program: "), "{error}");
    }
}
