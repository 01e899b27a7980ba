//! Writes files inside a directory whose content a program controls, without following its symbolic links.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{self, Write as _};
use std::os::fd::OwnedFd;
use std::path::{Component, Path};

use rustix::fs::{Mode, OFlags, mkdirat, open, openat, unlinkat};
use rustix::io::Errno;

/// Writes a file below `root`, and creates its parent directories. Directories that are symbolic links are refused; a
/// link at the file's path is replaced.
pub(crate) fn write(root: &Path, path: &Path, content: &[u8], mode: u32) -> io::Result<()> {
    let directory_flags = OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let mut directory: OwnedFd = open(root, directory_flags, Mode::empty())?;
    let names: Vec<&OsStr> = path.components().filter_map(normal).collect();
    let Some((name, parents)) = names.split_last() else {
        return Err(io::Error::new(io::ErrorKind::InvalidInput, "the path names no file"));
    };
    for parent in parents {
        match mkdirat(&directory, *parent, Mode::RWXU) {
            Ok(()) | Err(Errno::EXIST) => {}
            Err(error) => return Err(error.into()),
        }
        directory = openat(&directory, *parent, directory_flags, Mode::empty()).map_err(|error| match error {
            Errno::LOOP | Errno::NOTDIR => {
                let name = parent.display();
                io::Error::new(io::ErrorKind::NotADirectory, format!("{name} is a symbolic link, or no directory"))
            }
            other => other.into(),
        })?;
    }
    match unlinkat(&directory, *name, rustix::fs::AtFlags::empty()) {
        Ok(()) | Err(Errno::NOENT) => {}
        Err(error) => return Err(error.into()),
    }
    let flags = OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let file = openat(&directory, *name, flags, Mode::from_raw_mode(mode))?;
    File::from(file).write_all(content)
}

fn normal(component: Component<'_>) -> Option<&OsStr> {
    match component {
        Component::Normal(name) => Some(name),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::fs;
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    #[test]
    fn directories_are_created_and_files_replaced() {
        let root = tempfile::tempdir().unwrap();
        for content in ["one", "two"] {
            write(root.path(), Path::new("/etc/app/config"), content.as_bytes(), 0o600).unwrap();
            assert_eq!(fs::read_to_string(root.path().join("etc/app/config")).unwrap(), content);
        }
        let mode = fs::metadata(root.path().join("etc/app/config")).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(write(root.path(), Path::new("/"), b"", 0o600).is_err());
    }

    #[test]
    fn symbolic_links_are_not_followed() {
        let (root, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let secret = outside.path().join("secret");
        fs::write(&secret, "kept").unwrap();
        symlink(outside.path(), root.path().join("etc")).unwrap();
        symlink(&secret, root.path().join("file")).unwrap();
        let error = write(root.path(), Path::new("/etc/secret"), b"lost", 0o600).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::NotADirectory);
        write(root.path(), Path::new("/file"), b"new", 0o600).unwrap();
        assert_eq!(fs::read_to_string(&secret).unwrap(), "kept");
        assert_eq!(fs::read_to_string(root.path().join("file")).unwrap(), "new");
    }
}
