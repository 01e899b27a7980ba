//! The queue of rows, and the task that writes them.

use std::{
    net::IpAddr,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use chrono::{DateTime, Utc};
use kit::Context;
use sea_orm::{
    ActiveValue::{NotSet, Set},
    ConnectionTrait, DatabaseConnection, DbBackend, DbErr, EntityTrait, Statement,
};
use tokio::{
    sync::{mpsc, oneshot},
    time::{Instant, sleep},
};

use crate::entity::activity::{ActiveModel, Entity};

/// Maximum number of queued rows.
const QUEUE: usize = 100_000;
/// Maximum number of rows in a statement, limited by the parameters of SQLite.
const BATCH: usize = 3000;
/// Time for which the first row of a batch waits for others.
const PATIENCE: Duration = Duration::from_millis(500);
/// Interval between checks of the queue: requests do not wake the writer.
const LOOK: Duration = Duration::from_millis(20);
/// Time between attempts to write a batch.
const PAUSE: Duration = Duration::from_secs(1);

/// Sender of rows to the queue.
#[derive(Clone)]
pub struct Activity {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
}

/// A request to log.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) time: DateTime<Utc>,
    pub(super) username: Option<String>,
    pub(super) method: String,
    pub(super) path: String,
    pub(super) status: i16,
    pub(super) duration_us: i64,
    pub(super) client: Option<IpAddr>,
}

enum Message {
    Row(Row),
    /// Write the queued rows at once, and confirm it.
    Flush(oneshot::Sender<()>),
}

impl Activity {
    /// Starts the writer in the current runtime.
    pub(super) fn start(context: &Context, instance: String) -> Self {
        let dropped =
            context.metrics.counter("activity_dropped_total", "Requests that are missing in the activity log.");
        let written =
            context.metrics.counter("activity_written_total", "Requests that were written to the activity log.");
        let (queue, rows) = mpsc::channel(QUEUE);
        let writer = Writer { database: context.database.clone(), instance, dropped: Arc::clone(&dropped), written };
        tokio::spawn(writer.run(rows));
        Self { queue, dropped }
    }

