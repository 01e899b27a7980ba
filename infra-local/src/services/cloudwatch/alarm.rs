//! Alarms on metrics: put, describe, delete, enable and disable.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::tag::{Tag, read_tags};
use super::{ALARM, ALARMS, Dimension, WatchOperation, dimensions, input, render_dimensions, validation};
use crate::model::Cloud;
use crate::model::cloudwatch::alarm::{Alarm, AlarmState, Comparison, HistoryItem, HistoryKind, Missing};
use crate::model::cloudwatch::metrics::{Statistic, UNITS};
use crate::model::{ACCOUNT, Region};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[WatchOperation] = &[
    typed!(Writes, "PutMetricAlarm", put).on(&[ALARM]),
    typed!(Reads, "DescribeAlarms", describe).on(&[ALARMS]),
    typed!(Reads, "DescribeAlarmsForMetric", describe_for_metric).on_any(),
    typed!(Writes, "DeleteAlarms", delete).on(&[ALARMS]),
    typed!(Writes, "SetAlarmState", set_state).on(&[ALARM]),
    typed!(Writes, "EnableAlarmActions", enable).on(&[ALARMS]),
    typed!(Writes, "DisableAlarmActions", disable).on(&[ALARMS]),
];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    alarm_name: String,
    alarm_description: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(rename = "OKActions", default)]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: u32,
    unit: Option<String>,
    evaluation_periods: u32,
    datapoints_to_alarm: Option<u32>,
    threshold: f64,
    comparison_operator: Comparison,
    treat_missing_data: Option<Missing>,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let region = cloud.region_mut(call.region)?;
    let actions = [
        (AlarmState::Ok, request.ok_actions.clone()),
        (AlarmState::Alarm, request.alarm_actions.clone()),
        (AlarmState::InsufficientData, request.insufficient_data_actions.clone()),
    ];
    for action in actions.iter().flat_map(|(_, actions)| actions) {
        check_action(region, action)?;
    }
    if actions.iter().any(|(_, actions)| actions.len() > 5) {
        return Err(validation("An alarm has at most 5 actions for each of its states."));
    }
    let tags = read_tags(request.tags.clone())?;
    let (statistic, dimensions) = checked(&request)?;
    let before = region.cloudwatch.alarms.get(&request.alarm_name);
    let kept = |initial: &str| before.map_or_else(|| initial.to_owned(), |alarm| alarm.reason.clone());
    let alarm = Alarm {
        arn: arn(call.region, &request.alarm_name),
        description: request.alarm_description,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        actions: actions.into_iter().filter(|(_, actions)| !actions.is_empty()).collect(),
        namespace: request.namespace,
        metric: request.metric_name,
        dimensions,
        statistic,
        period_seconds: request.period,
        unit: request.unit,
        evaluation_periods: request.evaluation_periods,
        datapoints_to_alarm: request.datapoints_to_alarm,
        threshold: request.threshold,
        comparison: request.comparison_operator,
        missing: request.treat_missing_data,
        // Tags are accepted only at creation.
        tags: before.map_or(tags, |alarm| alarm.tags.clone()),
        state: before.map_or(AlarmState::InsufficientData, |alarm| alarm.state),
        reason: kept("Unchecked: Initial alarm creation"),
        reason_data: before.and_then(|alarm| alarm.reason_data.clone()),
        configured: call.now,
        state_updated: before.map_or(call.now, |alarm| alarm.state_updated),
        transitioned: before.map_or(call.now, |alarm| alarm.transitioned),
        name: request.alarm_name,
    };
    let what = if before.is_some() { "updated" } else { "created" };
    region.cloudwatch.remember(configuration(&alarm, what, call));
    region.cloudwatch.alarms.insert(alarm.name.clone(), alarm);
    Ok(json!({}))
}

/// Validates the request and returns the statistic and the dimensions of the alarm.
fn checked(request: &Put) -> Outcome<(String, BTreeMap<String, String>)> {
    let length = request.alarm_name.chars().count();
    if !(1..=255).contains(&length) {
        return Err(validation("AlarmName must have 1 to 255 characters."));
    }
    let statistic = match (&request.statistic, &request.extended_statistic) {
        (Some(word), None) if word.starts_with('p') => None,
        (Some(word), None) | (None, Some(word)) => Statistic::parse(word).map(|_| word.clone()),
        _ => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Exactly one of the parameters Statistic and ExtendedStatistic must be specified.",
            ));
        }
    };
    let statistic = statistic.ok_or_else(|| {
        validation("Statistic is SampleCount, Average, Sum, Minimum or Maximum, ExtendedStatistic is p0 to p100.")
    })?;
    if ![10, 20, 30].contains(&request.period) && (request.period == 0 || !request.period.is_multiple_of(60)) {
        return Err(validation("Period must be 10, 20, 30 or a multiple of 60."));
    }
    let most = request.evaluation_periods;
    if most == 0 || request.datapoints_to_alarm.is_some_and(|datapoints| !(1..=most).contains(&datapoints)) {
        return Err(validation(
            "EvaluationPeriods is at least 1, and DatapointsToAlarm lies between 1 and EvaluationPeriods.",
        ));
    }
    if u64::from(request.period) * u64::from(most) > 86_400 {
        return Err(validation(
            "Metrics cannot be checked across more than a day (EvaluationPeriods * Period must be <= 86400).",
        ));
    }
    check_unit(request.unit.as_deref())?;
    if request.namespace.is_empty() || request.namespace.starts_with(':') || request.metric_name.is_empty() {
        return Err(validation("Namespace must not begin with ':', and neither it nor MetricName may be empty."));
    }
    Ok((statistic, dimensions(request.dimensions.clone())?))
}

