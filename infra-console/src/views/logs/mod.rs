//! Logs of the local cloud, of the services of its instances and of its databases, and the log groups of a stack on AWS.
//!
//! In the local cloud, the files are the only store: the local cloud keeps at most 10 MiB of each log and the 10 MiB before, also across
//! restarts of the console and of the cloud. Every request searches them from the end.

mod backwards;
mod cloudwatch;
mod filter;
mod parse;
mod prefix;
mod search;
mod sources;
mod trace;

pub(crate) use filter::RANGES;
pub(crate) use parse::{Field, Level};
pub(crate) use sources::{Kind, LogSource, revision};
pub(crate) use trace::Trace;

use super::{Context, LOCAL, Problem, Query, parameters::Parameters, schemas::UrnSchema};
use crate::cloud::CloudError;
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use filter::Filter;
use infra_core::{diagnostic::Diagnostic, urn::Urn};
use schemars::JsonSchema;
use search::{Found, Search, search};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use sources::Sources;
use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
};

/// The parameters of the page.
pub(crate) const PARAMETERS: &[&str] = &["of", "level", "q", "field", "range", "from", "to", "limit", "follow"];

/// Number of lines, unless another one is requested, and the largest number.
pub(crate) const LIMIT: u64 = 200;
const MOST: u64 = 2000;

/// Lines of logs with the choices for a filter.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Logs {
    /// The oldest first.
    pub(crate) lines: Vec<Line>,
    /// Value of `to` with which the page shows older lines, if there are any.
    pub(crate) older: Option<String>,
    /// The request whose ID was searched.
    pub(crate) trace: Option<Trace>,
    /// Logs that exist.
    pub(crate) sources: Vec<LogSource>,
    /// Instance or database whose logs are selected.
    pub(crate) selected: Option<Selected>,
    /// Reasons why lines may be missing.
    pub(crate) notices: Vec<String>,
}

/// The selected instance or database.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LogOwner")]
pub(crate) struct Selected {
    pub(crate) id: String,
    pub(crate) name: Option<String>,
    /// The resource that declares it; instances of Auto Scaling groups have none.
    #[schemars(with = "Option<UrnSchema>")]
    pub(crate) resource: Option<Urn>,
}

/// A line of a log, with the further lines that belong to it.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "LogLine")]
pub(crate) struct Line {
    /// Identifies the line on the page.
    pub(crate) key: String,
    /// RFC 3339, in UTC, with microseconds; `None` if the line has no time.
    pub(crate) at: Option<String>,
    /// ID of the log.
    pub(crate) source: String,
    /// Label of the log.
    pub(crate) label: String,
    /// Position of the log in the list of all, for its colour.
    #[serde(skip)]
    pub(crate) position: usize,
    pub(crate) level: Option<Level>,
    pub(crate) message: String,
    pub(crate) fields: Vec<Field>,
    pub(crate) request_id: Option<String>,
    /// Milliseconds since the beginning of the traced request.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) after_ms: Option<f64>,
    /// `true` if the line does not name the traced request, but was written by a database meanwhile.
    pub(crate) nearby: bool,
}

/// Parameters of the logs for programs.
#[derive(Default, Deserialize, JsonSchema)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LogsQuery {
    /// ID or name of the instance, the database or the log, such as `i-1/api`, or `cloud` for the local cloud's own log.
    /// All logs if omitted.
    of: Option<String>,
    /// Lowest level: `trace`, `debug`, `info`, `warn` or `error`.
    level: Option<String>,
    /// A text of the lines, or the ID of a request, whose lines in all logs are returned.
    q: Option<String>,
    /// Values of fields, such as `status=500`, with spaces between several.
    field: Option<String>,
    /// Time range that ends now: `5m`, `15m`, `1h`, `24h` or `all`.
    range: Option<String>,
    /// Start of the time range: RFC 3339, or a time of today in UTC such as `09:15`.
    from: Option<String>,
    /// End of the time range, in the form of `from`. `older` of an answer is the value for the lines before.
    to: Option<String>,
    /// Maximum number of lines, from 1 to 2000. 200 if omitted.
    limit: Option<u64>,
}

impl Query for LogsQuery {
    type View = Logs;

    async fn load(self, context: &Context) -> Result<Logs, Problem> {
        let parameters = Parameters::of([
            ("of", self.of),
            ("level", self.level),
            ("q", self.q),
            ("field", self.field),
            ("range", self.range),
            ("from", self.from),
            ("to", self.to),
            ("limit", self.limit.map(|limit| limit.to_string())),
        ])?;
        Logs::load(context, &parameters).await
    }
}

impl Logs {
    /// Searches the logs. Parameters have the names [`PARAMETERS`].
    pub(crate) async fn load(context: &Context, parameters: &Parameters) -> Result<Self, Problem> {
        let filter = Filter::parse(parameters, Utc::now())?;
        let limit = parameters.number("limit", 1..=MOST)?.unwrap_or(LIMIT);
        if context.source.target() != LOCAL {
            return Self::on_aws(context, parameters, (&filter, limit)).await;
        }
        let mut notices = Vec::new();
        let status = status(context, &mut notices).await?;
        let sources = Sources::of(context.source.directory(), status.as_ref());
        if sources.omitted > 0 {
            notices.push(format!("{} further logs are omitted.", sources.omitted));
        }
        let selected_logs = sources.select(parameters.text("of"))?;
        let selected = Selected::find(context, parameters.text("of"), &selected_logs).await;
        let databases: Vec<LogSource> = match parameters.text("of") {
            "" => sources.all.iter().filter(|source| source.kind == Kind::Database).cloned().collect(),
            _ => Vec::new(),
        };
        let id = parameters.text("q").to_owned();
        let logs = tokio::task::spawn_blocking(move || {
            let found = search(&selected_logs, &filter, usize::try_from(limit).unwrap_or(usize::MAX));
            notices.extend(notices_of(&found, &selected_logs));
            let older = older(&found);
            let mut lines = lines(found.records, &selected_logs);
            let trace = Trace::follow(&id, &mut lines, &databases);
            Self { lines, older, trace, sources: sources.all, selected, notices }
        });
        logs.await.map_err(|error| Problem {
            status: StatusCode::INTERNAL_SERVER_ERROR,
            diagnostic: Diagnostic::error("the logs cannot be searched").because(error.to_string()),
        })
    }

