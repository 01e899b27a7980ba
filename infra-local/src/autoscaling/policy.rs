//! Scaling policies.

use std::collections::BTreeMap;

use uuid::Uuid;

use super::{NAME, PAGES, named_mut, number, page, required, switch, validation};
use crate::cloud::Cloud;
use crate::model::ACCOUNT;
use crate::model::scaling::{Adjustment, Group, Metric, Policy, PolicyKind, Step, Tracking};
use crate::wire::{Call, Node, Operation, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("PutScalingPolicy", put, &[NAME, POLICY]),
    Operation::reads("DescribePolicies", describe, &[NAME, &["PolicyNames.N", "PolicyTypes.N"], PAGES]),
    Operation::writes("DeletePolicy", delete, &[NAME, &["PolicyName"]]),
];

const POLICY: &[&str] = &[
    "PolicyName",
    "PolicyType",
    "Enabled",
    "EstimatedInstanceWarmup",
    "AdjustmentType",
    "ScalingAdjustment",
    "MinAdjustmentMagnitude",
    "Cooldown",
    "MetricAggregationType",
    "StepAdjustments.N.MetricIntervalLowerBound",
    "StepAdjustments.N.MetricIntervalUpperBound",
    "StepAdjustments.N.ScalingAdjustment",
    "TargetTrackingConfiguration.PredefinedMetricSpecification.PredefinedMetricType",
    "TargetTrackingConfiguration.PredefinedMetricSpecification.ResourceLabel",
    "TargetTrackingConfiguration.TargetValue",
    "TargetTrackingConfiguration.DisableScaleIn",
];

const ADJUSTMENT_TYPES: &[&str] = &["ChangeInCapacity", "ExactCapacity", "PercentChangeInCapacity"];

fn put(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "PolicyName")?;
    let kind = match params.optional("PolicyType").unwrap_or("SimpleScaling") {
        "TargetTrackingScaling" => PolicyKind::TargetTracking(tracking(params)?),
        "StepScaling" => PolicyKind::Step(adjustment(params, true)?),
        "SimpleScaling" => PolicyKind::Simple(adjustment(params, false)?),
        other => {
            return Err(validation(format!(
                "The local cloud has the policy types TargetTrackingScaling, StepScaling and SimpleScaling, not '{other}'"
            )));
        }
    };
    let group = named_mut(cloud.region_mut(call.region)?, params)?;
    let before = group.policies.get(name);
    let mut policy = Policy {
        name: name.to_owned(),
        arn: before.map_or_else(
            || {
                format!(
                    "arn:aws:autoscaling:{}:{ACCOUNT}:scalingPolicy:{}:autoScalingGroupName/{}:policyName/{name}",
                    call.region,
                    Uuid::new_v4(),
                    group.name
                )
            },
            |before| before.arn.clone(),
        ),
        enabled: switch(params, "Enabled")?.unwrap_or(true),
        warmup_seconds: number(params, "EstimatedInstanceWarmup", 0, 172_800)?,
        kind,
    };
    // An update keeps the alarms.
    if let Some(PolicyKind::TargetTracking(before)) = before.map(|before| &before.kind)
        && let PolicyKind::TargetTracking(tracking) = &mut policy.kind
    {
        tracking.alarm.clone_from(&before.alarm);
    }
    let node = Node::new().with("PolicyARN", &policy.arn).with("Alarms", alarms(&policy, &group.name, call.region));
    group.policies.insert(name.to_owned(), policy);
    Ok(node)
}

