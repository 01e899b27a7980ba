//! Files of the cloud's directory, which only their owner can access.
//!
//! A symbolic link is not followed, and anything but a regular file is refused without waiting for it: otherwise
//! another user could choose what the cloud reads and writes.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::{DirBuilderExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;

use rustix::fs::OFlags;

/// The lock file of a cloud's directory.
pub(crate) const LOCK: &str = "lock";

const IRREGULAR: &str = "it is not a regular file; remove it";

/// Opens a file for reading and writing; creates an empty one if it does not exist.
pub(crate) fn open_or_create(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
}

/// Reads a whole file; `None` if it does not exist.
pub(crate) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = match regular(OpenOptions::new().read(true), path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Creates a directory and its parents for their owner only, regardless of the umask.
pub(crate) fn create_directory(path: &Path) -> io::Result<()> {
    let missing = path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists());
    for directory in missing.collect::<Vec<_>>().into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            // Another task may have created it in the meantime.
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => {
                created.and_then(|()| std::fs::set_permissions(directory, std::fs::Permissions::from_mode(0o700)))?
            }
        }
    }
    Ok(())
}

/// Replaces a file atomically; only its owner can read it.
pub(crate) fn write_private(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let temporary = path.with_extension(format!("tmp-{}", uuid::Uuid::new_v4().simple()));
    let mut file = std::fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&temporary)?;
    let written = file.write_all(bytes).and_then(|()| std::fs::rename(&temporary, path));
    if written.is_err() {
        let _ = std::fs::remove_file(&temporary);
    }
    written
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, format!("{}: {what}", path.display()));
    let opened = options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path);
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) => refused("it is a symbolic link, which is not followed; remove the link"),
        Some(rustix::io::Errno::NXIO) => refused(IRREGULAR),
        _ => error,
    })?;
    if file.metadata()?.is_file() { Ok(file) } else { Err(refused(IRREGULAR)) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn directories_are_for_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        create_directory(&directory.path().join("a/b")).unwrap();
        create_directory(&directory.path().join("a/b")).unwrap();
        for name in ["a", "a/b"] {
            let mode = std::fs::metadata(directory.path().join(name)).unwrap().permissions().mode();
            assert_eq!(mode & 0o7777, 0o700, "{name}");
        }
    }
}
