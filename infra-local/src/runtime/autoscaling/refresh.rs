//! Instance refreshes: replace the instances of a previous template version, and roll back if the new version fails.

use super::Env;
use super::members;
use crate::domain::autoscaling::membership::{self, Leaving};
use crate::domain::autoscaling::roll_back;
use crate::model::Region;
use crate::model::autoscaling::{Group, Lifecycle, Member, ProtectedInstances, Refresh, RefreshStatus};
use crate::model::cloudwatch::alarm::AlarmState;
use crate::model::ec2::instance::ServiceState;
use crate::model::ec2::launch_template::TemplateReference;
use crate::state::console;

/// Limit for a refresh without progress. It measures real processes, so the time scale does not shorten it.
const STALLED: chrono::TimeDelta = chrono::TimeDelta::minutes(10);

/// Number of restarts after which a service that never became healthy counts as failed.
const RESTARTS: u32 = 3;

/// Lines of an instance's log in the reason of a failure.
const LOG_LINES: usize = 8;

/// Returns the number of instances to run: during a refresh it can exceed the desired capacity.
pub(super) fn wanted(group: &Group) -> u32 {
    let Some(refresh) = group.active_refresh() else { return group.desired };
    if refresh.status == RefreshStatus::Pending || refresh.paused.is_some() {
        return group.desired;
    }
    group.desired + SizeBounds::of(group, refresh).surge.min(refresh.remaining)
}

/// Returns the template of the group's next launch, and the id of the refresh that it belongs to.
pub(super) fn template(group: &Group) -> (TemplateReference, Option<String>) {
    match group.active_refresh() {
        Some(refresh) if matches!(refresh.status, RefreshStatus::InProgress | RefreshStatus::Baking) => {
            (refresh.desired.clone().unwrap_or_else(|| group.template.clone()), Some(refresh.id.clone()))
        }
        _ => (group.template.clone(), None),
    }
}

/// Bounds of a group's size during a refresh.
struct SizeBounds {
    /// Minimum number of instances in service.
    least: u32,
    /// Maximum number of additional instances.
    surge: u32,
}

impl SizeBounds {
    fn of(group: &Group, refresh: &Refresh) -> Self {
        let percent = |percentage: u32| group.desired * percentage;
        let least = percent(refresh.preferences.min_healthy_percentage).div_ceil(100);
        let surge = (percent(refresh.preferences.max_healthy_percentage) / 100).saturating_sub(group.desired);
        // Where no instance may be missing, an additional one is launched first; AWS rounds such small groups down instead.
        let surge = if least >= group.desired { surge.max(1) } else { surge };
        Self { least, surge }
    }
}

/// Advances the active refresh by one step.
pub(super) fn advance(group: &mut Group, region: &mut Region, env: &Env<'_>) {
    let Some(refresh) = group.active_refresh().cloned() else { return };
    if group.deleting {
        finish(group, RefreshStatus::Cancelled, Some("The group is being deleted".to_owned()), env);
        return;
    }
    let outdated = outdated(group, region, &refresh);
    let remaining = outdated.len() as u32;
    let begins = refresh.status == RefreshStatus::Pending;
    let waits = ["InstanceRefresh", "Launch", "Terminate"].iter().any(|process| group.is_suspended(process));
    if let Some(active) = group.active_refresh_mut() {
        if begins {
            active.status = RefreshStatus::InProgress;
            active.total = remaining;
        }
        if begins || waits || remaining < active.remaining {
            active.moved = env.now;
        }
        active.remaining = remaining;
    }
    if begins || waits {
        return;
    }
    if let Some(reason) = failure(group, region, &refresh, env) {
        fail(group, &refresh, reason, env);
        return;
    }
    if pauses(group, env) {
        return;
    }
    if outdated.is_empty() || is_at_last_checkpoint(&refresh) {
        let ready = group.staying().filter(|member| is_ready(group, region, member, env)).count();
        if ready >= group.desired as usize && has_baked(group, env) {
            succeed(group, &refresh, env);
        }
        return;
    }
    if replace(group, region, &refresh, outdated, env) {
        // A leaving member needs no additional instance.
        let remaining = self::outdated(group, region, &refresh).len() as u32;
        if let Some(active) = group.active_refresh_mut() {
            active.remaining = remaining;
            active.moved = env.now;
        }
    }
}

