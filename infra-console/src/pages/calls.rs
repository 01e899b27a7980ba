//! Pages of the API calls: the list, and one call.

use super::{Failure, Frame, Page, Shared, filters::Filters, render};
use crate::views::{
    Problem,
    calls::{Call, CallList, Decision, PARAMETERS, Slowest, Statistics},
    parameters::Parameters,
};
use askama::Template;
use axum::extract::{Path, RawQuery, State};
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use std::collections::BTreeSet;

/// Choices of the number of calls.
const LIMITS: &[&str] = &["100", "300", "1000"];

#[derive(Template)]
#[template(path = "calls.html")]
struct CallsPage {
    frame: Frame,
    list: CallList,
    filters: Filters,
    topics: &'static str,
}

impl CallsPage {
    fn older(&self) -> Option<String> {
        Some(self.filters.older(&self.list.older?.to_string()))
    }

    /// Returns the services to choose from, with the chosen one, even if no call is to it.
    fn services(&self) -> BTreeSet<&str> {
        let chosen = Some(self.filters.given("service")).filter(|chosen| !chosen.is_empty());
        self.list.services.iter().map(String::as_str).chain(chosen).collect()
    }

    fn summary(&self) -> String {
        let numbers = &self.list.statistics;
        let mut parts = vec![format!("{} of {} calls", numbers.calls, self.list.examined)];
        if let Some(rate) = numbers.calls_per_second {
            parts.push(format!("{rate:.1} per second"));
        }
        parts.push(format!("{} {}", numbers.errors, if numbers.errors == 1 { "error" } else { "errors" }));
        parts.push(format!("{} denied", numbers.denied));
        parts.join(" · ")
    }
}

#[derive(Template)]
#[template(path = "call.html")]
struct CallPage {
    frame: Frame,
    call: Call,
    topics: &'static str,
}

impl CallPage {
    fn logs_link(&self) -> String {
        Parameters::default().link("/logs", &[("q", &self.call.request_id)])
    }

    /// Returns the URL of the lines of all logs from a second before the call to a second after its end.
    fn meanwhile_link(&self) -> String {
        let margin = TimeDelta::seconds(1);
        let duration = TimeDelta::microseconds(i64::try_from(self.call.microseconds).unwrap_or_default());
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let (from, to) = (time(self.call.at - margin), time(self.call.at + duration + margin));
        Parameters::default().link("/logs", &[("from", &from), ("to", &to)])
    }

    fn similar_link(&self) -> String {
        let call = &self.call;
        Parameters::default().link("/calls", &[("service", &call.service), ("operation", &call.operation)])
    }

    fn caller_link(&self) -> Option<String> {
        Some(Parameters::default().link("/calls", &[("caller", self.call.caller.as_deref()?)]))
    }

    fn previous(&self) -> Option<u64> {
        self.call.number.checked_sub(1).filter(|number| *number > 0)
    }
}

fn limits() -> &'static [&'static str] {
    LIMITS
}

/// Returns the class and the word of the decision about a call.
fn verdict(call: &Call) -> (&'static str, &'static str) {
    match () {
        () if call.is_denied() => ("denied", "denied"),
        () if call.decisions.is_empty() => ("muted", "none"),
        () if call.decisions.iter().all(Decision::is_unenforced) => ("muted", "not enforced"),
        () => ("allowed", "allowed"),
    }
}

fn time(call: &Call) -> String {
    call.at.format("%H:%M:%S%.3f").to_string()
}

fn timestamp(call: &Call) -> String {
    call.at.to_rfc3339_opts(SecondsFormat::Millis, true)
}

fn duration(call: &Call) -> String {
    format!("{:.1} ms", call.milliseconds())
}

fn slowest(statistics: &Statistics) -> Option<(u64, String)> {
    let Slowest { number, service, operation, milliseconds } = statistics.slowest.as_ref()?;
    Some((*number, format!("{service} {operation}, {milliseconds:.1} ms")))
}

pub(super) async fn list(State(shared): State<Shared>, frame: Frame, RawQuery(query): RawQuery) -> Page {
    let loaded = async {
        let filters = Filters::parse("/calls", query.as_deref(), PARAMETERS, "before")?;
        Ok((CallList::load(&shared.context, &filters.parameters).await?, filters))
    };
    match loaded.await {
        Ok((list, filters)) => {
            let topics = filters.topics("calls");
            Ok(render(&CallsPage { frame, list, filters, topics }))
        }
        Err(problem) => Err(Failure::of::<Problem>(frame)(problem)),
    }
}

pub(super) async fn one(State(shared): State<Shared>, frame: Frame, Path(number): Path<String>) -> Page {
    match Call::load(&shared.context, &number).await {
        Ok(call) => Ok(render(&CallPage { frame, call, topics: "" })),
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}
