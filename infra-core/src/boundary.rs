//! The moments at which a run changes durable state, so that tests can kill the process at each of them.
//!
//! A run calls [`reached`] before and after every change that a crash could leave incomplete. Without a listener, a
//! call costs one load from memory.

use std::{fmt, sync::OnceLock};

/// A moment at which a run changes durable state or calls a provider.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Boundary {
    /// Entries are about to be written to the journal.
    JournalWrite,
    /// Entries are written and not yet durable.
    JournalSync,
    /// Entries are durable.
    JournalSynced,
    /// A journal is about to be created.
    JournalBegin,
    /// A new journal is about to replace the previous one.
    JournalRename,
    /// A provider is about to be called.
    ProviderCall,
    /// A provider has returned, and its result is not recorded yet.
    ProviderAnswer,
    /// A snapshot is about to be written beside the previous one.
    SnapshotWrite,
    /// The new snapshot is written and not yet durable.
    SnapshotSync,
    /// The new snapshot is about to replace the previous one.
    SnapshotRename,
    /// Names in a directory were added, renamed or removed, and the directory is not synced yet.
    DirectorySync,
    /// The key of the secrets is about to be created.
    KeyWrite,
    /// The new key is durable and not linked under its name yet.
    KeyLink,
    /// A document is about to be written beside the previous one.
    DocumentWrite,
    /// The new document is durable and about to replace the previous one.
    DocumentRename,
    /// A lease is about to be taken.
    LeaseTake,
    /// A lease is about to be renewed.
    LeaseRenew,
    /// A lease is about to be released.
    LeaseRelease,
    /// An object is about to be put.
    ObjectPut,
    /// An object has been put, and the run has not received the response yet.
    ObjectPutDone,
    /// Objects that a snapshot includes are about to be deleted.
    ObjectDelete,
}

static LISTENER: OnceLock<Box<dyn Fn(Boundary) + Send + Sync>> = OnceLock::new();

/// Calls `listener` at every boundary of this process from now on. Only the first listener of a process is used.
pub fn listen(listener: impl Fn(Boundary) + Send + Sync + 'static) {
    // The second listener's box is dropped.
    let _ = LISTENER.set(Box::new(listener));
}

/// Calls the listener, if there is one.
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
