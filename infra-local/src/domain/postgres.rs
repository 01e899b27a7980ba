//! The PostgreSQL that is installed on this machine, for operations.
//!
//! The runtime runs its programs to read version and parameters, outside of the state's lock, and records the result
//! here.

mod known;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::OnceLock;

pub(crate) use known::Known;

/// An installed PostgreSQL.
#[derive(Debug)]
pub(crate) struct Installed {
    /// Path of the server's program.
    pub(crate) program: PathBuf,
    /// Output of `postgres --version`: `15.18`. `None` when it contains no version.
    pub(crate) version: Option<String>,
    /// Parameters of the server by name.
    pub(crate) parameters: BTreeMap<String, Known>,
}

/// PostgreSQL is not installed on this machine.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "PostgreSQL is not installed: no directory in PATH, /usr/lib/postgresql or Homebrew holds both initdb and postgres. \
     Install it (Debian: apt-get install postgresql, Fedora: dnf install postgresql-server, macOS: brew install postgresql)"
)]
pub(crate) struct NotInstalled;

static INSTALLED: OnceLock<Installed> = OnceLock::new();

/// Returns the recorded PostgreSQL. Performs no I/O.
pub(crate) fn installed() -> Result<&'static Installed, NotInstalled> {
    INSTALLED.get().ok_or(NotInstalled)
}

/// Records the PostgreSQL that the runtime has found. Later records are ignored.
pub(crate) fn record(installed: Installed) {
    INSTALLED.get_or_init(|| installed);
}
