//! Statistics of a metric.

use chrono::{DateTime, TimeDelta, Utc};
use serde::Deserialize;
use serde_json::{Map, Value, json};

use super::alarm::check_unit;
use super::{Dimension, Time, WatchOperation, dimensions, input, invalid, validation};
use crate::model::Cloud;
use crate::model::cloudwatch::metrics::{MetricName, Period, Statistic};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[WatchOperation] = &[typed!(Reads, "GetMetricStatistics", statistics).on_any()];

/// AWS's limit of datapoints per response of GetMetricStatistics.
const STATISTICS: i64 = 1440;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)]
struct Statistics {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    start_time: Time,
    end_time: Time,
    period: u32,
    #[serde(default)]
    statistics: Vec<String>,
    #[serde(default)]
    extended_statistics: Vec<String>,
    unit: Option<String>,
}

fn statistics(cloud: &Cloud, call: &Call<'_, Value>, request: Statistics) -> Outcome<Value> {
    let words: Vec<&String> = request.statistics.iter().chain(&request.extended_statistics).collect();
    if words.is_empty() {
        return Err(ApiError::new("MissingParameter", "The parameter Statistics or ExtendedStatistics is required."));
    }
    let wanted = words.into_iter().map(|word| {
        let statistic = Statistic::parse(word).ok_or_else(|| invalid(format!("'{word}' is not a statistic.")))?;
        Ok((word.clone(), statistic))
    });
    let wanted: Vec<(String, Statistic)> = wanted.collect::<Outcome<_>>()?;
    let length = period(request.period)?;
    let (from, to) = span(request.start_time, request.end_time)?;
    if (to - from).num_seconds() / i64::from(request.period) > STATISTICS {
        return Err(ApiError::new(
            "InvalidParameterCombination",
            format!(
                "You have requested more than {STATISTICS} datapoints; reduce them by increasing Period or decreasing the time range."
            ),
        ));
    }
    check_unit(request.unit.as_deref())?;
    let name = MetricName {
        region: call.region.to_owned(),
        namespace: request.namespace,
        name: request.metric_name,
        dimensions: dimensions(request.dimensions)?,
    };
    let periods = cloud.metrics.periods(&name, request.unit.as_deref(), from, to, length);
    let shown: Vec<Value> = periods.iter().map(|period| datapoint(period, &wanted)).collect();
    Ok(json!({"Label": name.name, "Datapoints": shown}))
}

fn datapoint(period: &Period, wanted: &[(String, Statistic)]) -> Value {
    let mut node = json!({"Timestamp": timestamp(period.start), "Unit": period.unit});
    let mut extended = Map::new();
    for (word, statistic) in wanted {
        let value = json!(period.statistic(*statistic));
        match statistic {
            Statistic::Percentile(_) => drop(extended.insert(word.clone(), value)),
            _ => node[word] = value,
        }
    }
    if !extended.is_empty() {
        node["ExtendedStatistics"] = Value::Object(extended);
    }
    node
}

pub(super) fn period(seconds: u32) -> Outcome<TimeDelta> {
    if [1, 5, 10, 20, 30].contains(&seconds) || (seconds > 0 && seconds.is_multiple_of(60)) {
        return Ok(TimeDelta::seconds(seconds.into()));
    }
    Err(invalid("The parameter Period must be 1, 5, 10, 20, 30 or a multiple of 60."))
}

pub(super) fn span(start: Time, end: Time) -> Outcome<(DateTime<Utc>, DateTime<Utc>)> {
    if start.0 < end.0 {
        return Ok((start.0, end.0));
    }
    Err(validation("The parameter StartTime must be less than the parameter EndTime."))
}
