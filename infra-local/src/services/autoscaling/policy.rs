//! Scaling policies.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{NAME, PAGES, named_mut, number, page, required, resource, switch, validation};
use crate::domain::autoscaling::adjust;
use crate::domain::autoscaling::adjust::Trigger;
use crate::domain::autoscaling::alarms;
use crate::model::autoscaling::{Adjustment, Group, Metric, Policy, PolicyKind, Step, Tracking};
use crate::model::cloudwatch::metrics::{Statistic, UNITS};
use crate::model::{ArnScope, Cloud};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("PutScalingPolicy", put, &[NAME, POLICY]).on(&[resource::GROUP]),
    Operation::reads("DescribePolicies", describe, &[NAME, &["PolicyNames.N", "PolicyTypes.N"], PAGES]).on_any(),
    Operation::writes("DeletePolicy", delete, &[NAME, &["PolicyName"]]).on(&[resource::GROUP]),
    Operation::writes(
        "ExecutePolicy",
        execute,
        &[NAME, &["PolicyName", "HonorCooldown", "MetricValue", "BreachThreshold"]],
    )
    .on(&[resource::GROUP]),
];

const POLICY: &[&str] = &[
    "PolicyName",
    "PolicyType",
    "Enabled",
    "EstimatedInstanceWarmup",
    "AdjustmentType",
    "ScalingAdjustment",
    "MinAdjustmentMagnitude",
    "MinAdjustmentStep",
    "Cooldown",
    "MetricAggregationType",
    "StepAdjustments.N.MetricIntervalLowerBound",
    "StepAdjustments.N.MetricIntervalUpperBound",
    "StepAdjustments.N.ScalingAdjustment",
    "TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
    "TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel",
    "TargetTrackingConfiguration.CustomizedMetricSpecification.MetricName",
    "TargetTrackingConfiguration.CustomizedMetricSpecification.Namespace",
    "TargetTrackingConfiguration.CustomizedMetricSpecification.Dimensions.N.Name",
    "TargetTrackingConfiguration.CustomizedMetricSpecification.Dimensions.N.Value",
    "TargetTrackingConfiguration.CustomizedMetricSpecification.Statistic",
    "TargetTrackingConfiguration.CustomizedMetricSpecification.Unit",
    "TargetTrackingConfiguration.TargetValue",
    "TargetTrackingConfiguration.DisableScaleIn",
];

pub(super) const ADJUSTMENT_TYPES: &[&str] = &["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"];

/// AWS's default quota of policies per group. Source: Amazon EC2 Auto Scaling User Guide, "Quotas".
const LIMIT: usize = 50;

const PREDEFINED: &str = "PredefinedMetricSpecification";

fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "PolicyName")?;
    let kind = match params.optional("PolicyType").unwrap_or("SimpleScaling") {
        "TargetTrackingScaling" => PolicyKind::TargetTracking(tracking(params)?),
        "StepScaling" => PolicyKind::Step(adjustment(params, true)?),
        "SimpleScaling" => PolicyKind::Simple(adjustment(params, false)?),
        "PredictiveScaling" => {
            return Err(validation(
                "The local cloud predicts nothing: there are the policy types TargetTrackingScaling, StepScaling and SimpleScaling, not PredictiveScaling",
            ));
        }
        other => {
            return Err(validation(format!(
                "The local cloud has the policy types TargetTrackingScaling, StepScaling and SimpleScaling, not '{other}'"
            )));
        }
    };
    let region = cloud.region_mut(call.region)?;
    let group = named_mut(region, params)?;
    let before = group.policies.get(name).cloned();
    if before.is_none() && group.policies.len() >= LIMIT {
        return Err(ApiError::new("LimitExceeded", format!("A group has at most {LIMIT} scaling policies")));
    }
    let mut policy = Policy {
        name: name.to_owned(),
        arn: before.as_ref().map_or_else(
            || {
                let (id, group) = (Uuid::new_v4(), &group.name);
                let own = format!("scalingPolicy:{id}:autoScalingGroupName/{group}:policyName/{name}");
                call.scope().arn("autoscaling", own)
            },
            |before| before.arn.clone(),
        ),
        enabled: switch(params, "Enabled")?.unwrap_or(true),
        warmup_seconds: number(params, "EstimatedInstanceWarmup", 0, 172_800)?,
        kind,
    };
    // An update keeps the names of the alarms.
    if let Some(PolicyKind::TargetTracking(before)) = before.as_ref().map(|before| &before.kind)
        && let PolicyKind::TargetTracking(tracking) = &mut policy.kind
    {
        tracking.alarm.clone_from(&before.alarm);
    }
    let node =
        Node::new().with("PolicyARN", &policy.arn).with("Alarms", render_alarms(&policy, &group.name, call.scope()));
    group.policies.insert(name.to_owned(), policy.clone());
    let group = group.name.clone();
    if let Some(before) = before {
        alarms::remove(region, &before, &group);
    }
    alarms::put(region, &group, &policy, call.now);
    Ok(node)
}

