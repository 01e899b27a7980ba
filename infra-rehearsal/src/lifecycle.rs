//! The lifecycle of a stack in a scratch cloud: create, refresh, update in place, replace and destroy.

use crate::RehearsalError;
use crate::answers::Answers;
use crate::calls::Call;
use crate::scratch::Scratch;
use crate::stage::Deployment;
use infra_core::{
    Schema,
    execute::Report,
    graph::ResourceGraph,
    plan::Selection,
    state::State,
    urn::Pattern,
    value::{Map, Value},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A phase of the lifecycle of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Phase {
    Create,
    Refresh,
    /// Every input that can be updated in place is updated.
    Update,
    Replace,
    Destroy,
}

/// An executed lifecycle.
pub(crate) struct Lifecycle {
    /// The API calls.
    pub(crate) calls: Vec<Call>,
    /// Seed of the unique names.
    pub(crate) seed: String,
    /// The phases with failed steps, with the first failure of each.
    pub(crate) failures: Vec<(Phase, String)>,
}

/// Access key of the identity that executes a lifecycle in place of the root user.
pub(crate) struct Deployer {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// Executes all phases in the scratch cloud.
pub(crate) async fn execute(
    deployment: &Deployment<'_>,
    scratch: &Scratch,
    deployer: Option<&Deployer>,
) -> Result<Lifecycle, RehearsalError> {
    let target = match deployer {
        Some(Deployer { access_key, secret_key }) => scratch.target_of(&deployment.target, access_key, secret_key),
        None => scratch.target(&deployment.target),
    };
    let script = deployment.script;
    let mut failures = Vec::new();
    let mut note = |phase: Phase, report: Report| {
        // A single replacement may be impossible, such as that of the gateway of a VPC.
        if let Some(failure) = report.failures.first().filter(|_| phase != Phase::Replace) {
            failures.push((phase, failure.summary.clone()));
        }
    };
    let around = deployment.surround(scratch).await?.seen_by(target);
    let answers = Arc::new(Answers::of(&deployment.empty(), BTreeSet::new(), scratch.requests()));
    let engine = |state: &State| deployment.engine(&around, state, &answers);
    let first = engine(&deployment.empty())?;
    note(Phase::Create, first.up(script).continue_on_error(true).await?);
    note(Phase::Refresh, first.refresh(script).await?);
    let state = first.state().await?.unwrap_or_else(|| deployment.empty());
    let altered = altered(&state, &first.declared(script)?);
    let engine = engine(&altered)?;
    note(Phase::Update, engine.up(script).continue_on_error(true).await?);
    for urns in by_kind(&state) {
        let replace = Selection { replace: urns, ..Selection::default() };
        note(Phase::Replace, engine.up(script).select(replace).continue_on_error(true).await?);
    }
    note(Phase::Destroy, engine.destroy(script).continue_on_error(true).await?);
    Ok(Lifecycle { calls: scratch.calls_after(around.last_call)?, seed: state.seed, failures })
}

/// Returns the resources of each kind. Replacements of one kind leave the others in place, as changes of a program do.
fn by_kind(state: &State) -> Vec<Vec<Pattern>> {
    let mut kinds: BTreeMap<&str, Vec<Pattern>> = BTreeMap::new();
    for (urn, generation) in state.generations().filter(|(_, generation)| generation.id.is_some()) {
        if generation.generation == 0 {
            kinds.entry(urn.kind()).or_default().push(Pattern::from(urn.to_string()));
        }
    }
    kinds.into_values().collect()
}

/// Returns the state with other values for the inputs that can be updated in place, as if the program had changed all of
/// them.
fn altered(state: &State, declared: &ResourceGraph) -> State {
    let mut altered = state.clone();
    for (urn, resource) in &mut altered.resources {
        let Some(schema) = declared.node(urn).map(|node| node.schema.clone()) else { continue };
        if let Some(generation) = resource.current.as_mut().filter(|generation| generation.id.is_some()) {
            generation.inputs = alter(&generation.inputs, &schema);
        }
    }
    altered
}

fn alter(inputs: &Value, schema: &Schema) -> Value {
    let Value::Map(members) = inputs else { return inputs.clone() };
    let mut altered = Map::new();
    for (name, value) in members {
        let is_fixed = schema.replaces(name) || !schema.is_tracked(name);
        let other = if is_fixed { None } else { other(name, value) };
        altered.insert(name, other.unwrap_or_else(|| value.clone()));
    }
    Value::Map(altered)
}

/// Returns another value of the same type, or `None` if any other one might not be valid.
fn other(name: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Bool(value) => Some(Value::Bool(!value)),
        Value::List(items) if !items.is_empty() => Some(Value::List(Vec::new())),
        Value::Map(_) if name == "tags" => Some(Value::from_json(serde_json::json!({"rehearsal": "before"}))),
        _ => None,
    }
}
