//! The state on disk: a snapshot, and a journal with a line for each change since.
//!
//! The cost of a change depends only on its size. When the journal has outgrown the snapshot, a new snapshot is written
//! to a temporary file and renamed, and the journal is truncated. Lines that the snapshot includes already have no
//! effect.
//!
//! Each line begins with its number and a checksum (CRC-32, against accidental damage) over the checksum of the
//! previous line, the number and the rest of the line. The snapshot's last field is a checksum of everything before it.
//! A crash can leave a last line without a newline. The request of that change was not answered, so the line is
//! ignored. Any other damage is an error, because later changes would be lost.

use std::fs::File;
use std::io::{self, Seek as _, Write as _};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::changes::{Record, apply};
use crate::model::{Account, Cloud, earlier};
use crate::state::files;
use crate::state::files::write_private;

const SNAPSHOT: &str = "cloud.json";
const JOURNAL: &str = "cloud.journal";

/// Size that the journal may reach even if the snapshot is smaller.
const LEAST_BYTES: u64 = 256 * 1024;

/// The files of a cloud's directory that hold its state.
pub(super) struct Journal {
    snapshot: PathBuf,
    path: PathBuf,
    lines: File,
    bytes: u64,
    snapshot_bytes: u64,
    /// True when the journal can be read back.
    intact: bool,
    chain: Chain,
}

/// Returns the account of the state in a directory; `None` if the directory contains no state. The account never changes, so
/// the snapshot contains it.
pub fn recorded_account(directory: &Path) -> io::Result<Option<Account>> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Beginning {
        account: Account,
    }
    let path = directory.join(SNAPSHOT);
    let Some(bytes) = files::read(&path)? else { return Ok(None) };
    let beginning: Beginning = serde_json::from_slice(&bytes)
        .map_err(|error| invalid(&path, &format!("cannot be read: {error}"), "restore it from a copy"))?;
    Ok(Some(beginning.account))
}

/// The end of the journal, which the next line continues.
#[derive(Clone, Copy, Default)]
struct Chain {
    lines: u64,
    sum: u32,
}

impl Journal {
    /// Opens the files of a directory and reads the state; `None` when there are no files.
    pub(super) fn open(directory: &Path) -> io::Result<(Journal, Option<Cloud>)> {
        let (snapshot, journal) = (directory.join(SNAPSHOT), directory.join(JOURNAL));
        let mut lines = files::open_or_create(&journal)?;
        let written = files::read(&journal)?.unwrap_or_default();
        lines.seek(io::SeekFrom::End(0))?;
        let chain = Chain::default();
        let Some(bytes) = files::read(&snapshot)? else {
            if !written.is_empty() {
                return Err(invalid(
                    &snapshot,
                    "is missing, while cloud.journal has changes of it",
                    "restore it from a copy",
                ));
            }
            let journal = Journal { snapshot, path: journal, lines, bytes: 0, snapshot_bytes: 0, intact: false, chain };
            return Ok((journal, None));
        };
        let cloud = read(&bytes, &written).map_err(|error| match error {
            Damage::Snapshot(reason) => invalid(&snapshot, &reason, "restore it from a copy"),
            Damage::Line(number, reason) => invalid(
                &journal,
                &format!("is damaged at line {number}: {reason}"),
                "restore it from a copy, or remove it to go back to the state in cloud.json",
            ),
        })?;
        // An incomplete last line must not precede another line.
        let intact = written.is_empty();
        let snapshot_bytes = bytes.len() as u64;
        let journal = Journal { snapshot, path: journal, lines, bytes: 0, snapshot_bytes, intact, chain };
        Ok((journal, Some(cloud)))
    }

    /// Returns whether the snapshot alone contains the state that was read.
    pub(super) fn is_folded(&self) -> bool {
        self.intact && self.bytes == 0
    }

    /// Appends a change, of which `cloud` is the result.
    pub(super) fn append(&mut self, record: &Record, cloud: &Cloud) -> io::Result<()> {
        let mut chain = self.chain;
        let line = chain.push(&record.line()?);
        if !self.intact || self.bytes + line.len() as u64 > self.snapshot_bytes.max(LEAST_BYTES) {
            return self.fold(cloud);
        }
        // An incomplete line must not precede another line.
        self.lines.write_all(&line).inspect_err(|_| self.intact = false)?;
        self.bytes += line.len() as u64;
        self.chain = chain;
        Ok(())
    }

