//! Stores of states.
//!
//! A [`StateStore`] hands out one [`Session`] at a time to a writer; a session holds the state as it was found, takes
//! journal entries, and folds them into a new snapshot at the end.

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
use std::{fmt, path::PathBuf, sync::Arc};

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
    /// The state as it was last written, entries of an unfinished run included; `None` when there is none. Takes no
    /// lock and changes nothing.
    async fn peek(&self, program: &str, stack: &str) -> Result<Option<State>, StoreError>;

    /// The key that secrets in this store are encrypted with.
    async fn seal(&self) -> Result<Arc<dyn Seal>, StoreError>;

    /// A document that is kept beside the stack's state, such as its history; `None` when there is none. Names are
    /// lower-case letters, digits, `-` and `.`.
    async fn document(&self, program: &str, stack: &str, name: &str) -> Result<Option<Vec<u8>>, StoreError>;

    /// Replaces a document as a whole.
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

    /// Removes a document; that there is none is fine.
    async fn remove_document(&self, program: &str, stack: &str, name: &str) -> Result<(), StoreError>;

    /// Takes the stack for writing.
    async fn open(&self, program: &str, stack: &str) -> Result<Session, StoreError>;

    /// Puts a state together from what is left of a stack whose files are damaged or missing; `None` when they are sound,
    /// or the stack was never written. Takes no lock and changes nothing.
    async fn salvage(&self, program: &str, stack: &str) -> Result<Option<Salvage>, StoreError>;

    /// Writes the state that [`StateStore::salvage`] returned, as long as it still does, under the stack's lock. Damaged
    /// files are kept under other names.
    async fn restore(&self, program: &str, stack: &str, salvage: &Salvage) -> Result<Restored, StoreError>;

    /// Breaks the lock of a run that holds the stack and does not finish. Returns its holder, or `None` if the stack is
    /// not locked. Fails where the lock is released when its holder exits: there, terminate the holder.
    async fn unlock(&self, program: &str, stack: &str) -> Result<Option<Holder>, StoreError>;
}

/// A function from the current content of a document, and the key if one was requested, to its new content; `None` leaves the
/// document unchanged. It may be called more than once.
pub type Update<'a> = dyn FnMut(Option<&[u8]>, Option<&dyn Seal>) -> Result<Option<Vec<u8>>, StoreError> + Send + 'a;

/// The right to write one stack's state.
///
/// End it with [`Session::finish`] or [`Session::close`]; one that is only dropped gives the stack back a little later,
/// and in an object store not at all if the process ends first.
pub struct Session {
    /// The state as it was found.
    pub state: State,
    /// Takes entries.
    pub journal: Journal,
    /// The state was put together from entries of a run that did not come to its end.
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

    /// Returns the state as it was found, and leaves an empty one: the state of a large stack is not copied.
    pub(crate) fn take_state(&mut self) -> State {
        let empty = State::new(&self.state.program, &self.state.stack, String::new());
        std::mem::replace(&mut self.state, empty)
    }

    /// Replaces the snapshot atomically and begins an empty journal; the state's serial grows. When nothing was recorded
    /// nothing is written.
    pub async fn fold(&mut self, state: &mut State) -> Result<(), StoreError> {
        if let Some(folding) = self.begin_fold(state) {
            state.serial = folding.await?;
        }
        Ok(())
    }

    /// Begins to fold, and goes on meanwhile; the new serial, or `None` when nothing was recorded.
    pub(crate) fn begin_fold(
        &mut self,
        state: &State,
    ) -> Option<impl Future<Output = Result<u64, StoreError>> + use<>> {
        (self.unfolded || self.journal.is_used()).then(|| self.journal.fold(state.clone()))
    }

    /// Folds, and gives the stack back whatever comes of it.
    pub async fn finish(mut self, state: &mut State) -> Result<(), StoreError> {
        let folded = self.fold(state).await;
        let closed = self.close().await;
        folded.and(closed)
    }

    /// Waits until everything that was handed over is written, and gives the stack back.
    pub async fn close(self) -> Result<(), StoreError> {
        self.writer.close().await
    }
}

