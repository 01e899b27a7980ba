//! Simulation of a power failure, which loses more than a SIGKILL: data that was written and not synced.
//!
//! The process that will be killed records which data is durable whenever that changes. After the kill, the harness
//! removes a random part of the other data. This applies to the file store only.

use crate::{Result, broken::Broken, sandbox::Sandbox};
use fastrand::Rng;
use std::{
    fmt::Write,
    fs::{self, File, OpenOptions},
    io,
    os::unix::fs::FileExt,
    path::{Path, PathBuf},
    sync::{Mutex, PoisonError},
};

/// The durable part of a stack's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Durable {
    /// Length of the journal's durable part.
    journal_bytes: u64,
    /// True when the directory entry of the current journal is durable.
    journal_named: bool,
    /// True when the rename of the new snapshot is durable.
    snapshot_named: bool,
}

/// Records at every boundary which data is durable.
pub struct Watch {
    stack_files: PathBuf,
    note: File,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    durable: Durable,
    syncing_directory: bool,
}

impl Watch {
    /// Creates the record of this sandbox; returns `None` for stores without files.
    pub fn begin(sandbox: &Sandbox) -> Result<Option<Self>> {
        let Some(stack_files) = sandbox.stack_files() else {
            return Ok(None);
        };
        let note = OpenOptions::new().write(true).create(true).truncate(false).open(note_path(sandbox))?;
        let durable = read_note(sandbox)?;
        Ok(Some(Self { stack_files, note, seen: Mutex::new(Seen { durable, ..Seen::default() }) }))
    }

    /// Updates the record for a boundary that the process has reached.
    pub fn reached(&self, boundary: &str) {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let journal = self.stack_files.join("journal");
        if std::mem::take(&mut seen.syncing_directory) {
            seen.durable.snapshot_named = true;
            seen.durable.journal_named = journal.exists();
        }
        match boundary {
            "JournalRename" => {
                seen.durable.journal_named = false;
                // The store writes and syncs the new journal under another name before it renames it.
                let next = self.stack_files.join("journal.next");
                seen.durable.journal_bytes = fs::metadata(&next).map_or(0, |metadata| metadata.len());
            }
            // The only writer of the journal is at this boundary and has synced all previous writes.
            "JournalWrite" | "JournalSynced" => {
                seen.durable.journal_bytes = fs::metadata(&journal).map_or(0, |metadata| metadata.len());
            }
            "SnapshotRename" => seen.durable.snapshot_named = false,
            "DirectorySync" => seen.syncing_directory = true,
            _ => {}
        }
        let Durable { journal_bytes, journal_named, snapshot_named } = seen.durable;
        let note = [journal_bytes.to_le_bytes(), [u8::from(journal_named), u8::from(snapshot_named), 0, 0, 0, 0, 0, 0]];
        // A write of sixteen bytes is atomic with respect to a kill. If it failed, the harness would remove too little.
        let _ = self.note.write_all_at(note.as_flattened(), 0);
    }
}

/// Removes a random part of the data that was not durable.
pub fn cut(sandbox: &Sandbox, rng: &mut Rng) -> Result<()> {
    let Some(stack_files) = sandbox.stack_files() else {
        return Ok(());
    };
    let durable = read_note(sandbox)?;
    let snapshot = stack_files.join("state.json");
    if !durable.snapshot_named && rng.bool() {
        // The rename is lost. The previous snapshot still exists under its second name.
        restore(&stack_files.join("state.json.previous"), &snapshot)?;
    }
    let journal = stack_files.join("journal");
    if !durable.journal_named && rng.bool() {
        // The rename is lost. The previous journal still exists under its second name.
        return restore(&stack_files.join("journal.previous"), &journal);
    }
    shorten(&journal, durable.journal_bytes, rng)
}

/// Changes the files as an engine with this defect would have left them.
pub fn apply_defect(sandbox: &Sandbox, broken: Broken, rng: &mut Rng) -> Result<()> {
    let Some(stack_files) = sandbox.stack_files() else {
        return Ok(());
    };
    let journal = stack_files.join("journal");
    match broken {
        Broken::Blind | Broken::Anonymous => Ok(()),
        Broken::Unsynced => {
            let header = fs::read(&journal).unwrap_or_default().iter().position(|&byte| byte == b'\n');
            shorten(&journal, header.map_or(0, |end| end as u64 + 1), rng)
        }
        Broken::Torn => match fs::read(stack_files.join("state.json.next")) {
            Ok(next) => Ok(fs::write(stack_files.join("state.json"), &next[..rng.usize(..=next.len() / 2)])?),
            Err(_) => Ok(()),
        },
        Broken::Forgetful => rewrite(&journal, |lines| lines.retain(|line| !line.contains(r#" {"progress":"#))),
        Broken::Replayed => rewrite(&journal, |lines| lines.extend(lines.clone().into_iter().skip(1))),
    }
}

/// Truncates a file to a random length of at least `durable_bytes`, or replaces the lost part with zeros.
fn shorten(path: &Path, durable_bytes: u64, rng: &mut Rng) -> Result<()> {
    let Ok(file) = OpenOptions::new().write(true).open(path) else {
        return Ok(());
    };
    let length = file.metadata()?.len();
    let kept = rng.u64(durable_bytes.min(length)..=length);
    file.set_len(kept)?;
    if rng.u8(..4) == 0 {
        file.set_len(length)?;
    }
    Ok(())
}

/// Replaces the file at `path` with a link to `previous`; deletes it when `previous` does not exist.
fn restore(previous: &Path, path: &Path) -> Result<()> {
    remove(path)?;
    match fs::hard_link(previous, path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

/// Changes the lines of a journal and recomputes the chain of their checksums.
fn rewrite(path: &Path, change: impl FnOnce(&mut Vec<String>)) -> Result<()> {
    let Ok(text) = fs::read_to_string(path) else {
        return Ok(());
    };
    // An incomplete last line is not an entry.
    let mut lines: Vec<String> =
        text.split_inclusive('\n').filter(|line| line.ends_with('\n')).map(Into::into).collect();
    change(&mut lines);
    let Some((header, lines)) = lines.split_first() else {
        return Ok(());
    };
    let mut text = header.clone();
    let mut sum = crc32fast::hash(header.trim_end().as_bytes());
    for (number, line) in (1_u64..).zip(lines) {
        let json = line.trim_end().splitn(3, ' ').last().unwrap_or_default();
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&sum.to_be_bytes());
        hasher.update(&number.to_be_bytes());
        hasher.update(json.as_bytes());
        sum = hasher.finalize();
        // Writing into a text does not fail.
        let _ = writeln!(text, "{number} {sum:08x} {json}");
    }
    Ok(fs::write(path, text)?)
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(()),
    }
}

fn note_path(sandbox: &Sandbox) -> PathBuf {
    sandbox.directory.join("durable")
}

fn read_note(sandbox: &Sandbox) -> Result<Durable> {
    match fs::read(note_path(sandbox)) {
        Ok(bytes) if bytes.len() == 16 => {
            let mut length = [0; 8];
            length.copy_from_slice(&bytes[..8]);
            Ok(Durable {
                journal_bytes: u64::from_le_bytes(length),
                journal_named: bytes[8] == 1,
                snapshot_named: bytes[9] == 1,
            })
        }
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error.into()),
        _ => Ok(Durable { journal_named: true, snapshot_named: true, ..Durable::default() }),
    }
}
