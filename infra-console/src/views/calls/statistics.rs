//! Numbers about a list of calls.

use super::Call;
use schemars::JsonSchema;
use serde::Serialize;

/// Numbers about the calls of a page.
#[derive(Debug, Default, Serialize, JsonSchema)]
#[schemars(rename = "CallStatistics")]
pub(crate) struct Statistics {
    pub(crate) calls: usize,
    /// Time from the first to the last call, in seconds.
    pub(crate) seconds: f64,
    /// `None` for less than two calls, or if all are of the same time.
    pub(crate) calls_per_second: Option<f64>,
    pub(crate) errors: usize,
    pub(crate) denied: usize,
    /// The call with the longest duration.
    pub(crate) slowest: Option<Slowest>,
}

/// The call with the longest duration.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "SlowestCall")]
pub(crate) struct Slowest {
    pub(crate) number: u64,
    pub(crate) service: String,
    pub(crate) operation: String,
    pub(crate) milliseconds: f64,
}

impl Statistics {
    /// Computes the numbers for calls in any order.
    #[expect(clippy::cast_precision_loss, reason = "the numbers are small")]
    pub(super) fn of(calls: &[Call]) -> Self {
        let times = || calls.iter().map(|call| call.at);
        let span = times().max().zip(times().min()).map(|(last, first)| (last - first).num_milliseconds());
        let seconds = span.unwrap_or_default() as f64 / 1000.0;
        let slowest = calls.iter().max_by_key(|call| call.microseconds);
        Self {
            calls: calls.len(),
            seconds,
            calls_per_second: (seconds > 0.0).then(|| (calls.len() - 1) as f64 / seconds),
            errors: calls.iter().filter(|call| call.is_error()).count(),
            denied: calls.iter().filter(|call| call.is_denied()).count(),
            slowest: slowest.map(|call| Slowest {
                number: call.number,
                service: call.service.clone(),
                operation: call.operation.clone(),
                milliseconds: call.milliseconds(),
            }),
        }
    }
}
