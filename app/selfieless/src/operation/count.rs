//! The number of API requests, in the database.
//!
//! A balancer sends `GET /_count` to any instance, so the count is in the database that all instances share. Each instance
//! has a row, so that instances do not wait for each other. A request is counted while it is handled, and its response
//! waits for the count, so a later `GET /_count` at any instance includes it. Concurrent requests share a statement.

use std::sync::{
    Arc,
    atomic::{AtomicI64, Ordering::Relaxed},
};

use actix_web::{
    Error,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    middleware::Next,
    rt,
    web::Data,
};
use kit::held::Held;
use sea_orm::{ConnectionTrait, DatabaseConnection, DbErr, Statement, sqlx};
use tokio::{sync::Mutex, time::Instant};

use super::is_counted;

/// Counter of the requests of a service.
#[derive(Clone)]
pub struct Counter(Arc<Shared>);

struct Shared {
    database: DatabaseConnection,
    table: &'static str,
    instance: String,
    /// Number of requests that have been received.
    received: AtomicI64,
    /// Connection of the statements in PostgreSQL.
    held: Option<Held>,
    /// Locked while a statement runs.
    written: Mutex<Written>,
}

/// Outcome of the statements so far.
#[derive(Default)]
struct Written {
    /// Number of received requests that are in the database.
    requests: i64,
    /// Time and error of the last statement, if it failed.
    failure: Option<(Instant, DbErr)>,
}

impl Counter {
    /// Returns a counter in a table, in the row of this instance.
    pub fn new(database: DatabaseConnection, table: &'static str, instance: String) -> Self {
        let (received, held, written) = (AtomicI64::new(0), Held::of(&database), Mutex::default());
        Self(Arc::new(Shared { database, table, instance, received, held, written }))
    }

    /// Counts a request, and returns when it is counted. After a failure, the next write includes the request.
    pub async fn count(&self) {
        self.0.received.fetch_add(1, Relaxed);
        // The failure is logged.
        let _ = self.write().await;
    }

    /// Counts a request, without waiting.
    pub fn count_later(&self) {
        self.0.received.fetch_add(1, Relaxed);
        drop(self.start_write());
    }

    /// Writes the requests that are not counted yet.
    ///
    /// # Errors
    /// The error of the database, which is logged.
    pub async fn write(&self) -> Result<(), DbErr> {
        let stopping = |_| Err(DbErr::Custom("the service is stopping".to_owned()));
        self.start_write().await.unwrap_or_else(stopping)
    }

    /// Starts a write as a task: a request that is cancelled while it waits must not cancel the write of other requests.
    fn start_write(&self) -> rt::task::JoinHandle<Result<(), DbErr>> {
        let shared = Arc::clone(&self.0);
        rt::spawn(async move {
            let written = shared.write().await;
            if let Err(error) = &written {
                tracing::warn!(%error, "requests are not counted yet");
            }
            written
        })
    }

    /// Returns the number of counted requests of all instances.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn total(&self) -> Result<i64, DbErr> {
        self.write().await?;
        let sql = format!("SELECT CAST(COALESCE(SUM(requests), 0) AS BIGINT) AS total FROM {}", self.0.table);
        let statement = Statement::from_string(self.0.database.get_database_backend(), sql);
        let row = self.0.database.query_one_raw(statement).await?;
        row.map_or(Ok(0), |row| row.try_get("", "total"))
    }

    /// Sets the count of all instances to 0.
    ///
    /// # Errors
    /// The error of the database.
    pub async fn reset(&self) -> Result<(), DbErr> {
        self.write().await?;
        self.0.database.execute_unprepared(&format!("DELETE FROM {}", self.0.table)).await.map(drop)
    }
}

