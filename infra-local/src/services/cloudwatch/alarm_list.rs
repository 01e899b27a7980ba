//! Description of alarms of both types.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ALARMS, WatchOperation, alarm, composite, input, validation};
use crate::model::Cloud;
use crate::model::cloudwatch::CloudWatch;
use crate::model::cloudwatch::alarm::AlarmState;
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[WatchOperation] = &[typed!(Reads, "DescribeAlarms", describe).on(&[ALARMS])];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Describe {
    #[serde(default)]
    alarm_names: Vec<String>,
    alarm_name_prefix: Option<String>,
    #[serde(default)]
    alarm_types: Vec<String>,
    children_of_alarm_name: Option<String>,
    parents_of_alarm_name: Option<String>,
    state_value: Option<AlarmState>,
    action_prefix: Option<String>,
    max_records: Option<usize>,
    next_token: Option<String>,
}

/// An alarm of either type, with the values that select it.
struct Found<'a> {
    name: &'a str,
    state: AlarmState,
    actions: Vec<&'a String>,
    is_composite: bool,
    shown: Value,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    if !request.alarm_names.is_empty() && request.alarm_name_prefix.is_some() {
        return Err(validation("AlarmNames and AlarmNamePrefix cannot be given together."));
    }
    if request.max_records.is_some_and(|records| !(1..=100).contains(&records)) {
        return Err(validation("MaxRecords must be between 1 and 100."));
    }
    let watching = &cloud.region(call.region)?.cloudwatch;
    let related = request.related(watching)?;
    // Without types, only metric alarms are returned, except for the relatives of an alarm.
    let metrics = request.wants("MetricAlarm", request.parents_of_alarm_name.is_none());
    let composites = request.wants("CompositeAlarm", related.is_some());
    let mut all: Vec<Found<'_>> = Vec::new();
    all.extend(watching.alarms.values().filter(|_| metrics).map(|alarm| Found {
        name: &alarm.name,
        state: alarm.state,
        actions: alarm.actions.values().flatten().collect(),
        is_composite: false,
        shown: alarm::render(alarm),
    }));
    all.extend(watching.composites.values().filter(|_| composites).map(|alarm| Found {
        name: &alarm.name,
        state: alarm.state,
        actions: alarm.actions.values().flatten().collect(),
        is_composite: true,
        shown: composite::render(alarm),
    }));
    all.retain(|found| {
        request.admits(found) && related.as_ref().is_none_or(|names| names.iter().any(|name| name == found.name))
    });
    let limit = Some(request.max_records.unwrap_or(50));
    let page = Page::cut(all, limit, request.next_token.as_deref(), |found: &Found<'_>| found.name)?;
    let (composites, metrics): (Vec<Found<'_>>, Vec<Found<'_>>) =
        page.items.into_iter().partition(|found| found.is_composite);
    let shown = |all: Vec<Found<'_>>| -> Value { all.into_iter().map(|found| found.shown).collect() };
    Ok(json!({"MetricAlarms": shown(metrics), "CompositeAlarms": shown(composites), "NextToken": page.next}))
}

impl Describe {
    fn wants(&self, kind: &str, by_default: bool) -> bool {
        if self.alarm_types.is_empty() { by_default } else { self.alarm_types.iter().any(|wanted| wanted == kind) }
    }

    fn admits(&self, found: &Found<'_>) -> bool {
        let begins = |prefix: &String| found.actions.iter().any(|action| action.starts_with(prefix));
        (self.alarm_names.is_empty() || self.alarm_names.iter().any(|name| name == found.name))
            && self.alarm_name_prefix.as_ref().is_none_or(|prefix| found.name.starts_with(prefix))
            && self.state_value.is_none_or(|state| state == found.state)
            && self.action_prefix.as_ref().is_none_or(begins)
    }

    /// Returns the names of the children or parents of an alarm, when the request asks for them.
    fn related(&self, watching: &CloudWatch) -> Outcome<Option<Vec<String>>> {
        match (&self.children_of_alarm_name, &self.parents_of_alarm_name) {
            (None, None) => Ok(None),
            (Some(_), Some(_)) => {
                Err(validation("ChildrenOfAlarmName and ParentsOfAlarmName cannot be given together."))
            }
            (Some(parent), None) => {
                match watching.composites.get(parent) {
                    Some(parent) => Ok(Some(composite::children(parent))),
                    None => Err(ApiError::new("ResourceNotFound", format!("Composite alarm not found: {parent}"))
                        .with_status(404)),
                }
            }
            (None, Some(child)) => {
                let parents = watching.composites.values();
                let parents = parents.filter(|parent| composite::children(parent).contains(child));
                Ok(Some(parents.map(|parent| parent.name.clone()).collect()))
            }
        }
    }
}
