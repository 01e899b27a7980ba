//! `aws:artifact:CargoBin`: a program for hosts.

mod build;
mod inspect;

use crate::{architecture::Architecture, prelude::*};
use infra_core::{Lookup, provider::LookupHandler};
use object::ReadCache;
use sha2::{Digest, Sha256};
use std::{
    fs::File,
    io,
    path::{Path, PathBuf},
};

/// A lookup of a program for hosts: a binary of the running program's workspace, or an existing file.
///
/// A binary is built by `cargo build` in each plan, with `--release` if the running program is a release build. The
/// environment variable `INFRA_ARTIFACT_<NAME>`, with the name in capitals and with `_` for `-`, contains the path of a
/// file that is used instead of the build. A [`Service`](crate::Service) of a machine declares the lookup itself.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let program = virginia.lookup(CargoBin::of_workspace("web"));
/// stack.export("sha256", program.sha256);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// None: the program is built and read on this machine.
#[derive(Clone, Debug, Serialize, Deserialize, Lookup)]
#[lookup(type = "aws:artifact:CargoBin", volatile, label = Self::distinct_label)]
pub struct CargoBin {
    /// Name of the binary in the workspace.
    pub name: String,
    /// Path of an existing file; when omitted, the binary is built.
    pub path: Option<PathBuf>,
}

/// Outputs of a [`CargoBin`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct CargoBinOutputs {
    /// Absolute path of the program.
    pub path: Output<String>,
    /// SHA-256 of the program, in hexadecimal digits.
    pub sha256: Output<String>,
    /// Size of the program, in bytes.
    pub size_bytes: Output<u64>,
    /// Processor architecture that the program is built for.
    pub architecture: Output<Architecture>,
    /// Oldest version of the GNU C library that it runs with, such as `2.34`; empty when it needs none.
    pub glibc: Output<String>,
}

impl CargoBin {
    /// Returns a lookup of the workspace's binary with this name.
    pub fn of_workspace(name: impl Into<String>) -> Self {
        Self { name: name.into(), path: None }
    }

    /// Returns a lookup of an existing file.
    pub fn prebuilt(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), path: Some(path.into()) }
    }

    /// Builds the program, unless it exists already, and returns its path. For commands of a deployment, such as a
    /// client that it runs.
    ///
    /// # Errors
    /// [`ProviderError`] if cargo is missing or the build fails; it contains the last lines of the build.
    pub async fn executable(&self) -> Result<PathBuf, ProviderError> {
        self.build(&|_| ()).await
    }

    async fn build(&self, status: &(dyn Fn(String) + Sync)) -> Result<PathBuf, ProviderError> {
        match (std::env::var_os(variable(&self.name)), &self.path) {
            (Some(path), _) => Ok(PathBuf::from(path)),
            (None, Some(path)) => Ok(path.clone()),
            (None, None) => build::cargo_build(&self.name, status).await,
        }
    }

    /// Returns a name that no other program has: the name of an existing file contains a digest of its path.
    pub(crate) fn distinct_name(&self) -> String {
        match &self.path {
            None => self.name.clone(),
            Some(path) => {
                let digest = Sha256::digest(path.as_os_str().as_encoded_bytes());
                format!("{}-{}", self.name, hex::encode(&digest[..3]))
            }
        }
    }

    fn distinct_label(&self) -> Option<String> {
        Some(self.distinct_name())
    }
}

impl LookupHandler for CargoBin {
    type Client = Aws;

    async fn read(cx: &Context<'_>, arguments: &Self) -> Result<Self::Outputs> {
        let path = arguments.build(&|line| cx.status(line)).await?;
        outputs(path, cx.client().is_local()).await
    }
}

/// Returns the name of the environment variable with the path of a program.
fn variable(name: &str) -> String {
    format!("INFRA_ARTIFACT_{}", name.to_ascii_uppercase().replace('-', "_"))
}

async fn outputs(path: PathBuf, here: bool) -> Result<CargoBinOutputs> {
    let path = std::path::absolute(&path).unwrap_or(path);
    let shown = path.display().to_string();
    let read = tokio::task::spawn_blocking(move || read(&path, here)).await;
    let program = read
        .map_err(|error| ProviderError::refused(format!("{shown}: {error}")))?
        .map_err(|reason| ProviderError::refused(format!("{shown}: {reason}")).hint(inspect::HINT))?;
    Ok(CargoBinOutputs {
        path: shown.into(),
        sha256: program.sha256.into(),
        size_bytes: program.size.into(),
        architecture: program.requirements.architecture.into(),
        glibc: program.requirements.glibc.unwrap_or_default().into(),
    })
}

struct Program {
    sha256: String,
    size: u64,
    requirements: inspect::Requirements,
}

fn read(path: &Path, here: bool) -> Result<Program, String> {
    let mut file = File::open(path).map_err(|error| error.to_string())?;
    let mut digest = Sha256::new();
    let size = io::copy(&mut file, &mut digest).map_err(|error| error.to_string())?;
    // Programs are large, so only the parts that are inspected are read.
    let parts = ReadCache::new(file);
    let requirements = if here { inspect::requirements_here(&parts) } else { inspect::requirements(&parts) }?;
    Ok(Program { sha256: hex::encode(digest.finalize()), size, requirements })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn names_of_programs_differ() {
        assert_eq!(CargoBin::of_workspace("tasks").distinct_name(), "tasks");
        let one = CargoBin::prebuilt("tasks", "/a/tasks").distinct_name();
        assert_ne!(one, CargoBin::prebuilt("tasks", "/b/tasks").distinct_name());
    }

    #[tokio::test]
    async fn running_test_can_be_deployed() {
        let path = std::env::current_exe().unwrap();
        let program = outputs(path.clone(), true).await.unwrap();
        assert_eq!(Some(program.architecture.known().unwrap()), Architecture::here());
        assert_eq!(program.size_bytes.known().unwrap(), std::fs::metadata(&path).unwrap().len());
        assert_eq!(program.sha256.known().unwrap().len(), 64);
        let error = outputs("/no/such/program".into(), true).await.unwrap_err();
        assert!(error.message.starts_with("/no/such/program: "), "{error}");
    }
}
