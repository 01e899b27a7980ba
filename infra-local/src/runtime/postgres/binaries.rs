//! Paths of the programs of an installed PostgreSQL.

use std::fs;
use std::path::{Path, PathBuf};

use super::PostgresError;
use crate::domain::postgres::NotInstalled;

/// Paths of the server's programs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Binaries {
    /// Creates a data directory.
    pub(crate) initdb: PathBuf,
    /// The server.
    pub(crate) postgres: PathBuf,
}

/// Finds `initdb` and `postgres` in the same directory; a wrapper script in PATH does not count.
pub(crate) fn find_binaries() -> Result<Binaries, PostgresError> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut directories: Vec<PathBuf> = std::env::split_paths(&path).collect();
    directories.extend(versioned(Path::new("/usr/lib/postgresql"), ""));
    directories.extend(versioned(Path::new("/usr"), "pgsql-"));
    directories.push("/usr/local/pgsql/bin".into());
    for homebrew in ["/opt/homebrew/opt", "/usr/local/opt"] {
        directories.extend(versioned(Path::new(homebrew), "postgresql@"));
        directories.push(Path::new(homebrew).join("postgresql/bin"));
    }
    directories.iter().find_map(|directory| binaries_in(directory)).ok_or_else(|| NotInstalled.into())
}

/// Returns the directories `<root>/<prefix><version>/bin`, the highest version first.
fn versioned(root: &Path, prefix: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(root).into_iter().flatten().flatten();
    let mut found: Vec<(Vec<u32>, PathBuf)> = entries
        .filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            let version = name.strip_prefix(prefix)?.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
            Some((version, entry.path().join("bin")))
        })
        .collect();
    found.sort_by(|(one, _), (other, _)| other.cmp(one));
    found.into_iter().map(|(_, path)| path).collect()
}

/// Returns the programs in a directory, or next to the target of a symbolic link there.
fn binaries_in(directory: &Path) -> Option<Binaries> {
    let beside = |directory: &Path| {
        let (initdb, postgres) = (directory.join("initdb"), directory.join("postgres"));
        (initdb.is_file() && postgres.is_file()).then_some(Binaries { initdb, postgres })
    };
    // initdb looks for its libraries relative to its own path, so symbolic links are resolved first.
    let real = ["initdb", "postgres", "pg_ctl"]
        .iter()
        .filter_map(|program| fs::canonicalize(directory.join(program)).ok())
        .find_map(|program| beside(program.parent()?));
    real.or_else(|| beside(directory))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_highest_version_comes_first() {
        let root = tempfile::tempdir().unwrap();
        for name in ["9.6", "15", "17", "common"] {
            fs::create_dir_all(root.path().join(name).join("bin")).unwrap();
        }
        let found = versioned(root.path(), "");
        let expected: Vec<_> = ["17", "15", "9.6"].iter().map(|name| root.path().join(name).join("bin")).collect();
        assert_eq!(found, expected);
    }

    #[test]
    fn a_wrapper_alone_does_not_count() {
        let root = tempfile::tempdir().unwrap();
        fs::write(root.path().join("pg_ctl"), "").unwrap();
        fs::write(root.path().join("postgres"), "").unwrap();
        assert_eq!(binaries_in(root.path()), None);
        fs::write(root.path().join("initdb"), "").unwrap();
        assert!(binaries_in(root.path()).is_some());
    }
}
