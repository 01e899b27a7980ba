//! The database servers of hosts: PostgreSQL and MariaDB.

use std::io;
use std::path::Path;
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::mariadb::{self, MariaDbError};
use super::postgres::{self, PostgresError};
use super::server_home::{self, DatabaseSpec, Started};
use crate::domain;
use crate::model::process::ProcessIdentity;

/// A kind of database server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Engine {
    Postgres,
    MariaDb,
}

/// Reasons why a database server could not be started or copied.
#[derive(Debug, thiserror::Error)]
pub(crate) enum EngineError {
    #[error(transparent)]
    Postgres(#[from] PostgresError),
    #[error(transparent)]
    MariaDb(#[from] MariaDbError),
}

/// Time after which a server that was not found is searched for again: it may have been installed meanwhile.
const SEARCH_AGAIN: Duration = Duration::from_secs(1);

/// Finds the servers that are installed on this machine, for operations that depend on them.
pub(crate) fn discover() {
    static SEARCHED: Mutex<Option<Instant>> = Mutex::new(None);
    if domain::postgres::installed().is_ok() && domain::mariadb::installed().is_ok() {
        return;
    }
    let mut searched = SEARCHED.lock().unwrap_or_else(PoisonError::into_inner);
    if searched.is_none_or(|searched| searched.elapsed() >= SEARCH_AGAIN) {
        postgres::discover();
        mariadb::discover();
        *searched = Some(Instant::now());
    }
}

impl Engine {
    pub(crate) const ALL: [Engine; 2] = [Engine::Postgres, Engine::MariaDb];

    /// Returns the name among an instance's services, which is also that of the server's directory.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Engine::Postgres => "postgres",
            Engine::MariaDb => "mariadb",
        }
    }

    /// Returns the engine with this name.
    pub(crate) fn named(name: &str) -> Option<Engine> {
        Engine::ALL.into_iter().find(|engine| engine.name() == name)
    }

    /// Returns the name of the server's log in its directory.
    pub(crate) fn log(self) -> &'static str {
        match self {
            Engine::Postgres => postgres::LOG,
            Engine::MariaDb => mariadb::LOG,
        }
    }

    /// Returns the usual port.
    pub(crate) fn default_port(self) -> u16 {
        match self {
            Engine::Postgres => 5432,
            Engine::MariaDb => 3306,
        }
    }

    /// Starts a server. Returns once it accepts connections; a new standby streams then.
    pub(crate) async fn start(self, spec: &DatabaseSpec) -> Result<Started, EngineError> {
        match self {
            Engine::Postgres => Ok(postgres::start(spec).await?),
            Engine::MariaDb => Ok(mariadb::start(spec).await?),
        }
    }

    /// Shuts a server down, and kills it if it does not exit in time.
    pub(crate) async fn stop(self, process: ProcessIdentity) {
        match self {
            Engine::Postgres => postgres::stop(process).await,
            Engine::MariaDb => mariadb::stop(process).await,
        }
    }

    /// Copies the data of a stopped server between the disks of instances, if the first has any.
    pub(crate) async fn copy(self, from: &Path, to: &Path) -> Result<(), EngineError> {
        let (from, to) = (from.join(self.name()), to.join(self.name()));
        match self {
            _ if !from.exists() => Ok(()),
            Engine::Postgres => Ok(postgres::copy(&from, &to).await?),
            Engine::MariaDb => Ok(mariadb::copy(&from, &to).await?),
        }
    }
}

/// Deletes the disk of an instance whose servers are stopped.
pub(crate) fn remove_disk(disk: &Path) -> io::Result<()> {
    for engine in Engine::ALL {
        server_home::remove(&disk.join(engine.name()))?;
    }
    std::fs::remove_dir_all(disk)
}