    /// Returns whether the directory still contains the file that was opened: it may have been removed, and created
    /// again by another cloud.
    pub(super) fn is_in_place(&self) -> bool {
        let id = |file: std::fs::Metadata| (file.dev(), file.ino());
        match (self.lines.metadata(), std::fs::symlink_metadata(&self.path)) {
            (Ok(opened), Ok(found)) => id(opened) == id(found),
            (_, Err(error)) => error.kind() != io::ErrorKind::NotFound,
            (Err(_), _) => true,
        }
    }

    /// Writes a snapshot of the complete state. Fails when the directory was removed, because another cloud may use its
    /// path by now.
    pub(super) fn fold(&mut self, cloud: &Cloud) -> io::Result<()> {
        if !self.is_in_place() {
            return Err(io::Error::other(format!("{} was removed while the local cloud runs", self.path.display())));
        }
        let bytes = with_checksum(&serde_json::to_string_pretty(cloud)?);
        write_private(&self.snapshot, &bytes)?;
        self.snapshot_bytes = bytes.len() as u64;
        self.intact = false;
        self.lines.set_len(0)?;
        self.lines.rewind()?;
        self.chain = Chain::default();
        self.bytes = 0;
        self.intact = true;
        Ok(())
    }
}

impl Chain {
    /// Returns the line with its number and its checksum prepended.
    fn push(&mut self, line: &[u8]) -> Vec<u8> {
        *self = self.next(line);
        [format!("{} {:08x} ", self.lines, self.sum).as_bytes(), line].concat()
    }

    fn next(self, line: &[u8]) -> Self {
        let lines = self.lines + 1;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.sum.to_be_bytes());
        hasher.update(&lines.to_be_bytes());
        hasher.update(line);
        Self { lines, sum: hasher.finalize() }
    }

    /// Returns the line without its number and its checksum, if they are the expected ones.
    fn check<'a>(&mut self, line: &'a [u8]) -> Result<&'a [u8], String> {
        const CHANGED: &str = "it does not fit its checksum";
        if line.starts_with(b"[") && self.lines == 0 {
            // Earlier versions wrote no checksums.
            return Ok(line);
        }
        let mut parts = line.splitn(3, |&byte| byte == b' ');
        let (Some(number), Some(sum), Some(rest)) = (parts.next(), parts.next(), parts.next()) else {
            return Err(CHANGED.to_owned());
        };
        let next = self.next(rest);
        if number != next.lines.to_string().as_bytes() {
            let number = String::from_utf8_lossy(number);
            return Err(format!(
                "its number is {number} where {} is expected: a line is lost, doubled or moved",
                next.lines
            ));
        }
        if sum != format!("{:08x}", next.sum).as_bytes() {
            return Err(CHANGED.to_owned());
        }
        *self = next;
        Ok(rest)
    }
}

/// The text before the snapshot's checksum, which is its last field, and the text after it.
const BEFORE_CHECKSUM: &str = ",\n  \"checksum\": \"";
const AFTER_CHECKSUM: &str = "\"\n}";

/// Adds a checksum to the text of a JSON object.
fn with_checksum(object: &str) -> Vec<u8> {
    let covered = object.strip_suffix("\n}").expect("the brace of a pretty object has a line of its own");
    let sum = crc32fast::hash(covered.as_bytes());
    format!("{covered}{BEFORE_CHECKSUM}{sum:08x}{AFTER_CHECKSUM}").into_bytes()
}

