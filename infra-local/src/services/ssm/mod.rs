//! AWS Systems Manager: parameters.

mod filter;
mod label;
mod listing;
mod name;
mod parameter;
mod policy;
#[cfg(test)]
mod round_trip;
mod tag;
#[cfg(test)]
mod tests;

use name::check_name;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::access::Resource;
use crate::domain::ssm::{Selector, not_found};
use crate::model::{ArnScope, Cloud};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

/// An entry of Systems Manager's tables.
type SsmOperation = Operation<Value, Value>;

/// Systems Manager's operations, by kind.
pub(crate) const OPERATIONS: &[&[SsmOperation]] =
    &[parameter::OPERATIONS, label::OPERATIONS, listing::OPERATIONS, tag::OPERATIONS];

const PARAMETER: Resource = Resource::Resolved("Name", parameter_arn);
const PARAMETERS: Resource = Resource::Resolved("Names", parameter_arn);
const PATH: Resource = Resource::Resolved("Path", parameter_arn);
const TAGGED: Resource = Resource::Resolved("ResourceId", parameter_arn);

/// Returns the ARN of a parameter, whose name may be followed by a version or a label: `/a/b:3`.
#[allow(clippy::unnecessary_wraps)]
fn parameter_arn(cloud: &Cloud, region: &str, name: &str) -> Option<String> {
    if name.starts_with("arn:") {
        return Some(name.to_owned());
    }
    Some(arn(cloud.scope(region), name.split(':').next().unwrap_or(name)))
}

/// Parses a request; unknown fields are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    T::deserialize(&call.input).map_err(|error| validation(error.to_string()))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn arn(scope: ArnScope<'_>, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    scope.arn("ssm", format_args!("parameter{slash}{name}"))
}
