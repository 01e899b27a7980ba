//! Holds a connection from one statement to the next. The pool tests a connection whenever it is acquired and released,
//! which takes longer than a short statement. A connection is held only while the pool has others.

use std::{
    io,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    sqlx::{self, PgConnection, PgPool, Postgres, pool::PoolConnection},
};
use tokio::time::timeout;

use crate::labels;

/// Maximum time for which a connection is held, so that the pool can replace old ones.
const MOST: Duration = Duration::from_secs(10);

/// Time limit of a statement. A held connection is not tested, and its server's machine or the network may fail without closing
/// it. Longer than the default time limit of the server, whose error is more precise.
const LIMIT: Duration = Duration::from_secs(6);

/// A connection to PostgreSQL, acquired when it is needed.
pub struct Held {
    pool: PgPool,
    kept: Mutex<Option<Kept>>,
}

/// A held connection.
struct Kept {
    since: Instant,
    connection: PoolConnection<Postgres>,
    /// `true` while it may be labelled with the request that acquired it.
    may_be_labelled: bool,
}

impl Kept {
    fn new(connection: PoolConnection<Postgres>) -> Kept {
        Kept { since: Instant::now(), connection, may_be_labelled: true }
    }
}

impl Held {
    /// Returns a holder of one connection, or `None` with SQLite, whose only connection is shared.
    pub fn of(database: &DatabaseConnection) -> Option<Self> {
        let is_postgres = database.get_database_backend() == DbBackend::Postgres;
        is_postgres.then(|| Self { pool: database.get_postgres_connection_pool().clone(), kept: Mutex::new(None) })
    }

    /// Runs a statement on the held connection, or on one from the pool. After an error, the connection is released.
    ///
    /// # Errors
    /// The error of the pool or of the database, also if it does not answer within six seconds.
    pub async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let error = |error: sqlx::Error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)));
        let kept = self.kept().take().filter(|kept| kept.since.elapsed() < MOST);
        let is_new = kept.is_none();
        let mut kept = match kept {
            Some(kept) => kept,
            None => Kept::new(self.pool.acquire().await.map_err(error)?),
        };
        let work = async {
            if kept.may_be_labelled && !is_new {
                labels::remove(&mut kept.connection).await?;
                kept.may_be_labelled = false;
            }
            statement(&mut kept.connection).await
        };
        let Ok(found) = timeout(LIMIT, work).await else {
            kept.connection.close_on_drop();
            return Err(error(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
        };
        let found = found.map_err(error)?;
        if self.has_others() {
            *self.kept() = Some(kept);
        }
        Ok(found)
    }

    /// Releases the connection to the pool.
    pub fn release(&self) {
        self.kept().take();
    }

    fn kept(&self) -> MutexGuard<'_, Option<Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the pool has other connections. If not, a request may be waiting for this one.
    fn has_others(&self) -> bool {
        self.pool.num_idle() > 0 || self.pool.size() < self.pool.options().get_max_connections()
    }
}
