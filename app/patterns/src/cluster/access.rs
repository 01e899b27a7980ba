//! Access of sessions.

/// Access of the sessions of a pool.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Access {
    /// Every transaction is read-only.
    Read,
    /// Transactions may write.
    Write,
}
