//! Log streams.

use serde::Deserialize;
use serde_json::{Value, json};

use super::group::limit;
use super::{LogOperation, input, invalid, milliseconds, named, no_group, no_stream, resource, store};
use crate::model::Cloud;
use crate::model::logs::{LogGroup, LogStream};
use crate::services::{Call, State, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "CreateLogStream", create).on(&[resource::STREAM]),
    typed!(Performs, "DescribeLogStreams", describe).on(&[resource::GROUP, resource::IDENTIFIED_GROUP]),
    typed!(Writes, "DeleteLogStream", delete).on(&[resource::STREAM]),
];

/// Limit of streams per group, because each may have a file.
const LIMIT: usize = 1000;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    log_group_name: String,
    log_stream_name: String,
}

fn create(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let name = request.log_stream_name;
    if name.is_empty() || name.chars().count() > 512 || name.contains([':', '*']) {
        return Err(invalid(format!("logStreamName '{name}' must have 1 to 512 characters and neither : nor *")));
    }
    let group = cloud.region_mut(call.region)?.logs.groups.get_mut(&request.log_group_name).ok_or_else(no_group)?;
    if group.streams.contains_key(&name) {
        return Err(ApiError::new("ResourceAlreadyExistsException", "The specified log stream already exists"));
    }
    if group.streams.len() >= LIMIT {
        return Err(ApiError::new(
            "LimitExceededException",
            format!("The local cloud keeps at most {LIMIT} streams of a log group: delete some"),
        ));
    }
    let stream = LogStream {
        arn: format!("{}:log-stream:{name}", group.arn),
        created: call.now,
        file: uuid::Uuid::new_v4().simple().to_string(),
        name,
    };
    group.streams.insert(stream.name.clone(), stream);
    Ok(json!({}))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Describe {
    log_group_name: Option<String>,
    log_group_identifier: Option<String>,
    log_stream_name_prefix: Option<String>,
    order_by: Option<Order>,
    #[serde(default)]
    descending: bool,
    next_token: Option<String>,
    limit: Option<usize>,
}

#[derive(Clone, Copy, PartialEq, Deserialize)]
enum Order {
    LogStreamName,
    LastEventTime,
}

fn describe(state: &State<'_>, call: &Call<'_, Value>, request: Describe) -> Outcome<Value> {
    let by_time = request.order_by == Some(Order::LastEventTime);
    if by_time && request.log_stream_name_prefix.is_some() {
        return Err(invalid("Cannot order by LastEventTime with a logStreamNamePrefix."));
    }
    let (name, identifier) = (request.log_group_name.as_deref(), request.log_group_identifier.as_deref());
    let group = state.read(|cloud| named(cloud.region(call.region)?, name, identifier).cloned())?;
    let prefix = request.log_stream_name_prefix.unwrap_or_default();
    let mut shown = Vec::new();
    for stream in group.streams.values().filter(|stream| stream.name.starts_with(&prefix)) {
        let node = render(stream, &group, call)?;
        let last = if by_time { node["lastEventTimestamp"].as_i64().unwrap_or_default() } else { 0 };
        shown.push((format!("{last:020}/{}", stream.name), node));
    }
    if request.descending {
        // Pages are sorted by a key, so the key counts down.
        shown.sort_by(|(one, _), (other, _)| other.cmp(one));
        for (place, (key, _)) in shown.iter_mut().enumerate() {
            *key = format!("{place:06}");
        }
    }
    let page = Page::cut(shown, limit(request.limit)?, request.next_token.as_deref(), |(key, _)| key)?;
    let mut answer = json!({"logStreams": page.items.into_iter().map(|(_, node)| node).collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

fn render(stream: &LogStream, group: &LogGroup, call: &Call<'_, Value>) -> Outcome<Value> {
    let mut node = json!({
        "logStreamName": stream.name,
        "creationTime": milliseconds(stream.created),
        "arn": stream.arn,
        "storedBytes": store::bytes(call.directory, &stream.file),
    });
    let events = store::read(call.directory, &stream.file, group.retention_days, call.now)?;
    if let (Some(first), Some(last)) = (events.first(), events.last()) {
        node["firstEventTimestamp"] = json!(first.timestamp);
        node["lastEventTimestamp"] = json!(last.timestamp);
        node["lastIngestionTime"] = json!(events.iter().map(|event| event.ingested).max());
    }
    Ok(node)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let group = cloud.region_mut(call.region)?.logs.groups.get_mut(&request.log_group_name).ok_or_else(no_group)?;
    // The runtime removes the file.
    group.streams.remove(&request.log_stream_name).ok_or_else(no_stream)?;
    Ok(json!({}))
}