pub(super) fn check_unit(unit: Option<&str>) -> Outcome<()> {
    match unit {
        Some(unit) if !UNITS.contains(&unit) => Err(validation(format!("'{unit}' is not a unit."))),
        _ => Ok(()),
    }
}

/// Checks that the action is a scaling policy, the only kind that the local cloud supports; other actions are refused
/// by name.
fn check_action(region: &Region, arn: &str) -> Outcome<()> {
    let mut parts = arn.splitn(6, ':');
    let service = (parts.next() == Some("arn")).then(|| parts.nth(1)).flatten().unwrap_or_default();
    let missing =
        |what: &str| Err(validation(format!("The local cloud has no {what}: leave the action {arn} out, or use AWS")));
    match service {
        "autoscaling" if arn.contains(":scalingPolicy:") => {
            let mut policies = region.autoscaling.groups.values().flat_map(|group| group.policies.values());
            match policies.find(|policy| policy.arn == arn) {
                Some(_) => Ok(()),
                None => Err(validation(format!("There is no scaling policy {arn} in this region."))),
            }
        }
        "sns" => missing("Simple Notification Service"),
        "lambda" => missing("Lambda functions"),
        "automate" | "swf" => missing("EC2 actions of alarms"),
        "ssm" | "ssm-incidents" => missing("operations items and incidents"),
        _ => Err(validation(format!("Invalid arn syntax: {arn}"))),
    }
}

