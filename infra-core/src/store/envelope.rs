//! Documents on disk: a first line with the document's name and a checksum over the name and the content, then the
//! content.
//!
//! ```text
//! {"document":"config.json","checksum":"5f0c1d2e"}
//! {"port": "80"}
//! ```
//!
//! Both parts of a JSON document are JSON, so that tools which read a stream of values can read it. Documents of
//! earlier versions have no such line. They are read as they are, and the next write adds the line.

use super::{KeyRing, Recovery, StoreError, checksum, secrets};
use std::path::Path;

const BEGIN: &str = r#"{"document":""#;
const BEFORE: &str = r#"","checksum":""#;
const AFTER: &str = r#""}"#;

/// Returns the text that is written for a document.
pub(super) fn wrap(name: &str, content: &[u8]) -> Vec<u8> {
    [line(name, content).as_bytes(), b"\n", content].concat()
}

/// Returns the content of a document that was read from `path`.
pub(super) fn unwrap<'a>(name: &str, path: &Path, text: &'a [u8]) -> Result<&'a [u8], StoreError> {
    content(name, text).map_err(|reason| StoreError::Broken {
        path: path.to_owned(),
        line: 1,
        reason: reason.into(),
        recovery: Recovery::of_document(name),
    })
}

/// Returns the document with every secret encrypted with the current key of the ring; `None` if it already is.
pub(super) fn reseal(name: &str, path: &Path, text: &[u8], ring: &KeyRing) -> Result<Option<Vec<u8>>, StoreError> {
    // A document that is not UTF-8 contains no secrets.
    let Ok(content) = std::str::from_utf8(unwrap(name, path, text)?) else {
        return Ok(None);
    };
    // The line with the checksum precedes the content.
    let line = usize::from(text.len() > content.len());
    let resealed = secrets::reseal(content, ring).map_err(|at| StoreError::Broken {
        path: path.to_owned(),
        line: line + at,
        reason: crate::value::SealError.to_string(),
        recovery: Recovery::of_document(name),
    })?;
    Ok(resealed.map(|content| wrap(name, content.as_bytes())))
}

fn content<'a>(name: &str, text: &'a [u8]) -> Result<&'a [u8], &'static str> {
    if text.len() < BEGIN.len() && BEGIN.as_bytes().starts_with(text) {
        return Err("it is empty or truncated");
    }
    let end = text.iter().position(|&byte| byte == b'\n').unwrap_or(text.len());
    let (first, content) = (&text[..end], text.get(end + 1..).unwrap_or_default());
    // A changed byte in one part does not affect the other.
    let has_line = first.starts_with(BEGIN.as_bytes()) || checksum::split(first, BEFORE, AFTER).is_some();
    if !has_line {
        return Ok(text);
    }
    if end < text.len() && first == line(name, content).as_bytes() {
        return Ok(content);
    }
    Err("it does not match its checksum: it was changed, or another document was put in its place")
}

fn line(name: &str, content: &[u8]) -> String {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(name.as_bytes());
    hasher.update(b"\n");
    hasher.update(content);
    format!("{BEGIN}{name}{BEFORE}{}{AFTER}", checksum::digits(hasher.finalize()))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const CONTENTS: [&[u8]; 4] = [b"", b"local", b"{\"port\": \"80\"}\n", b"[\n  {\"serial\": 1}\n]"];

    #[test]
    fn document_round_trips_and_every_changed_byte_is_refused() {
        for document in CONTENTS {
            let text = wrap("history.json", document);
            assert_eq!(content("history.json", &text).unwrap(), document);
            assert!(content("config.json", &text).is_err(), "it is another document");
            for at in 0..text.len() {
                for bit in 0..8 {
                    let mut changed = text.clone();
                    changed[at] ^= 1 << bit;
                    assert!(content("history.json", &changed).is_err(), "byte {at}, bit {bit}");
                }
                assert!(content("history.json", &text[..at]).is_err(), "cut at {at}");
            }
        }
    }

    #[test]
    fn documents_of_earlier_versions_without_checksums_are_read() {
        for document in CONTENTS.into_iter().filter(|document| !document.is_empty()) {
            assert_eq!(content("target", document), Ok(document));
        }
        assert!(content("target", b"").is_err());
    }
}
