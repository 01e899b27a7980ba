//! AWS Systems Manager: parameters.

mod listing;
mod parameter;
mod tag;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::domain::ssm::{Selector, not_found};
use crate::model::ACCOUNT;
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};

/// An entry of Systems Manager's tables.
type SsmOperation = Operation<Value, Value>;

/// Systems Manager's operations, by kind.
pub(crate) const OPERATIONS: &[&[SsmOperation]] = &[parameter::OPERATIONS, listing::OPERATIONS, tag::OPERATIONS];

/// Reads a request into its type; unknown fields are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    T::deserialize(&call.input).map_err(|error| validation(error.to_string()))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn arn(region: &str, name: &str) -> String {
    let slash = if name.starts_with('/') { "" } else { "/" };
    format!("arn:aws:ssm:{region}:{ACCOUNT}:parameter{slash}{name}")
}
