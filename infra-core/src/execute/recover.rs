//! Settles open operations of earlier runs, and reads the actual state of resources.

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
use futures::{StreamExt, stream::FuturesOrdered};
use serde::Serialize;
use std::time::Duration;

/// Age at which an operation that cannot be found counts as never executed.
const SWEEP: Duration = Duration::from_hours(1);

/// Settles every operation that was recorded and not confirmed. Creates are looked for, updates mark the recorded inputs as
/// untrusted, and deletions depose the resource so that it is deleted. Nothing is changed at the provider. Without a
/// journal, as in a preview, only `state` is changed.
pub async fn settle(
    state: &mut State,
    inspect: &dyn Inspect,
    journal: Option<&Journal>,
    events: &Events,
) -> Result<Vec<Diagnostic>, StoreError> {
    let mut problems = Vec::new();
    // The newest operation first: if the provider cannot tell which operation created a resource, the newest is the
    // most likely.
    for open in state.open.clone().into_iter().rev() {
        let touched = open.has_touched_previous();
        let OpenOperation { request, progress, .. } = open;
        let (urn, operation) = (request.urn.clone(), request.operation.clone());
        let (entries, outcome) = match request.verb {
            Verb::Update => (
                vec![Entry::Distrusted(urn.clone()), Entry::Dropped(operation)],
                "an interrupted update will be repeated".to_owned(),
            ),
            Verb::Delete => (delete_entries(state, &request), "an interrupted deletion will be repeated".to_owned()),
            Verb::Create => match inspect.find(&request, &progress).await {
                // The resource was found by a name or a key, which does not identify its creator. If it were recorded
                // twice, one of the records would lead to its deletion.
                Ok(Outcome::Found(live)) if holds(state, &urn, &live.id) => {
                    let outcome = format!("an interrupted create is settled: {} is already recorded", live.id);
                    (vec![Entry::Dropped(operation)], outcome)
                }
                Ok(Outcome::Found(live)) => {
                    let outcome = format!("an interrupted create succeeded: {} is adopted", live.id);
                    let uncertain = live.inputs.is_none() && has_other_create(state, &request);
                    let distrusted = uncertain.then(|| Entry::Distrusted(urn.clone()));
                    let done = Entry::Done { operation, live: Some(live) };
                    (std::iter::once(done).chain(distrusted).collect(), outcome)
                }
                Ok(absent @ (Outcome::Absent | Outcome::Never)) => {
                    let distrusted = touched.then(|| Entry::Distrusted(urn.clone())).into_iter();
                    if absent == Outcome::Never || age(&request).is_none_or(|age| age > SWEEP) {
                        let entries = distrusted.chain([Entry::Dropped(operation)]).collect();
                        (entries, "an interrupted create was never executed".to_owned())
                    } else {
                        (distrusted.collect(), "an interrupted create has not been executed (yet)".to_owned())
                    }
                }
                Ok(Outcome::Unknown) => {
                    (Vec::new(), "the outcome of an interrupted create is not known yet".to_owned())
                }
                Err(error) => {
                    let problem = error.diagnostic(&urn);
                    let summary = format!("cannot determine the outcome of an interrupted create: {}", problem.summary);
                    problems.push(Diagnostic { summary, ..problem });
                    continue;
                }
            },
        };
        for entry in entries {
            if let Some(journal) = journal {
                journal.note(entry.clone())?;
            }
            state.apply(entry);
        }
        events.send(Event::Settled { urn, outcome });
    }
    Ok(problems)
}

/// Returns `true` if the resource is recorded for this declaration.
fn holds(state: &State, urn: &Urn, id: &str) -> bool {
    let Some(resource) = state.resources.get(urn) else {
        return false;
    };
    resource.current.iter().chain(&resource.deposed).any(|generation| generation.id.as_deref() == Some(id))
}

/// Returns `true` if another create for the same declaration is open, so that it may have created the resource that is
/// found.
fn has_other_create(state: &State, request: &Request) -> bool {
    state.open.iter().any(|open| {
        let Request { verb, urn, operation, .. } = &open.request;
        (*verb, urn) == (Verb::Create, &request.urn) && *operation != request.operation
    })
}

/// Deposes the current generation, so that it is deleted whatever the program declares.
fn delete_entries(state: &State, request: &Request) -> Vec<Entry> {
    let current = state.current(&request.urn);
    let deposed = current.filter(|current| current.generation == request.generation);
    let deposed = deposed.map(|_| Entry::Deposed(request.urn.clone()));
    deposed.into_iter().chain([Entry::Dropped(request.operation.clone())]).collect()
}

/// The result of refreshing one resource.
#[derive(Clone, Debug, PartialEq)]
pub struct Refreshed {
    /// The entry that records the actual state.
    pub entry: Entry,
    /// The differences from the recorded state, if there are any.
    pub drift: Option<Drift>,
}

/// The differences between the actual and the recorded state of a resource.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Drift {
    /// The resource.
    pub urn: Urn,
    /// `true` if the resource no longer exists.
    pub gone: bool,
    /// The differences; `old` is the recorded value, and outputs are named `outputs.NAME`.
    #[serde(skip_serializing_if = "Diff::is_empty")]
    pub diff: Diff,
}

