//! The queue of rows and the task that empties it.

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

/// Most rows that wait to be written.
const QUEUE: usize = 100_000;
/// Most rows in one statement: as many as SQLite has parameters for.
const BATCH: usize = 3000;
/// How long the first row of a batch waits for others.
const PATIENCE: Duration = Duration::from_millis(500);
/// How often the writer looks meanwhile: requests do not wake it.
const LOOK: Duration = Duration::from_millis(20);
/// How long the writer waits before it tries again to write a batch.
const PAUSE: Duration = Duration::from_secs(1);

/// The queue's end into which requests put their rows.
#[derive(Clone)]
pub struct Activity {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
}

/// A request to be logged.
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
    /// Write what is there at once, and say so.
    Flush(oneshot::Sender<()>),
}

impl Activity {
    /// Starts the writer in the current runtime.
    pub(super) fn start(context: &Context, instance: String) -> Self {
        let dropped = context.metrics.counter("activity_dropped_total", "Requests that the activity log has lost.");
        let written = context.metrics.counter("activity_written_total", "Requests that the activity log has written.");
        let (queue, rows) = mpsc::channel(QUEUE);
        let writer = Writer { database: context.database.clone(), instance, dropped: Arc::clone(&dropped), written };
        tokio::spawn(writer.run(rows));
        Self { queue, dropped }
    }

    /// Puts a row into the queue, or drops it.
    pub(super) fn add(&self, row: Row) {
        if self.queue.try_send(Message::Row(row)).is_err() {
            self.dropped.fetch_add(1, Relaxed);
        }
    }

    /// Returns when all rows so far are written, or lost.
    pub async fn flush(&self) {
        let (done, wait) = oneshot::channel();
        // The writer ends with the runtime alone, and then nobody waits here.
        if self.queue.send(Message::Flush(done)).await.is_ok() {
            let _ = wait.await;
        }
    }
}

struct Writer {
    database: DatabaseConnection,
    /// The name of this instance.
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
                        // Whoever asked may have given up.
                        let _ = done.send(());
                    }
                }
            }
            self.write(batch, true).await;
        }
    }

    /// Writes a batch. While the database is away it waits, if it may, and the queue fills.
    async fn write(&self, batch: Vec<Row>, patient: bool) {
        if batch.is_empty() {
            return;
        }
        let rows = batch.len() as u64;
        for attempt in 0.. {
            let Err(error) = self.insert(&batch).await else {
                self.written.fetch_add(rows, Relaxed);
                return;
            };
            let away = kit::reply::is_away(&error);
            if away && attempt == 0 {
                // A connection that a worker thread has opened ends with it, when the service stops; another one may do.
                continue;
            }
            if !(patient && away) {
                tracing::error!(%error, rows, "the activity of some requests is lost");
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

    /// PostgreSQL's statement for any number of rows, so that it is prepared once.
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

/// Takes what others of the same moment add, until the batch is full, the wait is over, or somebody wants it flushed.
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

    /// A context whose database has no tables at all.
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
    async fn what_does_not_fit_is_counted() {
        let context = context().await;
        let activity = Activity::start(&context, "test".into());
        // The writer has no turn before this test waits.
        for _ in 0..QUEUE + 3 {
            activity.add(row());
        }
        assert_eq!(dropped(&context), 3);
    }

    #[tokio::test]
    async fn what_cannot_be_written_is_counted() {
        let context = context().await;
        let activity = Activity::start(&context, "test".into());
        activity.add(row());
        activity.add(row());
        activity.flush().await;
        assert_eq!(dropped(&context), 2);
    }
}
