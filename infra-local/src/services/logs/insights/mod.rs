//! Queries of Logs Insights: `fields`, `display`, `filter`, `stats`, `sort` and `limit`.
//!
//! A query is evaluated when its results are requested, so the model contains only its text. Other commands are refused by
//! name. Source: CloudWatch Logs API reference, `StartQuery`, `GetQueryResults`; CloudWatch Logs User Guide, "CloudWatch Logs
//! Insights language query syntax".

mod condition;
mod evaluate;
mod lexer;
mod parser;
mod query;

use chrono::TimeDelta;
use serde::Deserialize;
use serde_json::{Value, json};

use self::query::Query;
use super::{LogOperation, input, invalid, milliseconds, named, plain_name, resource, store};
use crate::model::Cloud;
use crate::model::logs::{LogGroup, StoredQuery};
use crate::services::{Call, State, typed};
use crate::wire::{ApiError, Outcome};

pub(super) const OPERATIONS: &[LogOperation] = &[
    typed!(Writes, "StartQuery", start).on(&[resource::GROUP, resource::NAMED_GROUPS, resource::IDENTIFIED_GROUPS]),
    typed!(Performs, "GetQueryResults", results).on_any(),
    typed!(Reads, "DescribeQueries", describe).on_any(),
    typed!(Writes, "StopQuery", stop).on_any(),
];

/// AWS's maximum of results, which is also the default.
const RESULTS: u32 = 10_000;
/// Period for which AWS keeps the results of a query.
const KEPT_DAYS: i64 = 7;
/// AWS's maximum of log groups per query.
const GROUPS: usize = 50;

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Request {
    log_group_name: Option<String>,
    #[serde(default)]
    log_group_names: Vec<String>,
    #[serde(default)]
    log_group_identifiers: Vec<String>,
    /// In seconds since 1970.
    start_time: i64,
    end_time: i64,
    query_string: String,
    limit: Option<u32>,
    query_language: Option<String>,
}

fn start(cloud: &mut Cloud, call: &Call<'_, Value>, request: Request) -> Outcome<Value> {
    if let Some(language) = request.query_language.filter(|language| language != "CWLI") {
        return Err(invalid(format!("The local cloud has the query language CWLI, not {language}")));
    }
    if request.start_time > request.end_time {
        return Err(invalid("The start time of a query cannot be after its end time."));
    }
    if request.limit.is_some_and(|limit| !(1..=RESULTS).contains(&limit)) {
        return Err(invalid(format!("limit must be between 1 and {RESULTS}")));
    }
    Query::parse(&request.query_string).map_err(malformed)?;
    let identifiers = request.log_group_identifiers.iter().map(|identifier| plain_name(identifier).to_owned());
    let groups: Vec<String> =
        request.log_group_name.into_iter().chain(request.log_group_names).chain(identifiers).collect();
    if groups.is_empty() || groups.len() > GROUPS {
        return Err(invalid(format!("A query has 1 to {GROUPS} log groups")));
    }
    let region = cloud.region_mut(call.region)?;
    for name in &groups {
        named(region, Some(name), None)?;
    }
    let query = StoredQuery {
        id: uuid::Uuid::new_v4().to_string(),
        text: request.query_string,
        groups,
        start: request.start_time,
        end: request.end_time,
        limit: request.limit,
        created: call.now,
    };
    let oldest = call.now - TimeDelta::days(KEPT_DAYS);
    region.logs.queries.retain(|_, query| query.created >= oldest);
    let answer = json!({"queryId": query.id});
    region.logs.queries.insert(query.id.clone(), query);
    Ok(answer)
}

fn malformed(problem: String) -> ApiError {
    ApiError::new("MalformedQueryException", problem)
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct Named {
    query_id: String,
}

fn results(state: &State<'_>, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let (stored, groups) = state.read(|cloud| {
        let logs = &cloud.region(call.region)?.logs;
        let stored = logs.queries.get(&request.query_id).ok_or_else(|| unknown(&request.query_id))?;
        let groups = stored.groups.iter().filter_map(|name| logs.groups.get(name));
        Ok::<_, ApiError>((stored.clone(), groups.cloned().collect::<Vec<LogGroup>>()))
    })?;
    let query = Query::parse(&stored.text).map_err(malformed)?;
    let mut events = Vec::new();
    for group in &groups {
        for stream in group.streams.values() {
            let read = store::read(call.directory, &stream.file, group.retention_days, call.now)?;
            let in_range = |time: i64| time >= stored.start * 1000 && time < (stored.end + 1) * 1000;
            let read = read.into_iter().filter(|event| in_range(event.timestamp));
            events.extend(read.map(|event| evaluate::record(call.account, &event, group, &stream.name)));
        }
    }
    let scanned = events.len();
    let bytes: usize = events.iter().map(|event| event.get("@message").map_or(0, String::len)).sum();
    let found = evaluate::run(&query, events, stored.limit.unwrap_or(RESULTS) as usize);
    let rows = found
        .rows
        .into_iter()
        .map(|row| row.into_iter().map(|(field, value)| json!({"field": field, "value": value})).collect::<Vec<_>>());
    Ok(json!({
        "queryLanguage": "CWLI",
        "results": rows.collect::<Vec<_>>(),
        "statistics": {
            "recordsMatched": found.matched as f64,
            "recordsScanned": scanned as f64,
            "bytesScanned": bytes as f64,
        },
        "status": "Complete",
    }))
}

fn unknown(id: &str) -> ApiError {
    ApiError::new("ResourceNotFoundException", format!("The specified query {id} does not exist."))
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
struct List {
    log_group_name: Option<String>,
    status: Option<String>,
    max_results: Option<usize>,
    next_token: Option<String>,
    query_language: Option<String>,
}

fn describe(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    let region = cloud.region(call.region)?;
    if let Some(name) = &request.log_group_name {
        named(region, Some(name), None)?;
    }
    let queries = region.logs.queries.values();
    let is_wanted = request.status.as_deref().is_none_or(|status| status == "Complete")
        && request.query_language.as_deref().is_none_or(|language| language == "CWLI");
    let mut wanted: Vec<(String, &StoredQuery)> = queries
        .filter(|query| is_wanted && request.log_group_name.as_ref().is_none_or(|name| query.groups.contains(name)))
        // The newest query is the first.
        .map(|query| (format!("{:020}{}", i64::MAX - milliseconds(query.created), query.id), query))
        .collect();
    wanted.sort_by(|one, other| one.0.cmp(&other.0));
    let limit = request.max_results.unwrap_or(GROUPS);
    let page = crate::wire::Page::cut(wanted, Some(limit), request.next_token.as_deref(), |(key, _)| key)?;
    let shown = page.items.into_iter().map(|(_, query)| {
        json!({
            "queryLanguage": "CWLI",
            "queryId": query.id,
            "queryString": query.text,
            "status": "Complete",
            "createTime": milliseconds(query.created),
            "logGroupName": query.groups.first(),
        })
    });
    let mut answer = json!({"queries": shown.collect::<Vec<_>>()});
    if let Some(next) = page.next {
        answer["nextToken"] = json!(next);
    }
    Ok(answer)
}

/// Refuses to stop a query: all have ended, for which AWS documents an error.
fn stop(cloud: &mut Cloud, call: &Call<'_, Value>, request: Named) -> Outcome<Value> {
    let queries = &cloud.region(call.region)?.logs.queries;
    let found = queries.get(&request.query_id).ok_or_else(|| unknown(&request.query_id))?;
    Err(invalid(format!("The specified query {} is not running.", found.id)))
}
