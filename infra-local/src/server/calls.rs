//! Recent requests to the endpoint with their responses and the decisions about them, for `GET /_infra/calls`.
//!
//! - [`recording`]: the record of a request while it is dispatched
//! - [`secrets`]: members of requests and responses that are not recorded

pub(crate) mod recording;
pub(crate) mod secrets;

use std::collections::VecDeque;
use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};
use serde_json::Value;

use crate::access::Decision;
use crate::services::operation::{RecordedRequest, RequestLog};

/// Maximum number of recorded calls.
const CALLS_LIMIT: usize = 20_000;

/// Maximum size of the recorded calls together, in bytes. It is measured by their texts.
const BYTES_LIMIT: usize = 32 * 1024 * 1024;

/// Number of calls on a page when the reader requests no number.
pub(crate) const PAGE_DEFAULT: usize = 500;

/// Maximum number of calls on a page.
pub(crate) const PAGE_LIMIT: usize = 5000;

/// A request to the endpoint and its response.
#[derive(Debug, Clone, Default, Serialize)]
pub(crate) struct RecordedCall {
    /// Position in the sequence of all calls since the start of the cloud, from 1 on.
    number: u64,
    /// Time at which the request arrived.
    #[serde(serialize_with = "milliseconds")]
    at: DateTime<Utc>,
    /// The credential scope's service.
    service: String,
    operation: String,
    /// The declaration that the client sent the request for, from the header `x-infra-resource`.
    #[serde(skip_serializing_if = "String::is_empty")]
    resource: String,
    region: String,
    /// ARN of the identity that signed the request; `None` if the signature is not valid.
    caller: Option<String>,
    /// Id of the access key that signed the request.
    access_key: String,
    /// The client, from the header `User-Agent`.
    user_agent: String,
    request_id: String,
    /// Parameters as JSON. Those of a request whose caller or operation is unknown are not recorded.
    parameters: Value,
    /// Status of the response.
    status: u16,
    error: Option<CallError>,
    /// Beginning of the response's text; empty for objects.
    answer: String,
    /// Time until the response was complete, including injected delays.
    microseconds: u64,
    decisions: Vec<Decision>,
}

/// An error as the client received it, or the loss of the response.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub(crate) struct CallError {
    pub(crate) code: String,
    pub(crate) message: String,
}

/// The most recent calls, within limits.
pub(crate) struct Calls {
    ring: Mutex<Ring>,
    max_count: usize,
    max_bytes: usize,
}

#[derive(Default)]
struct Ring {
    /// Calls with consecutive numbers, the oldest first.
    calls: VecDeque<Arc<RecordedCall>>,
    /// Size of all calls.
    bytes: usize,
    /// Number of the newest call.
    newest: u64,
}

/// A part of the recorded calls.
#[derive(Serialize)]
pub(crate) struct Page {
    /// Number of the last call of this page. The next page is the one after this number.
    next: u64,
    /// The oldest first.
    #[serde(serialize_with = "each")]
    calls: Vec<Arc<RecordedCall>>,
}

impl Default for Calls {
    fn default() -> Self {
        Calls::limited(CALLS_LIMIT, BYTES_LIMIT)
    }
}

impl Calls {
    fn limited(max_count: usize, max_bytes: usize) -> Calls {
        Calls { ring: Mutex::default(), max_count, max_bytes }
    }

    /// Appends a call and drops the oldest ones beyond the limits.
    pub(crate) fn push(&self, mut call: RecordedCall) {
        let size = call.size();
        let mut dropped = Vec::new();
        let mut ring = self.lock();
        ring.newest += 1;
        call.number = ring.newest;
        ring.calls.push_back(Arc::new(call));
        ring.bytes += size;
        while ring.calls.len() > self.max_count || ring.bytes > self.max_bytes {
            let Some(oldest) = ring.calls.pop_front() else { break };
            ring.bytes -= oldest.size();
            dropped.push(oldest);
        }
        drop(ring);
        // The memory of dropped calls is released after the lock.
        drop(dropped);
    }

    /// Returns the calls after a number, at most `limit` of the oldest; without a number the last `limit` calls. The
    /// numbers start again with the cloud: a number that no call has reached yet counts as 0.
    pub(crate) fn page(&self, after: Option<u64>, limit: usize) -> Page {
        let ring = self.lock();
        let (length, newest) = (ring.calls.len(), ring.newest);
        let first = newest + 1 - length as u64;
        let begin = match after {
            None => length.saturating_sub(limit),
            Some(after) if after > newest => 0,
            Some(after) => usize::try_from((after + 1).saturating_sub(first)).unwrap_or(length),
        };
        let calls: Vec<_> = ring.calls.iter().skip(begin).take(limit).cloned().collect();
        Page { next: calls.last().map_or(newest, |call| call.number), calls }
    }

    /// Returns whether a recorded call was sent for a declaration.
    pub(crate) fn contain(&self, declaration: &str) -> bool {
        self.lock().calls.iter().any(|call| call.resource == declaration)
    }

    /// Returns the number of the last call.
    pub(crate) fn last_number(&self) -> u64 {
        self.lock().newest
    }

    /// Returns the last call with an error that was sent for a declaration, if its number is larger than `number`.
    pub(crate) fn last_failed(&self, declaration: &str, number: u64) -> Option<Arc<RecordedCall>> {
        let ring = self.lock();
        let recent = ring.calls.iter().rev().take_while(|call| call.number > number);
        recent.filter(|call| call.resource == declaration).find(|call| call.error.is_some()).cloned()
    }

