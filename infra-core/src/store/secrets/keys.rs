//! The opened key document of a store.

use super::{DataKey, KeyDocument, KeyError, KeyRing, Opened, Unlock, Wrapping};
use crate::value::Seal;
use sha2::{Digest, Sha256};
use std::{fmt, sync::Arc};
use tokio::sync::Mutex;

/// Caches the keys of a store's document as long as the document does not change.
pub struct Keys {
    unlock: Unlock,
    opened: Mutex<Option<([u8; 32], Arc<Opened>)>>,
}

impl Keys {
    /// Creates an empty cache.
    pub fn new(unlock: Unlock) -> Self {
        Self { unlock, opened: Mutex::default() }
    }

    /// Returns the passphrase and the key services that open documents.
    pub fn unlock(&self) -> &Unlock {
        &self.unlock
    }

    /// Returns the keys in the document. Asks for a passphrase only if the document changed since the last call.
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

    /// Returns the key that decrypts secrets. Without a document there are no secrets, or they cannot be decrypted any
    /// more.
    pub(in crate::store) async fn reader(&self, document: Option<&KeyDocument>) -> Result<Arc<dyn Seal>, KeyError> {
        match document {
            Some(document) => Ok(self.open(document).await?.ring.clone()),
            None => Ok(Arc::new(DataKey::random()?)),
        }
    }

    /// Wraps a ring, and caches the keys of the document.
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

impl fmt::Debug for Keys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Keys").field("unlock", &self.unlock).finish_non_exhaustive()
    }
}
