//! `AWS::CloudWatch::Alarm`.

use serde_json::{Value, json};

use super::{CLOUDWATCH, generated_name, known, tag_changes, tag_list, tags, text};
use crate::model::Cloud;
use crate::model::cloudwatch::alarm::AlarmState;
use crate::services::cloudcontrol::caller::Caller;
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::Outcome;

pub(super) const KIND: Kind = Kind {
    name: "AWS::CloudWatch::Alarm",
    identifier: "AlarmName",
    properties: &[
        "ActionsEnabled",
        "AlarmActions",
        "AlarmDescription",
        "ComparisonOperator",
        "DatapointsToAlarm",
        "Dimensions",
        "EvaluationPeriods",
        "ExtendedStatistic",
        "InsufficientDataActions",
        "MetricName",
        "Namespace",
        "OKActions",
        "Period",
        "Statistic",
        "Tags",
        "Threshold",
        "TreatMissingData",
        "Unit",
    ],
    create_only: &["AlarmName"],
    read_only: &["Arn"],
    only_on_aws: &["EvaluateLowSampleCountPercentile", "Metrics", "ThresholdMetricId"],
    required: &["ComparisonOperator", "EvaluationPeriods"],
    reading: &["cloudwatch:DescribeAlarms"],
    create,
    update,
    delete,
    read,
    list,
};

fn create(cloud: &mut Cloud, caller: &Caller<'_>, wanted: &Value) -> Outcome<String> {
    let name = text(wanted, "AlarmName")?.unwrap_or_else(|| generated_name("Alarm"));
    // `PutMetricAlarm` would change an existing alarm, but a create must fail.
    if cloud.region(caller.region)?.cloudwatch.alarms.contains_key(&name) {
        return Err(crate::wire::ApiError::new("AlreadyExists", format!("The alarm {name} already exists.")));
    }
    put(cloud, caller, &name, wanted)?;
    Ok(name)
}

fn update(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, current: &Value, wanted: &Value) -> Outcome<()> {
    put(cloud, caller, name, wanted)?;
    let (set, removed) = tag_changes(&tags(current)?, &tags(wanted)?);
    let arn = current["Arn"].clone();
    if !set.is_empty() {
        caller.call_json(cloud, &CLOUDWATCH, "TagResource", json!({"ResourceARN": arn, "Tags": tag_list(&set)}))?;
    }
    if !removed.is_empty() {
        caller.call_json(cloud, &CLOUDWATCH, "UntagResource", json!({"ResourceARN": arn, "TagKeys": removed}))?;
    }
    Ok(())
}

/// Creates or updates the alarm. The type's properties have the names of the operation's parameters.
fn put(cloud: &mut Cloud, caller: &Caller<'_>, name: &str, wanted: &Value) -> Outcome<()> {
    let mut alarm = wanted.clone();
    if let Value::Object(properties) = &mut alarm {
        properties.remove("Arn");
        properties.insert("AlarmName".to_owned(), Value::from(name));
    }
    caller.call_json(cloud, &CLOUDWATCH, "PutMetricAlarm", alarm).map(drop)
}

fn delete(cloud: &mut Cloud, caller: &Caller<'_>, name: &str) -> Outcome<()> {
    caller.call_json(cloud, &CLOUDWATCH, "DeleteAlarms", json!({"AlarmNames": [name]})).map(drop)
}

fn read(cloud: &Cloud, region: &str, name: &str) -> Outcome<Option<Value>> {
    let Some(alarm) = cloud.region(region)?.cloudwatch.alarms.get(name) else { return Ok(None) };
    let actions = |state| alarm.actions.get(&state);
    let extended = alarm.statistic.starts_with('p');
    let dimensions = alarm.dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value}));
    Ok(Some(known(json!({
        "AlarmName": alarm.name,
        "Arn": alarm.arn,
        "AlarmDescription": alarm.description,
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": actions(AlarmState::Ok),
        "AlarmActions": actions(AlarmState::Alarm),
        "InsufficientDataActions": actions(AlarmState::InsufficientData),
        "MetricName": alarm.metric,
        "Namespace": alarm.namespace,
        "Statistic": (!extended).then_some(&alarm.statistic),
        "ExtendedStatistic": extended.then_some(&alarm.statistic),
        "Dimensions": dimensions.collect::<Vec<_>>(),
        "Period": alarm.period_seconds,
        "Unit": alarm.unit,
        "EvaluationPeriods": alarm.evaluation_periods,
        "DatapointsToAlarm": alarm.datapoints_to_alarm,
        "Threshold": alarm.threshold,
        "ComparisonOperator": alarm.comparison,
        "TreatMissingData": alarm.missing,
        "Tags": tag_list(&alarm.tags),
    }))))
}

fn list(cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
    Ok(cloud.region(region)?.cloudwatch.alarms.keys().cloned().collect())
}