    /// Adds a row to the queue, or drops it if the queue is full.
    pub(super) fn add(&self, row: Row) {
        if self.queue.try_send(Message::Row(row)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Waits until all rows so far are written or dropped.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        // The writer stops only with the runtime, which also stops this task.
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

struct Writer {
    database: DatabaseConnection,
    /// Name of this instance.
    instance: String,
    dropped: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Writer {
    async fn run(self, mut rows: mpsc::Receiver<Message>) {
        let mut messages = Vec::new();
        while rows.recv_many(&mut messages, BATCH).await > 0 {
            gather(&mut rows, &mut messages).await;
            let mut batch = Vec::with_capacity(BATCH);
            for message in messages.drain(..) {
                match message {
                    Message::Row(row) => batch.push(row),
                    Message::Flush(done) => {
                        self.write(std::mem::take(&mut batch), false).await;
                        // The receiver may have been dropped.
                        let _ = done.send(());
                    }
                }
            }
            self.write(batch, true).await;
        }
    }

    /// Writes a batch. While the database is unavailable, waits if `may_wait`, and the queue fills.
    async fn write(&self, batch: Vec<Row>, may_wait: bool) {
        if batch.is_empty() {
            return;
        }
        let rows = batch.len() as u64;
        for attempt in 0.. {
            let Err(error) = self.insert(&batch).await else {
                self.written.fetch_add(rows, Relaxed);
                return;
            };
            let is_unavailable = kit::reply::is_unavailable(&error);
            if is_unavailable && attempt == 0 {
                // A worker thread closes its connections when the service stops. Another one may work.
                continue;
            }
            if !(may_wait && is_unavailable) {
                tracing::error!(%error, rows, "some requests are missing in the activity log");
                self.dropped.fetch_add(rows, Relaxed);
                return;
            }
            tracing::warn!(%error, rows, "the activity log waits for the database");
            sleep(PAUSE).await;
        }
    }

    async fn insert(&self, batch: &[Row]) -> Result<(), DbErr> {
        if self.database.get_database_backend() == DbBackend::Postgres {
            return self.database.execute_raw(self.insertion(batch)).await.map(drop);
        }
        let rows = batch.iter().map(|row| row.clone().at(&self.instance));
        Entity::insert_many(rows).exec_without_returning(&self.database).await.map(drop)
    }

    /// Returns the statement of PostgreSQL, whose text is the same for any number of rows, so that it is prepared once.
    fn insertion(&self, batch: &[Row]) -> Statement {
        fn column<T>(batch: &[Row], value: impl Fn(&Row) -> T) -> Vec<T> {
            batch.iter().map(value).collect()
        }
        let sql = "INSERT INTO tasks_activity \
                   (time, username, method, path, status, duration_us, client, instance) \
                   SELECT time, NULLIF(username, ''), method, path, status, duration_us, client, $8 \
                   FROM UNNEST($1::timestamptz[], $2::text[], $3::text[], $4::text[], $5::smallint[], $6::bigint[], \
                   $7::text[]) AS row (time, username, method, path, status, duration_us, client)";
        let values = [
            column(batch, |row| row.time).into(),
            column(batch, |row| row.username.clone().unwrap_or_default()).into(),
            column(batch, |row| row.method.clone()).into(),
            column(batch, |row| row.path.clone()).into(),
            column(batch, |row| row.status).into(),
            column(batch, |row| row.duration_us).into(),
            column(batch, Row::client).into(),
            self.instance.clone().into(),
        ];
        Statement::from_sql_and_values(DbBackend::Postgres, sql, values)
    }
}

impl Row {
    fn client(&self) -> String {
        self.client.map(|address| address.to_string()).unwrap_or_default()
    }

    fn at(self, instance: &str) -> ActiveModel {
        ActiveModel {
            id: NotSet,
            client: Set(self.client()),
            time: Set(self.time),
            username: Set(self.username),
            method: Set(self.method),
            path: Set(self.path),
            status: Set(self.status),
            duration_us: Set(self.duration_us),
            instance: Set(instance.to_owned()),
        }
    }
}

/// Receives further rows until the batch is full, the wait has passed, or a flush is requested.
async fn gather(rows: &mut mpsc::Receiver<Message>, messages: &mut Vec<Message>) {
    let deadline = Instant::now() + PATIENCE;
    let is_flush = |message: &Message| matches!(message, Message::Flush(_));
    while messages.len() < BATCH && !messages.iter().any(is_flush) && Instant::now() < deadline {
        sleep(LOOK).await;
        while messages.len() < BATCH
            && let Ok(message) = rows.try_recv()
        {
            messages.push(message);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kit::{metrics::Metrics, reader::Reader, testing::connect};

    use super::*;

    /// Returns a context whose database has no tables.
    async fn context() -> Context {
        let (database, metrics) = (connect("sqlite::memory:").await, Arc::new(Metrics::default()));
        Context { reader: Reader::new(database.clone(), None, &metrics), database, metrics }
    }

    fn row() -> Row {
        Row {
            time: Utc::now(),
            username: None,
            method: "GET".into(),
            path: "/".into(),
            status: 200,
            duration_us: 1,
            client: None,
        }
    }

    fn dropped(context: &Context) -> u64 {
        context.metrics.counter("activity_dropped_total", "").load(Relaxed)
    }

    #[tokio::test]
    async fn rows_that_exceed_the_queue_are_counted() {
        let context = context().await;
        let activity = Activity::start(&context, "test".into());
        // The writer does not run before this test waits.
        for _ in 0..QUEUE + 3 {
            activity.add(row());
        }
        assert_eq!(dropped(&context), 3);
    }

    #[tokio::test]
    async fn rows_that_cannot_be_written_are_counted() {
        let context = context().await;
        let activity = Activity::start(&context, "test".into());
        activity.add(row());
        activity.add(row());
        activity.flush().await;
        assert_eq!(dropped(&context), 2);
    }
}
