//! States in any object store that puts on conditions: S3, Google Cloud Storage, Azure Blob Storage.

mod client;
mod lease;
mod sequence;

use super::{
    Clock, Holder, Journal, Session, StateStore, StoreError, SystemClock,
    journal::{self, Start},
};
use crate::{event::Events, state::State, urn, value::Seal};
use async_trait::async_trait;
use client::Objects;
use lease::Lease;
use object_store::{ObjectStore, path::Path};
use sequence::{Sequence, Stack};
use std::sync::Arc;

/// Keeps each stack under `PREFIX/PROGRAM/STACK/`: `state.json`, one object under `journal/` for each group of entries,
/// `lease`, and what else is kept of a stack under `documents/`.
///
/// The object store has to put an object only where none is, and over a version of it that it is told. The lease lives
/// for 30 seconds and is renewed every 10; whoever finds one that is not renewed takes it over.
#[derive(Clone)]
pub struct ObjectStateStore {
    objects: Arc<dyn ObjectStore>,
    prefix: Path,
    seal: Arc<dyn Seal>,
    clock: Arc<dyn Clock>,
    events: Events,
    fold_after: u64,
}

impl ObjectStateStore {
    /// A store under this prefix, which encrypts secrets with `seal`.
    pub fn new(objects: Arc<dyn ObjectStore>, prefix: &str, seal: Arc<dyn Seal>) -> Self {
        Self {
            objects,
            prefix: Path::from(prefix),
            seal,
            clock: Arc::new(SystemClock::default()),
            events: Events::ignored(),
            fold_after: journal::FOLD_AFTER,
        }
    }

    /// Who is told when [`StateStore::open`] has to wait.
    pub fn events(mut self, events: Events) -> Self {
        self.events = events;
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    /// How many bytes a journal may have before it is folded in the middle of a run; 64 MiB unless said. However few
    /// they are, a journal grows to a multiple of its snapshot first. An object counts as 16 KiB at least.
    pub fn fold_after(mut self, bytes: u64) -> Self {
        self.fold_after = bytes;
        self
    }

    fn stack(&self, program: &str, stack: &str) -> Result<Stack, StoreError> {
        for (part, name) in [("program", program), ("stack", stack)] {
            urn::check_name(part, name).map_err(|error| StoreError::Journal(error.to_string()))?;
        }
        let directory = self.prefix.clone().join(program).join(stack);
        let objects = Objects { store: self.objects.clone(), directory, clock: self.clock.clone() };
        Ok(Stack { objects, program: program.to_owned(), name: stack.to_owned(), seal: self.seal.clone() })
    }
}

#[async_trait]
impl StateStore for ObjectStateStore {
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError> {
        Ok(self.stack(program, stack)?.read().await?.state)
    }

    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError> {
        Ok(self.seal.clone())
    }

    async fn document(&self, program: &str, stack: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let found = self.stack(program, stack)?.objects.get(&document(name)).await?;
        Ok(found.map(|found| found.bytes))
    }

    async fn put_document(&self, program: &str, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        self.stack(program, stack)?.objects.replace(&document(name), content).await
    }

    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> Result<(), StoreError> {
        self.stack(program, stack)?.objects.delete(vec![document(name)]).await;
        Ok(())
    }

    async fn open(&self, program: &str, stack: &str) -> Result<Session, StoreError> {
        let stack = self.stack(program, stack)?;
        // Where somebody has removed the lease, the epoch goes on from what the others left.
        let epoch = match stack.objects.version(lease::NAME).await? {
            Some(_) => 0,
            None => stack.read().await?.epoch,
        };
        let lease = Lease::take(&stack.objects, epoch, &self.events).await?;
        let orderly = lease.orderly;
        let (kept, hold) = lease.keep();
        let begun = match stack.begin(&kept, orderly).await {
            Ok(begun) => begun,
            Err(error) => {
                kept.release().await;
                return Err(error);
            }
        };
        let (state, size) = (begun.state.clone(), begun.size);
        let start = Start { state: state.clone(), seal: self.seal.clone(), size, fold_after: self.fold_after };
        let sequence = Sequence::new(stack, kept, begun);
        let (journal, writer) = Journal::on_clock(start, sequence, hold, &*self.clock);
        Ok(Session { state, journal, unfolded: size.journal > 0, writer })
    }

    async fn unlock(&self, program: &str, stack: &str) -> Result<Option<Holder>, StoreError> {
        lease::break_lease(&self.stack(program, stack)?.objects).await
    }
}

/// Where a document lies: apart from what the store itself keeps.
fn document(name: &str) -> String {
    format!("documents/{name}")
}

/// Thirty-two hexadecimal digits that nobody else has.
fn nonce() -> Result<String, StoreError> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).map_err(|error| StoreError::Journal(format!("no randomness: {error}")))?;
    Ok(hex::encode(bytes))
}
