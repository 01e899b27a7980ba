//! AWS Security Token Service: the identity of the caller, assumed roles, and temporary credentials of users.

mod assume_role;
mod caller;
mod session_token;
#[cfg(test)]
mod tests;

use crate::model::iam::Session;
use crate::services::Operation;
use crate::wire::{ApiError, Node, Outcome, Params};

/// STS's operations.
pub(crate) const OPERATIONS: &[&[Operation<Params, Node>]] =
    &[assume_role::OPERATIONS, caller::OPERATIONS, session_token::OPERATIONS];

/// Least duration of temporary credentials, in seconds.
const LEAST_SECONDS: u32 = 900;

fn validation(message: impl Into<String>) -> ApiError {
    ApiError::new("ValidationError", message)
}

/// Returns the violation of a constraint, in AWS's form.
fn constraint(value: &str, member: &str, constraint: &str) -> ApiError {
    validation(format!(
        "1 validation error detected: Value '{value}' at '{member}' failed to satisfy constraint: {constraint}"
    ))
}

fn denied(caller: &str, action: &str, resource: &str) -> ApiError {
    let message = format!("User: {caller} is not authorized to perform: {action} on resource: {resource}");
    ApiError::new("AccessDenied", message).with_status(403)
}

/// Returns the requested duration, in seconds.
fn duration(params: &Params, most: u32) -> Outcome<Option<u32>> {
    let bound = |seconds: u32, text: &str, limit: u32| {
        constraint(
            &seconds.to_string(),
            "durationSeconds",
            &format!("Member must have value {text} than or equal to {limit}"),
        )
    };
    match params.parsed("DurationSeconds")? {
        Some(seconds) if seconds < LEAST_SECONDS => Err(bound(seconds, "greater", LEAST_SECONDS)),
        Some(seconds) if seconds > most => Err(bound(seconds, "less", most)),
        seconds => Ok(seconds),
    }
}

fn render_credentials(key: &str, session: &Session) -> Node {
    Node::new()
        .with("AccessKeyId", key)
        .with("SecretAccessKey", &session.secret)
        .with("SessionToken", &session.token)
        .with("Expiration", session.expires)
}
