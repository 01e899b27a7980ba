//! Stores of states.
//!
//! A [`StateStore`] opens one [`Session`] per stack at a time. A session contains the state, appends journal entries,
//! and finally folds them into a new snapshot.

mod checksum;
mod clock;
mod configuration;
mod damage;
mod documents;
mod envelope;
mod evidence;
mod file;
mod hold;
mod journal;
mod lines;
mod memory;
mod object;
mod pieces;
mod private;
mod readback;
mod restore;
mod secrets;
mod snapshot;
mod source;

pub use clock::{Clock, SystemClock};
pub use configuration::{ConfigChange, ConfigProblem, Sealed, StackConfig, StoredValue};
pub use file::FileStore;
pub use journal::{Journal, JournalSink, StoredSize};
pub use memory::MemoryStore;
pub use object::ObjectStateStore;
pub use restore::{Restored, Salvage};
pub use secrets::{
    DataKey, Kdf, KeyDocument, KeyError, KeyRing, KeyStatus, KeyWrapper, KeyedStore, Keys, Opened, Passphrase,
    Rotation, RotationError, Unlock, WrapperFactory, Wrapping, key_status, rewrap, rotate,
};

pub(crate) use evidence::{HISTORY, declaration_document};

pub use zeroize::Zeroizing;

use crate::{
    diagnostic::Diagnostic,
    state::{State, StateError},
    urn::UrnError,
    value::Seal,
};
use async_trait::async_trait;
use serde::{Deserialize, Serialize};
use std::{fmt, io::ErrorKind, path::PathBuf, sync::Arc};

/// Keeps the states of stacks.
///
/// # Implementing a store
/// A state is a snapshot and a journal. [`StateStore::open`] takes a lock, reads both, and returns [`Session::new`] with a
/// [`JournalSink`] that writes them and releases the lock when it is closed or dropped. [`State`] and
/// [`Entry`](crate::state::Entry) are serialised inside [`sealing`](crate::value::sealing) with the store's key, such as a
/// [`DataKey`]. A store that detects no damage returns `None` from [`StateStore::salvage`]. `tests/it/foreign_store.rs`
/// implements a store over an embedded database.
#[async_trait]
pub trait StateStore: Send + Sync {
    /// Returns the last written state, including entries of an unfinished run; `None` if there is none. Takes no lock
    /// and changes nothing.
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError>;

    /// Returns the key that encrypts the secrets in this store.
    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError>;

    /// Returns a document that is stored beside the stack's state, such as its history; `None` if there is none. Names
    /// consist of lower-case letters, digits, `-` and `.`.
    async fn document(&self, program: &str, stack: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces the whole document.
    async fn put_document(&self, program: &str, stack: &str, name: &str, content: &[u8]) -> Result<(), StoreError>;

    /// Replaces a document by the result of `update`, without another writer in between. If `seals` is set, `update`
    /// receives the key, and a rotation that began before then also seals its result again.
    async fn update_document(
        &self,
        program: &str,
        stack: &str,
        name: &str,
        seals: bool,
        update: &mut Update<'_>,
    ) -> Result<(), StoreError>;

    /// Removes a document. A missing document is not an error.
    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> Result<(), StoreError>;

    /// Locks the stack for writing.
    async fn open(&self, program: &str, stack: &str) -> Result<Session, StoreError>;

    /// Reconstructs a state from the remaining files of a stack whose files are damaged or missing; `None` if the files
    /// are undamaged or the stack was never written. Takes no lock and changes nothing.
    async fn salvage(&self, program: &str, stack: &str) -> Result<Option<Salvage>, StoreError>;

    /// Writes the state that [`StateStore::salvage`] returned, if it still returns the same, under the stack's lock.
    /// Damaged files are kept under other names.
    async fn restore(&self, program: &str, stack: &str, salvage: &Salvage) -> Result<Restored, StoreError>;

    /// Breaks the lock of a run that holds the stack and does not finish. Returns its holder, or `None` if the stack is
    /// not locked. Fails where the lock is released when its holder exits: there, terminate the holder.
    async fn unlock(&self, program: &str, stack: &str) -> Result<Option<Holder>, StoreError>;
}

/// A function from the current content of a document, and the key if one was requested, to its new content; `None` leaves the
/// document unchanged. It may be called more than once.
pub type Update<'a> = dyn FnMut(Option<&[u8]>, Option<&dyn Seal>) -> Result<Option<Vec<u8>>, StoreError> + Send + 'a;

/// The exclusive right to write the state of one stack.
///
/// Call [`Session::finish`] or [`Session::close`] at the end. A session that is dropped releases the stack in the
/// background; in an object store, the lease expires instead if the process exits before that.
pub struct Session {
    /// The state at the start of the session.
    pub state: State,
    /// The journal of the session.
    pub journal: Journal,
    /// `true` if the state contains journal entries of a run that did not finish.
    unfolded: bool,
    /// Dropped after the journal.
    writer: journal::Writer,
}

impl Session {
    /// Starts a session of a store. `state` is the snapshot with the entries of the journal applied, or a new state that
    /// was folded into `sink`. `size` tells whether the journal has entries.
    pub fn new(state: State, seal: Arc<dyn Seal>, size: StoredSize, sink: impl JournalSink) -> Self {
        Self::on_thread(journal::Start { state, seal, size, fold_after: journal::FOLD_AFTER }, sink)
    }

