//! Rotation of a store's key, and changes of its wrapping.
//!
//! During a rotation the document contains both keys, and each encrypted text names its key. A rotation can stop at any
//! moment: all secrets stay readable, and the next rotation finishes it.

use super::{DataKey, KeyDocument, KeyError, KeyRing, Keys, Wrapping};
use crate::{
    diagnostic::Diagnostic,
    store::{StateStore, StoreError},
    value::Seal,
};
use async_trait::async_trait;

/// A store whose secrets are encrypted with the keys of one document.
///
/// A writer reads the document *after* taking the stack. Once a new document exists, only runs that already hold a
/// stack still encrypt with the previous key.
#[async_trait]
pub trait KeyedStore: StateStore {
    /// Returns the opened keys of the store.
    fn keys(&self) -> &Keys;

    /// Reads the document; `None` if there is none yet.
    async fn key_document(&self) -> Result<Option<KeyDocument>, StoreError>;

    /// Replaces the document atomically, if it is still `was`.
    async fn put_key_document(&self, was: Option<&KeyDocument>, document: &KeyDocument) -> Result<(), StoreError>;

    /// Returns the document and creates it if there is none. Fails if the store contains secrets, because their key is
    /// lost then.
    async fn ensure_key_document(&self) -> Result<KeyDocument, StoreError>;

    /// Returns the first place with an encrypted secret, and the id of its key.
    async fn first_secret(&self) -> Result<Option<(String, String)>, StoreError>;

    /// Returns the file or URL of the document, which may not exist.
    fn key_place(&self) -> String;

    /// Returns the program and stack of all stacks.
    async fn stacks(&self) -> Result<Vec<(String, String)>, StoreError>;

    /// Takes the stack and encrypts all of its secrets with the current key of the ring: states, journal and documents.
    /// Secrets that already use this key stay unchanged.
    async fn reseal(&self, program: &str, stack: &str, ring: &KeyRing) -> Result<(), StoreError>;
}

/// Properties of a store's key that are known without opening it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyStatus {
    /// File or URL of the document.
    pub place: String,
    /// `nothing`, `passphrase`, or the URL of a key.
    pub wrapped_by: String,
    /// Id of the current key.
    pub current: String,
    /// Id of the key that an unfinished rotation is retiring.
    pub retiring: Option<String>,
}

/// A finished rotation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rotation {
    /// Id of the previous key.
    pub from: String,
    /// Id of the current key.
    pub to: String,
    /// Number of stacks that were processed.
    pub stacks: usize,
    /// `true` if it finished an earlier rotation. Then no new key was created.
    pub finished: bool,
}

/// A rotation that did not finish. All secrets are still readable.
#[derive(Debug, thiserror::Error)]
pub enum RotationError {
    /// The key document cannot be read or replaced.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A stack cannot be rewritten.
    #[error("the secrets of the stack `{program}/{stack}` could not be encrypted with the new key: {error}")]
    Stack {
        /// The program.
        program: String,
        /// The stack.
        stack: String,
        /// The cause.
        error: StoreError,
    },
}

impl RotationError {
    /// Returns the message for the user.
    pub fn diagnostic(&self) -> Diagnostic {
        match self {
            Self::Store(error) => error.diagnostic(),
            Self::Stack { .. } => Diagnostic::from_error(self).hint(
                "both keys are kept, so all secrets stay readable; fix the cause and run `secrets rotate` again to \
                 continue",
            ),
        }
    }
}

/// Fails if the store contains secrets but no key document.
pub(in crate::store) async fn check_key_is_not_lost(store: &dyn KeyedStore) -> Result<(), StoreError> {
    match store.first_secret().await? {
        Some((sealed_in, id)) => Err(KeyError::Missing { place: store.key_place(), sealed_in, id }.into()),
        None => Ok(()),
    }
}

/// Returns the status of the store's key; `None` if it has no key.
pub async fn key_status(store: &dyn KeyedStore) -> Result<Option<KeyStatus>, StoreError> {
    Ok(store.key_document().await?.map(|document| KeyStatus {
        place: document.place().to_owned(),
        wrapped_by: document.wrapped_by().to_owned(),
        current: document.current().to_owned(),
        retiring: document.retiring().map(str::to_owned),
    }))
}

