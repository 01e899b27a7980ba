//! In which order the steps of a plan can be done.

use crate::{
    diagnostic::Diagnostic,
    diff::Action,
    graph::{Node, ResourceGraph},
    plan::{Plan, ReplaceOrder},
    state::State,
    urn::Urn,
};
use petgraph::{
    algo::kosaraju_scc,
    graph::{DiGraph, NodeIndex},
};
use std::collections::{BTreeMap, HashMap};

/// One thing to do.
#[derive(Debug)]
pub(super) enum Task {
    /// Read, create, update, or create the replacement.
    Apply { urn: Urn, action: Action },
    /// Delete (or forget) one generation.
    Remove {
        urn: Urn,
        generation: u32,
        action: Action,
        /// It is the first half of a replacement, or of one that an earlier run began.
        goes_first: bool,
        /// Only if its set turns out not to have it.
        perhaps: bool,
    },
}

impl Task {
    pub(super) fn urn(&self) -> &Urn {
        match self {
            Self::Apply { urn, .. } | Self::Remove { urn, .. } => urn,
        }
    }

    pub(super) fn action(&self) -> Action {
        match self {
            Self::Apply { action, .. } | Self::Remove { action, .. } => *action,
        }
    }
}

/// What is known of who uses which generation: the state records only which declaration is used.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Users {
    /// Every generation of the user may use every generation of the used.
    All,
    /// Replaced generations use generations of their own time: enough when nothing else can be ordered, as with two
    /// things that have swapped who uses whom while both old ones are still there.
    OfTheirTime,
}

/// The tasks of a plan and who waits for whom.
///
/// Behind its tasks it has points, one for each: that it is done, and so is everything that uses what it is about.
#[derive(Debug, Default)]
pub(super) struct TaskGraph {
    pub(super) tasks: Vec<Task>,
    waiting: Vec<usize>,
    followers: Vec<Vec<usize>>,
    begun: Vec<bool>,
}

impl TaskGraph {
    pub(super) fn new(plan: &Plan, graph: &ResourceGraph, state: &State) -> Result<Self, Box<Diagnostic>> {
        let mut all = Self::default();
        let mut applies: HashMap<&Urn, usize> = HashMap::new();
        let mut removes: BTreeMap<&Urn, Vec<usize>> = BTreeMap::new();
        for step in &plan.steps {
            let urn = step.urn.clone();
            match (step.action, step.generation) {
                (Action::Same, _) if step.perhaps.is_none() => {}
                (action, Some(generation)) => {
                    // Its deletion was begun, so nobody needs it any more; what is made anew may bear the same name.
                    let goes_first = graph.node(&urn).is_some() && state.current(&urn).is_none();
                    let task = Task::Remove { urn, generation, action, goes_first, perhaps: false };
                    removes.entry(&step.urn).or_default().push(all.push(task));
                }
                (action, None) => {
                    applies.insert(&step.urn, all.push(Task::Apply { urn, action }));
                    let replaced = action == Action::Replace;
                    let old = state.current(&step.urn).filter(|_| replaced || step.perhaps.is_some());
                    if let Some(old) = old {
                        let retained = old.marks.retain_on_delete;
                        let task = Task::Remove {
                            urn: step.urn.clone(),
                            generation: old.generation,
                            action: if retained || old.id.is_none() { Action::Forget } else { Action::Delete },
                            goes_first: step.order == Some(ReplaceOrder::DeleteBeforeCreate),
                            perhaps: !replaced,
                        };
                        removes.entry(&step.urn).or_default().push(all.push(task));
                    }
                }
            }
        }
        let edges = all.edges(state, graph, &applies, &removes, Users::All);
        let patient = [edges.clone(), all.order_replaced(graph, &applies, &removes)].concat();
        if all.wait(patient).is_empty() {
            return Ok(all);
        }
        let stuck = all.wait(edges);
        if stuck.is_empty() {
            return Ok(all);
        }
        let edges = all.edges(state, graph, &applies, &removes, Users::OfTheirTime);
        if all.wait(edges.clone()).is_empty() || all.wait(all.untied(edges)).is_empty() {
            return Ok(all);
        }
        let steps: Vec<String> =
            stuck.into_iter().map(|at| format!("{} {}", all.tasks[at].action(), all.tasks[at].urn().short())).collect();
        Err(Box::new(
            Diagnostic::error("these steps of the plan wait for each other")
                .because(steps.join("\n"))
                .hint("make the change in two runs: first remove what is to go, then add what is new"),
        ))
    }

    /// Which task waits for which.
    fn edges(
        &self,
        state: &State,
        graph: &ResourceGraph,
        applies: &HashMap<&Urn, usize>,
        removes: &BTreeMap<&Urn, Vec<usize>>,
        users: Users,
    ) -> Vec<(usize, usize)> {
        let mut edges = Vec::new();
        self.order_applies(graph, applies, removes, &mut edges);
        self.order_removes(state, applies, removes, users, &mut edges);
        edges.sort_unstable();
        edges.dedup();
        edges
    }

