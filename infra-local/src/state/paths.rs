//! Paths below the cloud's directory that several modules use.

use std::path::{Path, PathBuf};

/// Returns the directory of the data of a database instance, a cluster without instances, or a snapshot, and of its
/// server's log.
pub(crate) fn database(cloud: &Path, resource_id: &str) -> PathBuf {
    cloud.join("databases").join(resource_id)
}