/// Terminates outdated members as long as enough others serve, and members that do not serve at once. Returns whether
/// any left.
fn replace(
    group: &mut Group,
    region: &mut Region,
    refresh: &Refresh,
    mut outdated: Vec<Member>,
    env: &Env<'_>,
) -> bool {
    let bounds = SizeBounds::of(group, refresh);
    let mut ready = group.staying().filter(|member| is_ready(group, region, member, env)).count() as u32;
    outdated.retain(|member| !member.protected || refresh.preferences.protected == ProtectedInstances::Refresh);
    outdated.sort_by_key(|member| (is_ready(group, region, member, env), member.launched));
    let mut any = false;
    for member in outdated.into_iter().take(until_checkpoint(refresh)) {
        if is_ready(group, region, &member, env) {
            if ready <= bounds.least {
                break;
            }
            ready -= 1;
        }
        let cause = "an instance was taken out of service in response to an instance refresh.";
        membership::leave(group, region, &member.instance, &Leaving { cause, drain: true }, env.now);
        any = true;
    }
    any
}

/// Returns the active members that the refresh, or its rollback, has to replace.
fn outdated(group: &Group, region: &Region, refresh: &Refresh) -> Vec<Member> {
    let target = refresh.desired.as_ref().unwrap_or(&group.template);
    let target = super::resolve(region, target).ok().map(|(template, number)| (template.id.clone(), number));
    let launched_by_it = |member: &Member| member.refresh.as_ref() == Some(&refresh.id);
    let matches = |member: &Member| {
        target.as_ref().is_some_and(|(id, number)| member.template.id == *id && member.template.version == *number)
    };
    group
        .staying()
        .filter(|member| match refresh.status {
            RefreshStatus::RollbackInProgress => launched_by_it(member),
            _ => {
                let skipped = refresh.preferences.skip_matching && matches(member)
                    || member.protected && refresh.preferences.protected == ProtectedInstances::Ignore;
                !launched_by_it(member) && !skipped
            }
        })
        .cloned()
        .collect()
}

/// Returns the number of members that may be replaced before the next checkpoint. A rollback has no checkpoints.
fn until_checkpoint(refresh: &Refresh) -> usize {
    let next = refresh.preferences.checkpoints.get(refresh.checkpoints);
    let Some(percentage) = next.filter(|_| refresh.status == RefreshStatus::InProgress) else { return usize::MAX };
    let replaced = (refresh.total * percentage).div_ceil(100);
    refresh.remaining.saturating_sub(refresh.total.saturating_sub(replaced)) as usize
}

fn is_at_last_checkpoint(refresh: &Refresh) -> bool {
    let count = refresh.preferences.checkpoints.len();
    count > 0 && refresh.checkpoints >= count && refresh.status != RefreshStatus::RollbackInProgress
}

/// Returns whether the refresh waits at a checkpoint, until its delay is over.
fn pauses(group: &mut Group, env: &Env<'_>) -> bool {
    let Some(active) = group.active_refresh_mut().filter(|active| active.status == RefreshStatus::InProgress) else {
        return false;
    };
    if let Some(since) = active.paused {
        if !env.over(since, active.preferences.checkpoint_delay_seconds) {
            active.moved = env.now;
            return true;
        }
        active.paused = None;
        active.checkpoints += 1;
    }
    let next = active.preferences.checkpoints.get(active.checkpoints).copied();
    let reached = next.is_some_and(|percentage| active.percentage() >= percentage);
    let is_last = active.checkpoints + 1 >= active.preferences.checkpoints.len();
    if reached && is_last {
        // The last checkpoint has nothing to wait for.
        active.checkpoints += 1;
    } else if reached {
        active.paused = Some(env.now);
        active.reason = Some(format!(
            "Checkpoint reached: {}% of the instances are replaced. The refresh continues after {} seconds.",
            active.percentage(),
            active.preferences.checkpoint_delay_seconds
        ));
    }
    reached && !is_last
}

/// Returns whether the bake time after the last replacement is over.
fn has_baked(group: &mut Group, env: &Env<'_>) -> bool {
    let Some(active) = group.active_refresh_mut().filter(|active| active.status != RefreshStatus::RollbackInProgress)
    else {
        return true;
    };
    let Some(seconds) = active.preferences.bake_seconds.filter(|seconds| *seconds > 0) else { return true };
    let since = *active.baking.get_or_insert(env.now);
    active.status = RefreshStatus::Baking;
    active.moved = env.now;
    env.over(since, seconds)
}

/// Returns whether a member serves and, if it is new, has done so for the warm-up time.
fn is_ready(group: &Group, region: &Region, member: &Member, env: &Env<'_>) -> bool {
    let warmup = group.active_refresh().and_then(|refresh| refresh.preferences.warmup_seconds);
    let warmup = warmup.or(group.warmup_seconds).unwrap_or(group.grace_seconds);
    members::serves(group, region, member)
        && (member.refresh.is_none() || member.in_service.is_some_and(|since| env.over(since, warmup)))
}

