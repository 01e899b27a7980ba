//! The files of an instance in place of this machine's, in the mount namespace of one program.

use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use rustix::mount::mount_bind;

use crate::runtime::network::NameFiles;

/// Symbolic links that are followed for one file.
const LINKS: usize = 16;

/// Replaces the files by which programs resolve names. Must be called in a mount namespace of this process, whose root is
/// a new file system: nothing changes outside of it. Returns the paths that programs read, and the failures.
pub(super) fn replace(files: &NameFiles) -> (Vec<PathBuf>, Vec<String>) {
    let (mut paths, mut failures) = (Vec::new(), Vec::new());
    for (path, content) in [("/etc/resolv.conf", &files.resolv_conf), ("/etc/hosts", &files.hosts)] {
        match replace_one(Path::new(path), content) {
            Ok(target) => paths.push(target),
            Err(error) => failures.push(format!("{path} is this machine's: {error}")),
        }
    }
    (paths, failures)
}

fn replace_one(path: &Path, content: &str) -> io::Result<PathBuf> {
    let target = follow(path)?;
    if target.exists() {
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let own = Path::new("/").join(format!(".{name}"));
        write(&own, content)?;
        let mounted = mount_bind(&own, &target);
        // The mount keeps the file's content.
        fs::remove_file(&own)?;
        mounted?;
    } else {
        // The directories of this machine are mounted, and a new file in them would outlast the namespace.
        let above = target.ancestors().find(|above| above.exists()).unwrap_or(Path::new("/"));
        if fs::metadata(above)?.dev() != fs::metadata("/")?.dev() {
            return Err(io::Error::new(io::ErrorKind::NotFound, format!("{} does not exist", target.display())));
        }
        fs::create_dir_all(target.parent().unwrap_or(Path::new("/")))?;
        write(&target, content)?;
    }
    Ok(target)
}

/// Follows symbolic links to a file, which need not exist.
fn follow(path: &Path) -> io::Result<PathBuf> {
    let mut path = path.to_owned();
    for _ in 0..LINKS {
        match fs::read_link(&path) {
            Ok(target) => path = path.parent().unwrap_or(Path::new("/")).join(target),
            // The path is no symbolic link, or does not exist.
            Err(_) => return Ok(path),
        }
    }
    Err(io::Error::other("it has too many symbolic links"))
}

fn write(path: &Path, content: &str) -> io::Result<()> {
    fs::write(path, content)?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn symbolic_links_are_followed_to_a_file_that_need_not_exist() {
        let directory = tempfile::tempdir().unwrap();
        let path = |name: &str| directory.path().join(name);
        symlink("../run/file", path("relative")).unwrap();
        symlink(path("relative"), path("absolute")).unwrap();
        assert_eq!(follow(&path("absolute")).unwrap(), path("../run/file"));
        assert_eq!(follow(&path("missing")).unwrap(), path("missing"));
        symlink("circle", path("circle")).unwrap();
        assert!(follow(&path("circle")).is_err());
    }
}
