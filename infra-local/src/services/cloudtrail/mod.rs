//! AWS CloudTrail: the event history, which consists of the recorded requests to the endpoint.

mod event;
mod lookup_events;
#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::services::Operation;

/// CloudTrail's operations.
pub(crate) const OPERATIONS: &[&[Operation<Value, Value>]] = &[lookup_events::OPERATIONS];
