//! The state on disk: a snapshot, and a line for each change since.
//!
//! A change costs what it changes, however much else there is. When the lines have outgrown the snapshot, a new one is
//! written beside it and renamed, and the lines are cut off; a line that a snapshot holds already does no harm.

use std::fs::File;
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::{Cloud, write_private};
use crate::model::changes::{Record, apply};

const SNAPSHOT: &str = "cloud.json";
const JOURNAL: &str = "cloud.journal";

/// How long the journal may become at least.
const LEAST_BYTES: u64 = 256 * 1024;

/// The files of a cloud's directory that hold its state.
pub(super) struct Journal {
    snapshot: PathBuf,
    lines: File,
    bytes: u64,
    snapshot_bytes: u64,
    /// Whether what stands in the lines can be read back.
    intact: bool,
}

impl Journal {
    /// Opens the files of a directory and reads what is in them; nothing when there are none.
    pub(super) fn open(directory: &Path) -> io::Result<(Journal, Option<Cloud>)> {
        let (snapshot, journal) = (directory.join(SNAPSHOT), directory.join(JOURNAL));
        let lines = File::options().append(true).create(true).mode(0o600).open(&journal)?;
        let bytes = match std::fs::read(&snapshot) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Ok((Journal { snapshot, lines, bytes: 0, snapshot_bytes: 0, intact: false }, None));
            }
            Err(error) => return Err(error),
        };
        let written = std::fs::read(&journal)?;
        let cloud = read(&bytes, &written).map_err(|error| {
            let path = snapshot.display();
            let text = format!("{path} is not a state of this version: {error}; `local reset` begins a new one");
            io::Error::new(io::ErrorKind::InvalidData, text)
        })?;
        // A last line that is not whole must not stand before another.
        let intact = written.is_empty();
        Ok((Journal { snapshot, lines, bytes: 0, snapshot_bytes: bytes.len() as u64, intact }, Some(cloud)))
    }

    /// Whether the snapshot alone holds what was read.
    pub(super) fn is_folded(&self) -> bool {
        self.intact && self.bytes == 0
    }

    /// Writes down how `cloud` came about.
    pub(super) fn append(&mut self, record: &Record, cloud: &Cloud) -> io::Result<()> {
        let line = record.line()?;
        if !self.intact || self.bytes + line.len() as u64 > self.snapshot_bytes.max(LEAST_BYTES) {
            return self.fold(cloud);
        }
        // What was written in part must not stand before what is written later.
        self.lines.write_all(&line).inspect_err(|_| self.intact = false)?;
        self.bytes += line.len() as u64;
        Ok(())
    }

    /// Makes a snapshot of the whole state.
    pub(super) fn fold(&mut self, cloud: &Cloud) -> io::Result<()> {
        let bytes = serde_json::to_vec_pretty(cloud).map_err(io::Error::other)?;
        write_private(&self.snapshot, &bytes)?;
        self.snapshot_bytes = bytes.len() as u64;
        self.intact = false;
        self.lines.set_len(0)?;
        self.bytes = 0;
        self.intact = true;
        Ok(())
    }
}

/// The state of a snapshot after these lines. A last line that is not whole was never answered for.
fn read(snapshot: &[u8], lines: &[u8]) -> serde_json::Result<Cloud> {
    if lines.is_empty() {
        return serde_json::from_slice(snapshot);
    }
    let mut state: Value = serde_json::from_slice(snapshot)?;
    for line in lines.split_inclusive(|byte| *byte == b'\n') {
        if !line.ends_with(b"\n") || !apply(&mut state, line) {
            tracing::warn!(bytes = line.len(), "the state's last change was not written to its end, and is left out");
            break;
        }
    }
    serde_json::from_value(state)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    struct Written {
        directory: tempfile::TempDir,
        journal: Journal,
        cloud: Cloud,
    }

    impl Written {
        fn new() -> Self {
            let directory = tempfile::tempdir().unwrap();
            let (mut journal, found) = Journal::open(directory.path()).unwrap();
            assert!(found.is_none());
            let mut cloud = Cloud::default();
            cloud.complete();
            journal.fold(&cloud).unwrap();
            Self { directory, journal, cloud }
        }

        fn change(&mut self, change: impl FnOnce(&mut Cloud)) {
            let mut next = self.cloud.clone();
            change(&mut next);
            self.journal.append(&Record::of(&next, &self.cloud), &next).unwrap();
            self.cloud = next;
        }

        fn lines(&self) -> Vec<u8> {
            std::fs::read(self.directory.path().join(JOURNAL)).unwrap()
        }

        fn read_again(&mut self) -> Cloud {
            let (journal, found) = Journal::open(self.directory.path()).unwrap();
            self.journal = journal;
            found.unwrap()
        }
    }

    #[test]
    fn what_was_written_is_read_back_and_half_a_line_is_left_out() {
        let mut written = Written::new();
        for port in 1..=3 {
            written.change(|cloud| cloud.port = Some(port));
        }
        assert_eq!(written.read_again(), written.cloud);
        let lines = written.lines();
        assert_eq!(lines.split_inclusive(|byte| *byte == b'\n').count(), 3);
        for cut in 1..lines.len() / 3 {
            std::fs::write(written.directory.path().join(JOURNAL), &lines[..lines.len() - cut]).unwrap();
            assert_eq!(written.read_again().port, Some(2), "{cut} bytes are missing");
        }
        // Nothing may stand behind half a line: the whole state is written.
        written.change(|cloud| cloud.port = Some(4));
        assert!(written.lines().is_empty());
        assert_eq!(written.read_again().port, Some(4));
    }

    #[test]
    fn lines_are_folded_when_they_have_outgrown_the_snapshot() {
        let mut written = Written::new();
        let (mut folds, mut longest) = (0, 0);
        for number in 0..3000 {
            let before = written.lines().len();
            written.change(|cloud| {
                let region = cloud.regions.get_mut("us-east-1").unwrap();
                region.client_tokens.insert(format!("token-{number}"), ("x".repeat(200), String::new()));
            });
            folds += usize::from(written.lines().len() < before);
            longest = longest.max(written.lines().len());
        }
        let snapshot = std::fs::metadata(written.directory.path().join(SNAPSHOT)).unwrap().len() as usize;
        assert!(folds > 0 && longest <= snapshot.max(LEAST_BYTES as usize), "{folds} {longest} {snapshot}");
        assert_eq!(written.read_again(), written.cloud);
    }
}
