//! AWS Cloud Control (version 2021-09-30): resources of any type by the names and properties that CloudFormation has
//! for them.
//!
//! A request is recorded and answered at once; [`carry_out`] carries it out afterwards, by the operations of the type's own
//! service. [`kinds`] are the types with a service. Of other types, whose schemas the cloud was given, resources are only
//! [`recorded`]; all others are refused by name.
//!
//! # Layout
//! - [`request`]: requests to create, change and delete; [`status`]: their status
//! - [`resource`]: existing resources
//! - [`supported`]: the types of a cloud
//! - [`kinds`]: one file per type; [`kind`]: the description of a type; [`schema`]: checks of properties
//! - [`recorded`]: types that are known by their schema
//! - [`patch`]: JSON Patch, as changes are written
//! - [`carry_out`]: carries out requests; [`caller`]: calls other services with the rights of the request's identity

mod caller;
mod carry_out;
mod kind;
mod kinds;
mod patch;
mod recorded;
mod request;
mod resource;
mod schema;
mod status;
mod supported;
#[cfg(test)]
mod tests;

use std::path::Path;

use serde::de::DeserializeOwned;
use serde_json::Value;

pub(crate) use caller::OperationContext;
pub(crate) use carry_out::{carry_out, is_waiting, waiting_types};

use crate::services::{Call, Operation};
use crate::wire::{ApiError, Outcome};
use supported::Supported;

/// An entry of the tables.
type ControlOperation = Operation<Value, Value>;

/// The operations.
pub(crate) const OPERATIONS: &[&[ControlOperation]] = &[request::OPERATIONS, status::OPERATIONS, resource::OPERATIONS];

/// Returns the IAM actions that an operation on a type needs at the type's own service before it is answered. Of types with
/// a service, only reads are answered from that service; all other operations are executed later, with the permissions of
/// the identity. Recorded types need the permissions of their handlers, if the schema lists them.
pub(crate) fn needed_actions(operation: &str, type_name: &str, directory: &Path) -> Vec<String> {
    match (operation, supported::named(type_name, directory)) {
        ("GetResource" | "ListResources" | "UpdateResource", Ok(Supported::Running(kind))) => {
            kind.reading.iter().map(|action| (*action).to_owned()).collect()
        }
        (_, Ok(Supported::Recorded(kind))) => kind.needed_actions(operation),
        _ => Vec::new(),
    }
}

/// Parses a request; unknown members are refused by name.
fn input<T: DeserializeOwned>(call: &Call<'_, Value>) -> Outcome<T> {
    T::deserialize(&call.input).map_err(|error| validation(error.to_string()))
}

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationException", message)
}

fn invalid(message: impl Into<String>) -> ApiError {
    ApiError::new("InvalidRequestException", message)
}

fn not_found(type_name: &str, identifier: &str) -> ApiError {
    ApiError::new(
        "ResourceNotFoundException",
        format!("Resource of type '{type_name}' with identifier '{identifier}' was not found."),
    )
}

/// Checks the number of items of a page.
fn limit(limit: Option<usize>) -> Outcome<Option<usize>> {
    let limit = limit.unwrap_or(100);
    if (1..=100).contains(&limit) { Ok(Some(limit)) } else { Err(validation("MaxResults must be between 1 and 100")) }
}
