//! `LookupEvents`: the event history of a region, the newest event first.
//!
//! Source: [LookupEvents](https://docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html).

use chrono::{DateTime, Utc};
use serde::Deserialize;
use serde_json::{Value, json};

use super::event;
use crate::model::Cloud;
use crate::services::operation::RecordedRequest;
use crate::services::{Call, Operation, typed};
use crate::wire::{ApiError, Outcome};

/// Number of events on a page, and its maximum.
const PAGE: usize = 50;

pub(super) const OPERATIONS: &[Operation<Value, Value>] = &[typed!(Reads, "LookupEvents", lookup).on_any()];

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Request {
    #[serde(default)]
    lookup_attributes: Vec<Attribute>,
    start_time: Option<f64>,
    end_time: Option<f64>,
    /// Insights events do not exist here.
    event_category: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Attribute {
    attribute_key: String,
    attribute_value: String,
}

impl Attribute {
    fn matches(&self, request: &RecordedRequest<'_>) -> bool {
        let value = self.attribute_value.as_str();
        match self.attribute_key.as_str() {
            "EventId" => request.id == value,
            "EventName" => request.operation == value,
            "ReadOnly" => event::is_read(request.operation).to_string() == value,
            "Username" => event::user_name(request) == value,
            "EventSource" => event::source(request) == value,
            "AccessKeyId" => request.access_key == value,
            "ResourceName" => event::resources(request).iter().any(|name| name == value),
            "ResourceType" => event::resources(request).iter().any(|name| event::resource_type(name) == Some(value)),
            _ => false,
        }
    }
}

fn input(call: &Call<'_, Value>) -> Outcome<Request> {
    Request::deserialize(&call.input).map_err(|error| ApiError::new("ValidationException", error.to_string()))
}

fn lookup(_: &Cloud, call: &Call<'_, Value>, request: Request) -> Outcome<Value> {
    let attribute = match request.lookup_attributes.as_slice() {
        [] => None,
        [attribute] => Some(attribute),
        _ => {
            let message = "You can only specify one lookup attribute per request.";
            return Err(ApiError::new("InvalidLookupAttributesException", message));
        }
    };
    let (start, end) = (request.start_time.map(time).transpose()?, request.end_time.map(time).transpose()?);
    if start.zip(end).is_some_and(|(start, end)| start > end) {
        let message = "The start time must not be later than the end time.";
        return Err(ApiError::new("InvalidTimeRangeException", message));
    }
    if request.event_category.is_some() {
        return Ok(json!({"Events": []}));
    }
    let limit = request.max_results.unwrap_or(PAGE);
    let mut is_begun = request.next_token.is_none();
    let (mut events, mut last, mut next) = (Vec::new(), String::new(), None);
    call.requests.newest_first(&mut |recorded| {
        if !is_begun {
            is_begun = request.next_token.as_deref() == Some(recorded.id);
            return true;
        }
        let is_in_time = start.is_none_or(|start| recorded.at >= start) && end.is_none_or(|end| recorded.at <= end);
        let is_here = recorded.region == call.region && event::is_management(recorded);
        if !is_in_time || !is_here || attribute.is_some_and(|attribute| !attribute.matches(recorded)) {
            return true;
        }
        if events.len() == limit {
            next = Some(last.clone());
            return false;
        }
        recorded.id.clone_into(&mut last);
        events.push(event::render(recorded, call.account));
        true
    });
    if !is_begun {
        let message = "The NextToken is not valid, or the history no longer contains its event.";
        return Err(ApiError::new("InvalidNextTokenException", message));
    }
    let mut page = json!({"Events": events});
    if let Some(token) = next {
        page["NextToken"] = json!(token);
    }
    Ok(page)
}

/// Reads a time in seconds since 1970.
fn time(seconds: f64) -> Outcome<DateTime<Utc>> {
    let time = DateTime::from_timestamp_millis((seconds * 1000.0) as i64);
    time.ok_or_else(|| ApiError::new("InvalidTimeRangeException", "The time is out of range."))
}
