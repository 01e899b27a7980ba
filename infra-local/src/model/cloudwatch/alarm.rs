//! CloudWatch alarms and their history.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use crate::model::Tags;

/// An alarm on one metric.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// Clippy would rename fields; the names are those of AWS's API.
#[allow(clippy::struct_field_names)]
pub(crate) struct Alarm {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) description: Option<String>,
    pub(crate) actions_enabled: bool,
    /// ARNs of the actions, by the state that triggers them.
    pub(crate) actions: BTreeMap<AlarmState, Vec<String>>,
    pub(crate) namespace: String,
    pub(crate) metric: String,
    pub(crate) dimensions: BTreeMap<String, String>,
    /// `Average`, `p99`…
    pub(crate) statistic: String,
    pub(crate) period_seconds: u32,
    pub(crate) unit: Option<String>,
    pub(crate) evaluation_periods: u32,
    pub(crate) datapoints_to_alarm: Option<u32>,
    pub(crate) threshold: f64,
    pub(crate) comparison: Comparison,
    pub(crate) missing: Option<Missing>,
    pub(crate) tags: Tags,
    pub(crate) state: AlarmState,
    pub(crate) reason: String,
    pub(crate) reason_data: Option<String>,
    /// Time of the last change of its settings.
    pub(crate) configured: DateTime<Utc>,
    /// Time at which its state was last set.
    pub(crate) state_updated: DateTime<Utc>,
    /// Time of the last change of its state.
    pub(crate) transitioned: DateTime<Utc>,
}

/// The states of an alarm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
pub(crate) enum AlarmState {
    Ok,
    Alarm,
    InsufficientData,
}

/// Comparison of a value with the threshold.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[allow(clippy::enum_variant_names)]
pub(crate) enum Comparison {
    GreaterThanOrEqualToThreshold,
    GreaterThanThreshold,
    LessThanThreshold,
    LessThanOrEqualToThreshold,
}

/// Treatment of periods without values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
#[allow(clippy::enum_variant_names)]
pub(crate) enum Missing {
    Missing,
    Ignore,
    Breaching,
    NotBreaching,
}

/// An entry of an alarm's history.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct HistoryItem {
    pub(crate) alarm: String,
    pub(crate) time: DateTime<Utc>,
    pub(crate) kind: HistoryKind,
    pub(crate) summary: String,
    /// JSON.
    pub(crate) data: String,
}

/// Kinds of items of the history.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum HistoryKind {
    ConfigurationUpdate,
    StateUpdate,
    Action,
}

impl AlarmState {
    /// Returns the name in AWS's API.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Alarm => "ALARM",
            Self::InsufficientData => "INSUFFICIENT_DATA",
        }
    }
}

impl Comparison {
    pub(crate) fn breaches(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::GreaterThanOrEqualToThreshold => value >= threshold,
            Self::GreaterThanThreshold => value > threshold,
            Self::LessThanThreshold => value < threshold,
            Self::LessThanOrEqualToThreshold => value <= threshold,
        }
    }

    /// Returns the text of the comparison in reasons.
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::GreaterThanOrEqualToThreshold => "greater than or equal to",
            Self::GreaterThanThreshold => "greater than",
            Self::LessThanThreshold => "less than",
            Self::LessThanOrEqualToThreshold => "less than or equal to",
        }
    }
}

impl Alarm {
    /// Returns the actions of the current state.
    pub(crate) fn due_actions(&self) -> &[String] {
        let actions = self.actions.get(&self.state).filter(|_| self.actions_enabled);
        actions.map(Vec::as_slice).unwrap_or_default()
    }
}
