//! Recreates the recorded resources of a stack in a scratch cloud.

use crate::scratch::Scratch;
use crate::translation::Translation;
use async_trait::async_trait;
use futures::{StreamExt, stream};
use infra_core::{
    Urn,
    provider::{Inspect as _, Provider as _, ProviderError, Providers, Reporter},
    state::{Generation, Live, OperationId, Request, State, Verb},
    value::Value,
};
use std::collections::{BTreeMap, BTreeSet};

/// Number of resources that are created at the same time.
const PARALLEL: usize = 16;

/// The recorded state as it exists in a scratch cloud.
pub(crate) struct Seeded {
    /// The state with the values of the scratch cloud.
    pub(crate) state: State,
    /// Number of recreated resources.
    pub(crate) count: usize,
    /// Recorded resources that could not be recreated, by declaration and generation, with the reasons.
    pub(crate) missing: BTreeMap<(Urn, u32), String>,
    /// Lookups of resources that the scratch cloud does not contain. They keep their recorded answer.
    pub(crate) foreign: BTreeSet<Urn>,
}

/// A generation of a declaration.
type Key = (Urn, u32);

/// Creates all recorded resources of the provider `name` in the scratch cloud, each after its dependencies. Resources of
/// other providers stay as recorded. `translation` learns the values that differ.
pub(crate) async fn seed(
    recorded: &State,
    providers: &Providers,
    name: &str,
    scratch: &Scratch,
    translation: &mut Translation,
) -> Seeded {
    let mut seeded = Seeded { state: recorded.clone(), count: 0, missing: BTreeMap::new(), foreign: BTreeSet::new() };
    for level in levels(recorded) {
        let mut requests: Vec<(Key, Request)> = Vec::new();
        for (urn, generation) in level {
            let inputs = translation.of(&generation.inputs);
            match request(urn, generation, inputs, recorded) {
                Ok(request) => requests.push(((urn.clone(), generation.generation), request)),
                Err(error) => {
                    let key = (urn.clone(), generation.generation);
                    seeded.missing.insert(key, format!("it cannot be recreated: {error}"));
                }
            }
        }
        let created = stream::iter(requests).map(|(key, request)| async move {
            let generation = recorded.generation(&key.0, key.1);
            let result = if key.0.provider() == name {
                create(&request, generation, providers, scratch).await
            } else {
                Ok(None)
            };
            (key, request, result)
        });
        let created: Vec<_> = created.buffer_unordered(PARALLEL).collect().await;
        for ((urn, number), request, result) in created {
            let Some(generation) = generation_mut(&mut seeded.state, &urn, number) else { continue };
            generation.inputs = request.inputs;
            match result {
                Ok(Some(live)) => {
                    seeded.count += 1;
                    if let Some(id) = &generation.id {
                        translation.learn_text(id, &live.id);
                        generation.id = Some(live.id);
                    }
                    translation.learn(&generation.outputs, &live.outputs);
                    generation.outputs = live.outputs;
                }
                Ok(None) => generation.outputs = translation.of(&generation.outputs),
                Err(_) if generation.id.is_none() => {
                    generation.outputs = translation.of(&generation.outputs);
                    seeded.foreign.insert(urn);
                }
                Err(error) => {
                    seeded.missing.insert((urn, number), format!("it cannot be recreated: {error}"));
                }
            }
        }
    }
    seeded
}

/// Returns the recorded generations in levels: each after all of its dependencies.
fn levels(state: &State) -> Vec<Vec<(&Urn, &Generation)>> {
    let mut left: Vec<(&Urn, &Generation)> = state.generations().collect();
    let mut levels = Vec::new();
    while !left.is_empty() {
        let waiting: BTreeSet<&Urn> = left.iter().map(|(urn, _)| *urn).collect();
        let is_ready = |(urn, generation): &(&Urn, &Generation)| {
            generation.dependencies.iter().all(|dependency| dependency == *urn || !waiting.contains(dependency))
        };
        let (ready, rest): (Vec<_>, Vec<_>) = left.into_iter().partition(is_ready);
        if ready.is_empty() {
            // Dependencies of generations that were recorded by different programs may be circular.
            levels.push(rest);
            break;
        }
        levels.push(ready);
        left = rest;
    }
    levels
}

/// Returns the request that creates a recorded resource again. It has the recorded operation id, which is in its tags.
fn request(urn: &Urn, generation: &Generation, inputs: Value, recorded: &State) -> Result<Request, ProviderError> {
    // Lookups have no recorded operation.
    let operation = generation.operation.clone().map_or_else(OperationId::random, Ok);
    let operation = operation.map_err(|error| ProviderError::refused(error.to_string()))?;
    let mut request = Request::new(operation, Verb::Create, urn.clone(), inputs, &recorded.seed).about(generation);
    request.id = None;
    request.dependencies.clone_from(&generation.dependencies);
    request.marks = generation.marks.clone();
    Ok(request)
}

/// Creates one resource, or reads a lookup.
async fn create(
    request: &Request,
    generation: Option<&Generation>,
    providers: &Providers,
    scratch: &Scratch,
) -> Result<Option<Live>, ProviderError> {
    let Some(generation) = generation else { return Ok(None) };
    if generation.id.is_none() {
        let outputs = providers.lookup(request, &Silent).await?;
        return Ok(Some(Live { id: String::new(), inputs: None, outputs }));
    }
    let urn = request.urn.to_string();
    scratch.cloud().choose_ids(&urn, identifiers(generation));
    let created = providers.create(request, &[], &Silent).await;
    scratch.cloud().choose_ids(&urn, Vec::new());
    created.map(Some)
}

/// Returns the identifiers in the id and the outputs of a recorded resource: `vpc-0123456789abcdef0`, and the digits at the
/// end of ARNs.
fn identifiers(generation: &Generation) -> Vec<String> {
    let mut texts: Vec<String> = generation.id.iter().cloned().collect();
    collect(&generation.outputs, &mut texts);
    let mut found: Vec<String> = Vec::new();
    for part in texts.iter().flat_map(|text| text.split(['/', ':', ',', '|'])) {
        if is_identifier(part) && !found.iter().any(|known| known == part) {
            found.push(part.to_owned());
        }
    }
    found
}

fn is_identifier(part: &str) -> bool {
    let is_hexadecimal = |text: &str| text.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'));
    match part.rsplit_once('-') {
        Some((prefix, digits)) => {
            let is_prefix = prefix.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-');
            matches!(digits.len(), 8 | 17) && is_hexadecimal(digits) && is_prefix
        }
        None => part.len() == 16 && is_hexadecimal(part),
    }
}

fn collect(value: &Value, texts: &mut Vec<String>) {
    match value {
        Value::String(text) => texts.push(text.to_string()),
        Value::List(items) => items.iter().for_each(|item| collect(item, texts)),
        Value::Map(members) => members.values().for_each(|member| collect(member, texts)),
        // No identifier is a secret.
        Value::Secret(_) | Value::Null | Value::Bool(_) | Value::Number(_) | Value::Unknown => {}
    }
}

fn generation_mut<'s>(state: &'s mut State, urn: &Urn, number: u32) -> Option<&'s mut Generation> {
    let resource = state.resources.get_mut(urn)?;
    resource.current.iter_mut().chain(&mut resource.deposed).find(|generation| generation.generation == number)
}

/// A reporter without a receiver. Milestones are not needed: a scratch cloud is not recovered.
pub(crate) struct Silent;

#[async_trait]
impl Reporter for Silent {
    fn status(&self, _: String) {}

    async fn progress(&self, _: Value) -> Result<(), ProviderError> {
        Ok(())
    }
}
