//! Options of a local cloud.

use std::io;
use std::path::PathBuf;

use hyper::Uri;
use hyper::http::uri::Authority;
use serde::{Deserialize, Deserializer, Serialize};

use super::start_error::StartError;
use crate::access::Credentials;
use crate::model::Account;
use crate::state::files;
use crate::state::files::write_private;

/// Options of a local cloud.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
// Each flag is an option of its own.
#[allow(clippy::struct_excessive_bools)]
pub struct Options {
    /// Directory of the cloud: its state, objects, and the directories and logs of instances.
    #[serde(skip)]
    pub directory: PathBuf,
    /// The account of the cloud, which its first start chooses. By default that of the existing state, or `000000000000`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Account>,
    /// Port of the endpoint. By default the port of the previous start, or else an unused one.
    pub port: Option<u16>,
    /// Divides AWS's waiting periods (health check intervals, deregistration delays, warm-ups, cooldowns), but not the
    /// time limits of real processes. At 1, time passes as on AWS.
    pub time_scale: f64,
    /// True when the policies of users and roles are enforced.
    pub enforce_iam: bool,
    /// Access keys of the account's root user, besides the generated one in `<directory>/credentials.json`.
    #[serde(alias = "credentials", deserialize_with = "any_number")]
    pub access_keys: Vec<Credentials>,
    /// True when requests with an unknown access key are executed as the root user, without verification of their
    /// signature.
    ///
    /// Every process that reaches the endpoint can then run programs as the user who started the cloud.
    pub accept_any_key: bool,
    /// True when services run with all rights of the user who starts the cloud, instead of being confined to their
    /// instances.
    pub unconfined: bool,
    /// The network of instances, load balancers and databases.
    pub network: NetworkChoice,
    /// True when the cloud only has a control plane: requests change the model, instances run no services, databases have
    /// no servers, and load balancers accept no connections. Every resource becomes available at once.
    pub control_plane_only: bool,
    /// URL of another emulator, such as `http://127.0.0.1:5000`, which answers for the services that this cloud does not
    /// have. Requests are forwarded once their signature is verified; policies are not evaluated for them.
    pub delegate: Option<String>,
}

/// The network that connects instances, load balancers and databases.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum NetworkChoice {
    /// Network namespaces where the kernel allows them, else the loopback interface. [`Status`](crate::Status) contains the
    /// reason for the latter.
    #[default]
    Auto,
    /// Network namespaces: private addresses from the declared ranges, and rules that the kernel enforces. The cloud
    /// fails to start if the kernel forbids them.
    Namespaces,
    /// The loopback interface of this machine. Nothing enforces security groups between two instances.
    Loopback,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            directory: PathBuf::new(),
            account: None,
            port: None,
            time_scale: 1.0,
            enforce_iam: false,
            access_keys: Vec::new(),
            accept_any_key: false,
            unconfined: false,
            network: NetworkChoice::default(),
            control_plane_only: false,
            delegate: None,
        }
    }
}

impl Options {
    /// Returns the host and the port of the delegate.
    pub(crate) fn delegate(&self) -> Result<Option<Authority>, StartError> {
        let Some(url) = &self.delegate else { return Ok(None) };
        let parsed: Option<Uri> = url.parse().ok();
        let is_root = |uri: &Uri| uri.path() == "/" && uri.query().is_none();
        let plain = parsed.filter(|uri| uri.scheme_str() == Some("http") && is_root(uri));
        let authority = plain.and_then(|uri| uri.authority().cloned());
        authority.map(Some).ok_or_else(|| StartError::Delegate { url: url.clone() })
    }

    /// Returns the default options for a cloud in this directory.
    pub fn new(directory: impl Into<PathBuf>) -> Options {
        Options { directory: directory.into(), ..Options::default() }
    }

    /// Returns the options that are recorded in `<directory>/options.json`, or the default options if there is no such
    /// file.
    pub fn remembered(directory: impl Into<PathBuf>) -> io::Result<Options> {
        let directory = directory.into();
        let path = directory.join(FILE);
        let Some(text) = files::read(&path)? else { return Ok(Options::new(directory)) };
        let options: Options = serde_json::from_slice(&text).map_err(|error| {
            let message = format!("{} cannot be read: {error}; mend it or remove it", path.display());
            io::Error::new(io::ErrorKind::InvalidData, message)
        })?;
        Ok(Options { directory, ..options })
    }

    /// Writes `<directory>/options.json`; the directory must exist.
    pub fn remember(&self) -> io::Result<()> {
        write_private(&self.directory.join(FILE), &serde_json::to_vec_pretty(self)?)
    }
}

/// Parses a list of keys, or the single optional key of earlier versions.
fn any_number<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<Credentials>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Keys {
        Many(Vec<Credentials>),
        One(Option<Credentials>),
    }
    Ok(match Keys::deserialize(deserializer)? {
        Keys::Many(keys) => keys,
        Keys::One(key) => key.into_iter().collect(),
    })
}

/// Name of the file with the recorded options.
pub(crate) const FILE: &str = "options.json";

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn options_are_recorded_and_secrets_are_not_printed() {
        let directory = tempfile::tempdir().unwrap();
        assert_eq!(Options::remembered(directory.path()).unwrap(), Options::new(directory.path()));
        let credentials = Credentials { access_key_id: "AK".to_owned(), secret_access_key: "hidden".to_owned() };
        let options = Options { time_scale: 30.0, access_keys: vec![credentials], ..Options::new(directory.path()) };
        options.remember().unwrap();
        assert_eq!(Options::remembered(directory.path()).unwrap(), options);
        assert!(!format!("{options:?}").contains("hidden"));
        for (text, keys) in [
            (r#"{"credentials": null}"#, 0),
            (r#"{"credentials": {"access_key_id": "A", "secret_access_key": "S"}}"#, 1),
        ] {
            std::fs::write(directory.path().join(FILE), text).unwrap();
            assert_eq!(Options::remembered(directory.path()).unwrap().access_keys.len(), keys);
        }
        std::fs::write(directory.path().join(FILE), r#"{"speed": 3}"#).unwrap();
        assert!(Options::remembered(directory.path()).unwrap_err().to_string().contains("unknown field `speed`"));
    }
}
