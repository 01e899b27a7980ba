//! A connection that is kept from one statement to the next. The pool asks a connection whether it is alive whenever it is
//! taken and given back, which takes longer than a short statement does. It is kept only while the pool has others.

use std::{
    cell::RefCell,
    sync::Arc,
    time::{Duration, Instant},
};

use sea_orm::{
    DatabaseConnection, DbBackend, DbErr, RuntimeErr,
    sqlx::{self, PgConnection, PgPool, Postgres, pool::PoolConnection},
};

/// How long a connection is kept at most, so that the pool can replace what is old.
const MOST: Duration = Duration::from_secs(10);

/// A connection to PostgreSQL, when it is needed.
pub struct Held {
    pool: PgPool,
    kept: RefCell<Option<(Instant, PoolConnection<Postgres>)>>,
}

impl Held {
    /// None with SQLite, whose one connection is everybody's.
    pub fn of(database: &DatabaseConnection) -> Option<Self> {
        let is_postgres = database.get_database_backend() == DbBackend::Postgres;
        is_postgres.then(|| Self { pool: database.get_postgres_connection_pool().clone(), kept: RefCell::new(None) })
    }

    /// Runs a statement on the connection that was kept, or on one from the pool. After an error it is not kept.
    ///
    /// # Errors
    /// What the pool or the database says.
    pub async fn run<T>(
        &self,
        statement: impl AsyncFnOnce(&mut PgConnection) -> Result<T, sqlx::Error>,
    ) -> Result<T, DbErr> {
        let error = |error: sqlx::Error| DbErr::Query(RuntimeErr::SqlxError(Arc::new(error)));
        let kept = self.kept.take().filter(|(since, _)| since.elapsed() < MOST);
        let (since, mut connection) = match kept {
            Some(kept) => kept,
            None => (Instant::now(), self.pool.acquire().await.map_err(error)?),
        };
        let found = statement(&mut connection).await.map_err(error)?;
        if self.has_others() {
            self.kept.replace(Some((since, connection)));
        }
        Ok(found)
    }

    /// Gives the connection back to the pool.
    pub fn release(&self) {
        self.kept.take();
    }

    /// Tells whether the pool has connections for others; else somebody may be waiting for this one.
    fn has_others(&self) -> bool {
        self.pool.num_idle() > 0 || self.pool.size() < self.pool.options().get_max_connections()
    }
}
