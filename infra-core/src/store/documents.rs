//! Documents in files: replaced as a whole, under a lock.

use super::{StoreError, private};
use crate::boundary::{self, Boundary};
use std::{
    fs::{self, File},
    io,
    path::{Path, PathBuf},
};

/// Name of the lock that is held while the documents of a stack are replaced.
pub(super) const DOCUMENTS_LOCK: &str = "documents.lock";

/// Waits for a lock, which its holders keep for a moment only.
pub(super) fn wait_for(path: &Path) -> Result<File, StoreError> {
    let file = private::open_or_create(path).map_err(StoreError::io(path))?;
    file.lock().map_err(StoreError::io(path))?;
    Ok(file)
}

/// Replaces a file that only its owner may read. A reader finds the previous content or the new content, never a mixture.
pub(super) fn replace(path: &Path, content: &[u8]) -> Result<(), StoreError> {
    let mut next = path.as_os_str().to_owned();
    next.push(".next");
    let next = PathBuf::from(next);
    boundary::reached(Boundary::DocumentWrite);
    private::write(&next, content).map_err(StoreError::io(&next))?;
    boundary::reached(Boundary::DocumentRename);
    fs::rename(&next, path).map_err(StoreError::io(path))?;
    sync_above(path).map_err(StoreError::io(path))
}

/// Creates a directory that only its owner may read, if it does not exist.
pub(super) fn open_directory(path: &Path) -> Result<(), StoreError> {
    private::create_directory(path).map_err(StoreError::io(path))
}

/// Syncs the directory of a file.
pub(super) fn sync_above(path: &Path) -> io::Result<()> {
    boundary::reached(Boundary::DirectorySync);
    File::open(path.parent().unwrap_or(path))?.sync_all()
}
