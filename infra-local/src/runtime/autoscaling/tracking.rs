//! Target tracking: scales out as soon as a metric is above its target, and scales in slowly.

use chrono::TimeDelta;

use super::{Env, scaled};
use crate::model::Region;
use crate::model::autoscaling::{Group, Lifecycle, Member, Metric, Policy, PolicyKind, Tracking};
use crate::model::cloudwatch::metrics::{MetricName, Statistic};

/// Period above the target after which a group scales out, in AWS's seconds.
const OUT_SECONDS: f64 = 60.0;

/// Period below the target after which a group scales in, and minimum time between two scale-ins, in AWS's seconds.
const IN_SECONDS: f64 = 900.0;

/// Share of the target below which a group scales in.
const IN_MARGIN: f64 = 0.9;

/// Lower bounds of the periods in real time, so that processes can be measured.
const SHORTEST_OUT: TimeDelta = TimeDelta::seconds(2);
const SHORTEST_IN: TimeDelta = TimeDelta::seconds(10);

/// Requested change of a policy.
struct CapacityChange {
    desired: u32,
    who: String,
}

/// Applies the group's target tracking policies: the highest capacity wins, so all policies have to agree to a
/// scale-in.
pub(super) fn scale(group: &mut Group, region: &Region, env: &Env<'_>) {
    if group.deleting || group.is_suspended("AlarmNotification") {
        return;
    }
    let policies = group.policies.values().filter(|policy| policy.enabled);
    let tracked: Vec<(&Policy, &Tracking)> = policies
        .filter_map(|policy| match &policy.kind {
            PolicyKind::TargetTracking(tracking) => Some((policy, tracking)),
            _ => None,
        })
        .collect();
    let out = tracked
        .iter()
        .filter_map(|(policy, tracking)| scale_out(group, region, policy, tracking, env))
        .max_by_key(|change| change.desired);
    let change = out.or_else(|| {
        let changes: Option<Vec<CapacityChange>> =
            tracked.iter().map(|(policy, tracking)| scale_in(group, region, policy, tracking, env)).collect();
        changes?.into_iter().max_by_key(|change| change.desired)
    });
    if let Some(change) = change {
        tracing::info!(group = group.name, desired = change.desired, "{}", change.who);
        group.scale_to(change.desired, &change.who, env.now);
    }
}

fn scale_out(
    group: &Group,
    region: &Region,
    policy: &Policy,
    tracking: &Tracking,
    env: &Env<'_>,
) -> Option<CapacityChange> {
    let period = scaled(OUT_SECONDS, env.time_scale).max(SHORTEST_OUT);
    let past_warmup = past_warmup(group, policy, env);
    let value = value(&past_warmup, group, region, tracking, period, env)?;
    if value <= tracking.target {
        return None;
    }
    let needed = proportional(past_warmup.len(), value, tracking.target).min(group.max);
    let who = who(group, policy, tracking, "AlarmHigh");
    (needed > group.desired).then_some(CapacityChange { desired: needed, who })
}

fn scale_in(
    group: &Group,
    region: &Region,
    policy: &Policy,
    tracking: &Tracking,
    env: &Env<'_>,
) -> Option<CapacityChange> {
    let period = scaled(IN_SECONDS, env.time_scale).max(SHORTEST_IN);
    let past_warmup = past_warmup(group, policy, env);
    let settled = past_warmup.len() == group.desired as usize
        && group.staying().count() == past_warmup.len()
        && group.active_refresh().is_none()
        && group.scaled_at.is_none_or(|scaled| env.now - scaled >= period);
    if tracking.disable_scale_in || !settled {
        return None;
    }
    let value = value(&past_warmup, group, region, tracking, period, env)?;
    if value >= tracking.target * IN_MARGIN {
        return None;
    }
    // Removes one instance at a time, and none if the load would exceed the target again.
    let needed = proportional(past_warmup.len(), value, tracking.target * IN_MARGIN);
    let desired = needed.max(group.desired.saturating_sub(1)).max(group.min);
    let who = who(group, policy, tracking, "AlarmLow");
    (desired < group.desired).then_some(CapacityChange { desired, who })
}

fn proportional(count: usize, value: f64, target: f64) -> u32 {
    // The slack keeps 2 × 50 / 50 from becoming 3.
    (count as f64 * value / target - 1e-9).ceil().max(1.0) as u32
}

fn who(group: &Group, policy: &Policy, tracking: &Tracking, side: &str) -> String {
    format!(
        "a monitor alarm TargetTracking-{}-{side}-{} in state ALARM triggered policy {}",
        group.name, tracking.alarm, policy.name
    )
}

/// Returns the members that have been in service for the warm-up time. Others count neither as capacity nor as load.
fn past_warmup<'a>(group: &'a Group, policy: &Policy, env: &Env<'_>) -> Vec<&'a Member> {
    let warmup = policy.warmup_seconds.or(group.warmup_seconds).unwrap_or(group.cooldown_seconds);
    let in_service = group.staying().filter(|member| member.lifecycle == Lifecycle::InService);
    in_service.filter(|member| member.in_service.is_some_and(|since| env.over(since, warmup))).collect()
}

/// Returns the metric over the last period.
fn value(
    past_warmup: &[&Member],
    group: &Group,
    region: &Region,
    tracking: &Tracking,
    period: TimeDelta,
    env: &Env<'_>,
) -> Option<f64> {
    if past_warmup.is_empty() {
        return None;
    }
    match &tracking.metric {
        Metric::Cpu => {
            let values: Option<Vec<f64>> =
                past_warmup.iter().map(|member| env.metrics.cpu(&member.instance, period)).collect();
            let values = values?;
            Some(values.iter().sum::<f64>() / values.len() as f64)
        }
        Metric::RequestsPerTarget { label } => {
            let mut arns = group.target_groups.iter();
            let arn = arns.find(|arn| {
                region.elbv2.target_groups.contains_key(*arn)
                    && arn.rsplit(':').next().is_some_and(|name| label.ends_with(name))
            })?;
            Some(env.metrics.requests(arn, period)? / past_warmup.len() as f64)
        }
        Metric::Custom { namespace, name, dimensions, statistic, unit } => {
            let name = MetricName {
                region: region.name.clone(),
                namespace: namespace.clone(),
                name: name.clone(),
                dimensions: dimensions.clone(),
            };
            // One period that ends now. Periods of stored metrics begin at multiples of their length.
            let found = env.custom.periods(&name, unit.as_deref(), env.now - period, env.now, TimeDelta::days(36_500));
            found.first()?.statistic(Statistic::parse(statistic)?)
        }
    }
}
