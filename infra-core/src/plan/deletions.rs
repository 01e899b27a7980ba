//! Resources that exist and are not declared.

use super::Step;
use crate::{
    diff::Action,
    state::{Generation, State},
    urn::Urn,
};
use std::collections::HashSet;

/// Returns the existing resources that are neither declared nor excluded from this run, dependents before their
/// dependencies.
pub(super) fn deletions(
    state: &State,
    is_declared: impl Fn(&Urn) -> bool,
    is_selected: impl Fn(&Urn) -> bool,
) -> Vec<Step> {
    let mut steps = Vec::new();
    let mut seen = HashSet::with_capacity(state.resources.len());
    for urn in state.resources.keys() {
        used_first(state, urn, &mut seen, &mut |urn| {
            let Some(resource) = state.resources.get(urn).filter(|_| is_selected(urn)) else {
                return;
            };
            let undeclared = resource.current.iter().filter(|_| !is_declared(urn));
            steps.extend(undeclared.chain(&resource.deposed).map(|generation| deletion(urn, generation)));
        });
    }
    let going: HashSet<Urn> =
        steps.iter().filter(|step| step.action == Action::Delete).map(|step| step.urn.clone()).collect();
    for step in steps.iter_mut().filter(|step| step.action == Action::Delete) {
        let container = container(state, step).filter(|container| going.contains(container));
        if let Some(container) = container {
            step.action = Action::Forget;
            step.note = Some(format!("goes with {}", container.short()));
        }
    }
    steps.reverse();
    steps
}

fn deletion(urn: &Urn, generation: &Generation) -> Step {
    let retained = generation.marks.retain_on_delete;
    let action = if generation.id.is_some() && !retained { Action::Delete } else { Action::Forget };
    Step {
        lookup: generation.id.is_none(),
        region: generation.region.clone(),
        generation: Some(generation.generation),
        note: retained.then(|| "not deleted: retain_on_delete".to_owned()),
        ..Step::new(urn.clone(), action)
    }
}

fn container<'a>(state: &'a State, step: &Step) -> Option<&'a Urn> {
    state.generation(&step.urn, step.generation?)?.marks.deleted_with.as_ref()
}

/// Visits the dependencies of `urn` and then `urn` itself, each once.
fn used_first<'a>(state: &'a State, urn: &'a Urn, seen: &mut HashSet<&'a Urn>, visit: &mut dyn FnMut(&'a Urn)) {
    let mut stack = vec![(urn, false)];
    while let Some((urn, ready)) = stack.pop() {
        if ready {
            visit(urn);
            continue;
        }
        if !seen.insert(urn) {
            continue;
        }
        stack.push((urn, true));
        if let Some(resource) = state.resources.get(urn) {
            let generations = resource.current.iter().chain(&resource.deposed);
            stack.extend(generations.flat_map(|g| &g.dependencies).map(|used| (used, false)));
        }
    }
}
