//! Files that only their owner can read.

use crate::failure::Failure;
use infra_core::diagnostic::Diagnostic;
use std::{fs, io::Write, os::unix::fs::OpenOptionsExt, path::Path};

/// Writes a new file. Fails if it exists.
pub(crate) fn write_new(path: &Path, content: &str) -> Result<(), Failure> {
    let file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path);
    file.and_then(|mut file| file.write_all(content.as_bytes())).map_err(|error| {
        let refused = Diagnostic::error(format!("cannot write: {error}")).about(path.display());
        Failure::wrong_use(refused.hint("choose a file that does not exist yet, in an existing directory"))
    })
}
