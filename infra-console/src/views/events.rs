//! Events of the local cloud: faults, scaling, alarms, failovers and instances.

use super::{
    Context, Problem, Query,
    range::{Range, RangeQuery},
    text::clean,
};
use crate::plot::{Colour, Mark};
use chrono::{DateTime, SecondsFormat, Utc};
use infra_core::diagnostic::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The largest number of events of a view.
const EVENTS: usize = 200;

/// The longest text of an event.
const TEXT: usize = 400;

/// Colour of the marks of ended faults.
const FAULT_END: Colour = Colour::Series(2);

/// The events of a time range.
#[derive(Clone, Debug, Default, Serialize, JsonSchema)]
pub(crate) struct Events {
    /// The events, the oldest first.
    pub(crate) events: Vec<Event>,
    /// Number of older events of the time range that are omitted.
    pub(crate) omitted: usize,
}

/// An event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub(crate) struct Event {
    pub(crate) number: u64,
    pub(crate) at: DateTime<Utc>,
    #[serde(default)]
    pub(crate) region: Option<String>,
    pub(crate) kind: EventKind,
    /// Name or id of the resource.
    #[serde(default)]
    pub(crate) subject: Option<String>,
    pub(crate) text: String,
    /// Beginning of a fault that has ended; `None` for other events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) began: Option<DateTime<Utc>>,
}

/// Kind of an event.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum EventKind {
    Fault,
    Scaling,
    Alarm,
    Failover,
    Instance,
    /// A kind of a later version of the local cloud.
    #[serde(other)]
    Other,
}

/// Parameters of the events.
#[derive(Deserialize, JsonSchema)]
pub(crate) struct EventsQuery {
    #[serde(flatten)]
    range: RangeQuery,
}

impl Query for EventsQuery {
    type View = Events;

    async fn load(self, context: &Context) -> Result<Events, Problem> {
        let range = self.range.range(Utc::now())?;
        only_local(context)?;
        Ok(Events::load(context).await?.within(&range))
    }
}

#[derive(Deserialize)]
struct Document {
    events: Vec<Event>,
}

impl EventKind {
    pub(crate) fn name(self) -> &'static str {
        match self {
            EventKind::Fault => "fault",
            EventKind::Scaling => "scaling",
            EventKind::Alarm => "alarm",
            EventKind::Failover => "failover",
            EventKind::Instance => "instance",
            EventKind::Other => "other",
        }
    }

    pub(crate) fn colour(self) -> Colour {
        match self {
            EventKind::Fault => Colour::Bad,
            EventKind::Scaling => Colour::Busy,
            EventKind::Alarm => Colour::Warn,
            EventKind::Failover => Colour::Series(3),
            EventKind::Instance | EventKind::Other => Colour::Muted,
        }
    }

    /// Returns the kinds with marks: names and numbers of colours.
    pub(crate) fn legend() -> impl Iterator<Item = (&'static str, u8)> {
        use EventKind::{Alarm, Failover, Fault, Instance, Scaling};
        let kinds = [Scaling, Alarm, Failover, Instance].map(|kind| (kind.name(), kind.colour()));
        let faults = [(Fault.name(), Fault.colour()), ("end of a fault", FAULT_END)];
        faults.into_iter().chain(kinds).map(|(name, colour)| (name, colour.number()))
    }
}

impl Event {
    /// Returns the time for people: `09:20:05`.
    pub(crate) fn time(&self) -> String {
        self.at.format("%H:%M:%S").to_string()
    }

    /// Returns the colour of the mark. The end of a fault differs from its beginning.
    pub(crate) fn colour(&self) -> Colour {
        if self.kind == EventKind::Fault && self.began.is_some() { FAULT_END } else { self.kind.colour() }
    }

    pub(crate) fn timestamp(&self) -> String {
        self.at.to_rfc3339_opts(SecondsFormat::Millis, true)
    }

    /// Returns the mark of the event in plots.
    pub(crate) fn mark(&self) -> Mark {
        Mark { number: self.number, at: self.at.timestamp_millis(), colour: self.colour() }
    }
}

impl Events {
    /// Reads all events that the local cloud keeps.
    pub(crate) async fn load(context: &Context) -> Result<Self, Problem> {
        let document = context.cloud()?.get("events?after=0").await?;
        let document = serde_json::from_value(document).map_err(|error| unknown_form("events", &error));
        let Document { mut events } = document?;
        events.sort_by_key(|event| (event.at, event.number));
        for event in &mut events {
            event.text = clean(&event.text, TEXT);
            event.subject = event.subject.take().map(|subject| clean(&subject, TEXT));
        }
        Ok(Self { events, omitted: 0 })
    }

    /// Returns the latest events that satisfy a condition.
    pub(crate) fn filtered(&self, condition: impl Fn(&Event) -> bool) -> Self {
        let wanted: Vec<&Event> = self.events.iter().filter(|event| condition(event)).collect();
        let omitted = wanted.len().saturating_sub(EVENTS);
        Self { events: wanted.into_iter().skip(omitted).cloned().collect(), omitted }
    }

    /// Returns the latest events of a time range.
    pub(crate) fn within(&self, range: &Range) -> Self {
        self.filtered(|event| range.contains(event.at.timestamp_millis()))
    }
}

/// Refuses a stack whose target is AWS.
pub(crate) fn only_local(context: &Context) -> Result<(), Problem> {
    if context.source.target() == "local" {
        return Ok(());
    }
    let diagnostic = Diagnostic::error("this page shows the local cloud, and the target of the stack is AWS");
    Err(diagnostic.hint("CloudWatch has the metrics of resources on AWS; faults can be injected locally only").into())
}

/// Returns the problem of a document that the console does not understand.
pub(crate) fn unknown_form(documents: &str, error: &serde_json::Error) -> Problem {
    let diagnostic = Diagnostic::error(format!("the local cloud returned {documents} of an unknown form"));
    let diagnostic = diagnostic.because(error.to_string());
    diagnostic.hint("it is of another version: restart it with `stack local stop` and `stack local start`").into()
}
