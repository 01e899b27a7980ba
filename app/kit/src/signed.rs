//! Signed texts, such as cookies and tokens, with the key of `SECRET_KEY`.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `SECRET_KEY` | required | signs cookies and tokens; at least 32 bytes, the same for all instances |
//!
//! A signed text is `<base64 of JSON>.<base64 of HMAC-SHA-256>`. It is not encrypted. It expires, and is valid only for the
//! purpose that it was signed for, so a cookie is not a token. Another key invalidates all signed texts.

use std::{
    sync::Arc,
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, Mac};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use sha2::Sha256;

use crate::settings::Variables;

/// Minimum length of the key, in bytes.
const MIN_BYTES: usize = 32;
/// Maximum length of a signed text, in bytes: that of a cookie.
const MAX_TEXT: usize = 4096;

/// Error of the key's setting. No variant contains the key.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum SigningKeyError {
    /// The variable is not set. There is no default, which would be known to everyone.
    #[error("SECRET_KEY is not set; set it to at least 32 random bytes, such as the output of `openssl rand -hex 32`")]
    NotSet,
    /// The key could be guessed.
    #[error("SECRET_KEY has {0} bytes; at least 32 are needed, such as the output of `openssl rand -hex 32`")]
    TooShort(usize),
}

/// Key that signs and verifies. It has no `Debug`, since it is a secret.
#[derive(Clone)]
pub struct SigningKey(Arc<[u8]>);

/// Content with the time of its expiry, in seconds since 1970.
#[derive(Serialize, Deserialize)]
struct Expiring<T> {
    exp: u64,
    content: T,
}

impl SigningKey {
    /// Reads `SECRET_KEY`.
    ///
    /// # Errors
    /// [`SigningKeyError`] if it is not set or too short.
    pub fn from(variables: Variables) -> Result<Self, SigningKeyError> {
        let key = variables("SECRET_KEY").ok_or(SigningKeyError::NotSet)?;
        if key.len() < MIN_BYTES {
            return Err(SigningKeyError::TooShort(key.len()));
        }
        Ok(Self(key.into_bytes().into()))
    }

    /// Signs content for a purpose and a lifetime.
    ///
    /// # Errors
    /// The error of the content's serialisation.
    pub fn sign<T: Serialize>(
        &self,
        purpose: &str,
        content: T,
        lifetime: Duration,
    ) -> Result<String, serde_json::Error> {
        self.sign_until(purpose, content, now() + lifetime.as_secs())
    }

    fn sign_until<T: Serialize>(&self, purpose: &str, content: T, exp: u64) -> Result<String, serde_json::Error> {
        let payload = URL_SAFE_NO_PAD.encode(serde_json::to_vec(&Expiring { exp, content })?);
        let signature = URL_SAFE_NO_PAD.encode(self.mac(purpose, &payload).finalize().into_bytes());
        Ok(format!("{payload}.{signature}"))
    }

    /// Returns the content of a text that this key has signed for the purpose, unless it has expired.
    pub fn verify<T: DeserializeOwned>(&self, purpose: &str, text: &str) -> Option<T> {
        let (payload, signature) = text.split_once('.').filter(|_| text.len() <= MAX_TEXT)?;
        let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
        self.mac(purpose, payload).verify_slice(&signature).ok()?;
        let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
        let Expiring { exp, content } = serde_json::from_slice(&payload).ok()?;
        (now() < exp).then_some(content)
    }

    fn mac(&self, purpose: &str, payload: &str) -> Hmac<Sha256> {
        let mac = <Hmac<Sha256> as Mac>::new_from_slice(&self.0).expect("an HMAC's key may have any length");
        // No payload contains the separator.
        mac.chain_update(purpose).chain_update([0]).chain_update(payload)
    }
}

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn key(text: &str) -> Result<SigningKey, SigningKeyError> {
        SigningKey::from(&|_| Some(text.to_owned()))
    }

    #[test]
    fn only_a_long_key_is_accepted() {
        assert_eq!(SigningKey::from(&|_| None).err(), Some(SigningKeyError::NotSet));
        assert_eq!(key("").err(), Some(SigningKeyError::TooShort(0)));
        assert_eq!(key(&"x".repeat(31)).err(), Some(SigningKeyError::TooShort(31)));
        assert!(key(&"x".repeat(32)).is_ok());
    }

    #[test]
    fn a_text_is_valid_for_its_key_purpose_and_lifetime() {
        let (one, other) = (key(&"a".repeat(32)).unwrap(), key(&"b".repeat(32)).unwrap());
        let text = one.sign("session", 7, Duration::from_mins(1)).unwrap();
        assert_eq!(one.verify("session", &text), Some(7));
        assert_eq!(other.verify::<i32>("session", &text), None);
        assert_eq!(one.verify::<i32>("token", &text), None);
        assert_eq!(one.verify::<String>("session", &text), None, "content of another type");
        let expired = one.sign_until("session", 7, now()).unwrap();
        assert_eq!(one.verify::<i32>("session", &expired), None);
    }

    #[test]
    fn changed_texts_are_refused() {
        let key = key(&"a".repeat(32)).unwrap();
        let text = key.sign("session", 7, Duration::from_mins(1)).unwrap();
        let (payload, signature) = text.split_once('.').unwrap();
        let forged = URL_SAFE_NO_PAD.encode(br#"{"exp":99999999999,"content":8}"#);
        let long = "x".repeat(5000);
        for wrong in ["", ".", "é.é", payload, &format!("{forged}.{signature}"), &format!("{payload}."), &long] {
            assert_eq!(key.verify::<i32>("session", wrong), None, "{wrong}");
        }
        for at in 0..text.len() {
            let mut bytes = text.clone().into_bytes();
            bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
            let changed = String::from_utf8(bytes).unwrap();
            // The last character of a base64 text may contain unused bits, which the decoder refuses unless they are zero.
            assert_eq!(key.verify::<i32>("session", &changed), None, "{changed}");
        }
    }
}
