//! The access key and the administration token that each local cloud generates.
//!
//! The cloud runs programs with the rights of the user who started it. Its clients therefore have to prove that they
//! can read the cloud's directory: AWS requests are signed with the key in `<directory>/credentials.json` (mode 0600),
//! and requests below `/_infra/` contain the token from the same file.

use std::io;
use std::path::Path;

use serde::{Deserialize, Serialize};
use subtle::ConstantTimeEq as _;

use crate::access::Credentials;
use crate::model::ids;
use crate::state::files;
use crate::state::files::write_private;

/// Name of the file in the cloud's directory.
pub(crate) const FILE: &str = "credentials.json";

/// Returns the root access key of the cloud in a directory, whether or not the cloud runs.
///
/// # Errors
/// `NotFound` when no cloud has been started there; `InvalidData` when the file is damaged.
pub fn credentials(directory: &Path) -> io::Result<Credentials> {
    Ok(Generated::read(directory)?.key)
}

/// Content of `<directory>/credentials.json`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Generated {
    /// Key of the account's root user.
    #[serde(flatten)]
    pub(crate) key: Credentials,
    /// Bearer token of the paths below `/_infra/`.
    pub(crate) token: String,
}

impl Generated {
    /// Reads the file.
    pub(crate) fn read(directory: &Path) -> io::Result<Generated> {
        let path = directory.join(FILE);
        let text = files::read(&path)?.ok_or(io::ErrorKind::NotFound)?;
        serde_json::from_slice(&text).map_err(|error| {
            let path = path.display();
            let message = format!("{path} is damaged: {error}; delete it, and the next start generates new keys");
            io::Error::new(io::ErrorKind::InvalidData, message)
        })
    }

    /// Reads the file, or generates its content at the first start. The directory must exist.
    pub(crate) fn ensure(directory: &Path) -> io::Result<Generated> {
        match Generated::read(directory) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                let generated = Generated::random();
                write_private(&directory.join(FILE), &serde_json::to_vec_pretty(&generated)?)?;
                Ok(generated)
            }
            read => read,
        }
    }

    fn random() -> Generated {
        let access_key_id = format!("AKIAROOT{}", ids::random_hex(12).to_uppercase());
        let key = Credentials { access_key_id, secret_access_key: ids::secret_key() };
        Generated { key, token: ids::secret_key() }
    }
}

/// The administration token of a cloud. The time of a comparison does not depend on the token, to prevent timing
/// attacks.
#[derive(Clone)]
pub(crate) struct Token(String);

impl Token {
    pub(crate) fn new(token: String) -> Token {
        Token(token)
    }

    /// Returns whether the value of an `Authorization` header contains this token.
    pub(crate) fn admits(&self, authorization: &[u8]) -> bool {
        authorization.strip_prefix(b"Bearer ").is_some_and(|given| given.ct_eq(self.0.as_bytes()).into())
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    #[test]
    fn each_directory_has_its_own_key_which_only_its_owner_can_read() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        assert_eq!(credentials(one.path()).unwrap_err().kind(), io::ErrorKind::NotFound);
        let generated = Generated::ensure(one.path()).unwrap();
        assert!(Generated::ensure(one.path()).unwrap() == generated);
        assert!(Generated::ensure(other.path()).unwrap() != generated);
        assert_eq!(credentials(one.path()).unwrap(), generated.key);
        assert_eq!(generated.key.secret_access_key.len(), 40);
        let mode = std::fs::metadata(one.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!format!("{:?}", generated.key).contains(&generated.key.secret_access_key));
    }

    #[test]
    fn a_damaged_file_is_not_replaced() {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join(FILE), "{").unwrap();
        let error = Generated::ensure(directory.path()).err().unwrap();
        assert!(error.to_string().contains("is damaged"), "{error}");
    }

    #[test]
    fn only_the_exact_token_is_admitted() {
        let token = Token::new("abc".to_owned());
        assert!(token.admits(b"Bearer abc"));
        for wrong in [&b"Bearer abcd"[..], b"Bearer ab", b"Bearer ", b"abc", b"bearer abc", b""] {
            assert!(!token.admits(wrong));
        }
    }
}
