//! Instances: description, termination, stop, start and reboot.

use std::collections::BTreeMap;

use super::instance_description::{render_reservation, render_state};
use super::{Ec2Operation, Located, check_id, instance_filter, never, resource};
use crate::model::Cloud;
use crate::model::ec2::image::ROOT_DEVICE;
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::{Region, zone_id};
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeInstances", describe, &[&["InstanceId.N"], FILTERS, PAGES])
        .on_any()
        // No other service manages instances of this account.
        .ignoring(&[&["IncludeManagedResources"]]),
    Operation::reads(
        "DescribeInstanceStatus",
        describe_status,
        &[&["InstanceId.N", "IncludeAllInstances"], FILTERS, PAGES],
    )
    .on_any()
    // No other service manages instances of this account.
    .ignoring(&[&["IncludeManagedResources"]]),
    Operation::writes("TerminateInstances", terminate, &[&["InstanceId.N"]])
        .on(&[resource::INSTANCES])
        .ignoring(&[&["Force", "SkipOsShutdown"]]),
    Operation::writes("StopInstances", stop, &[&["InstanceId.N"]])
        .on(&[resource::INSTANCES])
        .ignoring(&[&["Force", "SkipOsShutdown"]]),
    Operation::writes("StartInstances", start, &[&["InstanceId.N"]]).on(&[resource::INSTANCES]),
    Operation::writes("RebootInstances", reboot, &[&["InstanceId.N"]]).on(&[resource::INSTANCES]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let instances = by_ids(region, &params.texts("InstanceId"))?;
    let instances: Vec<_> = instances.into_iter().map(|item| Located { region, item }).collect();
    let instances = Filters::parse(params)?.apply(instances.iter(), &instance_filter::fields(), |it| &it.item.tags)?;
    let page = Page::of(instances, params, |it| &it.item.id)?;
    let mut reservations: BTreeMap<&str, Vec<&Instance>> = BTreeMap::new();
    for Located { item: instance, .. } in page.items {
        reservations.entry(&instance.reservation_id).or_default().push(instance);
    }
    Ok(Node::new()
        .list("reservationSet", reservations.into_values().map(|instances| render_reservation(region, &instances)))
        .maybe("nextToken", page.next))
}

fn describe_status(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let ids = params.texts("InstanceId");
    let mut instances = by_ids(cloud.region(call.region)?, &ids)?;
    if !params.flag("IncludeAllInstances")? {
        instances.retain(|instance| instance.state == InstanceState::Running);
    }
    let fields: &[Field<Instance>] = &[
        ("instance-state-name", |instance| vec![instance.state.name().to_owned()]),
        ("instance-state-code", |instance| vec![instance.state.code().to_string()]),
        ("availability-zone", |instance| vec![instance.zone.clone()]),
        ("instance-status.status", |instance| vec![check(instance).to_owned()]),
        ("system-status.status", |instance| vec![check(instance).to_owned()]),
        ("attached-ebs-status.status", |instance| vec![check(instance).to_owned()]),
        ("availability-zone-id", |instance| vec![zone_id(&instance.zone)]),
        ("instance-status.reachability", |instance| vec![reachability(instance).to_owned()]),
        ("system-status.reachability", |instance| vec![reachability(instance).to_owned()]),
        ("operator.managed", |_| vec!["false".to_owned()]),
        ("application-status.status", never),
        ("event.code", never),
        ("event.description", never),
        ("event.instance-event-id", never),
        ("event.not-after", never),
        ("event.not-before", never),
        ("event.not-before-deadline", never),
        ("operator.principal", never),
    ];
    let instances = Filters::parse(params)?.apply(instances.into_iter(), fields, |instance| &instance.tags)?;
    let page = Page::of(instances, params, |instance| &instance.id)?;
    let nodes = page.items.into_iter().map(|instance| {
        let status = Node::new().with("status", check(instance));
        let status = if instance.state == InstanceState::Running {
            let details = Node::new().with("name", "reachability").with("status", reachability(instance));
            status.list("details", [details])
        } else {
            status
        };
        Node::new()
            .with("instanceId", &instance.id)
            .with("availabilityZone", &instance.zone)
            .with("availabilityZoneId", zone_id(&instance.zone))
            .with("instanceState", render_state(instance.state))
            .with("instanceStatus", status.clone())
            .with("systemStatus", status)
    });
    Ok(Node::new().list("instanceStatusSet", nodes).maybe("nextToken", page.next))
}

fn check(instance: &Instance) -> &'static str {
    match instance.state {
        InstanceState::Running if instance.runtime.impaired => "impaired",
        InstanceState::Running => "ok",
        _ => "not-applicable",
    }
}

fn reachability(instance: &Instance) -> &'static str {
    match instance.state {
        InstanceState::Running if instance.runtime.impaired => "failed",
        InstanceState::Running => "passed",
        _ => "not-applicable",
    }
}

