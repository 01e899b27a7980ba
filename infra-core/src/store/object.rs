//! States in any object store with conditional puts: S3, Google Cloud Storage, Azure Blob Storage.

mod client;
mod keys;
mod lease;
mod restore;
mod sequence;

use super::{
    Clock, Holder, Journal, KeyedStore, Keys, Restored, Salvage, Session, StateStore, StoreError, SystemClock, Unlock,
    Update, envelope, journal::Start, secrets,
};
use crate::{event::Events, state::State, urn, value::Seal};
use async_trait::async_trait;
use client::Objects;
use lease::Lease;
use object_store::{ObjectStore, path::Path};
use sequence::{Sequence, Stack};
use std::sync::Arc;

/// Size below which a journal is never folded during a run: some thousand objects to read.
const FOLD_AFTER: u64 = 64 * 1024 * 1024;

/// A store of objects. Each stack has a prefix `PREFIX/PROGRAM/STACK/` with `state.json`, one object under `journal/`
/// for each group of entries, `lease`, and the other documents of a stack under `documents/`.
///
/// The object store must support conditional puts: if no object exists, and over a given version. The lease is valid
/// for 30 seconds and is renewed every 10. A run that finds a lease without renewals takes it.
#[derive(Clone)]
pub struct ObjectStateStore {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    keys: Arc<Keys>,
    clock: Arc<dyn Clock>,
    events: Events,
    fold_after: u64,
}

impl ObjectStateStore {
    /// Creates a store under this prefix.
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: &str) -> Self {
        Self {
            objects,
            prefix: Path::from(prefix),
            keys: Arc::new(Keys::new(Unlock::default())),
            clock: Arc::new(SystemClock::default()),
            events: Events::ignored(),
            fold_after: FOLD_AFTER,
        }
    }

    /// Sets the passphrase and the key services that open the key document. A new document is wrapped by the
    /// passphrase, which is required: unlike a file, a bucket usually has several readers. [`rewrap`](super::rewrap)
    /// wraps a document differently.
    pub fn unlocked_by(mut self, unlock: Unlock) -> Self {
        self.keys = Arc::new(Keys::new(unlock));
        self
    }

    /// Sets the receiver of a message when [`StateStore::open`] has to wait.
    pub fn events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Sets another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// Sets the size in bytes at which a journal is folded in the middle of a run. The default is 64 MiB. A journal
    /// always grows to a multiple of its snapshot first. An object counts as at least 16 KiB.
    pub fn fold_after(mut self, bytes: u64) -> Self {
        self.fold_after = bytes;
        self
    }

    fn objects(&self, program: &str, stack: &str) -> Result<Objects, StoreError> {
        for (part, name) in [("program", program), ("stack", stack)] {
            urn::check_name(part, name)?;
        }
        let directory = self.prefix.clone().join(program).join(stack);
        Ok(Objects { store: self.objects.clone(), directory, clock: self.clock.clone() })
    }

    fn stack(&self, program: &str, stack: &str, seal: Arc<dyn Seal>) -> Result<Stack, StoreError> {
        let objects = self.objects(program, stack)?;
        Ok(Stack { objects, program: program.to_owned(), name: stack.to_owned(), seal })
    }
}

#[async_trait]
impl StateStore for ObjectStateStore {
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError> {
        loop {
            let key = self.key_document().await?;
            let seal = self.keys.reader(key.as_ref()).await?;
            match self.stack(program, stack, seal)?.read().await {
                Ok(found) => return Ok(found.state),
                // A rotation may have happened between reading the key and the state.
                Err(_) if self.key_document().await? != key => {}
                Err(error) => {
                    if key.is_none() {
                        secrets::check_key_is_not_lost(self).await?;
                    }
                    return Err(error);
                }
            }
        }
    }

    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError> {
        let key = self.ensure_key_document().await?;
        Ok(self.keys.open(&key).await?.ring.clone())
    }

    async fn document(&self, program: &str, stack: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let objects = self.objects(program, stack)?;
        let found = objects.get(&document(name)).await?;
        found.map(|found| content(&objects, name, &found.bytes)).transpose()
    }