/// Creates a new key for the store and encrypts every secret in the store with it. Plans that were saved outside of the
/// store cannot be applied afterwards.
pub async fn rotate(store: &dyn KeyedStore) -> Result<Rotation, RotationError> {
    let was = store.ensure_key_document().await?;
    let place = was.place().to_owned();
    let opened = store.keys().open(&was).await.map_err(StoreError::from)?;
    let finished = opened.ring.retiring.is_some();
    let (document, opened) = if finished {
        (was, opened)
    } else {
        opened.wrapping.check_strength().map_err(StoreError::from)?;
        let ring = KeyRing {
            current: DataKey::random().map_err(StoreError::from)?,
            retiring: Some(opened.ring.current.clone()),
        };
        let next = store.keys().close(ring, opened.wrapping.clone(), &place).await.map_err(StoreError::from)?;
        store.put_key_document(Some(&was), &next.0).await?;
        next
    };
    let stacks = store.stacks().await?;
    for (program, stack) in &stacks {
        store.reseal(program, stack, &opened.ring).await.map_err(|error| {
            let (program, stack) = (program.clone(), stack.clone());
            RotationError::Stack { program, stack, error }
        })?;
    }
    let ring = KeyRing::of(opened.ring.current.clone());
    let last = store.keys().close(ring, opened.wrapping.clone(), &place).await.map_err(StoreError::from)?;
    store.put_key_document(Some(&document), &last.0).await?;
    Ok(Rotation {
        from: document.retiring().unwrap_or_default().to_owned(),
        to: document.current().to_owned(),
        stacks: stacks.len(),
        finished,
    })
}

/// Wraps the store's keys differently, without encrypting any secret again. A copy of the previous document can still
/// be opened with its wrapping: after a passphrase was disclosed, rotate as well.
pub async fn rewrap(store: &dyn KeyedStore, wrapping: Wrapping) -> Result<KeyStatus, StoreError> {
    wrapping.check_strength()?;
    let was = store.key_document().await?;
    let ring = match &was {
        Some(document) => {
            let ring = &store.keys().open(document).await?.ring;
            KeyRing { current: ring.current.clone(), retiring: ring.retiring.clone() }
        }
        None => {
            check_key_is_not_lost(store).await?;
            KeyRing::of(DataKey::random()?)
        }
    };
    let (document, _) = store.keys().close(ring, wrapping.clone(), &store.key_place()).await?;
    if let Wrapping::Key(service) = &wrapping {
        // A key service that wraps and does not unwrap would lose the key.
        let factory = {
            let service = service.clone();
            std::sync::Arc::new(move |_: &str| Ok(service.clone()))
        };
        let scheme = document.wrapped_by().split_once("://").map(|(scheme, _)| scheme.to_owned()).unwrap_or_default();
        document.open(&super::Unlock::default().wrapper(scheme, factory)).await?;
    }
    store.put_key_document(was.as_ref(), &document).await?;
    Ok(KeyStatus {
        place: document.place().to_owned(),
        wrapped_by: document.wrapped_by().to_owned(),
        current: document.current().to_owned(),
        retiring: document.retiring().map(str::to_owned),
    })
}

/// Returns JSON, or lines of JSON, with every secret encrypted with the current key of the ring; `None` if it already
/// is. The rest is unchanged, byte for byte. The error is the number of the line whose secret no key decrypts.
pub(in crate::store) fn reseal(text: &str, ring: &KeyRing) -> Result<Option<String>, usize> {
    let (mut answer, mut copied) = (String::new(), 0);
    for (at, sealed) in sealed_in(text) {
        if ring.is_current(sealed) {
            continue;
        }
        let again = ring.unseal(sealed).and_then(|plain| ring.seal(&zeroize::Zeroizing::new(plain)));
        let again = again.map_err(|_| 1 + text[..at].matches('\n').count())?;
        answer.push_str(&text[copied..at]);
        answer.push_str(&again);
        copied = at + sealed.len();
    }
    if copied == 0 {
        return Ok(None);
    }
    answer.push_str(&text[copied..]);
    Ok(Some(answer))
}

/// Returns the id of the key that the first secret in a text is encrypted with.
pub(in crate::store) fn key_of_first_secret(text: &str) -> Option<String> {
    let (_, sealed) = sealed_in(text).next()?;
    // The first versions did not name the key.
    Some(sealed.split_once(':').map_or("of an earlier version", |(id, _)| id).to_owned())
}

/// Returns the encrypted secrets in JSON, each with its position.
fn sealed_in(text: &str) -> impl Iterator<Item = (usize, &str)> {
    const NAME: &str = r#""$secret""#;
    text.match_indices(NAME).filter_map(|(at, _)| {
        // In a text the quotation mark would be escaped, and a name of the program's would begin with `$$`.
        if text[..at].ends_with('\\') {
            return None;
        }
        let sealed = text_after(&text[at + NAME.len()..])?;
        Some((sealed.as_ptr() as usize - text.as_ptr() as usize, sealed))
    })
}

/// Returns the text in `: "text"`.
fn text_after(rest: &str) -> Option<&str> {
    let text = rest.trim_start().strip_prefix(':')?.trim_start().strip_prefix('"')?;
    Some(&text[..text.find('"')?])
}
