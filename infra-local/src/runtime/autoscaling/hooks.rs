//! Lifecycle hooks: instances wait at launch and before they end until somebody has answered, or nobody in time.

use super::Env;
use crate::model::autoscaling::{Group, Hook, Member, Wait, global_timeout};

/// What the answers to a member's hooks come to.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Word {
    Waiting,
    GoOn,
    Abandon,
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
