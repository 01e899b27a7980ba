//! Files that only their owner may read.

use crate::failure::Failure;
use infra_core::diagnostic::Diagnostic;
use std::{
    fs,
    io::Write,
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::Path,
};

/// Replaces a file, and makes its directory.
pub(crate) fn write_private(path: &Path, content: &[u8]) -> Result<(), Failure> {
    if let Some(directory) = path.parent() {
        fs::DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let next = path.with_extension("next");
    let mut file = fs::OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&next)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(fs::rename(&next, path)?)
}

/// Writes a file that must not exist yet.
pub(crate) fn write_new(path: &Path, content: &str) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).map_err(|error| {
        let refused = Diagnostic::error(format!("cannot write: {error}")).about(path.display());
        Failure::wrong_use(refused.hint("name a file that does not exist yet, in a directory that does"))
    })
}