/// Returns the reason why the refresh cannot continue.
fn failure(group: &Group, region: &Region, refresh: &Refresh, env: &Env<'_>) -> Option<String> {
    if matches!(refresh.status, RefreshStatus::InProgress | RefreshStatus::Baking) {
        let rings =
            |name: &&String| region.cloudwatch.alarms.get(*name).is_some_and(|alarm| alarm.state == AlarmState::Alarm);
        if let Some(alarm) = refresh.preferences.alarms.iter().find(rings) {
            return Some(format!("The alarm {alarm} is in the state ALARM"));
        }
        let fresh = group.members.iter().filter(|member| member.refresh.as_ref() == Some(&refresh.id));
        for member in fresh {
            if let Some(problem) = failure_of(group, region, member, env) {
                return Some(describe(member, &problem, env));
            }
        }
        if group.failures >= RESTARTS {
            let last = group.activities.iter().rev().find_map(|activity| activity.message.clone());
            return Some(format!("Instances could not be launched: {}", last.unwrap_or_default()));
        }
    }
    let active = group.active_refresh()?;
    if env.now - active.moved < STALLED {
        return None;
    }
    let unready = group.staying().find(|member| !is_ready(group, region, member, env));
    Some(match unready {
        Some(member) => describe(member, "it was not in service and healthy in time", env),
        None => "The remaining instances are protected from scale-in".to_owned(),
    })
}

/// Returns the problem of a new member, after its grace period.
fn failure_of(group: &Group, region: &Region, member: &Member, env: &Env<'_>) -> Option<String> {
    if members::serves(group, region, member) {
        return None;
    }
    let Some(instance) = region.ec2.instances.get(&member.instance) else {
        return Some("the instance is gone".to_owned());
    };
    if instance.state.is_ending() {
        let reason = instance.reason.as_ref()?;
        // A termination by the user is not a failure: the instance is only replaced.
        return (!reason.code.starts_with("Client.User")).then(|| reason.message.clone());
    }
    if member.lifecycle.is_leaving() {
        return None;
    }
    for (name, service) in &instance.runtime.services {
        if service.state == ServiceState::Failed {
            return Some(format!("its service {name} failed"));
        }
        if service.restarts >= RESTARTS {
            return Some(format!("its service {name} ended {} times", service.restarts));
        }
    }
    let past_grace = member.in_service.is_some_and(|since| env.over(since, group.grace_seconds));
    let unhealthy_reason = members::unhealthy_reason(group, region, &member.instance);
    unhealthy_reason.filter(|_| past_grace && member.lifecycle == Lifecycle::InService)
}

fn describe(member: &Member, problem: &str, env: &Env<'_>) -> String {
    let console = console::read(env.directory, &member.instance).unwrap_or_default();
    let console = String::from_utf8_lossy(&console);
    let lines: Vec<&str> = console.lines().filter(|line| !line.trim().is_empty()).collect();
    let end = lines[lines.len().saturating_sub(LOG_LINES)..].join("\n");
    let log = if end.is_empty() { String::new() } else { format!(" Its log ends with:\n{end}") };
    format!(
        "Instance {} launched from version {} of launch template {} did not become healthy: {problem}.{log}",
        member.instance, member.template.version, member.template.name
    )
}

/// Starts a rollback if the refresh requests it; otherwise the refresh fails.
fn fail(group: &mut Group, refresh: &Refresh, reason: String, env: &Env<'_>) {
    tracing::warn!(group = group.name, reason, "an instance refresh failed");
    if refresh.status == RefreshStatus::RollbackInProgress {
        finish(group, RefreshStatus::RollbackFailed, Some(reason), env);
    } else if refresh.preferences.auto_rollback && refresh.desired.is_some() {
        roll_back(group, reason, env.now);
    } else {
        finish(group, RefreshStatus::Failed, Some(reason), env);
    }
}

fn succeed(group: &mut Group, refresh: &Refresh, env: &Env<'_>) {
    if refresh.status == RefreshStatus::RollbackInProgress {
        let reason = refresh.reason.clone();
        finish(group, RefreshStatus::RollbackSuccessful, reason, env);
        return;
    }
    if let Some(desired) = &refresh.desired {
        group.template = desired.clone();
    }
    finish(group, RefreshStatus::Successful, None, env);
}

fn finish(group: &mut Group, status: RefreshStatus, reason: Option<String>, env: &Env<'_>) {
    if let Some(active) = group.active_refresh_mut() {
        active.status = status;
        active.reason = reason;
        active.ended = Some(env.now);
    }
}
