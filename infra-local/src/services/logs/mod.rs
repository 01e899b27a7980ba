//! Amazon CloudWatch Logs (version 2014-03-28): log groups, their streams and events.

mod event;
mod group;
mod insights;
mod metric_filter;
mod pattern;
mod query_definition;
mod resource;
mod resource_policy;
#[cfg(test)]
mod round_trip;
mod store;
mod stream;
mod subscription_filter;
mod tag;
#[cfg(test)]
mod tests;

use chrono::{DateTime, Utc};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::model::Region;
use crate::model::logs::LogGroup;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

/// An entry of the tables.
type LogOperation = Operation<Value, Value>;

/// The operations, by kind.
pub(crate) const OPERATIONS: &[&[LogOperation]] = &[
    group::OPERATIONS,
    stream::OPERATIONS,
    event::OPERATIONS,
    metric_filter::OPERATIONS,
    subscription_filter::OPERATIONS,
    query_definition::OPERATIONS,
    resource_policy::OPERATIONS,
    tag::OPERATIONS,
    insights::OPERATIONS,
];

/// Parses a request; unknown members are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    T::deserialize(&call.input).map_err(|error| invalid(error.to_string()))
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterException", message)
}

fn no_group() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log group does not exist.")
}

fn no_stream() -> ApiError {
    ApiError::new("ResourceNotFoundException", "The specified log stream does not exist.")
}

/// Returns milliseconds since 1970, the form of times in this service.
fn milliseconds(time: DateTime<Utc>) -> i64 {
    time.timestamp_millis()
}

/// Returns the log group that a request identifies by `logGroupName`, or by `logGroupIdentifier`, a name or an ARN.
fn named<'a>(region: &'a Region, name: Option<&str>, identifier: Option<&str>) -> Outcome<&'a LogGroup> {
    let wanted = match (name, identifier) {
        (Some(name), None) => name,
        (None, Some(identifier)) => plain_name(identifier),
        _ => return Err(invalid("Exactly one of logGroupName and logGroupIdentifier must be specified.")),
    };
    region.logs.groups.get(wanted).ok_or_else(no_group)
}

/// Returns the name in an ARN; a name is returned unchanged.
fn plain_name(identifier: &str) -> &str {
    let name = identifier.split_once(":log-group:").map_or(identifier, |(_, name)| name);
    name.strip_suffix(":*").unwrap_or(name)
}
