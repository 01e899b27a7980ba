//! Stored tokens: in `$TASKS_TOKENS`, else in `tasks/tokens.json` below `$XDG_STATE_HOME` or `~/.local/state`. Only its
//! owner can read the file.

use std::{
    collections::BTreeMap,
    env,
    fs::{self, File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use chrono::Utc;
use serde::{Deserialize, Serialize};

use crate::service::Failure;

/// Time before its expiry at which a token is refreshed, in seconds.
const MARGIN: i64 = 5;

/// Tokens for a service.
#[derive(Clone, Serialize, Deserialize)]
pub(crate) struct Kept {
    pub(crate) access: String,
    pub(crate) refresh: String,
    /// Expiry of the access token, in seconds since 1970, by the clock of this machine.
    expires_at: i64,
}

/// Response of the service with tokens.
#[derive(Deserialize)]
struct Given {
    access: String,
    refresh: String,
    expires_in: i64,
}

impl Kept {
    /// Parses the response of the service.
    pub(crate) fn from(answer: &str) -> Result<Self, serde_json::Error> {
        let Given { access, refresh, expires_in } = serde_json::from_str(answer)?;
        Ok(Self { access, refresh, expires_at: Utc::now().timestamp().saturating_add(expires_in) })
    }

    pub(crate) fn has_expired(&self) -> bool {
        Utc::now().timestamp() + MARGIN >= self.expires_at
    }
}

/// Error of the file of tokens.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TokensError {
    #[error(
        "the file of tokens {file} cannot be used: {source}. Set TASKS_TOKENS to a file that can be written",
        file = .file.display()
    )]
    File { file: PathBuf, source: io::Error },
    #[error("the file of tokens {file} is damaged: {source}. Delete it and sign in again", file = .file.display())]
    Damaged { file: PathBuf, source: serde_json::Error },
    #[error("a token cannot be stored: neither TASKS_TOKENS nor HOME is set")]
    NoPlace,
}

/// The file of tokens, by the URLs of the services.
pub(crate) struct Tokens(Option<PathBuf>);

type All = BTreeMap<String, Kept>;

impl Tokens {
    /// Returns the file of this user.
    pub(crate) fn in_files() -> Self {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let state = || set("XDG_STATE_HOME").or_else(|| set("HOME").map(|home| home.join(".local/state")));
        Self(set("TASKS_TOKENS").or_else(|| state().map(|state| state.join("tasks/tokens.json"))))
    }

    /// Returns the stored tokens for a service.
    pub(crate) fn of(&self, base: &str) -> Result<Option<Kept>, TokensError> {
        match &self.0 {
            Some(file) => Ok(read(file)?.remove(base)),
            None => Ok(None),
        }
    }

    /// Changes the tokens for a service, under the lock of the file.
    pub(crate) fn change(
        &self,
        base: &str,
        change: impl FnOnce(Option<Kept>) -> Result<Option<Kept>, Failure>,
    ) -> Result<Option<Kept>, Failure> {
        let file = self.0.as_ref().ok_or(TokensError::NoPlace)?;
        let _lock = lock(file).map_err(|source| TokensError::File { file: file.to_owned(), source })?;
        let mut all = read(file)?;
        let changed = change(all.remove(base))?;
        if let Some(kept) = &changed {
            all.insert(base.to_owned(), kept.clone());
        }
        write(file, &all).map_err(|source| TokensError::File { file: file.to_owned(), source })?;
        Ok(changed)
    }
}

fn read(file: &Path) -> Result<All, TokensError> {
    match fs::read(file) {
        Ok(text) => {
            serde_json::from_slice(&text).map_err(|source| TokensError::Damaged { file: file.to_owned(), source })
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(All::new()),
        Err(source) => Err(TokensError::File { file: file.to_owned(), source }),
    }
}

/// Replaces the file atomically.
fn write(file: &Path, all: &All) -> io::Result<()> {
    let new = file.with_extension("new");
    let mut options = OpenOptions::new();
    let mut handle = options.write(true).create(true).truncate(true).mode(0o600).open(&new)?;
    handle.write_all(&serde_json::to_vec_pretty(all)?)?;
    handle.sync_all()?;
    fs::rename(new, file)
}

/// Waits for the lock of the file, which is released with the handle.
fn lock(file: &Path) -> io::Result<File> {
    if let Some(folder) = file.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut options = OpenOptions::new();
    let handle = options.write(true).create(true).truncate(false).mode(0o600).open(file.with_extension("lock"))?;
    handle.lock()?;
    Ok(handle)
}
