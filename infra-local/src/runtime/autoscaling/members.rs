//! Lifecycle of the members of a group, driven by the state of their instances.

use super::Env;
use super::hooks::{self, HookResult};
use super::maintenance;
use crate::domain::autoscaling::hooks::begin as begin_hooks;
use crate::domain::autoscaling::membership::{self, Leaving};
use crate::model::Region;
use crate::model::autoscaling::{ActivityStatus, Group, Lifecycle, Member};
use crate::model::ec2::instance::InstanceState;

/// Message of the activity of a launch that a hook has abandoned.
const ABANDONED: &str = "Instance failed to complete user's Lifecycle Action: Lifecycle Action was abandoned";

/// Advances the members by the states of their instances.
pub(super) fn observe(group: &mut Group, region: &mut Region, env: &Env<'_>) {
    let ids: Vec<String> = group.members.iter().map(|member| member.instance.clone()).collect();
    for id in ids {
        let Some(member) = group.member_mut(&id).cloned() else { continue };
        match member.lifecycle {
            Lifecycle::Pending | Lifecycle::PendingWait => advance_launch(group, region, &member, env),
            Lifecycle::InService => check_health(group, region, &member, env),
            Lifecycle::EnteringStandby | Lifecycle::Standby => stand_by(group, region, &member, env),
            Lifecycle::Draining | Lifecycle::Detaching => drain(group, region, &member, env),
            Lifecycle::TerminatingWait => wait_for_termination(group, region, &member, env),
            Lifecycle::Terminating => remove_member(group, region, &member, env),
        }
    }
}

/// Returns whether a member serves: it is in service, healthy, and healthy in every target group that is in use.
pub(super) fn serves(group: &Group, region: &Region, member: &Member) -> bool {
    member.lifecycle == Lifecycle::InService
        && member.healthy
        && group.target_groups.iter().filter_map(|arn| region.elbv2.target_groups.get(arn)).all(|target_group| {
            let target = target_group.target(&member.instance);
            target.is_some_and(|target| ["healthy", "unused"].contains(&target.health.state.as_str()))
        })
}

/// Returns the reason for which a target group considers a member unhealthy.
pub(super) fn unhealthy_reason(group: &Group, region: &Region, id: &str) -> Option<String> {
    let groups = group.target_groups.iter().filter_map(|arn| region.elbv2.target_groups.get(arn));
    let mut targets = groups.filter_map(|target_group| target_group.target(id));
    let health = &targets.find(|target| target.health.state == "unhealthy")?.health;
    let description = health.description.as_deref().unwrap_or_default();
    Some(format!("{description} ({})", health.reason.as_deref().unwrap_or_default()))
}

fn advance_launch(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    let id = &member.instance;
    match region.ec2.instances.get(id) {
        Some(instance) if instance.state == InstanceState::Pending => {}
        Some(instance) if instance.state == InstanceState::Running => {
            let result = match member.lifecycle {
                Lifecycle::Pending if begin_hooks(group, id, true, env.now) => HookResult::Waiting,
                Lifecycle::Pending => HookResult::GoOn,
                _ => hooks::result(group, member, env),
            };
            match result {
                HookResult::Waiting => {}
                HookResult::GoOn => serve(group, region, member, env),
                HookResult::Abandon => {
                    group.end(&member.activity, ActivityStatus::Cancelled, Some(ABANDONED.to_owned()), env.now);
                    membership::back_off(group, env.now, env.clock());
                    let cause =
                        "an instance was taken out of service because its launch was abandoned by a lifecycle hook.";
                    membership::leave(group, region, id, &Leaving { cause, drain: false }, env.now);
                }
            }
        }
        gone => {
            let reason = gone.and_then(|instance| instance.reason.as_ref());
            let message = reason.map_or("Instance became unavailable".to_owned(), |reason| reason.message.clone());
            group.end(&member.activity, ActivityStatus::Failed, Some(message), env.now);
            membership::back_off(group, env.now, env.clock());
            let cause = "an instance was taken out of service because it failed to start.";
            membership::leave(group, region, id, &Leaving { cause, drain: false }, env.now);
        }
    }
}

/// Puts a member into service.
fn serve(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    if let Some(member) = group.member_mut(&member.instance) {
        member.lifecycle = Lifecycle::InService;
        member.in_service = Some(env.now);
        member.waits.clear();
    }
    group.end(&member.activity, ActivityStatus::Successful, None, env.now);
    group.failures = 0;
    membership::register(group, region, &member.instance);
}

