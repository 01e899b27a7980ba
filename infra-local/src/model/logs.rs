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
    /// Queries of Logs Insights by id.
    pub(crate) queries: BTreeMap<String, StoredQuery>,
    /// Saved queries by id.
    pub(crate) query_definitions: BTreeMap<String, QueryDefinition>,
    /// Policies that permit services to write events, by name.
    pub(crate) resource_policies: BTreeMap<String, ResourcePolicy>,
}

super::changes::record_by_field!(Logs {
    whole: [],
    maps: [groups, queries, query_definitions, resource_policies],
    parts: [],
    children: [],
    apart: [],
});

/// A query of Logs Insights, which is evaluated whenever its results are requested.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoredQuery {
    pub(crate) id: String,
    pub(crate) text: String,
    /// Names of the log groups.
    pub(crate) groups: Vec<String>,
    /// First and last second, since 1970.
    pub(crate) start: i64,
    pub(crate) end: i64,
    pub(crate) limit: Option<u32>,
    pub(crate) created: DateTime<Utc>,
}

/// A saved query.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct QueryDefinition {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) query: String,
    pub(crate) language: String,
    pub(crate) groups: Vec<String>,
    pub(crate) modified: DateTime<Utc>,
}

/// A policy that permits services to write events. It is recorded; the services that it names write none here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct ResourcePolicy {
    pub(crate) name: String,
    /// The document, as it was given.
    pub(crate) document: String,
    pub(crate) updated: DateTime<Utc>,
}

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
    /// By name.
    #[serde(default)]
    pub(crate) metric_filters: BTreeMap<String, MetricFilter>,
    /// By name.
    #[serde(default)]
    pub(crate) subscription_filters: BTreeMap<String, SubscriptionFilter>,
}

/// A metric of the events that match a pattern.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct MetricFilter {
    pub(crate) name: String,
    pub(crate) pattern: String,
    pub(crate) namespace: String,
    pub(crate) metric: String,
    /// Value of a matching event, as it was given.
    pub(crate) value: String,
    /// Value of a minute with events of which none matches.
    pub(crate) default: Option<f64>,
    pub(crate) unit: Option<String>,
    pub(crate) created: DateTime<Utc>,
}

/// A destination of the events that match a pattern. It is recorded; the local cloud has no destinations.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SubscriptionFilter {
    pub(crate) name: String,
    pub(crate) pattern: String,
    pub(crate) destination: String,
    pub(crate) role: Option<String>,
    /// `Random` or `ByLogStream`.
    pub(crate) distribution: String,
    pub(crate) created: DateTime<Utc>,
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
