//! Description, health and termination of a group's instances.

use super::{PAGES, page, render, required, resource, switch, validation};
use crate::domain::autoscaling::membership::terminate_member;
use crate::model::Cloud;
use crate::model::Region;
use crate::model::autoscaling::{Group, Member};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::reads("DescribeAutoScalingInstances", describe, &[&["InstanceIds.N"], PAGES]).on_any(),
    Operation::writes("SetInstanceHealth", set_health, &[&["InstanceId", "HealthStatus", "ShouldRespectGracePeriod"]])
        .on(&[resource::GROUP_OF_INSTANCE]),
    Operation::writes(
        "TerminateInstanceInAutoScalingGroup",
        terminate,
        &[&["InstanceId", "ShouldDecrementDesiredCapacity"]],
    )
    .on(&[resource::GROUP_OF_INSTANCE]),
    Operation::writes(
        "SetInstanceProtection",
        set_protection,
        &[&["AutoScalingGroupName", "InstanceIds.N", "ProtectedFromScaleIn"]],
    )
    .on(&[resource::GROUP]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("InstanceIds");
    let all = region.autoscaling.groups.values();
    let members: Vec<(&Group, &Member)> = all
        .flat_map(|group| group.members.iter().map(move |member| (group, member)))
        .filter(|(_, member)| ids.is_empty() || ids.contains(&member.instance))
        .collect();
    let page = page(members, params, |(_, member)| &member.instance)?;
    let shown = page.items.into_iter().map(|(group, member)| {
        // This operation returns the status in capitals, as the example of the API reference shows.
        let health = if member.healthy { "HEALTHY" } else { "UNHEALTHY" };
        render::member(member, region, health).with("AutoScalingGroupName", &group.name)
    });
    Ok(Node::new().list("AutoScalingInstances", shown).maybe("NextToken", page.next))
}

fn set_health(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = required(params, "InstanceId")?;
    let healthy = match required(params, "HealthStatus")? {
        "Healthy" => true,
        "Unhealthy" => false,
        other => {
            return Err(validation(format!(
                "Value {other} for parameter HealthStatus is invalid; it is Healthy or Unhealthy"
            )));
        }
    };
    let respects = switch(params, "ShouldRespectGracePeriod")?.unwrap_or(true);
    let clock = cloud.time_scale;
    let group = group_of(cloud.region_mut(call.region)?, id)?;
    let grace = clock.scaled(f64::from(group.grace_seconds));
    if let Some(member) = group.member_mut(id) {
        let in_grace = member.in_service.is_none_or(|since| call.now - since < grace);
        if healthy || !(respects && in_grace && !grace.is_zero()) {
            member.healthy = healthy;
        }
    }
    Ok(Node::new())
}

fn set_protection(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let protected =
        switch(params, "ProtectedFromScaleIn")?.ok_or_else(|| validation("ProtectedFromScaleIn must be specified"))?;
    let group = super::named_mut(cloud.region_mut(call.region)?, params)?;
    for id in params.texts("InstanceIds") {
        let name = group.name.clone();
        let member = group
            .member_mut(&id)
            .ok_or_else(|| validation(format!("The instance {id} is not part of Auto Scaling group {name}.")))?;
        member.protected = protected;
    }
    Ok(Node::new())
}

fn terminate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let id = required(params, "InstanceId")?;
    let decrement = switch(params, "ShouldDecrementDesiredCapacity")?
        .ok_or_else(|| validation("ShouldDecrementDesiredCapacity must be specified"))?;
    let region = cloud.region_mut(call.region)?;
    let group = group_of(region, id)?;
    if group.member_mut(id).is_some_and(|member| member.lifecycle.is_leaving()) {
        return Err(ApiError::new("ScalingActivityInProgress", format!("Instance {id} is already being terminated")));
    }
    if decrement && group.desired <= group.min {
        return Err(validation(format!(
            "Currently, desiredSize equals minSize ({}). Terminating instance without replacement will violate group's min size constraint. \
             Either set shouldDecrementDesiredCapacity flag to false or lower group's min size.",
            group.min
        )));
    }
    let mut group = group.clone();
    if decrement {
        let desired = group.desired - 1;
        group.scale_to(
            desired,
            &format!("instance {id} was taken out of service in response to a user request,"),
            call.now,
        );
    }
    terminate_member(&mut group, region, id, call.now);
    let activity = group.activities.last().map(|activity| render::activity(activity, &group));
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new().maybe("Activity", activity))
}

fn group_of<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut Group> {
    let mut groups = region.autoscaling.groups.values_mut();
    groups
        .find(|group| group.members.iter().any(|member| member.instance == id))
        .ok_or_else(|| validation(format!("Instance Id not found - No managed instance found for instance ID: {id}")))
}
