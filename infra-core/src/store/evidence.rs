//! The names of documents that only a run writes. If they exist, a missing snapshot is a loss and not a new stack.

/// Document with the history of a stack.
pub(crate) const HISTORY: &str = "history.json";

const DECLARED: (&str, &str) = ("declared-", ".json");

/// Returns the name of the document with the program's declarations at this serial.
pub(crate) fn declaration_document(serial: u64) -> String {
    format!("{}{serial}{}", DECLARED.0, DECLARED.1)
}

/// Returns the serial in the name of a document with declarations.
pub(super) fn declared_serial(name: &str) -> Option<u64> {
    name.strip_prefix(DECLARED.0)?.strip_suffix(DECLARED.1)?.parse().ok()
}

/// Returns `true` if only a run can have written a document of this name. A configuration and a target can exist before
/// the first run.
pub(super) fn is_of_a_run(document: &str) -> bool {
    document == HISTORY || declared_serial(document).is_some()
}
