//! Shares one statement among concurrent queries.
//!
//! The first query is sent to the database at once. Queries that arrive while a statement runs wait for its result, and
//! are then sent together. So no query waits for others to arrive, one statement of a batch runs at a time, and the cost
//! per request falls as the load rises. Nothing is cached: a statement starts after its queries have arrived, so no
//! answer is older than its query. Later queries do not wait for a statement that takes longer than [`PATIENCE`]: its
//! connection may have failed silently.
//!
//! A batch may serve one worker thread, or all of a process: a single statement for rows that many requests change is
//! shorter than several that wait for each other's locks.

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use actix_web::rt;
use sea_orm::DbErr;
use tokio::{sync::oneshot, time::timeout};

use crate::{labels, reply};

/// Time for which later queries wait for a statement.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Maximum number of queries in a statement.
pub const MOST: usize = 128;

/// Shares statements among requests, and with its clones.
pub struct Batch<Q, A>(Arc<Shared<Q, A>>);

struct Shared<Q, A> {
    run: Box<Statement<Q, A>>,
    release: Box<dyn Fn() + Send + Sync>,
    queue: Mutex<Queue<Q, A>>,
}

type Statement<Q, A> = dyn Fn(Vec<Q>) -> Pin<Box<dyn Future<Output = Result<Vec<A>, DbErr>> + Send>> + Send + Sync;

/// Number of attempts to send a query. The first one may wait in a thread that stops, of a server that shuts down.
const ATTEMPTS: usize = 2;

/// Waiting queries, and whether a statement runs.
struct Queue<Q, A> {
    waiting: Vec<(Q, oneshot::Sender<Answer<A>>)>,
    is_running: bool,
}

