//! What was last known of a stack, and how each journal entry changes it.

mod verify;

pub use verify::StateError;

use crate::{urn::Urn, value::Value};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// The format of the state that this version writes.
pub const VERSION: u32 = 2;

/// Everything that is known of a stack.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct State {
    /// The format, [`VERSION`].
    pub version: u32,
    /// The program that declared it.
    pub program: String,
    /// The stack, such as `dev`.
    pub stack: String,
    /// Drawn when the stack was first used; unique names derive from it.
    pub seed: String,
    /// Grows by one with every snapshot.
    pub serial: u64,
    /// The resources, by identity.
    pub resources: BTreeMap<Urn, ResourceState>,
    /// Operations whose answer was never seen.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub open: Vec<OpenOperation>,
    /// What the program exported last.
    #[serde(default)]
    pub outputs: BTreeMap<String, Value>,
}

/// What exists of one declaration.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct ResourceState {
    /// The one in use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub current: Option<Generation>,
    /// Replaced ones that are still to be deleted.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub deposed: Vec<Generation>,
}

/// One thing that a provider made (or, for lookups, read).
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Generation {
    /// The provider's id; none for lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Where it lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The resolved inputs it was made with.
    pub inputs: Value,
    /// What the provider told.
    pub outputs: Value,
    /// What its inputs came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Urn>,
    /// 0, and one more with every replacement.
    #[serde(default)]
    pub generation: u32,
    /// The operation that last changed it; none for lookups.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub operation: Option<OperationId>,
    /// An update of it was left open or failed halfway: the recorded inputs may not be what lives.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub uncertain: bool,
    /// What its declaration asks for when it is to go.
    #[serde(default, skip_serializing_if = "Marks::is_none")]
    pub marks: Marks,
    /// The name under which it was made, when its declaration has been renamed since: unique names derive from it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Urn>,
}

/// What a declaration asks for when its resource is to go. It is recorded, because by then the declaration is gone.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Marks {
    /// It must not be deleted or replaced.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub protect: bool,
    /// It is forgotten instead of deleted.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub retain_on_delete: bool,
    /// It vanishes by itself together with this one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub deleted_with: Option<Urn>,
    /// How long its deletion may take.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub delete_timeout_seconds: Option<u64>,
}

impl Marks {
    /// Whether nothing is asked for.
    pub fn is_none(&self) -> bool {
        *self == Self::default()
    }
}

/// Names one operation for ever: 32 random hexadecimal digits, also sent to the provider as token or tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct OperationId(String);

impl ResourceState {
    /// How many generations exist.
    pub fn generations(&self) -> usize {
        usize::from(self.current.is_some()) + self.deposed.len()
    }
}

impl OperationId {
    /// A new one, from the operating system's randomness.
    pub fn random() -> Result<Self, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        Ok(Self(hex::encode(bytes)))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an operation does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Verb {
    /// Makes a new generation.
    Create,
    /// Changes the current one.
    Update,
    /// Removes one.
    Delete,
}

/// A whole request to a provider: what the journal holds before the provider is called.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Request {
    /// Its name, token and tag.
    pub operation: OperationId,
    /// What it does.
    pub verb: Verb,
    /// For whom.
    pub urn: Urn,
    /// Where.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// Which generation it makes, changes or removes.
    #[serde(default)]
    pub generation: u32,
    /// The provider's id of what is changed or removed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// What a create is to take the place of, while that still lives.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub replaces: Option<Box<Live>>,
    /// The resolved inputs: those wanted, or those of what is removed.
    pub inputs: Value,
    /// What the inputs came from.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub dependencies: Vec<Urn>,
    /// The stack's seed, for unique names.
    pub seed: String,
    /// When it was written down, RFC 3339.
    pub at: String,
    /// What the declaration asks for when it is to go.
    #[serde(default, skip_serializing_if = "Marks::is_none")]
    pub marks: Marks,
    /// The name under which it was made, when that is another than the declaration has now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub origin: Option<Urn>,
}

