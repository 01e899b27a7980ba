//! The identity of an operating system process.

use serde::{Deserialize, Serialize};

/// A process that is never mistaken for a later one with the same pid.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    /// Process id, and the id of its group.
    pub(crate) pid: u32,
    /// Start time, in the system's own unit.
    pub(crate) started: u64,
}
