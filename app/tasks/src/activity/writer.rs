//! The queue of rows and the task that empties it.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Duration,
};

use kit::Context;
use sea_orm::{DatabaseConnection, EntityTrait};
use tokio::{
    sync::{mpsc, oneshot},
    time::{sleep, timeout},
};

use crate::entity::activity::{ActiveModel, Entity};

/// Most rows that wait to be written.
const QUEUE: usize = 20_000;
/// Most rows in one statement.
const BATCH: usize = 500;
/// How long the first row of a batch waits for others.
const PATIENCE: Duration = Duration::from_millis(500);
/// How long the writer waits before it tries again to write a batch.
const PAUSE: Duration = Duration::from_secs(1);

/// The queue's end into which requests put their rows.
#[derive(Clone)]
pub struct Activity {
    queue: mpsc::Sender<Message>,
    dropped: Arc<AtomicU64>,
    /// The name of this instance.
    pub(super) instance: String,
}

enum Message {
    Row(Box<ActiveModel>),
    /// Write what is there at once, and say so.
    Flush(oneshot::Sender<()>),
}

impl Activity {
    /// Starts the writer in the current runtime.
    pub(super) fn start(context: &Context, instance: String) -> Self {
        let dropped = context.metrics.counter("activity_dropped_total", "Requests that the activity log has lost.");
        let written = context.metrics.counter("activity_written_total", "Requests that the activity log has written.");
        let (queue, rows) = mpsc::channel(QUEUE);
        let writer = Writer { database: context.database.clone(), dropped: Arc::clone(&dropped), written };
        tokio::spawn(writer.run(rows));
        Self { queue, dropped, instance }
    }

    /// Puts a row into the queue, or drops it.
    pub(super) fn add(&self, row: ActiveModel) {
        if self.queue.try_send(Message::Row(Box::new(row))).is_err() {
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
    dropped: Arc<AtomicU64>,
    written: Arc<AtomicU64>,
}

impl Writer {
    async fn run(self, mut rows: mpsc::Receiver<Message>) {
        let mut messages = Vec::new();
        while rows.recv_many(&mut messages, BATCH).await > 0 {
            let flushing = messages.iter().any(|message| matches!(message, Message::Flush(_)));
            if !flushing && messages.len() < BATCH {
                // Others of the same moment. What has arrived by the end of the wait is taken, and no more.
                let _ = timeout(PATIENCE, gather(&mut rows, &mut messages)).await;
            }
            let mut batch = Vec::with_capacity(BATCH);
            for message in messages.drain(..) {
                match message {
                    Message::Row(row) => batch.push(*row),
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
    async fn write(&self, batch: Vec<ActiveModel>, patient: bool) {
        if batch.is_empty() {
            return;
        }
        let rows = batch.len() as u64;
        loop {
            let Err(error) = Entity::insert_many(batch.clone()).exec_without_returning(&self.database).await else {
                self.written.fetch_add(rows, Relaxed);
                return;
            };
            if !(patient && kit::reply::is_away(&error)) {
                tracing::error!(%error, rows, "the activity of some requests is lost");
                self.dropped.fetch_add(rows, Relaxed);
                return;
            }
            tracing::warn!(%error, rows, "the activity log waits for the database");
            sleep(PAUSE).await;
        }
    }
}

/// Receives until the batch is full or somebody wants it flushed.
async fn gather(rows: &mut mpsc::Receiver<Message>, messages: &mut Vec<Message>) {
    while messages.len() < BATCH {
        match rows.recv().await {
            Some(message) => {
                let flush = matches!(message, Message::Flush(_));
                messages.push(message);
                if flush {
                    return;
                }
            }
            None => return,
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use kit::{metrics::Metrics, reader::Reader, testing::connect};
    use sea_orm::ActiveValue::{NotSet, Set};

    use super::*;

    /// A context whose database has no tables at all.
    async fn context() -> Context {
        let (database, metrics) = (connect("sqlite::memory:").await, Arc::new(Metrics::default()));
        Context { reader: Reader::new(database.clone(), None, &metrics), database, metrics }
    }

    fn row() -> ActiveModel {
        ActiveModel {
            id: NotSet,
            time: Set(chrono::Utc::now()),
            username: Set(None),
            method: Set("GET".into()),
            path: Set("/".into()),
            status: Set(200),
            duration_us: Set(1),
            client: Set(String::new()),
            instance: Set(String::new()),
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
