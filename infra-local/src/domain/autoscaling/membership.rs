//! Transitions of a group's members: into and out of target groups, standby, and the group itself.

use chrono::{DateTime, Utc};

use super::hooks;
use crate::model::Region;
use crate::model::autoscaling::{Activity, ActivityStatus, Group, Lifecycle, moment};
use crate::model::clock::TimeScale;
use crate::model::ec2::instance::{Instance, InstanceState};

/// Upper bound of the pause between failed launches, in AWS's seconds.
const LONGEST_BACK_OFF_SECONDS: f64 = 60.0;

/// Registers the members in service with all target groups of their group.
pub(crate) fn register_members(group: &Group, region: &mut Region) {
    for member in group.staying().filter(|member| member.lifecycle == Lifecycle::InService) {
        register(group, region, &member.instance);
    }
}

/// Deregisters an instance from a target group that was detached from its group.
pub(crate) fn deregister_member(region: &mut Region, target_group: &str, instance: &str) {
    if let Some(target_group) = region.elbv2.target_groups.get_mut(target_group) {
        target_group.deregister(instance, None);
    }
}

/// Terminates a member at the request of a user.
pub(crate) fn terminate_member(group: &mut Group, region: &mut Region, instance: &str, now: DateTime<Utc>) {
    let cause = "an instance was taken out of service in response to a user request.";
    leave(group, region, instance, &Leaving { cause, drain: true }, now);
}

/// Deregisters a member from its target groups, and then puts it into standby.
pub(crate) fn move_to_standby(group: &mut Group, region: &mut Region, instance: &str) {
    deregister(group, region, instance);
    if let Some(member) = group.member_mut(instance) {
        member.lifecycle = Lifecycle::EnteringStandby;
    }
}

/// Deregisters a member from its target groups, and then detaches it from the group; its instance continues to run.
pub(crate) fn detach(group: &mut Group, region: &mut Region, instance: &str) {
    deregister(group, region, instance);
    if let Some(member) = group.member_mut(instance) {
        member.lifecycle = Lifecycle::Detaching;
    }
}

/// The reason for the termination of a member.
pub(crate) struct Leaving<'a> {
    /// Cause in AWS's form, after "an instance was taken out of service in response to".
    pub(crate) cause: &'a str,
    /// True when the member finishes its requests first.
    pub(crate) drain: bool,
}

/// Deregisters a member from its target groups, and then terminates its instance.
pub(crate) fn leave(group: &mut Group, region: &mut Region, id: &str, leaving: &Leaving<'_>, now: DateTime<Utc>) {
    let Some(member) = group.member_mut(id).cloned() else { return };
    group.end(&member.activity, ActivityStatus::Failed, Some("It was ended before".to_owned()), now);
    let drains = deregister(group, region, id) && leaving.drain;
    let activity = group.begin(Activity {
        id: uuid::Uuid::new_v4().to_string(),
        description: format!("Terminating EC2 instance: {id}"),
        cause: format!("At {} {}", moment(now), leaving.cause),
        started: now,
        ended: None,
        status: if drains { ActivityStatus::WaitingForDraining } else { ActivityStatus::InProgress },
        message: None,
        subnet: subnet(region, id),
        zone: member.zone,
    });
    if let Some(member) = group.member_mut(id) {
        member.activity = activity;
        member.lifecycle = if drains { Lifecycle::Draining } else { Lifecycle::Terminating };
    }
    if !drains {
        terminate(group, region, id, now);
    }
}

/// Deregisters a member from its target groups; returns false when it was registered with none.
pub(crate) fn deregister(group: &Group, region: &mut Region, id: &str) -> bool {
    let registered = registrations(group, region, id);
    for arn in &group.target_groups {
        if let Some(target_group) = region.elbv2.target_groups.get_mut(arn) {
            target_group.deregister(id, None);
        }
    }
    registered
}

/// Terminates a member's instance after its termination hooks. Only members that were in service wait for hooks.
pub(crate) fn terminate(group: &mut Group, region: &mut Region, id: &str, now: DateTime<Utc>) {
    let served = group.member_mut(id).is_some_and(|member| member.in_service.is_some());
    let runs = region.ec2.instances.get(id).is_some_and(|instance| instance.state == InstanceState::Running);
    if served && runs && hooks::begin(group, id, false, now) {
        return;
    }
    if let Some(member) = group.member_mut(id) {
        member.lifecycle = Lifecycle::Terminating;
        member.waits.clear();
    }
    terminate_instance(region, id);
}

/// Registers a member with all target groups of its group.
pub(crate) fn register(group: &Group, region: &mut Region, id: &str) {
    if group.is_suspended("AddToLoadBalancer") {
        return;
    }
    for arn in &group.target_groups {
        if let Some(target_group) = region.elbv2.target_groups.get_mut(arn) {
            let port = target_group.port;
            target_group.register(id, port);
        }
    }
}

fn registrations(group: &Group, region: &Region, id: &str) -> bool {
    let mut groups = group.target_groups.iter().filter_map(|arn| region.elbv2.target_groups.get(arn));
    groups.any(|target_group| target_group.target(id).is_some())
}

pub(crate) fn terminate_instance(region: &mut Region, id: &str) {
    if let Some(instance) = region.ec2.instances.get_mut(id) {
        instance.terminate("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown");
    }
}

fn subnet(region: &Region, id: &str) -> String {
    region.ec2.instances.get(id).map(|instance: &Instance| instance.subnet_id.clone()).unwrap_or_default()
}

/// Delays the next launch, with a longer pause after each failure.
pub(crate) fn back_off(group: &mut Group, now: DateTime<Utc>, clock: TimeScale) {
    let seconds = f64::from(2_u32.saturating_pow(group.failures)).min(LONGEST_BACK_OFF_SECONDS);
    group.failures += 1;
    group.next_launch = Some(now + clock.scaled(seconds));
}
