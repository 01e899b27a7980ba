//! Shares a read among concurrent requests for the same data.
//!
//! The first request for a key starts a read at once. Requests for this key that arrive while the read runs wait for its
//! end, and then share the next read. So no request waits for others to arrive, and none receives the result of a read that
//! started before it arrived. Nothing is cached: a result is dropped as soon as its requests have received it.
//!
//! A key has one read at a time; reads of different keys run concurrently. So the number of reads, and of results in memory, is
//! at most the number of requests in progress. Later requests do not wait for a read that takes longer than [`PATIENCE`]: its
//! connection may have failed silently. A read is abandoned when all its requests are cancelled.
//!
//! [`crate::batch`] shares a statement among requests for different rows.

use std::{
    collections::{HashMap, hash_map::Entry},
    future::Future,
    hash::Hash,
    mem,
    pin::pin,
    rc::Rc,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use actix_web::rt;
use futures::future::{Either, join_all, select};
use sea_orm::DbErr;
use tokio::{sync::oneshot, time::timeout};

use crate::batch::PATIENCE;

/// Shares reads among all requests, and with its clones.
pub struct Combiner<K, A, E = DbErr>(Arc<Mutex<Reads<K, A, E>>>);

/// Requests for each key that has a read, which wait for the next one.
type Reads<K, A, E> = HashMap<K, Vec<Waiting<A, E>>>;

type Waiting<A, E> = oneshot::Sender<Result<A, E>>;

/// Number of reads of a request. The first one may run in a thread that stops, of a server that shuts down.
const ATTEMPTS: usize = 2;

/// Error of requests whose reads have panicked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("the read was abandoned")]
pub struct Abandoned;

impl From<Abandoned> for DbErr {
    fn from(error: Abandoned) -> Self {
        Self::Custom(error.to_string())
    }
}

impl<K, A, E> Combiner<K, A, E>
where
    K: Clone + Eq + Hash + 'static,
    A: Clone + 'static,
    E: Clone + From<Abandoned> + 'static,
{
    /// Runs a read, together with concurrent requests for this key. All requests for a key must pass the same read.
    ///
    /// The read runs in a task, so the cancellation of a request does not affect the others.
    ///
    /// # Errors
    /// The error of the read, or [`Abandoned`].
    pub async fn run<F>(&self, key: K, read: impl Fn() -> F + 'static) -> Result<A, E>
    where
        F: Future<Output = Result<A, E>> + 'static,
    {
        let read = Rc::new(read);
        for _ in 0..ATTEMPTS {
            let (sender, answer) = oneshot::channel();
            let is_first = match self.reads().entry(key.clone()) {
                Entry::Occupied(mut waiting) => {
                    waiting.get_mut().push(sender);
                    false
                }
                Entry::Vacant(none) => {
                    none.insert(vec![sender]);
                    true
                }
            };
            if is_first {
                let (runner, read) =
                    (Runner { combiner: self.clone(), key: key.clone(), is_done: false }, read.clone());
                rt::spawn(runner.run(move || read()));
            }
            // Without an answer, the read has panicked, or its thread stops.
            if let Ok(answer) = answer.await {
                return answer;
            }
        }
        Err(Abandoned.into())
    }
}

impl<K, A, E> Combiner<K, A, E> {
    fn reads(&self) -> MutexGuard<'_, Reads<K, A, E>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<K, A, E> Default for Combiner<K, A, E> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<K, A, E> Clone for Combiner<K, A, E> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

/// Runs the reads of a key until no request waits. Its drop fails the remaining requests, so that none waits forever after a
/// panic.
struct Runner<K: Eq + Hash, A, E> {
    combiner: Combiner<K, A, E>,
    key: K,
    /// `true` once the key is removed.
    is_done: bool,
}

impl<K: Eq + Hash, A: Clone + 'static, E: Clone + 'static> Runner<K, A, E> {
    async fn run<F>(mut self, read: impl Fn() -> F)
    where
        F: Future<Output = Result<A, E>> + 'static,
    {
        loop {
            // Other ready tasks run first, and may add requests.
            tokio::task::yield_now().await;
            let waiting = self.take();
            if waiting.is_empty() {
                return;
            }
            let mut answering = Box::pin(answer(read(), waiting));
            if timeout(PATIENCE, &mut answering).await.is_err() {
                rt::spawn(answering);
            }
        }
    }
}

impl<K: Eq + Hash, A, E> Runner<K, A, E> {
    /// Takes the waiting requests. Without any, removes the key under the same lock, so that no request can be added to it
    /// in between.
    fn take(&mut self) -> Vec<Waiting<A, E>> {
        let mut reads = self.combiner.reads();
        let mut waiting = reads.get_mut(&self.key).map(mem::take).unwrap_or_default();
        waiting.retain(|request| !request.is_closed());
        if waiting.is_empty() {
            reads.remove(&self.key);
            self.is_done = true;
        }
        waiting
    }
}

/// Sends the result of a read to its requests. Abandons the read when all of them are cancelled.
async fn answer<A: Clone, E: Clone>(read: impl Future<Output = Result<A, E>>, mut waiting: Vec<Waiting<A, E>>) {
    let cancelled = join_all(waiting.iter_mut().map(oneshot::Sender::closed));
    let result = match select(pin!(read), cancelled).await {
        Either::Left((result, _)) => result,
        Either::Right(_) => return,
    };
    for request in waiting {
        // The request may have been cancelled.
        let _ = request.send(result.clone());
    }
}

impl<K: Eq + Hash, A, E> Drop for Runner<K, A, E> {
    fn drop(&mut self) {
        if !self.is_done {
            self.combiner.reads().remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::{
        cell::{Cell, RefCell},
        rc::Rc,
    };

    use actix_web::rt::{System, task::JoinHandle};
    use futures::future::join_all;
    use tokio::sync::Semaphore;

    use super::*;

    /// A value that changes, and reads of it that end when they may.
    #[derive(Clone, Default)]
    struct Source {
        combiner: Combiner<&'static str, u32>,
        value: Rc<Cell<u32>>,
        started: Rc<Cell<usize>>,
        may_end: Rc<RefCell<HashMap<&'static str, Rc<Semaphore>>>>,
    }

    impl Source {
        fn end(&self, key: &'static str) -> Rc<Semaphore> {
            Rc::clone(self.may_end.borrow_mut().entry(key).or_insert_with(|| Rc::new(Semaphore::new(0))))
        }

        /// Sends a request. Its read takes the value when it starts; a value of 13 is an error.
        fn send(&self, key: &'static str) -> JoinHandle<Result<u32, DbErr>> {
            let (combiner, source) = (self.combiner.clone(), self.clone());
            let read = move || {
                source.started.set(source.started.get() + 1);
                let (value, may_end) = (source.value.get(), source.end(key));
                async move {
                    may_end.acquire().await.unwrap().forget();
                    if value == 13 { Err(DbErr::Custom("13".to_owned())) } else { Ok(value) }
                }
            };
            rt::spawn(async move { combiner.run(key, read).await })
        }

        async fn until_started(&self, reads: usize) {
            while self.started.get() < reads {
                tokio::task::yield_now().await;
            }
        }
    }

    /// Lets all ready tasks run.
    async fn settle() {
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
    }

    #[test]
    fn a_request_gets_no_result_of_a_read_that_started_before_it() {
        System::new().block_on(async {
            let source = Source::default();
            source.value.set(1);
            let first = source.send("a");
            source.until_started(1).await;
            source.value.set(2);
            let later: Vec<_> = (0..50).map(|_| source.send("a")).collect();
            settle().await;
            assert_eq!(source.started.get(), 1, "the key has one read at a time");
            source.end("a").add_permits(1);
            assert_eq!(first.await.unwrap(), Ok(1));
            source.until_started(2).await;
            source.value.set(3);
            let last = source.send("a");
            source.end("a").add_permits(2);
            for answer in join_all(later).await {
                assert_eq!(answer.unwrap(), Ok(2));
            }
            assert_eq!(last.await.unwrap(), Ok(3));
            assert_eq!(source.started.get(), 3);
        });
    }

    #[test]
    fn concurrent_requests_share_a_read() {
        System::new().block_on(async {
            let source = Source::default();
            let requests: Vec<_> = (0..200).map(|_| source.send("a")).collect();
            source.end("a").add_permits(1);
            assert!(join_all(requests).await.into_iter().all(|answer| answer.unwrap() == Ok(0)));
            assert_eq!(source.started.get(), 1);
            settle().await;
            assert!(source.combiner.reads().is_empty(), "a key without requests takes no memory");
        });
    }

    #[test]
    fn keys_do_not_wait_for_each_other() {
        System::new().block_on(async {
            let source = Source::default();
            let blocked = source.send("a");
            source.until_started(1).await;
            source.end("b").add_permits(1);
            assert_eq!(source.send("b").await.unwrap(), Ok(0));
            source.end("a").add_permits(1);
            assert_eq!(blocked.await.unwrap(), Ok(0));
        });
    }

    #[test]
    fn an_error_affects_the_requests_of_its_read_alone() {
        System::new().block_on(async {
            let source = Source::default();
            source.value.set(13);
            let failing = [source.send("a"), source.send("a")];
            source.until_started(1).await;
            source.value.set(14);
            let next = source.send("a");
            source.end("a").add_permits(2);
            for answer in join_all(failing).await {
                assert_eq!(answer.unwrap(), Err(DbErr::Custom("13".to_owned())));
            }
            assert_eq!(next.await.unwrap(), Ok(14));
        });
    }

    #[test]
    fn a_cancelled_request_does_not_affect_others() {
        System::new().block_on(async {
            let source = Source::default();
            let (cancelled, other) = (source.send("a"), source.send("a"));
            source.until_started(1).await;
            let waiting = source.send("a");
            settle().await;
            cancelled.abort();
            waiting.abort();
            settle().await;
            source.end("a").add_permits(1);
            assert_eq!(other.await.unwrap(), Ok(0));
            settle().await;
            assert_eq!(source.started.get(), 1, "no read starts for cancelled requests alone");
        });
    }

    #[test]
    fn later_requests_do_not_wait_for_a_slow_read() {
        System::new().block_on(async {
            let source = Source::default();
            let slow = source.send("a");
            source.until_started(1).await;
            source.value.set(1);
            let later = source.send("a");
            source.until_started(2).await;
            source.end("a").add_permits(2);
            assert_eq!((slow.await.unwrap(), later.await.unwrap()), (Ok(0), Ok(1)));
        });
    }

    #[test]
    fn a_read_is_abandoned_when_all_its_requests_are_cancelled() {
        System::new().block_on(async {
            let source = Source::default();
            let cancelled = source.send("a");
            source.until_started(1).await;
            let waiting = source.send("a");
            cancelled.abort();
            source.until_started(2).await;
            // The permit would end the first read, if it was not abandoned.
            source.end("a").add_permits(1);
            assert_eq!(waiting.await.unwrap(), Ok(0));
        });
    }

    #[test]
    fn threads_share_reads_without_losing_requests() {
        let combiner: Combiner<u8, u32> = Combiner::default();
        let thread = |_| {
            let combiner = combiner.clone();
            let requests = async |combiner: Combiner<u8, u32>| {
                for _ in 0..2000 {
                    assert_eq!(combiner.run(1, || async { Ok(5) }).await, Ok(5));
                }
            };
            std::thread::spawn(move || System::new().block_on(requests(combiner)))
        };
        let threads: Vec<_> = (0..4).map(thread).collect();
        threads.into_iter().for_each(|thread| thread.join().unwrap());
    }

    #[test]
    fn requests_of_a_panicking_read_fail() {
        System::new().block_on(async {
            let combiner = Combiner::<u32, u32>::default();
            let panicking = || async { if true { panic!("as expected") } else { Ok(1) } };
            assert_eq!(combiner.run(7, panicking).await, Err(Abandoned.into()));
            settle().await;
            assert_eq!(combiner.run(7, || async { Ok(2) }).await, Ok(2));
        });
    }
}