impl Shared {
    async fn write(&self) -> Result<(), DbErr> {
        let (start, wanted) = (Instant::now(), self.received.load(Relaxed));
        let mut written = self.written.lock().await;
        // A statement that started later than this write included its requests.
        if written.requests >= wanted {
            return Ok(());
        }
        // While the database does not answer, waiting requests fail together instead of one after another.
        if let Some((_, error)) = written.failure.as_ref().filter(|(time, _)| *time > start) {
            return Err(error.clone());
        }
        let received = self.received.load(Relaxed);
        match self.add(received - written.requests).await {
            Ok(()) => written.requests = received,
            Err(error) => {
                written.failure = Some((Instant::now(), error.clone()));
                return Err(error);
            }
        }
        // No further write follows at once.
        if let Some(held) = self.held.as_ref().filter(|_| self.received.load(Relaxed) == received) {
            held.release();
        }
        Ok(())
    }

    /// Adds requests to the row of this instance.
    async fn add(&self, requests: i64) -> Result<(), DbErr> {
        let table = self.table;
        let sql = format!(
            "INSERT INTO {table} (instance, requests) VALUES ($1, $2) \
             ON CONFLICT (instance) DO UPDATE SET requests = {table}.requests + excluded.requests"
        );
        match &self.held {
            Some(held) => {
                let add = sqlx::query(sqlx::AssertSqlSafe(sql)).bind(&self.instance).bind(requests);
                held.run(async |connection| add.execute(connection).await).await.map(drop)
            }
            None => {
                let values = [self.instance.clone().into(), requests.into()];
                let statement = Statement::from_sql_and_values(self.database.get_database_backend(), sql, values);
                self.database.execute_raw(statement).await.map(drop)
            }
        }
    }
}

/// Middleware that counts requests of the API.
pub(super) async fn middleware(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let counter = request.app_data::<Data<Counter>>().filter(|_| is_counted(request.path())).cloned();
    let count = async {
        if let Some(counter) = counter {
            counter.count().await;
        }
    };
    let (answer, ()) = futures::join!(next.call(request), count);
    answer
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::time::Duration;

    use sea_orm::{ConnectOptions, Database, DatabaseTransaction, DbErr, TransactionTrait};
    use tokio::{task::yield_now, time::timeout};

    use super::*;

    /// Runs the other tasks until they wait.
    async fn settle() {
        for _ in 0..20 {
            yield_now().await;
        }
    }

    #[actix_web::test]
    async fn a_counted_request_does_not_wait_for_the_statement_of_later_ones() {
        let mut options = ConnectOptions::new("sqlite::memory:");
        options.max_connections(1);
        let database = Database::connect(options).await.unwrap();
        let table = "CREATE TABLE counted (instance TEXT PRIMARY KEY, requests BIGINT NOT NULL)";
        database.execute_unprepared(table).await.unwrap();
        let counter = Counter::new(database.clone(), "counted", "this".to_owned());
        let request = || {
            let counter = counter.clone();
            rt::spawn(async move { counter.count().await })
        };
        // Transactions and statements take the only connection in the order in which they ask for it.
        let begin = || {
            let database = database.clone();
            rt::spawn(async move { database.begin().await })
        };
        let first_hold: Result<DatabaseTransaction, DbErr> = begin().await.unwrap();
        let first = request();
        settle().await;
        let (second, third, second_hold) = (request(), request(), begin());
        settle().await;
        first_hold.unwrap().rollback().await.unwrap();
        first.await.unwrap();
        let second_hold = second_hold.await.unwrap().unwrap();
        settle().await;
        // The statement for the second and the third request waits for the connection, without the fourth.
        let (fourth, third_hold) = (request(), begin());
        settle().await;
        second_hold.rollback().await.unwrap();
        second.await.unwrap();
        let third_hold = third_hold.await.unwrap().unwrap();
        timeout(Duration::from_secs(5), third).await.expect("the third request is counted").unwrap();
        settle().await;
        assert!(!fourth.is_finished());
        third_hold.rollback().await.unwrap();
        fourth.await.unwrap();
        assert_eq!(counter.total().await.unwrap(), 4);
    }
}
