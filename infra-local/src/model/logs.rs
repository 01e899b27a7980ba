//! CloudWatch Logs' groups and streams. Their events are in files outside of the state.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::Tags;

/// CloudWatch Logs' part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Logs {
    /// Log groups by name.
    pub(crate) groups: BTreeMap<String, LogGroup>,
}

super::changes::record_by_field!(Logs { whole: [], maps: [groups], parts: [], children: [], apart: [] });

/// A log group.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogGroup {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: DateTime<Utc>,
    pub(crate) retention_days: Option<u32>,
    pub(crate) tags: Tags,
    /// By name.
    pub(crate) streams: BTreeMap<String, LogStream>,
}

/// A sequence of events.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct LogStream {
    pub(crate) name: String,
    pub(crate) arn: String,
    pub(crate) created: DateTime<Utc>,
    /// The name of its file.
    pub(crate) file: String,
}
