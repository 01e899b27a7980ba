//! The order in which the steps of a plan are executed.
//!
//! A step becomes one task, or two: a replacement creates the new generation and deletes the previous one. Steps that
//! cannot be ordered are refused here, before the plan is shown.

use super::{ReplaceOrder, Step};
use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    execution::{Edge, ExecutionGraph, Point, Reason, Task, is_acyclic},
    graph::{Node, ResourceGraph},
    state::State,
    urn::Urn,
};
use petgraph::{
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
};
use std::collections::{BTreeMap, HashMap};

/// Orders the steps of a plan. `state` is the state that they were planned from, renames included.
pub(super) fn order(steps: &[Step], graph: &ResourceGraph, state: &State) -> Result<ExecutionGraph, Box<Diagnostic>> {
    let tasks = Tasks::of(steps, graph, state);
    let ordered = tasks.order(graph, state);
    let tasks = tasks.all;
    match ordered {
        Ok(edges) => Ok(ExecutionGraph { tasks, edges }),
        Err(edges) => Err(Box::new(ExecutionGraph { tasks, edges }.deadlock())),
    }
}

/// The precision of dependencies between generations: the state records only the declaration that is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Usage {
    /// Each generation of a user may use each generation of the used declaration.
    Any,
    /// Previous generations use only previous generations. This suffices when nothing else can be ordered, as when two
    /// resources swapped the direction of their dependency and both previous generations still exist.
    SameTime,
}

/// Sorts the edges, and leaves only one between two points.
fn sorted(mut edges: Vec<Edge>) -> Vec<Edge> {
    edges.sort_unstable();
    edges.dedup_by_key(|edge| (edge.before, edge.after));
    edges
}

/// The tasks of a plan, by resource.
struct Tasks<'s> {
    all: Vec<Task>,
    applies: HashMap<&'s Urn, usize>,
    removes: BTreeMap<&'s Urn, Vec<usize>>,
}

impl<'s> Tasks<'s> {
    fn of(steps: &'s [Step], graph: &ResourceGraph, state: &State) -> Self {
        let mut tasks = Self { all: Vec::new(), applies: HashMap::new(), removes: BTreeMap::new() };
        for step in steps {
            let urn = step.urn.clone();
            match (step.action, step.generation) {
                (Action::Same, _) if step.unknown_set.is_none() => {}
                (action, Some(generation)) => {
                    // An earlier run started its deletion, so it has no dependents. The new generation may have the
                    // same name.
                    let before_create = graph.node(&urn).is_some() && state.current(&urn).is_none();
                    tasks.remove(&step.urn, Task::Remove { urn, generation, action, before_create, if_absent: false });
                }
                (action, None) => {
                    tasks.applies.insert(&step.urn, tasks.all.len());
                    tasks.all.push(Task::Apply { urn: urn.clone(), action });
                    let replaced = action == Action::Replace;
                    let previous = state.current(&step.urn).filter(|_| replaced || step.unknown_set.is_some());
                    if let Some(previous) = previous {
                        let is_deleted = previous.id.is_some() && !previous.marks.retain_on_delete;
                        let task = Task::Remove {
                            urn,
                            generation: previous.generation,
                            action: if is_deleted { Action::Delete } else { Action::Forget },
                            before_create: step.order == Some(ReplaceOrder::DeleteBeforeCreate),
                            if_absent: !replaced,
                        };
                        tasks.remove(&step.urn, task);
                    }
                }
            }
        }
        tasks
    }

    fn remove(&mut self, urn: &'s Urn, task: Task) {
        self.removes.entry(urn).or_default().push(self.all.len());
        self.all.push(task);
    }