    fn on_thread(start: journal::Start, sink: impl JournalSink) -> Self {
        let (state, unfolded) = (start.state.clone(), start.size.journal > 0);
        let (journal, writer) = Journal::on_thread(start, sink);
        Self { state, journal, unfolded, writer }
    }

    /// Returns the state and leaves an empty one, because the state of a large stack is expensive to copy.
    pub(crate) fn take_state(&mut self) -> State {
        let empty = State::new(&self.state.program, &self.state.stack, String::new());
        std::mem::replace(&mut self.state, empty)
    }

    /// Replaces the snapshot atomically, with the next serial, and starts an empty journal. Writes nothing if nothing
    /// was recorded.
    pub async fn fold(&mut self, state: &mut State) -> Result<(), StoreError> {
        if let Some(folding) = self.begin_fold(state) {
            state.serial = folding.await?;
        }
        Ok(())
    }

    /// Starts to fold and returns at once. The future resolves to the new serial; `None` if nothing was recorded.
    pub(crate) fn begin_fold(
        &mut self,
        state: &State,
    ) -> Option<impl Future<Output = Result<u64, StoreError>> + use<>> {
        (self.unfolded || self.journal.is_used()).then(|| self.journal.fold(state.clone()))
    }

    /// Folds and releases the stack, even if folding fails.
    pub async fn finish(mut self, state: &mut State) -> Result<(), StoreError> {
        let folded = self.fold(state).await;
        let closed = self.close().await;
        folded.and(closed)
    }

    /// Waits until all entries are written, and releases the stack.
    pub async fn close(self) -> Result<(), StoreError> {
        self.writer.close().await
    }
}

/// The run that holds a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The name of the machine.
    pub host: String,
    /// Id of the process on that machine.
    pub process: u32,
    /// Time of the lock by the machine's clock, RFC 3339.
    pub since: String,
}

impl Holder {
    /// Returns this process as a holder since now.
    pub fn this() -> Self {
        let name = std::fs::read_to_string("/proc/sys/kernel/hostname").or_else(|_| std::env::var("HOSTNAME"));
        let host = name.map_or_else(|_| "an unnamed host".into(), |name| name.trim().to_owned());
        let since = chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true);
        Self { host, process: std::process::id(), since }
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "process {} on {} since {}", self.process, self.host, self.since)
    }
}

/// An error of reading or writing a state.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another run holds the stack.
    #[error("the stack is locked by another run: {}", described(holder.as_ref()))]
    Locked {
        /// The holder, if it is known.
        holder: Option<Holder>,
    },
    /// Another run holds the stack with a lock that is released when its process exits.
    #[error("the lock cannot be broken, because it belongs to a running process: {}", described(holder.as_ref()))]
    Unbreakable {
        /// The holder, if it is known.
        holder: Option<Holder>,
    },
    /// The lease expired, so another run may hold the stack.
    #[error("the lease on the stack is lost: {reason}")]
    Lost {
        /// The cause.
        reason: String,
    },
    /// A file operation failed.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        error: std::io::Error,
    },
    /// The object store refused a request or did not respond.
    #[error("{path}: {}", innermost(error))]
    Object {
        /// The object.
        path: String,
        /// The cause.
        error: object_store::Error,
    },
    /// A file or object is damaged.
    #[error("{}: line {line}: {reason}", path.display())]
    Broken {
        /// The file or object.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// The damage.
        reason: String,
        /// The way back to a sound state.
        recovery: Recovery,
    },
    /// A file or object contains a state that violates an invariant.
    #[error("{}: line {line}: {error}", path.display())]
    Refused {
        /// The file or object.
        path: PathBuf,
        /// The line, from 1 on.
        line: usize,
        /// The invariant that does not hold.
        error: StateError,
        /// The way back to a sound state.
        recovery: Recovery,
    },
    /// A file or object is missing that an earlier run wrote.
    #[error("{} is missing, but an earlier run has left {}", path.display(), found.join(", "))]
    Missing {
        /// The missing file or object.
        path: PathBuf,
        /// The files that prove the earlier run.
        found: Vec<String>,
    },
    /// The files of a stack are damaged, and no state can be reconstructed from them.
    #[error("no state can be restored: {damage}; {previous}")]
    Irrecoverable {
        /// The damage of the snapshot.
        damage: String,
        /// The damage of the previous snapshot.
        previous: String,
    },
    /// The files of a stack are undamaged, or they changed since they were checked.
    #[error("nothing was restored: the files of the stack `{stack}` are undamaged, or have changed in the meantime")]
    NothingToRestore {
        /// The stack, as program/stack.
        stack: String,
    },
    /// The engine computed a state that violates an invariant: a bug in the engine.
    #[error(
        "the new state is invalid and was not written: {0}; this is a bug, please report it. The journal contains \
         every step"
    )]
    Unsound(#[source] StateError),
    /// The key of the secrets cannot be used.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// The configuration of a stack cannot be read or changed.
    #[error("{document}: {problem}")]
    Config {
        /// The document.
        document: String,
        /// The problem.
        problem: ConfigProblem,
    },
    /// The name of a program, stack or document is invalid.
    #[error(transparent)]
    Name(#[from] UrnError),
    /// The writer of the journal has stopped.
    #[error("the journal cannot be written: {0}")]
    Journal(String),
}

/// Returns the innermost cause of an object store's error, without the names of the layers around it.
fn innermost(error: &object_store::Error) -> String {
    let error: &dyn std::error::Error = error;
    let causes = std::iter::successors(Some(error), |&error| error.source());
    causes.last().map(ToString::to_string).unwrap_or_default()
}

fn described(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "an unknown process".into(), ToString::to_string)
}

