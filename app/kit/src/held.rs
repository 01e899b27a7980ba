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

/// Maximum time for which a connection is held, so that the pool can replace old ones.
const MOST: Duration = Duration::from_secs(10);

/// Time limit of a statement. A held connection is not tested, and its server's machine or the network may fail without closing
/// it. Longer than the default time limit of the server, whose error is more precise.
const LIMIT: Duration = Duration::from_secs(6);

/// A connection to PostgreSQL, acquired when it is needed.
pub struct Held {
    pool: PgPool,
    kept: Mutex<Kept>,
}

/// The held connection, and the time since which it is held.
type Kept = Option<(Instant, PoolConnection<Postgres>)>;

impl Held {
    /// Returns a holder of one connection, or `None` with SQLite, whose only connection is shared.
    pub fn of(database: &DatabaseConnection) -> Option<Self> {
        let is_postgres = database.get_database_backend() == DbBackend::Postgres;
        is_postgres.then(|| Self { pool: database.get_postgres_connection_pool().clone(), kept: Mutex::new(None) })
    }

    /// Runs a statement on the held connection, or on one from the pool. After an error, the connection is released.
    ///
    /// # Errors
    /// The error of the pool or of the database, also if it does not answer within [`LIMIT`].
    pub async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let error = |error: sqlx::Error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)));
        let kept = self.kept().take().filter(|(since, _)| since.elapsed() < MOST);
        let (since, mut connection) = match kept {
            Some(kept) => kept,
            None => (Instant::now(), self.pool.acquire().await.map_err(error)?),
        };
        let Ok(found) = timeout(LIMIT, statement(&mut connection)).await else {
            connection.close_on_drop();
            return Err(error(sqlx::Error::Io(io::ErrorKind::TimedOut.into())));
        };
        let found = found.map_err(error)?;
        if self.has_others() {
            *self.kept() = Some((since, connection));
        }
        Ok(found)
    }

    /// Releases the connection to the pool.
    pub fn release(&self) {
        self.kept().take();
    }

    fn kept(&self) -> MutexGuard<'_, Kept> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns whether the pool has other connections. If not, a request may be waiting for this one.
    fn has_others(&self) -> bool {
        self.pool.num_idle() > 0 || self.pool.size() < self.pool.options().get_max_connections()
    }
}
