//! Alarms on metrics: put, delete, enable and disable.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::{Value, json};

use super::tag::{Tag, read_tags};
use super::{ALARM, ALARMS, Dimension, WatchOperation, dimensions, input, render_dimensions, validation};
use crate::model::cloudwatch::alarm::{Alarm, AlarmState, Comparison, HistoryItem, HistoryKind, Missing};
use crate::model::cloudwatch::metrics::{Statistic, UNITS};
use crate::model::{ArnScope, Cloud, Region};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[WatchOperation] = &[
    typed!(Writes, "PutMetricAlarm", put).on(&[ALARM]),
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
    evaluate_low_sample_count_percentile: Option<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let region = cloud.region_mut(call.region)?;
    let actions = Actions {
        ok: request.ok_actions.clone(),
        alarm: request.alarm_actions.clone(),
        insufficient_data: request.insufficient_data_actions.clone(),
    };
    for action in actions.all() {
        check_action(region, action)?;
    }
    actions.check_numbers()?;
    if region.cloudwatch.composites.contains_key(&request.alarm_name) {
        return Err(validation(format!(
            "The name {} belongs to a composite alarm: choose another one.",
            request.alarm_name
        )));
    }
    let tags = read_tags(request.tags.clone())?;
    let (statistic, dimensions) = checked(&request)?;
    let before = region.cloudwatch.alarms.get(&request.alarm_name);
    let kept = |initial: &str| before.map_or_else(|| initial.to_owned(), |alarm| alarm.reason.clone());
    let alarm = Alarm {
        arn: arn(call.scope(), &request.alarm_name),
        description: request.alarm_description,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        actions: actions.by_state(),
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
    let change = if before.is_some() { "updated" } else { "created" };
    region.cloudwatch.remember(configuration(&alarm.name, json!({"threshold": alarm.threshold}), change, call));
    region.cloudwatch.alarms.insert(alarm.name.clone(), alarm);
    region.cloudwatch.evaluate_composites(call.now);
    Ok(json!({}))
}

/// Validates the request and returns the statistic and the dimensions of the alarm.
fn checked(request: &Put) -> Outcome<(String, BTreeMap<String, String>)> {
    check_name(&request.alarm_name)?;
    check_low_samples(request)?;
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

pub(super) fn check_name(name: &str) -> Outcome<()> {
    if (1..=255).contains(&name.chars().count()) {
        return Ok(());
    }
    Err(validation("AlarmName must have 1 to 255 characters."))
}

/// Checks the treatment of percentiles of few values: they are always evaluated.
fn check_low_samples(request: &Put) -> Outcome<()> {
    match request.evaluate_low_sample_count_percentile.as_deref() {
        None | Some("evaluate") => Ok(()),
        Some("ignore") => Err(validation(
            "The local cloud evaluates percentiles of few values too: use the EvaluateLowSampleCountPercentile 'evaluate'.",
        )),
        Some(other) => {
            Err(validation(format!("EvaluateLowSampleCountPercentile must be evaluate or ignore, not {other}.")))
        }
    }
}

/// Actions of an alarm in a request.
pub(super) struct Actions {
    pub(super) ok: Vec<String>,
    pub(super) alarm: Vec<String>,
    pub(super) insufficient_data: Vec<String>,
}

impl Actions {
    fn all(&self) -> impl Iterator<Item = &String> {
        self.ok.iter().chain(&self.alarm).chain(&self.insufficient_data)
    }

    fn check_numbers(&self) -> Outcome<()> {
        if [&self.ok, &self.alarm, &self.insufficient_data].into_iter().any(|actions| actions.len() > 5) {
            return Err(validation("An alarm has at most 5 actions for each of its states."));
        }
        Ok(())
    }

    /// Returns the states with actions.
    pub(super) fn by_state(self) -> BTreeMap<AlarmState, Vec<String>> {
        let all = [
            (AlarmState::Ok, self.ok),
            (AlarmState::Alarm, self.alarm),
            (AlarmState::InsufficientData, self.insufficient_data),
        ];
        all.into_iter().filter(|(_, actions)| !actions.is_empty()).collect()
    }
}

/// Checks the actions of a composite alarm, which can only be notifications.
pub(super) fn check_other_actions(actions: &Actions) -> Outcome<()> {
    actions.check_numbers()?;
    match actions.all().find(|action| !is_topic(action)) {
        Some(action) => Err(validation(format!(
            "The local cloud has only notifications as actions of a composite alarm: leave the action {action} out, or use \
             AWS."
        ))),
        None => Ok(()),
    }
}

fn is_topic(arn: &str) -> bool {
    arn.starts_with("arn:aws:sns:") && arn.split(':').count() == 6
}

pub(super) fn check_unit(unit: Option<&str>) -> Outcome<()> {
    match unit {
        Some(unit) if !UNITS.contains(&unit) => Err(validation(format!("'{unit}' is not a unit."))),
        _ => Ok(()),
    }
}

/// Checks that the action is a scaling policy or a notification; other actions are refused by name.
///
/// As on AWS, nothing checks whether a topic exists: the action fails when it is due, and the alarm's history contains the
/// failure.
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
        "sns" if is_topic(arn) => Ok(()),
        "lambda" => missing("Lambda functions"),
        "automate" | "swf" => missing("EC2 actions of alarms"),
        "ssm" | "ssm-incidents" => missing("operations items and incidents"),
        _ => Err(validation(format!("Invalid arn syntax: {arn}"))),
    }
}

/// Returns the item of an alarm's history for a change of its settings.
pub(super) fn configuration(name: &str, settings: Value, change: &str, call: &Call<'_, Value>) -> HistoryItem {
    let kind = change.trim_end_matches('d').to_owned();
    let kind = format!("{}{}", kind[..1].to_ascii_uppercase(), &kind[1..]);
    let mut alarm = settings;
    alarm["alarmName"] = json!(name);
    HistoryItem {
        alarm: name.to_owned(),
        time: call.now,
        kind: HistoryKind::ConfigurationUpdate,
        summary: format!("Alarm \"{name}\" {change}"),
        data: json!({"version": "1.0", "type": kind, "updatedAlarm": alarm}).to_string(),
    }
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
    for name in &request.alarm_names {
        let metric = watching.alarms.remove(name).map(|alarm| json!({"threshold": alarm.threshold}));
        let composite = || watching.composites.remove(name).map(|alarm| json!({"alarmRule": alarm.rule}));
        let settings = metric.or_else(composite).ok_or_else(|| not_found(name))?;
        watching.remember(configuration(name, settings, "deleted", call));
    }
    watching.evaluate_composites(call.now);
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
    if region.cloudwatch.state_of(&request.alarm_name).is_none() {
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
            watching.remember(configuration(name, json!({"actionsEnabled": enabled}), "updated", call));
        }
        if let Some(alarm) = watching.composites.get_mut(name).filter(|alarm| alarm.actions_enabled != enabled) {
            alarm.actions_enabled = enabled;
            alarm.configured = call.now;
            watching.remember(configuration(name, json!({"actionsEnabled": enabled}), "updated", call));
        }
    }
    Ok(json!({}))
}

fn not_found(name: &str) -> ApiError {
    ApiError::new("ResourceNotFound", format!("Alarm not found: {name}")).with_status(404)
}

pub(super) fn arn(scope: ArnScope<'_>, name: &str) -> String {
    scope.arn("cloudwatch", format_args!("alarm:{name}"))
}

pub(super) fn render(alarm: &Alarm) -> Value {
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
        "EvaluateLowSampleCountPercentile": extended.then_some("evaluate"),
    })
}
