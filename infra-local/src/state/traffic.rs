//! Counts of the requests to load balancers.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use super::times::Times;

/// Requests by ARN of the target group or balancer since the start of the cloud; the source of the request metrics.
#[derive(Debug, Default)]
pub(crate) struct Traffic(Mutex<BTreeMap<String, Counts>>);

/// Counts of one target group or balancer.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Counts {
    /// Requests that were forwarded to a target.
    pub(crate) requests: u64,
    /// Connections to targets that could not be opened.
    pub(crate) connection_errors: u64,
    /// Responses by the class of their status, from 2xx on.
    pub(crate) responses: [u64; 4],
    /// Times to the first byte of a response.
    pub(crate) times: Times,
    /// Number of connected clients. Only balancers have any; their ARNs are keys besides those of target groups.
    pub(crate) connections: u64,
    /// Errors that a balancer itself returned, with a status of 4xx and 5xx.
    pub(crate) own_errors: [u64; 2],
}

impl Traffic {
    /// Returns the counts of a target group.
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