/// Parses a snapshot. Those of earlier versions have no checksum.
fn parse<T: DeserializeOwned>(snapshot: &[u8]) -> Result<T, Damage> {
    let damage = |error: serde_json::Error| Damage::Snapshot(format!("is not a state of this version: {error}"));
    let sealed = snapshot.strip_suffix(AFTER_CHECKSUM.as_bytes()).and_then(|rest| rest.split_last_chunk::<8>());
    let sealed = sealed.and_then(|(rest, sum)| Some((rest.strip_suffix(BEFORE_CHECKSUM.as_bytes())?, sum)));
    let Some((covered, sum)) = sealed else { return serde_json::from_slice(snapshot).map_err(damage) };
    if format!("{:08x}", crc32fast::hash(covered)).as_bytes() != sum {
        return Err(Damage::Snapshot("does not fit its checksum: it was changed".to_owned()));
    }
    serde_json::from_slice(&[covered, b"}"].concat()).map_err(damage)
}

/// Damage because of which a state cannot be read.
enum Damage {
    Snapshot(String),
    /// The number of the line, and the problem.
    Line(usize, String),
}

/// Returns the state of a snapshot after these lines. An incomplete last line belongs to a request that was not
/// answered.
fn read(snapshot: &[u8], lines: &[u8]) -> Result<Cloud, Damage> {
    if lines.is_empty()
        && let Ok(cloud) = parse(snapshot)
    {
        return Ok(cloud);
    }
    let mut state: Value = parse(snapshot)?;
    earlier::migrate(&mut state);
    let mut chain = Chain::default();
    for (number, line) in lines.split_inclusive(|byte| *byte == b'\n').enumerate() {
        if !line.ends_with(b"\n") && !is_complete(line, chain) {
            tracing::warn!(bytes = line.len(), "the state's last change was not written to its end, and is left out");
            break;
        }
        let line = chain.check(line).map_err(|reason| Damage::Line(number + 1, reason))?;
        if !apply(&mut state, line) {
            return Err(Damage::Line(number + 1, "it is not a change of the state".to_owned()));
        }
    }
    serde_json::from_value(state)
        .map_err(|error| Damage::Snapshot(format!("is not a state of this version after its changes: {error}")))
}

/// Returns whether a line is complete except for the newline at its end.
fn is_complete(line: &[u8], mut chain: Chain) -> bool {
    let Some((_, content)) = line.split_last() else { return false };
    !line.starts_with(b"[") && chain.check(&[content, b"\n"].concat()).is_ok()
}

