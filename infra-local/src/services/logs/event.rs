//! Log events: put, get, filter.

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use super::pattern::Pattern;
use super::store::{self, Event};
use super::{LogOperation, input, invalid, metric_filter, named, no_stream, resource};
use crate::model::logs::LogStream;
use crate::services::{Call, State, typed};
use crate::wire::Outcome;

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Performs, "PutLogEvents", put)
        .on(&[resource::STREAM])
        // AWS ignores the token.
        .ignoring(&[&["sequenceToken"]]),
    typed!(Performs, "GetLogEvents", get)
        .on(&[resource::STREAM])
        // Without policies of data protection, nothing is masked.
        .ignoring(&[&["unmask"]]),
    typed!(Performs, "FilterLogEvents", filter)
        .on(&[resource::GROUP, resource::IDENTIFIED_GROUP])
        // All events are returned in the order of their times, and nothing is masked.
        .ignoring(&[&["interleaved", "unmask"]]),
];

/// AWS's limits: events per request or response, bytes per request, and bytes per message.
const EVENTS: usize = 10_000;
const BATCH_BYTES: usize = 1_048_576;
const MESSAGE_BYTES: usize = 1_048_576;
/// Bytes that AWS adds to each message when it computes the size of a request.
const OVERHEAD_BYTES: usize = 26;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)]
struct Put {
    log_group_name: String,
    log_stream_name: String,
    log_events: Vec<InputEvent>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct InputEvent {
    timestamp: i64,
    message: String,
}

fn put(state: &State<'_>, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    let group = state.read(|cloud| named(cloud.region(call.region)?, Some(&request.log_group_name), None).cloned())?;
    let stream = group.streams.get(&request.log_stream_name).ok_or_else(no_stream)?;
    let events = request.log_events;
    if events.is_empty() || events.len() > EVENTS {
        return Err(invalid(format!("logEvents has 1 to {EVENTS} members")));
    }
    if events.iter().any(|event| event.message.is_empty() || event.message.len() > MESSAGE_BYTES) {
        return Err(invalid(format!("Log event message must have 1 to {MESSAGE_BYTES} bytes")));
    }
    if events.iter().map(|event| event.message.len() + OVERHEAD_BYTES).sum::<usize>() > BATCH_BYTES {
        return Err(invalid(format!(
            "Upload too large: events and {OVERHEAD_BYTES} bytes for each exceed limit of {BATCH_BYTES}"
        )));
    }
    if !events.is_sorted_by_key(|event| event.timestamp) {
        return Err(invalid("Log events in a single PutLogEvents request must be in chronological order."));
    }
    let (first, last) =
        (events.first().map_or(0, |event| event.timestamp), events.last().map_or(0, |event| event.timestamp));
    if last - first >= TimeDelta::hours(24).num_milliseconds() {
        return Err(invalid(
            "The batch of log events in a single PutLogEvents request cannot span more than 24 hours.",
        ));
    }
    // Events that are too old, expired or too new are skipped and reported.
    let now = call.now.timestamp_millis();
    let old = now - TimeDelta::days(14).num_milliseconds();
    let expired = group.retention_days.map_or(i64::MIN, |days| now - TimeDelta::days(days.into()).num_milliseconds());
    let new = now + TimeDelta::hours(2).num_milliseconds();
    let count = |limit: i64| events.partition_point(|event| event.timestamp < limit);
    let (too_old, expired, too_new) =
        (count(old), count(expired), events.partition_point(|event| event.timestamp <= new));
    let mut rejected = json!({});
    if too_new < events.len() {
        rejected["tooNewLogEventStartIndex"] = json!(too_new);
    }
    if too_old > 0 {
        rejected["tooOldLogEventEndIndex"] = json!(too_old);
    }
    if expired > 0 {
        rejected["expiredLogEventEndIndex"] = json!(expired);
    }
    let from = too_old.max(expired);
    let taken: Vec<(i64, String)> =
        events.into_iter().take(too_new).skip(from).map(|event| (event.timestamp, event.message)).collect();
    metric_filter::publish(&state.read(|cloud| cloud.metrics.clone()), call.region, &group, &taken);
    store::append(call.directory, &stream.file, group.retention_days, taken, call.now)?;
    let mut answer = json!({"nextSequenceToken": call.now.timestamp_micros().to_string()});
    if rejected.as_object().is_some_and(|rejected| !rejected.is_empty()) {
        answer["rejectedLogEventsInfo"] = rejected;
    }
    Ok(answer)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Get {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name: String,
    start_time: Option<i64>,
    end_time: Option<i64>,
    next_token: Option<String>,
    limit: Option<usize>,
    #[serde(default)]
    start_from_head: bool,
}

/// Returns events. A token identifies an event and a direction; at either end of the stream, the same token is returned
/// again.
fn get(state: &State<'_>, call: &Call<'_, Value>, request: Get) -> Outcome<Value> {
    let (name, identifier) = (request.log_group_name.as_deref(), request.log_group_identifier.as_deref());
    let group = state.read(|cloud| named(cloud.region(call.region)?, name, identifier).cloned())?;
    let stream = group.streams.get(&request.log_stream_name).ok_or_else(no_stream)?;
    let limit = limit(request.limit)?;
    let mut events = store::read(call.directory, &stream.file, group.retention_days, call.now)?;
    events.retain(|event| is_in_range(event, request.start_time, request.end_time));
    let token = request.next_token.as_deref();
    let token = token.map(|token| match token.split_once('/') {
        Some((direction @ ("f" | "b"), key)) => Ok((direction, key)),
        _ => Err(invalid("The specified nextToken is invalid.")),
    });
    let (forward, key) = match token.transpose()? {
        Some((direction, key)) => (direction == "f", Some(key)),
        None => (request.start_from_head, None),
    };
    if let Some(key) = key {
        events.retain(|event| if forward { event.key().as_str() > key } else { event.key().as_str() < key });
    }
    if forward {
        events.truncate(limit);
    } else {
        events.drain(..events.len().saturating_sub(limit));
    }
    let end = |event: Option<&Event>| event.map_or_else(|| key.unwrap_or("0").to_owned(), Event::key);
    let shown = events
        .iter()
        .map(|event| json!({"timestamp": event.timestamp, "message": event.message, "ingestionTime": event.ingested}));
    Ok(json!({
        "events": shown.collect::<Vec<_>>(),
        "nextForwardToken": format!("f/{}", end(events.last())),
        "nextBackwardToken": format!("b/{}", end(events.first())),
    }))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
#[allow(clippy::struct_field_names)]
struct Filter {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    #[serde(default)]
    log_stream_names: Vec<String>,
    log_stream_name_prefix: Option<String>,
    start_time: Option<i64>,
    end_time: Option<i64>,
    filter_pattern: Option<String>,
    next_token: Option<String>,
    limit: Option<usize>,
}

fn filter(state: &State<'_>, call: &Call<'_, Value>, request: Filter) -> Outcome<Value> {
    if !request.log_stream_names.is_empty() && request.log_stream_name_prefix.is_some() {
        return Err(invalid("logStreamNames and logStreamNamePrefix cannot be given together."));
    }
    let (name, identifier) = (request.log_group_name.as_deref(), request.log_group_identifier.as_deref());
    let group = state.read(|cloud| named(cloud.region(call.region)?, name, identifier).cloned())?;
    if request.log_stream_names.iter().any(|name| !group.streams.contains_key(name)) {
        return Err(no_stream());
    }
    let pattern = Pattern::parse(request.filter_pattern.as_deref().unwrap_or_default())?;
    let limit = limit(request.limit)?;
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let wanted = |stream: &&LogStream| {
        let named = request.log_stream_names.is_empty() || request.log_stream_names.contains(&stream.name);
        named && stream.name.starts_with(&prefix)
    };
    let mut found = Vec::new();
    for stream in group.streams.values().filter(wanted) {
        let events = store::read(call.directory, &stream.file, group.retention_days, call.now)?;
        let fitting = events.into_iter().filter(|event| {
            is_in_range(event, request.start_time, request.end_time) && pattern.matches(&event.message)
        });
        found.extend(fitting.map(|event| (format!("{}/{}", event.key(), stream.name), &stream.name, event)));
    }
    let page = crate::wire::Page::cut(found, Some(limit), request.next_token.as_deref(), |(key, ..)| key)?;
    let shown = page.items.into_iter().map(|(_, stream, event)| {
        json!({
            "logStreamName": stream,
            "timestamp": event.timestamp,
            "message": event.message,
            "ingestionTime": event.ingested,
            "eventId": event.key(),
        })
    });
    let mut answer = json!({"events": shown.collect::<Vec<_>>(), "searchedLogStreams": []});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// Returns whether an event is at or after the start and before the end.
fn is_in_range(event: &Event, start: Option<i64>, end: Option<i64>) -> bool {
    start.is_none_or(|start| event.timestamp >= start) && end.is_none_or(|end| event.timestamp < end)
}

fn limit(limit: Option<usize>) -> Outcome<usize> {
    let limit = limit.unwrap_or(EVENTS);
    if (1..=EVENTS).contains(&limit) {
        return Ok(limit);
    }
    Err(invalid(format!("limit must be between 1 and {EVENTS}")))
}
