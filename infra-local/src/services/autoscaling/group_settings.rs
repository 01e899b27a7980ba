//! Capacity and suspended processes of a group.

use super::{NAME, named_mut, number, parse, required, resource, switch, validation};
use crate::model::Cloud;
use crate::model::autoscaling::Group;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("SetDesiredCapacity", set_desired, &[NAME, &["DesiredCapacity", "HonorCooldown"]])
        .on(&[resource::GROUP]),
    Operation::writes("SuspendProcesses", suspend, &[NAME, PROCESSES]).on(&[resource::GROUP]),
    Operation::writes("ResumeProcesses", resume, &[NAME, PROCESSES]).on(&[resource::GROUP]),
];

const PROCESSES: &[&str] = &["ScalingProcesses.N"];

/// Processes that can be suspended.
pub(super) const KNOWN_PROCESSES: &[&str] = &[
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
    let clock = cloud.time_scale;
    let group = named_mut(cloud.region_mut(call.region)?, params)?;
    let desired = number(params, "DesiredCapacity", 0, 10_000)?.unwrap_or(group.desired);
    parse::check_desired(group, desired)?;
    let cooling = group.scaled_at.is_some_and(|scaled| !clock.over(scaled, group.cooldown_seconds, call.now));
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

fn suspend(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let processes = processes(&call.input)?;
    let group = named_mut(cloud.region_mut(call.region)?, &call.input)?;
    let reason = format!("User suspended at {}", crate::model::autoscaling::moment(call.now));
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

/// Returns the named processes; all of them when none is named.
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
