//! The schemas of the types whose resources a scratch cloud records.

use crate::RehearsalError;
use infra_local::{install_schemas, share_schemas};
use std::{
    path::{Path, PathBuf},
    sync::Arc,
};
use tempfile::TempDir;

/// Schemas of CloudFormation types. Resources of these types are recorded in the scratch cloud, as in a local cloud that was
/// given the schemas; those of other types that the local cloud does not implement are not rehearsed.
#[derive(Clone, Debug, Default)]
pub struct Schemas(Source);

#[derive(Clone, Debug, Default)]
enum Source {
    #[default]
    None,
    /// Directory of a local cloud.
    Cloud(PathBuf),
    /// Directory that is removed with the last copy.
    Temporary(Arc<TempDir>),
}

impl Schemas {
    /// Returns the schemas that the local cloud of a directory was given.
    pub fn of_cloud(directory: impl Into<PathBuf>) -> Schemas {
        Schemas(Source::Cloud(directory.into()))
    }

    /// Returns these schemas: names of types and JSON documents.
    pub fn of_types<'t>(schemas: impl IntoIterator<Item = (&'t str, &'t str)>) -> Result<Schemas, RehearsalError> {
        let directory = TempDir::with_prefix("rehearsal-schemas-").map_err(RehearsalError::Directory)?;
        install_schemas(directory.path(), schemas).map_err(RehearsalError::Schemas)?;
        Ok(Schemas(Source::Temporary(Arc::new(directory))))
    }

    /// Lets the cloud of a directory use the schemas.
    pub(crate) fn share_with(&self, directory: &Path) -> Result<(), RehearsalError> {
        let shared = match &self.0 {
            Source::None => return Ok(()),
            Source::Cloud(cloud) => share_schemas(cloud, directory),
            Source::Temporary(temporary) => share_schemas(temporary.path(), directory),
        };
        shared.map_err(RehearsalError::Schemas)
    }
}
