//! Parses lines of logs: JSON, the text format of the crate tracing, PostgreSQL, MariaDB, and other texts that begin with
//! a time.

use super::prefix::Prefix;
use crate::views::text::clean;
use chrono::{DateTime, Local, NaiveDateTime, TimeZone as _, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Map, Value as Json};

/// The largest number of fields of a record, and the largest depth of nested fields.
const FIELDS: usize = 60;
const DEPTH: usize = 5;

/// The longest name of a field, value of a field, and message, in characters.
const NAME: usize = 100;
const VALUE: usize = 2000;
const MESSAGE: usize = 8000;

/// Names of members, by the loggers that are in use.
const TIMES: &[&str] = &["timestamp", "time", "ts", "@timestamp"];
const LEVELS: &[&str] = &["level", "severity", "lvl"];
const MESSAGES: &[&str] = &["message", "msg"];
const REQUEST_IDS: &[&str] = &["request_id", "requestId", "x-request-id", "x_request_id"];

/// Severity of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "LogLevel")]
pub(crate) enum Level {
    Trace,
    Debug,
    Info,
    Warn,
    Error,
}

impl Level {
    pub(crate) const ALL: [Level; 5] = [Level::Trace, Level::Debug, Level::Info, Level::Warn, Level::Error];

    pub(crate) fn name(self) -> &'static str {
        match self {
            Level::Trace => "trace",
            Level::Debug => "debug",
            Level::Info => "info",
            Level::Warn => "warn",
            Level::Error => "error",
        }
    }

    /// Parses the names of common loggers and of databases.
    fn parse(name: &str) -> Option<Self> {
        let name = name.to_ascii_lowercase();
        Some(match name.as_str() {
            "trace" | "debug5" | "debug4" | "debug3" | "debug2" => Level::Trace,
            "debug" | "debug1" => Level::Debug,
            "info" | "information" | "notice" | "note" | "log" => Level::Info,
            "warn" | "warning" => Level::Warn,
            "error" | "err" | "fatal" | "panic" | "critical" => Level::Error,
            _ => return None,
        })
    }
}

/// A named value of a record.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[schemars(rename = "LogField")]
pub(crate) struct Field {
    /// Names of nested members are separated by dots.
    pub(crate) name: String,
    pub(crate) value: String,
}

/// The beginning of a record, or a part of the record before it.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Start {
    /// A record with its time.
    Timed(DateTime<Utc>),
    /// A JSON object without a time.
    Untimed,
    /// A further line of the record before, such as a line of a stack trace.
    Continuation,
}

/// A parsed line.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parsed {
    pub(super) level: Option<Level>,
    pub(super) message: String,
    pub(super) fields: Vec<Field>,
}

impl Parsed {
    /// Adds a field that is not a part of the line.
    pub(super) fn add(&mut self, name: &str, value: &str) {
        self.fields.push(Field { name: name.to_owned(), value: clean(value, VALUE) });
    }

    /// Returns the ID of the request that the record is about.
    pub(super) fn request_id(&self) -> Option<&str> {
        let is_id = |name: &str| REQUEST_IDS.contains(&name.rsplit('.').next().unwrap_or(name));
        let field = self.fields.iter().find(|field| is_id(&field.name) && !field.value.is_empty());
        field.map(|field| field.value.as_str()).or_else(|| {
            let (_, rest) = self.message.split_once("request_id=")?;
            let id = rest.trim_start_matches('"').split([' ', '"', '}', ',']).next()?;
            (!id.is_empty()).then_some(id)
        })
    }
}

/// Decides whether a line begins a record. Does not parse the rest of the line if it is not necessary.
pub(super) fn start(line: &str) -> Start {
    if line.starts_with('{') {
        if let Some(time) = quick_time(line) {
            return Start::Timed(time);
        }
        return match serde_json::from_str(line) {
            Ok(object) => member_time(&object).map_or(Start::Untimed, Start::Timed),
            Err(_) => Start::Continuation,
        };
    }
    match stamp(line) {
        Some((_, rest)) if is_detail(rest) => Start::Continuation,
        Some((time, _)) => Start::Timed(time),
        None => Start::Continuation,
    }
}

/// Returns the time of a line that begins a record.
pub(super) fn start_time(line: &str) -> Option<DateTime<Utc>> {
    match start(line) {
        Start::Timed(time) => Some(time),
        Start::Untimed | Start::Continuation => None,
    }
}

