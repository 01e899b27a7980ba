//! Use of a directory's cloud by commands, so that no command stops a cloud that another one uses.
//!
//! A command holds a shared lock on the lock file while it works with the cloud. To stop an empty cloud, it takes an
//! exclusive lock, which only the last command gets, and keeps it until the process has exited.

use std::fs::File;
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use rustix::fs::{FlockOperation, OFlags, flock};

/// The lock file. [`reset`](crate::reset) keeps it, because a command may hold it.
pub(crate) const FILE: &str = "in-use";

/// Proof that a command uses the cloud of a directory. It is released when dropped, and by the operating system when
/// the process exits.
#[derive(Debug)]
pub struct Usage(Lock);

/// Proof that no command uses the cloud of a directory, and that none can start to use it until this is dropped.
#[derive(Debug)]
pub struct SoleUsage {
    _lock: Lock,
}

/// A lock file that is unlocked when it is dropped.
///
/// Closing the file is not enough: a child that another thread has just forked keeps a copy of the descriptor, and
/// with it the lock, until it calls `exec` (flock(2)).
#[derive(Debug)]
struct Lock(File);

impl Drop for Lock {
    fn drop(&mut self) {
        // This fails only for a file that cannot be locked, which `take` has refused.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

impl Usage {
    /// Registers a use of the cloud of a directory, which must exist. Returns `None` while another command holds a
    /// [`SoleUsage`], which means that the cloud is being stopped.
    pub fn begin(directory: &Path) -> io::Result<Option<Usage>> {
        let nofollow = OFlags::NOFOLLOW.bits().cast_signed();
        let mut options = File::options();
        options.create(true).truncate(false).write(true).mode(0o600).custom_flags(nofollow);
        let file = options.open(directory.join(FILE))?;
        Ok(take(&file, FlockOperation::NonBlockingLockShared)?.then(|| Usage(Lock(file))))
    }

    /// Ends this use. Returns `None` when other commands still use the cloud: the last of them may stop it.
    pub fn end(self) -> io::Result<Option<SoleUsage>> {
        // The shared lock is released first: otherwise two commands that finish at the same moment would find each
        // other's lock.
        let Usage(lock) = self;
        flock(&lock.0, FlockOperation::Unlock)?;
        Ok(take(&lock.0, FlockOperation::NonBlockingLockExclusive)?.then(|| SoleUsage { _lock: lock }))
    }
}

/// Takes a lock; returns false when another holder prevents it.
fn take(file: &File, lock: FlockOperation) -> io::Result<bool> {
    match flock(file, lock) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use std::sync::atomic::{AtomicUsize, Ordering};

    #[test]
    fn only_the_last_command_may_stop_the_cloud_and_none_can_start_meanwhile() {
        let directory = tempfile::tempdir().unwrap();
        let one = Usage::begin(directory.path()).unwrap().unwrap();
        let other = Usage::begin(directory.path()).unwrap().unwrap();
        assert!(one.end().unwrap().is_none());
        let sole = other.end().unwrap().unwrap();
        assert!(Usage::begin(directory.path()).unwrap().is_none());
        drop(sole);
        assert!(Usage::begin(directory.path()).unwrap().is_some());
    }

    #[test]
    #[allow(clippy::used_underscore_binding)]
    fn a_copy_of_the_descriptor_in_a_child_keeps_no_lock() {
        let directory = tempfile::tempdir().unwrap();
        let sole = Usage::begin(directory.path()).unwrap().unwrap().end().unwrap().unwrap();
        // A copy of the descriptor, as a child has between `fork` and `exec`.
        let copy = sole._lock.0.try_clone().unwrap();
        drop(sole);
        assert!(Usage::begin(directory.path()).unwrap().is_some());
        drop(copy);
    }

    #[test]
    fn a_link_in_place_of_the_lock_file_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let victim = directory.path().join("victim");
        std::os::unix::fs::symlink(&victim, directory.path().join(FILE)).unwrap();
        assert!(Usage::begin(directory.path()).is_err());
        assert!(!victim.exists());
    }

    #[test]
    fn no_command_uses_a_cloud_that_another_one_stops() {
        const ROUNDS: usize = 2000;
        let directory = tempfile::tempdir().unwrap();
        let (users, stops) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let work = || {
            for _ in 0..ROUNDS {
                let usage = loop {
                    match Usage::begin(directory.path()).unwrap() {
                        Some(usage) => break usage,
                        None => std::thread::yield_now(),
                    }
                };
                users.fetch_add(1, Ordering::SeqCst);
                std::thread::yield_now();
                users.fetch_sub(1, Ordering::SeqCst);
                if let Some(sole) = usage.end().unwrap() {
                    assert_eq!(users.load(Ordering::SeqCst), 0);
                    stops.fetch_add(1, Ordering::SeqCst);
                    std::thread::yield_now();
                    assert_eq!(users.load(Ordering::SeqCst), 0);
                    drop(sole);
                }
            }
        };
        std::thread::scope(|scope| (0..8).for_each(|_| drop(scope.spawn(work))));
        assert!(stops.into_inner() > 0);
    }

    #[test]
    fn one_of_several_commands_that_finish_together_may_stop_the_cloud() {
        let directory = tempfile::tempdir().unwrap();
        for _ in 0..500 {
            let users: Vec<Usage> = (0..4).map(|_| Usage::begin(directory.path()).unwrap().unwrap()).collect();
            let together = std::sync::Barrier::new(users.len());
            let end = |usage: Usage| {
                together.wait();
                // The locks are kept until all have tried, as by a command that stops the cloud.
                usage.end().unwrap()
            };
            let sole: Vec<Option<SoleUsage>> = std::thread::scope(|scope| {
                let threads: Vec<_> = users.into_iter().map(|usage| scope.spawn(|| end(usage))).collect();
                threads.into_iter().map(|thread| thread.join().unwrap()).collect()
            });
            assert_eq!(sole.iter().flatten().count(), 1);
        }
    }
}
