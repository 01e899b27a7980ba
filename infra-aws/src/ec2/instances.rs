//! Descriptions of instances (`DescribeInstances`) and their states.

use crate::error::{AwsError, SdkContext, found};
use aws_sdk_ec2::{
    Client,
    types::{Instance as Described, InstanceStateName},
};

pub(super) async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_instances().instance_ids(id).send().await.context("DescribeInstances");
    let reservations = found(answer)?.and_then(|answer| answer.reservations).unwrap_or_default();
    Ok(reservations.into_iter().flat_map(|reservation| reservation.instances.unwrap_or_default()).next())
}

pub(super) fn state(instance: &Described) -> InstanceStateName {
    let state = instance.state().and_then(|state| state.name());
    state.cloned().unwrap_or(InstanceStateName::Pending)
}

pub(super) fn is_over(instance: &Described) -> bool {
    matches!(state(instance), InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
}
