//! Plans of programs.

use super::{
    EngineError, Program,
    error::refused,
    runner::{Declared, Runner},
};
use crate::{
    diagnostic::{Diagnostic, did_you_mean},
    event::{Event, PlannedSet},
    graph::ResourceGraph,
    plan::{self, Plan, PlanOptions, Selection},
    policy::Policy,
    stack::{Declaration, Relaunchable},
    state::State,
    urn::Pattern,
};
use std::sync::Arc;

impl Runner {
    /// Runs the program and returns its declarations. Reports configuration values that it does not read.
    pub(super) fn declare(&self, program: Program<'_>) -> Result<Declared, EngineError> {
        let Declaration { graph, providers, policies, relaunchable, unread_config, config_keys } =
            self.engine.run_program(program);
        for key in unread_config {
            let known = config_keys.iter().map(|key| key.name.as_str());
            let hint = did_you_mean(&key, known).unwrap_or_else(|| "`config keys` lists the keys it reads".into());
            self.options.events.send(Event::Message(
                Diagnostic::warning(format!("the program does not read the configuration value `{key}`")).hint(hint),
            ));
        }
        let graph = graph.map_err(|errors| refused(&errors))?;
        Ok(Declared { relaunchable, ..Declared::new(graph, providers, self.all_policies(policies)) })
    }

    /// Returns an empty declaration for a run that deletes everything. A program that cannot be declared any more can
    /// still be destroyed, without hooks.
    pub(super) fn declare_deletion(&self, program: Program<'_>) -> Declared {
        let Declaration { graph, providers, .. } = self.engine.run_program(program);
        let deleted = graph.unwrap_or_default();
        Declared { deleted, ..Declared::new(ResourceGraph::default(), providers, Arc::default()) }
    }

    /// Returns the policies of the engine, then those of the program.
    pub(super) fn all_policies(&self, of_program: Vec<Policy>) -> Arc<[Policy]> {
        self.engine.policies.iter().cloned().chain(of_program).collect()
    }

    /// Plans with the selection of the run.
    pub(super) async fn plan(
        &self,
        declared: &Declared,
        state: &State,
        include_inputs: bool,
    ) -> Result<Plan, EngineError> {
        self.plan_selection(declared, state, self.options.selection.clone(), include_inputs).await
    }

    /// Plans and shows the plan.
    pub(super) async fn plan_selection(
        &self,
        declared: &Declared,
        state: &State,
        selection: Selection,
        include_inputs: bool,
    ) -> Result<Plan, EngineError> {
        let events = &self.options.events;
        let selection = resolve(selection, &declared.relaunchable);
        let policies = declared.policies.clone();
        let options = PlanOptions { refresh: self.options.refresh, selection, include_inputs, policies };
        let names: Vec<&str> = declared.relaunchable.iter().map(|relaunchable| relaunchable.name.as_str()).collect();
        options.selection.check(&declared.graph, state, &names).map_err(EngineError::WrongUse)?;
        let plan = plan::plan(&declared.graph, state, &declared.providers, &options, events).await;
        let mut plan = plan.map_err(EngineError::Refused)?;
        plan.warnings.extend((declared.warnings)(&plan));
        for step in plan.steps.iter().filter(|step| !step.is_silent() && step.unknown_set.is_none()) {
            events.send(Event::StepPlanned {
                urn: step.urn.clone(),
                action: step.action,
                region: step.region.clone(),
                diff: step.diff.clone(),
                renamed_from: step.renamed_from.clone(),
                note: step.note.clone(),
            });
        }
        for warning in &plan.warnings {
            events.send(Event::Message(warning.clone()));
        }
        let sets = plan.sets().into_iter().map(|((name, kind), most)| PlannedSet { name, kind, most });
        let execution = plan.execution.clone();
        events.send(Event::Planned { counts: plan.counts(), sets: sets.collect(), execution });
        Ok(plan)
    }
}

/// Replaces the names of relaunchable resources in a selection with their URNs.
fn resolve(selection: Selection, relaunchable: &[Relaunchable]) -> Selection {
    let resolve_one = |pattern: Pattern| match relaunchable.iter().find(|group| group.name == pattern.as_str()) {
        Some(named) => named.resources.iter().map(|urn| Pattern::from(urn.to_string())).collect(),
        None => vec![pattern],
    };
    Selection { replace: selection.replace.into_iter().flat_map(resolve_one).collect(), ..selection }
}
