//! Steps of a scaling policy: adjustments by the distance of a metric from its alarm's threshold.

use aws_sdk_autoscaling::types::{ScalingPolicy, StepAdjustment};
use infra_core::provider::Problem;
use serde::{Deserialize, Serialize};

/// Steps of a scaling policy: adjustments by the distance of a metric from the threshold of its alarm.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Steps {
    /// Unit of the adjustments.
    pub adjustment: Adjustment,
    /// Steps, at least one. Each begins where the previous one ends.
    pub steps: Vec<Step>,
    /// Minimum number of instances that an adjustment in percent adds or removes; only with [`Adjustment::Percent`].
    pub min_magnitude: Option<u32>,
    /// Aggregation of the values of the metric in a period; [`Aggregation::Average`] when omitted.
    pub aggregation: Option<Aggregation>,
}

/// Unit of adjustments.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Adjustment {
    /// Change of the number of instances.
    Change,
    /// Number of instances.
    Exact,
    /// Change of the number of instances in per cent.
    Percent,
}

/// Aggregation of several values.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Aggregation {
    /// Minimum.
    Minimum,
    /// Maximum.
    Maximum,
    /// Average.
    Average,
}

/// A step: the adjustment while the distance of a metric from the threshold of its alarm is in an interval.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// Lower bound of the distance; unbounded when omitted.
    pub from: Option<f64>,
    /// Upper bound of the distance; unbounded when omitted.
    pub to: Option<f64>,
    /// Adjustment, in the unit of [`Steps::adjustment`]; negative to remove instances.
    pub by: i32,
}

impl Step {
    /// Returns a step from `from` to `to` above the threshold; below it, both are negative.
    pub fn between(from: f64, to: f64, by: i32) -> Self {
        Self { from: Some(from), to: Some(to), by }
    }

    /// Returns a step from `from` above the threshold.
    pub fn above(from: f64, by: i32) -> Self {
        Self { from: Some(from), to: None, by }
    }

    /// Returns a step up to `to` above the threshold; below it, `to` is negative.
    pub fn below(to: f64, by: i32) -> Self {
        Self { from: None, to: Some(to), by }
    }
}

impl Steps {
    /// Returns steps that change the number of instances.
    pub fn changing(steps: impl IntoIterator<Item = Step>) -> Self {
        let steps = steps.into_iter().collect();
        Self { adjustment: Adjustment::Change, steps, min_magnitude: None, aggregation: None }
    }

    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut sorted: Vec<(f64, f64)> = self
            .steps
            .iter()
            .map(|step| (step.from.unwrap_or(f64::NEG_INFINITY), step.to.unwrap_or(f64::INFINITY)))
            .collect();
        sorted.sort_by(|one, other| one.0.total_cmp(&other.0));
        let joined = sorted.windows(2).all(|pair| pair[0].1.total_cmp(&pair[1].0).is_eq());
        if sorted.is_empty() || !joined || sorted.iter().any(|(from, to)| from.is_nan() || to.is_nan() || from >= to) {
            let text = "there is at least one step; each ends above its beginning, and the next begins at its end";
            problems.push(Problem::new("scaling.steps.steps", text));
        }
        if self.min_magnitude.is_some() && self.adjustment != Adjustment::Percent {
            let text = "only a change by per cent has a minimum magnitude";
            problems.push(Problem::new("scaling.steps.min_magnitude", text));
        }
        problems
    }

    pub(super) fn adjustments(&self) -> Vec<StepAdjustment> {
        let step = |step: &Step| {
            StepAdjustment::builder()
                .set_metric_interval_lower_bound(step.from)
                .set_metric_interval_upper_bound(step.to)
                .scaling_adjustment(step.by)
                .build()
        };
        self.steps.iter().map(step).collect()
    }

    /// Returns the steps of a policy, in the recorded order if they are the same.
    pub(super) fn of(policy: &ScalingPolicy, recorded: Option<&Self>) -> Self {
        let step = |step: &StepAdjustment| Step {
            from: step.metric_interval_lower_bound(),
            to: step.metric_interval_upper_bound(),
            by: step.scaling_adjustment().unwrap_or_default(),
        };
        let mut steps: Vec<Step> = policy.step_adjustments().iter().map(step).collect();
        if let Some(recorded) = recorded
            && recorded.steps.len() == steps.len()
            && recorded.steps.iter().all(|step| steps.contains(step))
        {
            steps.clone_from(&recorded.steps);
        }
        let aggregation = match policy.metric_aggregation_type() {
            Some("Minimum") => Some(Aggregation::Minimum),
            Some("Maximum") => Some(Aggregation::Maximum),
            // The description contains the default as well.
            Some(_) if recorded.is_some_and(|recorded| recorded.aggregation.is_none()) => None,
            Some(_) => Some(Aggregation::Average),
            None => None,
        };
        Self {
            adjustment: match policy.adjustment_type() {
                Some("ExactCapacity") => Adjustment::Exact,
                Some("PercentChangeInCapacity") => Adjustment::Percent,
                _ => Adjustment::Change,
            },
            steps,
            min_magnitude: policy.min_adjustment_magnitude().map(i32::cast_unsigned),
            aggregation,
        }
    }
}

impl Adjustment {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Change => "ChangeInCapacity",
            Self::Exact => "ExactCapacity",
            Self::Percent => "PercentChangeInCapacity",
        }
    }
}

impl Aggregation {
    pub(super) fn word(self) -> &'static str {
        match self {
            Self::Minimum => "Minimum",
            Self::Maximum => "Maximum",
            Self::Average => "Average",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_refuses_gaps_between_steps() {
        let steps = |steps: &[Step]| Steps::changing(steps.iter().copied()).problems();
        assert!(steps(&[Step::between(0.0, 20.0, 1), Step::above(20.0, 3)]).is_empty());
        assert!(steps(&[Step::below(-20.0, -2), Step::between(-20.0, 0.0, -1)]).is_empty());
        for bad in [&[][..], &[Step::between(0.0, 10.0, 1), Step::above(20.0, 3)], &[Step::between(5.0, 5.0, 1)]] {
            assert_eq!(steps(bad)[0].property, "scaling.steps.steps", "{bad:?}");
        }
    }

    #[test]
    fn existing_steps_keep_the_recorded_order() {
        let steps = Steps::changing([Step::above(20.0, 3), Step::between(0.0, 20.0, 1)]);
        let existing = ScalingPolicy::builder()
            .policy_name("scale-abc")
            .adjustment_type("ChangeInCapacity")
            .metric_aggregation_type("Average")
            .set_step_adjustments(Some(steps.adjustments().into_iter().rev().collect()))
            .build();
        assert_eq!(Steps::of(&existing, Some(&steps)), steps);
    }
}
