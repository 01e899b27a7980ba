//! Lifecycle hooks: instances wait after their launch and before their termination for an answer or the timeout.

use super::Env;
use crate::model::autoscaling::{Group, Hook, Member, Wait, global_timeout};

/// Result of the answers to a member's hooks.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Waiting,
    GoOn,
    Abandon,
}

/// Combines the answers. Once a hook has timed out, its default result is its answer.
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
