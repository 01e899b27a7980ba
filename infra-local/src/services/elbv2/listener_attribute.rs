//! Attributes of listeners.

use super::attributes::{self, ATTRIBUTES};
use super::{listener, no_listener, required, resource};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::reads("DescribeListenerAttributes", describe, &[ARN]).on_any(),
    Operation::writes("ModifyListenerAttributes", modify, &[ARN, ATTRIBUTES]).on(&[resource::LISTENER]),
];

const ARN: &[&str] = &["ListenerArn"];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "ListenerArn")?;
    Ok(attributes::render(listener(cloud.region(call.region)?, arn)?))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "ListenerArn")?;
    let listeners = &mut cloud.region_mut(call.region)?.elbv2.listeners;
    let listener = listeners.get_mut(arn).ok_or_else(|| no_listener(arn))?;
    listener.attributes = attributes::changed("Listener", listener, &call.input)?;
    Ok(attributes::render(listener))
}
