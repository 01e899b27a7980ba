//! Capacity, target groups and suspended processes of a group.

use super::group::attach;
use super::{NAME, PAGES, named, named_mut, number, page, parse, required, switch, validation};
use crate::cloud::Cloud;
use crate::data::groups::{deregister_member, register_members};
use crate::model::scaling::{Group, Lifecycle};
use crate::wire::{ApiError, Call, Node, Operation, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("SetDesiredCapacity", set_desired, &[NAME, &["DesiredCapacity", "HonorCooldown"]]),
    Operation::writes("AttachLoadBalancerTargetGroups", attach_groups, &[NAME, TARGET_GROUPS]),
    Operation::writes("DetachLoadBalancerTargetGroups", detach_groups, &[NAME, TARGET_GROUPS]),
    Operation::reads("DescribeLoadBalancerTargetGroups", describe_groups, &[NAME, PAGES]),
    Operation::writes("SuspendProcesses", suspend, &[NAME, PROCESSES]),
    Operation::writes("ResumeProcesses", resume, &[NAME, PROCESSES]),
];

const TARGET_GROUPS: &[&str] = &["TargetGroupARNs.N"];
const PROCESSES: &[&str] = &["ScalingProcesses.N"];

/// Processes that can be suspended. Nothing here does the last two, so that suspending them is easily honoured.
const KNOWN_PROCESSES: &[&str] = &[
    "AddToLoadBalancer",
    "AlarmNotification",
    "HealthCheck",
    "InstanceRefresh",
    "Launch",
    "ReplaceUnhealthy",
    "Terminate",
    "AZRebalance",
    "ScheduledActions",
];

fn set_desired(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    required(params, "DesiredCapacity")?;
    let honour = switch(params, "HonorCooldown")?.unwrap_or(false);
    let group = named_mut(cloud.region_mut(call.region)?, params)?;
    let desired = number(params, "DesiredCapacity", 0, 10_000)?.unwrap_or(group.desired);
    parse::check_desired(group, desired)?;
    let cooling = group
        .scaled_at
        .is_some_and(|scaled| call.now - scaled < chrono::TimeDelta::seconds(i64::from(group.cooldown_seconds)));
    if honour && cooling && desired != group.desired {
        return Err(ApiError::new(
            "ScalingActivityInProgress",
            format!("Scaling activity {} is in progress and blocks this action", last_activity(group)),
        ));
    }
    group.scale_to(desired, "a user request explicitly set group desired capacity", call.now);
    Ok(Node::new())
}

fn last_activity(group: &Group) -> &str {
    group.activities.last().map_or("", |activity| &activity.id)
}

fn attach_groups(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, params)?.clone();
    for arn in params.texts("TargetGroupARNs") {
        attach(&mut group, region, &arn)?;
    }
    register_members(&group, region);
    region.scaling.insert(group.name.clone(), group);
    Ok(Node::new())
}

fn detach_groups(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let group = named_mut(region, params)?;
    let arns = params.texts("TargetGroupARNs");
    if let Some(other) = arns.iter().find(|arn| !group.target_groups.contains(arn)) {
        return Err(validation(format!("Target group '{other}' is not attached to the group")));
    }
    group.target_groups.retain(|arn| !arns.contains(arn));
    let members: Vec<String> = group.members.iter().map(|member| member.instance.clone()).collect();
    for (arn, member) in arns.iter().flat_map(|arn| members.iter().map(move |member| (arn, member))) {
        deregister_member(region, arn, member);
    }
    Ok(Node::new())
}

fn describe_groups(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region(call.region)?;
    let group = named(region, &call.input)?;
    let page = page(group.target_groups.iter().collect(), &call.input, |arn| arn)?;
    let shown = page.items.into_iter().map(|arn| {
        let target_group = region.balancing.target_groups.get(arn);
        let in_service = group.staying().any(|member| {
            member.lifecycle == Lifecycle::InService
                && target_group
                    .and_then(|target_group| target_group.target(&member.instance))
                    .is_some_and(|target| target.health.state == "healthy")
        });
        let state = if in_service { "InService" } else { "Added" };
        Node::new().with("LoadBalancerTargetGroupARN", arn).with("State", state)
    });
    Ok(Node::new().list("LoadBalancerTargetGroups", shown).maybe("NextToken", page.next))
}

fn suspend(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let processes = processes(&call.input)?;
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let reason = format!("User suspended at {}", crate::model::scaling::moment(call.now));
    for process in processes {
        group.suspended.entry(process).or_insert_with(|| reason.clone());
    }
    Ok(Node::new())
}

fn resume(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let processes = processes(&call.input)?;
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    group.suspended.retain(|process, _| !processes.contains(process));
    Ok(Node::new())
}

/// The named processes; all of them when none is named.
fn processes(params: &Params) -> Outcome<Vec<String>> {
    let named = params.texts("ScalingProcesses");
    if let Some(other) = named.iter().find(|process| !KNOWN_PROCESSES.contains(&process.as_str())) {
        return Err(validation(format!(
            "{other} is not a valid process. Valid processes are: {}",
            KNOWN_PROCESSES.join(", ")
        )));
    }
    if named.is_empty() {
        return Ok(KNOWN_PROCESSES.iter().map(|process| (*process).to_owned()).collect());
    }
    Ok(named)
}
