//! Evaluation of queries.

use std::collections::{BTreeMap, BTreeSet};

use chrono::DateTime;
use serde_json::Value;

use super::super::store::Event;
use super::condition::{Record, compare};
use super::query::{Aggregation, Command, Group, Query, Stats};
use crate::model::Account;
use crate::model::logs::LogGroup;

/// Results of a query.
pub(super) struct Found {
    /// Fields and values, in the order of the query.
    pub(super) rows: Vec<Vec<(String, String)>>,
    /// Number of records that the filters accept.
    pub(super) matched: usize,
}

/// Fields of a query without `fields`.
const DEFAULT_FIELDS: [&str; 2] = ["@timestamp", "@message"];

/// Returns the fields of an event: those of CloudWatch Logs, and those of a message in JSON.
pub(super) fn record(account: Account, event: &Event, group: &LogGroup, stream: &str) -> Record {
    let mut record = Record::new();
    if let Ok(message @ Value::Object(_)) = serde_json::from_str::<Value>(&event.message) {
        flatten("", &message, &mut record);
    }
    let mut set = |field: &str, value: String| record.insert(field.to_owned(), value);
    set("@timestamp", time(event.timestamp));
    set("@ingestionTime", time(event.ingested));
    set("@message", event.message.clone());
    set("@logStream", stream.to_owned());
    set("@log", format!("{account}:{}", group.name));
    set("@ptr", format!("{}{}{stream}", event.key(), group.name));
    set(MILLISECONDS, event.timestamp.to_string());
    record
}

/// Internal field with the time in milliseconds, which groups of periods use.
const MILLISECONDS: &str = " milliseconds";

fn time(milliseconds: i64) -> String {
    let time = DateTime::from_timestamp_millis(milliseconds).unwrap_or_default();
    time.format("%Y-%m-%d %H:%M:%S%.3f").to_string()
}

fn flatten(prefix: &str, value: &Value, record: &mut Record) {
    let name = |key: &str| if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
    match value {
        Value::Object(members) => members.iter().for_each(|(key, inner)| flatten(&name(key), inner, record)),
        Value::Array(items) => {
            items.iter().enumerate().for_each(|(index, inner)| flatten(&name(&index.to_string()), inner, record));
        }
        Value::Null => {}
        Value::String(text) => drop(record.insert(prefix.to_owned(), text.clone())),
        other => drop(record.insert(prefix.to_owned(), other.to_string())),
    }
}

/// Executes the commands one after another.
pub(super) fn run(query: &Query, mut records: Vec<Record>, limit: usize) -> Found {
    // Without `sort`, the newest event is the first.
    records.sort_by(|one, other| other.get("@ptr").cmp(&one.get("@ptr")));
    let mut fields: Vec<String> = DEFAULT_FIELDS.iter().map(|field| (*field).to_owned()).collect();
    let (mut matched, mut most, mut chosen, mut is_aggregated) = (records.len(), limit, false, false);
    for command in &query.commands {
        match command {
            Command::Fields(names) if chosen => fields.extend(names.iter().cloned()),
            Command::Fields(names) => {
                fields.clone_from(names);
                chosen = true;
            }
            Command::Filter(condition) => {
                records.retain(|record| condition.holds(record));
                if !is_aggregated {
                    matched = records.len();
                }
            }
            Command::Stats(stats) => {
                (fields, records) = aggregate(stats, &records);
                (chosen, is_aggregated) = (true, true);
            }
            Command::Sort(keys) => sort(&mut records, keys),
            Command::Limit(number) => most = *number,
        }
    }
    records.truncate(most);
    if !is_aggregated {
        fields.push("@ptr".to_owned());
    }
    let row = |record: &Record| {
        let values = fields.iter().filter_map(|field| Some((field.clone(), record.get(field)?.clone())));
        values.collect()
    };
    Found { rows: records.iter().map(row).collect(), matched }
}

fn sort(records: &mut [Record], keys: &[(String, bool)]) {
    records.sort_by(|one, other| {
        let orders = keys.iter().map(|(field, is_descending)| {
            let order = match (one.get(field), other.get(field)) {
                (Some(one), Some(other)) => compare(one, other),
                (one, other) => one.cmp(&other),
            };
            if *is_descending { order.reverse() } else { order }
        });
        orders.fold(std::cmp::Ordering::Equal, std::cmp::Ordering::then)
    });
}

/// Returns the fields and the records of the groups, in the order of their keys.
fn aggregate(stats: &Stats, records: &[Record]) -> (Vec<String>, Vec<Record>) {
    let names = stats.by.iter().map(|group| match group {
        Group::Field(name) | Group::Bin(_, name) => name.clone(),
    });
    let by: Vec<String> = names.collect();
    let mut groups: BTreeMap<Vec<Option<String>>, Vec<&Record>> = BTreeMap::new();
    for record in records {
        groups.entry(stats.by.iter().map(|group| key(group, record)).collect()).or_default().push(record);
    }
    // Without groups, there is a result even if no record was found.
    if by.is_empty() {
        groups.entry(Vec::new()).or_default();
    }
    let rows = groups.into_iter().map(|(key, members)| {
        let keys = by.iter().cloned().zip(key).filter_map(|(name, value)| Some((name, value?)));
        let values = stats.aggregations.iter().filter_map(|one| Some((one.name.clone(), value(one, &members)?)));
        keys.chain(values).collect()
    });
    let rows = rows.collect();
    (by.into_iter().chain(stats.aggregations.iter().map(|one| one.name.clone())).collect(), rows)
}

