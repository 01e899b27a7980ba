//! The directory of a cloud: created for its owner alone, locked by one process, and emptied by [`reset`].

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::options::Options;
use super::start_error::StartError;
use super::{credentials, options, running, usage};
use crate::model::Account;
use crate::runtime::server_home;
use crate::state::files::{self, LOCK};
use crate::state::{recorded_account, schemas};

/// Deletes the contents of the cloud's directory, except for its options, its access key and its schemas. The cloud must not run.
pub async fn reset(directory: &Path) -> Result<(), StartError> {
    let directory = prepare_directory(directory)?;
    let _lock = lock(&directory).await?;
    let unusable = |path: &Path| {
        let path = path.to_owned();
        move |source| StartError::Directory { path, source }
    };
    for entry in std::fs::read_dir(&directory).map_err(unusable(&directory))? {
        let path = entry.map_err(unusable(&directory))?.path();
        if [options::FILE, credentials::FILE, schemas::FOLDER, LOCK, usage::FILE]
            .iter()
            .any(|kept| path.ends_with(kept))
        {
            continue;
        }
        let removed = if path.is_dir() { std::fs::remove_dir_all(&path) } else { std::fs::remove_file(&path) };
        removed.map_err(unusable(&path))?;
    }
    server_home::sweep_all();
    Ok(())
}

/// Returns the account of the cloud in a directory: that of its state, or before the first start that of the recorded options.
/// `None` if nothing has chosen one yet.
pub fn account(directory: &Path) -> std::io::Result<Option<Account>> {
    Ok(recorded_account(directory)?.or(Options::remembered(directory)?.account))
}

/// Allows database servers that run as another user, which they do if this process is root, to pass through a
/// directory, but nothing else.
pub fn admit_databases(directory: &Path) -> std::io::Result<()> {
    server_home::admit(directory)
}

/// Creates the directory for its owner only, and makes its path absolute, because processes have other working
/// directories.
pub(super) fn prepare_directory(path: &Path) -> Result<PathBuf, StartError> {
    let unusable = |source| StartError::Directory { path: path.to_owned(), source };
    files::create_directory(path).map_err(unusable)?;
    admit_databases(path).map_err(unusable)?;
    path.canonicalize().map_err(unusable)
}

/// Time for which a process that is being started may hold the lock of a directory: a child inherits the locks of its
/// parent until it calls `exec`.
const LOCK_PATIENCE: Duration = Duration::from_secs(1);

/// Takes the lock that prevents two processes from running the same directory. The system releases it when the process
/// exits.
pub(crate) async fn lock(directory: &Path) -> Result<File, StartError> {
    let path = directory.join(LOCK);
    let unusable = |source| StartError::Directory { path: path.clone(), source };
    let file = files::open_or_create(&path).map_err(unusable)?;
    let deadline = Instant::now() + LOCK_PATIENCE;
    loop {
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            // A process that answers will not release the directory, so the wait ends at once.
            Err(rustix::io::Errno::WOULDBLOCK)
                if Instant::now() < deadline && running::find(directory).await.is_none() =>
            {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(rustix::io::Errno::WOULDBLOCK) => return Err(StartError::InUse { path: directory.to_owned() }),
            Err(error) => return Err(unusable(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::{Options, daemon};

    #[tokio::test]
    async fn planted_links_and_fifos_are_refused_without_waiting() {
        for file in ["options.json", "daemon.json", "lock"] {
            for fifo in [false, true] {
                let directory = tempfile::tempdir().unwrap();
                let (planted, target) = (directory.path().join(file), directory.path().join("target"));
                std::fs::write(&target, "{}").unwrap();
                if fifo {
                    let mode = rustix::fs::Mode::from_raw_mode(0o600);
                    rustix::fs::mknodat(rustix::fs::CWD, &planted, rustix::fs::FileType::Fifo, mode, 0).unwrap();
                } else {
                    std::os::unix::fs::symlink(&target, &planted).unwrap();
                }
                let is_refused = match file {
                    "options.json" => Options::remembered(directory.path()).is_err(),
                    "daemon.json" => daemon::find(directory.path()).await.is_none(),
                    _ => lock(directory.path()).await.is_err(),
                };
                assert!(is_refused, "{file}, FIFO: {fifo}");
                assert_eq!(std::fs::read_to_string(&target).unwrap(), "{}");
            }
        }
    }
}
