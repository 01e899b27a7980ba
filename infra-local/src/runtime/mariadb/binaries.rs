//! Paths of the programs of an installed MariaDB.

use std::path::PathBuf;

use super::MariaDbError;
use crate::domain::mariadb::{self, NotInstalled};

/// Paths of the programs of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// The server.
    pub(crate) server: PathBuf,
    /// Creates a data directory.
    pub(crate) install: PathBuf,
    /// The client.
    pub(crate) client: PathBuf,
    /// Writes the data of a server as statements.
    pub(crate) dump: PathBuf,
}

/// Finds the programs in PATH and in the usual directories.
pub(crate) fn find_binaries() -> Result<Binaries, MariaDbError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let usual = ["/usr/sbin", "/usr/bin", "/usr/libexec", "/usr/local/bin", "/usr/local/sbin", "/opt/homebrew/bin"];
    directories.extend(usual.map(PathBuf::from));
    let find = |name: &str| {
        let found = directories.iter().map(|directory| directory.join(name)).find(|program| program.is_file());
        found.ok_or(NotInstalled)
    };
    Ok(Binaries {
        server: find("mariadbd")?,
        install: find("mariadb-install-db")?,
        client: find("mariadb")?,
        dump: find("mariadb-dump")?,
    })
}

/// Records whether MariaDB is installed.
pub(crate) fn discover() {
    if find_binaries().is_ok() {
        mariadb::record();
    }
}
