//! Constraints of requests from AWS's service models: required members, lengths, ranges, enumerations and patterns.
//!
//! `tests/peers/constraints.py` generates the tables. Operations check what the models do not state.

mod form;
mod pattern;
mod table;
#[cfg(test)]
mod tests;
mod types;
mod violation;
mod wording;

use serde_json::Value;

use self::table::Table;
use super::error::{ApiError, Outcome};
use super::query::Params;

/// Parameters of a request.
#[derive(Clone, Copy)]
pub(crate) enum Parameters<'a> {
    Form(&'a Params),
    /// The parameters of a request in JSON or CBOR.
    Document(&'a Value),
}

/// Refuses a request that violates a constraint of its operation, with the code and wording of the service. Messages
/// contain no values of the members that `hides` selects, nor of those that the model declares as sensitive.
///
/// `service` is the credential scope.
pub(crate) fn check(
    service: &str,
    operation: &str,
    parameters: Parameters<'_>,
    hides: &dyn Fn(&str) -> bool,
) -> Outcome<()> {
    let table = match Table::of(service) {
        Some(Ok(table)) => table,
        Some(Err(error)) => return Err(ApiError::internal(format!("the table of {service} is damaged: {error}"))),
        None => return Ok(()),
    };
    let Some(shape) = table.request(operation) else { return Ok(()) };
    let from_form;
    let input = match parameters {
        Parameters::Form(params) => {
            from_form = form::to_value(table, shape, params);
            &from_form
        }
        Parameters::Document(value) => {
            types::check(table, shape, value)?;
            value
        }
    };
    match wording::error(service, &violation::violations(table, shape, input, hides)) {
        Some(error) => Err(error),
        None => Ok(()),
    }
}

/// Returns whether the table of a service has a row for an operation.
#[cfg(test)]
pub(crate) fn has_row(service: &str, operation: &str) -> bool {
    Table::of(service).is_some_and(|table| table.as_ref().is_ok_and(|table| table.has(operation)))
}