/// Parses a line.
pub(super) fn parse(line: &str) -> Parsed {
    match serde_json::from_str::<Map<String, Json>>(line) {
        Ok(object) if line.starts_with('{') => of_object(object),
        _ => of_text(stamp(line).map_or(line, |(_, rest)| rest)),
    }
}

/// Members of the events of CloudWatch Logs, besides the time and the message.
const EVENT: &[&str] = &["ingested", "id"];

/// Returns the record in the message of an event of CloudWatch Logs, which may be of any form.
fn of_event(object: &Map<String, Json>) -> Option<Parsed> {
    let is_event = object.len() == 4 && EVENT.iter().all(|name| object.get(*name).is_some_and(Json::is_u64));
    Some(parse(object.get("message").filter(|_| is_event)?.as_str()?))
}

fn of_object(mut object: Map<String, Json>) -> Parsed {
    if let Some(record) = of_event(&object) {
        return record;
    }
    if member_time(&object).is_some()
        && let Some(name) = TIMES.iter().find(|name| object.contains_key::<str>(name))
    {
        object.remove::<str>(name);
    }
    let level = LEVELS.iter().find_map(|name| Some((name, json_level(object.get(*name)?)?)));
    if let Some((name, _)) = level {
        object.remove::<str>(name);
    }
    let name = MESSAGES.iter().find(|name| object.get(**name).is_some_and(Json::is_string));
    let message = name.and_then(|name| object.remove::<str>(name));
    let message = message.as_ref().and_then(Json::as_str).unwrap_or_default();
    let mut fields = Vec::new();
    flatten("", &Json::Object(object), 0, &mut fields);
    Parsed { level: level.map(|(_, level)| level), message: clean(message, MESSAGE), fields }
}

fn flatten(path: &str, value: &Json, depth: usize, fields: &mut Vec<Field>) {
    if fields.len() == FIELDS {
        return;
    }
    match value {
        Json::Object(members) if depth < DEPTH && (!members.is_empty() || path.is_empty()) => {
            for (name, value) in members {
                let path = if path.is_empty() { name.clone() } else { format!("{path}.{name}") };
                flatten(&path, value, depth + 1, fields);
            }
        }
        other => {
            let value = other.as_str().map_or_else(|| other.to_string(), str::to_owned);
            fields.push(Field { name: clean(path, NAME), value: clean(&value, VALUE) });
        }
    }
}

/// Parses the rest of a line after its time.
fn of_text(rest: &str) -> Parsed {
    let mut rest = rest.trim_start();
    let mut fields = Vec::new();
    if let Some(prefix) = Prefix::split(rest) {
        let named = prefix.fields.into_iter();
        fields.extend(named.map(|(name, value)| Field { name: name.to_owned(), value: clean(value, VALUE) }));
        rest = prefix.rest;
    }
    let (first, after) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let level = Level::parse(first.trim_matches(['[', ']', ':']));
    let message = if level.is_some() { after.trim_start() } else { rest };
    Parsed { level, message: clean(message, MESSAGE), fields }
}

/// Returns whether a line of PostgreSQL belongs to the message before.
fn is_detail(rest: &str) -> bool {
    Prefix::split(rest.trim_start()).is_some_and(|prefix| prefix.is_detail())
}

/// Returns a further line of a record without the time and the prefix that PostgreSQL repeats.
pub(super) fn detail(line: &str) -> &str {
    match stamp(line) {
        Some((_, rest)) => Prefix::split(rest.trim_start()).map_or(rest, |prefix| prefix.rest),
        None => line,
    }
}

/// Returns the time of an object that begins with it, as most loggers write it, and also if the object is incomplete.
fn quick_time(line: &str) -> Option<DateTime<Utc>> {
    let text = line.strip_prefix("{\"timestamp\":\"")?.split('"').next()?;
    DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc())
}

/// Returns the level of an object that begins with its time and its level.
pub(super) fn quick_level(line: &str) -> Option<Level> {
    let (_, rest) = line.strip_prefix("{\"timestamp\":\"")?.split_once('"')?;
    Level::parse(rest.strip_prefix(",\"level\":\"")?.split('"').next()?)
}

fn member_time(object: &Map<String, Json>) -> Option<DateTime<Utc>> {
    match TIMES.iter().find_map(|name| object.get(*name))? {
        Json::String(text) => DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc()),
        // Seconds or milliseconds since 1970.
        Json::Number(number) => {
            let number = number.as_f64()?;
            let milliseconds = if number > 1e11 { number } else { number * 1000.0 };
            #[expect(clippy::cast_possible_truncation, reason = "out of range, the result is no valid time")]
            DateTime::from_timestamp_micros((milliseconds * 1000.0) as i64)
        }
        _ => None,
    }
}