    async fn put_document(&self, program: &str, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        self.objects(program, stack)?.replace(&document(name), &envelope::wrap(name, content)).await
    }

    async fn update_document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
        seals: bool,
        update: &mut Update<'_>,
    ) -> Result<(), StoreError> {
        let objects = self.objects(program, stack)?;
        loop {
            let key = if seals { Some(self.ensure_key_document().await?) } else { None };
            let seal = match &key {
                Some(key) => Some(self.keys.open(key).await?.ring.clone()),
                None => None,
            };
            let make = |was: Option<&[u8]>| {
                let was = was.map(|was| content(&objects, name, was)).transpose()?;
                let updated = update(was.as_deref(), seal.as_deref().map(|seal| seal as &dyn Seal))?;
                Ok(updated.map(|content| envelope::wrap(name, &content)))
            };
            if !objects.update(&document(name), make).await? {
                continue;
            }
            // A rotation that began meanwhile may have skipped the document before it was put.
            if key.is_none() || key == self.key_document().await? {
                return Ok(());
            }
        }
    }

    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> Result<(), StoreError> {
        self.objects(program, stack)?.delete(vec![document(name)]).await;
        Ok(())
    }

    async fn open(&self, program: &str, stack: &str) -> Result<Session, StoreError> {
        let mut stack = self.stack(program, stack, self.seal().await?)?;
        // If the lease object was removed, the epoch continues from that of the journal.
        let epoch = match stack.objects.version(lease::NAME).await? {
            Some(_) => 0,
            None => stack.read().await?.epoch,
        };
        let lease = Lease::take(&stack.objects, epoch, &self.events).await?;
        let was_released = lease.was_released;
        let (kept, hold) = lease.keep();
        let begin = async {
            // Read again, because a rotation that begins from now on waits for the lease.
            stack.seal = self.seal().await?;
            stack.begin(&kept, was_released).await
        };
        let takeover = match begin.await {
            Ok(takeover) => takeover,
            Err(error) => {
                kept.release().await;
                return Err(error);
            }
        };
        let (state, size) = (takeover.state.clone(), takeover.size);
        let start = Start { state: state.clone(), seal: stack.seal.clone(), size, fold_after: self.fold_after };
        let sequence = Sequence::new(stack, kept, takeover);
        let (journal, writer) = Journal::on_clock(start, sequence, hold, &*self.clock);
        Ok(Session { state, journal, unfolded: size.journal > 0, writer })
    }

    async fn salvage(&self, program: &str, stack: &str) -> Result<Option<Salvage>, StoreError> {
        let key = self.key_document().await?;
        if key.is_none() {
            secrets::check_key_is_not_lost(self).await?;
        }
        let seal = self.keys.reader(key.as_ref()).await?;
        self.stack(program, stack, seal)?.salvage().await
    }

    async fn restore(&self, program: &str, stack: &str, salvage: &Salvage) -> Result<Restored, StoreError> {
        let mut stack = self.stack(program, stack, self.seal().await?)?;
        let epoch = stack.newest_epoch().await?;
        let (kept, _hold) = Lease::take(&stack.objects, epoch, &self.events).await?.keep();
        let install = async {
            stack.seal = self.seal().await?;
            stack.install(&kept, salvage).await
        };
        let installed = install.await;
        kept.release().await;
        installed
    }

    async fn unlock(&self, program: &str, stack: &str) -> Result<Option<Holder>, StoreError> {
        lease::break_lease(&self.objects(program, stack)?).await
    }
}

const DOCUMENTS: &str = "documents";

/// Returns the path of a document, apart from the store's own objects.
fn document(name: &str) -> String {
    format!("{DOCUMENTS}/{name}")
}

/// Returns the content of a document's object.
fn content(objects: &Objects, name: &str, bytes: &[u8]) -> Result<Vec<u8>, StoreError> {
    let path = objects.path(&document(name)).to_string();
    Ok(envelope::unwrap(name, path.as_ref(), bytes)?.to_vec())
}

/// Returns a random text of 32 hexadecimal digits.
fn nonce() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)
        .map_err(|error| StoreError::Journal(format!("the operating system returned no random bytes: {error}")))?;
    Ok(hex::encode(bytes))
}
