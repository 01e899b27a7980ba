//! History of alarms.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{ALARM, Time, WatchOperation, input, validation};
use crate::model::Cloud;
use crate::model::cloudwatch::alarm::{HistoryItem, HistoryKind};
use crate::services::{Call, typed};
use crate::wire::shape::timestamp;
use crate::wire::{Outcome, Page};

pub(super) const OPERATIONS: &[WatchOperation] = &[typed!(Reads, "DescribeAlarmHistory", describe).on(&[ALARM])];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Describe {
    alarm_name: Option<String>,
    #[serde(default)]
    alarm_types: Vec<String>,
    history_item_type: Option<HistoryKind>,
    start_date: Option<Time>,
    end_date: Option<Time>,
    max_records: Option<usize>,
    next_token: Option<String>,
    scan_by: Option<ScanBy>,
}

/// Order of the items by time.
#[derive(Clone, Copy, PartialEq, Deserialize)]
pub(super) enum ScanBy {
    TimestampAscending,
    TimestampDescending,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    if request.max_records.is_some_and(|records| !(1..=100).contains(&records)) {
        return Err(validation("MaxRecords must be between 1 and 100."));
    }
    let watching = &cloud.region(call.region)?.cloudwatch;
    // Items outlive their alarm; those of a deleted composite alarm contain its rule.
    let kind = |item: &HistoryItem| {
        let is_composite = watching.composites.contains_key(&item.alarm) || item.data.contains("\"alarmRule\"");
        if is_composite { "CompositeAlarm" } else { "MetricAlarm" }
    };
    let types: Vec<&str> = match request.alarm_types.as_slice() {
        // Without types, only items of metric alarms are returned.
        [] => vec!["MetricAlarm"],
        types => types.iter().map(String::as_str).collect(),
    };
    let wanted = |item: &HistoryItem| {
        types.contains(&kind(item))
            && request.alarm_name.as_ref().is_none_or(|name| *name == item.alarm)
            && request.history_item_type.is_none_or(|kind| kind == item.kind)
            && request.start_date.is_none_or(|start| item.time >= start.0)
            && request.end_date.is_none_or(|end| item.time <= end.0)
    };
    let ascending = request.scan_by == Some(ScanBy::TimestampAscending);
    let history = &watching.history;
    // Pages are sorted by a key, so for the newest first the key counts down.
    let keyed = history.iter().enumerate().filter(|(_, item)| wanted(item)).map(|(index, item)| {
        let time = item.time.timestamp_micros();
        let (time, index) = if ascending { (time, index) } else { (i64::MAX - time, usize::MAX - index) };
        (format!("{time:020}/{index:020}"), item)
    });
    let limit = Some(request.max_records.unwrap_or(100));
    let page = Page::cut(keyed.collect(), limit, request.next_token.as_deref(), |(key, _)| key)?;
    let shown = page.items.into_iter().map(|(_, item)| {
        json!({
            "AlarmName": item.alarm,
            "AlarmType": kind(item),
            "Timestamp": timestamp(item.time),
            "HistoryItemType": item.kind,
            "HistorySummary": item.summary,
            "HistoryData": item.data,
        })
    });
    Ok(json!({"AlarmHistoryItems": shown.collect::<Vec<_>>(), "NextToken": page.next}))
}
