//! Recent events of the cloud, for `GET /_infra/events`: faults, scaling, alarms, failovers, instances.
//!
//! Nothing reports events. [`observe`] derives them from the differences between two states, and from the records that the
//! model contains anyway: scaling activities and the history of alarms. After a start, these records and the existing
//! instances are the first events.

mod observe;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Serialize, Serializer};

use self::observe::Observer;
use crate::runtime::background::PhaseWatch;
use crate::state::Shared;

/// Maximum number of recorded events.
const LIMIT: usize = 5000;

/// Maximum length of an event's text, in characters.
const TEXT_LIMIT: usize = 500;

/// An event.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub(crate) struct Event {
    /// Position in the sequence of all events since the start of the cloud, from 1 on.
    number: u64,
    #[serde(flatten)]
    occurrence: Occurrence,
}

/// An event without its number.
#[derive(Debug, Clone, PartialEq, Serialize)]
struct Occurrence {
    #[serde(serialize_with = "milliseconds")]
    at: DateTime<Utc>,
    /// Region; `None` for an event of the whole cloud.
    region: Option<String>,
    kind: EventKind,
    /// Name or id of the resource.
    subject: String,
    /// One sentence.
    text: String,
    /// Time at which a fault that has ended was observed first.
    #[serde(serialize_with = "some_milliseconds", skip_serializing_if = "Option::is_none")]
    began: Option<DateTime<Utc>>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
enum EventKind {
    Fault,
    Scaling,
    Alarm,
    Failover,
    Instance,
}

/// The most recent events.
#[derive(Default)]
pub(crate) struct Events(Mutex<Log>);

#[derive(Default)]
struct Log {
    observer: Observer,
    /// Events with consecutive numbers, the oldest first.
    events: VecDeque<Arc<Event>>,
    /// Number of the newest event.
    newest: u64,
}

/// A part of the events.
#[derive(Serialize)]
pub(crate) struct Page {
    /// Number of the last event. The next page is the one after this number.
    next: u64,
    /// The oldest first.
    #[serde(serialize_with = "each")]
    events: Vec<Arc<Event>>,
}

/// Observes the state until the cloud stops.
pub(crate) async fn run(shared: Shared, events: Arc<Events>, mut phase: PhaseWatch) {
    let mut changes = shared.changes();
    loop {
        changes.borrow_and_update();
        events.observe(&shared);
        tokio::select! {
            _ = changes.changed() => {}
            _ = phase.ended() => return,
        }
    }
}

impl Events {
    /// Records the events since the previous observation.
    pub(crate) fn observe(&self, shared: &Shared) {
        let mut log = self.lock();
        let now = shared.read(Clone::clone);
        let occurrences = log.observer.observe(now, Utc::now());
        occurrences.into_iter().for_each(|occurrence| log.push(occurrence));
    }

    /// Returns the events after a number. The numbers start again with the cloud: a number that no event has reached
    /// yet counts as 0.
    pub(crate) fn page(&self, after: u64) -> Page {
        let log = self.lock();
        let after = if after > log.newest { 0 } else { after };
        let events = log.events.iter().filter(|event| event.number > after).cloned().collect();
        Page { next: log.newest, events }
    }

    fn lock(&self) -> MutexGuard<'_, Log> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Log {
    fn push(&mut self, mut occurrence: Occurrence) {
        if let Some((end, _)) = occurrence.text.char_indices().nth(TEXT_LIMIT) {
            occurrence.text.truncate(end);
            occurrence.text.push('…');
        }
        self.newest += 1;
        self.events.push_back(Arc::new(Event { number: self.newest, occurrence }));
        if self.events.len() > LIMIT {
            self.events.pop_front();
        }
    }
}

fn milliseconds<S: Serializer>(time: &DateTime<Utc>, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true))
}

// The signature is serde's.
#[allow(clippy::ref_option)]
fn some_milliseconds<S: Serializer>(time: &Option<DateTime<Utc>>, serializer: S) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => milliseconds(time, serializer),
        None => serializer.serialize_none(),
    }
}

fn each<S: Serializer>(events: &[Arc<Event>], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(events.iter().map(|event| &**event))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_limited_and_paged_by_number() {
        let events = Events::default();
        assert_eq!(events.page(7).next, 0);
        for number in 0..LIMIT + 2 {
            let text = if number == 0 { "é".repeat(TEXT_LIMIT + 1) } else { number.to_string() };
            let kind = EventKind::Fault;
            let occurrence =
                Occurrence { at: Utc::now(), region: None, kind, subject: String::new(), text, began: None };
            events.lock().push(occurrence);
            if number == 0 {
                assert_eq!(events.page(0).events[0].occurrence.text, format!("{}…", "é".repeat(TEXT_LIMIT)));
            }
        }
        let numbers = |after| {
            let page = events.page(after);
            (page.events.first().map(|event| event.number), page.events.len(), page.next)
        };
        let newest = LIMIT as u64 + 2;
        assert_eq!(numbers(0), (Some(3), LIMIT, newest));
        assert_eq!(numbers(newest - 1), (Some(newest), 1, newest));
        assert_eq!(numbers(newest), (None, 0, newest));
        assert_eq!(numbers(newest + 1), (Some(3), LIMIT, newest), "the reader saw another cloud");
    }
}
