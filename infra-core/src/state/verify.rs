//! The invariants of a state.

use super::{OperationId, State, VERSION};
use crate::urn::Urn;
use petgraph::{
    algo::toposort,
    graph::{DiGraph, NodeIndex},
};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A violated invariant of a state.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A newer version wrote the state.
    #[error(
        "the state has format {found}, and this version reads up to {VERSION}: use the version that wrote it, or a \
         newer one"
    )]
    Newer {
        /// Version of the format.
        found: u32,
    },
    /// The state belongs to another program or stack.
    #[error("the state belongs to the stack `{found}`, not to `{expected}`")]
    Foreign {
        /// Program and stack of the state.
        found: String,
        /// The expected program and stack.
        expected: String,
    },
    /// A resource depends on a resource that is not in the state.
    #[error("`{user}` depends on `{used}`, which the state does not contain")]
    Dangling {
        /// The dependent.
        user: Urn,
        /// The dependency.
        used: Urn,
    },
    /// A declaration has no generation.
    #[error("`{0}` has neither a current nor a deposed generation")]
    Empty(Urn),
    /// Two generations of a declaration have the same number.
    #[error("`{0}` has two generations with the same number")]
    Generations(Urn),
    /// Resources depend on each other.
    #[error("`{0}` depends on itself through other resources")]
    Cycle(Urn),
    /// Two open operations have the same id.
    #[error("the operation {0} is open twice")]
    Operations(OperationId),
}

impl State {
    /// Checks every invariant.
    pub fn verify(&self) -> Result<(), StateError> {
        if self.version > VERSION {
            return Err(StateError::Newer { found: self.version });
        }
        let mut graph = DiGraph::<&Urn, ()>::with_capacity(self.resources.len(), self.resources.len());
        let index: HashMap<&Urn, _> = self.resources.keys().map(|urn| (urn, graph.add_node(urn))).collect();
        for (at, (urn, resource)) in self.resources.iter().enumerate() {
            if (urn.program(), urn.stack()) != (&self.program, &self.stack) {
                return Err(StateError::Foreign {
                    found: format!("{}/{}", urn.program(), urn.stack()),
                    expected: format!("{}/{}", self.program, self.stack),
                });
            }
            let known = |used: &Urn| {
                let dangling = || StateError::Dangling { user: urn.clone(), used: used.clone() };
                index.get(used).copied().ok_or_else(dangling)
            };
            match (&resource.current, resource.deposed.is_empty()) {
                (None, true) => return Err(StateError::Empty(urn.clone())),
                (Some(current), _) => {
                    for used in &current.dependencies {
                        graph.add_edge(known(used)?, NodeIndex::new(at), ());
                    }
                }
                (None, false) => {}
            }
            let mut numbers: BTreeSet<u32> = resource.current.iter().map(|current| current.generation).collect();
            for deposed in &resource.deposed {
                if !numbers.insert(deposed.generation) {
                    return Err(StateError::Generations(urn.clone()));
                }
                for used in &deposed.dependencies {
                    known(used)?;
                }
            }
        }
        let mut operations = HashSet::new();
        for open in &self.open {
            if !operations.insert(&open.request.operation) {
                return Err(StateError::Operations(open.request.operation.clone()));
            }
        }
        match toposort(&graph, None) {
            Ok(_) => Ok(()),
            Err(cycle) => Err(StateError::Cycle(graph[cycle.node_id()].clone())),
        }
    }
}
