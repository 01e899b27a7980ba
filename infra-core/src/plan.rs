//! Plans: the steps that lead from the recorded state to the declarations.
//!
//! Planning changes nothing: it has access only to the read operations of [`Inspect`](crate::provider::Inspect).

mod decide;
mod deletions;
mod display;
mod order;
mod planner;
mod saved;
mod selection;

pub(crate) use decide::{decide, marks, wanted};
pub use planner::plan;
pub(crate) use planner::{evaluation, live, presence, read_lookup, recorded_dependencies};
pub use saved::{PlanFileError, SavedPlan};
pub use selection::Selection;

use crate::{
    diagnostic::Diagnostic,
    diff::{Action, Diff},
    execution::ExecutionGraph,
    graph::Set,
    policy::Policy,
    state::Generation,
    urn::Urn,
    value::Value,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

/// The changes that a run makes, and every decision about them, as data.
///
/// A plan can be serialised and read back. Executing it needs nothing else but the declared graph, from which inputs are
/// evaluated once the outputs that they use are known. Secrets are encrypted by the store's key; without one, a plan that
/// contains secrets cannot be serialised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Plan {
    /// The steps, each after the steps that it depends on. Unchanged resources are included.
    pub steps: Vec<Step>,
    /// The order in which the steps are executed.
    pub execution: ExecutionGraph,
    /// New names of resources and the names under which they are recorded.
    pub renamed: BTreeMap<Urn, Urn>,
    /// The expected exports of the program, as far as they are known. Secrets are masked.
    pub outputs: BTreeMap<String, serde_json::Value>,
    /// Results of the lookups that were read while planning.
    pub answers: BTreeMap<Urn, Generation>,
    /// Warnings about the plan.
    pub warnings: Vec<Diagnostic>,
    /// Members of sets that the sets turned out not to contain.
    pub absent: BTreeSet<Urn>,
    /// Declarations that were not selected: they are left unchanged, whatever the program declares.
    pub unselected: BTreeSet<Urn>,
}

/// The planned change of one resource.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Step {
    /// The resource.
    pub urn: Urn,
    /// The action.
    pub action: Action,
    /// `true` for lookups.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub lookup: bool,
    /// Region of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The differences that cause the action.
    #[serde(default, skip_serializing_if = "Diff::is_empty")]
    pub diff: Diff,
    /// The order of a replacement.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub order: Option<ReplaceOrder>,
    /// Number of the generation that is deleted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub generation: Option<u32>,
    /// Previous name of the resource, if it was renamed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub renamed_from: Option<Urn>,
    /// The size of a set that decides if the step is executed. If it is not, an existing resource is deleted.
    #[serde(rename = "perhaps", default, skip_serializing_if = "Option::is_none")]
    pub unknown_set: Option<Set>,
    /// `true` if the user requested the replacement, whatever differs.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub forced: bool,
    /// Additional reason for the action, if the differences do not explain it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub note: Option<String>,
    /// The declared inputs. Set only in saved plans, where secrets are encrypted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
}

/// The order of a replacement.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ReplaceOrder {
    /// The new generation is created, its dependents are updated, and then the previous generation is deleted.
    CreateBeforeDelete,
    /// The previous generation is deleted first, because both would claim the same name or address.
    DeleteBeforeCreate,
}

/// Options of planning.
#[derive(Clone, Debug, Default)]
pub struct PlanOptions {
    /// Repeats every lookup.
    pub refresh: bool,
    /// The part of the stack that is planned.
    pub selection: Selection,
    /// Adds the declared inputs to the steps, for a saved plan.
    pub include_inputs: bool,
    /// Policies that the plan must satisfy.
    pub policies: Arc<[Policy]>,
}

impl Plan {
    /// Returns the number of steps by action. Lookups with a known result do not count, nor do members of sets of
    /// unknown size, which [`Plan::sets`] returns.
    pub fn counts(&self) -> BTreeMap<Action, usize> {
        let mut counts = BTreeMap::new();
        for step in self.steps.iter().filter(|step| !step.lookup || step.action != Action::Same) {
            if step.unknown_set.is_none() {
                *counts.entry(step.action).or_default() += 1;
            }
        }
        counts
    }

    /// Returns the sets whose size is known only while applying: (name, type) → maximum number of members.
    pub fn sets(&self) -> BTreeMap<(String, String), usize> {
        let members = self.steps.iter().filter_map(|step| Some((step, step.unknown_set.as_ref()?)));
        members.map(|(step, set)| ((set.name.clone(), step.urn.kind().to_owned()), set.most)).collect()
    }

    /// Returns `true` if the plan changes anything. Reads are not changes.
    pub fn has_changes(&self) -> bool {
        self.steps.iter().any(Step::is_change)
    }

    /// Returns `true` if the plan replaces or deletes a resource, so that data may be lost.
    pub fn is_destructive(&self) -> bool {
        self.steps.iter().any(Step::is_destructive)
    }
}

impl Step {
    /// Creates a step with an action and nothing else.
    pub fn new(urn: Urn, action: Action) -> Self {
        Self {
            urn,
            action,
            lookup: false,
            region: None,
            diff: Diff::default(),
            order: None,
            generation: None,
            renamed_from: None,
            unknown_set: None,
            forced: false,
            note: None,
            inputs: None,
        }
    }

    /// Returns `true` if the step changes a resource at its provider.
    pub fn is_change(&self) -> bool {
        self.unknown_set.is_some()
            || !matches!(self.action, Action::Same | Action::Read | Action::Forget | Action::Import)
    }

    /// Returns `true` if the step replaces or deletes an existing resource. A member of a set of unknown size may turn
    /// out to be deleted.
    pub fn is_destructive(&self) -> bool {
        match self.action {
            Action::Replace | Action::Delete => true,
            Action::Same | Action::Update => self.unknown_set.is_some() && !self.lookup,
            _ => false,
        }
    }

    /// Returns `true` if the step has nothing to show.
    pub fn is_silent(&self) -> bool {
        self.action == Action::Same && self.renamed_from.is_none() && self.unknown_set.is_none()
    }
}