/// Returns the number of the other members that serve.
fn serving_without(group: &Group, region: &Region, id: &str) -> usize {
    let others = group.staying().filter(|other| other.instance != id);
    others.filter(|other| serves(group, region, other)).count()
}

fn check_health(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    let id = &member.instance;
    let state = region.ec2.instances.get(id).map(|instance| instance.state);
    let runs = state == Some(InstanceState::Running);
    let impaired = region.ec2.instances.get(id).is_some_and(|instance| instance.runtime.impaired);
    let past_grace = member.in_service.is_some_and(|since| env.over(since, group.grace_seconds));
    let mut cause = "an instance was taken out of service in response to a user health-check.";
    let mut healthy = member.healthy;
    if !group.is_suspended("HealthCheck") {
        if !runs {
            healthy = false;
            cause = "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.";
        } else if impaired {
            healthy = false;
            cause = "an instance was taken out of service in response to an EC2 instance status checks failure.";
        } else if group.elb_health && past_grace && unhealthy_reason(group, region, id).is_some() {
            healthy = false;
            cause = "an instance was taken out of service in response to an ELB system health check failure.";
        }
    }
    if let Some(member) = group.member_mut(id) {
        member.healthy = healthy;
    }
    // The refresh handles the failures of the instances that it launched.
    let under_refresh = group.active_refresh().is_some_and(|refresh| member.refresh.as_ref() == Some(&refresh.id));
    let stays = healthy || group.is_suspended("ReplaceUnhealthy") || (under_refresh && runs);
    let kept = runs && serving_without(group, region, id) < maintenance::fewest_serving(group);
    if !stays && !kept {
        membership::leave(group, region, id, &Leaving { cause, drain: runs && !impaired }, env.now);
    }
}

/// Puts a member into standby once it has left its target groups; a terminated one leaves the group.
fn stand_by(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    let id = &member.instance;
    if region.ec2.instances.get(id).is_none_or(|instance| instance.state.is_ending()) {
        let cause = "an instance was taken out of service in response to an EC2 health check indicating it has been terminated or stopped.";
        membership::leave(group, region, id, &Leaving { cause, drain: false }, env.now);
    } else if member.lifecycle == Lifecycle::EnteringStandby && is_drained(group, region, id) {
        if let Some(member) = group.member_mut(id) {
            member.lifecycle = Lifecycle::Standby;
        }
        group.end(&member.activity, ActivityStatus::Successful, None, env.now);
    }
}

fn is_drained(group: &Group, region: &Region, id: &str) -> bool {
    group.target_groups.iter().filter_map(|arn| region.elbv2.target_groups.get(arn)).all(|target_group| {
        let mut targets = target_group.targets.iter().filter(|target| target.id == *id);
        targets.all(|target| target.drained)
    })
}

fn drain(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    let id = &member.instance;
    if !is_drained(group, region, id) {
        return;
    }
    if member.lifecycle == Lifecycle::Detaching {
        group.end(&member.activity, ActivityStatus::Successful, None, env.now);
        group.members.retain(|other| other.instance != *id);
        if let Some(instance) = region.ec2.instances.get_mut(id) {
            instance.tags.remove("aws:autoscaling:groupName");
        }
    } else {
        membership::terminate(group, region, id, env.now);
    }
}

/// Waits for termination hooks, whose result does not matter.
fn wait_for_termination(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    let id = &member.instance;
    let runs = region.ec2.instances.get(id).is_some_and(|instance| instance.state == InstanceState::Running);
    if runs && !group.deleting && hooks::result(group, member, env) == HookResult::Waiting {
        return;
    }
    if let Some(member) = group.member_mut(id) {
        member.lifecycle = Lifecycle::Terminating;
        member.waits.clear();
    }
    membership::terminate_instance(region, id);
}

fn remove_member(group: &mut Group, region: &mut Region, member: &Member, env: &Env<'_>) {
    match region.ec2.instances.get(&member.instance) {
        Some(instance) if instance.state != InstanceState::Terminated => {
            // Also terminates stopped instances.
            membership::terminate_instance(region, &member.instance);
        }
        _ => {
            group.end(&member.activity, ActivityStatus::Successful, None, env.now);
            group.members.retain(|other| other.instance != member.instance);
        }
    }
}
