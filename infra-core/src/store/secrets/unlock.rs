//! What opens a key document, and what closes it.

use super::{DataKey, Kdf, KeyDocument, KeyError, KeyRing, Opened};
use crate::value::Seal;
use async_trait::async_trait;
use sha2::{Digest, Sha256};
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};
use tokio::sync::Mutex;
use zeroize::Zeroizing;

/// A passphrase; wiped from memory when it is dropped, never shown.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// A key that wraps data keys and that never leaves its key service.
#[async_trait]
pub trait KeyWrapper: Send + Sync {
    /// Names the key, such as `awskms://arn:aws:kms:…`: what stands in the document, and what a [`WrapperFactory`] of
    /// that scheme makes the same wrapper from.
    fn url(&self) -> String;

    /// Names the key for people.
    fn describe(&self) -> String;

    /// Encrypts a data key; the answer is printable.
    async fn wrap(&self, key: &[u8]) -> Result<String, KeyError>;

    /// Decrypts what [`KeyWrapper::wrap`] made.
    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// Makes the wrapper that a URL names. It asks nobody yet.
pub type WrapperFactory = Arc<dyn Fn(&str) -> Result<Arc<dyn KeyWrapper>, KeyError> + Send + Sync>;

/// What a passphrase has to have when it is chosen: argon2id makes guesses expensive, not impossible. An existing one
/// that has less still unlocks.
pub(super) const LEAST_CHARACTERS: usize = 12;
pub(super) const LEAST_DIFFERENT: usize = 5;

type AskPassphrase = dyn Fn() -> Result<Option<Passphrase>, KeyError> + Send + Sync;

/// What may open a key document: a passphrase, and key services.
#[derive(Clone, Default)]
pub struct Unlock {
    passphrase: Option<Arc<AskPassphrase>>,
    wrappers: BTreeMap<String, WrapperFactory>,
}

/// What closes a key document.
#[derive(Clone)]
pub enum Wrapping {
    /// Nothing: whoever reads the document has the key.
    Plain,
    /// A passphrase, stretched at this cost.
    Passphrase(Passphrase, Kdf),
    /// A key of a key service.
    Key(Arc<dyn KeyWrapper>),
}

/// Opens a store's key document, once for as long as the document stays the same.
pub struct Keys {
    unlock: Unlock,
    opened: Mutex<Option<([u8; 32], Arc<Opened>)>>,
}

impl Passphrase {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    fn is_strong(&self) -> bool {
        let different: BTreeSet<char> = self.0.chars().collect();
        self.0.chars().count() >= LEAST_CHARACTERS && different.len() >= LEAST_DIFFERENT
    }
}

impl<T: Into<String>> From<T> for Passphrase {
    fn from(text: T) -> Self {
        Self(Zeroizing::new(text.into()))
    }
}

impl Unlock {
    /// Opens with this passphrase what is wrapped by one.
    pub fn passphrase(self, passphrase: impl Into<Passphrase>) -> Self {
        let passphrase = passphrase.into();
        self.ask(move || Ok(Some(passphrase.clone())))
    }

    /// Asks for the passphrase when something is wrapped by one; `None` when nobody knows it.
    pub fn ask(mut self, ask: impl Fn() -> Result<Option<Passphrase>, KeyError> + Send + Sync + 'static) -> Self {
        self.passphrase = Some(Arc::new(ask));
        self
    }

    /// Opens what is wrapped by keys whose URLs have this scheme, such as `awskms`.
    pub fn wrapper(mut self, scheme: impl Into<String>, factory: WrapperFactory) -> Self {
        self.wrappers.insert(scheme.into(), factory);
        self
    }

    /// The wrapper that a URL names.
    pub fn wrapper_at(&self, url: &str) -> Result<Arc<dyn KeyWrapper>, KeyError> {
        let scheme = url.split_once("://").map_or("", |(scheme, _)| scheme);
        let factory = self.wrappers.get(scheme).ok_or_else(|| KeyError::NoWrapper { url: url.to_owned() })?;
        factory(url)
    }

    pub(in crate::store) fn ask_passphrase(&self, place: &str) -> Result<Passphrase, KeyError> {
        let asked = self.passphrase.as_ref().map_or(Ok(None), |ask| ask())?;
        asked.ok_or_else(|| KeyError::NoPassphrase { place: place.to_owned() })
    }
}

impl Keys {
    /// Nothing opened yet.
    pub fn new(unlock: Unlock) -> Self {
        Self { unlock, opened: Mutex::default() }
    }

    /// What may open documents.
    pub fn unlock(&self) -> &Unlock {
        &self.unlock
    }

    /// The keys in the document. Somebody is asked only when it is not the one that was opened before.
    pub async fn open(&self, document: &KeyDocument) -> Result<Arc<Opened>, KeyError> {
        let fingerprint = fingerprint(document);
        let mut last = self.opened.lock().await;
        match last.as_ref() {
            Some((known, opened)) if *known == fingerprint => Ok(opened.clone()),
            _ => {
                let opened = Arc::new(document.open(&self.unlock).await?);
                *last = Some((fingerprint, opened.clone()));
                Ok(opened)
            }
        }
    }

    /// What opens what is sealed. Without a document nothing is sealed yet, or nothing of it can be opened any more.
    pub(in crate::store) async fn reader(&self, document: Option<&KeyDocument>) -> Result<Arc<dyn Seal>, KeyError> {
        match document {
            Some(document) => Ok(self.open(document).await?.ring.clone()),
            None => Ok(Arc::new(DataKey::random()?)),
        }
    }

    /// Closes a ring, and remembers what is in the document.
    pub(in crate::store) async fn close(
        &self,
        ring: KeyRing,
        wrapping: Wrapping,
        place: &str,
    ) -> Result<(KeyDocument, Arc<Opened>), KeyError> {
        let document = KeyDocument::close(&ring, &wrapping, place).await?;
        let opened = Arc::new(Opened { ring: Arc::new(ring), wrapping });
        *self.opened.lock().await = Some((fingerprint(&document), opened.clone()));
        Ok((document, opened))
    }
}

fn fingerprint(document: &KeyDocument) -> [u8; 32] {
    Sha256::digest(document.text()).into()
}

impl Wrapping {
    /// Refuses a passphrase that can be guessed. To be asked whenever a key is wrapped, not when it is unwrapped.
    pub(in crate::store) fn check_strength(&self) -> Result<(), KeyError> {
        match self {
            Self::Passphrase(passphrase, _) if !passphrase.is_strong() => Err(KeyError::WeakPassphrase),
            _ => Ok(()),
        }
    }

    /// What wraps, for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Plain => "nothing".into(),
            Self::Passphrase(..) => "a passphrase".into(),
            Self::Key(wrapper) => wrapper.describe(),
        }
    }
}

/// `awskms://` of `awskms://arn:…`.
pub(super) fn scheme_of(url: &str) -> String {
    url.split_once("://").map_or_else(|| url.to_owned(), |(scheme, _)| format!("{scheme}://"))
}

impl fmt::Debug for Passphrase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Passphrase([secret])")
    }
}

impl fmt::Debug for Wrapping {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Wrapping({})", self.describe())
    }
}

impl fmt::Debug for Unlock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let asks = self.passphrase.is_some();
        f.debug_struct("Unlock").field("passphrase", &asks).field("wrappers", &self.wrappers.keys()).finish()
    }
}

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("unlock", &self.unlock).finish_non_exhaustive()
    }
}
