//! Selection of a part of a stack.

use crate::{
    diagnostic::{Diagnostic, did_you_mean},
    graph::{NodeKind, ResourceGraph},
    state::State,
    urn::{Pattern, Urn},
};
use std::collections::{HashMap, HashSet};

/// The selected part of a stack. The default is everything.
#[derive(Clone, Debug, Default)]
pub struct Selection {
    /// Only these resources and their dependencies.
    pub targets: Vec<Pattern>,
    /// All resources except these.
    pub exclude: Vec<Pattern>,
    /// Resources that are replaced, whatever differs.
    pub replace: Vec<Pattern>,
    /// With `targets`, includes all dependents of the targets. With `exclude`, excludes all dependents of the excluded
    /// resources.
    pub dependents: bool,
}

/// The patterns of a [`Selection`], resolved.
#[derive(Debug, Default)]
pub(super) struct Selected {
    /// `None` selects everything.
    only: Option<HashSet<Urn>>,
    replace: HashSet<Urn>,
}

impl Selected {
    pub(super) fn contains(&self, urn: &Urn) -> bool {
        self.only.as_ref().is_none_or(|only| only.contains(urn))
    }

    pub(super) fn replaces(&self, urn: &Urn) -> bool {
        self.replace.contains(urn)
    }
}

impl Selection {
    /// Returns `true` if nothing is excluded and nothing is replaced.
    pub fn is_everything(&self) -> bool {
        self.targets.is_empty() && self.exclude.is_empty() && self.replace.is_empty()
    }

    /// Checks that every pattern matches a resource. `relaunchable` contains the names that the program gave to groups
    /// of resources: an unknown pattern to replace may be a misspelling of one of them.
    pub fn check(&self, graph: &ResourceGraph, state: &State, relaunchable: &[&str]) -> Result<(), Vec<Diagnostic>> {
        self.resolve_among(graph, state, relaunchable).map(drop)
    }

    /// Resolves the patterns. A pattern without a match is an error.
    pub(super) fn resolve(&self, graph: &ResourceGraph, state: &State) -> Result<Selected, Vec<Diagnostic>> {
        self.resolve_among(graph, state, &[])
    }

    fn resolve_among(
        &self,
        graph: &ResourceGraph,
        state: &State,
        relaunchable: &[&str],
    ) -> Result<Selected, Vec<Diagnostic>> {
        if self.dependents && self.targets.is_empty() && self.exclude.is_empty() {
            let nothing = Diagnostic::error("`--dependents` has no effect without `--target-urn` or `--exclude`");
            return Err(vec![nothing.hint("add `--target-urn PATTERN`, to select a resource and its dependents")]);
        }
        if self.is_everything() {
            return Ok(Selected::default());
        }
        let declared = graph.in_order().filter(|node| node.kind != NodeKind::Component).map(|node| &node.urn);
        let undeclared = state.resources.keys().filter(|urn| graph.node(urn).is_none());
        let all: Vec<&Urn> = declared.chain(undeclared).collect();
        let mut problems = Vec::new();
        let mut named = |patterns: &[Pattern], others: &[&str]| -> HashSet<Urn> {
            let mut named = HashSet::new();
            for pattern in patterns {
                let before = named.len();
                named.extend(all.iter().filter(|urn| pattern.matches(urn)).map(|&urn| urn.clone()));
                if named.len() == before && !all.iter().any(|urn| pattern.matches(urn)) {
                    problems.push(unknown(pattern, &all, others));
                }
            }
            named
        };
        let (targets, exclude) = (named(&self.targets, &[]), named(&self.exclude, &[]));
        let replace = named(&self.replace, relaunchable);
        if let Some(both) = replace.iter().find(|urn| exclude.contains(urn)) {
            problems.push(Diagnostic::error("the resource is both selected for replacement and excluded").about(both));
        }
        if problems.is_empty() && !targets.is_empty() && targets.is_subset(&exclude) {
            problems.push(Diagnostic::error("all selected resources are excluded, so nothing would be done"));
        }
        if !problems.is_empty() {
            return Err(problems);
        }
        let only = (!self.targets.is_empty() || !self.exclude.is_empty())
            .then(|| self.closure(targets, exclude, &replace, graph, state));
        Ok(Selected { only, replace })
    }

    fn closure(
        &self,
        targets: HashSet<Urn>,
        exclude: HashSet<Urn>,
        replace: &HashSet<Urn>,
        graph: &ResourceGraph,
        state: &State,
    ) -> HashSet<Urn> {
        let needs = |urn: &Urn| -> Vec<Urn> { graph.dependencies(urn).into_iter().cloned().collect() };
        let users = if self.dependents { users(graph, state) } else { HashMap::new() };
        let using = |urn: &Urn| -> Vec<Urn> { users.get(urn).cloned().unwrap_or_default() };
        let mut only = if self.targets.is_empty() {
            graph.in_order().map(|node| &node.urn).chain(state.resources.keys()).cloned().collect()
        } else {
            let aimed = targets.into_iter().chain(replace.iter().cloned()).collect();
            reach(reach(aimed, using), needs)
        };
        for excluded in reach(exclude, using) {
            only.remove(&excluded);
        }
        only
    }
}

/// Returns everything that can be reached from `start`.
fn reach(start: HashSet<Urn>, next: impl Fn(&Urn) -> Vec<Urn>) -> HashSet<Urn> {
    let mut waiting: Vec<Urn> = start.iter().cloned().collect();
    let mut reached = start;
    while let Some(urn) = waiting.pop() {
        for urn in next(&urn) {
            if reached.insert(urn.clone()) {
                waiting.push(urn);
            }
        }
    }
    reached
}

/// Returns the dependents of each resource, declared and recorded.
fn users(graph: &ResourceGraph, state: &State) -> HashMap<Urn, Vec<Urn>> {
    let mut users: HashMap<Urn, Vec<Urn>> = HashMap::new();
    for node in graph.in_order() {
        for used in graph.dependencies(&node.urn) {
            users.entry(used.clone()).or_default().push(node.urn.clone());
        }
    }
    for (urn, generation) in state.generations() {
        for used in &generation.dependencies {
            users.entry(used.clone()).or_default().push(urn.clone());
        }
    }
    users
}

fn unknown(pattern: &Pattern, all: &[&Urn], others: &[&str]) -> Diagnostic {
    let candidates = others.iter().copied().chain(all.iter().map(|urn| urn.name()));
    let hint = did_you_mean(pattern.as_str(), candidates).unwrap_or_else(|| {
        let names = others.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        let relaunchable = if others.is_empty() { String::new() } else { format!("{names} can be relaunched; ") };
        format!("{relaunchable}`state list` and `preview --diff` show the names; `*` matches any characters")
    });
    Diagnostic::error(format!("no resource matches `{pattern}`")).hint(hint)
}
