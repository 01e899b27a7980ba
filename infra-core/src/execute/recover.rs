//! Settling what an earlier run left open, and reading what lives.

use super::operation::age;
use crate::{
    diagnostic::Diagnostic,
    diff::{Diff, PropertyDiff},
    event::{Event, Events},
    plan,
    provider::{Inspect, Outcome},
    resource::Schema,
    state::{Entry, Generation, Live, OpenOperation, OperationId, Request, State, Verb},
    store::{Journal, StoreError},
    urn::Urn,
};
use futures::{StreamExt, stream};
use serde::Serialize;
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

/// What refreshing found out about one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Refreshed {
    /// What has to be recorded.
    pub entry: Entry,
    /// What differs from what was recorded, if anything does.
    pub drift: Option<Drift>,
}

/// How a resource differs from what was recorded of it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// Which.
    pub urn: Urn,
    /// Whether it is gone.
    pub gone: bool,
    /// Property by property, old is what was recorded; outputs are named `outputs.NAME`.
    #[serde(skip_serializing_if = "Diff::is_empty")]
    pub diff: Diff,
}

/// Reads everything that exists and returns what has to be recorded; nothing is recorded yet.
pub async fn refresh(state: &State, inspect: &dyn Inspect, parallel: usize) -> Result<Vec<Refreshed>, Vec<Diagnostic>> {
    let current = state.resources.iter().filter_map(|(urn, resource)| {
        let current = resource.current.as_ref()?;
        current.id.as_ref().map(|_| (urn, current))
    });
    let reads = current.map(|(urn, current)| async move {
        let operation =
            OperationId::random().map_err(|error| Diagnostic::error(format!("no randomness: {error}")).about(urn))?;
        let request = Request::new(operation, Verb::Update, urn.clone(), current.inputs.clone(), &state.seed);
        let live = inspect.read(&request.about(current), &plan::live(current)).await;
        let live = live.map_err(|error| error.diagnostic(urn))?;
        let drift = drift(urn, current, live.as_ref());
        Ok(Refreshed { entry: Entry::Refreshed { urn: urn.clone(), live }, drift })
    });
    let answers: Vec<Result<Refreshed, Diagnostic>> = stream::iter(reads).buffered(parallel.max(1)).collect().await;
    let mut found = Vec::new();
    let mut problems = Vec::new();
    for answer in answers {
        match answer {
            Ok(refreshed) => found.push(refreshed),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

fn drift(urn: &Urn, recorded: &Generation, live: Option<&Live>) -> Option<Drift> {
    let Some(live) = live else {
        return Some(Drift { urn: urn.clone(), gone: true, diff: Diff::default() });
    };
    let everything = Schema::new();
    let mut diff = match &live.inputs {
        Some(inputs) => Diff::between(&everything, &recorded.inputs, inputs),
        None => Diff::default(),
    };
    // What an output repeats of an input is told once.
    let told: Vec<String> = diff.properties.iter().map(|property| property.path.clone()).collect();
    let outputs = Diff::between(&everything, &recorded.outputs, &live.outputs);
    let outputs = outputs.properties.into_iter().filter(|property| !told.contains(&property.path));
    diff.properties
        .extend(outputs.map(|property| PropertyDiff { path: format!("outputs.{}", property.path), ..property }));
    (!diff.is_empty()).then(|| Drift { urn: urn.clone(), gone: false, diff })
}