fn key(group: &Group, record: &Record) -> Option<String> {
    match group {
        Group::Field(name) => record.get(name).cloned(),
        Group::Bin(period, _) => {
            let at = record.get(MILLISECONDS)?.parse::<i64>().ok()?;
            Some(time(at.div_euclid(*period) * period))
        }
    }
}

fn value(aggregation: &Aggregation, members: &[&Record]) -> Option<String> {
    let Some(field) = &aggregation.field else { return Some(members.len().to_string()) };
    let values: Vec<&String> = members.iter().filter_map(|record| record.get(field)).collect();
    let numbers: Vec<f64> = values.iter().filter_map(|value| value.parse().ok()).collect();
    let sum: f64 = numbers.iter().sum();
    match aggregation.function.as_str() {
        "count" => Some(values.len().to_string()),
        "count_distinct" => Some(values.into_iter().collect::<BTreeSet<_>>().len().to_string()),
        "sum" => (!numbers.is_empty()).then(|| sum.to_string()),
        "avg" => (!numbers.is_empty()).then(|| (sum / numbers.len() as f64).to_string()),
        "min" => values.into_iter().min_by(|one, other| compare(one, other)).cloned(),
        _ => values.into_iter().max_by(|one, other| compare(one, other)).cloned(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn rows(query: &str) -> Vec<String> {
        let messages = [
            r#"{"level":"error","took":12,"user":{"name":"ada"}}"#,
            r#"{"level":"info","took":3}"#,
            "plain text",
            r#"{"level":"error","took":7}"#,
        ];
        let group = LogGroup {
            name: "app".to_owned(),
            arn: String::new(),
            created: DateTime::default(),
            retention_days: None,
            tags: BTreeMap::new(),
            streams: BTreeMap::new(),
            metric_filters: BTreeMap::new(),
            subscription_filters: BTreeMap::new(),
        };
        let event = |(index, message): (usize, &&str)| Event {
            timestamp: i64::try_from(index).unwrap() * 60_000,
            ingested: 0,
            id: index as u64,
            message: (*message).to_owned(),
        };
        let records = messages
            .iter()
            .enumerate()
            .map(event)
            .map(|event| record(Account::default(), &event, &group, "s"))
            .collect();
        let found = run(&Query::parse(query).unwrap(), records, 1000);
        let shown = |row: Vec<(String, String)>| {
            let visible = row.into_iter().filter(|(field, _)| field != "@ptr");
            visible.map(|(field, value)| format!("{field}={value}")).collect::<Vec<_>>().join(" ")
        };
        found.rows.into_iter().map(shown).collect()
    }

    #[test]
    fn fields_of_messages_are_filtered_and_sorted() {
        assert_eq!(rows("fields took | filter level = 'error' | sort took desc"), ["took=12", "took=7"]);
        assert_eq!(rows("fields level | filter took > 5 and not ispresent(user.name)"), ["level=error"]);
        assert_eq!(rows("fields took | filter @message like /inf[o]/ or took in [7, 8]"), ["took=7", "took=3"]);
        assert_eq!(rows("filter @message like 'plain'"), ["@timestamp=1970-01-01 00:02:00.000 @message=plain text"]);
        assert_eq!(rows("fields took | filter ispresent(level) and level not like 'err' | limit 1"), ["took=3"]);
    }

    #[test]
    fn records_are_counted_by_fields_and_periods() {
        assert_eq!(
            rows("stats count(*) as n, avg(took) by level"),
            ["n=1", "level=error n=2 avg(took)=9.5", "level=info n=1 avg(took)=3"]
        );
        assert_eq!(rows("stats count(*) by bin(2m)").len(), 2);
        assert_eq!(rows("filter level = 'none' | stats count(*)"), ["count(*)=0"]);
        assert_eq!(
            rows("stats max(took), min(took), sum(took), count_distinct(level)"),
            ["max(took)=12 min(took)=3 sum(took)=22 count_distinct(level)=2"]
        );
    }

    #[test]
    fn other_commands_are_refused_by_name() {
        let problem = |text: &str| Query::parse(text).unwrap_err();
        insta::assert_snapshot!(problem("fields @message | parse @message '*' as x"), @"The local cloud has the commands fields, display, filter, stats, sort and limit, not 'parse'");
        insta::assert_snapshot!(problem("stats pct(took, 95)"), @"The local cloud has the statistics count, count_distinct, sum, avg, min, max, not 'pct'");
        insta::assert_snapshot!(problem("filter level ="), @"expected a field or a value instead of the end of the query");
        insta::assert_snapshot!(problem("fields 'x"), @"unterminated ' in the query");
    }
}
