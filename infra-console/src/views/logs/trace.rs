//! The lines of one request, from all logs.
//!
//! Services log the ID of the header `x-request-id`, which balancers log and pass on unchanged, and services send to the
//! next tier. Databases log it if the service labels its connection and the prefix of the server's lines contains the label
//! ([`prefix`](super::prefix)). Lines of databases without an ID are shown, and marked, if they were written during the
//! request.

use super::{Line, filter::Filter, lines, search::search, sources::LogSource};
use chrono::{DateTime, TimeDelta, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use std::collections::BTreeSet;

/// Maximum number of lines of databases.
const NEARBY: usize = 50;

/// Name of the field with the duration of a request, which is logged at its end.
const DURATION: &str = "duration_ms";

/// A request in the logs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LogTrace")]
pub(crate) struct Trace {
    pub(crate) request_id: String,
    /// Time from the beginning of the first tier's work to the last line, in milliseconds.
    pub(crate) milliseconds: f64,
    /// Labels of the logs that name the request, in the order in which their work began.
    pub(crate) logs: Vec<String>,
}

impl Trace {
    /// Sets the times since the beginning of the request, if the lines are those of a request with this ID. Adds the lines
    /// of databases.
    pub(super) fn follow(id: &str, found: &mut Vec<Line>, databases: &[LogSource]) -> Option<Self> {
        if id.is_empty() || !found.iter().any(|line| line.request_id.as_deref() == Some(id)) {
            return None;
        }
        let start = found.iter().filter_map(begin).min()?;
        let end = found.iter().filter_map(time).max()?;
        let mut logs: Vec<String> = Vec::new();
        let mut begun: Vec<&Line> = found.iter().collect();
        begun.sort_by_key(|line| begin(line));
        for line in begun {
            if !logs.contains(&line.label) {
                logs.push(line.label.clone());
            }
        }
        let meanwhile = Filter { from: Some(start), to: Some(end), ..Filter::default() };
        let known: BTreeSet<String> = found.iter().map(|line| line.key.clone()).collect();
        let nearby = lines(search(databases, &meanwhile, NEARBY).records, databases);
        let nearby = nearby
            .into_iter()
            .filter(|line| line.at.is_some() && line.request_id.is_none() && !known.contains(&line.key));
        found.extend(nearby.map(|line| Line { nearby: true, ..line }));
        found.sort_by_key(time);
        for line in found.iter_mut() {
            line.after_ms = time(line).map(|time| milliseconds(time - start));
        }
        Some(Self { request_id: id.to_owned(), milliseconds: milliseconds(end - start), logs })
    }
}

fn time(line: &Line) -> Option<DateTime<Utc>> {
    line.at.as_ref()?.parse().ok()
}

/// Returns the time at which the work began that a line reports.
fn begin(line: &Line) -> Option<DateTime<Utc>> {
    let field = line.fields.iter().find(|field| field.name == DURATION);
    let duration =
        field.and_then(|field| field.value.parse::<f64>().ok()).filter(|duration| (0.0..1e9).contains(duration));
    #[expect(clippy::cast_possible_truncation, reason = "the range is checked")]
    let duration = TimeDelta::microseconds((duration.unwrap_or_default() * 1000.0) as i64);
    Some(time(line)? - duration)
}

#[expect(clippy::cast_precision_loss, reason = "durations of requests are short")]
fn milliseconds(duration: TimeDelta) -> f64 {
    duration.num_microseconds().unwrap_or(i64::MAX) as f64 / 1000.0
}
