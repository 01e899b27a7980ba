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
    /// Requests that are not in the database yet.
    pending: AtomicI64,
    /// Connection of the statements in PostgreSQL.
    held: Option<Held>,
    /// Held while a statement runs. Contains the time and the error of the last statement, if it failed.
    writing: Mutex<Option<(Instant, DbErr)>>,
}

impl Counter {
    /// Returns a counter in a table, in the row of this instance.
    pub fn new(database: DatabaseConnection, table: &'static str, instance: String) -> Self {
        let (pending, held, writing) = (AtomicI64::new(0), Held::of(&database), Mutex::new(None));
        Self(Arc::new(Shared { database, table, instance, pending, held, writing }))
    }

    /// Counts a request, and returns when it is counted. After a failure, the next write includes the request.
    pub async fn count(&self) {
        self.0.pending.fetch_add(1, Relaxed);
        // The failure is logged.
        let _ = self.write().await;
    }

    /// Counts a request, without waiting.
    pub fn count_later(&self) {
        self.0.pending.fetch_add(1, Relaxed);
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
        let start = Instant::now();
        let mut failed = self.writing.lock().await;
        // While the database does not answer, waiting requests fail together instead of one after another.
        if let Some((_, error)) = failed.as_ref().filter(|(time, _)| *time > start) {
            return Err(error.clone());
        }
        // A write that started earlier may have included this request.
        let requests = self.pending.swap(0, Relaxed);
        if requests == 0 {
            return Ok(());
        }
        let written = self.add(requests).await;
        if let Err(error) = &written {
            self.pending.fetch_add(requests, Relaxed);
            *failed = Some((Instant::now(), error.clone()));
        }
        // No further write follows at once.
        if let Some(held) = self.held.as_ref().filter(|_| self.pending.load(Relaxed) == 0) {
            held.release();
        }
        written
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