/// Returns whether a parameter is set: some clients send an empty text or zero for one that is not.
fn is_set(params: &Params, name: &str) -> bool {
    params.optional(name).is_some_and(|value| !["", "0"].contains(&value))
}

fn tracking(params: &Params) -> Outcome<Tracking> {
    for other in ["AdjustmentType", "ScalingAdjustment", "Cooldown", "MetricAggregationType", "MinAdjustmentMagnitude"]
    {
        if is_set(params, other) {
            return Err(validation(format!("{other} is not allowed with the policy type TargetTrackingScaling")));
        }
    }
    let Some(configuration) = params.structure("TargetTrackingConfiguration") else {
        return Err(validation("TargetTrackingConfiguration is required for the policy type TargetTrackingScaling"));
    };
    let target = number(&configuration, "TargetValue", 1e-9, 1e108)?
        .ok_or_else(|| validation("TargetTrackingConfiguration.TargetValue must be specified"))?;
    let predefined = configuration.structure("PredefinedMetricSpecification");
    let customized = configuration.structure("CustomizedMetricSpecification");
    let metric = match (predefined, customized) {
        (Some(metric), None) => predefined_metric(&metric)?,
        (None, Some(metric)) => custom_metric(&metric)?,
        _ => {
            return Err(validation(
                "Exactly one of PredefinedMetricSpecification and CustomizedMetricSpecification must be specified",
            ));
        }
    };
    Ok(Tracking {
        metric,
        target,
        disable_scale_in: switch(&configuration, "DisableScaleIn")?.unwrap_or(false),
        alarm: Uuid::new_v4().to_string(),
    })
}

fn predefined_metric(metric: &Params) -> Outcome<Metric> {
    match (required(metric, "PredefinedMetricType")?, metric.optional("ResourceLabel")) {
        ("ASGAverageCPUUtilization", None) => Ok(Metric::Cpu),
        ("ASGAverageCPUUtilization", Some(_)) => {
            Err(validation("ResourceLabel is not allowed with ASGAverageCPUUtilization"))
        }
        ("ALBRequestCountPerTarget", Some(label)) if label.starts_with("app/") && label.contains("/targetgroup/") => {
            Ok(Metric::RequestsPerTarget { label: label.to_owned() })
        }
        ("ALBRequestCountPerTarget", _) => Err(validation(
            "ALBRequestCountPerTarget takes a ResourceLabel like app/<balancer>/<id>/targetgroup/<target group>/<id>",
        )),
        (other, _) => Err(validation(format!(
            "The local cloud has the metrics ASGAverageCPUUtilization and ALBRequestCountPerTarget, not '{other}'"
        ))),
    }
}

