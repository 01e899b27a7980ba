//! States in local files.

use super::{
    Journal, Keeper, KeyedStore, Keys, Session, StateStore, StoreError, Unlock, Update,
    journal::{self, Synced},
    secrets,
};
use crate::{
    boundary::{self, Boundary},
    state::{Entry, State, StateError},
    urn,
    value::{self, Seal},
};
use async_trait::async_trait;
use std::{
    fs::{self, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
    sync::Arc,
};

/// Keeps each stack in `DIRECTORY/PROGRAM/STACK/`: `state.json`, `journal`, `lock`; readable by their owner alone.
///
/// The lock is the operating system's, which dies with its holder. Secrets are encrypted with the keys in
/// `DIRECTORY/secrets.key`, a [`KeyDocument`](super::KeyDocument).
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
    keys: Arc<Keys>,
}

impl FileStore {
    /// A store in this directory, which is made when it is first needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        Self { directory: directory.into(), keys: Arc::new(Keys::new(Unlock::default())) }
    }

    /// What opens the key document when it is wrapped.
    pub fn unlocked_by(self, unlock: Unlock) -> Self {
        Self { keys: Arc::new(Keys::new(unlock)), ..self }
    }

    /// Where a stack's files lie.
    pub fn directory_of(&self, program: &str, stack: &str) -> PathBuf {
        self.directory.join(program).join(stack)
    }

    pub(super) fn root(&self) -> &Path {
        &self.directory
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    fn document_path(&self, program: &str, stack: &str, name: &str) -> Result<PathBuf, StoreError> {
        for (part, name) in [("program", program), ("stack", stack), ("document", name)] {
            urn::check_name(part, name).map_err(|error| StoreError::Journal(error.to_string()))?;
        }
        Ok(self.directory_of(program, stack).join(name))
    }

    /// Held while documents are replaced, so that two writers do not mix.
    fn lock_documents(&self, program: &str, stack: &str) -> Result<File, StoreError> {
        let directory = self.directory_of(program, stack);
        secrets::open_directory(&directory)?;
        secrets::wait_for(&directory.join(secrets::DOCUMENTS_LOCK))
    }

    fn read(&self, program: &str, stack: &str, seal: &Arc<dyn Seal>) -> Result<Option<Files>, StoreError> {
        let directory = self.directory_of(program, stack);
        let path = directory.join("state.json");
        let Some(snapshot) = read_file(&path)? else {
            return Ok(None);
        };
        let mut state = parse_snapshot(&path, &snapshot, seal)?;
        if (state.program.as_str(), state.stack.as_str()) != (program, stack) {
            let error = StateError::Foreign {
                found: format!("{}/{}", state.program, state.stack),
                expected: format!("{program}/{stack}"),
            };
            return Err(StoreError::Refused { path, error });
        }
        verify(&path, &state)?;
        let journal = directory.join("journal");
        let mut whole = 0;
        if let Some(text) = read_file(&journal)? {
            let (header, lines) = split_header(&text);
            if header == Some(state.serial) {
                let (entries, length) = journal::read(&journal, lines, seal)?;
                whole = text.len() - lines.len() + length;
                entries.into_iter().for_each(|entry: Entry| state.apply(entry));
                verify(&journal, &state)?;
            } else if header.is_none_or(|base| base > state.serial) && text.contains(&b'\n') {
                return Err(StoreError::Broken {
                    path: journal,
                    line: 1,
                    reason: format!("the journal does not follow on snapshot {}", state.serial),
                });
            }
        }
        Ok(Some(Files { state, whole }))
    }
}

/// What the files of a stack hold.
struct Files {
    state: State,
    /// How many bytes of the journal are whole lines on top of the snapshot; 0 when it has to begin anew.
    whole: usize,
}

#[async_trait]
impl StateStore for FileStore {
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError> {
        if !self.directory_of(program, stack).join("state.json").exists() {
            return Ok(None);
        }
        loop {
            let key = self.ensure_key().await?;
            let seal: Arc<dyn Seal> = self.keys.open(&key).await?.ring.clone();
            match self.read(program, stack, &seal) {
                Ok(files) => return Ok(files.map(|files| files.state)),
                // A rotation may have gone on between the key and the state.
                Err(error) => match self.key_document().await? {
                    Some(now) if now.text() != key.text() => {}
                    _ => return Err(error),
                },
            }
        }
    }

    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError> {
        let key = self.ensure_key().await?;
        Ok(self.keys.open(&key).await?.ring.clone())
    }

