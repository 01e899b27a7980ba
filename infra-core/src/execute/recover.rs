//! Settling what an earlier run left open, and reading what lives.

use super::operation::age;
use crate::{
    diagnostic::Diagnostic,
    event::{Event, Events},
    plan,
    provider::{Inspect, Outcome},
    state::{Entry, OpenOperation, OperationId, Request, State, Verb},
    store::{Journal, StoreError},
    urn::Urn,
};
use futures::{StreamExt, stream};
use std::time::Duration;

/// After this long, an operation that still cannot be found is taken never to have happened.
const SWEEP: Duration = Duration::from_hours(1);

/// Looks into every operation that was written down and never confirmed, and records what is found. Creates are looked
/// for; updates make the recorded inputs distrusted; deletes are repeated. Nothing is changed at the provider.
pub async fn settle(
    state: &mut State,
    inspect: &dyn Inspect,
    journal: &Journal,
    events: &Events,
) -> Result<Vec<Diagnostic>, StoreError> {
    let mut problems = Vec::new();
    for open in state.open.clone() {
        let OpenOperation { request, progress } = open;
        let (urn, operation) = (request.urn.clone(), request.operation.clone());
        let (entries, outcome) = match request.verb {
            Verb::Update => (
                vec![Entry::Distrusted(urn.clone()), Entry::Dropped(operation)],
                "an update was interrupted: it will be done again".to_owned(),
            ),
            Verb::Delete => {
                (delete_entries(state, &request), "a deletion was interrupted: it will be done again".to_owned())
            }
            Verb::Create => match inspect.find(&request, &progress).await {
                Ok(Outcome::Found(live)) => {
                    let outcome = format!("an interrupted create did happen: {} is taken over", live.id);
                    (vec![Entry::Done { operation, live: Some(live) }], outcome)
                }
                Ok(Outcome::Absent) if age(&request).is_none_or(|age| age > SWEEP) => {
                    (vec![Entry::Dropped(operation)], "an interrupted create never happened".to_owned())
                }
                Ok(Outcome::Absent) => (Vec::new(), "an interrupted create has not happened (yet)".to_owned()),
                Ok(Outcome::Unknown) => {
                    (Vec::new(), "whether an interrupted create happened cannot be told yet".to_owned())
                }
                Err(error) => {
                    let problem = error.diagnostic(&urn);
                    let summary =
                        format!("cannot find out whether an interrupted create happened: {}", problem.summary);
                    problems.push(Diagnostic { summary, ..problem });
                    continue;
                }
            },
        };
        for entry in entries {
            journal.note(entry.clone())?;
            state.apply(entry);
        }
        events.send(Event::Settled { urn, outcome });
    }
    Ok(problems)
}

/// The generation in use is deposed, so that it is deleted whatever the program says now.
fn delete_entries(state: &State, request: &Request) -> Vec<Entry> {
    let current = state.current(&request.urn);
    let deposed = current.filter(|current| current.generation == request.generation);
    let deposed = deposed.map(|_| Entry::Deposed(request.urn.clone()));
    deposed.into_iter().chain([Entry::Dropped(request.operation.clone())]).collect()
}

/// Reads everything that exists and returns what has to be recorded; nothing is recorded yet.
pub async fn refresh(state: &State, inspect: &dyn Inspect, parallel: usize) -> Result<Vec<Entry>, Vec<Diagnostic>> {
    let current = state.resources.iter().filter_map(|(urn, resource)| {
        let current = resource.current.as_ref()?;
        current.id.as_ref().map(|_| (urn, current))
    });
    let reads = current.map(|(urn, current)| async move {
        let operation =
            OperationId::random().map_err(|error| Diagnostic::error(format!("no randomness: {error}")).about(urn))?;
        let request = Request {
            operation,
            verb: Verb::Update,
            urn: urn.clone(),
            region: current.region.clone(),
            generation: current.generation,
            id: current.id.clone(),
            inputs: current.inputs.clone(),
            dependencies: Vec::new(),
            seed: state.seed.clone(),
            at: String::new(),
        };
        let live = inspect.read(&request, &plan::live(current)).await;
        let live = live.map_err(|error| error.diagnostic(urn))?;
        Ok(live_entry(urn, live))
    });
    let answers: Vec<Result<Entry, Diagnostic>> = stream::iter(reads).buffered(parallel.max(1)).collect().await;
    let mut entries = Vec::new();
    let mut problems = Vec::new();
    for answer in answers {
        match answer {
            Ok(entry) => entries.push(entry),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(entries) } else { Err(problems) }
}

fn live_entry(urn: &Urn, live: Option<crate::state::Live>) -> Entry {
    Entry::Refreshed { urn: urn.clone(), live }
}
