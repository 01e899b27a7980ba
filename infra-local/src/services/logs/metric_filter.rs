//! Metric filters: metrics of the events that match a pattern.

use std::collections::BTreeMap;

use chrono::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pattern::Pattern;
use super::{LogOperation, input, invalid, milliseconds, no_group, resource};
use crate::model::Cloud;
use crate::model::cloudwatch::metrics::{MetricName, Metrics, Sample, UNITS};
use crate::model::logs::{LogGroup, MetricFilter};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "PutMetricFilter", put).on(&[resource::GROUP]),
    typed!(Reads, "DescribeMetricFilters", describe).on(&[resource::GROUP]),
    typed!(Writes, "DeleteMetricFilter", delete).on(&[resource::GROUP]),
    typed!(Reads, "TestMetricFilter", test).on_any(),
];

/// AWS's limit of filters per group.
const MOST: usize = 100;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Put {
    log_group_name: String,
    filter_name: String,
    filter_pattern: String,
    metric_transformations: Vec<Transformation>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)]
struct Transformation {
    metric_name: String,
    metric_namespace: String,
    metric_value: String,
    default_value: Option<f64>,
    unit: Option<String>,
}

fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    check_name(&request.filter_name)?;
    Pattern::parse(&request.filter_pattern)?;
    let [transformation] = <[Transformation; 1]>::try_from(request.metric_transformations)
        .map_err(|_| invalid("metricTransformations must have exactly one member."))?;
    if transformation.metric_value.parse::<f64>().is_err() {
        return Err(invalid(format!(
            "Invalid metric transformation: the value '{}' must be a number; the local cloud extracts no fields.",
            transformation.metric_value
        )));
    }
    let invalid_name = |name: &str| name.is_empty() || name.len() > 255 || name.contains([':', '*', '$']);
    if invalid_name(&transformation.metric_name) || invalid_name(&transformation.metric_namespace) {
        return Err(invalid("A metric and its namespace have 1 to 255 characters without ':', '*' and '$'."));
    }
    if let Some(unit) = transformation.unit.as_deref().filter(|unit| !UNITS.contains(unit)) {
        return Err(invalid(format!("The unit {unit} is not one of {}", UNITS.join(", "))));
    }
    let groups = &mut cloud.region_mut(call.region)?.logs.groups;
    let group = groups.get_mut(&request.log_group_name).ok_or_else(no_group)?;
    if group.metric_filters.len() >= MOST && !group.metric_filters.contains_key(&request.filter_name) {
        return Err(ApiError::new("LimitExceededException", "Resource limit exceeded."));
    }
    let filter = MetricFilter {
        pattern: request.filter_pattern,
        namespace: transformation.metric_namespace,
        metric: transformation.metric_name,
        value: transformation.metric_value,
        default: transformation.default_value,
        unit: transformation.unit,
        created: call.now,
        name: request.filter_name,
    };
    group.metric_filters.insert(filter.name.clone(), filter);
    Ok(json!({}))
}

