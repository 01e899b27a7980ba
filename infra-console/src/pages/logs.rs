//! Page of the logs.

use super::{Failure, Frame, Page, Shared, filters::Filters, render};
use crate::views::{
    Problem,
    logs::{Field, Kind, Level, Line, LogSource, Logs, PARAMETERS, RANGES},
    parameters::Parameters,
};
use askama::Template;
use axum::extract::{RawQuery, State};
use std::collections::BTreeSet;

/// Number of colours of logs in the style sheet.
const COLOURS: usize = 8;

/// Choices of the number of lines.
const LIMITS: &[&str] = &["200", "500", "2000"];

/// The longest part of the fields next to a message, in characters.
const SUMMARY: usize = 300;

/// Fields that the log of requests has; they are shown first, in this order.
const FIRST: &[&str] = &["method", "path", "status", "duration_ms"];

/// Field with the name of the span, which repeats the message.
const SPAN: &str = "span.name";

/// The longest value that is a link to the lines with the same value, in bytes.
const LINK: usize = 100;

#[derive(Template)]
#[template(path = "logs.html")]
struct LogsPage {
    frame: Frame,
    logs: Logs,
    filters: Filters,
    /// `true` if all lines are of the same day.
    one_day: bool,
    topics: &'static str,
}

impl LogsPage {
    fn new(frame: Frame, logs: Logs, filters: Filters) -> Self {
        let days: BTreeSet<&str> = logs.lines.iter().filter_map(|line| line.at.as_deref()?.get(..10)).collect();
        let one_day = days.len() < 2;
        let topics = filters.topics("logs");
        Self { frame, logs, filters, one_day, topics }
    }

    /// Returns the URL of the page with older lines.
    fn older(&self) -> Option<String> {
        Some(self.filters.older(self.logs.older.as_deref()?))
    }

    /// Returns the choices of logs by group: the title of the group, and the value and the name of each choice.
    fn choices(&self) -> Vec<(&'static str, Vec<(&str, String)>)> {
        let groups = [
            ("Local cloud", Kind::Cloud),
            ("Load balancers", Kind::Balancer),
            ("Services", Kind::Service),
            ("Databases", Kind::Database),
            ("Log streams", Kind::Stream),
            ("Log groups", Kind::Group),
            ("Boot messages", Kind::Boot),
        ];
        let group = |(title, kind): (&'static str, Kind)| {
            let logs = self.logs.sources.iter().filter(|log| log.kind == kind);
            let choices: Vec<_> = logs.map(|log| (log.id.as_str(), choice(log))).collect();
            (title, choices)
        };
        groups.into_iter().map(group).filter(|(_, choices)| !choices.is_empty()).collect()
    }

    /// Returns the value of `of` if it selects something other than one log, such as an instance.
    fn other_choice(&self) -> Option<&str> {
        let of = self.filters.given("of");
        let is_listed = of.is_empty() || self.logs.sources.iter().any(|log| log.id == of);
        (!is_listed).then_some(of)
    }

    fn time<'l>(&self, line: &'l Line) -> &'l str {
        let at = line.at.as_deref().unwrap_or_default();
        at.get(if self.one_day { 11..23 } else { 5..23 }).unwrap_or("no time")
    }

    fn source_link(&self, line: &Line) -> String {
        self.filters.with("of", &line.source)
    }

    /// Returns the URL of the lines with the same value of a field.
    fn field_link(&self, field: &Field) -> Option<String> {
        let is_simple = |text: &str| !text.is_empty() && text.len() <= LINK && !text.contains(char::is_whitespace);
        let can_link = is_simple(&field.name) && is_simple(&field.value) && !field.name.contains('=');
        can_link.then(|| self.filters.with("field", &format!("{}={}", field.name, field.value)))
    }
}

fn level_choice(level: &str) -> String {
    if level == Level::Error.name() { level.to_owned() } else { format!("{level} and above") }
}

fn levels() -> impl Iterator<Item = &'static str> {
    Level::ALL.into_iter().map(Level::name)
}

fn ranges() -> impl Iterator<Item = (&'static str, &'static str)> {
    RANGES.iter().map(|(value, name, _)| (*value, *name))
}

fn limits() -> &'static [&'static str] {
    LIMITS
}

/// Returns the time since the beginning of the traced request.
fn after(line: &Line) -> Option<String> {
    Some(format!("{:+.3} ms", line.after_ms?))
}

fn colour(line: &Line) -> usize {
    line.position % COLOURS
}

fn level(line: &Line) -> &'static str {
    line.level.map_or("", Level::name)
}

/// Returns the fields in one line, those of requests first; without the ID of the request and empty values.
fn summary(line: &Line) -> String {
    let is_shown = |field: &&Field| {
        Some(&field.value) != line.request_id.as_ref() && !matches!(&*field.value, "" | "null") && field.name != SPAN
    };
    let mut fields: Vec<&Field> = line.fields.iter().filter(is_shown).collect();
    fields.sort_by_key(|field| FIRST.iter().position(|name| field.name == *name).unwrap_or(FIRST.len()));
    let mut text = String::new();
    for Field { name, value } in fields {
        if text.len() > SUMMARY {
            text.push('…');
            break;
        }
        text.extend([name.as_str(), "="]);
        text.extend(value.chars().take(SUMMARY));
        text.push(' ');
    }
    text
}

fn request_link(id: &str) -> String {
    Parameters::default().link("/logs", &[("q", id)])
}

fn metrics_link(id: &str) -> String {
    Parameters::default().link("/metrics", &[("of", id)])
}

fn choice(log: &LogSource) -> String {
    match (&log.kind, &log.name, &log.state) {
        (Kind::Cloud, ..) | (.., None) => log.label.clone(),
        (_, Some(name), Some(state)) => format!("{name} · {} · {} ({state})", log.service, log.of),
        (_, None, Some(state)) => format!("{} · {} ({state})", log.of, log.service),
    }
}

pub(super) async fn page(State(shared): State<Shared>, frame: Frame, RawQuery(query): RawQuery) -> Page {
    let loaded = async {
        let filters = Filters::parse("/logs", query.as_deref(), PARAMETERS, "to")?;
        Ok((Logs::load(&shared.context, &filters.parameters).await?, filters))
    };
    match loaded.await {
        Ok((logs, filters)) => Ok(render(&LogsPage::new(frame, logs, filters))),
        Err(problem) => Err(Failure::of::<Problem>(frame)(problem)),
    }
}
