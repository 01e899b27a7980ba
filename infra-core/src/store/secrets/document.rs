//! Key documents: the format of a key ring.
//!
//! ```json
//! {"key": 1, "wrapped_by": "passphrase",
//!  "kdf": {"algorithm": "argon2id", "memory_kib": 65536, "iterations": 3, "lanes": 4, "salt": "<base64>"},
//!  "current": {"id": "1f3a9c02", "sealed": "<base64>"}, "retiring": {"id": "…", "sealed": "…"}}
//! ```
//!
//! `wrapped_by` is one of:
//!
//! - `nothing`: `plain` replaces `sealed` and contains the key as 64 hexadecimal digits.
//! - `passphrase`: `sealed` is a nonce and an XChaCha20-Poly1305 ciphertext bound to the key's id. Argon2id (RFC 9106)
//!   derives the encryption key from the passphrase.
//! - the URL of a key such as `awskms://arn:aws:kms:…`: `sealed` is the response of the key service.
//!
//! `retiring` exists during a rotation. Documents of the first versions consist of 64 hexadecimal digits; they are still
//! read.

use super::{BASE64, DataKey, Kdf, KeyError, KeyRing, Passphrase, Unlock, Wrapping};
use argon2::{Algorithm, Argon2, Params, Version};
use base64::Engine;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};
use zeroize::{Zeroize, Zeroizing};

/// The format of key documents that this version writes.
pub(super) const VERSION: u64 = 1;

const NOTHING: &str = "nothing";
const PASSPHRASE: &str = "passphrase";

/// A text with wrapped keys, which a store keeps beside its states.
#[derive(Clone)]
pub struct KeyDocument {
    place: String,
    text: Zeroizing<String>,
    parsed: Arc<Document>,
}