impl Request {
    /// A request about a declaration, in the stack of this seed.
    pub fn new(operation: OperationId, verb: Verb, urn: Urn, inputs: Value, seed: &str) -> Self {
        Self {
            operation,
            verb,
            urn,
            region: None,
            generation: 0,
            id: None,
            replaces: None,
            inputs,
            dependencies: Vec::new(),
            seed: seed.to_owned(),
            at: String::new(),
            marks: Marks::default(),
            origin: None,
        }
    }

    /// The same about a thing that exists.
    pub fn about(mut self, recorded: &Generation) -> Self {
        self.region.clone_from(&recorded.region);
        self.generation = recorded.generation;
        self.id.clone_from(&recorded.id);
        self.origin.clone_from(&recorded.origin);
        self
    }
}

/// An operation that was written down and never confirmed.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct OpenOperation {
    /// What was asked for.
    pub request: Request,
    /// What the operation wrote down on its way.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub progress: Vec<Value>,
    /// Whether the generation that a create was to replace has been updated since. The update has undone what the
    /// unfinished create did to it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub undone: bool,
}

impl OpenOperation {
    /// Whether a create may have changed the generation that it was to replace, as by stopping an instance to copy its
    /// disk.
    pub fn has_touched_previous(&self) -> bool {
        let is_replacement = self.request.verb == Verb::Create && self.request.replaces.is_some();
        is_replacement && !self.progress.is_empty() && !self.undone
    }
}

/// What a provider says of a thing that exists.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Live {
    /// The provider's id.
    pub id: String,
    /// The inputs as they live, where the provider can tell.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub inputs: Option<Value>,
    /// The outputs.
    pub outputs: Value,
}

/// One line of the journal. A state is a snapshot plus its entries, applied in order.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Entry {
    /// The provider is about to be asked.
    Intent(Request),
    /// The operation has come to a point that its recovery needs to know.
    Progress {
        /// Which operation.
        operation: OperationId,
        /// What it wrote down.
        value: Value,
    },
    /// The operation is done; nothing lives after a delete.
    Done {
        /// Which operation.
        operation: OperationId,
        /// What lives now.
        live: Option<Live>,
    },
    /// The operation failed.
    Failed {
        /// Which operation.
        operation: OperationId,
        /// What lives nevertheless.
        live: Option<Live>,
        /// Whether it can have happened all the same: then it stays open.
        unsure: bool,
    },
    /// A lookup was answered.
    Read {
        /// Whose answer.
        urn: Urn,
        /// The answer.
        generation: Generation,
    },
    /// The provider says that the thing lives like this, or not at all.
    Refreshed {
        /// Whose.
        urn: Urn,
        /// How it lives.
        live: Option<Live>,
    },
    /// The inputs are as they were, but come from elsewhere now.
    Depends {
        /// Whose.
        urn: Urn,
        /// From where.
        dependencies: Vec<Urn>,
    },
    /// The declaration asks for something else when its resource is to go.
    Marked {
        /// Whose.
        urn: Urn,
        /// What it asks for.
        marks: Marks,
    },
    /// The declaration has another name now.
    Renamed {
        /// The name it had.
        from: Urn,
        /// The name it has.
        to: Urn,
    },
    /// A thing that existed already was taken over.
    Imported {
        /// By which declaration.
        urn: Urn,
        /// The thing.
        generation: Generation,
    },
    /// One generation is not kept track of any more; it lives on, or went with something else.
    Released {
        /// Whose.
        urn: Urn,
        /// Which.
        generation: u32,
    },
    /// The recorded inputs are not to be trusted.
    Distrusted(Urn),
    /// The generation in use is to be deleted, whatever the program says.
    Deposed(Urn),
    /// The open operation is of no interest any more.
    Dropped(OperationId),
    /// The declaration is forgotten.
    Forgotten(Urn),
    /// The program's exports.
    Outputs(BTreeMap<String, Value>),
}

impl State {
    /// The state of a stack of which nothing exists yet.
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

    /// The generation in use.
    pub fn current(&self, urn: &Urn) -> Option<&Generation> {
        self.resources.get(urn)?.current.as_ref()
    }

    /// The generation with this number.
    pub fn generation(&self, urn: &Urn, generation: u32) -> Option<&Generation> {
        let resource = self.resources.get(urn)?;
        resource.current.iter().chain(&resource.deposed).find(|candidate| candidate.generation == generation)
    }

