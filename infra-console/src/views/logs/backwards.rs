//! Reads the lines of a log from its end.

use super::parse::start_time;
use chrono::{DateTime, Utc};
use memchr::memrchr;
use std::{
    fs::File,
    io::{self, Read, Seek, SeekFrom},
    path::{Path, PathBuf},
    time::SystemTime,
};

/// Number of bytes per read.
const CHUNK: u64 = 64 * 1024;

/// The longest line, in bytes. The rest of a longer one is omitted.
const LONGEST: usize = 256 * 1024;

/// The lines of some files, from the end of the first file to the beginning of the last one.
pub(super) struct Backwards {
    /// Files to read after the present one, in reverse order.
    files: Vec<PathBuf>,
    file: Option<File>,
    /// Position in the file before which nothing is read yet.
    position: u64,
    /// Bytes after the position, without those of returned lines.
    unread: Vec<u8>,
    /// Number of bytes that may still be read.
    budget: u64,
    /// Lines after this time are not requested.
    until: Option<DateTime<Utc>>,
    /// Time of the last change of the first file.
    modified: Option<DateTime<Utc>>,
}

impl Backwards {
    /// Opens the files. Those that do not exist are empty.
    ///
    /// Skips lines after `until` as far as the times in the files increase.
    pub(super) fn open<const N: usize>(
        files: [PathBuf; N],
        until: Option<DateTime<Utc>>,
        budget: u64,
    ) -> io::Result<Self> {
        let modified = std::fs::metadata(&files[0]).and_then(|metadata| metadata.modified()).ok();
        let mut lines = Self {
            files: files.into_iter().rev().collect(),
            file: None,
            position: 0,
            unread: Vec::new(),
            budget,
            until,
            modified: modified.map(|time: SystemTime| time.into()),
        };
        lines.open_next()?;
        Ok(lines)
    }

    /// Returns the time of the last change of the first file.
    pub(super) fn modified(&self) -> Option<DateTime<Utc>> {
        self.modified
    }

    /// Returns whether older lines exist that were not read because of the budget.
    pub(super) fn is_cut(&self) -> bool {
        self.budget == 0 && (self.position > 0 || !self.files.is_empty())
    }

