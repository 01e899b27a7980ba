//! The effect of a journal entry on the state.

use super::{Entry, Generation, Live, OpenOperation, OperationId, Request, State, Verb};
use crate::urn::Urn;

impl State {
    /// Applies an entry. An entry about an unknown operation or resource has no effect.
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
        // A create that is found late may refer to resources that were deleted since.
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
            // The create was found after another one had replaced it, so this generation must be deleted.
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

    /// Moves everything that is recorded of `from` to `to`, unless `to` exists.
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

    /// Removes a resource that disappeared outside of a run from all dependencies.
    fn forget_dependency(&mut self, deleted: &Urn) {
        if self.resources.contains_key(deleted) {
            return;
        }
        for resource in self.resources.values_mut() {
            for generation in resource.current.iter_mut().chain(&mut resource.deposed) {
                generation.dependencies.retain(|used| used != deleted);
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
    use crate::value::Value;

    #[test]
    fn late_create_does_not_depend_on_deleted_resources() {
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
