//! A root directory with nothing in it but what a program may see.

use std::ffi::OsStr;
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::AsRawFd as _;
use std::os::unix::fs::{OpenOptionsExt as _, symlink};
use std::path::{Path, PathBuf};

use nix::sched::{CloneFlags, unshare};
use rustix::fs::{Mode, OFlags};
use rustix::mount::{
    MountFlags, MountPropagationFlags, UnmountFlags, mount, mount_bind_recursive, mount_change, unmount,
};
use rustix::process::{getegid, geteuid, pivot_root, umask};

use super::restrictions::{RUNTIME, SYSTEM};
use super::{Confinement, name_files};
use crate::runtime::network::NameFiles;

/// Directory in which the new root is assembled. Its former content is hidden from then on.
const ROOT: &str = "/tmp";
/// Temporary place of the former root, inside the new one.
const FORMER: &str = ".former";

/// Enters a mount namespace whose root holds the system's directories and the program's own, and nothing else.
///
/// Must be called in a process with a single thread. After an error the process may be in a namespace of its own, with
/// the root it had. Returns the files of `names`, which take the place of this machine's.
pub(super) fn enter(confinement: &Confinement, names: Option<&NameFiles>) -> io::Result<Vec<PathBuf>> {
    // Every user may pass through the directories above its own.
    let mask = umask(Mode::from_raw_mode(0o022));
    let entered = enter_root(confinement, names.is_some());
    let replaced = entered.map(|()| names.map(name_files::replace).unwrap_or_default());
    umask(mask);
    let (paths, failures) = replaced?;
    failures.iter().for_each(|failure| eprintln!("{failure}"));
    Ok(paths)
}

fn enter_root(confinement: &Confinement, has_names: bool) -> io::Result<()> {
    let directory = std::env::current_dir()?;
    unshare_mounts()?;
    mount_change("/", MountPropagationFlags::PRIVATE | MountPropagationFlags::REC)?;
    // Looked up in this namespace, and before anything is hidden.
    let sources = sources(confinement, has_names)?;
    mount("tmpfs", ROOT, "tmpfs", MountFlags::NOSUID | MountFlags::NODEV, c"mode=0755,size=25%")?;
    let root = Path::new(ROOT);
    for source in sources {
        source.place(root)?;
    }
    for private in ["tmp", "var/tmp"] {
        fs::create_dir_all(root.join(private))?;
        fs::set_permissions(root.join(private), std::os::unix::fs::PermissionsExt::from_mode(0o1777))?;
    }
    if root.join("dev/shm").is_dir() {
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        mount("tmpfs", root.join("dev/shm"), "tmpfs", flags, c"mode=1777,size=25%")?;
    }
    let former = root.join(FORMER);
    fs::create_dir(&former)?;
    pivot_root(root, &former)?;
    std::env::set_current_dir("/")?;
    let former = Path::new("/").join(FORMER);
    unmount(&former, UnmountFlags::DETACH)?;
    fs::remove_dir(&former)?;
    std::env::set_current_dir(directory)
}

/// As root a mount namespace is enough; others need a user namespace, in which they keep their own ids.
fn unshare_mounts() -> io::Result<()> {
    if geteuid().is_root() {
        return Ok(unshare(CloneFlags::CLONE_NEWNS)?);
    }
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNS)?;
    fs::write("/proc/self/setgroups", "deny")?;
    fs::write("/proc/self/uid_map", format!("{uid} {uid} 1"))?;
    fs::write("/proc/self/gid_map", format!("{gid} {gid} 1"))
}

/// An entry of the new root.
enum Source {
    Directory { path: PathBuf, open: File },
    File { path: PathBuf, open: File },
    Link { path: PathBuf, target: PathBuf },
}

fn sources(confinement: &Confinement, has_names: bool) -> io::Result<Vec<Source>> {
    // A program with its own files has no use for this machine's resolver, which would answer over a Unix socket.
    let runtime = if has_names { &[] } else { RUNTIME };
    let system = SYSTEM.iter().chain(runtime).map(Path::new);
    let system = system.map(Source::of).filter(|source| !matches!(source, Err(error) if is_missing(error)));
    // The program's own directories must exist.
    let own = confinement.readable.iter().chain(&confinement.writable).map(|path| Source::of(path));
    let mut all = system.chain(own).collect::<io::Result<Vec<Source>>>()?;
    // Directories before what is inside of them.
    all.sort_by(|one, other| one.path().cmp(other.path()));
    Ok(all)
}

fn is_missing(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory)
}

impl Source {
    fn of(path: &Path) -> io::Result<Source> {
        let kind = fs::symlink_metadata(path)?.file_type();
        let path = path.to_owned();
        if kind.is_symlink() {
            return Ok(Source::Link { target: fs::read_link(&path)?, path });
        }
        let flags = (OFlags::PATH | OFlags::NOFOLLOW | OFlags::CLOEXEC).bits();
        let open = OpenOptions::new().read(true).custom_flags(flags.cast_signed()).open(&path)?;
        Ok(if kind.is_dir() { Source::Directory { path, open } } else { Source::File { path, open } })
    }

    fn path(&self) -> &Path {
        match self {
            Source::Directory { path, .. } | Source::File { path, .. } | Source::Link { path, .. } => path,
        }
    }

    /// Makes it appear in the new root under its own path.
    fn place(&self, root: &Path) -> io::Result<()> {
        let place = root.join(self.path().strip_prefix("/").unwrap_or(self.path()));
        if let Some(parent) = place.parent() {
            fs::create_dir_all(parent)?;
        }
        let open = match self {
            Source::Link { target, .. } => return symlink(target, &place),
            Source::Directory { open, .. } => {
                fs::create_dir_all(&place)?;
                open
            }
            Source::File { open, .. } => {
                File::create(&place)?;
                open
            }
        };
        let source = PathBuf::from("/proc/self/fd").join(OsStr::new(&open.as_raw_fd().to_string()));
        Ok(mount_bind_recursive(source, &place)?)
    }
}
