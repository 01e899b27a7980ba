//! States in local files.

use super::{
    Holder, Journal, KeyedStore, Keys, Session, StateStore, StoreError, Unlock, Update,
    journal::{self, Sink, Size, Start},
    secrets,
    snapshot::{self, Source},
};
use crate::{
    boundary::{self, Boundary},
    state::State,
    urn,
    value::Seal,
};
use async_trait::async_trait;
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, Read, Seek, Write},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
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
    fold_after: u64,
    keys: Arc<Keys>,
}

impl FileStore {
    /// A store in this directory, which is made when it is first needed.
    pub fn new(directory: impl Into<PathBuf>) -> Self {
        let keys = Arc::new(Keys::new(Unlock::default()));
        Self { directory: directory.into(), fold_after: journal::FOLD_AFTER, keys }
    }

    /// How many bytes a journal may have before it is folded in the middle of a run; 256 MiB unless said. However few
    /// they are, a journal grows to a multiple of its snapshot first.
    pub fn fold_after(mut self, bytes: u64) -> Self {
        self.fold_after = bytes;
        self
    }

    /// What opens the key document when it is wrapped.
    pub fn unlocked_by(mut self, unlock: Unlock) -> Self {
        self.keys = Arc::new(Keys::new(unlock));
        self
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

    /// Makes a stack's directory, durably.
    fn make(&self, directory: &Path) -> Result<(), StoreError> {
        if directory.join("state.json").exists() {
            return Ok(());
        }
        DirBuilder::new().recursive(true).mode(0o700).create(directory).map_err(StoreError::io(directory))?;
        let above = directory.ancestors().skip(1).take_while(|above| above.starts_with(&self.directory));
        above.chain(self.directory.parent().filter(|above| above.is_dir())).try_for_each(sync_directory)
    }

    /// Where a stack's files lie, unless its name leads elsewhere.
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

    /// Held while documents are replaced, so that two writers do not mix.
    fn lock_documents(&self, program: &str, stack: &str) -> Result<File, StoreError> {
        let directory = self.place(program, stack)?;
        self.make(&directory)?;
        secrets::wait_for(&directory.join(secrets::DOCUMENTS_LOCK))
    }

    fn read(&self, program: &str, stack: &str, seal: &Arc<dyn Seal>) -> Result<Option<Found>, StoreError> {
        let directory = self.place(program, stack)?;
        let path = directory.join("state.json");
        let Some(text) = read_file(&path)? else {
            return match read_file(&directory.join("journal"))? {
                Some(journal) if split_header(&journal).1.contains(&b'\n') => Err(StoreError::Broken {
                    reason: "it is missing, but there is a journal that follows on it".into(),
                    line: 1,
                    previous: snapshot::previous_of(&path),
                    path,
                }),
                _ => Ok(None),
            };
        };
        let previous = snapshot::previous_of(&path);
        let source = Source { program, stack, path, previous, seal };
        let mut state = source.snapshot(&text)?;
        let mut size = Size { snapshot: text.len() as u64, journal: 0 };
        let path = directory.join("journal");
        if let Some(text) = read_file(&path)? {
            let source = Source { path, previous: None, ..source };
            let (header, lines) = split_header(&text);
            if header == Some(state.serial) {
                let whole = source.replay(&mut state, 2, lines)?;
                size.journal = (text.len() - lines.len() + whole) as u64;
            } else if header.is_none_or(|base| base > state.serial) && text.contains(&b'\n') {
                let reason = match header {
                    Some(base) => format!("it follows on snapshot {base}, but there is only snapshot {}", state.serial),
                    None => "it does not say which snapshot it follows on, so it is no journal".into(),
                };
                return Err(source.broken(1, reason));
            }
        }
        Ok(Some(Found { state, size }))
    }
}

/// What the files of a stack hold. The size of the journal is that of its whole lines on top of the snapshot; 0 when it
/// has to begin anew.
struct Found {
    state: State,
    size: Size,
}

#[async_trait]
impl StateStore for FileStore {
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError> {
        loop {
            let key = self.key_document().await?;
            let seal = self.keys.reader(key.as_ref()).await?;
            match self.read(program, stack, &seal) {
                Ok(found) => return Ok(found.map(|found| found.state)),
                // A rotation may have gone on between the key and the state.
                Err(_) if self.key_document().await? != key => {}
                Err(error) => return Err(error),
            }
        }
    }

    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError> {
        let key = self.ensure_key_document().await?;
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
        let directory = self.place(program, stack)?;
        self.make(&directory)?;
        let lock = lock(&directory.join("lock"))?;
        // Only now: a rotation that comes later waits for the lock.
        let seal = self.seal().await?;
        let (state, size) = match self.read(program, stack, &seal)? {
            Some(Found { state, size }) => (state, size),
            None => {
                let state = State::new(program, stack, new_seed()?);
                let snapshot = write_snapshot(&directory, &seal, &state)?;
                (state, Size { snapshot, journal: 0 })
            }
        };
        let mut files = Files { directory, seal: seal.clone(), serial: state.serial, journal: None, _lock: lock };
        if size.journal > 0 {
            files.journal = Some(files.open_journal(size.journal)?);
        }
        let start = Start { state: state.clone(), seal, size, fold_after: self.fold_after };
        let (journal, writer) = Journal::on_thread(start, files);
        Ok(Session { state, journal, unfolded: size.journal > 0, writer })
    }