/// The run that holds a stack.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Holder {
    /// The name of the machine.
    pub host: String,
    /// The process on it.
    pub process: u32,
    /// Since when, by its own clock, RFC 3339.
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

/// A state that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another run writes this stack.
    #[error("another run holds the stack: {}", described(holder.as_ref()))]
    Locked {
        /// The holder, if it is known.
        holder: Option<Holder>,
    },
    /// Another run writes this stack with a lock that dies with it.
    #[error("the lock is the operating system's and cannot be broken; it ends with its holder: {}", described(holder.as_ref()))]
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
    /// The file system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// The cause.
        #[source]
        error: std::io::Error,
    },
    /// The object store refused, or did not answer.
    #[error("{path}: {}", innermost(error))]
    Object {
        /// The object.
        path: String,
        /// The cause.
        error: object_store::Error,
    },
    /// A file or an object is damaged.
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
    /// A file or an object holds a state that cannot be.
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
    /// A file or an object is missing that an earlier run has written.
    #[error("{} is missing, but an earlier run has left {}", path.display(), found.join(", "))]
    Missing {
        /// The missing file or object.
        path: PathBuf,
        /// The files that prove that there was an earlier run.
        found: Vec<String>,
    },
    /// The files of a stack are damaged, and so is what a state could be put together from.
    #[error("nothing can be restored: {damage}; {previous}")]
    Irrecoverable {
        /// The damage of the snapshot.
        damage: String,
        /// The damage of the previous snapshot.
        previous: String,
    },
    /// The files of a stack are sound, or changed after they were looked at.
    #[error("nothing was restored: the files of the stack `{stack}` are sound, or have changed in the meantime")]
    NothingToRestore {
        /// The stack: program/stack.
        stack: String,
    },
    /// The engine made a state that cannot be: a defect of the engine.
    #[error("the new state is not sound and was not written, the journal keeps every step: {0}; please report this")]
    Unsound(#[source] StateError),
    /// The key of the secrets is not usable.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A stack's configuration cannot be read or changed.
    #[error("{document}: {problem}")]
    Config {
        /// The document.
        document: String,
        /// The problem.
        problem: ConfigProblem,
    },
    /// A program, a stack or a document cannot be called so.
    #[error(transparent)]
    Name(#[from] UrnError),
    /// The journal's writer has ended.
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
    /// The message for the person who runs the stack, with what to do.
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::from_error(self);
        let hint = match self {
            Self::Key(error) => error.hint(),
            Self::Config { problem, .. } => Some(problem.hint()),
            Self::Locked { .. } => Some("wait until it has ended, then try again".into()),
            Self::Unbreakable { holder: Some(holder) } => {
                Some(format!("end process {} on {}", holder.process, holder.host))
            }
            Self::Object { .. } => Some(
                "nothing was changed; look at the backend's URL, at its region, and at the credentials (`login-check`)".into(),
            ),
            Self::Lost { .. } => Some(
                "nothing new was begun, and what was running is written down as open: run it again, and it is settled first".into(),
            ),
            Self::Refused { error: StateError::Newer { .. }, .. } => None,
            Self::Broken { recovery, .. } | Self::Refused { recovery, .. } => Some(recovery.hint()),
            Self::Missing { .. } => Some(format!(
                "{}; to start over without what the stack has, move those files away",
                Recovery::Restore.hint()
            )),
            Self::Irrecoverable { .. } => Some(
                "nothing was changed; restore the files of the stack from a backup, or move them away and `import` what \
                 exists"
                    .into(),
            ),
            Self::NothingToRestore { .. } => Some("look at the stack with `state verify`".into()),
            _ => None,
        };
        Diagnostic { hint, ..diagnostic }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}

/// The way back to a sound state when a file is damaged.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Recovery {
    /// A state can be put together from the stack's other files.
    Restore,
    /// The file has to come from a backup.
    Backup,
    /// Without the file, its values have to be set again.
    Configuration,
    /// Only the commands that look back use the file.
    History,
    /// The file can be removed.
    Remove,
}

impl Recovery {
    /// The recovery of a document.
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
                "`state restore` shows the state that can be put together from the other files, and installs it; or \
                 restore the file from a backup"
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
