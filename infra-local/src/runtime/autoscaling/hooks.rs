//! Lifecycle hooks: instances wait at launch and before they end until somebody has answered, or nobody in time.

use chrono::{DateTime, Utc};

use super::Env;
use crate::model::autoscaling::{ActivityStatus, Group, Hook, Lifecycle, Member, Wait, global_timeout};

/// What the answers to a member's hooks come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Waiting,
    GoOn,
    Abandon,
}

/// Lets a member wait, when there are hooks to wait for.
pub(super) fn begin(group: &mut Group, id: &str, launching: bool, now: DateTime<Utc>) -> bool {
    let waits: Vec<Wait> = group
        .hooks
        .values()
        .filter(|hook| hook.launching == launching)
        .map(|hook| Wait {
            hook: hook.name.clone(),
            token: uuid::Uuid::new_v4().to_string(),
            began: now,
            heartbeat: now,
            goes_on: None,
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

/// What the answers say now; silence is the hook's own answer once its time is over.
pub(super) fn word(group: &Group, member: &Member, env: &Env<'_>) -> Word {
    let answers =
        member.waits.iter().map(|wait| wait.goes_on.or_else(|| silence(group.hooks.get(&wait.hook), wait, env)));
    let answers: Vec<Option<bool>> = answers.collect();
    if answers.contains(&Some(false)) {
        Word::Abandon
    } else if answers.contains(&None) {
        Word::Waiting
    } else {
        Word::GoOn
    }
}

fn silence(hook: Option<&Hook>, wait: &Wait, env: &Env<'_>) -> Option<bool> {
    let hook = hook?;
    let over = env.over(wait.heartbeat, hook.heartbeat_seconds)
        || env.over(wait.began, global_timeout(hook.heartbeat_seconds));
    over.then_some(hook.continues)
}
