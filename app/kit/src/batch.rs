//! Shares one statement among concurrent queries.
//!
//! The first query is sent to the database at once. Queries that arrive while a statement runs wait for its result, and
//! are then sent together. So no query waits for others to arrive, each worker thread runs one statement at a time, and
//! the cost per request falls as the load rises. Nothing is cached: a statement starts after its queries have arrived, so
//! no answer is older than its query. Later queries do not wait for a statement that takes longer than [`PATIENCE`]: its
//! connection may have failed silently.

use std::{cell::RefCell, future::Future, pin::Pin, rc::Rc, time::Duration};

use actix_web::rt;
use sea_orm::DbErr;
use tokio::{sync::oneshot, time::timeout};

use crate::{labels, reply};

/// Time for which later queries wait for a statement.
pub const PATIENCE: Duration = Duration::from_millis(500);

/// Maximum number of queries in a statement.
pub const MOST: usize = 128;

/// Shares statements among the requests of one worker thread, and with its clones.
pub struct Batch<Q, A>(Rc<Shared<Q, A>>);

struct Shared<Q, A> {
    run: Box<Statement<Q, A>>,
    release: Box<dyn Fn()>,
    queue: RefCell<Queue<Q, A>>,
}

type Statement<Q, A> = dyn Fn(Vec<Q>) -> Pin<Box<dyn Future<Output = Result<Vec<A>, DbErr>>>>;

/// Waiting queries, and whether a statement runs.
struct Queue<Q, A> {
    waiting: Vec<(Q, oneshot::Sender<Result<A, DbErr>>)>,
    is_running: bool,
}

impl<Q: Clone + 'static, A: 'static> Batch<Q, A> {
    /// Returns a batch. `run` answers up to [`MOST`] queries, in their order, with one atomic statement. `release` is called
    /// when no query waits, to release the resources that `run` holds.
    pub fn new<F>(run: impl Fn(Vec<Q>) -> F + 'static, release: impl Fn() + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, DbErr>> + 'static,
    {
        let queue = RefCell::new(Queue { waiting: Vec::new(), is_running: false });
        Self(Rc::new(Shared {
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
        let (sender, answer) = oneshot::channel();
        let is_running = {
            let queue = &mut *self.0.queue.borrow_mut();
            queue.waiting.push((query, sender));
            std::mem::replace(&mut queue.is_running, true)
        };
        if !is_running {
            // The first statement is labelled with this request.
            rt::spawn(labels::on_behalf(Runner(Rc::clone(&self.0)).run()));
        }
        answer.await.unwrap_or_else(|_| Err(DbErr::Custom("the statement was abandoned".to_owned())))
    }
}

impl<Q, A> Clone for Batch<Q, A> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// Runs statements until no query waits. Its drop fails the remaining queries, so that none waits forever after a panic.
struct Runner<Q, A>(Rc<Shared<Q, A>>);

impl<Q: Clone + 'static, A: 'static> Runner<Q, A> {
    async fn run(self) {
        loop {
            // Other ready tasks run first, and may add queries.
            tokio::task::yield_now().await;
            let (queries, senders): (Vec<_>, Vec<_>) = {
                let waiting = &mut self.0.queue.borrow_mut().waiting;
                let now = waiting.len().min(MOST);
                waiting.drain(..now).unzip()
            };
            if queries.is_empty() {
                return;
            }
            let shared = Rc::clone(&self.0);
            let mut answering = Box::pin(async move {
                for (sender, answer) in senders.into_iter().zip(shared.answers(queries).await) {
                    // The request may have been cancelled.
                    let _ = sender.send(answer);
                }
            });
            if timeout(PATIENCE, &mut answering).await.is_err() {
                rt::spawn(answering);
            }
        }
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
        let mut queue = self.0.queue.borrow_mut();
        queue.is_running = false;
        queue.waiting.clear();
        drop(queue);
        (self.0.release)();
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::cell::Cell;

    use actix_web::rt::System;
    use futures::future::join_all;
    use sea_orm::{RuntimeErr, sqlx};
    use tokio::sync::Notify;

    use super::*;

    /// Queries of each statement so far.
    type Statements = Rc<RefCell<Vec<Vec<u32>>>>;

    /// Doubles numbers, and refuses a statement that contains 13.
    fn doubling() -> (Batch<u32, u32>, Statements) {
        let statements = Statements::default();
        let seen = Rc::clone(&statements);
        let run = move |queries: Vec<u32>| {
            seen.borrow_mut().push(queries.clone());
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
            assert_eq!(statements.borrow().iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST, 200 - MOST]);
        });
    }

    #[test]
    fn a_query_waits_for_a_statement_that_starts_after_it() {
        System::new().block_on(async {
            let (value, started, proceed) = (Rc::new(Cell::new(1)), Rc::new(Notify::new()), Rc::new(Notify::new()));
            let (read, running, wait) = (Rc::clone(&value), Rc::clone(&started), Rc::clone(&proceed));
            let run = move |queries: Vec<()>| {
                let (seen, running, wait) = (read.get(), Rc::clone(&running), Rc::clone(&wait));
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
            value.set(2);
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
            let started = Rc::new(Cell::new(false));
            let running = Rc::clone(&started);
            let run = move |queries: Vec<u32>| {
                let hangs = !running.replace(true);
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
            while !started.get() {
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
            let panicking = Rc::new(Cell::new(true));
            let panics = Rc::clone(&panicking);
            let run = move |queries: Vec<()>| {
                let panics = panics.replace(false);
                async move {
                    assert!(!panics, "as expected");
                    Ok(queries)
                }
            };
            let releases = Rc::new(Cell::new(0));
            let counter = Rc::clone(&releases);
            let batch = Batch::new(run, move || counter.set(counter.get() + 1));
            assert!(batch.run(()).await.is_err());
            assert_eq!((batch.run(()).await, releases.get()), (Ok(()), 1));
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            assert_eq!(releases.get(), 2);
        });
    }
}