    async fn unlock(&self, program: &str, stack: &str) -> Result<Option<Holder>, StoreError> {
        let path = self.place(program, stack)?.join("lock");
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

/// The files of a stack, open for writing.
struct Files {
    directory: PathBuf,
    seal: Arc<dyn Seal>,
    /// The snapshot that the journal follows on.
    serial: u64,
    /// Begun by the first entry.
    journal: Option<File>,
    _lock: File,
}

#[async_trait]
impl Sink for Files {
    async fn append(&mut self, lines: &[u8]) -> Result<u64, StoreError> {
        let path = self.directory.join("journal");
        let mut journal = match self.journal.take() {
            Some(journal) => journal,
            None => self.open_journal(0)?,
        };
        boundary::reached(Boundary::JournalWrite);
        journal.write_all(lines).map_err(StoreError::io(&path))?;
        boundary::reached(Boundary::JournalSync);
        journal.sync_data().map_err(StoreError::io(&path))?;
        boundary::reached(Boundary::JournalSynced);
        self.journal = Some(journal);
        Ok(lines.len() as u64)
    }

    async fn fold(&mut self, state: &State) -> Result<Size, StoreError> {
        let snapshot = write_snapshot(&self.directory, &self.seal, state)?;
        // The journal now names an older serial than the snapshot, so whatever is in it counts no more.
        self.serial = state.serial;
        self.journal = None;
        let path = self.directory.join("journal");
        boundary::reached(Boundary::JournalRemove);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(path)(error)),
            _ => Ok(Size { snapshot, journal: 0 }),
        }
    }