    /// Searches the log groups of a stack on AWS.
    async fn on_aws(
        context: &Context,
        parameters: &Parameters,
        (filter, limit): (&Filter, u64),
    ) -> Result<Self, Problem> {
        let sources = Sources::on_aws(cloudwatch::groups(context).await?);
        let selected_logs = sources.select(parameters.text("of"))?;
        let selected = Selected::find(context, parameters.text("of"), &selected_logs).await;
        let (mut notices, limit) = (Vec::new(), usize::try_from(limit).unwrap_or(usize::MAX));
        let found = cloudwatch::search(context, &selected_logs, (filter, limit), parameters, &mut notices).await?;
        let older = older(&found);
        let mut lines = lines(found.records, &selected_logs);
        let trace = Trace::follow(parameters.text("q"), &mut lines, &[]);
        Ok(Self { lines, older, trace, sources: sources.all, selected, notices })
    }
}

/// Returns the status of the local cloud. Without one, only the cloud's own log is known.
async fn status(context: &Context, notices: &mut Vec<String>) -> Result<Option<Json>, Problem> {
    let status = match context.cloud() {
        Ok(cloud) => cloud.get("status").await,
        Err(error) => Err(error),
    };
    let error = match status {
        Ok(status) => return Ok(Some(status)),
        Err(error) => error,
    };
    if !sources::cloud_log(context.source.directory()).exists() {
        return Err(error.into());
    }
    notices.push(match error {
        CloudError::NotRunning => {
            "The local cloud is not running, so only its own log is shown. The logs of its services are \
             kept: `stack local start` starts it."
                .to_owned()
        }
        error => format!("Only the log of the local cloud is shown: {error}."),
    });
    Ok(None)
}

impl Selected {
    /// Returns the instance or the database to which all selected logs belong.
    async fn find(context: &Context, of: &str, logs: &[LogSource]) -> Option<Self> {
        let first = logs.first().filter(|first| !of.is_empty() && first.kind != Kind::Cloud)?;
        if logs.iter().any(|log| log.of != first.of) {
            return None;
        }
        // Without a readable state, the page has no link to the resource; other pages report the reason.
        let state = context.source.state().await.ok().flatten();
        let resource = state.and_then(|state| {
            let mut resources = state.resources.iter();
            let found = resources.find(|(_, resource)| {
                resource.current.as_ref().and_then(|current| current.id.as_ref()) == Some(&first.of)
            });
            found.map(|(urn, _)| urn.clone())
        });
        Some(Self { id: first.of.clone(), name: first.name.clone(), resource })
    }
}

/// Returns the reasons why a search is incomplete.
fn notices_of(search: &Search, logs: &[LogSource]) -> Vec<String> {
    let unreadable = search.unreadable.iter();
    let mut notices: Vec<String> =
        unreadable.map(|(log, error)| format!("The log of {} cannot be read: {error}.", logs[*log].label)).collect();
    if !search.cut.is_empty() {
        let names: Vec<&str> = search.cut.iter().map(|log| logs[*log].label.as_str()).collect();
        let names = names.join(", ");
        notices.push(format!(
            "Only the ends of long logs were searched ({names}): choose one log, or an earlier end time."
        ));
    }
    notices
}

/// Returns the end of the range of older records.
fn older(search: &Search) -> Option<String> {
    let first = search.records.first().filter(|_| search.has_older)?;
    let is_instant = search.records.last().is_some_and(|last| last.order == first.order);
    // Records of this time are shown again. If there are no others, they would be the same page.
    let end = if is_instant { first.order - TimeDelta::microseconds(1) } else { first.order };
    Some(written(end))
}

/// Converts records. Equal lines of the same time have different keys.
fn lines(records: Vec<Found>, logs: &[LogSource]) -> Vec<Line> {
    let mut equal: HashMap<u64, u32> = HashMap::new();
    let line = |found: Found| {
        let log = &logs[found.source];
        let mut hasher = DefaultHasher::new();
        (&log.id, found.time, &found.raw).hash(&mut hasher);
        let hash = hasher.finish();
        let count = equal.entry(hash).or_default();
        *count += 1;
        Line {
            key: if *count == 1 { format!("{hash:016x}") } else { format!("{hash:016x}-{count}") },
            at: found.time.map(written),
            source: log.id.clone(),
            label: log.label.clone(),
            position: log.position,
            level: found.parsed.level,
            request_id: found.parsed.request_id().map(str::to_owned),
            message: found.parsed.message,
            fields: found.parsed.fields,
            after_ms: None,
            nearby: false,
        }
    };
    records.into_iter().map(line).collect()
}

fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Micros, true)
}
