//! The origin of a text that contains a state, and the errors that name it.

use super::{Recovery, StoreError, checksum};
use crate::{state::StateError, value::Seal};
use std::{path::PathBuf, sync::Arc};

/// The last version of snapshots without checksums.
pub(super) const LEGACY: u32 = 1;

/// The text before and after the digits of a snapshot's checksum.
const BEFORE: &str = ",\n  \"checksum\": \"";
const AFTER: &str = "\"\n}\n";

/// The origin of a text and the stack whose state it should contain.
pub(super) struct Source<'a> {
    pub(super) program: &'a str,
    pub(super) stack: &'a str,
    pub(super) path: PathBuf,
    pub(super) seal: &'a Arc<dyn Seal>,
}

impl Source<'_> {
    /// Returns the error for a damaged line.
    pub(super) fn broken(&self, line: usize, reason: impl Into<String>) -> StoreError {
        let (path, reason) = (self.path.clone(), reason.into());
        // An empty text has no line.
        StoreError::Broken { path, line: line.max(1), reason, recovery: Recovery::Restore }
    }

    /// Returns the error for a state that violates an invariant.
    pub(super) fn refused(&self, line: usize, error: StateError) -> StoreError {
        StoreError::Refused { path: self.path.clone(), line, error, recovery: Recovery::Restore }
    }
}

/// Returns `true` if the text of a snapshot matches the checksum at its end.
pub(super) fn is_sound(text: &[u8]) -> bool {
    checksum::fits(text, BEFORE, AFTER)
}

/// Returns `true` if the text ends with a checksum.
pub(super) fn has_checksum(text: &[u8]) -> bool {
    split_checksum(text).is_some()
}

/// Splits the end of a snapshot into the text that the checksum covers and the checksum's digits.
pub(super) fn split_checksum(end: &[u8]) -> Option<(&[u8], &[u8])> {
    checksum::split(end, BEFORE, AFTER)
}

/// Returns the message of a parser without the position, which is reported separately.
pub(super) fn message(error: &serde_json::Error) -> String {
    let message = error.to_string();
    let place = format!(" at line {} column {}", error.line(), error.column());
    message.strip_suffix(&place).unwrap_or(&message).to_owned()
}
