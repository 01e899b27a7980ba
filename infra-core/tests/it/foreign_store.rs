//! A state store that is implemented outside of the crate, over an embedded transactional database.

use crate::common::{placed, sized, using};
use async_trait::async_trait;
use infra_core::{
    Config, Engine, Result, Stack,
    state::{Entry, OperationId, State},
    store::{DataKey, Holder, JournalSink, Restored, Salvage, Session, StateStore, StoreError, StoredSize, Update},
    testing::{FakeCloud, Fault},
    value::{Seal, sealing},
};
use redb::{Database, ReadableDatabase, ReadableTable, TableDefinition};
use std::{
    collections::HashSet,
    path::Path,
    sync::{Arc, Mutex},
};

/// Snapshots by stack.
const SNAPSHOTS: TableDefinition<'_, &str, &[u8]> = TableDefinition::new("snapshots");
/// Journal entries by stack and number.
const JOURNAL: TableDefinition<'_, (&str, u64), &[u8]> = TableDefinition::new("journal");
/// Documents by stack and name.
const DOCUMENTS: TableDefinition<'_, (&str, &str), &[u8]> = TableDefinition::new("documents");

/// Keeps states in a database that one process opens at a time, so that a lock in memory is enough.
#[derive(Clone)]
struct DatabaseStore {
    database: Arc<Database>,
    locked: Arc<Mutex<HashSet<String>>>,
    seal: Arc<dyn Seal>,
}

/// The open journal of one stack.
struct Rows {
    store: DatabaseStore,
    stack: String,
    next: u64,
}

fn failed(error: impl Into<redb::Error>) -> StoreError {
    StoreError::Journal(error.into().to_string())
}

impl DatabaseStore {
    fn open(path: &Path) -> Self {
        let database = Arc::new(Database::create(path).unwrap());
        let transaction = database.begin_write().unwrap();
        transaction.open_table(SNAPSHOTS).unwrap();
        transaction.open_table(JOURNAL).unwrap();
        transaction.open_table(DOCUMENTS).unwrap();
        transaction.commit().unwrap();
        let seal = Arc::new(DataKey::from_bytes(&[7; 32]).unwrap());
        Self { database, locked: Arc::default(), seal }
    }

    /// Reads the snapshot, applies the journal, and returns the state, its size and the number of the next entry.
    fn read(&self, stack: &str) -> std::result::Result<Option<(State, StoredSize, u64)>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let snapshots = transaction.open_table(SNAPSHOTS).map_err(failed)?;
        let Some(snapshot) = snapshots.get(stack).map_err(failed)? else {
            return Ok(None);
        };
        let malformed = |error: serde_json::Error| StoreError::Journal(error.to_string());
        let mut state: State = sealing(&self.seal, || serde_json::from_slice(snapshot.value())).map_err(malformed)?;
        let (mut size, mut next) = (StoredSize { snapshot: snapshot.value().len() as u64, journal: 0 }, 0);
        let journal = transaction.open_table(JOURNAL).map_err(failed)?;
        for row in journal.range((stack, 0)..=(stack, u64::MAX)).map_err(failed)? {
            let (key, line) = row.map_err(failed)?;
            let entry: Entry = sealing(&self.seal, || serde_json::from_slice(line.value())).map_err(malformed)?;
            state.apply(entry);
            size.journal += line.value().len() as u64;
            next = key.value().1 + 1;
        }
        Ok(Some((state, size, next)))
    }
}

#[async_trait]
impl StateStore for DatabaseStore {
    async fn peek(&self, program: &str, stack: &str) -> std::result::Result<Option<State>, StoreError> {
        Ok(self.read(&format!("{program}/{stack}"))?.map(|(state, ..)| state))
    }

    async fn seal(&self) -> std::result::Result<Arc<dyn Seal>, StoreError> {
        Ok(self.seal.clone())
    }

    async fn document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
    ) -> std::result::Result<Option<Vec<u8>>, StoreError> {
        let transaction = self.database.begin_read().map_err(failed)?;
        let documents = transaction.open_table(DOCUMENTS).map_err(failed)?;
        let stack = format!("{program}/{stack}");
        let document = documents.get((stack.as_str(), name)).map_err(failed)?;
        Ok(document.map(|document| document.value().to_vec()))
    }

    async fn put_document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
        content: &[u8],
    ) -> std::result::Result<(), StoreError> {
        self.update_document(program, stack, name, false, &mut |_, _| Ok(Some(content.to_vec()))).await
    }

    async fn update_document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
        seals: bool,
        update: &mut Update<'_>,
    ) -> std::result::Result<(), StoreError> {
        let stack = format!("{program}/{stack}");
        let transaction = self.database.begin_write().map_err(failed)?;
        {
            let mut documents = transaction.open_table(DOCUMENTS).map_err(failed)?;
            let previous = documents.get((stack.as_str(), name)).map_err(failed)?;
            let previous = previous.map(|document| document.value().to_vec());
            if let Some(content) = update(previous.as_deref(), seals.then_some(&*self.seal))? {
                documents.insert((stack.as_str(), name), content.as_slice()).map_err(failed)?;
            }
        }
        transaction.commit().map_err(failed)
    }

    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> std::result::Result<(), StoreError> {
        let stack = format!("{program}/{stack}");
        let transaction = self.database.begin_write().map_err(failed)?;
        transaction.open_table(DOCUMENTS).map_err(failed)?.remove((stack.as_str(), name)).map_err(failed)?;
        transaction.commit().map_err(failed)
    }

    async fn open(&self, program: &str, name: &str) -> std::result::Result<Session, StoreError> {
        let stack = format!("{program}/{name}");
        if !self.locked.lock().unwrap().insert(stack.clone()) {
            return Err(StoreError::Locked { holder: Some(Holder::this()) });
        }
        let mut rows = Rows { store: self.clone(), stack, next: 0 };
        let (state, size) = match self.read(&rows.stack)? {
            Some((state, size, next)) => {
                rows.next = next;
                (state, size)
            }
            None => {
                let seed = OperationId::random().map_err(|error| StoreError::Journal(error.to_string()))?;
                let state = State::new(program, name, seed.to_string());
                let size = rows.fold(&state).await?;
                (state, size)
            }
        };
        Ok(Session::new(state, self.seal.clone(), size, rows))
    }

    async fn salvage(&self, _: &str, _: &str) -> std::result::Result<Option<Salvage>, StoreError> {
        Ok(None)
    }

    async fn restore(&self, program: &str, stack: &str, _: &Salvage) -> std::result::Result<Restored, StoreError> {
        Err(StoreError::NothingToRestore { stack: format!("{program}/{stack}") })
    }

    async fn unlock(&self, _: &str, _: &str) -> std::result::Result<Option<Holder>, StoreError> {
        Ok(None)
    }
}

