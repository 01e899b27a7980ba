//! The metrics document of the local cloud.

use crate::views::{Context, Problem, events::unknown_form};
use serde::Deserialize;
use std::collections::BTreeMap;

/// Time before a range from which values are read, in milliseconds: a rate needs the time of the previous measurement.
const LEAD: i64 = 60_000;

/// All series of the local cloud.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Document {
    pub(super) series: Vec<Series>,
}

/// One metric with one set of dimensions.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    pub(super) region: String,
    pub(super) namespace: String,
    pub(super) metric: String,
    #[serde(default)]
    pub(super) dimensions: BTreeMap<String, String>,
    #[serde(default)]
    pub(super) unit: Option<String>,
    #[serde(default)]
    pub(super) points: Vec<Point>,
    /// Percentiles of a latency by their names, such as `p95`.
    #[serde(default)]
    pub(super) percentiles: BTreeMap<String, Vec<(i64, f64)>>,
}

/// The samples of one measurement: time in milliseconds since 1970, number, sum, minimum, maximum.
#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
pub(super) struct Point(pub(super) i64, pub(super) f64, pub(super) f64, pub(super) f64, pub(super) f64);

impl Document {
    /// Reads the series since a time, in milliseconds since 1970.
    pub(super) async fn load(context: &Context, since: i64) -> Result<Self, Problem> {
        let path = format!("metrics?since={}", (since - LEAD).max(0));
        let document = context.cloud()?.get(&path).await?;
        let document = serde_json::from_value(document).map_err(|error| unknown_form("metrics", &error));
        let mut document: Self = document?;
        for series in &mut document.series {
            series.points.sort_by_key(|point| point.0);
            series.percentiles.values_mut().for_each(|points| points.sort_by_key(|point| point.0));
        }
        Ok(document)
    }

    /// Returns the series of a metric with exactly one dimension.
    pub(super) fn of(&self, region: &str, metric: &str, (dimension, value): (&str, &str)) -> Option<&Series> {
        self.series.iter().find(|series| {
            series.region == region && series.metric == metric && series.only_dimension(dimension) == Some(value)
        })
    }

    /// Returns the series of a namespace in a region.
    pub(super) fn of_namespace<'d>(&'d self, region: &'d str, namespace: &'d str) -> impl Iterator<Item = &'d Series> {
        self.series.iter().filter(move |series| series.region == region && series.namespace == namespace)
    }

    /// Returns the series of AWS's services in a region.
    pub(super) fn of_region<'d>(&'d self, region: &'d str) -> impl Iterator<Item = &'d Series> {
        self.series.iter().filter(move |series| series.region == region && series.namespace.starts_with("AWS/"))
    }
}

impl Series {
    /// Returns the value of a dimension, if the series has no other one.
    pub(super) fn only_dimension(&self, name: &str) -> Option<&str> {
        let is_only = self.namespace.starts_with("AWS/") && self.dimensions.len() == 1;
        self.dimensions.get(name).filter(|_| is_only).map(String::as_str)
    }

    /// Returns the factor from the unit to milliseconds. CloudWatch's latencies are in seconds, unless they say otherwise.
    pub(super) fn milliseconds(&self) -> f64 {
        match self.unit.as_deref() {
            Some("Milliseconds") => 1.0,
            Some("Microseconds") => 1e-3,
            _ => 1e3,
        }
    }
}
