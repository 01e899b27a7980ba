//! Home of a server: a directory that the server's user owns and can enter.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::HomeError;
use crate::runtime::user;
use crate::runtime::user::User;

/// File that names the directory to which the data belongs.
const BELONGS_TO: &str = "belongs-to";

/// Prefix of homes outside of the cloud's directory.
const PREFIX: &str = "infra-postgres-";

/// Prepares the directory of a server. Fails when the server's user cannot enter it.
pub(super) fn home(wanted: &Path, log: &str) -> Result<PathBuf, HomeError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| HomeError::Directory { path, source }
    };
    let wanted = std::path::absolute(wanted).map_err(failed(wanted))?;
    fs::create_dir_all(&wanted).map_err(failed(&wanted))?;
    let user = user::unprivileged_user();
    let home = match user {
        Some(user) => place(&wanted, user).map_err(failed(&wanted))?,
        None => Ok(wanted.clone()),
    };
    let home = home.map_err(|closed| HomeError::Closed { closed })?;
    fs::set_permissions(&home, Permissions::from_mode(0o700)).map_err(failed(&home))?;
    if let Some(user) = user {
        std::os::unix::fs::chown(&home, Some(user.uid), Some(user.gid)).map_err(failed(&home))?;
    }
    let log = wanted.join(log);
    OpenOptions::new().append(true).create(true).mode(0o600).open(&log).map_err(failed(&log))?;
    Ok(home)
}

/// Returns the directory of a server's data: the wanted directory, or the place where an earlier version put it when
/// the user could not enter that. The error is a parent directory that the user cannot enter.
fn place(wanted: &Path, user: User) -> io::Result<Result<PathBuf, PathBuf>> {
    let former_home = former_home(wanted);
    if former_home.join("data").exists() && is_owned_by(&former_home, user) {
        return Ok(Ok(former_home));
    }
    // The cloud may change the modes of the directories from its own down to this one.
    let above: Vec<_> = wanted.ancestors().skip(1).collect();
    let cloud = above.iter().position(|directory| directory.join(crate::state::files::LOCK).exists());
    for directory in &above[..cloud.map_or(0, |cloud| cloud + 1)] {
        admit_user(directory, user)?;
    }
    Ok(closed(wanted, user).map_or_else(|| Ok(wanted.to_owned()), Err))
}

/// Allows the user of the database servers to enter a directory, but nothing else, by the directory's group. Does
/// nothing unless this process is root, because only then servers run as another user.
pub(crate) fn admit(directory: &Path) -> io::Result<()> {
    user::unprivileged_user().map_or(Ok(()), |user| admit_user(directory, user))
}

fn admit_user(directory: &Path, user: User) -> io::Result<()> {
    if may_enter(directory, user) {
        return Ok(());
    }
    let mode = fs::metadata(directory)?.mode() & 0o7777;
    std::os::unix::fs::chown(directory, None, Some(user.gid))?;
    fs::set_permissions(directory, Permissions::from_mode(mode & !0o070 | 0o010))
}

/// Returns the directory closest to the root that denies the user of the database servers access to this one.
pub(crate) fn closed_above(directory: &Path) -> Option<PathBuf> {
    let user = user::unprivileged_user()?;
    closed(&directory.join("server"), user)
}

fn closed(path: &Path, user: User) -> Option<PathBuf> {
    path.ancestors().skip(1).filter(|directory| !may_enter(directory, user)).last().map(Path::to_owned)
}

fn may_enter(directory: &Path, user: User) -> bool {
    fs::metadata(directory).is_ok_and(|found| {
        let bit = if found.uid() == user.uid {
            0o100
        } else if found.gid() == user.gid {
            0o010
        } else {
            0o001
        };
        found.mode() & bit != 0
    })
}