impl StoreError {
    /// Returns the message for the user, with a hint.
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::from_error(self);
        let hint = match self {
            Self::Key(error) => error.hint(),
            Self::Config { problem, .. } => Some(problem.hint()),
            Self::Locked { .. } => Some("wait until that run has finished, then try again".into()),
            Self::Unbreakable { holder: Some(holder) } => {
                Some(format!("terminate the process {} on {}", holder.process, holder.host))
            }
            Self::Io { error, .. } => Some(file_hint(error).into()),
            Self::Object { .. } => Some(
                "nothing was changed; check the URL of the backend, its region, and the credentials (`login-check`)"
                    .into(),
            ),
            Self::Lost { .. } => Some(
                "no further operation was started, and the running ones are recorded as open; run the command again \
                 to settle them"
                    .into(),
            ),
            Self::Refused { error: StateError::Newer { .. }, .. } => None,
            Self::Broken { recovery, .. } | Self::Refused { recovery, .. } => Some(recovery.hint()),
            Self::Missing { .. } => {
                Some(format!("{}; to start over with an empty stack, move these files away", Recovery::Restore.hint()))
            }
            Self::Irrecoverable { .. } => Some(
                "nothing was changed; restore the files of the stack from a backup, or move them away and `import` \
                 the existing resources"
                    .into(),
            ),
            Self::NothingToRestore { .. } => Some("check the stack with `state verify`".into()),
            _ => None,
        };
        Diagnostic { hint, ..diagnostic }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}

/// Returns what to do about a failed file operation.
fn file_hint(error: &std::io::Error) -> &'static str {
    match error.kind() {
        ErrorKind::PermissionDenied => {
            "let this user read and write the file and its directory, or choose another directory: `--directory PATH`"
        }
        ErrorKind::ReadOnlyFilesystem | ErrorKind::NotADirectory => {
            "choose a directory that can be written: `--directory PATH`"
        }
        ErrorKind::StorageFull | ErrorKind::QuotaExceeded => "free some space, then run the command again",
        _ => "check the file and its directory, then run the command again",
    }
}

/// The way to recover from a damaged file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// A state can be reconstructed from the stack's other files.
    Restore,
    /// The file has to be restored from a backup.
    Backup,
    /// The configuration values in the file have to be set again.
    Configuration,
    /// Only the history and rollbacks need the file.
    History,
    /// The file can be removed.
    Remove,
}

impl Recovery {
    /// Returns the recovery for a document.
    fn of_document(name: &str) -> Self {
        match name {
            configuration::DOCUMENT => Self::Configuration,
            name if evidence::is_of_a_run(name) => Self::History,
            _ => Self::Backup,
        }
    }

    fn hint(self) -> String {
        let action = match self {
            Self::Restore => {
                "run `state restore` to reconstruct the state from the other files, or restore the file from a backup"
            }
            Self::Backup => "restore the file from a backup",
            Self::Configuration => {
                "restore the file from a backup, or remove it and set its values again with `config set`"
            }
            Self::History => "restore the file from a backup, or remove it: only `history` and `rollback` need it",
            Self::Remove => "remove the file",
        };
        format!("nothing was changed; {action}")
    }
}