    /// The same where removals wait for each other in a circle, but without the circle: of several generations the
    /// record does not tell which one was used. A removal that a provider refuses for that is done by the next run.
    fn untied(&self, edges: Vec<(usize, usize)>) -> Vec<(usize, usize)> {
        let mut circle = vec![None; self.tasks.len()];
        let graph = DiGraph::<(), (), usize>::from_edges(&edges);
        let removes = |at: &NodeIndex<usize>| matches!(self.tasks[at.index()], Task::Remove { .. });
        let circles = kosaraju_scc(&graph).into_iter().filter(|circle| circle.len() > 1 && circle.iter().all(removes));
        for (number, tasks) in circles.enumerate() {
            tasks.iter().for_each(|at| circle[at.index()] = Some(number));
        }
        edges
            .into_iter()
            .filter(|&(before, after)| circle[before].is_none() || circle[before] != circle[after])
            .collect()
    }

    /// Lets tasks wait for each other; the answer is those that can never begin.
    fn wait(&mut self, edges: Vec<(usize, usize)>) -> Vec<usize> {
        let points = 2 * self.tasks.len();
        self.waiting = vec![0; points];
        self.followers = vec![Vec::new(); points];
        for (before, after) in edges {
            self.followers[before].push(after);
            self.waiting[after] += 1;
        }
        self.stuck()
    }

    /// The tasks that wait for nothing.
    pub(super) fn ready(&self) -> Vec<usize> {
        (0..self.tasks.len()).filter(|&at| self.waiting[at] == 0).collect()
    }

    /// Marks a task as done and returns those that waited for it alone.
    pub(super) fn complete(&mut self, at: usize) -> Vec<usize> {
        let mut ready = Vec::new();
        let mut done = vec![at];
        while let Some(at) = done.pop() {
            for after in std::mem::take(&mut self.followers[at]) {
                self.waiting[after] -= 1;
                if self.waiting[after] == 0 {
                    let next = if after < self.tasks.len() { &mut ready } else { &mut done };
                    next.push(after);
                }
            }
        }
        ready
    }

    /// Marks a task as begun.
    pub(super) fn begin(&mut self, at: usize) {
        self.begun[at] = true;
    }

