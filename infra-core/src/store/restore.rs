//! Reconstructed states, from the remaining files of a damaged stack.

use crate::state::State;

/// A state that was reconstructed from the undamaged files of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Salvage {
    /// The state. It is written with a greater serial.
    pub state: State,
    /// The files that it was read from, in order: a snapshot, then journals that follow it.
    pub sources: Vec<String>,
    /// The first damage that was found.
    pub damage: String,
    /// Number of journal lines that cannot be used, because they follow a damaged line or a missing snapshot. The state
    /// does not contain their changes.
    pub unused_lines: usize,
    /// `true` if the state is older than the lost snapshot, because the entries that were folded into the snapshot are
    /// not stored anywhere else. An object store deletes journal objects that a snapshot includes.
    pub is_older: bool,
}

/// A restored state, and the names of the files that it replaced.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Serial of the state that was written.
    pub serial: u64,
    /// The names under which damaged files are kept.
    pub kept: Vec<String>,
}
