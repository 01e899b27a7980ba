//! Metrics and logs of deployed resources, which the monitoring services of a target keep.
//!
//! A provider implements [`Monitoring`], and programs that show a stack, such as a console, read from it. Times are in
//! milliseconds since 1970.

use crate::diagnostic::Diagnostic;
use async_trait::async_trait;
use std::{collections::BTreeMap, fmt};

/// The monitoring services of a target.
#[async_trait]
pub trait Monitoring: Send + Sync {
    /// Returns the values of each metric in the period, the oldest first.
    async fn metrics(
        &self,
        region: &str,
        queries: &[MetricQuery],
        period: Period,
    ) -> Result<Vec<Vec<Sample>>, Diagnostic>;

    /// Returns the last events of a log group that match; `None` if the group does not exist.
    async fn log_events(&self, region: &str, query: &LogQuery) -> Result<Option<LogEvents>, Diagnostic>;
}

/// A statistic of a metric.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct MetricQuery {
    /// Namespace, such as `AWS/EC2`.
    pub namespace: String,
    /// Name of the metric, such as `CPUUtilization`.
    pub metric: String,
    /// Dimensions, such as the instance's id by `InstanceId`.
    pub dimensions: BTreeMap<String, String>,
    /// Statistic, such as `Average` or `p95`.
    pub statistic: String,
}

/// A time range, and the length of the intervals over which values are aggregated.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Period {
    /// Beginning.
    pub from: i64,
    /// End, excluded.
    pub to: i64,
    /// Length of an interval, in seconds: a multiple of 60.
    pub seconds: u32,
}

/// The value of an interval.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Sample {
    /// Beginning of the interval.
    pub at: i64,
    /// The statistic's value.
    pub value: f64,
}

/// A search in a log group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogQuery {
    /// Name of the group.
    pub group: String,
    /// Beginning of the time range.
    pub from: i64,
    /// End of the time range, included.
    pub to: i64,
    /// Text of the returned events; all events if empty.
    pub text: String,
    /// Maximum number of events.
    pub limit: usize,
}

/// Events of a log group, the oldest first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LogEvents {
    /// The events.
    pub events: Vec<LogEvent>,
    /// `true` if earlier events match too.
    pub has_older: bool,
    /// `true` if the end of the time range was not searched, because it has too many events.
    pub is_cut: bool,
}

/// An event of a log stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogEvent {
    /// Name of the stream.
    pub stream: String,
    /// Time of the event.
    pub at: i64,
    /// Text of the event.
    pub message: String,
}

impl fmt::Debug for dyn Monitoring {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Monitoring")
    }
}
