//! How a local cloud is started.

use std::io;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::cloud::write_private;

/// How a local cloud is started.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Options {
    /// Where everything is kept: state, objects, the directories and logs of instances.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The port of the endpoint. By default the one it had before, else a free one.
    pub port: Option<u16>,
    /// Divides AWS's waiting periods (health intervals, deregistration delays, warm-ups, cooldowns); never the time that
    /// real processes have. 1 is AWS's own time.
    pub time_scale: f64,
    /// Whether the policies of users and roles decide what their keys may do.
    pub enforce_iam: bool,
    /// The account's own key, the only one that is taken besides those of users and roles. By default any key is.
    pub credentials: Option<Credentials>,
}

/// An access key.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Credentials {
    /// `AWS_ACCESS_KEY_ID`
    pub access_key_id: String,
    /// `AWS_SECRET_ACCESS_KEY`
    pub secret_access_key: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Credentials").field("access_key_id", &self.access_key_id).finish_non_exhaustive()
    }
}

impl Default for Options {
    fn default() -> Self {
        Options { directory: PathBuf::new(), port: None, time_scale: 1.0, enforce_iam: false, credentials: None }
    }
}

impl Options {
    /// The usual options for a cloud in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Options {
        Options { directory: directory.into(), ..Options::default() }
    }

    /// The options that `<directory>/options.json` remembers; the usual ones when there is no such file.
    pub fn remembered(directory: impl Into<PathBuf>) -> io::Result<Options> {
        let directory = directory.into();
        let path = directory.join(FILE);
        let text = match std::fs::read(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Options::new(directory)),
            Err(error) => return Err(error),
        };
        let options: Options = serde_json::from_slice(&text).map_err(|error| {
            let message = format!("{} cannot be read: {error}; mend it or remove it", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Options { directory, ..options })
    }

    /// Writes `<directory>/options.json`; the directory must be there.
    pub fn remember(&self) -> io::Result<()> {
        write_private(&self.directory.join(FILE), &serde_json::to_vec_pretty(self)?)
    }
}

/// Where options are remembered.
pub(crate) const FILE: &str = "options.json";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn options_are_remembered_and_secrets_not_shown() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Options::remembered(directory.path()).unwrap(), Options::new(directory.path()));
        let credentials = Credentials { access_key_id: "AK".to_owned(), secret_access_key: "hidden".to_owned() };
        let options = Options { time_scale: 30.0, credentials: Some(credentials), ..Options::new(directory.path()) };
        options.remember().unwrap();
        assert_eq!(Options::remembered(directory.path()).unwrap(), options);
        assert!(!format!("{options:?}").contains("hidden"));
        std::fs::write(directory.path().join(FILE), r#"{"speed": 3}"#).unwrap();
        assert!(Options::remembered(directory.path()).unwrap_err().to_string().contains("unknown field `speed`"));
    }
}