fn tracking(params: &Params) -> Outcome<Tracking> {
    for other in ["AdjustmentType", "ScalingAdjustment", "Cooldown", "MetricAggregationType", "MinAdjustmentMagnitude"]
    {
        if params.optional(other).is_some() {
            return Err(validation(format!("{other} is not allowed with the policy type TargetTrackingScaling")));
        }
    }
    let Some(configuration) = params.structure("TargetTrackingConfiguration") else {
        return Err(validation("TargetTrackingConfiguration is required for the policy type TargetTrackingScaling"));
    };
    let target = number(&configuration, "TargetValue", 1e-9, 1e108)?
        .ok_or_else(|| validation("TargetTrackingConfiguration.TargetValue must be specified"))?;
    let Some(metric) = configuration.structure("PredefinedMetricSpecification") else {
        return Err(validation(
            "The local cloud has predefined metrics: PredefinedMetricSpecification must be specified",
        ));
    };
    let label = metric.optional("ResourceLabel");
    let metric = match (required(&metric, "PredefinedMetricType")?, label) {
        ("ASGAverageCPUUtilization", None) => Metric::Cpu,
        ("ASGAverageCPUUtilization", Some(_)) => {
            return Err(validation("ResourceLabel is not allowed with ASGAverageCPUUtilization"));
        }
        ("ALBRequestCountPerTarget", Some(label)) if label.starts_with("app/") && label.contains("/targetgroup/") => {
            Metric::RequestsPerTarget { label: label.to_owned() }
        }
        ("ALBRequestCountPerTarget", _) => {
            return Err(validation(
                "ALBRequestCountPerTarget takes a ResourceLabel like app/<balancer>/<id>/targetgroup/<target group>/<id>",
            ));
        }
        (other, _) => {
            return Err(validation(format!(
                "The local cloud has the metrics ASGAverageCPUUtilization and ALBRequestCountPerTarget, not '{other}'"
            )));
        }
    };
    Ok(Tracking {
        metric,
        target,
        disable_scale_in: switch(&configuration, "DisableScaleIn")?.unwrap_or(false),
        alarm: Uuid::new_v4().to_string(),
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
    let whole = |params: &Params, name| number(params, name, -1_000_000, 1_000_000);
    let bound = |params: &Params, name| number(params, name, -1e108, 1e108);
    let given: Vec<Step> = params
        .structures("StepAdjustments")
        .into_iter()
        .map(|step| {
            Ok(Step {
                lower: bound(&step, "MetricIntervalLowerBound")?,
                upper: bound(&step, "MetricIntervalUpperBound")?,
                by: whole(&step, "ScalingAdjustment")?
                    .ok_or_else(|| validation("Every step takes a ScalingAdjustment"))?,
            })
        })
        .collect::<Outcome<_>>()?;
    let scaling_adjustment = whole(params, "ScalingAdjustment")?;
    if steps && (given.is_empty() || scaling_adjustment.is_some()) {
        return Err(validation("A StepScaling policy takes StepAdjustments and no ScalingAdjustment"));
    }
    if !steps && (!given.is_empty() || scaling_adjustment.is_none()) {
        return Err(validation("A SimpleScaling policy takes a ScalingAdjustment and no StepAdjustments"));
    }
    Ok(Adjustment {
        unit: adjustment_type.to_owned(),
        by: scaling_adjustment,
        min_magnitude: whole(params, "MinAdjustmentMagnitude")?,
        cooldown_seconds: number(params, "Cooldown", 0, 172_800)?,
        aggregation: params.optional("MetricAggregationType").map(str::to_owned),
        steps: given,
    })
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = required(params, "PolicyName")?;
    let region = cloud.region_mut(call.region)?;
    let removed = if name.starts_with("arn:") {
        let mut groups = region.scaling.values_mut();
        groups.find_map(|group| {
            let name = group.policies.values().find(|policy| policy.arn == name)?.name.clone();
            group.policies.remove(&name)
        })
    } else {
        named_mut(region, params)?.policies.remove(name)
    };
    removed.map(|_| Node::new()).ok_or_else(|| validation(format!("No scaling policy found with name {name}")))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (names, types) = (params.texts("PolicyNames"), params.texts("PolicyTypes"));
    let group = params.optional("AutoScalingGroupName");
    if let Some(name) = group.filter(|name| !region.scaling.contains_key(*name)) {
        return Err(super::not_found(name));
    }
    let groups = region.scaling.values().filter(|candidate| group.is_none_or(|name| candidate.name == name));
    let all: BTreeMap<&str, (&Group, &Policy)> = groups
        .flat_map(|group| group.policies.values().map(move |policy| (policy.arn.as_str(), (group, policy))))
        .filter(|(arn, (_, policy))| {
            (names.is_empty() || names.contains(&policy.name) || names.iter().any(|name| name == arn))
                && (types.is_empty() || types.iter().any(|kind| kind == kind_name(&policy.kind)))
        })
        .collect();
    let page = page(all.into_iter().collect(), params, |(arn, _)| arn)?;
    let shown = page.items.into_iter().map(|(_, (group, policy))| render(policy, group, call.region));
    Ok(Node::new().list("ScalingPolicies", shown).maybe("NextToken", page.next))
}

fn kind_name(kind: &PolicyKind) -> &'static str {
    match kind {
        PolicyKind::TargetTracking(_) => "TargetTrackingScaling",
        PolicyKind::Step(_) => "StepScaling",
        PolicyKind::Simple(_) => "SimpleScaling",
    }
}

/// The alarms that belong to a target tracking policy.
fn alarms(policy: &Policy, group: &str, region: &str) -> Node {
    let PolicyKind::TargetTracking(tracking) = &policy.kind else { return Node::items(Vec::<Node>::new()) };
    let sides = if tracking.disable_scale_in { &["AlarmHigh"][..] } else { &["AlarmHigh", "AlarmLow"] };
    Node::items(sides.iter().map(|side| {
        let name = format!("TargetTracking-{group}-{side}-{}", tracking.alarm);
        let arn = format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}");
        Node::new().with("AlarmName", name).with("AlarmARN", arn)
    }))
}

fn render(policy: &Policy, group: &Group, region: &str) -> Node {
    let node = Node::new()
        .with("AutoScalingGroupName", &group.name)
        .with("PolicyName", &policy.name)
        .with("PolicyARN", &policy.arn)
        .with("PolicyType", kind_name(&policy.kind))
        .with("Enabled", policy.enabled)
        .maybe("EstimatedInstanceWarmup", policy.warmup_seconds)
        .with("Alarms", alarms(policy, &group.name, region));
    match &policy.kind {
        PolicyKind::TargetTracking(tracking) => {
            let metric = match &tracking.metric {
                Metric::Cpu => Node::new().with("PredefinedMetricType", "ASGAverageCPUUtilization"),
                Metric::RequestsPerTarget { label } => {
                    Node::new().with("PredefinedMetricType", "ALBRequestCountPerTarget").with("ResourceLabel", label)
                }
            };
            let configuration = Node::new()
                .with("PredefinedMetricSpecification", metric)
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
                .maybe("Cooldown", adjustment.cooldown_seconds)
                .maybe("MetricAggregationType", adjustment.aggregation.as_ref())
                .list("StepAdjustments", steps)
        }
    }
}
