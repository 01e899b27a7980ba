//! The declared and the recorded resources together.

use super::Context;
use infra_core::{
    diagnostic::Diagnostic,
    graph::{NodeKind, ResourceGraph},
    state::{Generation, State, Verb},
    urn::Urn,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// The program's declarations and the recorded state.
pub(crate) struct System {
    /// The declared resources, or the reason why the program declares none.
    pub(crate) graph: Result<ResourceGraph, Diagnostic>,
    /// The recorded state; `None` before the first deployment.
    pub(crate) state: Option<State>,
}

/// Relation of a resource's declaration to its record.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Status {
    /// Declared and recorded.
    Deployed,
    /// Declared and not recorded.
    Declared,
    /// Recorded and no longer declared: the next `up` deletes it.
    Undeclared,
    /// An operation is in progress, or its response was lost.
    Creating,
    /// An update is in progress, or its response was lost.
    Updating,
    /// A deletion is in progress, or its response was lost.
    Deleting,
    /// The actual inputs may differ from the recorded ones.
    Uncertain,
}

impl Status {
    /// Returns the word for people and for CSS classes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Deployed => "deployed",
            Status::Declared => "declared",
            Status::Undeclared => "undeclared",
            Status::Creating => "creating",
            Status::Updating => "updating",
            Status::Deleting => "deleting",
            Status::Uncertain => "uncertain",
        }
    }
}

impl System {
    /// Reads both.
    pub(crate) async fn load(context: &Context) -> Result<Self, Diagnostic> {
        Ok(Self { graph: context.source.declared().await, state: context.source.state().await? })
    }

    /// Returns the URNs of all declared or recorded resources and lookups, without components.
    pub(crate) fn urns(&self) -> BTreeSet<&Urn> {
        let declared = self.graph.iter().flat_map(ResourceGraph::in_order);
        let declared = declared.filter(|node| node.kind != NodeKind::Component).map(|node| &node.urn);
        let recorded = self.state.iter().flat_map(|state| state.resources.keys());
        let open = self.state.iter().flat_map(|state| state.open.iter().map(|open| &open.request.urn));
        declared.chain(recorded).chain(open).collect()
    }

    /// Returns the recorded current generation.
    pub(crate) fn recorded(&self, urn: &Urn) -> Option<&Generation> {
        self.state.as_ref()?.resources.get(urn)?.current.as_ref()
    }

    /// Returns the status of a resource.
    pub(crate) fn status(&self, urn: &Urn) -> Status {
        let mut open = self.state.iter().flat_map(|state| &state.open);
        if let Some(open) = open.find(|open| open.request.urn == *urn) {
            return match open.request.verb {
                Verb::Create => Status::Creating,
                Verb::Update => Status::Updating,
                Verb::Delete => Status::Deleting,
            };
        }
        // Without a declaration, every resource would look undeclared.
        let declared = self.graph.as_ref().map_or(true, |graph| graph.node(urn).is_some());
        match self.recorded(urn) {
            None => Status::Declared,
            Some(_) if !declared => Status::Undeclared,
            Some(generation) if generation.uncertain => Status::Uncertain,
            Some(_) => Status::Deployed,
        }
    }

    /// Returns the number of resources by status.
    pub(crate) fn counts(&self) -> BTreeMap<Status, usize> {
        let mut counts = BTreeMap::new();
        self.urns().into_iter().for_each(|urn| *counts.entry(self.status(urn)).or_default() += 1);
        counts
    }

    /// Returns the URNs that a resource uses: the recorded ones, otherwise the declared ones.
    pub(crate) fn dependencies(&self, urn: &Urn) -> BTreeSet<Urn> {
        let declared = self.graph.as_ref().ok().filter(|graph| graph.node(urn).is_some());
        match (declared, self.recorded(urn)) {
            (Some(graph), _) => graph.dependencies(urn).into_iter().cloned().collect(),
            (None, Some(generation)) => generation.dependencies.iter().cloned().collect(),
            (None, None) => BTreeSet::new(),
        }
    }
}