    async fn document(&self, program: &str, stack: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError> {
        read_file(&self.document_path(program, stack, name)?)
    }

    async fn put_document(&self, program: &str, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let path = self.document_path(program, stack, name)?;
        let _lock = self.lock_documents(program, stack)?;
        secrets::replace(&path, content)
    }

    async fn update_document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
        seals: bool,
        update: &mut Update<'_>,
    ) -> Result<(), StoreError> {
        let path = self.document_path(program, stack, name)?;
        loop {
            // The key before the lock: somebody may have to be asked for a passphrase, while others go on.
            let key = if seals { Some(self.ensure_key().await?) } else { None };
            let seal = match &key {
                Some(key) => Some(self.keys.open(key).await?.ring.clone()),
                None => None,
            };
            let _lock = self.lock_documents(program, stack)?;
            if let Some(key) = key
                && !self.is_current(&key)?
            {
                continue;
            }
            let seal = seal.as_deref().map(|seal| seal as &dyn Seal);
            return match update(read_file(&path)?.as_deref(), seal)? {
                Some(content) => secrets::replace(&path, &content),
                None => Ok(()),
            };
        }
    }

    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> Result<(), StoreError> {
        let path = self.document_path(program, stack, name)?;
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path)(error)),
            _ => Ok(()),
        }
    }

    async fn open(&self, program: &str, stack: &str) -> Result<Session, StoreError> {
        for (part, name) in [("program", program), ("stack", stack)] {
            urn::check_name(part, name).map_err(|error| StoreError::Journal(error.to_string()))?;
        }
        let directory = self.directory_of(program, stack);
        secrets::open_directory(&directory)?;
        let lock = lock(&directory.join("lock"))?;
        // Only now: a rotation that comes later waits for the lock.
        let keeper = FilesKeeper { _lock: lock, directory: directory.clone(), seal: self.seal().await? };
        let (state, whole) = match self.read(program, stack, &keeper.seal)? {
            Some(files) => (files.state, files.whole),
            None => {
                let state = State::new(program, stack, new_seed()?);
                keeper.write_snapshot(&state)?;
                (state, 0)
            }
        };
        let journal = keeper.journal(state.serial, whole)?;
        let (journal, writer) = Journal::to(Synced(journal), keeper.seal.clone());
        Ok(Session { state, journal, unfolded: whole > 0, _writer: writer, keeper: Box::new(keeper) })
    }
}

struct FilesKeeper {
    _lock: File,
    directory: PathBuf,
    seal: Arc<dyn Seal>,
}

#[async_trait]
impl Keeper for FilesKeeper {
    async fn fold(&mut self, state: &State) -> Result<(), StoreError> {
        self.write_snapshot(state)?;
        // The journal now names an older serial than the snapshot, so whatever is in it counts no more.
        let journal = self.directory.join("journal");
        boundary::reached(Boundary::JournalRemove);
        fs::remove_file(&journal).map_err(StoreError::io(&journal))
    }
}

impl FilesKeeper {
    /// Writes beside, syncs, keeps the previous one, renames, syncs the directory.
    fn write_snapshot(&self, state: &State) -> Result<(), StoreError> {
        let path = self.directory.join("state.json");
        let next = self.directory.join("state.json.next");
        let mut text = value::sealing(&self.seal, || serde_json::to_vec_pretty(state))
            .map_err(|error| StoreError::Journal(error.to_string()))?;
        text.push(b'\n');
        let written = parse_snapshot(&next, &text, &self.seal)?;
        verify(&next, &written)?;
        boundary::reached(Boundary::SnapshotWrite);
        let mut file = private(&next, true)?;
        file.write_all(&text).map_err(StoreError::io(&next))?;
        boundary::reached(Boundary::SnapshotSync);
        file.sync_all().map_err(StoreError::io(&next))?;
        let previous = self.directory.join("state.json.previous");
        match fs::copy(&path, &previous) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io(previous)(error)),
            _ => {}
        }
        boundary::reached(Boundary::SnapshotRename);
        fs::rename(&next, &path).map_err(StoreError::io(&path))?;
        boundary::reached(Boundary::DirectorySync);
        File::open(&self.directory).and_then(|directory| directory.sync_all()).map_err(StoreError::io(&self.directory))
    }

    /// Opens the journal behind its last whole line, or begins one on top of snapshot `serial`.
    fn journal(&self, serial: u64, whole: usize) -> Result<File, StoreError> {
        let path = self.directory.join("journal");
        let io = || StoreError::io(&path);
        boundary::reached(Boundary::JournalBegin);
        let mut file = private(&path, whole == 0)?;
        if whole == 0 {
            file.write_all(format!("infra journal on snapshot {serial}\n").as_bytes()).map_err(io())?;
        } else {
            file.set_len(whole as u64).map_err(io())?;
            file.seek(io::SeekFrom::End(0)).map_err(io())?;
        }
        file.sync_all().map_err(io())?;
        Ok(file)
    }
}

