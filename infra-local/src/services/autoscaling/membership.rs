//! Attaching, detaching and standby of instances.

use super::{NAME, named_mut, render, required, resource, switch, validation};
use crate::domain::autoscaling::membership::{detach as detach_member, move_to_standby};
use crate::model::Cloud;
use crate::model::Region;
use crate::model::autoscaling::{Activity, ActivityStatus, Group, Lifecycle, Member, MemberTemplate, moment};
use crate::model::ec2::instance::InstanceState;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("AttachInstances", attach, &[NAME, INSTANCES]).on(&[resource::GROUP]),
    Operation::writes("DetachInstances", detach, &[NAME, INSTANCES, DECREMENT]).on(&[resource::GROUP]),
    Operation::writes("EnterStandby", enter_standby, &[NAME, INSTANCES, DECREMENT]).on(&[resource::GROUP]),
    Operation::writes("ExitStandby", exit_standby, &[NAME, INSTANCES]).on(&[resource::GROUP]),
];

const INSTANCES: &[&str] = &["InstanceIds.N"];
const DECREMENT: &[&str] = &["ShouldDecrementDesiredCapacity"];

/// AWS's limit of instances per request.
const BATCH: usize = 20;

fn attach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let ids = ids(&call.input)?;
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, &call.input)?.clone();
    for id in &ids {
        check_attachable(region, &group, id)?;
    }
    let desired = within(&group, group.desired + ids.len() as u32)?;
    for id in &ids {
        let cause = format!("At {} an instance was attached in response to a user request.", moment(call.now));
        let activity = begin(&mut group, region, id, format!("Attaching an existing EC2 instance: {id}"), cause, call);
        let Some(instance) = region.ec2.instances.get_mut(id) else { continue };
        instance.tags.insert("aws:autoscaling:groupName".to_owned(), group.name.clone());
        group.members.push(Member {
            instance: id.clone(),
            zone: instance.zone.clone(),
            template: MemberTemplate { id: String::new(), name: String::new(), version: 0 },
            lifecycle: Lifecycle::Pending,
            healthy: true,
            protected: group.protects_new,
            launched: call.now,
            in_service: None,
            refresh: None,
            activity,
            waits: Vec::new(),
        });
    }
    group.scale_to(
        desired,
        &format!("instances {} were attached in response to a user request,", ids.join(", ")),
        call.now,
    );
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new())
}

fn check_attachable(region: &Region, group: &Group, id: &str) -> Outcome<()> {
    let instance = region.ec2.instances.get(id);
    let instance = instance.ok_or_else(|| validation(format!("Invalid Instance ID(s): [{id}] specified")))?;
    if instance.state != InstanceState::Running {
        return Err(validation(format!("Instance {id} is not in correct state: it is {}", instance.state.name())));
    }
    if region.autoscaling.groups.values().any(|other| other.members.iter().any(|member| member.instance == id)) {
        return Err(validation(format!("Instance {id} is already part of an Auto Scaling group")));
    }
    if !group.zones.contains(&instance.zone) {
        return Err(validation(format!(
            "Instance {id} is in {}, which is none of the Availability Zones of the group",
            instance.zone
        )));
    }
    Ok(())
}

fn detach(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let decrement = decrement(&call.input)?;
    let ids = ids(&call.input)?;
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, &call.input)?.clone();
    let counted = ids.iter().filter(|id| group.staying().any(|member| member.instance == **id)).count() as u32;
    for id in &ids {
        let allowed = [Lifecycle::InService, Lifecycle::Standby];
        member_in(&group, id, &allowed, "InService or Standby")?;
    }
    let desired = if decrement { Some(within(&group, group.desired.saturating_sub(counted))?) } else { None };
    let mut shown = Vec::new();
    for id in &ids {
        let cause = format!("At {} instance {id} was detached in response to a user request.", moment(call.now));
        let activity = begin(&mut group, region, id, format!("Detaching EC2 instance: {id}"), cause, call);
        if let Some(member) = group.member_mut(id) {
            member.activity = activity;
        }
        detach_member(&mut group, region, id);
        shown.extend(group.activities.last().map(|activity| render::activity(activity, &group)));
    }
    if let Some(desired) = desired {
        group.scale_to(desired, "instances were detached in response to a user request,", call.now);
    }
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new().list("Activities", shown))
}

