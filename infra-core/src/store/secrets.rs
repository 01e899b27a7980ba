//! The keys that encrypt the secrets of a store.
//!
//! - [`DataKey`]: encrypts secrets; [`KeyRing`]: the current key, and the one that is being retired
//! - [`KeyDocument`]: the stored form of a ring, with wrapped keys
//! - [`Unlock`] and [`Wrapping`]: unwrap and wrap a document, with a passphrase or a key of a key service
//! - [`KeyedStore`]: the operations of a store that [`rotate`], [`rewrap`] and [`key_status`] need
//! - `files`: a document in a file, a store of files

mod document;
mod files;
mod keys;
mod rotation;
#[cfg(test)]
mod tests;
mod wrapping;

pub use document::{KeyDocument, Opened};
pub use keys::Keys;
pub use rotation::{KeyStatus, KeyedStore, Rotation, RotationError, key_status, rewrap, rotate};
pub use wrapping::{Kdf, KeyWrapper, Passphrase, Unlock, WrapperFactory, Wrapping};

pub(super) use rotation::{check_key_is_not_lost, key_of_first_secret, reseal};

use crate::value::{Seal, SealError};
use base64::{Engine, engine::general_purpose::STANDARD_NO_PAD as BASE64};
use chacha20poly1305::{
    KeyInit, XChaCha20Poly1305, XNonce,
    aead::{Aead, Key, Payload},
};
use sha2::{Digest, Sha256};
use std::{fmt, io, path::PathBuf};
use zeroize::Zeroizing;

/// A data key: 256 bits, for XChaCha20-Poly1305 with a random nonce for each secret (RFC 8439 and
/// draft-irtf-cfrg-xchacha). Wiped from memory when it is dropped.
///
/// Encrypted texts begin with the id of their key, so that two keys can be in use at once.
pub struct DataKey {
    id: String,
    // On the heap, so that moving the key leaves no copy behind.
    bytes: Box<Zeroizing<[u8; 32]>>,
}

/// The current key, which encrypts, and the previous one, which still decrypts during a rotation.
#[derive(Clone)]
pub struct KeyRing {
    current: DataKey,
    retiring: Option<DataKey>,
}

/// A key that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// The file cannot be read or created.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        error: io::Error,
    },
    /// Other users can read the file.
    #[error("{} can be read by other users (mode {mode:o})", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Its mode.
        mode: u32,
    },
    /// The text is not a key document.
    #[error("{place} is not a valid key document: {reason}")]
    Malformed {
        /// File or URL of the document.
        place: String,
        /// The problem.
        reason: String,
    },
    /// A newer version wrote the document.
    #[error("{place} has format {found}, and this version reads up to {}", document::VERSION)]
    Newer {
        /// File or URL of the document.
        place: String,
        /// Its format.
        found: u64,
    },
    /// The key is wrapped by a passphrase, and no passphrase is set.
    #[error("the key in {place} is wrapped by a passphrase, and no passphrase is set")]
    NoPassphrase {
        /// File or URL of the document.
        place: String,
    },
    /// There is no key, and the store does not create one that is readable without a passphrase.
    #[error("there is no key in {place} yet, and no passphrase is set to wrap a new one")]
    Unprotected {
        /// File or URL of the missing document.
        place: String,
    },
    /// The passphrase is wrong, or the document was changed.
    #[error("the passphrase does not unwrap the key in {place}")]
    WrongPassphrase {
        /// File or URL of the document.
        place: String,
    },
    /// The passphrase is empty.
    #[error("the passphrase is empty")]
    EmptyPassphrase,
    /// The passphrase can be guessed.
    #[error(
        "the passphrase is too weak: it needs at least {} characters, {} of them different",
        wrapping::LEAST_CHARACTERS,
        wrapping::LEAST_DIFFERENT
    )]
    WeakPassphrase,
    /// The key document is missing while the store holds secrets.
    #[error("{place} is missing, and {sealed_in} contains secrets that are encrypted with its key {id}")]
    Missing {
        /// Place of the key document.
        place: String,
        /// The first file or object with an encrypted secret.
        sealed_in: String,
        /// Id of the key that the secret is encrypted with.
        id: String,
    },
    /// This binary does not support the key service.
    #[error("the key is wrapped by `{url}`, and this binary does not support `{}`", wrapping::scheme_of(url))]
    NoWrapper {
        /// URL of the wrapping key.
        url: String,
    },
    /// The key service refused the request.
    #[error("{wrapper} refused: {reason}")]
    Wrapper {
        /// Description of the wrapping key.
        wrapper: String,
        /// The cause.
        reason: String,
    },
    /// The unwrapped key does not have the id in the document.
    #[error("the key in {place} does not match its id `{id}`: the document was changed")]
    Mismatch {
        /// File or URL of the document.
        place: String,
        /// The id.
        id: String,
    },
    /// Another process replaced the document in between.
    #[error("{place} was changed by another process at the same time; nothing was written")]
    Changed {
        /// File or URL of the document.
        place: String,
    },
    /// The operating system returned no random bytes.
    #[error("the operating system returned no random bytes: {0}")]
    Randomness(getrandom::Error),
    /// A key could not be wrapped.
    #[error("the key could not be sealed")]
    Seal,
}

