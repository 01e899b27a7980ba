//! Amazon CloudWatch (version 2010-08-01): metrics, alarms and dashboards.
//!
//! The service accepts Query, JSON 1.0 and RPC v2 CBOR. The endpoint converts all of them to JSON values. Errors have
//! the codes of Query.

mod alarm;
mod alarm_list;
mod composite;
mod dashboard;
mod data;
mod history;
mod math;
mod metric;
mod query;
#[cfg(test)]
mod round_trip;
mod tag;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::de::{DeserializeOwned, Error as _};
use serde::{Deserialize, Deserializer};
use serde_json::{Value, json};

use crate::access::Resource;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome, shape};

/// An entry of CloudWatch's tables.
type WatchOperation = Operation<Value, Value>;

/// The operations, by kind.
pub(crate) const OPERATIONS: &[&[WatchOperation]] = &[
    alarm::OPERATIONS,
    alarm_list::OPERATIONS,
    composite::OPERATIONS,
    dashboard::OPERATIONS,
    history::OPERATIONS,
    metric::OPERATIONS,
    data::OPERATIONS,
    query::OPERATIONS,
    tag::OPERATIONS,
];

const ALARM_ARN: &str = "arn:aws:cloudwatch:{region}:{account}:alarm:{}";
const ALARM: Resource = Resource::Named("AlarmName", ALARM_ARN);
const ALARMS: Resource = Resource::Named("AlarmNames", ALARM_ARN);
const DASHBOARD_ARN: &str = "arn:aws:cloudwatch::{account}:dashboard/{}";
const DASHBOARD: Resource = Resource::Named("DashboardName", DASHBOARD_ARN);
const DASHBOARDS: Resource = Resource::Named("DashboardNames", DASHBOARD_ARN);
const TAGGED: Resource = Resource::Arn("ResourceARN");

/// Returns the name in Smithy's model of the error with this Query code.
pub(crate) fn error_shape(code: &str) -> &str {
    match code {
        "InvalidParameterValue" => "InvalidParameterValueException",
        "InvalidParameterCombination" => "InvalidParameterCombinationException",
        "MissingParameter" => "MissingRequiredParameterException",
        "LimitExceeded" => "LimitExceededFault",
        "InvalidFormat" => "InvalidFormatFault",
        "InvalidParameterInput" => "DashboardInvalidInputError",
        other => other,
    }
}

/// Parses a request; unknown members are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    shape::read(&call.input).map_err(|error| validation(error.to_string()))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidParameterValue", message)
}

/// A dimension: a name and a value that distinguish a metric from others with the same name.
#[derive(Clone, Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Dimension {
    name: String,
    value: String,
}

fn dimensions(given: Vec<Dimension>) -> Outcome<BTreeMap<String, String>> {
    if given.len() > 30 {
        return Err(invalid("The parameter Dimensions has more than 30 members."));
    }
    let mut all = BTreeMap::new();
    for Dimension { name, value } in given {
        if name.is_empty() || value.is_empty() || name.starts_with(':') {
            return Err(invalid(format!(
                "A dimension has a name that does not begin with ':' and a value: not '{name}' = '{value}'"
            )));
        }
        if all.insert(name.clone(), value).is_some() {
            return Err(invalid(format!("The dimension {name} is given twice.")));
        }
    }
    Ok(all)
}

fn render_dimensions(dimensions: &BTreeMap<String, String>) -> Value {
    dimensions.iter().map(|(name, value)| json!({"Name": name, "Value": value})).collect()
}

/// A time in a request: seconds since 1970, or ISO 8601.
#[derive(Debug, Clone, Copy)]
struct Time(DateTime<Utc>);

impl<'de> Deserialize<'de> for Time {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let value = Value::deserialize(deserializer)?;
        let time = match &value {
            Value::Number(number) => {
                number.as_f64().and_then(|seconds| DateTime::from_timestamp_millis((seconds * 1000.0) as i64))
            }
            Value::String(text) => {
                let zoned = DateTime::parse_from_rfc3339(text).map(|time| time.to_utc()).ok();
                zoned.or_else(|| {
                    chrono::NaiveDateTime::parse_from_str(text, "%Y-%m-%dT%H:%M:%S%.f").ok().map(|t| t.and_utc())
                })
            }
            _ => None,
        };
        time.map(Time).ok_or_else(|| D::Error::custom(format!("{value} is not a time")))
    }
}
