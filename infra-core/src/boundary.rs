//! The moments at which a run changes durable state, so that tests can kill the process at each of them.
//!
//! A run calls [`reached`] before and after whatever a crash could tear apart. Without a test that listens, a moment
//! costs one load from memory.

use std::{fmt, sync::OnceLock};

/// A moment at which a run touches what outlives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Boundary {
    /// Entries are about to be written to the journal.
    JournalWrite,
    /// Entries are written, and not yet durable.
    JournalSync,
    /// Entries are durable.
    JournalSynced,
    /// A journal is about to begin.
    JournalBegin,
    /// A new journal is about to take the place of the one before.
    JournalRename,
    /// A provider is about to be called.
    ProviderCall,
    /// A provider has answered, and nothing of the answer is written down.
    ProviderAnswer,
    /// A snapshot is about to be written beside the old one.
    SnapshotWrite,
    /// The new snapshot is written, and not yet durable.
    SnapshotSync,
    /// The new snapshot is about to take the old one's place.
    SnapshotRename,
    /// A directory has new, renamed or removed names, and does not durably say so.
    DirectorySync,
    /// The key of the secrets is about to be made.
    KeyWrite,
    /// The new key is durable, and is not linked under its name yet.
    KeyLink,
    /// A document is about to be written beside the old one.
    DocumentWrite,
    /// The new document is durable, and about to take the old one's place.
    DocumentRename,
    /// A lease is about to be taken.
    LeaseTake,
    /// A lease is about to be renewed.
    LeaseRenew,
    /// A lease is about to be given back.
    LeaseRelease,
    /// An object is about to be put.
    ObjectPut,
    /// An object has been put, and nothing of the answer is known to the run.
    ObjectPutDone,
    /// Objects that are folded into a snapshot are about to be deleted.
    ObjectDelete,
}

static LISTENER: OnceLock<Box<dyn Fn(Boundary) + Send + Sync>> = OnceLock::new();

/// Calls `listener` at every boundary of this process, from then on. The first listener of a process counts.
pub fn listen(listener: impl Fn(Boundary) + Send + Sync + 'static) {
    // The second listener's box is dropped.
    let _ = LISTENER.set(Box::new(listener));
}

/// Tells that the run has come to a boundary.
pub fn reached(boundary: Boundary) {
    if let Some(listener) = LISTENER.get() {
        listener(boundary);
    }
}

impl fmt::Display for Boundary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self, f)
    }
}
