//! Reads from the replica of `DATABASE_READER_URL`, such as the reader endpoint of a cluster.
//!
//! A replica lags behind the writer. So it answers only reads that may be stale, such as lists and searches, and never those
//! that a write depends on. A service decides itself which reads these are, or uses the rules of [`crate::endpoints`], so
//! that clients read their own writes.
//!
//! A replica that fails, or does not answer within [`PATIENCE`], is not used for [`PAUSE`]. Until then, and without a replica,
//! the writer answers.
//! `database_reader_fallbacks_total` counts these queries.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sea_orm::{ConnAcquireErr, DatabaseConnection, DbErr};
use tokio::time::{Instant, timeout};

use crate::{metrics::Metrics, reply};

/// Time for which a failed replica is not used.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Time limit of a query on the replica, which leaves enough of a request's time for the writer. A replica whose machine or
/// network has failed may not answer at all.
pub const PATIENCE: Duration = Duration::from_secs(3);

/// Connection for reads that may be stale.
#[derive(Clone)]
pub struct Reader {
    writer: DatabaseConnection,
    replica: Option<Arc<Replica>>,
}

struct Replica {
    connection: DatabaseConnection,
    away_until: Mutex<Option<Instant>>,
    fallbacks: Arc<AtomicU64>,
}

impl Reader {
    /// Returns a reader from the replica, or from the writer if there is none.
    pub fn new(writer: DatabaseConnection, replica: Option<DatabaseConnection>, metrics: &Metrics) -> Self {
        let replica = replica.map(|connection| {
            let help = "Queries that the writer answered because the replica failed.";
            let fallbacks = metrics.counter("database_reader_fallbacks_total", help);
            Arc::new(Replica { connection, away_until: Mutex::default(), fallbacks })
        });
        Self { writer, replica }
    }

    /// Returns a copy of this reader with another connection to the writer, which counts the queries of the replica.
    pub(crate) fn counted(&self, writer: DatabaseConnection, queries: Arc<AtomicU64>) -> Self {
        let replica = self.replica.as_ref().map(|replica| {
            let mut connection = replica.connection.clone();
            connection.set_metric_callback(move |_| {
                queries.fetch_add(1, Relaxed);
            });
            let fallbacks = Arc::clone(&replica.fallbacks);
            Arc::new(Replica { connection, away_until: Mutex::default(), fallbacks })
        });
        Self { writer, replica }
    }

    /// Returns whether there is a replica, which may lag behind the writer.
    pub fn has_replica(&self) -> bool {
        self.replica.is_some()
    }

    /// Runs a query on the replica, and on the writer if that fails.
    ///
    /// # Errors
    /// The error of the writer.
    pub async fn read<T>(&self, query: impl AsyncFn(&DatabaseConnection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        let Some(replica) = &self.replica else {
            return query(&self.writer).await;
        };
        if replica.is_there() {
            match timeout(PATIENCE, query(&replica.connection)).await {
                Ok(Ok(found)) => return Ok(found),
                Ok(Err(error)) => replica.failed(&error),
                Err(_) => replica.failed(&DbErr::ConnectionAcquire(ConnAcquireErr::Timeout)),
            }
        }
        replica.fallbacks.fetch_add(1, Relaxed);
        query(&self.writer).await
    }

    /// Closes the connections to the replica, not those to the writer.
    pub(crate) async fn close(self) {
        if let Some(replica) = self.replica {
            // An error means that the replica has already closed them.
            let _ = replica.connection.clone().close().await;
        }
    }
}

impl Replica {
    fn is_there(&self) -> bool {
        let away_until = *self.away_until.lock().unwrap_or_else(PoisonError::into_inner);
        away_until.is_none_or(|until| until <= Instant::now())
    }

    fn failed(&self, error: &DbErr) {
        tracing::warn!(%error, "the replica failed, so the writer is used");
        if reply::is_unavailable(error) {
            *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
        }
    }
}
