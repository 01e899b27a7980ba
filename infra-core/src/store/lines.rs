//! The lines of a journal, chained so that a lost, doubled, moved or changed line is found.
//!
//! ```text
//! infra journal 2 on snapshot 7 5f0c1d2e
//! 1 9b1f0a77 {"intent":…}
//! 2 03c4e1d9 {"done":…}
//! ```
//! The header names the serial of the snapshot that the lines follow on, and ends with its own checksum. Each line has
//! its number and a checksum over the checksum of the line before (for the first line: of the header), its number and
//! its JSON. Missing lines at the end of a journal cannot be distinguished from a crash before they were written.
//!
//! Version 1 has the header `infra journal on snapshot 7`, and its lines consist of a checksum over the JSON and the
//! JSON. It is still read, and the next run replaces it.

use super::{KeyRing, checksum, secrets};
use crate::{
    state::Entry,
    value::{self, Seal},
};
use std::sync::Arc;

const HEADER: &str = "infra journal 2 on snapshot ";
const LEGACY_HEADER: &str = "infra journal on snapshot ";

/// The end of a chain of lines, which the next line continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Chain {
    lines: u64,
    sum: u32,
}

/// The checksums in the lines of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Format {
    /// Each line continues the chain.
    Chained(Chain),
    /// Each line has a separate checksum.
    Legacy,
}

/// The header of a journal.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Header {
    /// Serial of the snapshot that the lines follow on.
    pub(super) serial: u64,
    pub(super) format: Format,
}

/// The entries of a journal up to its end, an incomplete line or a damaged one.
pub(super) struct Lines {
    pub(super) entries: Vec<Entry>,
    /// Number of bytes of the lines that were read.
    pub(super) whole: usize,
    /// The chain after those lines; `None` in the legacy format.
    pub(super) chain: Option<Chain>,
    /// The damage of the next line. An incomplete last line, as left by a crash, is not a damage.
    pub(super) damage: Option<String>,
}

impl Chain {
    /// Returns the chain that begins with a header.
    pub(super) fn after(header: &[u8]) -> Self {
        Self { lines: 0, sum: crc32fast::hash(header) }
    }

    /// Appends an entry's JSON as the next line of the chain.
    pub(super) fn push(&mut self, json: &str, text: &mut Vec<u8>) {
        *self = self.next(json);
        text.extend_from_slice(format!("{} {} ", self.lines, checksum::digits(self.sum)).as_bytes());
        text.extend_from_slice(json.as_bytes());
        text.push(b'\n');
    }

    fn next(self, json: &str) -> Self {
        let lines = self.lines + 1;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&self.sum.to_be_bytes());
        hasher.update(&lines.to_be_bytes());
        hasher.update(json.as_bytes());
        Self { lines, sum: hasher.finalize() }
    }
}

/// Returns the header of a journal on this snapshot, with its newline.
pub(super) fn header(serial: u64) -> String {
    let text = format!("{HEADER}{serial}");
    let sum = checksum::of(text.as_bytes());
    format!("{text} {sum}\n")
}

/// Splits a journal into its header and its lines. The error describes the damage of the header.
pub(super) fn split(text: &[u8]) -> Result<(Header, &[u8]), &'static str> {
    let end = text.iter().position(|&byte| byte == b'\n').ok_or("its header is incomplete")?;
    let (line, lines) = (&text[..end], &text[end + 1..]);
    let line = std::str::from_utf8(line).map_err(|_| "it has no header, so it is not a journal")?;
    if let Some(serial) = line.strip_prefix(LEGACY_HEADER) {
        let serial = serial.parse().map_err(|_| "its header names no snapshot")?;
        return Ok((Header { serial, format: Format::Legacy }, lines));
    }
    let rest = line.strip_prefix(HEADER).ok_or("it has no header, so it is not a journal")?;
    let (serial, sum) = rest.split_once(' ').ok_or("its header has no checksum")?;
    if sum != checksum::of(&line.as_bytes()[..line.len() - sum.len() - 1]) {
        return Err("its header does not match its checksum: it was changed");
    }
    let serial = serial.parse().map_err(|_| "its header names no snapshot")?;
    Ok((Header { serial, format: Format::Chained(Chain::after(line.as_bytes())) }, lines))
}

/// Returns `true` for the journal that the first run of a stack creates before the first snapshot, as long as it has no
/// lines.
pub(super) fn is_new(text: &[u8]) -> bool {
    matches!(split(text), Ok((Header { serial: 0, .. }, lines)) if !lines.contains(&b'\n'))
}