    /// Returns the tasks that remove generations of a declaration.
    fn removes_of(&self, urn: &Urn) -> impl Iterator<Item = usize> + '_ {
        self.removes.get(urn).into_iter().flatten().copied()
    }

    /// Returns the strictest order without a cycle. If there is none, returns an error with the cycles.
    fn order(&self, graph: &ResourceGraph, state: &State) -> Result<Vec<Edge>, Vec<Edge>> {
        let edges = self.edges(graph, state, Usage::Any);
        let same_time = || self.edges(graph, state, Usage::SameTime);
        let attempts: [&dyn Fn() -> Vec<Edge>; 4] =
            [&|| [edges.clone(), self.settled(graph)].concat(), &|| edges.clone(), &same_time, &|| {
                self.without_cycles_of_removals(same_time())
            }];
        let mut attempts = attempts.into_iter().map(|attempt| sorted(attempt()));
        attempts.find(|edges| is_acyclic(self.all.len(), edges)).ok_or_else(|| sorted(edges.clone()))
    }

    fn edges(&self, graph: &ResourceGraph, state: &State, usage: Usage) -> Vec<Edge> {
        let mut edges = Vec::new();
        self.order_applies(graph, &mut edges);
        if !self.removes.is_empty() {
            self.order_removes(state, usage, &mut edges);
        }
        edges
    }

    /// Orders declared resources after their dependencies, and after previous generations that are deleted first.
    fn order_applies(&self, graph: &ResourceGraph, edges: &mut Vec<Edge>) {
        for (&urn, &at) in &self.applies {
            for used in graph.dependencies(urn) {
                edges.extend(self.applies.get(used).map(|&before| edge(before, at, Reason::Dependency)));
            }
            let first = graph.node(urn).is_some_and(Node::deletes_before_replace);
            edges.extend(self.removes_of(urn).map(|previous| {
                if first || self.all[previous].is_before_create() {
                    edge(previous, at, Reason::DeleteBeforeCreate)
                } else {
                    edge(at, previous, Reason::CreateBeforeDelete)
                }
            }));
        }
    }

    /// Returns the edges that keep a previous generation until its replacement is settled.
    fn settled(&self, graph: &ResourceGraph) -> Vec<Edge> {
        let reason = Reason::Settled;
        let mut edges = Vec::new();
        for (&urn, &at) in &self.applies {
            if graph.node(urn).is_some_and(Node::deletes_before_replace) {
                continue;
            }
            let last = self.removes_of(urn).filter(|&previous| !self.all[previous].is_before_create());
            edges.extend(last.map(|last| Edge { before: Point::Settled(at), after: Point::Task(last), reason }));
        }
        if edges.is_empty() {
            return edges;
        }
        for (&urn, &at) in &self.applies {
            edges.push(Edge { before: Point::Task(at), after: Point::Settled(at), reason });
            let used = graph.dependencies(urn).into_iter().filter_map(|used| self.applies.get(used));
            edges.extend(used.map(|&used| Edge { before: Point::Settled(at), after: Point::Settled(used), reason }));
        }
        edges
    }

    /// Orders the removal of a generation after everything that uses it.
    fn order_removes(&self, state: &State, usage: Usage, edges: &mut Vec<Edge>) {
        for (user, resource) in &state.resources {
            for generation in resource.current.iter().chain(&resource.deposed) {
                let user_removal = self.removes_of(user).find(
                    |&at| matches!(self.all[at], Task::Remove { generation: g, .. } if g == generation.generation),
                );
                let container = generation.marks.deleted_with.as_ref();
                let follows = user_removal.is_some_and(|at| self.all[at].action() == Action::Forget);
                let is_current = resource.current.as_ref().is_some_and(|current| std::ptr::eq(current, generation));
                for used in &generation.dependencies {
                    let with = self.container_deleted_with(state, used);
                    let with = with.into_iter().flat_map(|with| self.removes_of(with));
                    for removal in self.removes_of(used).chain(with) {
                        if follows && container == Some(self.all[removal].urn()) {
                            edges.extend(user_removal.map(|user| edge(removal, user, Reason::DeletedWith)));
                            continue;
                        }
                        let later = usage == Usage::SameTime && !is_current && self.is_later(state, removal);
                        edges
                            .extend(user_removal.filter(|_| !later).map(|user| edge(user, removal, Reason::Dependent)));
                        let moves =
                            self.applies.get(user).filter(|_| !self.all[removal].is_before_create() && is_current);
                        edges.extend(moves.map(|&user| edge(user, removal, Reason::Dependent)));
                    }
                    // The first part of a replacement may turn out not to be needed; that is known once its
                    // dependencies are applied.
                    if let Some(at) = user_removal
                        && self.all[at].is_before_create()
                        && !self.removes_of(used).any(|removed| self.all[removed].is_before_create())
                    {
                        edges.extend(self.applies.get(used).map(|&before| edge(before, at, Reason::Decision)));
                    }
                }
            }
        }
    }

    /// Returns `true` if the task removes the newest of several generations.
    fn is_later(&self, state: &State, at: usize) -> bool {
        let Task::Remove { urn, generation, .. } = &self.all[at] else {
            return false;
        };
        let resource = state.resources.get(urn);
        resource.is_some_and(|resource| {
            let current = resource.current.as_ref().map(|current| current.generation);
            current == Some(*generation) && !resource.deposed.is_empty()
        })
    }

    /// Returns the resource whose deletion also deletes `urn`.
    fn container_deleted_with<'a>(&self, state: &'a State, urn: &Urn) -> Option<&'a Urn> {
        let container = state.current(urn)?.marks.deleted_with.as_ref()?;
        self.removes_of(urn).any(|at| self.all[at].action() == Action::Forget).then_some(container)
    }

    /// Drops the edges of cycles that consist of removals: the state does not record which of several generations a
    /// dependent uses. If the provider refuses a removal for that reason, the next run repeats it.
    fn without_cycles_of_removals(&self, edges: Vec<Edge>) -> Vec<Edge> {
        let of_tasks = |edge: &Edge| match (edge.before, edge.after) {
            (Point::Task(before), Point::Task(after)) => Some((before, after)),
            _ => None,
        };
        let mut cycle = vec![None; self.all.len()];
        let graph = DiGraph::<(), (), usize>::from_edges(edges.iter().filter_map(of_tasks));
        let removes = |at: &NodeIndex<usize>| matches!(self.all[at.index()], Task::Remove { .. });
        let cycles = kosaraju_scc(&graph).into_iter().filter(|cycle| cycle.len() > 1 && cycle.iter().all(removes));
        for (number, tasks) in cycles.enumerate() {
            tasks.iter().for_each(|at| cycle[at.index()] = Some(number));
        }
        let is_kept = |edge: &Edge| {
            of_tasks(edge).is_none_or(|(before, after)| cycle[before].is_none() || cycle[before] != cycle[after])
        };
        edges.into_iter().filter(is_kept).collect()
    }
}