fn custom_metric(metric: &Params) -> Outcome<Metric> {
    let statistic = required(metric, "Statistic")?;
    if statistic.starts_with('p') || Statistic::parse(statistic).is_none() {
        return Err(validation(format!(
            "Statistic is Average, Minimum, Maximum, SampleCount or Sum, not '{statistic}'"
        )));
    }
    let unit = metric.optional("Unit");
    if let Some(unit) = unit.filter(|unit| !UNITS.contains(unit)) {
        return Err(validation(format!("'{unit}' is not a unit")));
    }
    let dimensions = metric
        .structures("Dimensions")
        .into_iter()
        .map(|dimension| Ok((required(&dimension, "Name")?.to_owned(), required(&dimension, "Value")?.to_owned())));
    Ok(Metric::Custom {
        namespace: required(metric, "Namespace")?.to_owned(),
        name: required(metric, "MetricName")?.to_owned(),
        dimensions: dimensions.collect::<Outcome<_>>()?,
        statistic: statistic.to_owned(),
        unit: unit.map(str::to_owned),
    })
}

fn adjustment(params: &Params, steps: bool) -> Outcome<Adjustment> {
    if params.structure("TargetTrackingConfiguration").is_some() {
        return Err(validation(
            "TargetTrackingConfiguration is only allowed with the policy type TargetTrackingScaling",
        ));
    }
    let adjustment_type = required(params, "AdjustmentType")?;
    if !ADJUSTMENT_TYPES.contains(&adjustment_type) {
        return Err(validation(format!("AdjustmentType must be one of {}", ADJUSTMENT_TYPES.join(", "))));
    }
    let integer = |params: &Params, name| number(params, name, -1_000_000, 1_000_000);
    let bound = |params: &Params, name| number(params, name, -1e108, 1e108);
    let given: Vec<Step> = params
        .structures("StepAdjustments")
        .into_iter()
        .map(|step| {
            Ok(Step {
                lower: bound(&step, "MetricIntervalLowerBound")?,
                upper: bound(&step, "MetricIntervalUpperBound")?,
                by: integer(&step, "ScalingAdjustment")?
                    .ok_or_else(|| validation("Every step takes a ScalingAdjustment"))?,
            })
        })
        .collect::<Outcome<_>>()?;
    let scaling_adjustment = integer(params, "ScalingAdjustment")?;
    if steps && (given.is_empty() || scaling_adjustment.is_some()) {
        return Err(validation("A StepScaling policy takes StepAdjustments and no ScalingAdjustment"));
    }
    if !steps && (!given.is_empty() || scaling_adjustment.is_none()) {
        return Err(validation("A SimpleScaling policy takes a ScalingAdjustment and no StepAdjustments"));
    }
    check_steps(&given)?;
    let aggregation = params.optional("MetricAggregationType");
    if let Some(other) = aggregation.filter(|word| !steps || !["Minimum", "Maximum", "Average"].contains(word)) {
        return Err(validation(format!(
            "MetricAggregationType is Minimum, Maximum or Average, of StepScaling policies alone: not '{other}'"
        )));
    }
    if steps && is_set(params, "Cooldown") {
        return Err(validation("Cooldown is not allowed with the policy type StepScaling"));
    }
    let mut minimum = ["MinAdjustmentMagnitude", "MinAdjustmentStep"].into_iter().filter(|name| is_set(params, name));
    if minimum.clone().count() > 1 {
        return Err(validation(
            "MinAdjustmentStep is the former name of MinAdjustmentMagnitude: specify only one of them",
        ));
    }
    if let Some(name) = minimum.next()
        && adjustment_type != "PercentChangeInCapacity"
    {
        return Err(validation(format!("{name} is only allowed with PercentChangeInCapacity")));
    }
    Ok(Adjustment {
        unit: adjustment_type.to_owned(),
        by: scaling_adjustment,
        min_magnitude: integer(params, "MinAdjustmentMagnitude")?,
        min_step: integer(params, "MinAdjustmentStep")?,
        cooldown_seconds: number(params, "Cooldown", 0, 172_800)?,
        aggregation: aggregation.map(str::to_owned),
        steps: given,
    })
}

