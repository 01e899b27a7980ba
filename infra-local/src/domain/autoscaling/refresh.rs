//! Decisions about instance refreshes.

use chrono::{DateTime, Utc};

use crate::model::autoscaling::{Group, RefreshStatus, Rollback};

/// Starts the rollback of the active refresh.
pub(crate) fn roll_back(group: &mut Group, reason: String, now: DateTime<Utc>) {
    group.failures = 0;
    group.next_launch = None;
    if let Some(active) = group.active_refresh_mut() {
        active.rollback = Some(Rollback {
            reason: reason.clone(),
            started: now,
            percentage: active.percentage(),
            remaining: active.remaining,
            total: active.total,
        });
        active.reason = Some(reason);
        active.status = RefreshStatus::RollbackInProgress;
        active.paused = None;
        active.moved = now;
    }
}
