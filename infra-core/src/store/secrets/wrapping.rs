//! The keys and passphrases that wrap the keys of a store.

use super::KeyError;
use async_trait::async_trait;
use std::{
    collections::{BTreeMap, BTreeSet},
    fmt,
    sync::Arc,
};
use zeroize::Zeroizing;

/// A passphrase. It is wiped from memory when it is dropped, and never printed.
#[derive(Clone)]
pub struct Passphrase(Zeroizing<String>);

/// A key that wraps data keys and never leaves its key service.
#[async_trait]
pub trait KeyWrapper: Send + Sync {
    /// Returns the URL of the key, such as `awskms://arn:aws:kms:…`. The document contains it, and the
    /// [`WrapperFactory`] of its scheme creates an equal wrapper from it.
    fn url(&self) -> String;

    /// Returns a description of the key for people.
    fn describe(&self) -> String;

    /// Encrypts a data key. The result is printable.
    async fn wrap(&self, key: &[u8]) -> Result<String, KeyError>;

    /// Decrypts the result of [`KeyWrapper::wrap`].
    async fn unwrap(&self, wrapped: &str) -> Result<Zeroizing<Vec<u8>>, KeyError>;
}

/// A function that creates the wrapper for a URL, without calling the key service.
pub type WrapperFactory = Arc<dyn Fn(&str) -> Result<Arc<dyn KeyWrapper>, KeyError> + Send + Sync>;

/// Requirements for a new passphrase: argon2id makes guesses expensive, not impossible. An existing passphrase that is
/// weaker still unlocks.
pub(super) const LEAST_CHARACTERS: usize = 12;
pub(super) const LEAST_DIFFERENT: usize = 5;

type AskPassphrase = dyn Fn() -> Result<Option<Passphrase>, KeyError> + Send + Sync;

/// The passphrase and the key services that open key documents.
#[derive(Clone, Default)]
pub struct Unlock {
    passphrase: Option<Arc<AskPassphrase>>,
    wrappers: BTreeMap<String, WrapperFactory>,
}

/// The wrapping of the keys in a document.
#[derive(Clone)]
pub enum Wrapping {
    /// No wrapping: every reader of the document has the keys.
    Plain,
    /// A passphrase, from which a key is derived at this cost.
    Passphrase(Passphrase, Kdf),
    /// A key of a key service.
    Key(Arc<dyn KeyWrapper>),
}

/// The cost of deriving a key: argon2id's parameters.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Kdf {
    /// Memory, in KiB.
    pub memory_kib: u32,
    /// Number of passes over the memory.
    pub iterations: u32,
    /// Number of lanes.
    pub lanes: u32,
}

impl Default for Kdf {
    /// Returns the recommendation of RFC 9106 for limited memory: 64 MiB, 3 iterations, 4 lanes.
    fn default() -> Self {
        Self { memory_kib: 64 * 1024, iterations: 3, lanes: 4 }
    }
}

impl Passphrase {
    /// Returns the passphrase.
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
    /// Sets the passphrase.
    pub fn passphrase(self, passphrase: impl Into<Passphrase>) -> Self {
        let passphrase = passphrase.into();
        self.ask(move || Ok(Some(passphrase.clone())))
    }

    /// Sets the function that asks for the passphrase of a document. It returns `None` if the passphrase is unknown.
    pub fn ask(mut self, ask: impl Fn() -> Result<Option<Passphrase>, KeyError> + Send + Sync + 'static) -> Self {
        self.passphrase = Some(Arc::new(ask));
        self
    }

    /// Adds the key service for URLs with this scheme, such as `awskms`.
    pub fn wrapper(mut self, scheme: impl Into<String>, factory: WrapperFactory) -> Self {
        self.wrappers.insert(scheme.into(), factory);
        self
    }

    /// Returns the wrapper for a URL.
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

impl Wrapping {
    /// Refuses a weak passphrase. Called when a key is wrapped, not when it is unwrapped.
    pub(in crate::store) fn check_strength(&self) -> Result<(), KeyError> {
        match self {
            Self::Passphrase(passphrase, _) if !passphrase.is_strong() => Err(KeyError::WeakPassphrase),
            _ => Ok(()),
        }
    }

    /// Describes the wrapping for people.
    pub fn describe(&self) -> String {
        match self {
            Self::Plain => "nothing".into(),
            Self::Passphrase(..) => "a passphrase".into(),
            Self::Key(wrapper) => wrapper.describe(),
        }
    }
}

/// Returns the scheme of a URL: `awskms` for `awskms://arn:…`.
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
