//! Questions that are asked at the same moment share one statement.
//!
//! A question that finds nobody asking goes to the database at once, alone. Those that come while a statement runs wait
//! for its end, and then go together. So nobody waits for company, the database has one statement at a time for each
//! worker thread, and the busier a service is, the less a request costs. An answer is never older than its question: the
//! statement starts after it was asked. Nothing is kept.

use std::{cell::RefCell, future::Future, pin::Pin, rc::Rc};

use actix_web::rt;
use sea_orm::DbErr;
use tokio::sync::oneshot;

use crate::reply;

/// Most questions that share a statement.
pub const MOST: usize = 128;

/// Shares statements among the requests of one worker thread. Clones share with each other.
pub struct Batch<Q, A>(Rc<Shared<Q, A>>);

struct Shared<Q, A> {
    ask: Box<Ask<Q, A>>,
    rest: Box<dyn Fn()>,
    line: RefCell<Line<Q, A>>,
}

type Ask<Q, A> = dyn Fn(Vec<Q>) -> Pin<Box<dyn Future<Output = Result<Vec<A>, DbErr>>>>;

/// Who waits, and whether a statement runs.
struct Line<Q, A> {
    waiting: Vec<(Q, oneshot::Sender<Result<A, DbErr>>)>,
    runs: bool,
}

impl<Q: Clone + 'static, A: 'static> Batch<Q, A> {
    /// Asks by a function that answers several questions, at most [`MOST`], in their order, with one statement that is
    /// done as a whole or not at all. `rest` is called when nobody waits any more, to give back what `ask` has kept.
    pub fn new<F>(ask: impl Fn(Vec<Q>) -> F + 'static, rest: impl Fn() + 'static) -> Self
    where
        F: Future<Output = Result<Vec<A>, DbErr>> + 'static,
    {
        let line = RefCell::new(Line { waiting: Vec::new(), runs: false });
        Self(Rc::new(Shared { ask: Box::new(move |questions| Box::pin(ask(questions))), rest: Box::new(rest), line }))
    }

    /// Asks, together with whoever asks now.
    ///
    /// # Errors
    /// What the database says to the statement; when it refused one for several, to that for this question alone.
    pub async fn ask(&self, question: Q) -> Result<A, DbErr> {
        let (sender, answer) = oneshot::channel();
        let runs = {
            let line = &mut *self.0.line.borrow_mut();
            line.waiting.push((question, sender));
            std::mem::replace(&mut line.runs, true)
        };
        if !runs {
            rt::spawn(Turn(Rc::clone(&self.0)).run());
        }
        answer.await.unwrap_or_else(|_| Err(DbErr::Custom("the statement was abandoned".to_owned())))
    }
}

impl<Q, A> Clone for Batch<Q, A> {
    fn clone(&self) -> Self {
        Self(Rc::clone(&self.0))
    }
}

/// The right to run statements. When it ends before all is answered, for whatever reason, nobody waits for ever.
struct Turn<Q, A>(Rc<Shared<Q, A>>);

impl<Q: Clone, A> Turn<Q, A> {
    async fn run(self) {
        loop {
            // What is ready now has its say first.
            tokio::task::yield_now().await;
            let (questions, senders): (Vec<_>, Vec<_>) = {
                let waiting = &mut self.0.line.borrow_mut().waiting;
                let now = waiting.len().min(MOST);
                waiting.drain(..now).unzip()
            };
            if questions.is_empty() {
                return;
            }
            for (sender, answer) in senders.into_iter().zip(self.answers(questions).await) {
                // Who asked may have given up.
                let _ = sender.send(answer);
            }
        }
    }

    /// One answer for each question. What a statement for several was refused for may be the fault of one alone.
    async fn answers(&self, questions: Vec<Q>) -> Vec<Result<A, DbErr>> {
        match self.together(questions.clone()).await {
            Ok(answers) => answers.into_iter().map(Ok).collect(),
            Err(error) if questions.len() > 1 && reply::is_refusal(&error) => {
                let mut answers = Vec::with_capacity(questions.len());
                for question in questions {
                    answers.push(self.together(vec![question]).await.map(|mut answers| answers.remove(0)));
                }
                answers
            }
            Err(error) => questions.iter().map(|_| Err(error.clone())).collect(),
        }
    }

