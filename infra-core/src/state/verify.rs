//! What holds of every state.

use super::{OperationId, State, VERSION};
use crate::urn::Urn;
use petgraph::{algo::toposort, graph::DiGraph};
use std::collections::{BTreeSet, HashMap, HashSet};

/// A state that cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum StateError {
    /// A newer version wrote it.
    #[error(
        "it has format {found}, and this version reads up to {VERSION}: use the version that wrote it, or a newer one"
    )]
    Newer {
        /// Its format.
        found: u32,
    },
    /// It belongs to something else.
    #[error("it belongs to stack `{found}`, not to `{expected}`")]
    Foreign {
        /// Whose it is: program/stack.
        found: String,
        /// Whose it should be.
        expected: String,
    },
    /// A resource depends on one that is not there.
    #[error("`{user}` depends on `{used}`, which it does not hold")]
    Dangling {
        /// Who depends.
        user: Urn,
        /// On whom.
        used: Urn,
    },
    /// A declaration of which nothing exists.
    #[error("`{0}` has neither a current nor a deposed generation")]
    Empty(Urn),
    /// Two generations of one declaration have one number.
    #[error("`{0}` has two generations with one number")]
    Generations(Urn),
    /// Resources depend on each other.
    #[error("`{0}` depends on itself, through others")]
    Cycle(Urn),
    /// Two open operations have one id.
    #[error("the operation {0} is open twice")]
    Operations(OperationId),
}

impl State {
    /// Checks every invariant.
    pub fn verify(&self) -> Result<(), StateError> {
        if self.version > VERSION {
            return Err(StateError::Newer { found: self.version });
        }
        for (urn, resource) in &self.resources {
            if (urn.program(), urn.stack()) != (&self.program, &self.stack) {
                return Err(StateError::Foreign {
                    found: format!("{}/{}", urn.program(), urn.stack()),
                    expected: format!("{}/{}", self.program, self.stack),
                });
            }
            if resource.current.is_none() && resource.deposed.is_empty() {
                return Err(StateError::Empty(urn.clone()));
            }
            let mut numbers = BTreeSet::new();
            for generation in resource.current.iter().chain(&resource.deposed) {
                if !numbers.insert(generation.generation) {
                    return Err(StateError::Generations(urn.clone()));
                }
                for used in &generation.dependencies {
                    if !self.resources.contains_key(used) {
                        let (user, used) = (urn.clone(), used.clone());
                        return Err(StateError::Dangling { user, used });
                    }
                }
            }
        }
        let mut operations = HashSet::new();
        for open in &self.open {
            if !operations.insert(&open.request.operation) {
                return Err(StateError::Operations(open.request.operation.clone()));
            }
        }
        self.verify_acyclic()
    }

    fn verify_acyclic(&self) -> Result<(), StateError> {
        let mut graph = DiGraph::<&Urn, ()>::new();
        let index: HashMap<&Urn, _> = self.resources.keys().map(|urn| (urn, graph.add_node(urn))).collect();
        for (urn, resource) in &self.resources {
            for used in resource.current.iter().flat_map(|current| &current.dependencies) {
                if let Some(&used) = index.get(used) {
                    graph.add_edge(used, index[urn], ());
                }
            }
        }
        match toposort(&graph, None) {
            Ok(_) => Ok(()),
            Err(cycle) => Err(StateError::Cycle(graph[cycle.node_id()].clone())),
        }
    }
}