/// The keys in a document and their wrapping.
#[derive(Debug)]
pub struct Opened {
    /// The keys.
    pub ring: Arc<KeyRing>,
    /// The wrapping of the keys.
    pub wrapping: Wrapping,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    key: u64,
    wrapped_by: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    kdf: Option<StoredKdf>,
    current: StoredKey,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    retiring: Option<StoredKey>,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKdf {
    algorithm: String,
    memory_kib: u32,
    iterations: u32,
    lanes: u32,
    salt: String,
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct StoredKey {
    id: String,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    plain: Option<String>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    sealed: Option<String>,
}

impl Drop for StoredKey {
    fn drop(&mut self) {
        self.plain.zeroize();
    }
}

impl PartialEq for KeyDocument {
    fn eq(&self, other: &Self) -> bool {
        self.text == other.text
    }
}

impl KeyDocument {
    /// Parses the text of a document. `place` is its file or URL.
    pub fn parse(text: impl Into<String>, place: impl Into<String>) -> Result<Self, KeyError> {
        let (text, place) = (Zeroizing::new(text.into()), place.into());
        let malformed = |reason: String| KeyError::Malformed { place: place.clone(), reason };
        let parsed = if text.trim_start().starts_with('{') {
            #[derive(Deserialize)]
            struct Format {
                key: u64,
            }
            // Reads the version first, because a newer document may have any other content.
            let Format { key } = serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?;
            if key > VERSION {
                return Err(KeyError::Newer { place, found: key });
            }
            serde_json::from_str(&text).map_err(|error| malformed(error.to_string()))?
        } else {
            let key = of_hex(text.trim())
                .ok_or_else(|| malformed("expected JSON, or the 64 hexadecimal digits of the first versions".into()))?;
            Document { key: VERSION, wrapped_by: NOTHING.into(), kdf: None, current: plain(&key), retiring: None }
        };
        Ok(Self { place, text, parsed: Arc::new(parsed) })
    }

    /// Wraps a ring and returns the document.
    pub async fn close(ring: &KeyRing, wrapping: &Wrapping, place: impl Into<String>) -> Result<Self, KeyError> {
        let (kdf, wrapper) = match wrapping {
            Wrapping::Passphrase(passphrase, cost) => {
                if passphrase.as_str().is_empty() {
                    return Err(KeyError::EmptyPassphrase);
                }
                let mut salt = [0; 16];
                getrandom::fill(&mut salt).map_err(KeyError::Randomness)?;
                (Some(StoredKdf::new(*cost, &salt)), Some(stretch(passphrase, *cost, &salt)?))
            }
            _ => (None, None),
        };
        let wrap = async |key: &DataKey| {
            Ok(match (wrapping, &wrapper) {
                (Wrapping::Plain, _) => plain(key),
                (Wrapping::Key(service), _) => sealed(key, service.wrap(key.bytes()).await?),
                (Wrapping::Passphrase(..), wrapper) => {
                    let wrapper = wrapper.as_ref().ok_or(KeyError::Seal)?;
                    let bytes = wrapper.encrypt(key.bytes(), &about(key.id())).map_err(|_| KeyError::Seal)?;
                    sealed(key, BASE64.encode(bytes))
                }
            })
        };
        let current = wrap(&ring.current).await?;
        let retiring = match &ring.retiring {
            Some(key) => Some(wrap(key).await?),
            None => None,
        };
        let wrapped_by = match wrapping {
            Wrapping::Plain => NOTHING.to_owned(),
            Wrapping::Passphrase(..) => PASSPHRASE.to_owned(),
            Wrapping::Key(service) => service.url(),
        };
        let parsed = Document { key: VERSION, wrapped_by, kdf, current, retiring };
        let text = serde_json::to_string_pretty(&parsed).map_err(|_| KeyError::Seal)? + "\n";
        Ok(Self { place: place.into(), text: Zeroizing::new(text), parsed: Arc::new(parsed) })
    }

    /// Returns the text of the document. Without a wrapping it contains the keys.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Returns the file or URL of the document.
    pub fn place(&self) -> &str {
        &self.place
    }

    /// Returns the wrapping of the keys: `nothing`, `passphrase`, or the URL of a key.
    pub fn wrapped_by(&self) -> &str {
        &self.parsed.wrapped_by
    }

    /// Returns the id of the current key.
    pub fn current(&self) -> &str {
        &self.parsed.current.id
    }

    /// Returns the id of the key that is being retired.
    pub fn retiring(&self) -> Option<&str> {
        self.parsed.retiring.as_ref().map(|key| key.id.as_str())
    }

    /// Unwraps the keys.
    pub async fn open(&self, unlock: &Unlock) -> Result<Opened, KeyError> {
        let (wrapping, stretched) = match self.wrapped_by() {
            NOTHING => (Wrapping::Plain, None),
            PASSPHRASE => {
                let kdf = self.parsed.kdf.as_ref().ok_or_else(|| self.malformed("it has no `kdf`"))?;
                let (cost, salt) = kdf.checked().map_err(|reason| self.malformed(reason))?;
                let passphrase = unlock.ask_passphrase(&self.place)?;
                let stretched = stretch(&passphrase, cost, &salt)?;
                (Wrapping::Passphrase(passphrase, cost), Some(stretched))
            }
            url if url.contains("://") => (Wrapping::Key(unlock.wrapper_at(url)?), None),
            other => return Err(self.malformed(format!("it is wrapped by `{other}`, which is unknown"))),
        };
        let current = self.unwrap(&self.parsed.current, &wrapping, stretched.as_ref()).await?;
        let retiring = match &self.parsed.retiring {
            Some(stored) => Some(self.unwrap(stored, &wrapping, stretched.as_ref()).await?),
            None => None,
        };
        Ok(Opened { ring: Arc::new(KeyRing { current, retiring }), wrapping })
    }

    async fn unwrap(
        &self,
        stored: &StoredKey,
        wrapping: &Wrapping,
        stretched: Option<&DataKey>,
    ) -> Result<DataKey, KeyError> {
        let sealed = || stored.sealed.as_deref().ok_or_else(|| self.malformed("a key has no `sealed`"));
        let key = match (wrapping, stretched) {
            (Wrapping::Plain, _) => {
                let plain = stored.plain.as_deref().ok_or_else(|| self.malformed("a key has no `plain`"))?;
                of_hex(plain)
            }
            (Wrapping::Key(service), _) => DataKey::from_bytes(&service.unwrap(sealed()?).await?),
            (Wrapping::Passphrase(..), stretched) => {
                let bytes = BASE64.decode(sealed()?).map_err(|_| self.malformed("`sealed` is not base64"))?;
                let wrong = || KeyError::WrongPassphrase { place: self.place.clone() };
                let plain = stretched.and_then(|stretched| stretched.decrypt(&bytes, &about(&stored.id)).ok());
                DataKey::from_bytes(&plain.ok_or_else(wrong)?)
            }
        };
        let key = key.ok_or_else(|| self.malformed("a key does not have 256 bits"))?;
        if key.id() != stored.id {
            return Err(KeyError::Mismatch { place: self.place.clone(), id: stored.id.clone() });
        }
        Ok(key)
    }

    fn malformed(&self, reason: impl Into<String>) -> KeyError {
        KeyError::Malformed { place: self.place.clone(), reason: reason.into() }
    }
}

impl StoredKdf {
    fn new(cost: Kdf, salt: &[u8]) -> Self {
        let Kdf { memory_kib, iterations, lanes } = cost;
        Self { algorithm: "argon2id".into(), memory_kib, iterations, lanes, salt: BASE64.encode(salt) }
    }

    /// Checks the cost and the salt. A document that requires the memory of the whole machine is refused.
    fn checked(&self) -> Result<(Kdf, Vec<u8>), String> {
        const MOST_MEMORY_KIB: u32 = 4 * 1024 * 1024;
        if self.algorithm != "argon2id" {
            return Err(format!("its `kdf` is `{}`, and this version supports only `argon2id`", self.algorithm));
        }
        let fits = self.memory_kib <= MOST_MEMORY_KIB && self.iterations <= 1000 && self.lanes <= 64;
        let cost = Kdf { memory_kib: self.memory_kib, iterations: self.iterations, lanes: self.lanes };
        if !fits || params(cost).is_err() {
            return Err("the parameters of its `kdf` are invalid".into());
        }
        match BASE64.decode(&self.salt) {
            Ok(salt) if (8..=64).contains(&salt.len()) => Ok((cost, salt)),
            _ => Err("the salt of its `kdf` is invalid".into()),
        }
    }
}

fn params(cost: Kdf) -> Result<Params, argon2::Error> {
    Params::new(cost.memory_kib, cost.iterations, cost.lanes, Some(32))
}

/// Derives the key of a passphrase.
fn stretch(passphrase: &Passphrase, cost: Kdf, salt: &[u8]) -> Result<DataKey, KeyError> {
    let mut bytes = Box::new(Zeroizing::new([0; 32]));
    let argon = Argon2::new(Algorithm::Argon2id, Version::V0x13, params(cost).map_err(|_| KeyError::Seal)?);
    argon.hash_password_into(passphrase.as_str().as_bytes(), salt, bytes.as_mut_slice()).map_err(|_| KeyError::Seal)?;
    Ok(DataKey::of(bytes))
}

fn plain(key: &DataKey) -> StoredKey {
    StoredKey { id: key.id().to_owned(), plain: Some(hex::encode(key.bytes())), sealed: None }
}

fn sealed(key: &DataKey, sealed: String) -> StoredKey {
    StoredKey { id: key.id().to_owned(), plain: None, sealed: Some(sealed) }
}

fn of_hex(text: &str) -> Option<DataKey> {
    let mut bytes = Box::new(Zeroizing::new([0; 32]));
    hex::decode_to_slice(text, bytes.as_mut_slice()).ok()?;
    Some(DataKey::of(bytes))
}

fn about(id: &str) -> Vec<u8> {
    format!("infra data key {id}").into_bytes()
}

impl fmt::Debug for KeyDocument {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyDocument")
            .field("place", &self.place)
            .field("wrapped_by", &self.wrapped_by())
            .field("current", &self.current())
            .field("retiring", &self.retiring())
            .finish_non_exhaustive()
    }
}
