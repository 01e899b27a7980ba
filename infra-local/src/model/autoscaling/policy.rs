//! Scaling policies.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// A scaling policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Policy {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) enabled: bool,
    pub(crate) warmup_seconds: Option<u32>,
    pub(crate) kind: PolicyKind,
}

/// The kinds of policies.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum PolicyKind {
    TargetTracking(Tracking),
    Step(Adjustment),
    Simple(Adjustment),
}

/// Settings of target tracking: keeps a metric near a target value.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Tracking {
    pub(crate) metric: Metric,
    pub(crate) target: f64,
    pub(crate) disable_scale_in: bool,
    /// Suffix of the names of its two alarms.
    pub(crate) alarm: String,
}

/// The metric of a target tracking policy.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Metric {
    Cpu,
    /// Requests per minute and target. The resource label contains the balancer and the target group.
    RequestsPerTarget {
        label: String,
    },
    /// A custom metric.
    Custom {
        namespace: String,
        name: String,
        dimensions: BTreeMap<String, String>,
        statistic: String,
        unit: Option<String>,
    },
}

/// The adjustment of a step or simple scaling policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Adjustment {
    /// `ChangeInCapacity`, `ExactCapacity` or `PercentChangeInCapacity`.
    pub(crate) unit: String,
    pub(crate) by: Option<i32>,
    pub(crate) min_magnitude: Option<i32>,
    /// The former parameter for the minimum magnitude, which only simple policies return.
    #[serde(default)]
    pub(crate) min_step: Option<i32>,
    pub(crate) cooldown_seconds: Option<u32>,
    pub(crate) aggregation: Option<String>,
    pub(crate) steps: Vec<Step>,
}

/// A step of a step scaling policy.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Step {
    pub(crate) lower: Option<f64>,
    pub(crate) upper: Option<f64>,
    pub(crate) by: i32,
}