/// Reads the actual state of all resources and returns the entries to record. Records nothing itself.
pub async fn refresh(state: &State, inspect: &dyn Inspect, parallel: usize) -> Result<Vec<Refreshed>, Vec<Diagnostic>> {
    let current = state.resources.iter().filter_map(|(urn, resource)| {
        let current = resource.current.as_ref()?;
        current.id.as_ref().map(|_| (urn, current))
    });
    let mut waiting = current.collect::<Vec<_>>().into_iter();
    let mut running = FuturesOrdered::new();
    for (urn, current) in waiting.by_ref().take(parallel.max(1)) {
        running.push_back(refresh_one(urn, current, &state.seed, inspect));
    }
    let mut found = Vec::new();
    let mut problems = Vec::new();
    while let Some(answer) = running.next().await {
        if let Some((urn, current)) = waiting.next() {
            running.push_back(refresh_one(urn, current, &state.seed, inspect));
        }
        match answer {
            Ok(refreshed) => found.push(refreshed),
            Err(problem) => problems.push(problem),
        }
    }
    if problems.is_empty() { Ok(found) } else { Err(problems) }
}

async fn refresh_one(
    urn: &Urn,
    current: &Generation,
    seed: &str,
    inspect: &dyn Inspect,
) -> Result<Refreshed, Diagnostic> {
    let operation = OperationId::random().map_err(|error| {
        Diagnostic::error(format!("the operating system returned no random bytes: {error}")).about(urn)
    })?;
    let request = Request::new(operation, Verb::Update, urn.clone(), current.inputs.clone(), seed);
    let live = inspect.read(&request.about(current), &plan::live(current)).await;
    let live = live.map_err(|error| error.diagnostic(urn))?;
    let drift = drift(urn, current, live.as_ref());
    Ok(Refreshed { entry: Entry::Refreshed { urn: urn.clone(), live }, drift })
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
    // An output that repeats an input is reported only once.
    let reported: Vec<String> = diff.properties.iter().map(|property| property.path.clone()).collect();
    let outputs = Diff::between(&everything, &recorded.outputs, &live.outputs);
    let outputs = outputs.properties.into_iter().filter(|property| !reported.contains(&property.path));
    diff.properties
        .extend(outputs.map(|property| PropertyDiff { path: format!("outputs.{}", property.path), ..property }));
    (!diff.is_empty()).then(|| Drift { urn: urn.clone(), gone: false, diff })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{
        provider::{Imported, ProviderError, RecoveryKind, Reporter},
        store::{MemoryStore, StateStore},
        value::Value,
    };
    use async_trait::async_trait;
    use serde_json::json;

    /// Finds the only resource with the key, whichever operation created it.
    struct ByKey;

    #[async_trait]
    impl Inspect for ByKey {
        fn check(&self, _: &Urn, _: &Value, _: Option<&Value>) -> Vec<Diagnostic> {
            Vec::new()
        }

        fn recovery(&self, _: &Urn) -> Option<RecoveryKind> {
            Some(RecoveryKind::Key)
        }

        async fn read(&self, _: &Request, prior: &Live) -> Result<Option<Live>, ProviderError> {
            Ok(Some(prior.clone()))
        }

        async fn import(&self, _: &Request) -> Result<Option<Imported>, ProviderError> {
            Ok(None)
        }

        async fn find(&self, _: &Request, _: &[Value]) -> Result<Outcome, ProviderError> {
            Ok(Outcome::Found(Live { id: "key-1".into(), inputs: None, outputs: Value::empty() }))
        }

        async fn lookup(&self, _: &Request, _: &dyn Reporter) -> Result<Value, ProviderError> {
            Ok(Value::Null)
        }
    }

    /// Settles two creates of one declaration. The later one is confirmed if `confirmed` is set.
    async fn settled(confirmed: bool) -> (State, Vec<String>) {
        let session = MemoryStore::new().open("p", "dev").await.unwrap();
        let mut state = session.state.clone();
        let urn = Urn::new("dev", "p", "t:Key", "route").unwrap();
        let mut operations = Vec::new();
        for place in ["b", "a"] {
            let operation = OperationId::random().unwrap();
            let inputs = Value::from_json(json!({"place": place}));
            state.apply(Entry::Intent(Request::new(operation.clone(), Verb::Create, urn.clone(), inputs, "seed")));
            operations.push(operation);
        }
        if confirmed {
            let live = Some(Live { id: "key-1".into(), inputs: None, outputs: Value::empty() });
            state.apply(Entry::Done { operation: operations[1].clone(), live });
        }
        assert!(settle(&mut state, &ByKey, Some(&session.journal), &Events::ignored()).await.unwrap().is_empty());
        assert!(state.open.is_empty());
        let things = state.generations().map(|(_, generation)| {
            let doubt = if generation.uncertain { ", in doubt" } else { "" };
            format!("{} with {}{doubt}", generation.id.as_deref().unwrap_or_default(), generation.inputs)
        });
        let things = things.collect();
        (state, things)
    }

    #[tokio::test]
    async fn resource_of_one_of_two_open_creates_is_recorded_once() {
        assert_eq!(settled(true).await.1, ["key-1 with {\"place\":\"a\"}"]);
        // Its creator is unknown. The inputs of the later request are more likely, and the next run updates the
        // resource.
        assert_eq!(settled(false).await.1, ["key-1 with {\"place\":\"a\"}, in doubt"]);
        assert_eq!(settled(false).await.0.live_count(), 1);
    }
}