    /// As many answers as questions.
    async fn together(&self, questions: Vec<Q>) -> Result<Vec<A>, DbErr> {
        let asked = questions.len();
        let answers = (self.0.ask)(questions).await?;
        if answers.len() != asked {
            return Err(DbErr::Custom(format!("{asked} questions got {} answers", answers.len())));
        }
        Ok(answers)
    }
}

impl<Q, A> Drop for Turn<Q, A> {
    fn drop(&mut self) {
        let mut line = self.0.line.borrow_mut();
        line.runs = false;
        line.waiting.clear();
        drop(line);
        (self.0.rest)();
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

    /// The questions of each statement so far.
    type Statements = Rc<RefCell<Vec<Vec<u32>>>>;

    /// Doubles; a statement with a 13 in it is refused.
    fn doubling() -> (Batch<u32, u32>, Statements) {
        let statements = Statements::default();
        let seen = Rc::clone(&statements);
        let ask = move |questions: Vec<u32>| {
            seen.borrow_mut().push(questions.clone());
            async move {
                tokio::task::yield_now().await;
                if questions.contains(&13) {
                    return Err(refusal().await);
                }
                Ok(questions.into_iter().map(|question| question * 2).collect())
            }
        };
        (Batch::new(ask, || ()), statements)
    }

    /// What a database says that does not want a statement.
    async fn refusal() -> DbErr {
        let pool = sqlx::SqlitePool::connect("sqlite::memory:").await.unwrap();
        let error = sqlx::query("SELECT * FROM nowhere").execute(&pool).await.unwrap_err();
        DbErr::Query(RuntimeErr::SqlxError(error.into()))
    }

    #[test]
    fn those_of_the_same_moment_go_together() {
        System::new().block_on(async {
            let (batch, statements) = doubling();
            assert_eq!(batch.ask(1).await, Ok(2));
            let answers = join_all((0..200).map(|question| batch.ask(question + 100))).await;
            assert!(answers.iter().zip(100..).all(|(answer, question)| *answer == Ok(question * 2)), "{answers:?}");
            assert_eq!(statements.borrow().iter().map(Vec::len).collect::<Vec<_>>(), [1, MOST, 200 - MOST]);
        });
    }

    #[test]
    fn a_question_is_never_older_than_its_statement() {
        System::new().block_on(async {
            let (value, started, go_on) = (Rc::new(Cell::new(1)), Rc::new(Notify::new()), Rc::new(Notify::new()));
            let (read, begun, wait) = (Rc::clone(&value), Rc::clone(&started), Rc::clone(&go_on));
            let ask = move |questions: Vec<()>| {
                let (seen, begun, wait) = (read.get(), Rc::clone(&begun), Rc::clone(&wait));
                async move {
                    begun.notify_one();
                    wait.notified().await;
                    Ok(vec![seen; questions.len()])
                }
            };
            let batch = Batch::new(ask, || ());
            let ask = || {
                let batch = batch.clone();
                rt::spawn(async move { batch.ask(()).await })
            };
            let first = ask();
            started.notified().await;
            value.set(2);
            let second = ask();
            go_on.notify_one();
            assert_eq!(first.await.unwrap(), Ok(1));
            started.notified().await;
            go_on.notify_one();
            assert_eq!(second.await.unwrap(), Ok(2));
        });
    }

    #[test]
    fn one_that_is_refused_harms_no_other() {
        System::new().block_on(async {
            let (batch, _) = doubling();
            let answers = join_all([12, 13, 14].map(|question| batch.ask(question))).await;
            assert!(matches!(&answers[..], [Ok(24), Err(DbErr::Query(_)), Ok(28)]), "{answers:?}");
        });
    }

    #[test]
    fn nobody_waits_for_a_statement_that_panics() {
        System::new().block_on(async {
            let panicking = Rc::new(Cell::new(true));
            let panics = Rc::clone(&panicking);
            let ask = move |questions: Vec<()>| {
                let panics = panics.replace(false);
                async move {
                    assert!(!panics, "as expected");
                    Ok(questions)
                }
            };
            let rests = Rc::new(Cell::new(0));
            let counter = Rc::clone(&rests);
            let batch = Batch::new(ask, move || counter.set(counter.get() + 1));
            assert!(batch.ask(()).await.is_err());
            assert_eq!((batch.ask(()).await, rests.get()), (Ok(()), 1));
            tokio::task::yield_now().await;
            tokio::task::yield_now().await;
            assert_eq!(rests.get(), 2);
        });
    }
}
