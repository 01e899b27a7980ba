//! The lifecycle of a stack in a scratch cloud: create, refresh, update in place, replace and destroy.

use crate::RehearsalError;
use crate::alteration;
use crate::answers::Answers;
use crate::calls::Call;
use crate::scratch::Scratch;
use crate::stage::{Deployment, Surroundings};
use crate::updates::{self, Unchanged};
use infra_core::{
    Engine, engine::EngineError, execute::Report, graph::ResourceGraph, plan::Selection, state::State, urn::Pattern,
};
use serde::Serialize;
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// A phase of the lifecycle of a stack.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Phase {
    /// All resources are created.
    Create,
    /// All resources are read.
    Refresh,
    /// Every input that can be updated in place is updated.
    Update,
    /// Every resource is replaced.
    Replace,
    /// All resources are deleted.
    Destroy,
}

/// An executed lifecycle.
#[derive(Default)]
pub(crate) struct Lifecycle {
    /// The API calls.
    pub(crate) calls: Vec<(Phase, Call)>,
    /// Seed of the unique names.
    pub(crate) seed: String,
    /// The phases with failed steps, with the first failure of each.
    pub(crate) failures: Vec<(Phase, String)>,
    /// The properties whose single updates failed.
    pub(crate) unchanged: BTreeSet<Unchanged>,
}

/// Access key of the identity that executes a lifecycle in place of the root user.
pub(crate) struct Deployer {
    pub(crate) access_key: String,
    pub(crate) secret_key: String,
}

/// Extent of a lifecycle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Extent {
    /// All phases.
    Whole,
    /// Until an action is denied.
    UntilDenied,
}

/// Executes a lifecycle in the scratch cloud.
pub(crate) async fn execute(
    deployment: &Deployment<'_>,
    scratch: &Scratch,
    deployer: Option<&Deployer>,
    extent: Extent,
) -> Result<Lifecycle, RehearsalError> {
    let target = match deployer {
        Some(Deployer { access_key, secret_key }) => scratch.target_of(&deployment.target, access_key, secret_key),
        None => scratch.target(&deployment.target),
    };
    let surroundings = deployment.surround(scratch).await?.seen_by(target);
    let answers = Arc::new(surroundings.answers(scratch).once());
    let (read, lifecycle) = (surroundings.last_call, Lifecycle::default());
    let mut execution = Execution { deployment, scratch, surroundings, answers, extent, read, lifecycle };
    match execution.run().await {
        // A lookup that is denied fails the plan; the calls show the denial.
        Err(RehearsalError::Engine(_)) if execution.is_denied() => Ok(execution.lifecycle),
        Err(error) => Err(error),
        Ok(()) => Ok(execution.lifecycle),
    }
}

/// The execution of a lifecycle.
struct Execution<'e> {
    deployment: &'e Deployment<'e>,
    scratch: &'e Scratch,
    surroundings: Surroundings,
    answers: Arc<Answers>,
    extent: Extent,
    /// Number of the last call that was read.
    read: u64,
    lifecycle: Lifecycle,
}

impl Execution<'_> {
    async fn run(&mut self) -> Result<(), RehearsalError> {
        let engine = self.engine(&self.deployment.empty())?;
        let declared = engine.declared(self.deployment.script)?;
        let completed = self.phases(engine, &declared).await;
        // The calls of a phase that failed are read as well.
        let read = self.record(Phase::Destroy);
        completed.and(read)
    }

    async fn phases(&mut self, engine: Engine, declared: &ResourceGraph) -> Result<(), RehearsalError> {
        let script = self.deployment.script;
        let continues = self.extent == Extent::Whole;
        let report = engine.up(script).continue_on_error(continues).await?;
        self.finish(Phase::Create, Some(report))?;
        let report = engine.refresh(script).await?;
        self.finish(Phase::Refresh, Some(report))?;
        let state = engine.state().await?.unwrap_or_else(|| self.deployment.empty());
        self.lifecycle.seed.clone_from(&state.seed);
        if self.is_finished() {
            return Ok(());
        }
        let mut engine = self.engine(&altered(&state, declared))?;
        let report = engine.up(script).continue_on_error(continues).await?;
        self.finish(Phase::Update, Some(report))?;
        for urns in by_kind(&state) {
            if self.is_finished() {
                return Ok(());
            }
            let recorded = engine.state().await?.unwrap_or_else(|| self.deployment.empty());
            let cloud = self.scratch.cloud().snapshot();
            let replace = Selection { replace: urns, ..Selection::default() };
            let report = match engine.up(script).select(replace).continue_on_error(true).await {
                // The plan may order no replacement of a kind, such as that of subnets without their instances.
                Err(EngineError::Refused(_)) if !self.is_denied() => continue,
                report => report?,
            };
            self.finish(Phase::Replace, None)?;
            // A single replacement may be impossible, such as that of a subnet, whose addresses are in use. What it leaves
            // behind would prevent the replacements of other kinds.
            if !report.is_success() && self.scratch.cloud().restore(&cloud) {
                engine = self.engine(&recorded)?;
            }
        }
        let mut state = engine.state().await?.unwrap_or_else(|| self.deployment.empty());
        let providers = engine.providers(script);
        self.lifecycle.unchanged = updates::update_each(&mut state, declared, &providers).await;
        self.finish(Phase::Update, None)?;
        if self.is_finished() {
            return Ok(());
        }
        let engine = self.engine(&state)?;
        let report = engine.destroy(script).continue_on_error(true).await?;
        self.finish(Phase::Destroy, Some(report))
    }

    fn engine(&self, state: &State) -> Result<Engine, RehearsalError> {
        self.deployment.engine(&self.surroundings, state, &self.answers)
    }

    /// Records the result and the calls of a phase.
    fn finish(&mut self, phase: Phase, report: Option<Report>) -> Result<(), RehearsalError> {
        if let Some(failure) = report.and_then(|report| report.failures.into_iter().next()) {
            let subject = failure.subject.map_or_else(String::new, |subject| format!("{subject}: "));
            self.lifecycle.failures.push((phase, format!("{subject}{}", failure.summary)));
        }
        self.record(phase)
    }

    fn record(&mut self, phase: Phase) -> Result<(), RehearsalError> {
        let calls = self.scratch.calls_after(self.read)?;
        self.read = calls.last().map_or(self.read, |call| call.number);
        self.lifecycle.calls.extend(calls.into_iter().map(|call| (phase, call)));
        Ok(())
    }

    fn is_denied(&self) -> bool {
        self.lifecycle.calls.iter().any(|(_, call)| call.allowed.contains(&false))
    }

    fn is_finished(&self) -> bool {
        self.extent == Extent::UntilDenied && self.is_denied()
    }
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
        let Some(node) = declared.node(urn) else { continue };
        if let Some(generation) = resource.current.as_mut().filter(|generation| generation.id.is_some()) {
            generation.inputs = alteration::alter_all(&generation.inputs, &|name| node.updates_in_place(name));
        }
    }
    altered
}
