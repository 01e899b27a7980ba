//! Step and simple scaling: changes a group's capacity when a policy is executed.

use chrono::{DateTime, Utc};

use crate::model::autoscaling::{Adjustment, Group, Lifecycle, Policy, PolicyKind, Step};
use crate::model::clock::TimeScale;
use crate::wire::{ApiError, Outcome};

/// The cause of an execution of a policy.
pub(crate) struct Trigger {
    /// Cause in AWS's form, before "changing the desired capacity".
    pub(crate) who: String,
    /// Differences between metric and threshold, newest first; they select the step.
    pub(crate) values: Vec<f64>,
    pub(crate) honours_cooldown: bool,
}

/// Executes a step or simple scaling policy, and returns whether it changed the capacity.
pub(crate) fn execute(
    group: &mut Group,
    name: &str,
    trigger: &Trigger,
    now: DateTime<Utc>,
    time_scale: f64,
) -> Outcome<bool> {
    let clock = TimeScale(time_scale);
    let policy = group.policies.get(name).cloned();
    let policy = policy.ok_or_else(|| invalid(format!("No scaling policy found with name {name}")))?;
    if group.deleting || !policy.enabled {
        return Ok(false);
    }
    if group.is_suspended("AlarmNotification") {
        return Err(invalid("The process AlarmNotification of the group is suspended".to_owned()));
    }
    let desired = match &policy.kind {
        // The reconciler follows the target.
        PolicyKind::TargetTracking(_) => return Ok(false),
        PolicyKind::Simple(adjustment) => {
            let cooldown = adjustment.cooldown_seconds.unwrap_or(group.cooldown_seconds);
            let cooling = group.scaled_at.is_some_and(|scaled| !clock.over(scaled, cooldown, now));
            if cooling && trigger.honours_cooldown {
                let activity = group.activities.last().map_or("", |activity| &activity.id);
                return Err(ApiError::new(
                    "ScalingActivityInProgress",
                    format!("Scaling activity {activity} is in progress and blocks this action"),
                ));
            }
            adjusted(group, adjustment, adjustment.by.unwrap_or_default(), group.desired)
        }
        PolicyKind::Step(adjustment) => step(group, &policy, adjustment, trigger, (now, clock))?,
    };
    let changes = desired != group.desired;
    group.scale_to(desired, &format!("{},", trigger.who), now);
    Ok(changes)
}

/// Returns the capacity that a step adjustment calls for. Instances that still warm up count as added capacity, and
/// prevent a scale-in.
fn step(
    group: &Group,
    policy: &Policy,
    adjustment: &Adjustment,
    trigger: &Trigger,
    (now, clock): (DateTime<Utc>, TimeScale),
) -> Outcome<u32> {
    let beyond = aggregate(&trigger.values, adjustment.aggregation.as_deref());
    let beyond = beyond.ok_or_else(|| invalid("The metric has no value to choose a step by".to_owned()))?;
    let Some(step) = adjustment.steps.iter().find(|step| contains(step, beyond)) else { return Ok(group.desired) };
    let warmup = policy.warmup_seconds.or(group.warmup_seconds).unwrap_or(group.cooldown_seconds);
    let is_warm = |since: Option<DateTime<Utc>>| since.is_some_and(|since| clock.over(since, warmup, now));
    let warming = group
        .staying()
        .filter(|member| member.lifecycle.is_pending() || member.lifecycle == Lifecycle::InService)
        .filter(|member| !is_warm(member.in_service))
        .count() as u32;
    // Instances that are requested and not launched yet warm up as well.
    let warming = warming + group.desired.saturating_sub(group.staying().count() as u32);
    let desired = adjusted(group, adjustment, step.by, group.desired.saturating_sub(warming));
    let shrinks = adjusted(group, adjustment, step.by, group.desired) < group.desired;
    Ok(match (shrinks, warming) {
        (true, 0) => desired,
        (true, _) => group.desired,
        (false, _) => desired.max(group.desired).min(group.max),
    })
}

fn aggregate(values: &[f64], how: Option<&str>) -> Option<f64> {
    if values.is_empty() {
        return None;
    }
    Some(match how {
        Some("Minimum") => values.iter().copied().fold(f64::INFINITY, f64::min),
        Some("Maximum") => values.iter().copied().fold(f64::NEG_INFINITY, f64::max),
        _ => values.iter().sum::<f64>() / values.len() as f64,
    })
}

/// Returns whether a step contains a distance from the threshold. Above the threshold the lower bound is inclusive,
/// below it the upper one.
fn contains(step: &Step, beyond: f64) -> bool {
    let (lower, upper) = (step.lower.unwrap_or(f64::NEG_INFINITY), step.upper.unwrap_or(f64::INFINITY));
    if beyond >= 0.0 { beyond >= lower && beyond < upper } else { beyond > lower && beyond <= upper }
}

/// Returns the capacity after an adjustment of `base`, within the group's bounds.
fn adjusted(group: &Group, adjustment: &Adjustment, by: i32, base: u32) -> u32 {
    let by = i64::from(by);
    let base = i64::from(base);
    let desired = match adjustment.unit.as_str() {
        "ExactCapacity" => by,
        "PercentChangeInCapacity" => {
            let change = base as f64 * by as f64 / 100.0;
            // A change of less than one instance is rounded away from zero, a larger one towards zero, as on AWS.
            let rounded = if change.abs() < 1.0 && change != 0.0 { change.signum() } else { change.trunc() } as i64;
            let least = i64::from(adjustment.min_magnitude.or(adjustment.min_step).unwrap_or(0));
            base + if rounded.abs() < least { least * by.signum() } else { rounded }
        }
        _ => base + by,
    };
    desired.clamp(i64::from(group.min), i64::from(group.max)) as u32
}

fn invalid(message: String) -> ApiError {
    ApiError::new("ValidationError", message)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn step(lower: Option<f64>, upper: Option<f64>) -> Step {
        Step { lower, upper, by: 1 }
    }

    #[test]
    fn bounds_are_inclusive_towards_the_threshold() {
        assert!(contains(&step(Some(0.0), Some(10.0)), 0.0));
        assert!(!contains(&step(Some(0.0), Some(10.0)), 10.0));
        assert!(contains(&step(Some(10.0), None), 10.0));
        assert!(contains(&step(Some(-20.0), Some(-10.0)), -10.0));
        assert!(!contains(&step(Some(-20.0), Some(-10.0)), -20.0));
    }

    #[test]
    fn values_are_aggregated_by_the_type_of_the_policy() {
        let values = [1.0, 5.0, 3.0];
        assert_eq!(aggregate(&values, None), Some(3.0));
        assert_eq!(aggregate(&values, Some("Minimum")), Some(1.0));
        assert_eq!(aggregate(&values, Some("Maximum")), Some(5.0));
        assert_eq!(aggregate(&[], None), None);
    }
}
