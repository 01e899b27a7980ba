//! The MariaDB that is installed on this machine, for operations.

use std::sync::OnceLock;

/// MariaDB is not installed on this machine.
#[derive(Debug, Clone, Copy, thiserror::Error)]
#[error(
    "MariaDB is not installed: no directory in PATH and no usual one holds mariadbd, mariadb-install-db, mariadb and mariadb-dump. \
     Install it (Debian: apt-get install mariadb-server, Fedora: dnf install mariadb-server, macOS: brew install mariadb)"
)]
pub(crate) struct NotInstalled;

static INSTALLED: OnceLock<()> = OnceLock::new();

/// Returns an error unless the runtime has found MariaDB. Performs no I/O.
pub(crate) fn installed() -> Result<(), NotInstalled> {
    INSTALLED.get().copied().ok_or(NotInstalled)
}

/// Records that the runtime has found MariaDB.
pub(crate) fn record() {
    INSTALLED.get_or_init(|| ());
}