fn terminate(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    change(region, &call.input, |instance| {
        if instance.disable_api_termination {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!(
                    "The instance '{}' may not be terminated. Modify its 'disableApiTermination' instance attribute and try again.",
                    instance.id
                ),
            ));
        }
        instance.terminate("Client.UserInitiatedShutdown", "Client.UserInitiatedShutdown: User initiated shutdown");
        Ok(())
    })
}

fn stop(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    change(region, &call.input, |instance| match instance.state {
        InstanceState::Pending | InstanceState::Running if instance.disable_api_stop => Err(ApiError::new(
            "OperationNotPermitted",
            format!(
                "The instance '{}' may not be stopped. Modify its 'disableApiStop' instance attribute and try again.",
                instance.id
            ),
        )),
        InstanceState::Pending | InstanceState::Running => {
            instance.state = InstanceState::Stopping;
            Ok(())
        }
        InstanceState::Stopping | InstanceState::Stopped => Ok(()),
        InstanceState::ShuttingDown | InstanceState::Terminated => Err(wrong_state(instance, "stopped")),
    })
}

fn start(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let now = call.now;
    for id in call.input.texts("InstanceId") {
        check_root(region, &id)?;
    }
    change(region, &call.input, |instance| match instance.state {
        InstanceState::Stopped => {
            instance.state = InstanceState::Pending;
            instance.reason = None;
            instance.launch_time = now;
            Ok(())
        }
        InstanceState::Pending | InstanceState::Running => Ok(()),
        _ => Err(wrong_state(instance, "started")),
    })
}

fn reboot(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    change(region, &call.input, |instance| match instance.state {
        InstanceState::Pending | InstanceState::Running => {
            instance.runtime.reboots += 1;
            Ok(())
        }
        _ => Err(wrong_state(instance, "rebooted")),
    })?;
    Ok(Node::success())
}

/// Refuses the start of a stopped instance whose root volume is detached.
fn check_root(region: &Region, id: &str) -> Outcome<()> {
    let is_stopped = find(region, id)?.state == InstanceState::Stopped;
    let has_root = region.volumes_of(id).iter().any(|(_, attachment)| attachment.device == ROOT_DEVICE);
    if !is_stopped || has_root {
        return Ok(());
    }
    Err(ApiError::new(
        "IncorrectInstanceState",
        format!(
            "Invalid value '{id}' for instanceId. Instance does not have a volume attached at root ({ROOT_DEVICE})"
        ),
    ))
}

fn wrong_state(instance: &Instance, verb: &str) -> ApiError {
    ApiError::new(
        "IncorrectInstanceState",
        format!(
            "The instance '{}' is not in a state from which it can be {verb}: it is {}.",
            instance.id,
            instance.state.name()
        ),
    )
}

/// Changes the instances of a request, and returns their previous and current states.
fn change(region: &mut Region, params: &Params, mut change: impl FnMut(&mut Instance) -> Outcome<()>) -> Outcome<Node> {
    let ids = params.texts("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId"));
    }
    by_ids(region, &ids)?;
    let mut nodes = Vec::new();
    for id in ids {
        let instance = find_mut(region, &id)?;
        let before = instance.state;
        change(instance)?;
        nodes.push(
            Node::new()
                .with("instanceId", &instance.id)
                .with("currentState", render_state(instance.state))
                .with("previousState", render_state(before)),
        );
    }
    Ok(Node::new().list("instancesSet", nodes))
}

pub(super) fn by_ids<'a>(region: &'a Region, ids: &[String]) -> Outcome<Vec<&'a Instance>> {
    for id in ids {
        check_id(id, "i", "InvalidInstanceID.Malformed")?;
    }
    let missing: Vec<&str> =
        ids.iter().filter(|id| !region.ec2.instances.contains_key(id)).map(String::as_str).collect();
    match missing.as_slice() {
        [] => {
            Ok(region.ec2.instances.values().filter(|instance| ids.is_empty() || ids.contains(&instance.id)).collect())
        }
        [one] => Err(not_found(one)),
        many => Err(ApiError::new(
            "InvalidInstanceID.NotFound",
            format!("The instance IDs '{}' do not exist", many.join(", ")),
        )),
    }
}

/// Returns AWS's error for an instance that does not exist.
fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidInstanceID.NotFound", format!("The instance ID '{id}' does not exist"))
}

pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Instance> {
    check_id(id, "i", "InvalidInstanceID.Malformed")?;
    region.ec2.instances.get(id).ok_or_else(|| not_found(id))
}

pub(super) fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut Instance> {
    check_id(id, "i", "InvalidInstanceID.Malformed")?;
    region.ec2.instances.get_mut(id).ok_or_else(|| not_found(id))
}