    /// The tasks that were not begun.
    pub(super) fn never_begun(&self) -> impl Iterator<Item = usize> + '_ {
        (0..self.tasks.len()).filter(|&at| !self.begun[at])
    }

    fn push(&mut self, task: Task) -> usize {
        self.tasks.push(task);
        self.begun.push(false);
        self.tasks.len() - 1
    }

    /// What is declared waits for what it uses, and for an old generation that has to go first.
    fn order_applies(
        &self,
        graph: &ResourceGraph,
        applies: &HashMap<&Urn, usize>,
        removes: &BTreeMap<&Urn, Vec<usize>>,
        edges: &mut Vec<(usize, usize)>,
    ) {
        for (&urn, &at) in applies {
            for used in graph.dependencies(urn) {
                edges.extend(applies.get(used).map(|&before| (before, at)));
            }
            let first = graph.node(urn).is_some_and(Node::deletes_before_replace);
            for &old in removes.get(urn).into_iter().flatten() {
                let goes_first = matches!(self.tasks[old], Task::Remove { goes_first: true, .. });
                if first || goes_first {
                    edges.push((old, at));
                } else {
                    edges.push((at, old));
                }
            }
        }
    }

    /// What was replaced goes once everything that uses it, and what uses that, has come to terms with the new one: when
    /// one of them fails, the old one is still there to go back to.
    fn order_replaced(
        &self,
        graph: &ResourceGraph,
        applies: &HashMap<&Urn, usize>,
        removes: &BTreeMap<&Urn, Vec<usize>>,
    ) -> Vec<(usize, usize)> {
        let point = |task: usize| self.tasks.len() + task;
        let mut edges = Vec::new();
        for (&urn, &at) in applies.iter().filter(|(urn, _)| !graph.node(urn).is_some_and(Node::deletes_before_replace))
        {
            let old = removes.get(urn).into_iter().flatten();
            let last = old.filter(|&&old| !matches!(self.tasks[old], Task::Remove { goes_first: true, .. }));
            edges.extend(last.map(|&old| (point(at), old)));
        }
        if edges.is_empty() {
            return edges;
        }
        for (&urn, &at) in applies {
            edges.push((at, point(at)));
            let used = graph.dependencies(urn).into_iter().filter_map(|used| applies.get(used));
            edges.extend(used.map(|&used| (point(at), point(used))));
        }
        edges
    }

    /// What goes waits until nobody uses it any more.
    fn order_removes(
        &self,
        state: &State,
        applies: &HashMap<&Urn, usize>,
        removes: &BTreeMap<&Urn, Vec<usize>>,
        users: Users,
        edges: &mut Vec<(usize, usize)>,
    ) {
        for (user, resource) in &state.resources {
            for generation in resource.current.iter().chain(&resource.deposed) {
                let user_goes = removes.get(user).into_iter().flatten().find(
                    |&&at| matches!(self.tasks[at], Task::Remove { generation: g, .. } if g == generation.generation),
                );
                let container = generation.marks.deleted_with.as_ref();
                let follows = user_goes.is_some_and(|&at| self.tasks[at].action() == Action::Forget);
                let is_current = resource.current.as_ref().is_some_and(|current| std::ptr::eq(current, generation));
                for used in &generation.dependencies {
                    let with = self.vanishes_with(state, removes, used);
                    for &gone in removes.get(used).into_iter().chain(with.and_then(|with| removes.get(with))).flatten()
                    {
                        if follows && container == Some(self.tasks[gone].urn()) {
                            edges.extend(user_goes.map(|&user| (gone, user)));
                            continue;
                        }
                        let later = users == Users::OfTheirTime && !is_current && self.is_later(state, gone);
                        edges.extend(user_goes.filter(|_| !later).map(|&user| (user, gone)));
                        let first = matches!(self.tasks[gone], Task::Remove { goes_first: true, .. });
                        let moves = applies.get(user).filter(|_| !first && is_current);
                        edges.extend(moves.map(|&user| (user, gone)));
                    }
                    // Whether the first half of a replacement is needed is known once what it uses is.
                    if let Some(&at) = user_goes
                        && matches!(self.tasks[at], Task::Remove { goes_first: true, .. })
                        && !self.goes_first(removes, used)
                    {
                        edges.extend(applies.get(used).map(|&before| (before, at)));
                    }
                }
            }
        }
    }

    /// Whether the task removes the newest of several generations.
    fn is_later(&self, state: &State, at: usize) -> bool {
        let Task::Remove { urn, generation, .. } = &self.tasks[at] else {
            return false;
        };
        let resource = state.resources.get(urn);
        resource.is_some_and(|resource| {
            let current = resource.current.as_ref().map(|current| current.generation);
            current == Some(*generation) && !resource.deposed.is_empty()
        })
    }

    /// What `urn` goes with, when it is not deleted by itself.
    fn vanishes_with<'s>(&self, state: &'s State, removes: &BTreeMap<&Urn, Vec<usize>>, urn: &Urn) -> Option<&'s Urn> {
        let container = state.current(urn)?.marks.deleted_with.as_ref()?;
        let mut removes = removes.get(urn)?.iter();
        removes.any(|&at| self.tasks[at].action() == Action::Forget).then_some(container)
    }

    fn goes_first(&self, removes: &BTreeMap<&Urn, Vec<usize>>, urn: &Urn) -> bool {
        let mut removes = removes.get(urn).into_iter().flatten();
        removes.any(|&at| matches!(self.tasks[at], Task::Remove { goes_first: true, .. }))
    }

    /// The tasks that wait for each other, or for such.
    fn stuck(&self) -> Vec<usize> {
        let mut waiting = self.waiting.clone();
        let mut ready = self.ready();
        while let Some(at) = ready.pop() {
            for &after in &self.followers[at] {
                waiting[after] -= 1;
                if waiting[after] == 0 {
                    ready.push(after);
                }
            }
        }
        (0..self.tasks.len()).filter(|&at| waiting[at] > 0).collect()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::plan::Step;
    use serde_json::json;

    /// Each of the two was used by some generation of the other: the record does not tell by which.
    #[test]
    fn removals_never_wait_for_each_other_in_a_circle() {
        let (a, b, c) = ("urn:infra:s::p::t:T::a", "urn:infra:s::p::t:T::b", "urn:infra:s::p::t:T::c");
        let thing = |generation: u32, uses: &[&str]| json!({"id": format!("i{generation}"), "inputs": {}, "outputs": {}, "generation": generation, "dependencies": uses});
        let state: State = serde_json::from_value(json!({
            "version": 1, "program": "p", "stack": "s", "seed": "", "serial": 0,
            "resources": {a: {"deposed": [thing(0, &[b])]}, b: {"deposed": [thing(0, &[a])]}, c: {"current": thing(0, &[a])}},
        }))
        .unwrap();
        let delete = |urn: &str| Step { generation: Some(0), ..Step::new(urn.parse().unwrap(), Action::Delete) };
        let plan = Plan { steps: [a, b, c].map(delete).into(), ..Plan::default() };
        let tasks = TaskGraph::new(&plan, &ResourceGraph::default(), &state).unwrap();
        // What is not in the circle keeps its place.
        let ready: Vec<String> = tasks.ready().into_iter().map(|at| tasks.tasks[at].urn().name().to_owned()).collect();
        assert_eq!(ready, ["b", "c"]);
    }

    /// The old `a` was used by the old `b`; the new `a` uses the old `b`, which is to be deleted.
    #[test]
    fn generations_that_swapped_sides_can_still_go() {
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
        let plan = Plan { steps: vec![remove(a, 1), remove(a, 0), remove(b, 0)], ..Plan::default() };
        let mut tasks = TaskGraph::new(&plan, &ResourceGraph::default(), &state).unwrap();
        assert_eq!(tasks.ready(), [0]);
        assert_eq!(tasks.complete(0), [2]);
        assert_eq!(tasks.complete(2), [1]);
    }
}