fn invalid(path: &Path, what: &str, remedy: &str) -> io::Error {
    let path = path.display();
    let text =
        format!("{path} {what}; nothing was changed: {remedy}, or begin with an empty cloud: `stack local reset`");
    io::Error::new(io::ErrorKind::InvalidData, text)
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

        fn read_back(&mut self) -> Cloud {
            let (journal, found) = Journal::open(self.directory.path()).unwrap();
            self.journal = journal;
            found.unwrap()
        }
    }

    #[test]
    fn written_changes_are_read_back_without_an_incomplete_line() {
        let mut written = Written::new();
        for port in 1..=3 {
            written.change(|cloud| cloud.port = Some(port));
        }
        assert_eq!(written.read_back(), written.cloud);
        let lines = written.lines();
        assert_eq!(lines.split_inclusive(|byte| *byte == b'\n').count(), 3);
        for cut in 1..lines.len() / 3 {
            std::fs::write(written.directory.path().join(JOURNAL), &lines[..lines.len() - cut]).unwrap();
            assert_eq!(written.read_back().port, Some(2), "{cut} bytes are missing");
        }
        // No line may follow an incomplete line, so the whole state is written.
        written.change(|cloud| cloud.port = Some(4));
        assert!(written.lines().is_empty());
        assert_eq!(written.read_back().port, Some(4));
    }

    #[test]
    fn a_damaged_line_is_refused_and_no_later_line_is_dropped() {
        let mut written = Written::new();
        for port in 1..=4 {
            written.change(|cloud| cloud.port = Some(port));
        }
        let path = written.directory.path().join(JOURNAL);
        let undamaged = written.lines();
        let refused = |damaged: &[u8]| {
            std::fs::write(&path, damaged).unwrap();
            let error = Journal::open(written.directory.path()).map(drop).unwrap_err().to_string();
            assert_eq!(std::fs::read(&path).unwrap(), damaged, "nothing is changed");
            error
        };
        for at in 0..undamaged.len() {
            for bit in [at % 8, (at + 3) % 8] {
                let mut changed = undamaged.clone();
                changed[at] ^= 1 << bit;
                refused(&changed);
            }
        }
        let lines: Vec<&[u8]> = undamaged.split_inclusive(|byte| *byte == b'\n').collect();
        for at in 0..3 {
            let (mut lost, mut doubled, mut moved) = (lines.clone(), lines.clone(), lines.clone());
            lost.remove(at);
            doubled.insert(at, lines[at]);
            moved.swap(at, at + 1);
            let error = refused(&lost.concat());
            for part in ["cloud.journal is damaged at line", "`stack local reset`", "cloud.json"] {
                assert!(error.contains(part), "{part} is missing in: {error}");
            }
            refused(&doubled.concat());
            refused(&moved.concat());
        }
        std::fs::write(&path, &undamaged).unwrap();
        assert_eq!(written.read_back().port, Some(4));
        std::fs::remove_file(written.directory.path().join(SNAPSHOT)).unwrap();
        let error = Journal::open(written.directory.path()).map(drop).unwrap_err().to_string();
        assert!(error.contains("cloud.json is missing"), "{error}");
    }

    #[test]
    fn a_changed_snapshot_is_refused() {
        let mut written = Written::new();
        let path = written.directory.path().join(SNAPSHOT);
        let undamaged = std::fs::read(&path).unwrap();
        for at in 0..undamaged.len() {
            let mut changed = undamaged.clone();
            changed[at] ^= 1 << (at % 8);
            std::fs::write(&path, &changed).unwrap();
            match Journal::open(written.directory.path()) {
                // The name of the checksum's field contains no part of the state.
                Ok((_, found)) => assert!(found.unwrap() == written.cloud && at > undamaged.len() - 30, "byte {at}"),
                Err(error) => assert!(error.to_string().contains("cloud.json"), "{error}"),
            }
        }
        std::fs::write(&path, &undamaged).unwrap();
        assert_eq!(written.read_back(), written.cloud);
        // Earlier versions wrote no checksum.
        std::fs::write(&path, serde_json::to_vec_pretty(&written.cloud).unwrap()).unwrap();
        assert_eq!(written.read_back(), written.cloud);
    }

    #[test]
    fn planted_links_are_not_followed() {
        for file in [SNAPSHOT, JOURNAL] {
            let written = Written::new();
            let (planted, target) = (written.directory.path().join(file), written.directory.path().join("target"));
            std::fs::rename(&planted, &target).unwrap();
            std::os::unix::fs::symlink(&target, &planted).unwrap();
            let error = Journal::open(written.directory.path()).map(drop).unwrap_err().to_string();
            assert!(error.contains(file) && error.contains("symbolic link"), "{error}");
        }
    }

    #[test]
    fn lines_of_an_earlier_version_are_read() {
        let mut written = Written::new();
        let mut next = written.cloud.clone();
        next.port = Some(7);
        let line = Record::of(&next, &written.cloud).line().unwrap();
        let path = written.directory.path().join(JOURNAL);
        std::fs::write(&path, &line).unwrap();
        assert_eq!(written.read_back().port, Some(7));
        std::fs::write(&path, [b"[[[", &line[..]].concat()).unwrap();
        assert!(Journal::open(written.directory.path()).is_err());
    }

    #[test]
    fn the_journal_is_folded_when_it_has_outgrown_the_snapshot() {
        let mut written = Written::new();
        let (mut folds, mut longest) = (0, 0);
        for number in 0..3000 {
            let before = written.lines().len();
            written.change(|cloud| {
                let region = cloud.regions.get_mut("us-east-1").unwrap();
                region.ec2.client_tokens.record("Operation", &format!("token-{number}"), "x".repeat(200), "");
            });
            folds += usize::from(written.lines().len() < before);
            longest = longest.max(written.lines().len());
        }
        let snapshot = std::fs::metadata(written.directory.path().join(SNAPSHOT)).unwrap().len() as usize;
        assert!(folds > 0 && longest <= snapshot.max(LEAST_BYTES as usize), "{folds} {longest} {snapshot}");
        assert_eq!(written.read_back(), written.cloud);
    }
}