impl KeyError {
    /// Returns the hint.
    pub fn hint(&self) -> Option<String> {
        let lost = "restore it from a copy: without it, the secrets in the states are lost";
        Some(match self {
            Self::Open { path, .. } => format!("run `chmod 600 {}`", path.display()),
            Self::Malformed { .. } | Self::Mismatch { .. } => format!("nothing was changed; {lost}"),
            Self::Newer { .. } => "use the version that wrote it, or a newer one".into(),
            Self::NoPassphrase { .. } => {
                "set INFRA_PASSPHRASE or INFRA_PASSPHRASE_FILE, or run the command at a terminal".into()
            }
            Self::Unprotected { .. } => {
                "set INFRA_PASSPHRASE or INFRA_PASSPHRASE_FILE, or run `secrets rewrap --kms ARN` first".into()
            }
            Self::WrongPassphrase { .. } => format!(
                "nothing was changed; check INFRA_PASSPHRASE and INFRA_PASSPHRASE_FILE; if the passphrase is \
                 correct, the document was changed: {lost}"
            ),
            Self::EmptyPassphrase => "choose a passphrase of several words".into(),
            Self::WeakPassphrase => {
                "nothing was changed; choose a passphrase of several words, with `secrets rewrap --passphrase`".into()
            }
            Self::Missing { .. } => format!(
                "nothing was changed, and no new key was created; {lost}. Copies of states and configurations do not \
                 contain the key"
            ),
            Self::NoWrapper { .. } => "use a binary that adds this key service with `Cli::wrapper`".into(),
            Self::Wrapper { .. } => "nothing was changed; check the credentials and the policy of the key".into(),
            Self::Changed { .. } => "run the command again".into(),
            Self::Io { .. } => "check that the file exists and that this user may read and write it".into(),
            Self::Randomness(_) | Self::Seal => return None,
        })
    }
}

impl DataKey {
    /// Creates a random key.
    pub fn random() -> Result<Self, KeyError> {
        let mut bytes = Box::new(Zeroizing::new([0; 32]));
        getrandom::fill(bytes.as_mut_slice()).map_err(KeyError::Randomness)?;
        Ok(Self::of(bytes))
    }

