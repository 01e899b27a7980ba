//! GetMetricData: series of several metrics, and expressions on them.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::alarm::check_unit;
use super::history::ScanBy;
use super::math::{Expression, Series, Value as Computed};
use super::query::{period, span};
use super::{Dimension, Time, WatchOperation, dimensions, input, validation};
use crate::model::cloudwatch::metrics::{MetricName, Statistic};
use crate::model::{Account, Cloud};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[WatchOperation] = &[typed!(Reads, "GetMetricData", data)
    .on_any()
    // The labels of the local cloud have no dynamic parts, whose times would need a zone.
    .ignoring(&[&["LabelOptions"]])];

/// AWS's limits of queries and of datapoints per response.
const QUERIES: usize = 500;
const DATAPOINTS: usize = 100_800;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Data {
    metric_data_queries: Vec<Query>,
    start_time: Time,
    end_time: Time,
    scan_by: Option<ScanBy>,
    max_datapoints: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Query {
    id: String,
    metric_stat: Option<MetricStat>,
    expression: Option<String>,
    label: Option<String>,
    return_data: Option<bool>,
    /// Period of an expression. Its series have the periods of their queries.
    period: Option<u32>,
    account_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct MetricStat {
    metric: Metric,
    period: u32,
    stat: String,
    unit: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)]
struct Metric {
    namespace: String,
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
}

fn data(cloud: &Cloud, call: &Call<'_, Value>, request: Data) -> Outcome<Value> {
    let (from, to) = span(request.start_time, request.end_time)?;
    let queries = &request.metric_data_queries;
    if queries.is_empty() || queries.len() > QUERIES {
        return Err(validation(format!("The collection MetricDataQueries must have a size from 1 to {QUERIES}.")));
    }
    check_ids(queries, call.account)?;
    let mut series: BTreeMap<String, Series> = BTreeMap::new();
    for query in queries {
        if let Some(stat) = query.metric_stat()? {
            series.insert(query.id.clone(), stat.series(cloud, call.region, (from, to))?);
        }
    }
    let metrics: Vec<Series> = series.values().cloned().collect();
    evaluate(queries, &mut series, &metrics)?;
    let offset: usize = match request.next_token.as_deref() {
        Some(token) => token.parse().map_err(|_| ApiError::new("InvalidNextToken", "The NextToken is not valid."))?,
        None => 0,
    };
    let most = request.max_datapoints.unwrap_or(DATAPOINTS).clamp(1, DATAPOINTS);
    Ok(page(queries, &series, request.scan_by != Some(ScanBy::TimestampAscending), (offset, most)))
}

fn check_ids(queries: &[Query], account: Account) -> Outcome<()> {
    for (index, query) in queries.iter().enumerate() {
        let valid = |character: char| character.is_ascii_alphanumeric() || character == '_';
        let begins = query.id.starts_with(|first: char| first.is_ascii_lowercase());
        if !begins || !query.id.chars().all(valid) {
            return Err(validation(format!(
                "The value '{}' for parameter MetricDataQueries.member.{}.Id is not matching the expected pattern \
                 ^[a-z][a-zA-Z0-9_]*$.",
                query.id,
                index + 1
            )));
        }
        if queries[..index].iter().any(|other| other.id == query.id) {
            return Err(validation(format!("Id {} is used more than once; ids are unique in a request.", query.id)));
        }
        if query.account_id.as_deref().is_some_and(|other| account != *other) {
            return Err(validation("The local cloud has the metrics of its own account alone: leave AccountId out."));
        }
    }
    Ok(())
}

impl Query {
    /// Returns the metric of the query; `None` for an expression.
    fn metric_stat(&self) -> Outcome<Option<&MetricStat>> {
        match (&self.metric_stat, &self.expression) {
            (Some(_), Some(_)) | (None, None) => Err(validation(format!(
                "Exactly one of MetricStat and Expression must be specified in the query {}.",
                self.id
            ))),
            (stat, _) => Ok(stat.as_ref()),
        }
    }

    fn label(&self) -> &str {
        let own = self.metric_stat.as_ref().map_or(self.id.as_str(), |stat| stat.metric.metric_name.as_str());
        self.label.as_deref().unwrap_or(own)
    }
}

impl MetricStat {
    fn series(&self, cloud: &Cloud, region: &str, (from, to): (DateTime<Utc>, DateTime<Utc>)) -> Outcome<Series> {
        let statistic = Statistic::parse(&self.stat);
        let statistic =
            statistic.ok_or_else(|| validation(format!("The value {} for parameter Stat is invalid.", self.stat)))?;
        check_unit(self.unit.as_deref())?;
        let name = MetricName {
            region: region.to_owned(),
            namespace: self.metric.namespace.clone(),
            name: self.metric.metric_name.clone(),
            dimensions: dimensions(self.metric.dimensions.clone())?,
        };
        let periods = cloud.metrics.periods(&name, self.unit.as_deref(), from, to, period(self.period)?);
        let values = periods.iter().filter_map(|one| Some((one.start.timestamp_millis(), one.statistic(statistic)?)));
        Ok(values.collect())
    }
}

/// Evaluates the expressions, each after the expressions that it uses.
fn evaluate(queries: &[Query], series: &mut BTreeMap<String, Series>, metrics: &[Series]) -> Outcome<()> {
    let mut pending = Vec::new();
    for query in queries {
        let Some(text) = &query.expression else { continue };
        if let Some(seconds) = query.period {
            period(seconds)?;
        }
        let parsed = Expression::parse(text).map_err(|problem| wrong(&query.id, &problem))?;
        pending.push((query.id.clone(), parsed));
    }
    while !pending.is_empty() {
        let ready = pending.iter().position(|(_, parsed)| parsed.ids().iter().all(|id| series.contains_key(*id)));
        let Some(ready) = ready else {
            return Err(wrong(&pending[0].0, "it uses an id that no other query has, or itself"));
        };
        let (id, parsed) = pending.swap_remove(ready);
        let computed = match parsed.evaluate(series, metrics).map_err(|problem| wrong(&id, &problem))? {
            Computed::Series(computed) => computed,
            Computed::Scalar(number) => {
                let times = metrics.iter().flat_map(|other| other.keys().copied());
                times.map(|time| (time, number)).collect()
            }
            Computed::Array(_) => return Err(wrong(&id, "its result is an array; reduce it, for example with SUM")),
        };
        series.insert(id, computed);
    }
    Ok(())
}

fn wrong(id: &str, problem: &str) -> ApiError {
    validation(format!("Error in expression '{id}': {problem}."))
}

/// Returns the datapoints after an offset. Series that do not fit are continued by the next page.
fn page(
    queries: &[Query],
    series: &BTreeMap<String, Series>,
    descending: bool,
    (offset, most): (usize, usize),
) -> Value {
    let (mut skipped, mut left, mut next) = (offset, most, None);
    let mut results = Vec::new();
    for query in queries.iter().filter(|query| query.return_data.unwrap_or(true)) {
        let Some(values) = series.get(&query.id) else { continue };
        let mut points: Vec<(i64, f64)> = values.iter().map(|(time, value)| (*time, *value)).collect();
        if descending {
            points.reverse();
        }
        let before = skipped.min(points.len());
        skipped -= before;
        let shown: Vec<(i64, f64)> = points[before..].iter().copied().take(left).collect();
        left -= shown.len();
        let is_complete = before + shown.len() == points.len();
        if !is_complete {
            next = Some((offset + most).to_string());
        }
        let time = |time: i64| timestamp(DateTime::from_timestamp_millis(time).unwrap_or_default());
        results.push(json!({
            "Id": query.id,
            "Label": query.label(),
            "Timestamps": shown.iter().map(|point| time(point.0)).collect::<Vec<_>>(),
            "Values": shown.iter().map(|point| point.1).collect::<Vec<_>>(),
            "StatusCode": if is_complete { "Complete" } else { "PartialData" },
        }));
    }
    json!({"MetricDataResults": results, "Messages": [], "NextToken": next})
}
