//! The recorded state of a stack, and how each journal entry changes it.

mod apply;
mod entry;
mod operation;
mod verify;

pub use entry::Entry;
pub use operation::{Live, OpenOperation, OperationId, Request, Verb};
pub use verify::StateError;

use crate::{urn::Urn, value::Value};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// The format of the state that this version writes.
pub const VERSION: u32 = 2;

/// The recorded state of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// Version of the format, see [`VERSION`].
    pub version: u32,
    /// Name of the program.
    pub program: String,
    /// Name of the stack, such as `dev`.
    pub stack: String,
    /// Random text that unique names are derived from, drawn by the first run.
    pub seed: String,
    /// Number of the snapshot, which increases by one with every snapshot.
    pub serial: u64,
    /// The resources by URN.
    pub resources: BTreeMap<Urn, ResourceState>,
    /// Operations whose response was lost.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenOperation>,
    /// The last exports of the program.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
}

/// The generations of one declaration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceState {
    /// The current generation.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Generation>,
    /// Replaced generations that are still to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deposed: Vec<Generation>,
}

/// A resource that a provider created, or the result of a lookup.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// Id of the resource at the provider; `None` for lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Region of the resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The resolved inputs of the last successful operation.
    pub inputs: Value,
    /// The outputs that the provider returned.
    pub outputs: Value,
    /// The resources that the inputs refer to.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Urn>,
    /// Number of the generation, from 0 on; every replacement has the next number.
    #[serde(default)]
    pub generation: u32,
    /// The operation that last changed it; `None` for lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// `true` if the actual inputs may differ from the recorded ones, because an update was interrupted or failed.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncertain: bool,
    /// Options of the declaration for its deletion.
    #[serde(default, skip_serializing_if = "Marks::is_none")]
    pub marks: Marks,
    /// The URN that it was created under, if the declaration has been renamed since. Unique names are derived from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Urn>,
}

/// Options of a declaration for the deletion of its resource. They are recorded, because the deletion happens when the
/// declaration no longer exists.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// The resource must not be deleted or replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// The resource is removed from the state instead of deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retain_on_delete: bool,
    /// The resource whose deletion also deletes this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_with: Option<Urn>,
    /// Timeout of the deletion, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_timeout_seconds: Option<u64>,
}

impl Marks {
    /// Returns `true` if no option is set.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

impl ResourceState {
    /// Returns the number of generations.
    pub fn generations(&self) -> usize {
        usize::from(self.current.is_some()) + self.deposed.len()
    }
}

impl State {
    /// Creates the state of a stack without resources. `seed` should be random.
    pub fn new(program: &str, stack: &str, seed: String) -> Self {
        Self {
            version: VERSION,
            program: program.to_owned(),
            stack: stack.to_owned(),
            seed,
            serial: 0,
            resources: BTreeMap::new(),
            open: Vec::new(),
            outputs: BTreeMap::new(),
        }
    }

    /// Returns the current generation of a declaration.
    pub fn current(&self, urn: &Urn) -> Option<&Generation> {
        self.resources.get(urn)?.current.as_ref()
    }

    /// Returns the generation with this number.
    pub fn generation(&self, urn: &Urn, generation: u32) -> Option<&Generation> {
        let resource = self.resources.get(urn)?;
        resource.current.iter().chain(&resource.deposed).find(|candidate| candidate.generation == generation)
    }

    /// Returns the number of the next generation of a declaration.
    pub fn next_generation(&self, urn: &Urn) -> u32 {
        let Some(resource) = self.resources.get(urn) else {
            return 0;
        };
        let numbers = resource.current.iter().chain(&resource.deposed);
        numbers.map(|generation| generation.generation + 1).max().unwrap_or(0)
    }

    /// Returns the inputs of an open operation.
    pub fn open_inputs(&self, operation: &OperationId) -> Option<&Value> {
        Some(&self.open_operation(operation)?.request.inputs)
    }

    /// Returns the open operation with this id.
    pub fn open_operation(&self, operation: &OperationId) -> Option<&OpenOperation> {
        self.open.iter().find(|open| open.request.operation == *operation)
    }

    /// Returns all generations, current and deposed.
    pub fn generations(&self) -> impl Iterator<Item = (&Urn, &Generation)> {
        self.resources.iter().flat_map(|(urn, resource)| {
            let all = resource.current.iter().chain(&resource.deposed);
            all.map(move |generation| (urn, generation))
        })
    }

    /// Returns the number of resources that exist at providers.
    pub fn live_count(&self) -> usize {
        self.generations().filter(|(_, generation)| generation.id.is_some()).count()
    }
}
