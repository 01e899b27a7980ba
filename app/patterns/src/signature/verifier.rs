//! Verification of signatures, in the proxy.

use std::{
    sync::{Mutex, PoisonError},
    time::{Duration, SystemTime},
};

use hmac::Mac;
use kit::settings::{self, SettingError, Variables};

use super::{
    Key, KeyError, MAX_NONCES, Nonce, Signature, Signed, millis,
    nonces::{Insertion, Nonces},
};

/// Reason for which a signature is refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// A header is missing.
    #[error("The request is not signed")]
    Missing,
    /// The signature does not belong to the request.
    #[error("The signature is wrong")]
    Wrong,
    /// The time of the signature differs too much from the time of the proxy, or is before its start.
    #[error("The signature is stale")]
    Stale,
    /// The signature was already used.
    #[error("The signature was already used")]
    Repeated,
    /// The proxy cannot remember more signatures.
    #[error("The proxy has received too many requests; try again shortly")]
    TooMany,
}

/// Error of the settings of a [`Verifier`].
#[derive(Debug, thiserror::Error)]
pub enum VerifierError {
    /// The key is invalid.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// Another setting is invalid.
    #[error(transparent)]
    Setting(#[from] SettingError),
}

/// Verifies signatures, each of which is valid once.
#[derive(Debug)]
pub struct Verifier {
    key: Key,
    skew: u64,
    start: u64,
    nonces: Mutex<Nonces>,
}

impl Verifier {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`VerifierError`] for the first invalid setting.
    pub fn from(variables: Variables) -> Result<Self, VerifierError> {
        let key = Key::from(variables)?;
        let skew = settings::seconds(variables, "SIGNING_SKEW_SECONDS", 30)?;
        Ok(Self::new(key, skew, millis(SystemTime::now())))
    }

    /// Returns a verifier that starts at a time, in milliseconds.
    pub fn new(key: Key, skew: Duration, start: u64) -> Self {
        let skew = u64::try_from(skew.as_millis()).unwrap_or(u64::MAX);
        // A signature of the future is valid until its time plus the skew.
        let nonces = Nonces::new(skew.saturating_mul(2), MAX_NONCES, start);
        Self { key, skew, start, nonces: Mutex::new(nonces) }
    }

    /// Verifies the signature of a request at a time, in milliseconds.
    ///
    /// # Errors
    /// [`SignatureError`] if the request must be refused.
    pub fn verify(&self, signed: Signed, signature: Option<&Signature>, now: u64) -> Result<(), SignatureError> {
        let Signature { time, nonce, signature } = signature.ok_or(SignatureError::Missing)?;
        let time: u64 = time.parse().map_err(|_| SignatureError::Wrong)?;
        let mut bytes = Nonce::default();
        hex::decode_to_slice(nonce, &mut bytes).map_err(|_| SignatureError::Wrong)?;
        let signature = hex::decode(signature).map_err(|_| SignatureError::Wrong)?;
        // The comparison takes the same time for every wrong signature.
        self.key.mac(signed, time, bytes).verify_slice(&signature).map_err(|_| SignatureError::Wrong)?;
        if time.abs_diff(now) > self.skew || time < self.start {
            return Err(SignatureError::Stale);
        }
        // Only now: a request without the key must not fill the memory.
        let inserted = self.nonces.lock().unwrap_or_else(PoisonError::into_inner).insert(bytes, now);
        match inserted {
            Insertion::New => Ok(()),
            Insertion::Repeated => Err(SignatureError::Repeated),
            Insertion::Full => Err(SignatureError::TooMany),
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NOW: u64 = 1_800_000_000_000;
    const SIGNED: Signed = Signed { method: "POST", path: "/fetch_direct", body: b"{}" };

    fn key(text: &str) -> Key {
        Key::from(&|_| Some(text.to_owned())).unwrap()
    }

    fn verifier() -> Verifier {
        Verifier::new(key(&"k".repeat(32)), Duration::from_secs(30), NOW - 100_000)
    }

    fn signature(time: u64) -> Signature {
        key(&"k".repeat(32)).sign_with(SIGNED, time, [7; 16])
    }

    #[test]
    fn a_signature_is_valid_once() {
        let verifier = verifier();
        assert_eq!(verifier.verify(SIGNED, Some(&signature(NOW)), NOW), Ok(()));
        for now in [NOW, NOW + 30_000] {
            assert_eq!(verifier.verify(SIGNED, Some(&signature(NOW)), now), Err(SignatureError::Repeated));
        }
        assert_eq!(verifier.verify(SIGNED, None, NOW), Err(SignatureError::Missing));
    }

    #[test]
    fn a_signature_is_valid_within_the_skew_alone() {
        for (time, expected) in [
            (NOW - 30_000, Ok(())),
            (NOW + 30_000, Ok(())),
            (NOW - 30_001, Err(SignatureError::Stale)),
            (NOW + 30_001, Err(SignatureError::Stale)),
            (0, Err(SignatureError::Stale)),
            (u64::MAX, Err(SignatureError::Stale)),
        ] {
            assert_eq!(verifier().verify(SIGNED, Some(&signature(time)), NOW), expected, "{time}");
        }
        let restarted = Verifier::new(key(&"k".repeat(32)), Duration::from_secs(30), NOW + 1);
        assert_eq!(restarted.verify(SIGNED, Some(&signature(NOW)), NOW + 2), Err(SignatureError::Stale));
    }

    #[test]
    fn a_changed_request_is_refused() {
        let valid = signature(NOW);
        for changed in [
            Signed { method: "GET", ..SIGNED },
            Signed { path: "/populate_tables", ..SIGNED },
            Signed { path: "/fetch_direct?", ..SIGNED },
            Signed { body: b"{ }", ..SIGNED },
            Signed { body: b"", ..SIGNED },
        ] {
            assert_eq!(verifier().verify(changed, Some(&valid), NOW), Err(SignatureError::Wrong), "{changed:?}");
        }
        for changed in [
            Signature { time: (NOW + 1).to_string(), ..valid.clone() },
            Signature { time: "now".into(), ..valid.clone() },
            Signature { nonce: "08".repeat(16), ..valid.clone() },
            Signature { nonce: "07".repeat(17), ..valid.clone() },
            Signature { nonce: String::new(), ..valid.clone() },
            Signature { signature: "00".repeat(32), ..valid.clone() },
            Signature { signature: valid.signature[..62].to_owned(), ..valid.clone() },
            Signature { signature: "signature".into(), ..valid.clone() },
            key(&"l".repeat(32)).sign_with(SIGNED, NOW, [7; 16]),
        ] {
            assert_eq!(verifier().verify(SIGNED, Some(&changed), NOW), Err(SignatureError::Wrong), "{changed:?}");
        }
    }

    #[test]
    fn a_short_key_is_refused_and_not_shown() {
        assert_eq!(Key::from(&|_| None).unwrap_err(), KeyError::NotSet);
        assert_eq!(Key::from(&|_| Some(String::new())).unwrap_err(), KeyError::NotSet);
        let error = Key::from(&|_| Some("s3cret".into())).unwrap_err().to_string();
        assert!(error.starts_with("SIGNING_KEY has 6 bytes") && !error.contains("s3cret"), "{error}");
        assert_eq!(format!("{:?}", key(&"s3cret".repeat(6))), "Key(…)");
    }
}