/// Returns the JSON of an entry, its secrets sealed.
pub(super) fn json(entry: &Entry, seal: &Arc<dyn Seal>) -> Result<String, String> {
    value::sealing(seal, || serde_json::to_string(entry)).map_err(|error| error.to_string())
}

/// Reads lines up to the first damaged one.
pub(super) fn read(text: &[u8], format: Format, seal: &Arc<dyn Seal>) -> Lines {
    let mut read = Lines { entries: Vec::new(), whole: 0, chain: None, damage: None };
    let mut chain = match format {
        Format::Chained(chain) => Some(chain),
        Format::Legacy => None,
    };
    value::sealing(seal, || {
        for line in text.split_inclusive(|&byte| byte == b'\n') {
            match parse(line, &mut chain) {
                Ok(entry) => read.entries.push(entry),
                // A crash leaves a prefix of a line. A complete line that does not end with a newline was changed.
                Err(_) if !line.ends_with(b"\n") && !is_whole(line, chain) => break,
                Err(reason) => {
                    read.damage = Some(reason);
                    break;
                }
            }
            read.whole += line.len();
        }
    });
    read.chain = chain;
    read
}

/// Returns the journal with every secret encrypted with the current key of the ring; `None` if it already is. The error
/// is the number of the line that is damaged or whose secret no key decrypts.
pub(super) fn reseal(text: &str, ring: &KeyRing) -> Result<Option<String>, usize> {
    let (Header { format, .. }, lines) = split(text.as_bytes()).map_err(|_| 1_usize)?;
    let mut answer = text.as_bytes()[..text.len() - lines.len()].to_vec();
    let mut changed = false;
    let (mut old, mut new) = match format {
        Format::Chained(chain) => (Some(chain), Some(chain)),
        Format::Legacy => (None, None),
    };
    for (number, line) in text[answer.len()..].split_inclusive('\n').enumerate() {
        let number = number + 2;
        if !line.ends_with('\n') {
            // An incomplete line is ignored.
            answer.extend_from_slice(line.as_bytes());
            break;
        }
        let json = checked(line.as_bytes(), &mut old).map_err(|_| number)?;
        let resealed = secrets::reseal(json, ring).map_err(|_| number)?;
        changed |= resealed.is_some();
        let json = resealed.as_deref().unwrap_or(json);
        match &mut new {
            Some(chain) => chain.push(json, &mut answer),
            None => answer.extend_from_slice(format!("{} {json}\n", checksum::of(json.as_bytes())).as_bytes()),
        }
    }
    Ok(changed.then(|| String::from_utf8_lossy(&answer).into_owned()))
}

fn parse(line: &[u8], chain: &mut Option<Chain>) -> Result<Entry, String> {
    let mut next = *chain;
    let json = checked(line, &mut next)?;
    let entry = serde_json::from_str(json).map_err(|error| super::source::message(&error))?;
    *chain = next;
    Ok(entry)
}

/// Returns the JSON of a line that ends with a newline and continues the chain.
fn checked<'a>(line: &'a [u8], chain: &mut Option<Chain>) -> Result<&'a str, String> {
    const CHANGED: &str = "it does not match its checksum: the line was changed";
    let line = std::str::from_utf8(line).map_err(|error| error.to_string())?;
    let line = line.strip_suffix('\n').ok_or("it is incomplete")?;
    let (first, rest) = line.split_once(' ').ok_or("it has no checksum")?;
    let Some(chain) = chain else {
        let fits = first == checksum::of(rest.as_bytes());
        return if fits { Ok(rest) } else { Err(CHANGED.into()) };
    };
    let expected = chain.lines + 1;
    if first != expected.to_string() {
        let found: String = first.chars().take(20).collect();
        return Err(format!(
            "its number is {found} instead of {expected}: a line was lost, duplicated, moved or changed"
        ));
    }
    let (sum, json) = rest.split_once(' ').ok_or("it has no checksum")?;
    let next = chain.next(json);
    if sum != checksum::digits(next.sum) {
        return Err(CHANGED.into());
    }
    *chain = next;
    Ok(json)
}