    /// Returns the calls after a number, at most `limit` of the oldest.
    pub(crate) fn after(&self, number: u64, limit: usize) -> Vec<Arc<RecordedCall>> {
        self.page(Some(number), limit).calls
    }

    fn lock(&self) -> MutexGuard<'_, Ring> {
        self.ring.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl RequestLog for Calls {
    fn newest_first(&self, visit: &mut dyn FnMut(&RecordedRequest<'_>) -> bool) {
        let calls: Vec<_> = self.lock().calls.iter().cloned().collect();
        for call in calls.iter().rev() {
            if !visit(&call.described()) {
                return;
            }
        }
    }
}

impl RecordedCall {
    fn described(&self) -> RecordedRequest<'_> {
        RecordedRequest {
            id: &self.request_id,
            at: self.at,
            service: &self.service,
            operation: &self.operation,
            region: &self.region,
            caller: self.caller.as_deref(),
            access_key: &self.access_key,
            user_agent: &self.user_agent,
            parameters: &self.parameters,
            answer: &self.answer,
            error: self.error.as_ref().map(|error| (error.code.as_str(), error.message.as_str())),
        }
    }

    /// Records that the client did not receive the response.
    pub(crate) fn lose_response(&mut self) {
        self.error.get_or_insert_with(|| CallError {
            code: "ResponseDropped".to_owned(),
            message: "An injected fault dropped the response".to_owned(),
        });
    }
}

impl fmt::Display for RecordedCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let RecordedCall { service, operation, request_id, status, microseconds, .. } = self;
        write!(f, "{service}:{operation} {request_id} {status} {microseconds} µs")
    }
}

impl RecordedCall {
    /// Returns the approximate size in memory, in bytes.
    fn size(&self) -> usize {
        let texts = [&self.service, &self.operation, &self.resource, &self.region, &self.request_id, &self.answer];
        let texts = texts.into_iter().chain([&self.access_key, &self.user_agent]);
        let error = self.error.as_ref().map_or(0, |error| error.code.len() + error.message.len());
        let decisions = self.decisions.iter().map(Decision::size);
        size_of::<RecordedCall>()
            + texts.map(String::len).sum::<usize>()
            + self.caller.as_ref().map_or(0, String::len)
            + error
            + decisions.sum::<usize>()
            + size_of_value(&self.parameters)
    }
}

fn size_of_value(value: &Value) -> usize {
    /// Overhead of a member of an object.
    const MEMBER: usize = 3 * size_of::<usize>();
    size_of::<Value>()
        + match value {
            Value::String(text) => text.len(),
            Value::Array(items) => items.iter().map(size_of_value).sum(),
            Value::Object(members) => {
                members.iter().map(|(name, value)| MEMBER + name.len() + size_of_value(value)).sum()
            }
            Value::Null | Value::Bool(_) | Value::Number(_) => 0,
        }
}

fn milliseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

fn each<S: Serializer>(calls: &[Arc<RecordedCall>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(calls.iter().map(|call| &**call))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(answer: &str) -> RecordedCall {
        RecordedCall { answer: answer.to_owned(), ..RecordedCall::default() }
    }

    fn numbers(page: &Page) -> (Vec<u64>, u64) {
        (page.calls.iter().map(|call| call.number).collect(), page.next)
    }

    #[test]
    fn pages_continue_after_a_number_and_begin_with_the_last_calls() {
        let calls = Calls::limited(4, BYTES_LIMIT);
        assert_eq!(numbers(&calls.page(None, 2)), (vec![], 0));
        assert_eq!(numbers(&calls.page(Some(0), 2)), (vec![], 0));
        for _ in 0..6 {
            calls.push(call("x"));
        }
        assert_eq!(numbers(&calls.page(None, 2)), (vec![5, 6], 6));
        assert_eq!(numbers(&calls.page(None, 9)), (vec![3, 4, 5, 6], 6));
        assert_eq!(numbers(&calls.page(Some(0), 2)), (vec![3, 4], 4), "calls 1 and 2 are dropped");
        assert_eq!(numbers(&calls.page(Some(4), 9)), (vec![5, 6], 6));
        assert_eq!(numbers(&calls.page(Some(6), 9)), (vec![], 6));
        assert_eq!(numbers(&calls.page(Some(7), 9)), (vec![3, 4, 5, 6], 6), "the reader saw another cloud");
        assert_eq!(numbers(&calls.page(Some(u64::MAX), 1)), (vec![3], 3));
    }

    #[test]
    fn calls_are_limited_by_their_bytes() {
        let size = call(&"x".repeat(1000)).size();
        let calls = Calls::limited(CALLS_LIMIT, 3 * size);
        for _ in 0..5 {
            calls.push(call(&"x".repeat(1000)));
        }
        assert_eq!(numbers(&calls.page(None, 9)), (vec![3, 4, 5], 5));
        calls.push(call(&"x".repeat(3000)));
        assert_eq!(numbers(&calls.page(None, 9)), (vec![6], 6));
        let ring = calls.lock();
        assert_eq!(ring.bytes, ring.calls.iter().map(|call| call.size()).sum::<usize>());
        drop(ring);
        calls.push(call(&"x".repeat(4 * size)));
        assert_eq!(numbers(&calls.page(None, 9)), (vec![], 7), "a call larger than the limit is not kept");
        calls.push(call(""));
        assert_eq!(numbers(&calls.page(Some(6), 9)), (vec![8], 8));
    }
}