fn configuration(alarm: &Alarm, what: &str, call: &Call<'_, Value>) -> HistoryItem {
    let kind = what.trim_end_matches('d').to_owned();
    let kind = format!("{}{}", kind[..1].to_ascii_uppercase(), &kind[1..]);
    let data = json!({"version": "1.0", "type": kind, "updatedAlarm": {"alarmName": alarm.name, "threshold": alarm.threshold}});
    HistoryItem {
        alarm: alarm.name.clone(),
        time: call.now,
        kind: HistoryKind::ConfigurationUpdate,
        summary: format!("Alarm \"{}\" {what}", alarm.name),
        data: data.to_string(),
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Describe {
    #[serde(default)]
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    #[serde(default)]
    alarm_types: Vec<String>,
    state_value: Option<AlarmState>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    if !request.alarm_names.is_empty() && request.alarm_name_prefix.is_some() {
        return Err(validation("AlarmNames and AlarmNamePrefix cannot be given together."));
    }
    if request.max_records.is_some_and(|records| !(1..=100).contains(&records)) {
        return Err(validation("MaxRecords must be between 1 and 100."));
    }
    let metrics_wanted = request.alarm_types.is_empty() || request.alarm_types.iter().any(|kind| kind == "MetricAlarm");
    let prefix = request.alarm_name_prefix.unwrap_or_default();
    let wanted = |alarm: &&Alarm| {
        let mut actions = alarm.actions.values().flatten();
        (request.alarm_names.is_empty() || request.alarm_names.contains(&alarm.name))
            && alarm.name.starts_with(&prefix)
            && request.state_value.is_none_or(|state| state == alarm.state)
            && request.action_prefix.as_ref().is_none_or(|prefix| actions.any(|action| action.starts_with(prefix)))
    };
    let alarms = cloud.region(call.region)?.cloudwatch.alarms.values().filter(|_| metrics_wanted).filter(wanted);
    let limit = Some(request.max_records.unwrap_or(50));
    let page = Page::cut(alarms.collect(), limit, request.next_token.as_deref(), |alarm: &&Alarm| &alarm.name)?;
    let shown: Vec<Value> = page.items.into_iter().map(render).collect();
    Ok(json!({"MetricAlarms": shown, "CompositeAlarms": [], "NextToken": page.next}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct ForMetric {
    metric_name: String,
    namespace: String,
    statistic: Option<String>,
    extended_statistic: Option<String>,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    period: Option<u32>,
    unit: Option<String>,
}

fn describe_for_metric(cloud: &Cloud, call: &Call<'_, Value>, request: ForMetric) -> Outcome<Value> {
    let dimensions = dimensions(request.dimensions)?;
    let statistic = request.statistic.or(request.extended_statistic);
    let alarms = cloud.region(call.region)?.cloudwatch.alarms.values().filter(|alarm| {
        alarm.namespace == request.namespace
            && alarm.metric == request.metric_name
            && alarm.dimensions == dimensions
            && statistic.as_ref().is_none_or(|statistic| *statistic == alarm.statistic)
            && request.period.is_none_or(|period| period == alarm.period_seconds)
            && request.unit.as_ref().is_none_or(|unit| alarm.unit.as_ref() == Some(unit))
    });
    Ok(json!({"MetricAlarms": alarms.map(render).collect::<Vec<_>>()}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Names {
    alarm_names: Vec<String>,
}

/// Deletes all alarms, or none if one does not exist.
fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Names) -> Outcome<Value> {
    let watching = &mut cloud.region_mut(call.region)?.cloudwatch;
    if let Some(absent) = request.alarm_names.iter().find(|name| !watching.alarms.contains_key(*name)) {
        return Err(not_found(absent));
    }
    for name in &request.alarm_names {
        if let Some(alarm) = watching.alarms.remove(name) {
            watching.remember(configuration(&alarm, "deleted", call));
        }
    }
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct SetState {
    alarm_name: String,
    state_value: AlarmState,
    state_reason: String,
    state_reason_data: Option<String>,
}

/// Sets the state until the next evaluation. The data plane executes the actions of the new state.
fn set_state(cloud: &mut Cloud, call: &Call<'_, Value>, request: SetState) -> Outcome<Value> {
    if let Some(data) = &request.state_reason_data
        && serde_json::from_str::<Value>(data).is_err()
    {
        return Err(ApiError::new("InvalidFormat", "StateReasonData is not JSON."));
    }
    let region = cloud.region_mut(call.region)?;
    if !region.cloudwatch.alarms.contains_key(&request.alarm_name) {
        return Err(ApiError::new("ResourceNotFound", "Unknown Alarm").with_status(404));
    }
    let SetState { alarm_name, state_value, state_reason, state_reason_data } = request;
    region.cloudwatch.set_state(&alarm_name, state_value, state_reason, state_reason_data, call.now);
    Ok(json!({}))
}

fn enable(cloud: &mut Cloud, call: &Call<'_, Value>, request: Names) -> Outcome<Value> {
    switch(cloud, call, &request, true)
}

fn disable(cloud: &mut Cloud, call: &Call<'_, Value>, request: Names) -> Outcome<Value> {
    switch(cloud, call, &request, false)
}

fn switch(cloud: &mut Cloud, call: &Call<'_, Value>, request: &Names, enabled: bool) -> Outcome<Value> {
    let watching = &mut cloud.region_mut(call.region)?.cloudwatch;
    for name in &request.alarm_names {
        // AWS ignores unknown names.
        if let Some(alarm) = watching.alarms.get_mut(name).filter(|alarm| alarm.actions_enabled != enabled) {
            alarm.actions_enabled = enabled;
            alarm.configured = call.now;
            let item = configuration(&alarm.clone(), "updated", call);
            watching.remember(item);
        }
    }
    Ok(json!({}))
}

fn not_found(name: &str) -> ApiError {
    ApiError::new("ResourceNotFound", format!("Alarm not found: {name}")).with_status(404)
}

fn arn(region: &str, name: &str) -> String {
    format!("arn:aws:cloudwatch:{region}:{ACCOUNT}:alarm:{name}")
}

fn render(alarm: &Alarm) -> Value {
    let actions = |state| alarm.actions.get(&state).cloned().unwrap_or_default();
    let extended = alarm.statistic.starts_with('p');
    json!({
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmDescription": alarm.description,
        "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.configured),
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": actions(AlarmState::Ok),
        "AlarmActions": actions(AlarmState::Alarm),
        "InsufficientDataActions": actions(AlarmState::InsufficientData),
        "StateValue": alarm.state.name(),
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data,
        "StateUpdatedTimestamp": timestamp(alarm.state_updated),
        "StateTransitionedTimestamp": timestamp(alarm.transitioned),
        "MetricName": alarm.metric,
        "Namespace": alarm.namespace,
        "Statistic": (!extended).then_some(&alarm.statistic),
        "ExtendedStatistic": extended.then_some(&alarm.statistic),
        "Dimensions": render_dimensions(&alarm.dimensions),
        "Period": alarm.period_seconds,
        "Unit": alarm.unit,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.missing,
    })
}
