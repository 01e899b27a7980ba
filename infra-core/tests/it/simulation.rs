//! Processes in a world whose time advances only when all of them wait: the same seed produces the same history.

use futures::{
    executor::LocalPool,
    future::BoxFuture,
    task::{LocalSpawnExt, Waker},
};
use infra_core::store::Clock;
use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{Arc, Mutex, MutexGuard},
    task::{Context, Poll},
    time::Duration,
};

/// The world's time and tasks. Clones share it.
#[derive(Clone, Default)]
pub(crate) struct World(Arc<Mutex<Inner>>);

#[derive(Default)]
struct Inner {
    now: Duration,
    sleepers: BTreeMap<(Duration, u64), Waker>,
    slept: u64,
    spawned: Vec<BoxFuture<'static, ()>>,
}

/// One process in the world, and its clock, which can be stopped.
#[derive(Clone)]
pub(crate) struct Process {
    world: World,
    /// Difference between its clock and the world's.
    skew: Duration,
    /// Its clocks stop while it is paused, without notice, as those of a paused virtual machine.
    pub(crate) oblivious: bool,
    stopped_until: Arc<Mutex<Duration>>,
    /// Total time for which its clocks were stopped.
    missed: Arc<Mutex<Duration>>,
    cut_until: Arc<Mutex<Duration>>,
}

impl World {
    pub(crate) fn process(&self, skew: Duration, oblivious: bool) -> Arc<Process> {
        let (stopped_until, missed, cut_until) = Default::default();
        Arc::new(Process { world: self.clone(), skew, oblivious, stopped_until, missed, cut_until })
    }

    pub(crate) fn now(&self) -> Duration {
        self.inner().now
    }

    pub(crate) fn since(&self, started: Duration) -> Duration {
        self.now().saturating_sub(started)
    }

    pub(crate) fn sleep(&self, time: Duration) -> Sleep {
        Sleep { at: self.now() + time, world: self.clone(), place: None }
    }

    pub(crate) fn spawn(&self, task: impl Future<Output = ()> + Send + 'static) {
        self.inner().spawned.push(Box::pin(task));
    }

    /// Advances the time to `until`, or until no task waits.
    pub(crate) fn run(&self, pool: &mut LocalPool, until: Duration) {
        loop {
            let spawned = std::mem::take(&mut self.inner().spawned);
            let idle = spawned.is_empty();
            for task in spawned {
                pool.spawner().spawn_local(task).unwrap();
            }
            pool.run_until_stalled();
            if !idle || !self.inner().spawned.is_empty() {
                continue;
            }
            let mut inner = self.inner();
            let Some((&(next, _), _)) = inner.sleepers.first_key_value() else {
                return;
            };
            if next > until {
                inner.now = until;
                return;
            }
            inner.now = next;
            let later = inner.sleepers.split_off(&(next, u64::MAX));
            let due = std::mem::replace(&mut inner.sleepers, later);
            drop(inner);
            due.into_values().for_each(Waker::wake);
        }
    }

    /// Runs one task to completion.
    pub(crate) fn finish<T: Send + 'static>(
        &self,
        pool: &mut LocalPool,
        task: impl Future<Output = T> + Send + 'static,
    ) -> T {
        let answer = Arc::new(Mutex::new(None));
        let place = answer.clone();
        self.spawn(async move {
            let value = task.await;
            *place.lock().unwrap() = Some(value);
        });
        let until = self.now() + Duration::from_hours(1);
        loop {
            let before = self.now();
            self.run(pool, (before + Duration::from_secs(1)).min(until));
            if let Some(value) = answer.lock().unwrap().take() {
                return value;
            }
            assert!(self.now() < until && self.now() > before, "the task does not end");
        }
    }

    fn inner(&self) -> MutexGuard<'_, Inner> {
        self.0.lock().unwrap()
    }
}

impl Process {
    /// Pauses the process for this time.
    pub(crate) fn stop(&self, time: Duration) {
        *self.stopped_until.lock().unwrap() = self.world.now() + time;
        if self.oblivious {
            *self.missed.lock().unwrap() += time;
        }
    }

    /// Drops all messages from and to the process for this time.
    pub(crate) fn cut(&self, time: Duration) {
        *self.cut_until.lock().unwrap() = self.world.now() + time;
    }

    /// Waits until the process is connected.
    pub(crate) async fn connected(&self) {
        if self.world.now() < *self.cut_until.lock().unwrap() {
            std::future::pending().await
        }
    }

    /// Returns `true` if it has not run since it was paused.
    pub(crate) fn is_stopped(&self) -> bool {
        let until = *self.stopped_until.lock().unwrap();
        !until.is_zero() && until >= self.world.now()
    }

    /// Waits until the process runs.
    pub(crate) async fn running(&self) {
        loop {
            let until = *self.stopped_until.lock().unwrap();
            let Some(left) = until.checked_sub(self.world.now()).filter(|left| !left.is_zero()) else {
                return;
            };
            self.world.sleep(left).await;
        }
    }
}

impl Clock for Process {
    fn now(&self) -> Duration {
        (self.world.now() + self.skew).saturating_sub(*self.missed.lock().unwrap())
    }

    fn wall(&self) -> Duration {
        self.now()
    }

    fn sleep_until(&self, at: Duration) -> BoxFuture<'static, ()> {
        let process = self.clone();
        Box::pin(async move {
            loop {
                process.running().await;
                let Some(left) = at.checked_sub(process.now()).filter(|left| !left.is_zero()) else {
                    return;
                };
                process.world.sleep(left).await;
            }
        })
    }

    fn spawn(&self, task: BoxFuture<'static, ()>) {
        self.world.spawn(task);
    }
}

pub(crate) struct Sleep {
    world: World,
    at: Duration,
    place: Option<(Duration, u64)>,
}

impl Future for Sleep {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<()> {
        let world = self.world.clone();
        let mut inner = world.inner();
        if inner.now >= self.at {
            return Poll::Ready(());
        }
        if self.place.is_none() {
            inner.slept += 1;
            self.place = Some((self.at, inner.slept));
        }
        if let Some(place) = self.place {
            inner.sleepers.insert(place, context.waker().clone());
        }
        Poll::Pending
    }
}

impl Drop for Sleep {
    fn drop(&mut self) {
        if let Some(place) = self.place {
            self.world.inner().sleepers.remove(&place);
        }
    }
}
