//! Lifecycle hooks: an instance waits after its launch and before its termination for the completion or the timeout.

use super::Env;
use crate::model::autoscaling::{Group, Hook, Member, Wait, global_timeout};

/// Result of a member's hooks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HookResult {
    Waiting,
    GoOn,
    Abandon,
}

/// Combines the results of a member's hooks. A hook that has timed out has its default result.
pub(super) fn result(group: &Group, member: &Member, env: &Env<'_>) -> HookResult {
    let answers = member
        .waits
        .iter()
        .map(|wait| wait.continues.or_else(|| default_result(group.hooks.get(&wait.hook), wait, env)));
    let answers: Vec<Option<bool>> = answers.collect();
    if answers.contains(&Some(false)) {
        HookResult::Abandon
    } else if answers.contains(&None) {
        HookResult::Waiting
    } else {
        HookResult::GoOn
    }
}

fn default_result(hook: Option<&Hook>, wait: &Wait, env: &Env<'_>) -> Option<bool> {
    let hook = hook?;
    let over = env.over(wait.heartbeat, hook.heartbeat_seconds)
        || env.over(wait.began, global_timeout(hook.heartbeat_seconds));
    over.then_some(hook.continues)
}
