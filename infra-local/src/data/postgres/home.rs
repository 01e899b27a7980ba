//! A directory that the server's user owns and can really reach.

use std::fs::{self, OpenOptions, Permissions};
use std::io::{self, Write as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};

use super::PostgresError;
use crate::data::process::{self, User};

/// File in a directory kept elsewhere that says where it would be if it could.
const BELONGS_TO: &str = "belongs-to";

/// How directories kept elsewhere begin.
const PREFIX: &str = "infra-postgres-";

/// Prepares the wanted directory, or one under the system's temporary directory when the user cannot get there.
pub(super) fn home(wanted: &Path) -> Result<PathBuf, PostgresError> {
    let failed = |path: &Path| {
        let path = path.to_owned();
        move |source| PostgresError::Directory { path, source }
    };
    let wanted = std::path::absolute(wanted).map_err(failed(wanted))?;
    fs::create_dir_all(&wanted).map_err(failed(&wanted))?;
    let user = process::unprivileged_user();
    let home = match user {
        Some(user) if !reachable(&wanted, user) => {
            let elsewhere = elsewhere(&wanted);
            if !elsewhere.join(BELONGS_TO).exists() {
                tracing::info!(
                    "user {} may not enter {}: the database's data is kept in {}",
                    user.uid,
                    wanted.display(),
                    elsewhere.display()
                );
            }
            claim(&elsewhere, user).map_err(failed(&elsewhere))?;
            let belongs_to = elsewhere.join(BELONGS_TO);
            say_once(&belongs_to, wanted.as_os_str().as_encoded_bytes()).map_err(failed(&belongs_to))?;
            sweep(&std::env::temp_dir(), user);
            elsewhere
        }
        _ => wanted.clone(),
    };
    fs::set_permissions(&home, Permissions::from_mode(0o700)).map_err(failed(&home))?;
    if let Some(user) = user {
        std::os::unix::fs::chown(&home, Some(user.uid), Some(user.gid)).map_err(failed(&home))?;
    }
    let log = wanted.join("postgres.log");
    OpenOptions::new().append(true).create(true).mode(0o600).open(&log).map_err(failed(&log))?;
    Ok(home)
}

/// Writes a file in one step, unless it says so already: whoever sweeps meanwhile must not find it empty.
fn say_once(path: &Path, content: &[u8]) -> io::Result<()> {
    if fs::read(path).is_ok_and(|said| said == content) {
        return Ok(());
    }
    let whole = path.with_extension(uuid::Uuid::new_v4().simple().to_string());
    write_anew(&whole, content, None)?;
    fs::rename(&whole, path)
}

/// Writes a file, for this user if not for us, in a directory that belongs to the server's user: a link left there must
/// not lead us, who may be root, anywhere else.
pub(super) fn write_anew(path: &Path, content: &[u8], user: Option<User>) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(path)?;
    if let Some(user) = user {
        std::os::unix::fs::fchown(&file, Some(user.uid), Some(user.gid))?;
    }
    file.write_all(content)
}

/// Deletes the data of a stopped server, wherever it was kept.
pub(super) fn remove(wanted: &Path) -> io::Result<()> {
    let wanted = std::path::absolute(wanted)?;
    for directory in [elsewhere(&wanted), wanted] {
        match fs::remove_dir_all(&directory) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
    Ok(())
}

fn reachable(directory: &Path, user: User) -> bool {
    directory.ancestors().skip(1).all(|parent| {
        fs::metadata(parent).is_ok_and(|found| {
            let bit = if found.uid() == user.uid {
                0o100
            } else if found.gid() == user.gid {
                0o010
            } else {
                0o001
            };
            found.mode() & bit != 0
        })
    })
}

/// Always the same place for the same directory.
fn elsewhere(wanted: &Path) -> PathBuf {
    let digest = hex::encode(Sha256::digest(wanted.as_os_str().as_encoded_bytes()));
    std::env::temp_dir().join(format!("{PREFIX}{}", digest.get(..16).unwrap_or(&digest)))
}

/// Anyone may have made it already: a link or somebody else's directory is not taken over.
fn claim(directory: &Path, user: User) -> io::Result<()> {
    match fs::create_dir(directory) {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => return Err(error),
        _ => {}
    }
    if is_ours(directory, user) {
        return Ok(());
    }
    Err(io::Error::other("it belongs to somebody else: remove it"))
}

fn is_ours(directory: &Path, user: User) -> bool {
    fs::symlink_metadata(directory).is_ok_and(|found| found.is_dir() && [0, user.uid].contains(&found.uid()))
}

/// Removes what is kept elsewhere for directories that somebody has removed without asking.
pub(super) fn sweep_all() {
    if let Some(user) = process::unprivileged_user() {
        sweep(&std::env::temp_dir(), user);
    }
}

fn sweep(temporary: &Path, user: User) {
    for entry in fs::read_dir(temporary).into_iter().flatten().flatten() {
        let path = entry.path();
        if !entry.file_name().as_encoded_bytes().starts_with(PREFIX.as_bytes()) || !is_ours(&path, user) {
            continue;
        }
        let Ok(wanted) = fs::read_to_string(path.join(BELONGS_TO)) else { continue };
        let gone = Path::new(&wanted).is_absolute() && matches!(Path::new(&wanted).try_exists(), Ok(false));
        if gone && !path.join("data/postmaster.pid").exists() {
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

    #[test]
    fn what_does_not_say_yet_where_it_belongs_is_not_swept() {
        let Some(user) = process::unprivileged_user() else { return };
        let temporary = tempfile::tempdir().unwrap();
        let home = temporary.path().join(format!("{PREFIX}0123"));
        claim(&home, user).unwrap();
        fs::write(home.join(BELONGS_TO), "").unwrap();
        sweep(temporary.path(), user);
        assert!(home.exists());
        say_once(&home.join(BELONGS_TO), b"/no/such/directory").unwrap();
        sweep(temporary.path(), user);
        assert!(!home.exists());
    }

    #[test]
    fn what_the_user_cannot_enter_is_kept_elsewhere_and_removed_with_it() {
        let Some(user) = process::unprivileged_user() else {
            return;
        };
        let closed = tempfile::tempdir().unwrap();
        fs::set_permissions(closed.path(), Permissions::from_mode(0o700)).unwrap();
        let wanted = closed.path().join("postgres");
        let kept = home(&wanted).unwrap();
        assert_eq!(kept, elsewhere(&wanted));
        assert_eq!(home(&wanted).unwrap(), kept);
        assert_eq!(fs::metadata(&kept).unwrap().uid(), user.uid);
        assert!(wanted.join("postgres.log").exists());
        remove(&wanted).unwrap();
        assert!(!kept.exists() && !wanted.exists());
    }

    #[test]
    fn what_is_kept_for_a_directory_that_is_gone_is_swept() {
        let Some(user) = process::unprivileged_user() else {
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
    fn a_link_is_not_followed() {
        let Some(user) = process::unprivileged_user() else {
            return;
        };
        let directory = tempfile::tempdir().unwrap();
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc", &link).unwrap();
        assert!(claim(&link, user).is_err());
    }
}
