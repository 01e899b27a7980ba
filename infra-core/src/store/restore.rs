//! Putting a state together from what is left of damaged or missing files.

use crate::state::State;

/// A state that was put together from the undamaged files of a stack.
#[derive(Clone, Debug, PartialEq)]
pub struct Salvage {
    /// The state. It is written with a greater serial.
    pub state: State,
    /// The files it was read from, in their order: a snapshot, then journals that follow on it.
    pub sources: Vec<String>,
    /// The first damage that was found.
    pub damage: String,
    /// Number of journal lines that cannot be used, because they follow on a damaged one or on a snapshot that is
    /// missing. What they recorded is not in the state.
    pub unused_lines: usize,
    /// `true` if the state is older than the lost snapshot, because the entries that were folded into that are recorded
    /// nowhere else. An object store keeps no journal objects that a snapshot includes.
    pub is_older: bool,
}

/// A restored state, and where the files that it replaced are kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Restored {
    /// Serial of the state that was written.
    pub serial: u64,
    /// The names under which damaged files are kept.
    pub kept: Vec<String>,
}
