//! Start of lifecycle hooks: a member waits until the hook is completed or times out.

use chrono::{DateTime, Utc};

use crate::model::autoscaling::{ActivityStatus, Group, Lifecycle, Wait};

/// Starts the wait of a member for the group's hooks, if it has any.
pub(crate) fn begin(group: &mut Group, id: &str, launching: bool, now: DateTime<Utc>) -> bool {
    let waits: Vec<Wait> = group
        .hooks
        .values()
        .filter(|hook| hook.launching == launching)
        .map(|hook| Wait {
            hook: hook.name.clone(),
            token: uuid::Uuid::new_v4().to_string(),
            began: now,
            heartbeat: now,
            continues: None,
        })
        .collect();
    if waits.is_empty() || group.deleting {
        return false;
    }
    let Some(member) = group.member_mut(id) else { return false };
    member.waits = waits;
    member.lifecycle = if launching { Lifecycle::PendingWait } else { Lifecycle::TerminatingWait };
    let activity = member.activity.clone();
    if let Some(activity) = group.activities.iter_mut().find(|other| other.id == activity) {
        activity.status = ActivityStatus::MidLifecycleAction;
    }
    true
}
