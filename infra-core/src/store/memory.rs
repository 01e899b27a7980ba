//! States in memory, for tests and dry runs.

use super::{
    DataKey, Holder, Recovery, Session, StateStore, StoreError, Update,
    journal::{JournalSink, StoredSize},
    lines::{self, Chain, Format},
    restore::{Restored, Salvage},
};
use crate::{
    state::State,
    value::{self, Seal},
};
use async_trait::async_trait;
use std::{
    collections::HashMap,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
};
use tokio::sync::OwnedMutexGuard;

/// A store in memory for the lifetime of the process, in the format of [`FileStore`](super::FileStore).
#[derive(Clone, Default)]
pub struct MemoryStore {
    stacks: Arc<Mutex<HashMap<(String, String), Stack>>>,
    seal: Arc<std::sync::OnceLock<Arc<dyn Seal>>>,
}

#[derive(Clone, Default)]
struct Stack {
    files: Arc<Mutex<Files>>,
    lock: Arc<tokio::sync::Mutex<()>>,
}

#[derive(Default)]
struct Files {
    snapshot: Option<Vec<u8>>,
    journal: Vec<u8>,
    documents: HashMap<String, Vec<u8>>,
}

impl MemoryStore {
    /// Creates an empty store.
    pub fn new() -> Self {
        Self::default()
    }

    /// Creates a store that contains the states of these stacks.
    pub fn containing<'s>(states: impl IntoIterator<Item = &'s State>) -> Result<Self, StoreError> {
        let store = Self::default();
        for state in states {
            let snapshot = snapshot(state, &store.data_key()?)?;
            let stack = store.stack(&state.program, &state.stack);
            stack.files.lock().unwrap_or_else(PoisonError::into_inner).snapshot = Some(snapshot);
        }
        Ok(store)
    }

    fn data_key(&self) -> Result<Arc<dyn Seal>, StoreError> {
        if let Some(seal) = self.seal.get() {
            return Ok(seal.clone());
        }
        let seal: Arc<dyn Seal> = Arc::new(DataKey::random()?);
        Ok(self.seal.get_or_init(|| seal).clone())
    }

    fn stack(&self, program: &str, stack: &str) -> Stack {
        let mut stacks = self.stacks.lock().unwrap_or_else(PoisonError::into_inner);
        stacks.entry((program.to_owned(), stack.to_owned())).or_default().clone()
    }

    fn read(&self, stack: &Stack) -> Result<Option<State>, StoreError> {
        let seal = self.data_key()?;
        let files = stack.files.lock().unwrap_or_else(PoisonError::into_inner);
        let path = PathBuf::from("memory");
        let Some(snapshot) = &files.snapshot else {
            return Ok(None);
        };
        let mut state: State = value::sealing(&seal, || serde_json::from_slice(snapshot))
            .map_err(|error| StoreError::Journal(error.to_string()))?;
        let read = lines::read(&files.journal, Format::Chained(chain()), &seal);
        if let Some(reason) = read.damage {
            return Err(StoreError::Journal(reason));
        }
        for entry in read.entries {
            state.apply(entry);
        }
        let recovery = Recovery::Backup;
        state.verify().map_err(|error| StoreError::Refused { path, line: 1, error, recovery })?;
        Ok(Some(state))
    }
}

#[async_trait]
impl StateStore for MemoryStore {
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError> {
        self.read(&self.stack(program, stack))
    }

    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError> {
        self.data_key()
    }

    async fn document(&self, program: &str, stack: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        let stack = self.stack(program, stack);
        let files = stack.files.lock().unwrap_or_else(PoisonError::into_inner);
        Ok(files.documents.get(name).cloned())
    }

    async fn put_document(&self, program: &str, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let stack = self.stack(program, stack);
        let mut files = stack.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.documents.insert(name.to_owned(), content.to_vec());
        Ok(())
    }

    async fn update_document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
        seals: bool,
        update: &mut Update<'_>,
    ) -> Result<(), StoreError> {
        let seal = if seals { Some(self.data_key()?) } else { None };
        let stack = self.stack(program, stack);
        let mut files = stack.files.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(content) = update(files.documents.get(name).map(Vec::as_slice), seal.as_deref())? {
            files.documents.insert(name.to_owned(), content);
        }
        Ok(())
    }

    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> Result<(), StoreError> {
        let stack = self.stack(program, stack);
        stack.files.lock().unwrap_or_else(PoisonError::into_inner).documents.remove(name);
        Ok(())
    }

    async fn open(&self, program: &str, name: &str) -> Result<Session, StoreError> {
        let stack = self.stack(program, name);
        let lock = stack.lock.clone().try_lock_owned();
        let lock = lock.map_err(|_| StoreError::Locked { holder: Some(Holder::this()) })?;
        let state = match self.read(&stack)? {
            Some(state) => state,
            None => State::new(program, name, "memory".into()),
        };
        let seal = self.data_key()?;
        let mut memory = Memory { _lock: lock, files: stack.files, seal: seal.clone(), chain: chain() };
        let size = memory.fold(&state).await?;
        Ok(Session::new(state, seal, size, memory))
    }

    /// Memory is never damaged, so there is nothing to restore.
    async fn salvage(&self, _: &str, _: &str) -> Result<Option<Salvage>, StoreError> {
        Ok(None)
    }

    async fn restore(&self, program: &str, name: &str, _: &Salvage) -> Result<Restored, StoreError> {
        Err(StoreError::NothingToRestore { stack: format!("{program}/{name}") })
    }

    async fn unlock(&self, program: &str, name: &str) -> Result<Option<Holder>, StoreError> {
        match self.stack(program, name).lock.try_lock() {
            Ok(_) => Ok(None),
            Err(_) => Err(StoreError::Unbreakable { holder: Some(Holder::this()) }),
        }
    }
}

struct Memory {
    _lock: OwnedMutexGuard<()>,
    files: Arc<Mutex<Files>>,
    seal: Arc<dyn Seal>,
    chain: Chain,
}

/// Returns the text of a state with sealed secrets.
fn snapshot(state: &State, seal: &Arc<dyn Seal>) -> Result<Vec<u8>, StoreError> {
    value::sealing(seal, || serde_json::to_vec(state)).map_err(|error| StoreError::Journal(error.to_string()))
}

/// Returns the chain that begins with the header of a journal on this snapshot.
fn chain() -> Chain {
    Chain::after(b"memory")
}

#[async_trait]
impl JournalSink for Memory {
    async fn append(&mut self, entries: &[String]) -> Result<u64, StoreError> {
        let journal = &mut self.files.lock().unwrap_or_else(PoisonError::into_inner).journal;
        let before = journal.len();
        entries.iter().for_each(|json| self.chain.push(json, journal));
        Ok((journal.len() - before) as u64)
    }

    async fn fold(&mut self, state: &State) -> Result<StoredSize, StoreError> {
        let text = snapshot(state, &self.seal)?;
        let snapshot = text.len() as u64;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.snapshot = Some(text);
        files.journal.clear();
        self.chain = chain();
        Ok(StoredSize { snapshot, journal: 0 })
    }

    async fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}
