//! Alarms of target tracking policies.
//!
//! The data plane evaluates a policy by its metric. The alarms evaluate the same metric, but have no effect.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::model::autoscaling::{Group, Metric, Policy, PolicyKind, Tracking};
use crate::model::cloudwatch::alarm::{Alarm, AlarmState, Comparison};
use crate::model::{ArnScope, Region};

/// AWS's numbers of periods: scaling out is fast, scaling in is slow.
const HIGH_PERIODS: u32 = 3;
const LOW_PERIODS: u32 = 15;

/// Share of the target below which the low alarm fires.
const LOW_MARGIN: f64 = 0.9;

/// Creates or updates the alarms of a policy.
pub(crate) fn put(region: &mut Region, group: &str, policy: &Policy, now: DateTime<Utc>) {
    remove(region, policy, group);
    let PolicyKind::TargetTracking(tracking) = &policy.kind else { return };
    for name in names(tracking, group) {
        let alarm = alarm(&name, region.scope(), group, policy, tracking, now);
        region.cloudwatch.alarms.insert(name, alarm);
    }
}

/// Deletes the alarms of a policy.
pub(crate) fn remove(region: &mut Region, policy: &Policy, group: &str) {
    if let PolicyKind::TargetTracking(tracking) = &policy.kind {
        for side in SIDES {
            region.cloudwatch.alarms.remove(&name(tracking, group, side));
        }
    }
}

/// Deletes the alarms of all policies of a group.
pub(crate) fn remove_all(region: &mut Region, group: &Group) {
    for policy in group.policies.values() {
        remove(region, policy, &group.name);
    }
}

const SIDES: [&str; 2] = ["AlarmHigh", "AlarmLow"];

/// Returns the names of a policy's alarms.
pub(crate) fn names(tracking: &Tracking, group: &str) -> Vec<String> {
    let sides = if tracking.disable_scale_in { &SIDES[..1] } else { &SIDES[..] };
    sides.iter().map(|side| name(tracking, group, side)).collect()
}

fn name(tracking: &Tracking, group: &str, side: &str) -> String {
    format!("TargetTracking-{group}-{side}-{}", tracking.alarm)
}

/// Returns the ARN of an alarm.
pub(crate) fn arn(scope: ArnScope<'_>, name: &str) -> String {
    scope.arn("cloudwatch", format_args!("alarm:{name}"))
}

fn alarm(
    name: &str,
    scope: ArnScope<'_>,
    group: &str,
    policy: &Policy,
    tracking: &Tracking,
    now: DateTime<Utc>,
) -> Alarm {
    let high = name.contains(SIDES[0]);
    let (namespace, metric, dimensions, statistic, unit) = watched(&tracking.metric, group);
    Alarm {
        name: name.to_owned(),
        arn: arn(scope, name),
        description: Some(format!("DO NOT EDIT OR DELETE. For TargetTrackingScaling policy {}.", policy.arn)),
        actions_enabled: true,
        actions: [(AlarmState::Alarm, vec![policy.arn.clone()])].into(),
        namespace,
        metric,
        dimensions,
        statistic,
        period_seconds: 60,
        unit,
        evaluation_periods: if high { HIGH_PERIODS } else { LOW_PERIODS },
        datapoints_to_alarm: None,
        threshold: if high { tracking.target } else { tracking.target * LOW_MARGIN },
        comparison: if high { Comparison::GreaterThanThreshold } else { Comparison::LessThanThreshold },
        missing: None,
        tags: BTreeMap::new(),
        state: AlarmState::InsufficientData,
        reason: "Unchecked: Initial alarm creation".to_owned(),
        reason_data: None,
        configured: now,
        state_updated: now,
        transitioned: now,
    }
}

type Watched = (String, String, BTreeMap<String, String>, String, Option<String>);

/// Returns namespace, name, dimensions, statistic and unit of a policy's metric.
fn watched(metric: &Metric, group: &str) -> Watched {
    match metric {
        Metric::Cpu => (
            "AWS/EC2".to_owned(),
            "CPUUtilization".to_owned(),
            [("AutoScalingGroupName".to_owned(), group.to_owned())].into(),
            "Average".to_owned(),
            None,
        ),
        Metric::RequestsPerTarget { label } => {
            let targets = label.find("targetgroup/").map_or(label.as_str(), |at| &label[at..]);
            (
                "AWS/ApplicationELB".to_owned(),
                "RequestCountPerTarget".to_owned(),
                [("TargetGroup".to_owned(), targets.to_owned())].into(),
                "Sum".to_owned(),
                None,
            )
        }
        Metric::Custom { namespace, name, dimensions, statistic, unit } => {
            (namespace.clone(), name.clone(), dimensions.clone(), statistic.clone(), unit.clone())
        }
    }
}
