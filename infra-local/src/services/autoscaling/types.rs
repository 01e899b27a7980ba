//! Valid names for other operations, and metrics of groups.

use super::group_settings::KNOWN_PROCESSES;
use super::parse::TERMINATION_POLICIES;
use super::policy::ADJUSTMENT_TYPES;
use super::{NAME, launch_configuration, named_mut, notification, required, resource, validation};
use crate::model::Cloud;
use crate::services::{Call, Operation};
use crate::wire::{Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::reads("DescribeTerminationPolicyTypes", termination_policies, &[]).on_any(),
    Operation::reads("DescribeAdjustmentTypes", adjustments, &[]).on_any(),
    Operation::reads("DescribeScalingProcessTypes", processes, &[]).on_any(),
    Operation::reads("DescribeLifecycleHookTypes", hooks, &[]).on_any(),
    Operation::reads("DescribeMetricCollectionTypes", collections, &[]).on_any(),
    Operation::reads("DescribeAutoScalingNotificationTypes", notifications, &[]).on_any(),
    Operation::reads("DescribeAccountLimits", limits, &[]).on_any(),
    Operation::writes("EnableMetricsCollection", enable, &[NAME, &["Metrics.N", "Granularity"]]).on(&[resource::GROUP]),
    Operation::writes("DisableMetricsCollection", disable, &[NAME, &["Metrics.N"]]).on(&[resource::GROUP]),
];

/// The only granularity.
pub(super) const GRANULARITY: &str = "1Minute";

/// Metrics of groups.
const METRICS: &[&str] = &[
    "GroupMinSize",
    "GroupMaxSize",
    "GroupDesiredCapacity",
    "GroupInServiceInstances",
    "GroupPendingInstances",
    "GroupStandbyInstances",
    "GroupTerminatingInstances",
    "GroupTotalInstances",
];

fn termination_policies(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    Ok(Node::new().list("TerminationPolicyTypes", TERMINATION_POLICIES.iter().copied()))
}

fn adjustments(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let types = ADJUSTMENT_TYPES.iter().map(|kind| Node::new().with("AdjustmentType", *kind));
    Ok(Node::new().list("AdjustmentTypes", types))
}

fn processes(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let names = KNOWN_PROCESSES.iter().map(|name| Node::new().with("ProcessName", *name));
    Ok(Node::new().list("Processes", names))
}

fn hooks(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let types = ["autoscaling:EC2_INSTANCE_LAUNCHING", "autoscaling:EC2_INSTANCE_TERMINATING"];
    Ok(Node::new().list("LifecycleHookTypes", types))
}

fn notifications(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    Ok(Node::new().list("AutoScalingNotificationTypes", notification::TYPES))
}

/// AWS's default quotas.
fn limits(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let autoscaling = &cloud.region(call.region)?.autoscaling;
    Ok(Node::new()
        .with("MaxNumberOfAutoScalingGroups", 500_u32)
        .with("MaxNumberOfLaunchConfigurations", launch_configuration::LIMIT)
        .with("NumberOfAutoScalingGroups", autoscaling.groups.len())
        .with("NumberOfLaunchConfigurations", autoscaling.launch_configurations.len()))
}

fn collections(_: &Cloud, _: &Call<'_, Params>) -> Outcome<Node> {
    let metrics = METRICS.iter().map(|metric| Node::new().with("Metric", *metric));
    let granularities = [Node::new().with("Granularity", GRANULARITY)];
    Ok(Node::new().list("Metrics", metrics).list("Granularities", granularities))
}

fn enable(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let granularity = required(&call.input, "Granularity")?;
    if granularity != GRANULARITY {
        return Err(validation(format!("Granularity is {GRANULARITY}, not '{granularity}'")));
    }
    let metrics = metrics(&call.input)?;
    named_mut(cloud.region_mut(call.region)?, &call.input)?.collected.extend(metrics);
    Ok(Node::new())
}

fn disable(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let metrics = metrics(&call.input)?;
    named_mut(cloud.region_mut(call.region)?, &call.input)?.collected.retain(|metric| !metrics.contains(metric));
    Ok(Node::new())
}

/// Returns the named metrics; all of them when none is named.
fn metrics(params: &Params) -> Outcome<Vec<String>> {
    let named = params.texts("Metrics");
    if let Some(other) = named.iter().find(|metric| !METRICS.contains(&metric.as_str())) {
        return Err(validation(format!("The local cloud has the group metrics {}, not '{other}'", METRICS.join(", "))));
    }
    if named.is_empty() {
        return Ok(METRICS.iter().map(|metric| (*metric).to_owned()).collect());
    }
    Ok(named)
}