    async fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Files {
    /// Opens the journal behind its last whole line, or begins one.
    fn open_journal(&self, whole: u64) -> Result<File, StoreError> {
        let path = self.directory.join("journal");
        let io = || StoreError::io(&path);
        boundary::reached(Boundary::JournalBegin);
        let mut file = private(&path, whole == 0)?;
        if whole == 0 {
            let header = format!("infra journal on snapshot {}\n", self.serial);
            file.write_all(header.as_bytes()).map_err(io())?;
        } else {
            file.set_len(whole).map_err(io())?;
            file.seek(io::SeekFrom::End(0)).map_err(io())?;
        }
        file.sync_all().map_err(io())?;
        // Otherwise the directory may forget the file, and with it intents that were waited for.
        sync_directory(&self.directory)?;
        Ok(file)
    }
}

/// Writes beside, syncs, checks what stands there, keeps the previous one, renames, syncs the directory. How long it is.
fn write_snapshot(directory: &Path, seal: &Arc<dyn Seal>, state: &State) -> Result<u64, StoreError> {
    let path = directory.join("state.json");
    let next = directory.join("state.json.next");
    let (program, stack) = (&state.program, &state.stack);
    let source = Source { program, stack, path: next.clone(), previous: None, seal };
    let text = snapshot::write(state, state, &source)?;
    boundary::reached(Boundary::SnapshotWrite);
    let mut file = private(&next, true)?;
    file.write_all(&text).map_err(StoreError::io(&next))?;
    boundary::reached(Boundary::SnapshotSync);
    file.sync_all().map_err(StoreError::io(&next))?;
    if !holds(&next, &text).map_err(StoreError::io(&next))? {
        return Err(source.broken(1, "the disk does not hold what was written to it".into()));
    }
    keep_previous(&path, &directory.join("state.json.previous"))?;
    boundary::reached(Boundary::SnapshotRename);
    fs::rename(&next, &path).map_err(StoreError::io(&path))?;
    sync_directory(directory)?;
    Ok(text.len() as u64)
}

/// Gives a snapshot a second name, under which it stays when another takes its place.
fn keep_previous(path: &Path, previous: &Path) -> Result<(), StoreError> {
    match fs::remove_file(previous) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io(previous)(error)),
        _ => {}
    }
    match fs::hard_link(path, previous) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(StoreError::io(previous)(error)),
        _ => Ok(()),
    }
}

/// Whether a file holds exactly this.
fn holds(path: &Path, text: &[u8]) -> io::Result<bool> {
    let mut file = File::open(path)?;
    let mut chunk = vec![0; 1024 * 1024];
    let mut rest = text;
    loop {
        match file.read(&mut chunk)? {
            0 => return Ok(rest.is_empty()),
            read if rest.starts_with(&chunk[..read]) => rest = &rest[read..],
            _ => return Ok(false),
        }
    }
}

/// Makes new, renamed and removed names in a directory durable.
fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    boundary::reached(Boundary::DirectorySync);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(StoreError::io(directory))
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
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(StoreError::io(path)(error)),
    }
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

pub(super) fn new_seed() -> Result<String, StoreError> {
    let mut seed = [0; 8];
    getrandom::fill(&mut seed).map_err(|error| StoreError::Journal(error.to_string()))?;
    Ok(hex::encode(seed))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{state::Entry, value::Value};
    use std::collections::BTreeMap;

    fn outputs(value: &str) -> Entry {
        Entry::Outputs(BTreeMap::from([("secret".to_owned(), Value::from(value).into_secret())]))
    }

    #[tokio::test]
    async fn names_lead_nowhere_else() {
        let directory = tempfile::tempdir().unwrap();
        let store = FileStore::new(directory.path().join("states"));
        let mut refusals = Vec::new();
        for (program, stack) in [("..", "dev"), ("p", ".."), ("p/q", "dev"), ("p", "")] {
            refusals.extend(store.peek(program, stack).await.err());
            refusals.extend(store.open(program, stack).await.err());
            refusals.extend(store.unlock(program, stack).await.err());
            refusals.extend(store.document(program, stack, "history.json").await.err());
            refusals.extend(store.put_document(program, stack, "history.json", b"").await.err());
            refusals.extend(store.remove_document(program, stack, "history.json").await.err());
        }
        refusals.extend(store.put_document("p", "dev", "../x", b"").await.err());
        assert_eq!(refusals.len(), 25);
        assert!(refusals.iter().all(|refusal| matches!(refusal, StoreError::Name(_))), "{refusals:?}");
        assert!(std::fs::read_dir(directory.path()).unwrap().next().is_none(), "nothing was written");
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