#[async_trait]
impl JournalSink for Rows {
    async fn append(&mut self, entries: &[String]) -> std::result::Result<u64, StoreError> {
        let transaction = self.store.database.begin_write().map_err(failed)?;
        {
            let mut journal = transaction.open_table(JOURNAL).map_err(failed)?;
            for entry in entries {
                journal.insert((self.stack.as_str(), self.next), entry.as_bytes()).map_err(failed)?;
                self.next += 1;
            }
        }
        transaction.commit().map_err(failed)?;
        Ok(entries.iter().map(|entry| entry.len() as u64).sum())
    }

    async fn fold(&mut self, state: &State) -> std::result::Result<StoredSize, StoreError> {
        let text = sealing(&self.store.seal, || serde_json::to_vec(state));
        let text = text.map_err(|error| StoreError::Journal(error.to_string()))?;
        let transaction = self.store.database.begin_write().map_err(failed)?;
        transaction
            .open_table(SNAPSHOTS)
            .map_err(failed)?
            .insert(self.stack.as_str(), text.as_slice())
            .map_err(failed)?;
        let (first, last) = ((self.stack.as_str(), 0), (self.stack.as_str(), u64::MAX));
        transaction.open_table(JOURNAL).map_err(failed)?.retain_in(first..=last, |_, _| false).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(StoredSize { snapshot: text.len() as u64, journal: 0 })
    }

    async fn close(self) -> std::result::Result<(), StoreError> {
        Ok(())
    }
}

impl Drop for Rows {
    fn drop(&mut self) {
        self.store.locked.lock().unwrap().remove(&self.stack);
    }
}

fn program(cloud: &FakeCloud, place: &'static str) -> impl Fn(&Stack, &Config) -> Result + Sync + use<> {
    let cloud = Mutex::new(cloud.clone());
    move |stack, _| {
        stack.provide("fake", || Arc::new(cloud.lock().unwrap().clone()));
        let net = stack.add("net", placed(place));
        stack.add("host", using(&net.id));
        stack.add("other", sized(1));
        stack.export("net", net.id);
        Ok(())
    }
}

#[tokio::test]
async fn external_store_supports_the_lifecycle() {
    let directory = tempfile::tempdir().unwrap();
    let (path, cloud) = (directory.path().join("states.redb"), FakeCloud::new());
    let engine = |store: &DatabaseStore| Engine::new("program", "dev", store.clone());
    let store = DatabaseStore::open(&path);
    assert!(engine(&store).up(&program(&cloud, "a")).await.unwrap().is_success());
    assert_eq!(engine(&store).history().await.unwrap().len(), 1);
    assert!(!engine(&store).preview(&program(&cloud, "a")).await.unwrap().has_changes());

    // A run holds the stack; it is dropped while the provider does not answer, as in a crash.
    cloud.faults(|_| Some(Fault::Hang));
    let changed = program(&cloud, "b");
    {
        let (first, second) = (engine(&store), engine(&store));
        let mut run = first.up(&changed).into_future();
        while store.peek("program", "dev").await.unwrap().unwrap().open.is_empty() {
            assert!(futures::poll!(&mut run).is_pending());
            tokio::task::yield_now().await;
        }
        assert!(matches!(
            second.up(&changed).await.unwrap_err().diagnostics()[0].summary.as_str(),
            summary if summary.starts_with("the stack is locked by another run")
        ));
    }
    drop(store);

    // Another process finds the open operation and settles it.
    cloud.heal();
    let store = DatabaseStore::open(&path);
    assert!(!engine(&store).state().await.unwrap().unwrap().open.is_empty());
    assert!(engine(&store).up(&changed).await.unwrap().is_success());
    let state = engine(&store).state().await.unwrap().unwrap();
    state.verify().unwrap();
    assert!(state.open.is_empty());
    assert!(cloud.resources().values().all(|ids| ids.len() == 1), "{:?}", cloud.resources());
    assert!(!engine(&store).preview(&changed).await.unwrap().has_changes());
    assert!(engine(&store).rollback(1, &changed).await.is_ok());

    assert!(engine(&store).destroy(&changed).await.unwrap().is_success());
    assert!(cloud.resources().is_empty());
    assert!(engine(&store).state().await.unwrap().unwrap().resources.is_empty());
}
