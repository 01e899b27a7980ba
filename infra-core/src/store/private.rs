//! Files and directories that only their owner can access.
//!
//! A symbolic link at a file's name is not followed, and anything but a regular file is refused without blocking, such
//! as a FIFO without a writer: in a directory that others can write, both would redirect reads and writes.

use rustix::fs::OFlags;
use std::{
    fs::{DirBuilder, File, OpenOptions},
    io::{self, Read, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt},
    path::Path,
};

/// Opens an existing file for reading.
pub(super) fn open(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true), path)
}

/// Opens a file for reading and writing; creates an empty one if it does not exist.
pub(super) fn open_or_create(path: &Path) -> io::Result<File> {
    regular(OpenOptions::new().read(true).write(true).create(true).truncate(false), path)
}

/// Reads a whole file; `None` if it does not exist.
pub(super) fn read(path: &Path) -> io::Result<Option<Vec<u8>>> {
    let mut file = match open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        file => file?,
    };
    let mut bytes = Vec::with_capacity(file.metadata().map_or(0, |metadata| metadata.len() as usize + 1));
    file.read_to_end(&mut bytes)?;
    Ok(Some(bytes))
}

/// Writes a whole file and syncs it. An existing file of this name loses its content first.
pub(super) fn write(path: &Path, content: &[u8]) -> io::Result<File> {
    let mut file = open_or_create(path)?;
    file.set_len(0)?;
    file.write_all(content)?;
    file.sync_all()?;
    Ok(file)
}

/// Creates a directory and its missing parents, accessible only by their owner whatever the umask is.
pub(super) fn create_directory(path: &Path) -> io::Result<()> {
    let missing: Vec<&Path> =
        path.ancestors().take_while(|above| !above.as_os_str().is_empty() && !above.exists()).collect();
    for directory in missing.into_iter().rev() {
        match DirBuilder::new().mode(0o700).create(directory) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            created => created?,
        }
        std::fs::set_permissions(directory, PermissionsExt::from_mode(0o700))?;
    }
    Ok(())
}

fn regular(options: &mut OpenOptions, path: &Path) -> io::Result<File> {
    let flags = OFlags::NOFOLLOW | OFlags::NONBLOCK;
    let opened = options.mode(0o600).custom_flags(flags.bits().cast_signed()).open(path);
    let refused = |what: &str| io::Error::new(io::ErrorKind::InvalidInput, what);
    let file = opened.map_err(|error| match rustix::io::Errno::from_io_error(&error) {
        Some(rustix::io::Errno::LOOP) => refused("it is a symbolic link, which is not followed; remove the link"),
        Some(rustix::io::Errno::NXIO) => refused(IRREGULAR),
        _ => error,
    })?;
    if !file.metadata()?.is_file() {
        return Err(refused(IRREGULAR));
    }
    Ok(file)
}

const IRREGULAR: &str = "it is not a regular file; remove it";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use rustix::fs::{CWD, FileType, Mode};
    use std::fs;

    #[test]
    fn links_fifos_and_directories_are_refused_without_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::write(at("target"), "content").unwrap();
        std::os::unix::fs::symlink(at("target"), at("link")).unwrap();
        std::os::unix::fs::symlink(at("nowhere"), at("dangling")).unwrap();
        rustix::fs::mknodat(CWD, at("fifo"), FileType::Fifo, Mode::from_raw_mode(0o600), 0).unwrap();
        fs::create_dir(at("directory")).unwrap();
        for name in ["link", "dangling", "fifo", "directory"] {
            assert!(read(&at(name)).is_err(), "{name} is read");
            assert!(open_or_create(&at(name)).is_err(), "{name} is opened");
            assert!(write(&at(name), b"planted").is_err(), "{name} is written");
        }
        assert_eq!(fs::read_to_string(at("target")).unwrap(), "content");
        assert!(!at("nowhere").exists());
        let error = read(&at("link")).unwrap_err().to_string();
        assert_eq!(error, "it is a symbolic link, which is not followed; remove the link");
        assert_eq!(read(&at("fifo")).unwrap_err().to_string(), IRREGULAR);
    }

    #[test]
    fn files_and_directories_are_accessible_only_by_their_owner() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a/b/file");
        create_directory(path.parent().unwrap()).unwrap();
        write(&path, b"x").unwrap();
        write(&path, b"y").unwrap();
        assert_eq!(read(&path).unwrap().unwrap(), b"y");
        assert_eq!(read(&directory.path().join("none")).unwrap(), None);
        for (name, expected) in [("a", 0o700), ("a/b", 0o700), ("a/b/file", 0o600)] {
            let mode = fs::metadata(directory.path().join(name)).unwrap().permissions().mode() & 0o7777;
            assert_eq!(mode, expected, "{name}: {mode:o}");
        }
    }
}
