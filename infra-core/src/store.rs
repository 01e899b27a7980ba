//! Where states are kept.
//!
//! A [`StateStore`] hands out one [`Session`] at a time to a writer; a session holds the state as it was found, takes
//! journal entries, and folds them into a new snapshot at the end.

mod configuration;
mod file;
mod journal;
mod memory;
mod secrets;

pub use configuration::{ConfigChange, ConfigProblem, Sealed, StackConfig, StoredValue};
pub use file::FileStore;
pub use journal::Journal;
pub use memory::MemoryStore;
pub use secrets::{
    DataKey, Kdf, KeyDocument, KeyError, KeyRing, KeyStatus, KeyWrapper, KeyedStore, Keys, Opened, Passphrase,
    Rotation, RotationError, Unlock, WrapperFactory, Wrapping, key_status, rewrap, rotate,
};

pub use zeroize::Zeroizing;

use crate::{
    diagnostic::Diagnostic,
    state::{State, StateError},
    value::Seal,
};
use async_trait::async_trait;
use std::{path::PathBuf, sync::Arc};

/// Keeps the states of stacks.
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

    /// Replaces a document by what `update` makes of it, with no other writer in between. An `update` that seals is
    /// given the key, and a rotation that has begun by then does not pass by what it made.
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
}

/// What a document is to be replaced by: from what there is, and the key when one was asked for; `None` leaves it as it
/// is. It may be called more than once.
pub type Update<'a> = dyn FnMut(Option<&[u8]>, Option<&dyn Seal>) -> Result<Option<Vec<u8>>, StoreError> + Send + 'a;

/// The right to write one stack's state.
pub struct Session {
    /// The state as it was found.
    pub state: State,
    /// Takes entries.
    pub journal: Journal,
    /// The state was put together from entries of a run that did not come to its end.
    unfolded: bool,
    /// Dropped after the journal and before the lock.
    _writer: journal::Writer,
    /// Writes snapshots and holds the lock.
    keeper: Box<dyn Keeper>,
}

/// Writes snapshots, and keeps the lock until it is dropped.
#[async_trait]
pub(crate) trait Keeper: Send + Sync {
    async fn fold(&mut self, state: &State) -> Result<(), StoreError>;
}

impl Session {
    /// Replaces the snapshot atomically and begins an empty journal; the state's serial grows by one. When nothing was
    /// recorded nothing is written.
    pub async fn fold(&mut self, state: &mut State) -> Result<(), StoreError> {
        if !self.unfolded && !self.journal.is_used() {
            return Ok(());
        }
        state.verify().map_err(StoreError::Unsound)?;
        // What is still on its way to the journal must not follow on the new snapshot.
        self.journal.drain().await?;
        state.serial += 1;
        self.keeper.fold(state).await
    }
}

/// A state that cannot be read or written.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes this stack.
    #[error("another run holds the stack: {holder}; wait until it has ended, then try again")]
    Locked {
        /// Who, as far as it is known.
        holder: String,
    },
    /// The file system refused.
    #[error("{}: {error}", path.display())]
    Io {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: std::io::Error,
    },
    /// A file holds something else than it should.
    #[error("{}: line {line}: {reason}; nothing was changed: restore the file from a copy, or move it away to begin anew", path.display())]
    Broken {
        /// Which file.
        path: PathBuf,
        /// Where in it.
        line: usize,
        /// What is wrong.
        reason: String,
    },
    /// A file holds a state that cannot be.
    #[error("{}: {error}; nothing was changed", path.display())]
    Refused {
        /// Which file.
        path: PathBuf,
        /// Why.
        #[source]
        error: StateError,
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
        /// Which document.
        document: String,
        /// What is wrong.
        problem: ConfigProblem,
    },
    /// The journal's writer has ended.
    #[error("the journal cannot be written: {0}")]
    Journal(String),
}

impl StoreError {
    /// The message for the person who runs the stack, with what to do.
    pub fn diagnostic(&self) -> Diagnostic {
        let diagnostic = Diagnostic::from_error(self);
        let hint = match self {
            Self::Key(error) => error.hint(),
            Self::Config { problem, .. } => Some(problem.hint()),
            _ => None,
        };
        Diagnostic { hint, ..diagnostic }
    }

    pub(crate) fn io(path: impl Into<PathBuf>) -> impl FnOnce(std::io::Error) -> Self {
        let path = path.into();
        move |error| Self::Io { path, error }
    }
}
