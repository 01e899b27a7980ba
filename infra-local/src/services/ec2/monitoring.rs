//! Detailed monitoring of instances.

use super::instance::{by_ids, find_mut};
use super::{Ec2Operation, resource};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("MonitorInstances", enable, &[&["InstanceId.N"]]).on(&[resource::INSTANCES]),
    Operation::writes("UnmonitorInstances", disable, &[&["InstanceId.N"]]).on(&[resource::INSTANCES]),
];

fn enable(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    set(cloud, call, true, "pending")
}

fn disable(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    set(cloud, call, false, "disabling")
}

/// Changes the monitoring of the instances of a request, and reports the state of the transition.
fn set(cloud: &mut Cloud, call: &Call<'_, Params>, enabled: bool, transition: &str) -> Outcome<Node> {
    let ids = call.input.texts("InstanceId");
    if ids.is_empty() {
        return Err(ApiError::missing("InstanceId"));
    }
    let region = cloud.region_mut(call.region)?;
    by_ids(region, &ids)?;
    let mut nodes = Vec::new();
    for id in &ids {
        let instance = find_mut(region, id)?;
        let unchanged = if enabled { "enabled" } else { "disabled" };
        let state = if instance.monitoring == enabled { unchanged } else { transition };
        instance.monitoring = enabled;
        nodes.push(Node::new().with("instanceId", id).with("monitoring", Node::new().with("state", state)));
    }
    Ok(Node::new().list("instancesSet", nodes))
}