    /// The number that a new generation of the declaration gets.
    pub fn next_generation(&self, urn: &Urn) -> u32 {
        let Some(resource) = self.resources.get(urn) else {
            return 0;
        };
        let numbers = resource.current.iter().chain(&resource.deposed);
        numbers.map(|generation| generation.generation + 1).max().unwrap_or(0)
    }

    /// The inputs that an open operation was begun with.
    pub fn open_inputs(&self, operation: &OperationId) -> Option<&Value> {
        Some(&self.open_operation(operation)?.request.inputs)
    }

    /// The open operation with this id.
    pub fn open_operation(&self, operation: &OperationId) -> Option<&OpenOperation> {
        self.open.iter().find(|open| open.request.operation == *operation)
    }

    /// Every generation there is, current and deposed.
    pub fn generations(&self) -> impl Iterator<Item = (&Urn, &Generation)> {
        self.resources.iter().flat_map(|(urn, resource)| {
            let all = resource.current.iter().chain(&resource.deposed);
            all.map(move |generation| (urn, generation))
        })
    }

    /// How many things exist that a provider would have to delete.
    pub fn live_count(&self) -> usize {
        self.generations().filter(|(_, generation)| generation.id.is_some()).count()
    }

    /// Changes the state as the entry says. Entries about what is not there change nothing.
    pub fn apply(&mut self, entry: Entry) {
        match entry {
            Entry::Intent(request) => {
                self.open.retain(|open| open.request.operation != request.operation);
                self.open.push(OpenOperation { request, progress: Vec::new(), undone: false });
            }
            Entry::Progress { operation, value } => {
                let open = self.open.iter_mut().find(|open| open.request.operation == operation);
                if let Some(open) = open {
                    open.progress.push(value);
                }
            }
            Entry::Done { operation, live } => {
                if let Some(request) = self.close(&operation) {
                    self.conclude(request, live, false);
                }
            }
            Entry::Failed { operation, live: Some(live), .. } => {
                if let Some(request) = self.close(&operation) {
                    self.conclude(request, Some(live), true);
                }
            }
            Entry::Failed { operation, live: None, unsure } => {
                if !unsure {
                    self.close(&operation);
                }
            }
            Entry::Read { urn, generation } => {
                self.resources.entry(urn).or_default().current = Some(generation);
            }
            Entry::Refreshed { urn, live } => self.refreshed(&urn, live),
            Entry::Depends { urn, dependencies } => {
                if let Some(current) = self.current_mut(&urn) {
                    current.dependencies = dependencies;
                }
            }
            Entry::Marked { urn, marks } => {
                if let Some(current) = self.current_mut(&urn) {
                    current.marks = marks;
                }
            }
            Entry::Renamed { from, to } => self.rename(&from, to),
            Entry::Imported { urn, generation } => {
                let resource = self.resources.entry(urn).or_default();
                let old = resource.current.replace(generation);
                resource.deposed.extend(old);
            }
            Entry::Released { urn, generation } => self.remove(&urn, generation),
            Entry::Distrusted(urn) => {
                if let Some(current) = self.current_mut(&urn) {
                    current.uncertain = true;
                }
            }
            Entry::Deposed(urn) => {
                if let Some(resource) = self.resources.get_mut(&urn) {
                    resource.deposed.extend(resource.current.take());
                }
            }
            Entry::Dropped(operation) => drop(self.close(&operation)),
            Entry::Forgotten(urn) => {
                self.resources.remove(&urn);
                self.forget_dependency(&urn);
            }
            Entry::Outputs(outputs) => self.outputs = outputs,
        }
    }

    fn close(&mut self, operation: &OperationId) -> Option<Request> {
        let at = self.open.iter().position(|open| open.request.operation == *operation)?;
        Some(self.open.remove(at).request)
    }

    fn current_mut(&mut self, urn: &Urn) -> Option<&mut Generation> {
        self.resources.get_mut(urn)?.current.as_mut()
    }