    /// Converts 32 bytes to a key.
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        let mut own = Box::new(Zeroizing::new([0; 32]));
        if bytes.len() != own.len() {
            return None;
        }
        own.copy_from_slice(bytes);
        Some(Self::of(own))
    }

    /// Returns the id of the key: eight hexadecimal digits that reveal nothing about it.
    pub fn id(&self) -> &str {
        &self.id
    }

    fn of(bytes: Box<Zeroizing<[u8; 32]>>) -> Self {
        let digest = Sha256::new().chain_update(b"infra data key id").chain_update(bytes.as_slice()).finalize();
        Self { id: hex::encode(&digest[..4]), bytes }
    }

    fn bytes(&self) -> &[u8] {
        self.bytes.as_slice()
    }

    /// Encrypts with a random nonce, which precedes the ciphertext. Decryption requires the same `about`.
    fn encrypt(&self, plain: &[u8], about: &[u8]) -> Result<Vec<u8>, SealError> {
        let mut nonce = [0; 24];
        getrandom::fill(&mut nonce).map_err(|_| SealError)?;
        let payload = Payload { msg: plain, aad: about };
        let sealed = self.cipher().encrypt(XNonce::from_slice(&nonce), payload).map_err(|_| SealError)?;
        Ok([&nonce[..], &sealed].concat())
    }

    fn decrypt(&self, sealed: &[u8], about: &[u8]) -> Result<Zeroizing<Vec<u8>>, SealError> {
        let (nonce, sealed) = sealed.split_at_checked(24).ok_or(SealError)?;
        let payload = Payload { msg: sealed, aad: about };
        let plain = self.cipher().decrypt(XNonce::from_slice(nonce), payload).map_err(|_| SealError)?;
        Ok(Zeroizing::new(plain))
    }

    fn cipher(&self) -> XChaCha20Poly1305 {
        XChaCha20Poly1305::new(Key::<XChaCha20Poly1305>::from_slice(self.bytes()))
    }

    fn unseal_bytes(&self, sealed: &str) -> Result<String, SealError> {
        let plain = self.decrypt(&BASE64.decode(sealed).map_err(|_| SealError)?, b"")?;
        std::str::from_utf8(&plain).map(str::to_owned).map_err(|_| SealError)
    }
}

impl Seal for DataKey {
    fn seal(&self, plain: &str) -> Result<String, SealError> {
        Ok(format!("{}:{}", self.id, BASE64.encode(self.encrypt(plain.as_bytes(), b"")?)))
    }

    fn unseal(&self, sealed: &str) -> Result<String, SealError> {
        match sealed.split_once(':') {
            Some((id, sealed)) if id == self.id => self.unseal_bytes(sealed),
            Some(_) => Err(SealError),
            // The first versions did not name the key.
            None => self.unseal_bytes(sealed),
        }
    }
}

impl KeyRing {
    /// Creates a ring with one key.
    pub fn of(current: DataKey) -> Self {
        Self { current, retiring: None }
    }

    /// Returns the key that encrypts.
    pub fn current(&self) -> &DataKey {
        &self.current
    }

    /// Returns the key that only decrypts.
    pub fn retiring(&self) -> Option<&DataKey> {
        self.retiring.as_ref()
    }

    /// Returns `true` if this text was encrypted with the current key.
    fn is_current(&self, sealed: &str) -> bool {
        sealed.split_once(':').is_some_and(|(id, _)| id == self.current.id)
    }
}

impl Seal for KeyRing {
    fn seal(&self, plain: &str) -> Result<String, SealError> {
        self.current.seal(plain)
    }

    fn unseal(&self, sealed: &str) -> Result<String, SealError> {
        let mut keys = std::iter::once(&self.current).chain(&self.retiring);
        keys.find_map(|key| key.unseal(sealed).ok()).ok_or(SealError)
    }
}

impl Clone for DataKey {
    fn clone(&self) -> Self {
        Self { id: self.id.clone(), bytes: self.bytes.clone() }
    }
}

impl fmt::Debug for DataKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "DataKey({})", self.id)
    }
}

impl fmt::Debug for KeyRing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyRing").field("current", &self.current).field("retiring", &self.retiring).finish()
    }
}