pub(super) fn check_name(name: &str) -> Outcome<()> {
    if (1..=512).contains(&name.chars().count()) && !name.contains([':', '*']) {
        return Ok(());
    }
    Err(invalid(format!(
        "1 validation error detected: Value '{name}' at 'filterName' failed to satisfy constraint: Member must satisfy regular \
         expression pattern: [^:*]* and have 1 to 512 characters"
    )))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    log_group_name: Option<String>,
    filter_name_prefix: Option<String>,
    metric_name: Option<String>,
    metric_namespace: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    if request.metric_name.is_some() != request.metric_namespace.is_some() {
        return Err(invalid("metricName and metricNamespace must be given together."));
    }
    let groups = &cloud.region(call.region)?.logs.groups;
    let group = request.log_group_name.as_deref();
    if group.is_some_and(|name| !groups.contains_key(name)) {
        return Err(no_group());
    }
    let prefix = request.filter_name_prefix.unwrap_or_default();
    let wanted = |filter: &MetricFilter| {
        filter.name.starts_with(&prefix)
            && request.metric_name.as_ref().is_none_or(|name| *name == filter.metric)
            && request.metric_namespace.as_ref().is_none_or(|namespace| *namespace == filter.namespace)
    };
    let all = groups.values().filter(|known| group.is_none_or(|name| name == known.name));
    let all = all.flat_map(|group| group.metric_filters.values().map(move |filter| (group, filter)));
    let keyed = all.filter(|(_, filter)| wanted(filter));
    let keyed = keyed.map(|(group, filter)| (format!("{}\n{}", filter.name, group.name), render(group, filter)));
    let limit = super::group::limit(request.limit)?;
    let page = Page::cut(keyed.collect(), limit, request.next_token.as_deref(), |(key, _)| key)?;
    let mut answer = json!({"metricFilters": page.items.into_iter().map(|(_, node)| node).collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn render(group: &LogGroup, filter: &MetricFilter) -> Value {
    let mut transformation = json!({
        "metricName": filter.metric,
        "metricNamespace": filter.namespace,
        "metricValue": filter.value,
    });
    if let Some(default) = filter.default {
        transformation["defaultValue"] = json!(default);
    }
    if let Some(unit) = &filter.unit {
        transformation["unit"] = json!(unit);
    }
    json!({
        "filterName": filter.name,
        "filterPattern": filter.pattern,
        "metricTransformations": [transformation],
        "creationTime": milliseconds(filter.created),
        "logGroupName": group.name,
    })
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Delete {
    log_group_name: String,
    filter_name: String,
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Delete) -> Outcome<Value> {
    let groups = &mut cloud.region_mut(call.region)?.logs.groups;
    let group = groups.get_mut(&request.log_group_name).ok_or_else(no_group)?;
    let removed = group.metric_filters.remove(&request.filter_name);
    removed
        .map(|_| json!({}))
        .ok_or_else(|| ApiError::new("ResourceNotFoundException", "The specified metric filter does not exist."))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Test {
    filter_pattern: String,
    log_event_messages: Vec<String>,
}

fn test(_: &Cloud, _: &Call<'_, Value>, request: Test) -> Outcome<Value> {
    if !(1..=50).contains(&request.log_event_messages.len()) {
        return Err(invalid("logEventMessages has 1 to 50 members."));
    }
    let pattern = Pattern::parse(&request.filter_pattern)?;
    let matches = (1..).zip(&request.log_event_messages).filter(|(_, message)| pattern.matches(message));
    let matches = matches.map(
        |(number, message): (usize, _)| json!({"eventNumber": number, "eventMessage": message, "extractedValues": {}}),
    );
    Ok(json!({"matches": matches.collect::<Vec<_>>()}))
}

/// Publishes the metrics of new events: a value per matching event, and the default value for each minute with events of
/// which none matches.
pub(super) fn publish(metrics: &Metrics, region: &str, group: &LogGroup, events: &[(i64, String)]) {
    for filter in group.metric_filters.values() {
        let (Ok(pattern), Ok(value)) = (Pattern::parse(&filter.pattern), filter.value.parse::<f64>()) else { continue };
        let unit = filter.unit.as_deref().unwrap_or("None");
        let Some(unit) = UNITS.iter().find(|known| **known == unit) else { continue };
        let name = MetricName {
            region: region.to_owned(),
            namespace: filter.namespace.clone(),
            name: filter.metric.clone(),
            dimensions: BTreeMap::new(),
        };
        let mut minutes: BTreeMap<i64, bool> = BTreeMap::new();
        for (timestamp, message) in events {
            let matches = pattern.matches(message);
            *minutes.entry(timestamp.div_euclid(60_000)).or_default() |= matches;
            if let Some(time) = DateTime::from_timestamp_millis(*timestamp).filter(|_| matches) {
                metrics.record(&name, Sample::value(time, unit, value));
            }
        }
        let Some(default) = filter.default else { continue };
        for (minute, _) in minutes.into_iter().filter(|(_, matches)| !matches) {
            if let Some(time) = DateTime::from_timestamp_millis(minute * 60_000) {
                metrics.record(&name, Sample::value(time, unit, default));
            }
        }
    }
}