/// Checks that steps have no gaps, do not overlap, and that only the outermost ones are unbounded.
fn check_steps(steps: &[Step]) -> Outcome<()> {
    let mut sorted: Vec<&Step> = steps.iter().collect();
    let from = |step: &Step| step.lower.unwrap_or(f64::NEG_INFINITY);
    let to = |step: &Step| step.upper.unwrap_or(f64::INFINITY);
    sorted.sort_by(|one, other| from(one).total_cmp(&from(other)));
    if sorted.iter().any(|step| from(step) >= to(step)) {
        return Err(validation("The lower bound of a step must be less than its upper bound"));
    }
    // Bounds are compared exactly as they were sent, because any gap is an error.
    let joined = sorted.windows(2).all(|pair| to(pair[0]).total_cmp(&from(pair[1])).is_eq());
    if !joined {
        return Err(validation("StepAdjustments must leave no gaps and must not overlap"));
    }
    Ok(())
}

/// Executes a policy immediately, as its alarm would.
fn execute(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "PolicyName")?;
    let clock = cloud.time_scale;
    let value = number(params, "MetricValue", -1e108, 1e108)?;
    let threshold = number(params, "BreachThreshold", -1e108, 1e108)?;
    let region = cloud.region_mut(call.region)?;
    let (group, name) = match name.strip_prefix("arn:") {
        Some(_) => region.autoscaling.groups.values_mut().find_map(|group| {
            let found = group.policies.values().find(|policy| policy.arn == name)?.name.clone();
            Some((group, found))
        }),
        None => Some((named_mut(region, params)?, name.to_owned())),
    }
    .ok_or_else(|| validation(format!("No scaling policy found with name {name}")))?;
    if let Some(PolicyKind::TargetTracking(_)) = group.policies.get(&name).map(|policy| &policy.kind) {
        return Err(validation(format!("The policy {name} follows its target by itself and cannot be executed")));
    }
    let is_step = matches!(group.policies.get(&name).map(|policy| &policy.kind), Some(PolicyKind::Step(_)));
    if is_step && (value.is_none() || threshold.is_none() || params.optional("HonorCooldown") == Some("true")) {
        return Err(validation(
            "A StepScaling policy is executed with MetricValue and BreachThreshold, and without HonorCooldown",
        ));
    }
    if !is_step && (value.is_some() || threshold.is_some()) {
        return Err(validation("MetricValue and BreachThreshold are of StepScaling policies alone"));
    }
    let trigger = Trigger {
        who: format!("a user request executed policy {name}"),
        values: value.zip(threshold).map(|(value, threshold)| value - threshold).into_iter().collect(),
        honours_cooldown: switch(params, "HonorCooldown")?.unwrap_or(false),
    };
    adjust::execute(group, &name, &trigger, call.now, clock.0)?;
    Ok(Node::new())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "PolicyName")?;
    let region = cloud.region_mut(call.region)?;
    let removed = if name.starts_with("arn:") {
        let mut groups = region.autoscaling.groups.values_mut();
        groups.find_map(|group| {
            let name = group.policies.values().find(|policy| policy.arn == name)?.name.clone();
            Some((group.policies.remove(&name)?, group.name.clone()))
        })
    } else {
        let group = named_mut(region, params)?;
        group.policies.remove(name).map(|policy| (policy, group.name.clone()))
    };
    let (policy, group) = removed.ok_or_else(|| validation(format!("No scaling policy found with name {name}")))?;
    alarms::remove(region, &policy, &group);
    Ok(Node::new())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (names, types) = (params.texts("PolicyNames"), params.texts("PolicyTypes"));
    let group = params.optional("AutoScalingGroupName");
    if let Some(name) = group.filter(|name| !region.autoscaling.groups.contains_key(*name)) {
        return Err(super::not_found(name));
    }
    let groups = region.autoscaling.groups.values().filter(|candidate| group.is_none_or(|name| candidate.name == name));
    let all: BTreeMap<&str, (&Group, &Policy)> = groups
        .flat_map(|group| group.policies.values().map(move |policy| (policy.arn.as_str(), (group, policy))))
        .filter(|(arn, (_, policy))| {
            (names.is_empty() || names.contains(&policy.name) || names.iter().any(|name| name == arn))
                && (types.is_empty() || types.iter().any(|kind| kind == kind_name(&policy.kind)))
        })
        .collect();
    let page = page(all.into_iter().collect(), params, |(arn, _)| arn)?;
    let shown = page.items.into_iter().map(|(_, (group, policy))| render(policy, group, call.scope()));
    Ok(Node::new().list("ScalingPolicies", shown).maybe("NextToken", page.next))
}