/// Outcome of a query.
enum Answer<A> {
    Ran(Result<A, DbErr>),
    /// It was not sent.
    Waited,
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Batch<Q, A> {
    /// Returns a batch. `run` answers up to [`MOST`] queries, in their order, with one atomic statement. `release` is called
    /// when no query waits, to release the resources that `run` holds.
    pub fn new<F>(run: impl Fn(Vec<Q>) -> F + Send + Sync + 'static, release: impl Fn() + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, DbErr>> + Send + 'static,
    {
        let queue = Mutex::new(Queue { waiting: Vec::new(), is_running: false });
        Self(Arc::new(Shared {
            run: Box::new(move |queries| Box::pin(run(queries))),
            release: Box::new(release),
            queue,
        }))
    }

    /// Sends a query, together with concurrent ones.
    ///
    /// # Errors
    /// The error of the statement. If the database refuses a statement for several queries, each one is sent separately.
    pub async fn run(&self, query: Q) -> Result<A, DbErr> {
        for _ in 0..ATTEMPTS {
            let (sender, answer) = oneshot::channel();
            let is_running = {
                let mut queue = self.0.queue();
                queue.waiting.push((query.clone(), sender));
                std::mem::replace(&mut queue.is_running, true)
            };
            if !is_running {
                // The first statement is labelled with this request.
                let runner = Runner { shared: Arc::clone(&self.0), is_done: false };
                rt::spawn(labels::on_behalf(runner.run()));
            }
            match answer.await {
                Ok(Answer::Ran(answer)) => return answer,
                Ok(Answer::Waited) => {}
                Err(_) => break,
            }
        }
        Err(DbErr::Custom("the statement was abandoned".to_owned()))
    }
}

impl<Q, A> Clone for Batch<Q, A> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Runs statements until no query waits. Its drop returns the remaining queries, so that none waits forever after a panic.
struct Runner<Q, A> {
    shared: Arc<Shared<Q, A>>,
    /// `true` once the next query has to start another runner.
    is_done: bool,
}

impl<Q: Clone + Send + 'static, A: Send + 'static> Runner<Q, A> {
    async fn run(mut self) {
        loop {
            // Other ready tasks run first, and may add queries.
            tokio::task::yield_now().await;
            let (queries, senders): (Vec<_>, Vec<_>) = {
                let mut queue = self.shared.queue();
                let now = queue.waiting.len().min(MOST);
                if now == 0 {
                    // Under the same lock, so that the next query starts another runner.
                    queue.is_running = false;
                    self.is_done = true;
                    return;
                }
                queue.waiting.drain(..now).unzip()
            };
            let shared = Arc::clone(&self.shared);
            let mut answering = Box::pin(async move {
                for (sender, answer) in senders.into_iter().zip(shared.answers(queries).await) {
                    // The request may have been cancelled.
                    let _ = sender.send(Answer::Ran(answer));
                }
            });
            if timeout(PATIENCE, &mut answering).await.is_err() {
                rt::spawn(answering);
            }
        }
    }
}

impl<Q, A> Shared<Q, A> {
    fn queue(&self) -> MutexGuard<'_, Queue<Q, A>> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<Q: Clone, A> Shared<Q, A> {
    /// Returns an answer for each query. If a shared statement is refused, one query alone may be the cause.
    async fn answers(&self, queries: Vec<Q>) -> Vec<Result<A, DbErr>> {
        match self.run_statement(queries.clone()).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) if queries.len() > 1 && reply::is_refusal(&error) => {
                let mut answers = Vec::with_capacity(queries.len());
                for query in queries {
                    answers.push(self.run_statement(vec![query]).await.map(|mut answers| answers.remove(0)));
                }
                answers
            }
            Err(error) => queries.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// Runs a statement, and checks that it returns an answer for each query.
    async fn run_statement(&self, queries: Vec<Q>) -> Result<Vec<A>, DbErr> {
        let count = queries.len();
        let answers = (self.run)(queries).await?;
        if answers.len() != count {
            return Err(DbErr::Custom(format!("{count} queries got {} answers", answers.len())));
        }
        Ok(answers)
    }
}

impl<Q, A> Drop for Runner<Q, A> {
    fn drop(&mut self) {
        if !self.is_done {
            let mut queue = self.shared.queue();
            queue.is_running = false;
            for (_, sender) in queue.waiting.drain(..) {
                // The request may have been cancelled.
                let _ = sender.send(Answer::Waited);
            }
        }
        (self.shared.release)();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::SeqCst};

    use actix_web::rt::System;
    use futures::future::join_all;
    use sea_orm::{RuntimeErr, sqlx};
    use tokio::sync::Notify;

    use super::*;

    /// Queries of each statement so far.
    type Statements = Arc<Mutex<Vec<Vec<u32>>>>;

    /// Doubles numbers, and refuses a statement that contains 13.
    fn doubling() -> (Batch<u32, u32>, Statements) {
        let statements = Statements::default();
        let seen = Arc::clone(&statements);
        let run = move |queries: Vec<u32>| {
            seen.lock().unwrap().push(queries.clone());
            async move {
                tokio::task::yield_now().await;
                if queries.contains(&13) {
                    return Err(refusal().await);
                }
                Ok(queries.into_iter().map(|query| query * 2).collect())
            }
        };
        (Batch::new(run, || ()), statements)
    }

    /// Returns the error of a refused statement.
    async fn refusal() -> DbErr {
        let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
        let error = sqlx::query("SELECT * FROM nowhere").execute(&pool).await.unwrap_err();
        DbErr::Query(RuntimeErr::SqlxError(error.into()))
    }

    #[test]
    fn concurrent_queries_share_a_statement() {
        System::new().block_on(async {
            let (batch, statements) = doubling();
            assert_eq!(batch.run(1).await, Ok(2));
            let answers = join_all((0..200).map(|query| batch.run(query + 100))).await;
            assert!(answers.iter().zip(100..).all(|(answer, query)| *answer == Ok(query * 2)), "{answers:?}");
            assert_eq!(statements.lock().unwrap().iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST, 200 - MOST]);
        });
    }

    #[test]
    fn a_query_waits_for_a_statement_that_starts_after_it() {
        System::new().block_on(async {
            let (value, started, proceed) =
                (Arc::new(AtomicUsize::new(1)), Arc::new(Notify::new()), Arc::new(Notify::new()));
            let (read, running, wait) = (Arc::clone(&value), Arc::clone(&started), Arc::clone(&proceed));
            let run = move |queries: Vec<()>| {
                let (seen, running, wait) = (read.load(SeqCst), Arc::clone(&running), Arc::clone(&wait));
                async move {
                    running.notify_one();
                    wait.notified().await;
                    Ok(vec![seen; queries.len()])
                }
            };
            let batch = Batch::new(run, || ());
            let send = || {
                let batch = batch.clone();
                rt::spawn(async move { batch.run(()).await })
            };
            let first = send();
            started.notified().await;
            value.store(2, SeqCst);
            let second = send();
            proceed.notify_one();
            assert_eq!(first.await.unwrap(), Ok(1));
            started.notified().await;
            proceed.notify_one();
            assert_eq!(second.await.unwrap(), Ok(2));
        });
    }

    #[test]
    fn later_queries_do_not_wait_for_a_slow_statement() {
        System::new().block_on(async {
            let started = Arc::new(AtomicBool::new(false));
            let running = Arc::clone(&started);
            let run = move |queries: Vec<u32>| {
                let hangs = !running.swap(true, SeqCst);
                async move {
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                    Ok(queries)
                }
            };
            let batch = Batch::new(run, || ());
            let first = rt::spawn({
                let batch = batch.clone();
                async move { batch.run(1).await }
            });
            while !started.load(SeqCst) {
                tokio::task::yield_now().await;
            }
            assert_eq!(batch.run(2).await, Ok(2));
            assert!(!first.is_finished());
        });
    }

    #[test]
    fn a_refused_query_does_not_affect_others() {
        System::new().block_on(async {
            let (batch, _) = doubling();
            let answers = join_all([12, 13, 14].map(|query| batch.run(query))).await;
            assert!(matches!(&answers[..], [Ok(24), Err(DbErr::Query(_)), Ok(28)]), "{answers:?}");
        });
    }

    #[test]
    fn queries_of_a_panicking_statement_fail() {
        System::new().block_on(async {
            let panicking = Arc::new(AtomicBool::new(true));
            let panics = Arc::clone(&panicking);
            let run = move |queries: Vec<()>| {
                let panics = panics.swap(false, SeqCst);
                async move {
                    assert!(!panics, "as expected");
                    Ok(queries)
                }
            };
            let releases = Arc::new(AtomicUsize::new(0));
            let counter = Arc::clone(&releases);
            let batch = Batch::new(run, move || {
                counter.fetch_add(1, SeqCst);
            });
            assert!(batch.run(()).await.is_err());
            assert_eq!((batch.run(()).await, releases.load(SeqCst)), (Ok(()), 1));
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            assert_eq!(releases.load(SeqCst), 2);
        });
    }

    #[test]
    fn waiting_queries_are_sent_after_a_statement_has_panicked() {
        System::new().block_on(async {
            let statements = Arc::new(AtomicUsize::new(0));
            let begun = Arc::clone(&statements);
            let run = move |queries: Vec<u32>| {
                let panics = begun.fetch_add(1, SeqCst) == 0;
                async move {
                    tokio::task::yield_now().await;
                    assert!(!panics, "as expected");
                    Ok(queries)
                }
            };
            let batch = Batch::new(run, || ());
            let first = rt::spawn({
                let batch = batch.clone();
                async move { batch.run(1).await }
            });
            while statements.load(SeqCst) == 0 {
                tokio::task::yield_now().await;
            }
            assert_eq!(batch.run(2).await, Ok(2));
            assert!(first.await.unwrap().is_err());
        });
    }

    #[test]
    fn queries_of_a_stopped_thread_are_sent_by_others() {
        let statements = Arc::new(AtomicUsize::new(0));
        let begun = Arc::clone(&statements);
        let run = move |queries: Vec<u32>| {
            let hangs = begun.fetch_add(1, SeqCst) == 0;
            async move {
                if hangs {
                    std::future::pending::<()>().await;
                }
                Ok(queries)
            }
        };
        let batch = Batch::new(run, || ());
        let (of_thread, begun) = (batch.clone(), Arc::clone(&statements));
        let (joined, join) = std::sync::mpsc::channel::<()>();
        let thread = std::thread::spawn(move || {
            System::new().block_on(async {
                drop(rt::spawn(async move { of_thread.run(1).await }));
                while begun.load(SeqCst) == 0 || join.try_recv().is_err() {
                    tokio::task::yield_now().await;
                }
            });
        });
        while statements.load(SeqCst) == 0 {
            std::thread::yield_now();
        }
        System::new().block_on(async {
            let waiting = rt::spawn(async move { batch.run(2).await });
            tokio::task::yield_now().await;
            joined.send(()).unwrap();
            assert_eq!(waiting.await.unwrap(), Ok(2));
        });
        thread.join().unwrap();
    }
}
