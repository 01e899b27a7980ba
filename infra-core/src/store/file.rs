//! States in files.

mod disk;
mod restore;
#[cfg(test)]
mod tests;

use super::{
    Holder, KeyedStore, Keys, Restored, Salvage, Session, StateStore, StoreError, Unlock, Update,
    documents::{DOCUMENTS_LOCK, replace, wait_for},
    envelope, evidence,
    journal::{self, JournalSink, Start, StoredSize},
    lines::{self, Chain},
    private, secrets, snapshot,
    source::Source,
};
use crate::{state::State, urn, value::Seal};
use async_trait::async_trait;
use disk::{Files, sync_directory};
use std::{
    fs::{self, File, TryLockError},
    io::{self, Read, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

pub(super) const SNAPSHOT: &str = "state.json";
/// The previous snapshot.
pub(super) const PREVIOUS: &str = "state.json.previous";
pub(super) const JOURNAL: &str = "journal";
/// The journal of the previous snapshot.
pub(super) const PREVIOUS_JOURNAL: &str = "journal.previous";
pub(super) const LOCK: &str = "lock";

/// A store of files. Each stack has a directory `DIRECTORY/PROGRAM/STACK/` with `state.json`, `journal` and `lock`,
/// readable only by their owner.
///
/// Every snapshot has a journal beside it. `state.json.previous` and `journal.previous` are the previous generation:
/// together with the journal they contain the same as `state.json`, see [`StateStore::salvage`].
///
/// The lock belongs to the process and is released when it exits. Secrets are encrypted with the keys in
/// `DIRECTORY/secrets.key`, a [`KeyDocument`](super::KeyDocument).
#[derive(Clone, Debug)]
pub struct FileStore {
    directory: PathBuf,
    fold_after: u64,
    keys: Arc<Keys>,
}

impl FileStore {
    /// Creates a store in this directory, which is created when it is first needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let keys = Arc::new(Keys::new(Unlock::default()));
        Self { directory: directory.into(), fold_after: journal::FOLD_AFTER, keys }
    }

    /// Sets the size in bytes at which a journal is folded in the middle of a run. The default is 256 MiB. A journal
    /// always grows to a multiple of its snapshot first.
    pub fn fold_after(mut self, bytes: u64) -> Self {
        self.fold_after = bytes;
        self
    }

    /// Sets the passphrase and the key services that open the key document.
    pub fn unlocked_by(mut self, unlock: Unlock) -> Self {
        self.keys = Arc::new(Keys::new(unlock));
        self
    }

    /// Returns the directory of a stack.
    pub fn directory_of(&self, program: &str, stack: &str) -> PathBuf {
        self.directory.join(program).join(stack)
    }

    pub(super) fn root(&self) -> &Path {
        &self.directory
    }

    pub(super) fn keys(&self) -> &Keys {
        &self.keys
    }

    /// Creates a stack's directory, durably.
    fn make(&self, directory: &Path) -> Result<(), StoreError> {
        if directory.join(SNAPSHOT).exists() {
            return Ok(());
        }
        private::create_directory(directory).map_err(StoreError::io(directory))?;
        let above = directory.ancestors().skip(1).take_while(|above| above.starts_with(&self.directory));
        above.chain(self.directory.parent().filter(|above| above.is_dir())).try_for_each(sync_directory)
    }

    /// Returns the directory of a stack, after checking its name.
    fn place(&self, program: &str, stack: &str) -> Result<PathBuf, StoreError> {
        for (part, name) in [("program", program), ("stack", stack)] {
            urn::check_name(part, name)?;
        }
        Ok(self.directory_of(program, stack))
    }

    fn document_path(&self, program: &str, stack: &str, name: &str) -> Result<PathBuf, StoreError> {
        urn::check_name("document", name)?;
        Ok(self.place(program, stack)?.join(name))
    }

    /// Locks the documents while they are replaced, so that two writers do not interfere.
    fn lock_documents(&self, program: &str, stack: &str) -> Result<File, StoreError> {
        let directory = self.place(program, stack)?;
        self.make(&directory)?;
        wait_for(&directory.join(DOCUMENTS_LOCK))
    }

    /// Reads the snapshot and its journal. A missing snapshot is a loss if an earlier run left other files.
    fn read(&self, program: &str, stack: &str, seal: &Arc<dyn Seal>) -> Result<Option<Found>, StoreError> {
        let directory = self.place(program, stack)?;
        let path = directory.join(SNAPSHOT);
        let source = Source { program, stack, path, seal };
        let Some((snapshot::Read { mut state, legacy }, size)) = source.snapshot_file()? else {
            let (path, found) = (source.path, left_by_a_run(&directory)?);
            return if found.is_empty() { Ok(None) } else { Err(StoreError::Missing { path, found }) };
        };
        let mut size = StoredSize { snapshot: size, journal: 0 };
        let mut tail = None;
        let path = directory.join(JOURNAL);
        match read_file(&path)? {
            Some(text) => {
                let source = Source { path, ..source };
                let (header, lines) = lines::split(&text).map_err(|reason| source.broken(1, reason))?;
                // A journal that follows on an older snapshot is included in this one.
                let is_older = header.serial < state.serial;
                if header.serial > state.serial {
                    let (base, serial) = (header.serial, state.serial);
                    let reason = format!("it follows the snapshot {base}, but the latest snapshot is {serial}");
                    return Err(source.broken(1, reason));
                }
                if !is_older && !legacy && header.format == lines::Format::Legacy {
                    return Err(source.broken(1, "its header has no checksum, although its snapshot has one"));
                }
                if !is_older {
                    let replayed = source.replay(&mut state, 2, lines, header.format)?;
                    let whole = (text.len() - lines.len() + replayed.whole) as u64;
                    tail = replayed.chain.map(|chain| Tail { whole, chain });
                    size.journal = if replayed.entries > 0 { whole } else { 0 };
                }
            }
            // Snapshots of this format are never written without a journal beside them.
            None if !legacy => {
                return Err(StoreError::Missing { path, found: vec![SNAPSHOT.to_owned()] });
            }
            None => {}
        }
        Ok(Some(Found { state, size, tail, legacy }))
    }
}

/// The content of a stack's files.
struct Found {
    state: State,
    /// The size of the journal is 0 when it has no entries on top of the snapshot.
    size: StoredSize,
    /// The end of the journal on this snapshot, which the next entry continues.
    tail: Option<Tail>,
    /// `true` for the format without checksums.
    legacy: bool,
}

/// The end of a journal.
#[derive(Clone, Copy)]
struct Tail {
    /// Number of bytes of its header and its whole lines.
    whole: u64,
    chain: Chain,
}

#[async_trait]
impl StateStore for FileStore {
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError> {
        loop {
            let key = self.key_document().await?;
            let seal = self.keys.reader(key.as_ref()).await?;
            match self.read(program, stack, &seal) {
                Ok(found) => return Ok(found.map(|found| found.state)),
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
        let path = self.document_path(program, stack, name)?;
        read_document(name, &path)
    }

    async fn put_document(&self, program: &str, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError> {
        let path = self.document_path(program, stack, name)?;
        let _lock = self.lock_documents(program, stack)?;
        replace(&path, &envelope::wrap(name, content))
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
            // The key is opened before the lock is taken: it may need a passphrase, and others can continue meanwhile.
            let key = if seals { Some(self.ensure_key_document().await?) } else { None };
            let seal = match &key {
                Some(key) => Some(self.keys.open(key).await?.ring.clone()),
                None => None,
            };
            let _lock = self.lock_documents(program, stack)?;
            if key.is_some() && key != self.key_document().await? {
                continue;
            }
            let seal = seal.as_deref().map(|seal| seal as &dyn Seal);
            return match update(read_document(name, &path)?.as_deref(), seal)? {
                Some(content) => replace(&path, &envelope::wrap(name, &content)),
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
        let directory = self.place(program, stack)?;
        self.make(&directory)?;
        let lock = lock(&directory.join(LOCK))?;
        // After the lock was taken, a later rotation waits for it.
        let seal = self.seal().await?;
        let found = self.read(program, stack, &seal)?;
        let serial = found.as_ref().map_or(0, |found| found.state.serial);
        let mut files = Files { directory, seal: seal.clone(), serial, journal: None, _lock: lock };
        let (state, size) = match found {
            // A format without checksums is read once and written in the current format.
            Some(Found { mut state, legacy: true, .. }) => {
                state.serial += 1;
                let size = files.fold(&state).await?;
                (state, size)
            }
            Some(Found { state, size, tail, .. }) => {
                if let Some(tail) = tail {
                    files.journal = Some(files.continue_journal(tail)?);
                }
                (state, size)
            }
            None => {
                let state = State::new(program, stack, new_seed()?);
                let journal = files.begin_journal()?;
                let size = files.fold(&state).await?;
                files.journal = Some(journal);
                (state, size)
            }
        };
        Ok(Session::on_thread(Start { state, seal, size, fold_after: self.fold_after }, files))
    }

    async fn salvage(&self, program: &str, stack: &str) -> Result<Option<Salvage>, StoreError> {
        let key = self.key_document().await?;
        if key.is_none() {
            secrets::check_key_is_not_lost(self).await?;
        }
        let seal = self.keys.reader(key.as_ref()).await?;
        restore::salvage(self, program, stack, &seal)
    }

    async fn restore(&self, program: &str, stack: &str, salvage: &Salvage) -> Result<Restored, StoreError> {
        let directory = self.place(program, stack)?;
        let lock = lock(&directory.join(LOCK))?;
        let seal = self.seal().await?;
        if restore::salvage(self, program, stack, &seal)?.as_ref() != Some(salvage) {
            return Err(StoreError::NothingToRestore { stack: format!("{program}/{stack}") });
        }
        let serial = salvage.state.serial;
        restore::install(&mut Files { directory, seal, serial, journal: None, _lock: lock }, salvage)
    }

    async fn unlock(&self, program: &str, stack: &str) -> Result<Option<Holder>, StoreError> {
        let path = self.place(program, stack)?.join(LOCK);
        if !path.exists() {
            return Ok(None);
        }
        match lock(&path) {
            Ok(_) => Ok(None),
            Err(StoreError::Locked { holder }) => Err(StoreError::Unbreakable { holder }),
            Err(error) => Err(error),
        }
    }
}

pub(super) fn lock(path: &Path) -> Result<File, StoreError> {
    let mut file = private::open_or_create(path).map_err(StoreError::io(path))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            let mut holder = String::new();
            // A holder that has not written its name yet is unknown.
            let read = file.read_to_string(&mut holder).ok();
            return Err(StoreError::Locked { holder: read.and_then(|_| serde_json::from_str(&holder).ok()) });
        }
        Err(TryLockError::Error(error)) => return Err(StoreError::io(path)(error)),
    }
    let mut note = serde_json::to_vec(&Holder::this()).map_err(|error| StoreError::Journal(error.to_string()))?;
    note.push(b'\n');
    file.set_len(0).and_then(|()| file.write_all(&note)).map_err(StoreError::io(path))?;
    Ok(file)
}

fn read_file(path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    private::read(path).map_err(StoreError::io(path))
}

fn read_document(name: &str, path: &Path) -> Result<Option<Vec<u8>>, StoreError> {
    let Some(text) = read_file(path)? else {
        return Ok(None);
    };
    Ok(Some(envelope::unwrap(name, path, &text)?.to_vec()))
}

/// Returns the names of the files in a stack's directory that only a run can have left there.
fn left_by_a_run(directory: &Path) -> Result<Vec<String>, StoreError> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(StoreError::io(directory))?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let Ok(name) = entry.map_err(StoreError::io(directory))?.file_name().into_string() else {
            continue;
        };
        let is_left = match name.as_str() {
            PREVIOUS => true,
            // The first run of a stack begins its journal before its snapshot.
            JOURNAL | PREVIOUS_JOURNAL => read_file(&directory.join(&name))?.is_some_and(|text| !lines::is_new(&text)),
            name => evidence::is_of_a_run(name),
        };
        if is_left {
            found.push(name);
        }
    }
    found.sort_unstable();
    Ok(found)
}

pub(super) fn new_seed() -> Result<String, StoreError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| StoreError::Journal(error.to_string()))?;
    Ok(hex::encode(seed))
}