/// Writes a file that only its owner can read, which is `user` if given, in a directory that belongs to the server's
/// user. Symbolic links are not followed, because this process may be root.
pub(super) fn replace_file(path: &Path, content: &[u8], user: Option<User>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    if let Some(user) = user {
        std::os::unix::fs::fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    file.write_all(content)
}

/// Deletes the data and the log of a stopped server, including data outside of the cloud's directory.
pub(crate) fn remove(wanted: &Path) -> io::Result<()> {
    let wanted = std::path::absolute(wanted)?;
    for directory in [former_home(&wanted), wanted] {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

/// Returns the directory in which an earlier version put the data if the user could not enter the wanted one.
fn former_home(wanted: &Path) -> PathBuf {
    let digest = hex::encode(Sha256::digest(wanted.as_os_str().as_encoded_bytes()));
    std::env::temp_dir().join(format!("{PREFIX}{}", digest.get(..16).unwrap_or(&digest)))
}

fn is_owned_by(directory: &Path, user: User) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir() && [0, user.uid].contains(&found.uid()))
}

/// Removes data outside of the cloud's directory whose directories no longer exist.
pub(crate) fn sweep_all() {
    if let Some(user) = user::unprivileged_user() {
        sweep(&std::env::temp_dir(), user);
    }
}

fn sweep(temporary: &Path, user: User) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) || !is_owned_by(&path, user) {
            continue;
        }
        let Ok(wanted) = fs::read_to_string(path.join(BELONGS_TO)) else { continue };
        let is_removed = Path::new(&wanted).is_absolute() && matches!(Path::new(&wanted).try_exists(), Ok(false));
        if is_removed && !path.join("data/postmaster.pid").exists() {
            tracing::info!("removing {}: {wanted} is gone", path.display());
            if let Err(error) = fs::remove_dir_all(&path) {
                tracing::warn!(%error, "{} could not be removed", path.display());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    const LOG: &str = "postgres.log";

    fn closed_directory() -> tempfile::TempDir {
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        closed
    }

    fn closed_by(outcome: Result<PathBuf, HomeError>) -> PathBuf {
        match outcome {
            Err(HomeError::Closed { closed }) => closed,
            other => panic!("{other:?}"),
        }
    }

    #[test]
    fn a_directory_that_the_user_cannot_enter_is_refused_and_named() {
        let closed = closed_directory();
        let wanted = closed.path().join("above/postgres");
        if user::unprivileged_user().is_none() {
            assert_eq!(home(&wanted, LOG).unwrap(), wanted, "the server runs as this user");
            return;
        }
        assert_eq!(closed_by(home(&wanted, LOG)), closed.path());
        assert_eq!(closed_above(&closed.path().join("above")), Some(closed.path().to_owned()));
        assert!(!former_home(&wanted).exists());
    }

    #[test]
    fn directories_of_the_cloud_are_opened_for_the_user_to_pass_through() {
        let cloud = closed_directory();
        fs::write(cloud.path().join(crate::state::files::LOCK), "").unwrap();
        let wanted = cloud.path().join("instances/i-1/postgres");
        fs::create_dir_all(wanted.parent().unwrap()).unwrap();
        fs::set_permissions(cloud.path().join("instances"), Permissions::from_mode(0o700)).unwrap();
        assert_eq!(home(&wanted, LOG).unwrap(), wanted);
        if let Some(user) = user::unprivileged_user() {
            assert_eq!(fs::metadata(&wanted).unwrap().uid(), user.uid);
            for directory in [cloud.path().to_owned(), cloud.path().join("instances")] {
                let found = fs::metadata(directory).unwrap();
                assert_eq!((found.uid(), found.gid(), found.mode() & 0o777), (0, user.gid, 0o710));
            }
        }
    }

    #[test]
    fn data_that_an_earlier_version_kept_elsewhere_is_used_and_removed() {
        let Some(user) = user::unprivileged_user() else {
            return;
        };
        let cloud = tempfile::tempdir().unwrap();
        let wanted = cloud.path().join("postgres");
        let kept = former_home(&wanted);
        fs::create_dir_all(kept.join("data")).unwrap();
        assert_eq!(home(&wanted, LOG).unwrap(), kept);
        assert_eq!(fs::metadata(&kept).unwrap().uid(), user.uid);
        assert!(wanted.join("postgres.log").exists());
        remove(&wanted).unwrap();
        assert!(!kept.exists() && !wanted.exists());
    }

    #[test]
    fn data_of_a_removed_directory_is_swept() {
        let Some(user) = user::unprivileged_user() else {
            return;
        };
        let temporary = tempfile::tempdir().unwrap();
        let kept = |name: &str, wanted: &Path| {
            let path = temporary.path().join(format!("{PREFIX}{name}"));
            fs::create_dir(&path).unwrap();
            fs::write(path.join(BELONGS_TO), wanted.as_os_str().as_encoded_bytes()).unwrap();
            path
        };
        let alive = kept("alive", temporary.path());
        let orphaned = kept("orphaned", &temporary.path().join("gone"));
        sweep(temporary.path(), user);
        assert!(alive.exists() && !orphaned.exists());
    }

    #[test]
    fn a_link_in_place_of_data_kept_elsewhere_is_not_followed() {
        let Some(user) = user::unprivileged_user() else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(!is_owned_by(&link, user));
    }
}