    fn conclude(&mut self, request: Request, live: Option<Live>, uncertain: bool) {
        let Some(live) = live else {
            if request.verb == Verb::Delete {
                self.remove(&request.urn, request.generation);
            }
            return;
        };
        if request.verb == Verb::Delete {
            return;
        }
        if request.verb == Verb::Update && !uncertain {
            let replacements = self.open.iter_mut().filter(|open| open.request.urn == request.urn);
            replacements.for_each(|open| open.undone = true);
        }
        // A create that is found late may have used what is gone by now.
        let mut dependencies = request.dependencies;
        dependencies.retain(|used| self.resources.contains_key(used));
        let mut generation = Generation {
            id: Some(live.id),
            region: request.region,
            inputs: live.inputs.unwrap_or(request.inputs),
            outputs: live.outputs,
            dependencies,
            generation: request.generation,
            operation: Some(request.operation),
            uncertain,
            marks: request.marks,
            origin: request.origin,
        };
        let next = self.next_generation(&request.urn);
        let resource = self.resources.entry(request.urn).or_default();
        let taken = resource.deposed.iter().any(|deposed| deposed.generation == generation.generation);
        match &mut resource.current {
            Some(current) if request.verb == Verb::Update => *current = generation,
            // Found late, when another one had already taken its place: it is to be deleted.
            Some(current) if current.generation >= generation.generation => {
                generation.generation = next;
                resource.deposed.push(generation);
            }
            current => {
                if taken {
                    generation.generation = next;
                }
                resource.deposed.extend(current.replace(generation));
            }
        }
    }

    fn refreshed(&mut self, urn: &Urn, live: Option<Live>) {
        match live {
            None => {
                if let Some(current) = self.current(urn) {
                    let generation = current.generation;
                    self.remove(urn, generation);
                    self.forget_dependency(urn);
                }
            }
            Some(live) => {
                if let Some(current) = self.current_mut(urn) {
                    current.id = Some(live.id);
                    current.outputs = live.outputs;
                    if let Some(inputs) = live.inputs {
                        current.inputs = inputs;
                    }
                }
            }
        }
    }

    /// Everything that is recorded of `from` is recorded of `to`; what is recorded of `to` already stays.
    fn rename(&mut self, from: &Urn, to: Urn) {
        if self.resources.contains_key(&to) {
            return;
        }
        let Some(mut resource) = self.resources.remove(from) else {
            return;
        };
        for generation in resource.current.iter_mut().chain(&mut resource.deposed) {
            generation.origin.get_or_insert_with(|| from.clone());
        }
        self.resources.insert(to.clone(), resource);
        for resource in self.resources.values_mut() {
            for generation in resource.current.iter_mut().chain(&mut resource.deposed) {
                let with = generation.marks.deleted_with.iter_mut();
                for used in generation.dependencies.iter_mut().chain(with) {
                    if used == from {
                        used.clone_from(&to);
                    }
                }
            }
        }
    }

    /// Nothing can depend on what went away behind our back.
    fn forget_dependency(&mut self, gone: &Urn) {
        if self.resources.contains_key(gone) {
            return;
        }
        for resource in self.resources.values_mut() {
            for generation in resource.current.iter_mut().chain(&mut resource.deposed) {
                generation.dependencies.retain(|used| used != gone);
            }
        }
    }

    fn remove(&mut self, urn: &Urn, generation: u32) {
        let Some(resource) = self.resources.get_mut(urn) else {
            return;
        };
        resource.current.take_if(|current| current.generation == generation);
        resource.deposed.retain(|deposed| deposed.generation != generation);
        if resource.current.is_none() && resource.deposed.is_empty() {
            self.resources.remove(urn);
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn what_is_found_late_does_not_depend_on_what_is_gone() {
        let urn = |name: &str| Urn::new("dev", "p", "t:T", name).unwrap();
        let mut state = State::new("p", "dev", "seed".into());
        let operation = OperationId::random().unwrap();
        let request = Request::new(operation.clone(), Verb::Create, urn("late"), Value::empty(), "seed");
        state.apply(Entry::Intent(Request { dependencies: vec![urn("gone")], ..request }));
        let live = Live { id: "late-1".into(), inputs: None, outputs: Value::empty() };
        state.apply(Entry::Done { operation, live: Some(live) });
        state.verify().unwrap();
        assert_eq!(state.live_count(), 1);
    }
}