fn enter_standby(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let decrement = decrement(&call.input)?;
    let ids = ids(&call.input)?;
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, &call.input)?.clone();
    for id in &ids {
        member_in(&group, id, &[Lifecycle::InService], "InService")?;
    }
    let desired = if decrement { Some(within(&group, group.desired.saturating_sub(ids.len() as u32))?) } else { None };
    let mut shown = Vec::new();
    for id in &ids {
        let cause =
            format!("At {} instance {id} was moved to standby in response to a user request.", moment(call.now));
        let activity = begin(&mut group, region, id, format!("Moving EC2 instance to Standby: {id}"), cause, call);
        if let Some(member) = group.member_mut(id) {
            member.activity = activity;
        }
        move_to_standby(&mut group, region, id);
        shown.extend(group.activities.last().map(|activity| render::activity(activity, &group)));
    }
    if let Some(desired) = desired {
        group.scale_to(desired, "instances were moved to standby in response to a user request,", call.now);
    }
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new().list("Activities", shown))
}

fn exit_standby(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let ids = ids(&call.input)?;
    let region = cloud.region_mut(call.region)?;
    let mut group = named_mut(region, &call.input)?.clone();
    for id in &ids {
        member_in(&group, id, &[Lifecycle::Standby], "Standby")?;
    }
    let desired = within(&group, group.desired + ids.len() as u32)?;
    let mut shown = Vec::new();
    for id in &ids {
        let cause =
            format!("At {} instance {id} was moved out of standby in response to a user request.", moment(call.now));
        let activity = begin(&mut group, region, id, format!("Moving EC2 instance out of Standby: {id}"), cause, call);
        if let Some(member) = group.member_mut(id) {
            member.activity = activity;
            // The instance passes the same states as a new one, including lifecycle hooks.
            member.lifecycle = Lifecycle::Pending;
            member.in_service = None;
        }
        shown.extend(group.activities.last().map(|activity| render::activity(activity, &group)));
    }
    group.scale_to(desired, "instances were moved out of standby in response to a user request,", call.now);
    region.autoscaling.groups.insert(group.name.clone(), group);
    Ok(Node::new().list("Activities", shown))
}

fn ids(params: &Params) -> Outcome<Vec<String>> {
    let mut ids = params.texts("InstanceIds");
    ids.sort();
    ids.dedup();
    if ids.is_empty() || ids.len() > BATCH {
        return Err(validation(format!("InstanceIds has 1 to {BATCH} members")));
    }
    Ok(ids)
}

fn decrement(params: &Params) -> Outcome<bool> {
    required(params, "ShouldDecrementDesiredCapacity")?;
    Ok(switch(params, "ShouldDecrementDesiredCapacity")?.unwrap_or(false))
}

fn member_in(group: &Group, id: &str, states: &[Lifecycle], words: &str) -> Outcome<()> {
    let member = group.members.iter().find(|member| member.instance == id);
    let member = member
        .ok_or_else(|| validation(format!("The instance {id} is not part of Auto Scaling group {}.", group.name)))?;
    if states.contains(&member.lifecycle) {
        return Ok(());
    }
    Err(validation(format!("The instance {id} is not in {words}: it is {}.", member.lifecycle.name())))
}

fn within(group: &Group, desired: u32) -> Outcome<u32> {
    if (group.min..=group.max).contains(&desired) {
        return Ok(desired);
    }
    Err(validation(format!(
        "AutoScalingGroup {} has min-size={}, max-size={}, and desired-size={}. To get to desired-size={desired}, change these bounds first.",
        group.name, group.min, group.max, group.desired
    )))
}

fn begin(
    group: &mut Group,
    region: &Region,
    id: &str,
    description: String,
    cause: String,
    call: &Call<'_, Params>,
) -> String {
    let instance = region.ec2.instances.get(id);
    group.begin(Activity {
        id: uuid::Uuid::new_v4().to_string(),
        description,
        cause,
        started: call.now,
        ended: None,
        status: ActivityStatus::InProgress,
        message: None,
        zone: instance.map(|instance| instance.zone.clone()).unwrap_or_default(),
        subnet: instance.map(|instance| instance.subnet_id.clone()).unwrap_or_default(),
    })
}
