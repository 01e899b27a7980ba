//! Reading from a replica: `DATABASE_READER_URL`, such as a cluster's reader endpoint.
//!
//! A replica may be behind the database by the time replication takes. So only what may be that old is read there:
//! lists and searches. What is asked for by its id, and whatever a write depends on, is read from the writer, so that
//! clients read what they have written.
//!
//! A replica that does not answer is left alone for [`PAUSE`]; meanwhile, and when there is none, the writer answers.
//! `database_reader_fallbacks_total` counts the queries that went to the writer instead.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use sea_orm::{DatabaseConnection, DbErr};
use tokio::time::Instant;

use crate::{metrics::Metrics, reply};

/// How long a replica that did not answer is left alone.
pub const PAUSE: Duration = Duration::from_secs(5);

/// Where lists are read.
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
    /// Reads from the replica, if there is one, and else from the writer.
    pub fn new(writer: DatabaseConnection, replica: Option<DatabaseConnection>, metrics: &Metrics) -> Self {
        let replica = replica.map(|connection| {
            let help = "Queries that the writer answered because the reader did not.";
            let fallbacks = metrics.counter("database_reader_fallbacks_total", help);
            Arc::new(Replica { connection, away_until: Mutex::default(), fallbacks })
        });
        Self { writer, replica }
    }

    /// Runs a query. When the replica fails it, for whatever reason, the writer is asked.
    ///
    /// # Errors
    /// What the writer says.
    pub async fn read<T>(&self, query: impl AsyncFn(&DatabaseConnection) -> Result<T, DbErr>) -> Result<T, DbErr> {
        let Some(replica) = &self.replica else {
            return query(&self.writer).await;
        };
        if replica.is_there() {
            match query(&replica.connection).await {
                Ok(found) => return Ok(found),
                Err(error) => replica.failed(&error),
            }
        }
        replica.fallbacks.fetch_add(1, Relaxed);
        query(&self.writer).await
    }

    /// Closes the connections to the replica; the writer's stay.
    pub(crate) async fn close(self) {
        if let Some(replica) = self.replica {
            // It may be gone, and then there is nothing to say goodbye to.
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
        tracing::warn!(%error, "the reader failed, the writer is asked");
        if reply::is_away(error) {
            *self.away_until.lock().unwrap_or_else(PoisonError::into_inner) = Some(Instant::now() + PAUSE);
        }
    }
}