    /// Returns the line before the last returned one. Omits empty lines.
    pub(super) fn line(&mut self) -> io::Result<Option<String>> {
        loop {
            if let Some(newline) = memrchr(b'\n', &self.unread) {
                let line = self.unread.split_off(newline + 1);
                self.unread.truncate(newline);
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(text(&line)));
                }
            } else if self.position > 0 {
                if self.budget == 0 {
                    return Ok(None);
                }
                self.fill()?;
            } else {
                let line = std::mem::take(&mut self.unread);
                if !line.trim_ascii().is_empty() {
                    return Ok(Some(text(&line)));
                }
                if !self.open_next()? {
                    return Ok(None);
                }
            }
        }
    }

    /// Reads the chunk before the position.
    fn fill(&mut self) -> io::Result<()> {
        let Some(file) = &mut self.file else { return Ok(()) };
        let length = self.position.min(CHUNK).min(self.budget);
        file.seek(SeekFrom::Start(self.position - length))?;
        let mut bytes = Vec::with_capacity(self.unread.len() + usize::try_from(length).unwrap_or_default());
        file.take(length).read_to_end(&mut bytes)?;
        if (bytes.len() as u64) < length {
            // The local cloud has truncated the file meanwhile.
            self.unread.clear();
        }
        bytes.append(&mut self.unread);
        // Without a line break, these bytes are the end of one line.
        if memrchr(b'\n', &bytes).is_none() {
            bytes.truncate(LONGEST);
        }
        self.unread = bytes;
        self.position -= length;
        self.budget -= length;
        Ok(())
    }

    fn open_next(&mut self) -> io::Result<bool> {
        while let Some(path) = self.files.pop() {
            if let Some(mut file) = open(&path)? {
                let length = file.metadata()?.len();
                self.position = match self.until {
                    Some(until) => end_before(&mut file, length, until)?,
                    None => length,
                };
                self.file = Some(file);
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// Opens a regular file. A link or a pipe in its place is not opened: a service could have created it.
fn open(path: &Path) -> io::Result<Option<File>> {
    match std::fs::symlink_metadata(path) {
        Ok(metadata) if metadata.is_file() => File::open(path).map(Some),
        Ok(_) => Err(io::Error::other("it is not a regular file")),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Returns a position after all lines until a time, by bisection.
fn end_before(file: &mut File, length: u64, until: DateTime<Utc>) -> io::Result<u64> {
    let (mut low, mut high) = (0, length);
    while high - low > 4 * CHUNK {
        let middle = low + (high - low) / 2;
        file.seek(SeekFrom::Start(middle))?;
        let mut bytes = Vec::new();
        file.take(CHUNK).read_to_end(&mut bytes)?;
        // The first line is incomplete.
        let chunk = text(&bytes);
        let time = chunk.lines().skip(1).find_map(start_time);
        match time {
            Some(time) if time > until => high = middle,
            _ => low = middle,
        }
    }
    // The position is within a line, whose rest is also read.
    Ok((high + CHUNK).min(length))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).trim_end_matches(['\r', '\n']).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use std::fmt::Write as _;

    fn all(lines: &mut Backwards) -> Vec<String> {
        std::iter::from_fn(|| lines.line().unwrap()).collect()
    }

    fn files(directory: &Path, newest: &str, previous: Option<&str>) -> [PathBuf; 2] {
        let paths = [directory.join("a.log"), directory.join("a.log.1")];
        std::fs::write(&paths[0], newest).unwrap();
        previous.inspect(|text| std::fs::write(&paths[1], text).unwrap());
        paths
    }

    #[test]
    fn lines_come_from_both_files_in_reverse_order() {
        let directory = tempfile::tempdir().unwrap();
        let files = files(directory.path(), "three\n\r\nfour\r\nincompl", Some("one\ntwo\n"));
        let mut lines = Backwards::open(files, None, u64::MAX).unwrap();
        assert_eq!(all(&mut lines), ["incompl", "four", "three", "two", "one"]);
        assert!(!lines.is_cut());
    }

    #[test]
    fn a_missing_file_has_no_lines_and_a_link_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("a.log");
        assert!(all(&mut Backwards::open([path.clone()], None, 1000).unwrap()).is_empty());
        std::os::unix::fs::symlink("/etc/hostname", &path).unwrap();
        assert!(Backwards::open([path], None, 1000).is_err());
    }

    #[test]
    fn lines_at_the_borders_of_chunks_are_complete() {
        let directory = tempfile::tempdir().unwrap();
        let expected: Vec<String> = (0..9000).map(|number| format!("{number} {}", "x".repeat(number % 97))).collect();
        let files = files(directory.path(), &(expected.join("\n") + "\n"), None);
        let mut read = all(&mut Backwards::open(files, None, u64::MAX).unwrap());
        read.reverse();
        assert_eq!(read, expected);
    }

    #[test]
    fn long_lines_and_the_number_of_bytes_are_bounded() {
        let directory = tempfile::tempdir().unwrap();
        let text = format!("before\nlong {}\nlast\n", "y".repeat(3 * LONGEST));
        let paths = files(directory.path(), &text, None);
        let read = all(&mut Backwards::open(paths.clone(), None, u64::MAX).unwrap());
        let lengths: Vec<usize> = read.iter().map(String::len).collect();
        assert_eq!((read.len(), &read[0][..], &read[2][..]), (3, "last", "before"));
        assert!(read[1].starts_with("long yyy") && lengths[1] <= LONGEST + 64 * 1024, "{lengths:?}");
        let mut cut = Backwards::open(paths, None, 1000).unwrap();
        assert_eq!(all(&mut cut), ["last"]);
        assert!(cut.is_cut());
    }

    #[test]
    fn lines_after_a_time_are_skipped_without_reading_them() {
        let directory = tempfile::tempdir().unwrap();
        let mut text = String::new();
        for second in 0..80_000 {
            let (hour, minute, second) = (second / 3600, second / 60 % 60, second % 60);
            writeln!(text, "2026-11-30T{hour:02}:{minute:02}:{second:02}Z INFO {}", "z".repeat(100)).unwrap();
        }
        let until = "2026-11-30T05:00:00Z".parse().unwrap();
        let files = files(directory.path(), &text, None);
        // The file has 10 MB.
        let lines = all(&mut Backwards::open(files, Some(until), 1_000_000).unwrap());
        assert!(lines.iter().any(|line| line.starts_with("2026-11-30T05:00:00Z")));
        assert!(lines.iter().any(|line| line.starts_with("2026-11-30T04:30:00Z")));
    }
}
