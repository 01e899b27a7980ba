//! Scheduled actions: change a group's size at their time.

use chrono::{DateTime, Utc};

use super::Env;
use crate::model::autoscaling::cron::Cron;
use crate::model::autoscaling::{Group, Scheduled};

/// Executes the actions that are due. The time scale does not apply to their times.
pub(super) fn advance(group: &mut Group, env: &Env<'_>) {
    let due: Vec<Scheduled> = group.schedule.values().filter(|action| action.next <= env.now).cloned().collect();
    for action in due {
        match next(&action, env.now) {
            Some(next) => {
                if let Some(action) = group.schedule.get_mut(&action.name) {
                    action.next = next;
                }
            }
            None => drop(group.schedule.remove(&action.name)),
        }
        let expired = action.end.is_some_and(|end| end < env.now);
        if !group.is_suspended("ScheduledActions") && !group.deleting && !expired {
            carry_out(group, &action, env.now);
        }
    }
}

/// Returns the next time of a recurring action.
fn next(action: &Scheduled, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let next = Cron::parse(action.recurrence.as_deref()?).ok()?.next(now)?;
    action.end.is_none_or(|end| next <= end).then_some(next)
}

fn carry_out(group: &mut Group, action: &Scheduled, now: DateTime<Utc>) {
    let (min, max) = (action.min.unwrap_or(group.min), action.max.unwrap_or(group.max));
    if min > max {
        tracing::warn!(
            group = group.name,
            action = action.name,
            min,
            max,
            "a scheduled action is ignored: its sizes contradict each other"
        );
        return;
    }
    (group.min, group.max) = (min, max);
    let desired = action.desired.unwrap_or(group.desired).clamp(min, max);
    let who = format!(
        "a scheduled action update of AutoScalingGroup constraints to min: {min}, max: {max}, desired: {desired}"
    );
    group.scale_to(desired, &who, now);
}
