//! Counts of the requests that went through load balancers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::times::Times;

/// What went to each target group, by ARN, since the cloud was started: what request metrics are made of.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<BTreeMap<String, Counts>>);

/// What went to one target group.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Requests that were sent on to a target.
    pub(crate) requests: u64,
    /// Connections to targets that could not be opened.
    pub(crate) connection_errors: u64,
    /// Answers by the class of their status, from 2xx on.
    pub(crate) responses: [u64; 4],
    /// How long answers took to begin.
    pub(crate) times: Times,
    /// Clients that are connected now; of balancers alone, which stand here beside their target groups.
    pub(crate) connections: u64,
}

impl Traffic {
    /// What went to this target group.
    pub(crate) fn of(&self, target_group: &str) -> Counts {
        self.lock().get(target_group).copied().unwrap_or_default()
    }

    /// Replaces all counts.
    pub(crate) fn replace(&self, counts: BTreeMap<String, Counts>) {
        *self.lock() = counts;
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<String, Counts>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
