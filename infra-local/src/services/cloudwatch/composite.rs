//! Composite alarms.

use serde::Deserialize;
use serde_json::{Value, json};

use super::alarm::{Actions, arn, check_name, check_other_actions, configuration};
use super::tag::{Tag, read_tags};
use super::{ALARM, WatchOperation, input, validation};
use crate::model::Cloud;
use crate::model::cloudwatch::CloudWatch;
use crate::model::cloudwatch::alarm::AlarmState;
use crate::model::cloudwatch::composite::{CompositeAlarm, Rule};
use crate::services::{Call, typed};
use crate::wire::Outcome;
use crate::wire::shape::timestamp;

pub(super) const OPERATIONS: &[WatchOperation] = &[typed!(Writes, "PutCompositeAlarm", put).on(&[ALARM])];

/// AWS's limit of the characters of a rule.
const RULE: usize = 10_240;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    alarm_name: String,
    alarm_rule: String,
    alarm_description: Option<String>,
    actions_enabled: Option<bool>,
    #[serde(rename = "OKActions", default)]
    ok_actions: Vec<String>,
    #[serde(default)]
    alarm_actions: Vec<String>,
    #[serde(default)]
    insufficient_data_actions: Vec<String>,
    #[serde(default)]
    tags: Vec<Tag>,
}

fn put(cloud: &mut Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let watching = &mut cloud.region_mut(call.region)?.cloudwatch;
    let name = request.alarm_name;
    check_name(&name)?;
    if watching.alarms.contains_key(&name) {
        return Err(validation(format!("The name {name} belongs to a metric alarm: choose another one.")));
    }
    check_rule(watching, &name, &request.alarm_rule)?;
    let actions = Actions {
        ok: request.ok_actions,
        alarm: request.alarm_actions,
        insufficient_data: request.insufficient_data_actions,
    };
    check_other_actions(&actions)?;
    let tags = read_tags(request.tags)?;
    let before = watching.composites.get(&name);
    let alarm = CompositeAlarm {
        arn: arn(call.scope(), &name),
        description: request.alarm_description,
        actions_enabled: request.actions_enabled.unwrap_or(true),
        actions: actions.by_state(),
        rule: request.alarm_rule,
        // Tags are accepted only at creation.
        tags: before.map_or(tags, |alarm| alarm.tags.clone()),
        state: before.map_or(AlarmState::InsufficientData, |alarm| alarm.state),
        reason: before.map_or_else(|| "Unchecked: Initial alarm creation".to_owned(), |alarm| alarm.reason.clone()),
        reason_data: before.and_then(|alarm| alarm.reason_data.clone()),
        configured: call.now,
        state_updated: before.map_or(call.now, |alarm| alarm.state_updated),
        transitioned: before.map_or(call.now, |alarm| alarm.transitioned),
        name,
    };
    let change = if before.is_some() { "updated" } else { "created" };
    watching.remember(configuration(&alarm.name, json!({"alarmRule": alarm.rule}), change, call));
    watching.composites.insert(alarm.name.clone(), alarm);
    watching.evaluate_composites(call.now);
    Ok(json!({}))
}

/// Checks that a rule can be parsed, and that its alarms exist and do not depend on this one.
fn check_rule(watching: &CloudWatch, name: &str, text: &str) -> Outcome<()> {
    if text.is_empty() || text.chars().count() > RULE {
        return Err(validation(format!("AlarmRule must have 1 to {RULE} characters.")));
    }
    let rule = Rule::parse(text)
        .map_err(|problem| validation(format!("AlarmRule must not contain errors: {problem} in {text}")))?;
    let mut pending: Vec<String> = rule.alarms().into_iter().map(str::to_owned).collect();
    let mut seen = Vec::new();
    while let Some(reference) = pending.pop() {
        let child = plain(&reference).to_owned();
        if child == name {
            return Err(validation(format!(
                "The alarm {name} cannot depend on itself: its AlarmRule leads back to it."
            )));
        }
        if watching.state_of(&child).is_none() {
            return Err(validation(format!("AlarmRule contains the alarm {child}, which does not exist.")));
        }
        if !seen.contains(&child) {
            let inner = watching.composites.get(&child).and_then(|alarm| Rule::parse(&alarm.rule).ok());
            pending.extend(inner.iter().flat_map(Rule::alarms).map(str::to_owned));
            seen.push(child);
        }
    }
    Ok(())
}

/// Returns the name in an ARN; a name is returned unchanged.
fn plain(reference: &str) -> &str {
    reference.split_once(":alarm:").map_or(reference, |(_, name)| name)
}

/// Returns the names of the alarms in the rule of a composite alarm.
pub(super) fn children(alarm: &CompositeAlarm) -> Vec<String> {
    let rule = Rule::parse(&alarm.rule).ok();
    rule.iter().flat_map(Rule::alarms).map(|reference| plain(reference).to_owned()).collect()
}

pub(super) fn render(alarm: &CompositeAlarm) -> Value {
    let actions = |state| alarm.actions.get(&state).cloned().unwrap_or_default();
    json!({
        "AlarmName": alarm.name,
        "AlarmArn": alarm.arn,
        "AlarmDescription": alarm.description,
        "AlarmConfigurationUpdatedTimestamp": timestamp(alarm.configured),
        "ActionsEnabled": alarm.actions_enabled,
        "OKActions": actions(AlarmState::Ok),
        "AlarmActions": actions(AlarmState::Alarm),
        "InsufficientDataActions": actions(AlarmState::InsufficientData),
        "AlarmRule": alarm.rule,
        "StateValue": alarm.state.name(),
        "StateReason": alarm.reason,
        "StateReasonData": alarm.reason_data,
        "StateUpdatedTimestamp": timestamp(alarm.state_updated),
        "StateTransitionedTimestamp": timestamp(alarm.transitioned),
    })
}