fn json_level(value: &Json) -> Option<Level> {
    match value {
        Json::String(name) => Level::parse(name),
        // The numbers of pino and bunyan.
        Json::Number(number) => Some(match number.as_u64()? {
            0..20 => Level::Trace,
            20..30 => Level::Debug,
            30..40 => Level::Info,
            40..50 => Level::Warn,
            _ => Level::Error,
        }),
        _ => None,
    }
}

/// Splits the time from a line: RFC 3339, or a date and a time of day with an optional zone. Without a zone, and with an
/// abbreviation other than `UTC`, the time is one of this machine's time zone, as databases write it.
fn stamp(line: &str) -> Option<(DateTime<Utc>, &str)> {
    if !line.starts_with(|first: char| first.is_ascii_digit()) {
        return None;
    }
    let (first, rest) = line.split_once(' ').unwrap_or((line, ""));
    if let Ok(time) = DateTime::parse_from_rfc3339(first) {
        return Some((time.to_utc(), rest));
    }
    let rest = rest.trim_start();
    let (second, rest) = rest.split_once(' ').unwrap_or((rest, ""));
    let text = format!("{first} {}", second.replace(',', "."));
    if let Ok(time) = DateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f%#z") {
        return Some((time.to_utc(), rest));
    }
    let time = NaiveDateTime::parse_from_str(&text, "%Y-%m-%d %H:%M:%S%.f").ok()?;
    let (third, after) = rest.split_once(' ').unwrap_or((rest, ""));
    if matches!(third, "UTC" | "GMT" | "Z") {
        return Some((time.and_utc(), after));
    }
    if third.starts_with(['+', '-']) {
        let time = DateTime::parse_from_str(&format!("{text}{third}"), "%Y-%m-%d %H:%M:%S%.f%#z").ok()?;
        return Some((time.to_utc(), after));
    }
    // The prefix of RDS: `UTC:10.0.0.5(4000):user@database:[42]:LOG:`, without spaces after the zone.
    if let Some(after) = ["UTC:", "GMT:"].iter().find_map(|zone| third.strip_prefix(zone).map(|_| &rest[zone.len()..]))
    {
        return Some((time.and_utc(), after));
    }
    let is_zone = (2..=5).contains(&third.len())
        && third.bytes().all(|byte| byte.is_ascii_uppercase())
        && Level::parse(third).is_none();
    let local = Local.from_local_datetime(&time).earliest().map_or(time.and_utc(), |time| time.to_utc());
    Some((local, if is_zone { after } else { rest }))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn described(line: &str) -> String {
        let time = start_time(line).map_or_else(|| format!("{:?}", start(line)), |time| time.to_rfc3339());
        let parsed = parse(line);
        let fields: Vec<String> =
            parsed.fields.iter().map(|field| format!(" {}={}", field.name, field.value)).collect();
        format!("{time} {:?} {}{}", parsed.level, parsed.message, fields.concat())
    }

    #[test]
    fn json_lines_have_fields() {
        let line = r#"{"timestamp":"2026-11-30T09:15:22.123456Z","level":"INFO","message":"request","status":200,"user":null,"span":{"request_id":"a-1","name":"request"}}"#;
        insta::assert_snapshot!(described(line), @"2026-11-30T09:15:22.123456+00:00 Some(Info) request span.name=request span.request_id=a-1 status=200 user=null");
        assert_eq!(parse(line).request_id(), Some("a-1"));
        insta::assert_snapshot!(described(r#"{"level":50,"time":1796030122123,"msg":"pino","err":{"code":"E","list":[1,"a"]}}"#), @r#"2026-11-30T09:15:22.123+00:00 Some(Error) pino err.code=E err.list=[1,"a"]"#);
        insta::assert_snapshot!(described(r#"{"n":1}"#), @"Untimed None  n=1");
        insta::assert_snapshot!(described("{not JSON"), @"Continuation None {not JSON");
        insta::assert_snapshot!(described(r#"{"timestamp":"2026-11-30T09:15:22Z","message":"cut of"#), @r#"2026-11-30T09:15:22+00:00 None {"timestamp":"2026-11-30T09:15:22Z","message":"cut of"#);
    }

    #[test]
    fn text_lines_have_a_time_and_a_level() {
        insta::assert_snapshot!(described("2026-11-30T09:15:22.5Z  WARN infra_local::server: refused path=\"/\""), @r#"2026-11-30T09:15:22.500+00:00 Some(Warn) infra_local::server: refused path="/""#);
        insta::assert_snapshot!(described("2026-11-30 09:15:22.123 UTC [42] LOG:  database system is ready"), @"2026-11-30T09:15:22.123+00:00 Some(Info) database system is ready pid=42");
        insta::assert_snapshot!(described("2026-11-30 09:15:22.123 UTC [42] DETAIL:  Key (id)=(1) exists."), @"Continuation None DETAIL:  Key (id)=(1) exists. pid=42");
        insta::assert_snapshot!(described("2026-11-30 09:15:22 UTC:10.0.0.5(4000):cloud@tasks:[42]:ERROR:  duplicate key"), @"2026-11-30T09:15:22+00:00 Some(Error) duplicate key client=10.0.0.5(4000) user=cloud@tasks pid=42");
        insta::assert_snapshot!(described("2026-11-30 09:15:22 UTC::@:[42]:LOG:  ready"), @"2026-11-30T09:15:22+00:00 Some(Info) ready pid=42");
        insta::assert_snapshot!(described("2026-11-30 10:15:22+01 ERROR a"), @"2026-11-30T09:15:22+00:00 Some(Error) a");
        insta::assert_snapshot!(described("2026-11-30 10:15:22.1 +0100 [7] FATAL:  no"), @"2026-11-30T09:15:22.100+00:00 Some(Error) no pid=7");
        insta::assert_snapshot!(described("\tat Main.main(Main.java:3)"), @"Continuation None at Main.main(Main.java:3)");
        insta::assert_snapshot!(described("2026"), @"Continuation None 2026");
    }

    #[test]
    fn times_without_a_zone_are_local() {
        let local = |text: &str| {
            let time = NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").unwrap();
            Local.from_local_datetime(&time).earliest().unwrap().to_utc()
        };
        let mariadb = "2026-11-30  9:15:22 0 [Note] InnoDB: started";
        assert_eq!(start_time(mariadb), Some(local("2026-11-30 09:15:22")));
        assert_eq!((parse(mariadb).level, &parse(mariadb).message[..]), (Some(Level::Info), "InnoDB: started"));
        let python = "2026-11-30 09:15:22,123 WARNING disk";
        assert_eq!(start_time(python), Some(local("2026-11-30 09:15:22.123")));
        assert_eq!((parse(python).level, &parse(python).message[..]), (Some(Level::Warn), "disk"));
        assert_eq!(start_time("2026-11-30 09:15:22 CEST [3] LOG:  a"), Some(local("2026-11-30 09:15:22")));
    }

    #[test]
    fn events_of_log_streams_have_the_form_of_their_messages() {
        let event = r#"{"timestamp":1796030122123,"ingested":1796030122200,"id":7,"message":"{\"level\":\"WARN\",\"message\":\"slow\",\"request_id\":\"a-1\"}"}"#;
        insta::assert_snapshot!(described(event), @"2026-11-30T09:15:22.123+00:00 Some(Warn) slow request_id=a-1");
        let text = r#"{"timestamp":1796030122123,"ingested":1796030122200,"id":7,"message":"plain"}"#;
        insta::assert_snapshot!(described(text), @"2026-11-30T09:15:22.123+00:00 None plain");
    }

    #[test]
    fn request_ids_are_found_in_texts() {
        let id = |line: &str| parse(line).request_id().map(str::to_owned);
        assert_eq!(id("2026-11-30T09:15:22Z INFO request{request_id=\"a-1\"}: done").as_deref(), Some("a-1"));
        assert_eq!(id("2026-11-30T09:15:22Z INFO done request_id=b2 status=200").as_deref(), Some("b2"));
        assert_eq!(id("2026-11-30T09:15:22Z INFO done"), None);
    }

    #[test]
    fn odd_objects_are_bounded() {
        let deep = "{\"a\":".repeat(20) + "1" + &"}".repeat(20);
        assert_eq!(parse(&deep).fields[0].name, "a.a.a.a.a");
        let wide: Vec<String> = (0..500).map(|number| format!("\"f{number}\":\"{}\"", "v".repeat(5000))).collect();
        let parsed = parse(&format!("{{{}}}", wide.join(",")));
        assert_eq!(parsed.fields.len(), FIELDS);
        assert!(parsed.fields.iter().all(|field| field.value.chars().count() == VALUE + 1));
    }
}