fn edge(before: usize, after: usize, reason: Reason) -> Edge {
    Edge { before: Point::Task(before), after: Point::Task(after), reason }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    /// Each resource used the other one in some generation: the state does not record which generation.
    #[test]
    fn cycle_of_removals_is_resolved() {
        let (a, b, c) = ("urn:infra:s::p::t:T::a", "urn:infra:s::p::t:T::b", "urn:infra:s::p::t:T::c");
        let thing = |generation: u32, uses: &[&str]| json!({"id": format!("i{generation}"), "inputs": {}, "outputs": {}, "generation": generation, "dependencies": uses});
        let state: State = serde_json::from_value(json!({
            "version": 1, "program": "p", "stack": "s", "seed": "", "serial": 0,
            "resources": {a: {"deposed": [thing(0, &[b])]}, b: {"deposed": [thing(0, &[a])]}, c: {"current": thing(0, &[a])}},
        }))
        .unwrap();
        let delete = |urn: &str| Step { generation: Some(0), ..Step::new(urn.parse().unwrap(), Action::Delete) };
        let steps = [a, b, c].map(delete);
        let execution = order(&steps, &ResourceGraph::default(), &state).unwrap();
        // The order of tasks outside of the cycle stays.
        let names =
            |level: &Vec<usize>| -> Vec<&str> { level.iter().map(|&at| execution.tasks[at].urn().name()).collect() };
        assert_eq!(execution.levels().unwrap().iter().map(names).collect::<Vec<_>>(), [vec!["b", "c"], vec!["a"]]);
    }

    /// The previous `b` used the previous `a`; the current `a` uses the previous `b`, whose deletion is planned.
    #[test]
    fn generations_with_swapped_dependencies_are_removed_in_order() {
        let (a, b) = ("urn:infra:s::p::t:T::a", "urn:infra:s::p::t:T::b");
        let thing = |generation: u32, uses: &[&str]| json!({"id": format!("i{generation}"), "inputs": {}, "outputs": {}, "generation": generation, "dependencies": uses});
        let state: State = serde_json::from_value(json!({
            "version": 1, "program": "p", "stack": "s", "seed": "", "serial": 0,
            "resources": {a: {"current": thing(1, &[b]), "deposed": [thing(0, &[])]}, b: {"deposed": [thing(0, &[a])]}},
        }))
        .unwrap();
        state.verify().unwrap();
        let remove = |urn: &str, generation| Step {
            generation: Some(generation),
            ..Step::new(urn.parse().unwrap(), Action::Delete)
        };
        let steps = [remove(a, 1), remove(a, 0), remove(b, 0)];
        let execution = order(&steps, &ResourceGraph::default(), &state).unwrap();
        assert_eq!(execution.levels().unwrap(), [[0], [2], [1]]);
    }
}
