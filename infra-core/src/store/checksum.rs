//! Checksums against accidental damage: failing disks, partial copies, merge tools, edits by hand.
//!
//! CRC-32 detects every change of up to 32 consecutive bits, and all but one of 2³² other changes. It does not protect
//! from an attacker: a process that can write the files can compute any unkeyed checksum as well. Secrets are
//! authenticated by their encryption.
//!
//! A JSON object carries its checksum as its last field. The checksum covers every byte from the object's opening brace
//! to the end of the value before that field.

use std::{cell::RefCell, io};

/// Name of the field that holds a checksum.
pub(super) const FIELD: &str = "checksum";

/// Number of hexadecimal digits of a checksum.
const DIGITS: usize = 8;

/// Returns the checksum of these bytes as eight hexadecimal digits.
pub(super) fn of(bytes: &[u8]) -> String {
    digits(crc32fast::hash(bytes))
}

/// Returns the text form of a checksum.
pub(super) fn digits(sum: u32) -> String {
    format!("{sum:0DIGITS$x}")
}

/// Returns the part of `object` that its checksum covers and the checksum's digits, if `object` ends with a checksum
/// field between `before` and `after`, such as `,"checksum":"` and `"}`.
pub(super) fn split<'a>(object: &'a [u8], before: &str, after: &str) -> Option<(&'a [u8], &'a [u8])> {
    let rest = object.strip_suffix(after.as_bytes())?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    Some((rest.strip_suffix(before.as_bytes())?, digits))
}

/// Returns `true` if `object` ends with a checksum field between `before` and `after` that matches the rest.
pub(super) fn fits(object: &[u8], before: &str, after: &str) -> bool {
    split(object, before, after).is_some_and(|(covered, digits)| of(covered).as_bytes() == digits)
}

/// A text that a serializer writes, and whose written part the serialized values can read.
#[derive(Default)]
pub(super) struct Growing(RefCell<Vec<u8>>);

impl Growing {
    /// Returns an empty text with this capacity, in bytes.
    pub(super) fn with_capacity(bytes: usize) -> Self {
        Self(RefCell::new(Vec::with_capacity(bytes)))
    }

    /// Returns the number of bytes written.
    pub(super) fn len(&self) -> usize {
        self.0.borrow().len()
    }

    /// Returns the checksum of everything from this position on.
    pub(super) fn checksum_from(&self, position: usize) -> String {
        of(&self.0.borrow()[position..])
    }

    /// Returns the text.
    pub(super) fn into_bytes(self) -> Vec<u8> {
        self.0.into_inner()
    }
}

impl io::Write for &Growing {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.borrow_mut().extend_from_slice(bytes);
        Ok(())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
