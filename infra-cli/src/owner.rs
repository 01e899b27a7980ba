//! Owner and mode of the command's directory.
//!
//! The directory contains the key of the secrets and the programs of the local cloud, and the search for it includes the
//! parents of the current directory. A user who can write to it could replace the key and so read later secrets.

use crate::failure::Failure;
use infra_core::diagnostic::Diagnostic;
use std::{
    fs, io,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
};

const ROOT: u32 = 0;
const STICKY: u32 = 0o1000;
const OTHERS_WRITE: u32 = 0o022;

/// Refuses an existing directory that another user owns or can write to.
pub(crate) fn check(directory: &Path) -> Result<(), Failure> {
    // The owner of a symbolic link chooses its destination, so both are checked.
    for metadata in [fs::symlink_metadata(directory), fs::metadata(directory)] {
        let metadata = match metadata {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            Err(error) => {
                let refused = Diagnostic::error(format!("the directory cannot be used: {error}"));
                let hint = "choose another path with `--directory` or INFRA_DIRECTORY";
                return Err(Failure::wrong_use(refused.about(directory.display()).hint(hint)));
            }
            Ok(metadata) => metadata,
        };
        if !metadata.is_dir() && !metadata.is_symlink() {
            let refused = Diagnostic::error("this is a file, not a directory").about(directory.display());
            return Err(Failure::wrong_use(refused.hint("choose another path with `--directory` or INFRA_DIRECTORY")));
        }
        let mode = if metadata.is_symlink() { 0 } else { metadata.permissions().mode() };
        if let Some((summary, hint)) = problem(rustix::process::geteuid().as_raw(), metadata.uid(), mode) {
            let refused = Diagnostic::error(summary).about(directory.display());
            let hint = hint.replace("PATH", &directory.display().to_string());
            return Err(Failure::wrong_use(refused.hint(hint)));
        }
    }
    Ok(())
}

/// Returns the problem of a directory with this owner and mode, and a hint, or `None`.
fn problem(user: u32, owner: u32, mode: u32) -> Option<(String, &'static str)> {
    if owner != user && owner != ROOT {
        let summary = format!("the directory belongs to another user (uid {owner}), and its files would be trusted");
        return Some((summary, "choose your own directory with `--directory` or INFRA_DIRECTORY"));
    }
    if mode & OTHERS_WRITE != 0 && mode & STICKY == 0 {
        let summary = format!("other users can write to the directory (mode {:o})", mode & 0o7777);
        return Some((summary, "run `chmod go-w PATH`, after looking at what is in it"));
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn only_directories_of_the_user_or_root_that_others_cannot_write_are_used() {
        for (owner, mode, is_refused) in [
            (1000, 0o40700, false),
            (1000, 0o40755, false),
            (0, 0o40755, false),
            (1001, 0o40700, true),
            (1000, 0o40775, true),
            (1000, 0o40777, true),
            (0, 0o40777, true),
            (0, 0o41777, false),
        ] {
            assert_eq!(problem(1000, owner, mode).is_some(), is_refused, "{owner} {mode:o}");
        }
    }

    #[test]
    fn the_refusal_names_the_mode_and_the_command() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".infra");
        check(&path).unwrap();
        fs::create_dir(&path).unwrap();
        fs::set_permissions(&path, PermissionsExt::from_mode(0o777)).unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink(&path, &link).unwrap();
        for path in [&path, &link] {
            let text = check(path).unwrap_err().diagnostics[0].to_string();
            assert!(text.contains("mode 777") && text.contains("chmod go-w"), "{text}");
        }
        fs::set_permissions(&path, PermissionsExt::from_mode(0o700)).unwrap();
        check(&link).unwrap();
    }
}
