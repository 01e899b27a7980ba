//! The threads that process requests. Each has its own reactor and its own connections to targets, so that a request
//! stays on one thread.

use std::cell::Cell;
use std::future::Future;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use tokio::runtime::{Builder, Handle};
use tokio::sync::watch;

thread_local! {
    static NUMBER: Cell<usize> = const { Cell::new(0) };
}

/// The threads. Clones share them; the threads stop when the last clone is dropped.
#[derive(Clone)]
pub(crate) struct Workers(Arc<Inner>);

struct Inner {
    reactors: Vec<Handle>,
    next: AtomicUsize,
    /// Stops the threads when it is dropped.
    _running: watch::Sender<()>,
}

impl Workers {
    /// Starts as many threads as there are processors.
    pub(crate) fn start() -> io::Result<Self> {
        let (running, ends) = watch::channel(());
        let mut reactors = Vec::new();
        for number in 0..count() {
            let runtime = Builder::new_current_thread().enable_all().build()?;
            reactors.push(runtime.handle().clone());
            let mut ends = ends.clone();
            thread::Builder::new().name(format!("balancer-{number}")).spawn(move || {
                NUMBER.set(number);
                runtime.block_on(async { while ends.changed().await.is_ok() {} });
                // Running tasks are dropped without waiting for them.
                runtime.shutdown_background();
            })?;
        }
        Ok(Self(Arc::new(Inner { reactors, next: AtomicUsize::new(0), _running: running })))
    }

    /// Runs a task on the next thread, which also creates it.
    pub(super) fn spawn<F>(&self, task: F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let turn = self.0.next.fetch_add(1, Ordering::Relaxed) % self.0.reactors.len();
        self.0.reactors[turn].spawn(task);
    }
}

/// Returns the number of workers.
pub(super) fn count() -> usize {
    thread::available_parallelism().map_or(1, usize::from)
}

/// Returns the number of the current thread; 0 for a thread that is not a worker.
pub(super) fn number() -> usize {
    NUMBER.get()
}
