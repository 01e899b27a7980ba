//! Descriptions of instances (`DescribeInstances`), their states, and waiting for their termination.

use crate::prelude::*;
use aws_sdk_ec2::{
    Client,
    types::{Instance, InstanceStateName},
};
use infra_core::target::Readiness;

/// Describes an instance in any state: EC2 returns terminated instances for an hour.
pub(super) async fn describe(ec2: &Client, id: &str) -> Result<Option<Instance>> {
    let response = ec2.describe_instances().instance_ids(id).send().await.context("DescribeInstances");
    let reservations = found(response)?.and_then(|response| response.reservations).unwrap_or_default();
    Ok(reservations.into_iter().find_map(|reservation| reservation.instances?.pop()))
}

/// Describes an instance that is not terminated.
pub(super) async fn describe_existing(ec2: &Client, id: &str) -> Result<Option<Instance>> {
    Ok(describe(ec2, id).await?.filter(exists))
}

pub(super) fn state(instance: &Instance) -> InstanceStateName {
    let state = instance.state().and_then(|state| state.name());
    state.cloned().unwrap_or(InstanceStateName::Pending)
}

/// Returns whether an instance is neither terminated nor shutting down.
pub(super) fn exists(instance: &Instance) -> bool {
    !matches!(state(instance), InstanceStateName::ShuttingDown | InstanceStateName::Terminated)
}

/// Terminates an instance, and waits until it is terminated.
pub(super) async fn terminate(cx: &Context<'_>, ec2: &Client, id: &str) -> Result<()> {
    found(ec2.terminate_instances().instance_ids(id).send().await.context("TerminateInstances"))?;
    if cx.client().readiness() == Readiness::ControlPlane {
        return Ok(());
    }
    wait::until(cx, "waiting until the instance is terminated", wait::TIMEOUT, async || {
        let instance = describe(ec2, id).await?;
        Ok(instance.is_none_or(|instance| state(&instance) == InstanceStateName::Terminated).then_some(()))
    })
    .await
}