fn private(path: &Path, truncate: bool) -> Result<File, StoreError> {
    OpenOptions::new().write(true).create(true).truncate(truncate).mode(0o600).open(path).map_err(StoreError::io(path))
}

pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let mut file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(StoreError::io(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            let known = file.read_to_string(&mut holder).is_ok() && !holder.trim().is_empty();
            let holder = if known { holder.trim().to_owned() } else { "an unknown process".to_owned() };
            return Err(StoreError::Locked { holder });
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::io(path)(error)),
    }
    let note = format!("process {} since {}\n", std::process::id(), chrono::Utc::now().to_rfc3339());
    file.set_len(0).and_then(|()| file.write_all(note.as_bytes())).map_err(StoreError::io(path))?;
    Ok(file)
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(path)(error)),
    }
}

fn parse_snapshot(path: &Path, text: &[u8], seal: &Arc<dyn Seal>) -> Result<State, StoreError> {
    value::sealing(seal, || serde_json::from_slice(text)).map_err(|error| StoreError::Broken {
        path: path.to_owned(),
        line: error.line(),
        reason: error.to_string(),
    })
}

fn verify(path: &Path, state: &State) -> Result<(), StoreError> {
    state.verify().map_err(|error| StoreError::Refused { path: path.to_owned(), error })
}

/// The snapshot that a journal follows on, and the lines behind its header.
fn split_header(text: &[u8]) -> (Option<u64>, &[u8]) {
    let Some(end) = text.iter().position(|&byte| byte == b'\n') else {
        return (None, text);
    };
    let serial = std::str::from_utf8(&text[..end])
        .ok()
        .and_then(|header| header.strip_prefix("infra journal on snapshot "))
        .and_then(|serial| serial.parse().ok());
    (serial, &text[end + 1..])
}

fn new_seed() -> Result<String, StoreError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| StoreError::Journal(error.to_string()))?;
    Ok(hex::encode(seed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::value::Value;
    use std::collections::BTreeMap;

    fn outputs(value: &str) -> Entry {
        Entry::Outputs(BTreeMap::from([("secret".to_owned(), Value::from(value).into_secret())]))
    }

    #[tokio::test]
    async fn entries_of_a_run_that_died_are_found_again() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path());
        assert!(store.peek("p", "dev").await.unwrap().is_none());
        let session = store.open("p", "dev").await.unwrap();
        assert!(matches!(store.open("p", "dev").await, Err(StoreError::Locked { .. })));
        session.journal.append(outputs("one")).await.unwrap();
        drop(session);

        let journal = directory.path().join("p/dev/journal");
        let mut text = fs::read(&journal).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("one"), "a secret in the clear");
        text.extend(b"0000 half a li");
        fs::write(&journal, text).unwrap();
        let state = store.peek("p", "dev").await.unwrap().unwrap();
        assert_eq!(state.outputs["secret"].as_str(), Some("one"));

        // What is written next stands behind the last whole line.
        let session = store.open("p", "dev").await.unwrap();
        session.journal.append(outputs("two")).await.unwrap();
        drop(session);
        let state = store.peek("p", "dev").await.unwrap().unwrap();
        assert_eq!(state.outputs["secret"].as_str(), Some("two"));
    }

    #[tokio::test]
    async fn a_journal_that_outlived_its_folding_counts_no_more() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path());
        let mut session = store.open("p", "dev").await.unwrap();
        session.journal.append(outputs("old")).await.unwrap();
        let journal = directory.path().join("p/dev/journal");
        let old = fs::read(&journal).unwrap();
        let mut state = session.state.clone();
        state.apply(outputs("new"));
        session.fold(&mut state).await.unwrap();
        drop(session);
        fs::write(&journal, old).unwrap();
        let state = store.peek("p", "dev").await.unwrap().unwrap();
        assert_eq!((state.serial, state.outputs["secret"].as_str()), (1, Some("new")));
        assert!(directory.path().join("p/dev/state.json.previous").exists());
    }
}
