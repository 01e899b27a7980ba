//! The identity of an operating system process.

use serde::{Deserialize, Serialize};

/// A process, identified by pid and start time, so that a reused pid is not mistaken for it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub(crate) struct ProcessIdentity {
    /// Process id, and the id of its group.
    pub(crate) pid: u32,
    /// Start time, in the operating system's unit.
    pub(crate) started: u64,
}