/// Returns `true` if only the newline at the end of a line is wrong.
fn is_whole(line: &[u8], mut chain: Option<Chain>) -> bool {
    let Some((_, content)) = line.split_last() else {
        return false;
    };
    checked(&[content, b"\n"].concat(), &mut chain).is_ok()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{store::DataKey, urn::Urn, value::Value};
    use proptest::prelude::*;
    use std::collections::BTreeMap;

    fn seal() -> Arc<dyn Seal> {
        Arc::new(DataKey::from_bytes(&[7; 32]).unwrap())
    }

    fn entry(number: usize) -> Entry {
        let urn = Urn::new("dev", "p", "t:T", &format!("n{number}")).unwrap();
        match number % 3 {
            0 => Entry::Forgotten(urn),
            1 => Entry::Outputs(BTreeMap::from([("a".to_owned(), Value::from("hunter2").into_secret())])),
            _ => Entry::Depends { urn, dependencies: Vec::new() },
        }
    }

    fn journal(lines: usize) -> Vec<u8> {
        let mut text = header(7).into_bytes();
        let Format::Chained(mut chain) = split(&text).unwrap().0.format else { panic!() };
        for number in 0..lines {
            let json = json(&entry(number), &seal()).unwrap();
            chain.push(&json, &mut text);
        }
        text
    }

    /// Reads the entries of a text, or returns the reason why it is refused.
    fn understood(text: &[u8]) -> Result<(u64, Vec<Entry>), String> {
        let (header, lines) = split(text)?;
        let read = read(lines, header.format, &seal());
        read.damage.map_or(Ok((header.serial, read.entries)), Err)
    }

    #[test]
    fn every_changed_byte_of_a_journal_is_refused() {
        let text = journal(4);
        let whole = understood(&text).unwrap();
        assert_eq!(whole.1.len(), 4);
        for at in 0..text.len() {
            for bit in 0..8 {
                let mut changed = text.clone();
                changed[at] ^= 1 << bit;
                assert!(understood(&changed).is_err(), "byte {at}, bit {bit}: {:?}", understood(&changed));
            }
            let mut newline = text.clone();
            newline[at] = b'\n';
            assert!(newline == text || understood(&newline).is_err(), "newline at {at}");
        }
    }

    #[test]
    fn truncated_journal_keeps_the_entries_before_the_cut() {
        let text = journal(4);
        let header = header(7).len();
        for end in 0..text.len() {
            let lines = text[..end].split(|&byte| byte == b'\n').count() - 1;
            match understood(&text[..end]) {
                Ok((serial, entries)) => {
                    assert!(end >= header, "a journal without a whole header is refused");
                    assert_eq!((serial, entries), (7, (0..lines - 1).map(entry).collect()));
                }
                Err(reason) => assert!(end < header, "{end}: {reason}"),
            }
        }
    }

    proptest! {
        #[test]
        fn lost_duplicate_and_moved_lines_are_refused(count in 2..12_usize, at in any::<usize>(), to in any::<usize>()) {
            let text = journal(count);
            let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
            let (at, to) = (1 + at % count, 1 + to % count);
            let (mut lost, mut doubled, mut moved) = (lines.clone(), lines.clone(), lines.clone());
            lost.remove(at);
            doubled.insert(to, lines[at]);
            moved.swap(at, to);
            // A line that is missing at the end was never written.
            prop_assert!(understood(&lost.concat()).is_err() || at == count);
            prop_assert!(understood(&doubled.concat()).is_err());
            prop_assert!(at == to || understood(&moved.concat()).is_err());
        }

        #[test]
        fn lines_of_another_journal_are_refused(count in 1..6_usize, at in any::<usize>()) {
            let (text, other) = (journal(count), header(8));
            let at = at % count;
            let lines: Vec<&[u8]> = text.split_inclusive(|&byte| byte == b'\n').collect();
            let mixed = [&[other.as_bytes()], &lines[1..=at + 1]].concat().concat();
            prop_assert!(understood(&mixed).is_err());
        }
    }

    #[test]
    fn damaged_line_is_distinguished_from_an_incomplete_one() {
        let text = journal(2);
        let (header, lines) = split(&text).unwrap();
        let mut cut = lines.to_vec();
        cut.pop();
        let torn = read(&cut, header.format, &seal());
        assert_eq!((torn.entries.len(), torn.damage), (1, None));
        let mut zeros = cut[..cut.len() - 5].to_vec();
        zeros.extend([0; 40]);
        assert_eq!(read(&zeros, header.format, &seal()).damage, None, "what was not synced may read as zeros");
        cut.push(b' ');
        assert!(read(&cut, header.format, &seal()).damage.is_some(), "the newline was changed");
    }
}
