//! Writes the files of a stack, so that a snapshot and a journal exist after a crash at any moment.

use super::{JOURNAL, PREVIOUS, PREVIOUS_JOURNAL, SNAPSHOT, Tail};
use crate::{
    boundary::{self, Boundary},
    state::State,
    store::{
        StoreError,
        journal::{JournalSink, StoredSize},
        lines::{self, Chain},
        private, snapshot,
        source::Source,
    },
    value::Seal,
};
use async_trait::async_trait;
use std::{
    fs::{self, File},
    io::{self, Read, Seek, Write},
    path::{Path, PathBuf},
    sync::Arc,
};

/// The files of a stack, open for writing.
pub(super) struct Files {
    pub(super) directory: PathBuf,
    pub(super) seal: Arc<dyn Seal>,
    /// The snapshot that the journal follows on.
    pub(super) serial: u64,
    /// The journal on that snapshot and the chain of its lines. The first entry creates it.
    pub(super) journal: Option<(File, Chain)>,
    pub(super) _lock: File,
}

#[async_trait]
impl JournalSink for Files {
    async fn append(&mut self, entries: &[String]) -> Result<u64, StoreError> {
        let path = self.directory.join(JOURNAL);
        let (mut journal, mut chain) = match self.journal.take() {
            Some(journal) => journal,
            None => self.begin_journal()?,
        };
        let mut lines = Vec::new();
        entries.iter().for_each(|json| chain.push(json, &mut lines));
        boundary::reached(Boundary::JournalWrite);
        journal.write_all(&lines).map_err(StoreError::io(&path))?;
        boundary::reached(Boundary::JournalSync);
        journal.sync_data().map_err(StoreError::io(&path))?;
        boundary::reached(Boundary::JournalSynced);
        self.journal = Some((journal, chain));
        Ok(lines.len() as u64)
    }

    async fn fold(&mut self, state: &State) -> Result<StoredSize, StoreError> {
        let snapshot = self.write_snapshot(state, true)?;
        // The journal now names an older serial than the snapshot, so its lines are ignored. It stays until the next
        // journal is created: together with the previous snapshot it results in this state.
        self.serial = state.serial;
        self.journal = None;
        Ok(StoredSize { snapshot, journal: 0 })
    }

    async fn close(self) -> Result<(), StoreError> {
        Ok(())
    }
}

impl Files {
    /// Opens the journal after its last complete line.
    pub(super) fn continue_journal(&self, tail: Tail) -> Result<(File, Chain), StoreError> {
        let path = self.directory.join(JOURNAL);
        let io = || StoreError::io(&path);
        boundary::reached(Boundary::JournalBegin);
        let mut file = private::open_or_create(&path).map_err(io())?;
        file.set_len(tail.whole).map_err(io())?;
        file.seek(io::SeekFrom::End(0)).map_err(io())?;
        file.sync_all().map_err(io())?;
        Ok((file, tail.chain))
    }

    /// Replaces the journal with an empty one and keeps the previous one under another name.
    pub(super) fn begin_journal(&self) -> Result<(File, Chain), StoreError> {
        let path = self.directory.join(JOURNAL);
        let next = self.directory.join("journal.next");
        let header = lines::header(self.serial);
        boundary::reached(Boundary::JournalBegin);
        let file = private::write(&next, header.as_bytes()).map_err(StoreError::io(&next))?;
        keep_previous(&path, &self.directory.join(PREVIOUS_JOURNAL))?;
        boundary::reached(Boundary::JournalRename);
        fs::rename(&next, &path).map_err(StoreError::io(&path))?;
        // Otherwise the directory may lose the file, and with it intents that were reported as durable.
        sync_directory(&self.directory)?;
        Ok((file, Chain::after(header.trim_end().as_bytes())))
    }

    /// Writes a new snapshot beside the previous one, syncs and verifies it, keeps the previous one under another name,
    /// renames the new one, and syncs the directory. Returns the number of bytes.
    pub(super) fn write_snapshot(&mut self, state: &State, keeps_previous: bool) -> Result<u64, StoreError> {
        let directory = &self.directory;
        let (path, next) = (directory.join(SNAPSHOT), directory.join("state.json.next"));
        if !directory.join(JOURNAL).exists() {
            // A snapshot without a journal beside it counts as a loss.
            self.begin_journal()?;
        }
        let (program, stack) = (&state.program, &state.stack);
        let source = Source { program, stack, path: next.clone(), seal: &self.seal };
        let text = snapshot::write(state, None::<&()>, &source)?;
        boundary::reached(Boundary::SnapshotWrite);
        let mut file = private::open_or_create(&next).map_err(StoreError::io(&next))?;
        file.set_len(0).and_then(|()| file.write_all(&text)).map_err(StoreError::io(&next))?;
        boundary::reached(Boundary::SnapshotSync);
        file.sync_all().map_err(StoreError::io(&next))?;
        if !holds(&next, &text).map_err(StoreError::io(&next))? {
            return Err(source.broken(1, "the file does not contain what was written to it"));
        }
        if keeps_previous {
            keep_previous(&path, &directory.join(PREVIOUS))?;
        }
        boundary::reached(Boundary::SnapshotRename);
        fs::rename(&next, &path).map_err(StoreError::io(&path))?;
        sync_directory(directory)?;
        Ok(text.len() as u64)
    }
}

/// Links a file under a second name, under which it remains when it is replaced. Does nothing if there is no file.
fn keep_previous(path: &Path, previous: &Path) -> Result<(), StoreError> {
    let mut beside = previous.as_os_str().to_owned();
    beside.push(".next");
    let beside = PathBuf::from(beside);
    match fs::remove_file(&beside) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(StoreError::io(beside)(error)),
        _ => {}
    }
    match fs::hard_link(path, &beside) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        linked => linked.map_err(StoreError::io(&beside))?,
    }
    fs::rename(&beside, previous).map_err(StoreError::io(previous))
}

/// Returns `true` if a file has exactly this content.
fn holds(path: &Path, text: &[u8]) -> io::Result<bool> {
    let mut file = private::open(path)?;
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
pub(super) fn sync_directory(directory: &Path) -> Result<(), StoreError> {
    boundary::reached(Boundary::DirectorySync);
    File::open(directory).and_then(|directory| directory.sync_all()).map_err(StoreError::io(directory))
}