fn kind_name(kind: &PolicyKind) -> &'static str {
    match kind {
        PolicyKind::TargetTracking(_) => "TargetTrackingScaling",
        PolicyKind::Step(_) => "StepScaling",
        PolicyKind::Simple(_) => "SimpleScaling",
    }
}

fn render(policy: &Policy, group: &Group, scope: ArnScope<'_>) -> Node {
    let node = Node::new()
        .with("AutoScalingGroupName", &group.name)
        .with("PolicyName", &policy.name)
        .with("PolicyARN", &policy.arn)
        .with("PolicyType", kind_name(&policy.kind))
        .with("Enabled", policy.enabled)
        .maybe("EstimatedInstanceWarmup", policy.warmup_seconds)
        .with("Alarms", render_alarms(policy, &group.name, scope));
    match &policy.kind {
        PolicyKind::TargetTracking(tracking) => {
            let (specification, metric) = match &tracking.metric {
                Metric::Cpu => (PREDEFINED, Node::new().with("PredefinedMetricType", "ASGAverageCPUUtilization")),
                Metric::RequestsPerTarget { label } => (
                    PREDEFINED,
                    Node::new().with("PredefinedMetricType", "ALBRequestCountPerTarget").with("ResourceLabel", label),
                ),
                Metric::Custom { namespace, name, dimensions, statistic, unit } => {
                    let dimensions =
                        dimensions.iter().map(|(name, value)| Node::new().with("Name", name).with("Value", value));
                    let metric = Node::new()
                        .with("MetricName", name)
                        .with("Namespace", namespace)
                        .list("Dimensions", dimensions)
                        .with("Statistic", statistic)
                        .maybe("Unit", unit.as_ref());
                    ("CustomizedMetricSpecification", metric)
                }
            };
            let configuration = Node::new()
                .with(specification, metric)
                .with("TargetValue", tracking.target)
                .with("DisableScaleIn", tracking.disable_scale_in);
            node.with("TargetTrackingConfiguration", configuration).list("StepAdjustments", Vec::<Node>::new())
        }
        PolicyKind::Step(adjustment) | PolicyKind::Simple(adjustment) => {
            let steps = adjustment.steps.iter().map(|step| {
                Node::new()
                    .maybe("MetricIntervalLowerBound", step.lower)
                    .maybe("MetricIntervalUpperBound", step.upper)
                    .with("ScalingAdjustment", step.by)
            });
            node.with("AdjustmentType", &adjustment.unit)
                .maybe("ScalingAdjustment", adjustment.by)
                .maybe("MinAdjustmentMagnitude", adjustment.min_magnitude)
                .maybe("MinAdjustmentStep", adjustment.min_step)
                .maybe("Cooldown", adjustment.cooldown_seconds)
                .maybe("MetricAggregationType", adjustment.aggregation.as_ref())
                .list("StepAdjustments", steps)
        }
    }
}

/// Renders the alarms of a policy.
fn render_alarms(policy: &Policy, group: &str, scope: ArnScope<'_>) -> Node {
    let names = match &policy.kind {
        PolicyKind::TargetTracking(tracking) => alarms::names(tracking, group),
        _ => Vec::new(),
    };
    Node::items(names.into_iter().map(|name| {
        let arn = alarms::arn(scope, &name);
        Node::new().with("AlarmName", name).with("AlarmARN", arn)
    }))
}
