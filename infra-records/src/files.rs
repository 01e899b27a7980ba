//! Access to the files of records.

use crate::format::{self, Header};
use std::{
    fs::{self, DirBuilder, File, OpenOptions, TryLockError},
    io::{self, BufRead, BufReader, Read, Seek, SeekFrom},
    os::unix::fs::{DirBuilderExt, OpenOptionsExt},
    path::{Path, PathBuf},
};

/// Size of the part of a file that is read for its last line, in bytes.
const TAIL: u64 = 16 * 1024;

/// A record, by its path and size.
pub(crate) struct Found {
    pub(crate) path: PathBuf,
    pub(crate) size: u64,
}

/// Creates a record that only its owner can read, with the missing directories. The file is locked until it is closed.
pub(crate) fn create(path: &Path) -> io::Result<File> {
    if let Some(directory) = path.parent() {
        DirBuilder::new().recursive(true).mode(0o700).create(directory)?;
    }
    let file = OpenOptions::new().append(true).create_new(true).mode(0o600).open(path)?;
    file.lock()?;
    Ok(file)
}

/// Returns whether a process writes the record: the lock is released when the process terminates.
pub(crate) fn is_written(path: &Path) -> bool {
    File::open(path).is_ok_and(|file| matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock)))
}

/// Returns the records of a stack, the oldest first. A missing directory has none.
pub(crate) fn records(stack: &Path) -> Vec<Found> {
    let entries = fs::read_dir(stack).into_iter().flatten().flatten();
    let mut found: Vec<Found> = entries
        .filter(|entry| entry.file_name().to_str().is_some_and(|name| format::id_of(name).is_some()))
        .filter_map(|entry| Some(Found { path: entry.path(), size: entry.metadata().ok()?.len() }))
        .collect();
    found.sort_by(|one, other| one.path.cmp(&other.path));
    found
}

/// Returns the directories in a directory, sorted. A missing directory has none.
pub(crate) fn directories(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    let is_directory = |entry: &fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_dir());
    let mut found: Vec<PathBuf> = entries.filter(is_directory).map(|entry| entry.path()).collect();
    found.sort();
    found
}

/// Returns the first line of a record. A record whose run has written no line, or that is damaged, has none.
pub(crate) fn header(path: &Path) -> io::Result<Option<Header>> {
    let mut line = String::new();
    BufReader::new(File::open(path)?).read_line(&mut line)?;
    Ok(parse_header(&line))
}

/// Parses the first line of a record.
pub(crate) fn parse_header(line: &str) -> Option<Header> {
    let common: format::Common = serde_json::from_str(line).ok()?;
    if common.event == "run_recorded" { serde_json::from_str(line).ok() } else { None }
}

/// Returns the last complete line of a record.
pub(crate) fn last_line(path: &Path) -> io::Result<Option<String>> {
    let mut file = File::open(path)?;
    let end = file.metadata()?.len();
    let mut size = TAIL;
    loop {
        let start = end.saturating_sub(size);
        file.seek(SeekFrom::Start(start))?;
        let mut bytes = Vec::new();
        (&mut file).take(end - start).read_to_end(&mut bytes)?;
        let complete = bytes.iter().rposition(|&byte| byte == b'\n').unwrap_or(0);
        let before = bytes[..complete].iter().rposition(|&byte| byte == b'\n').map(|at| at + 1);
        match before {
            Some(first) => return Ok(String::from_utf8(bytes[first..complete].to_vec()).ok()),
            None if start > 0 => size *= 4,
            None if complete == 0 => return Ok(None),
            None => return Ok(String::from_utf8(bytes[..complete].to_vec()).ok()),
        }
    }
}

/// Calls `line` for every complete line after an offset, and returns the offset behind the last one.
pub(crate) fn each_line(path: &Path, offset: u64, mut line: impl FnMut(&str)) -> io::Result<u64> {
    let mut file = File::open(path)?;
    file.seek(SeekFrom::Start(offset))?;
    let (mut reader, mut offset, mut bytes) = (BufReader::with_capacity(64 * 1024, file), offset, Vec::new());
    loop {
        bytes.clear();
        let read = reader.read_until(b'\n', &mut bytes)?;
        if bytes.pop() != Some(b'\n') {
            return Ok(offset);
        }
        offset += read as u64;
        // A line of a damaged record may be no text; its reader counts it as unreadable.
        line(&String::from_utf8_lossy(&bytes));
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::io::Write;

    #[test]
    fn last_complete_line_is_found_in_short_and_long_files() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let long = "y".repeat(200_000);
        for (content, expected) in [
            (String::new(), None),
            ("torn".to_owned(), None),
            ("one\n".to_owned(), Some("one".to_owned())),
            ("one\ntwo\ntorn".to_owned(), Some("two".to_owned())),
            (format!("one\n{long}\ntorn"), Some(long.clone())),
            (format!("{long}\n{long}z"), Some(long.clone())),
        ] {
            fs::write(&path, content).unwrap();
            assert_eq!(last_line(&path).unwrap(), expected);
        }
    }

    #[test]
    fn torn_line_is_read_once_it_is_complete() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("record");
        let mut lines = Vec::new();
        fs::write(&path, "one\ntw").unwrap();
        let offset = each_line(&path, 0, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((offset, lines.join(",")), (4, "one".to_owned()));
        OpenOptions::new().append(true).open(&path).unwrap().write_all(b"o\nthree\n").unwrap();
        let offset = each_line(&path, offset, |line| lines.push(line.to_owned())).unwrap();
        assert_eq!((offset, lines.join(",")), (14, "one,two,three".to_owned()));
        assert_eq!(each_line(&path, 100, |_| panic!("there is no line")).unwrap(), 100);
    }

    #[test]
    fn record_is_private_and_locked_until_it_is_closed() {
        use std::os::unix::fs::PermissionsExt;
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("runs/web/record");
        let file = create(&path).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!((mode(&path), mode(path.parent().unwrap())), (0o600, 0o700));
        assert!(is_written(&path));
        assert!(create(&path).is_err());
        drop(file);
        assert!(!is_written(&path));
    }
}
