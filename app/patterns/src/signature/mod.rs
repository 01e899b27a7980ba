//! Signatures of requests between the trusted host and the proxy.
//!
//! A signature is the HMAC-SHA256, under the key that both know, of the version, the method, the path, the SHA-256 of the
//! body, the time and a nonce. The proxy refuses a signature that is wrong, that is older or newer than
//! `SIGNING_SKEW_SECONDS` permits, that was created before the proxy started, or whose nonce it has already seen. So a
//! recorded request cannot be sent again, not even after a restart of the proxy.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `SIGNING_KEY` | required | key of the trusted host and the proxy, at least 32 bytes |
//! | `SIGNING_SKEW_SECONDS` | 30 | permitted difference between the clocks (proxy) |

mod nonces;
mod verifier;

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, Mac};
use kit::settings::Variables;
use sha2::{Digest, Sha256};

pub use nonces::{MAX_NONCES, Nonces};
pub use verifier::{SignatureError, Verifier, VerifierError};

/// Header with the time of the signature, in milliseconds since 1970.
pub const TIME: &str = "x-signature-time";
/// Header with the nonce, in hexadecimal digits.
pub const NONCE: &str = "x-signature-nonce";
/// Header with the signature, in hexadecimal digits.
pub const SIGNATURE: &str = "x-signature";

/// Minimum length of the key, in bytes: that of the hash.
const MIN_KEY_BYTES: usize = 32;

/// Random number that makes a signature unique.
pub type Nonce = [u8; 16];

/// Key of the trusted host and the proxy. Its `Debug` output does not contain it.
#[derive(Clone)]
pub struct Key(Hmac<Sha256>);

/// Error of the setting `SIGNING_KEY`.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum KeyError {
    /// The variable is not set, or empty.
    #[error(
        "SIGNING_KEY is not set; write the same random text of at least {MIN_KEY_BYTES} bytes for the trusted host and the proxy"
    )]
    NotSet,
    /// The key is too short.
    #[error(
        "SIGNING_KEY has {0} bytes; write a random text of at least {MIN_KEY_BYTES} bytes, such as the output of `openssl rand -hex 32`"
    )]
    TooShort(usize),
}

impl std::fmt::Debug for Key {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Key(…)")
    }
}

/// The signed parts of a request.
#[derive(Debug, Clone, Copy)]
pub struct Signed<'a> {
    /// Method, in upper case.
    pub method: &'a str,
    /// Path, with the query if there is one.
    pub path: &'a str,
    /// Body.
    pub body: &'a [u8],
}

/// Values of the headers of a signature.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Signature {
    /// Value of [`TIME`].
    pub time: String,
    /// Value of [`NONCE`].
    pub nonce: String,
    /// Value of [`SIGNATURE`].
    pub signature: String,
}

impl Key {
    /// Reads `SIGNING_KEY`.
    ///
    /// # Errors
    /// [`KeyError`] if it is missing or too short.
    pub fn from(variables: Variables) -> Result<Self, KeyError> {
        let key = variables("SIGNING_KEY").filter(|key| !key.is_empty()).ok_or(KeyError::NotSet)?;
        if key.len() < MIN_KEY_BYTES {
            return Err(KeyError::TooShort(key.len()));
        }
        // An HMAC accepts a key of any length.
        Hmac::new_from_slice(key.as_bytes()).map(Self).map_err(|_| KeyError::TooShort(key.len()))
    }

    /// Signs a request at the current time with a random nonce.
    ///
    /// # Errors
    /// The error of the operating system, if it has no random numbers.
    pub fn sign(&self, signed: Signed) -> Result<Signature, getrandom::Error> {
        let mut nonce = Nonce::default();
        getrandom::fill(&mut nonce)?;
        Ok(self.sign_with(signed, millis(SystemTime::now()), nonce))
    }

    /// Signs a request.
    pub fn sign_with(&self, signed: Signed, time: u64, nonce: Nonce) -> Signature {
        let signature = hex::encode(self.mac(signed, time, nonce).finalize().into_bytes());
        Signature { time: time.to_string(), nonce: hex::encode(nonce), signature }
    }

    /// Returns the HMAC of the lines that are signed. No part contains a newline: an HTTP parser refuses it in a path.
    fn mac(&self, Signed { method, path, body }: Signed, time: u64, nonce: Nonce) -> Hmac<Sha256> {
        let (body, nonce) = (hex::encode(Sha256::digest(body)), hex::encode(nonce));
        let mut mac = self.0.clone();
        mac.update(format!("v1\n{method}\n{path}\n{body}\n{time}\n{nonce}").as_bytes());
        mac
    }
}

/// Returns a time in milliseconds since 1970.
pub fn millis(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}
