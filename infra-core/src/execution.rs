//! The execution graph of a plan: its tasks, the order between them, and the reason for each constraint.

use crate::{diagnostic::Diagnostic, diff::Action, urn::Urn};
use petgraph::{algo::kosaraju_scc, graph::DiGraph};
use serde::{Deserialize, Serialize};
use std::{collections::HashSet, fmt, time::Duration};

/// The tasks of a plan and the order between them, as a directed acyclic graph.
///
/// A graph whose edges name unknown tasks, or whose tasks wait for each other, cannot be deserialised.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Unchecked")]
pub struct ExecutionGraph {
    /// The tasks. Edges refer to them by index.
    pub tasks: Vec<Task>,
    /// The order, sorted.
    pub edges: Vec<Edge>,
}

/// An execution graph before validation.
#[derive(Deserialize)]
struct Unchecked {
    tasks: Vec<Task>,
    edges: Vec<Edge>,
}

/// An execution graph that cannot be executed.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ExecutionGraphError {
    /// An edge refers to a task that is not in the graph.
    #[error("its edge {edge} refers to task {task}, and it has {tasks} tasks")]
    UnknownTask {
        /// Index of the edge.
        edge: usize,
        /// Index of the missing task.
        task: usize,
        /// Number of tasks.
        tasks: usize,
    },
    /// Tasks wait for each other.
    #[error("some of its tasks wait for each other: {0}")]
    Cycle(String),
}

impl TryFrom<Unchecked> for ExecutionGraph {
    type Error = ExecutionGraphError;

    fn try_from(Unchecked { tasks, edges }: Unchecked) -> Result<Self, ExecutionGraphError> {
        for (edge, Edge { before, after, .. }) in edges.iter().enumerate() {
            for task in [before.task(), after.task()] {
                if task >= tasks.len() {
                    return Err(ExecutionGraphError::UnknownTask { edge, task, tasks: tasks.len() });
                }
            }
        }
        let is_acyclic = is_acyclic(tasks.len(), &edges);
        let graph = Self { tasks, edges };
        if is_acyclic {
            Ok(graph)
        } else {
            Err(ExecutionGraphError::Cycle(graph.deadlock().detail.unwrap_or_default()))
        }
    }
}

impl Point {
    /// Returns the index of the task.
    fn task(self) -> usize {
        match self {
            Self::Task(at) | Self::Settled(at) => at,
        }
    }
}

/// A unit of work of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "task", rename_all = "snake_case")]
pub enum Task {
    /// Reads a lookup, or creates or updates a resource. For a replacement, this is the creation of the new generation.
    Apply {
        /// The declaration.
        urn: Urn,
        /// The action of the step.
        action: Action,
    },
    /// Deletes one generation, or only removes it from the state.
    Remove {
        /// The declaration.
        urn: Urn,
        /// Number of the generation.
        generation: u32,
        /// [`Action::Delete`] or [`Action::Forget`].
        action: Action,
        /// `true` if the next generation is created after it. This includes generations whose deletion an earlier run
        /// started.
        #[serde(default, alias = "goes_first", skip_serializing_if = "std::ops::Not::not")]
        before_create: bool,
        /// `true` if it runs only when the set of the declaration turns out not to contain it.
        #[serde(default, alias = "perhaps", skip_serializing_if = "std::ops::Not::not")]
        if_absent: bool,
    },
}

/// A point in time that a task waits for or reaches.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Point {
    /// The end of the task with this index as an earlier point, its start as a later point.
    Task(usize),
    /// The task with this index has finished, and so have the tasks of all dependents.
    Settled(usize),
}

/// One constraint on the order: `after` waits for `before`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Edge {
    /// The earlier point.
    pub before: Point,
    /// The later point.
    pub after: Point,
    /// The cause of the constraint.
    pub reason: Reason,
}

/// The reason why one task waits for another.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Reason {
    /// The later task depends on the earlier one.
    Dependency,
    /// The previous generation is deleted before its replacement is created.
    DeleteBeforeCreate,
    /// The replacement is created before the previous generation is deleted.
    CreateBeforeDelete,
    /// A dependent is deleted, or updated to the replacement, before the generation that it uses is deleted.
    Dependent,
    /// The deletion of the earlier resource also deletes the later one.
    DeletedWith,
    /// The outputs of the earlier task decide if the later one is needed.
    Decision,
    /// A previous generation is kept until its replacement and all dependents of the replacement have been applied, so
    /// that it still exists if one of them fails.
    Settled,
}

impl Task {
    /// Returns the URN of the declaration.
    pub fn urn(&self) -> &Urn {
        match self {
            Self::Apply { urn, .. } | Self::Remove { urn, .. } => urn,
        }
    }

    /// Returns the action.
    pub fn action(&self) -> Action {
        match self {
            Self::Apply { action, .. } | Self::Remove { action, .. } => *action,
        }
    }

    /// Returns `true` if the task removes a generation before the next one is created.
    pub(crate) fn is_before_create(&self) -> bool {
        matches!(self, Self::Remove { before_create: true, .. })
    }
}

impl fmt::Display for Task {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.action(), self.urn().short())
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Dependency => "depends on it",
            Self::DeleteBeforeCreate => "created after the previous generation is deleted",
            Self::CreateBeforeDelete => "deleted after its replacement is created",
            Self::Dependent => "used by it until then",
            Self::DeletedWith => "deleted together with it",
            Self::Decision => "needed only if its outputs change",
            Self::Settled => "kept until all dependents are applied",
        })
    }
}

impl ExecutionGraph {
    /// Groups the tasks by the number of tasks that must precede them. The tasks of a level can run concurrently once
    /// the previous level has finished. Returns `None` for a cycle, which no plan contains.
    pub fn levels(&self) -> Option<Vec<Vec<usize>>> {
        let depth = self.longest(|_| 1)?;
        let mut levels: Vec<Vec<usize>> = Vec::new();
        for (at, (end, _)) in depth.into_iter().take(self.tasks.len()).enumerate() {
            let level = end as usize - 1;
            if levels.len() <= level {
                levels.resize(level + 1, Vec::new());
            }
            levels[level].push(at);
        }
        Some(levels)
    }

    /// Returns the chain of tasks that takes longest if nothing else limits the run, and its duration.
    pub fn critical_path(&self, duration: impl Fn(&Task) -> Duration) -> (Vec<usize>, Duration) {
        let nanos = |at: usize| duration(&self.tasks[at]).as_nanos();
        let longest = self.longest(nanos).unwrap_or_default();
        let last = (0..self.tasks.len()).max_by_key(|&at| longest.get(at).map_or(0, |(end, _)| *end));
        let Some(last) = last else {
            return (Vec::new(), Duration::ZERO);
        };
        let total = longest.get(last).map_or(0, |(end, _)| *end);
        let chain = std::iter::successors(Some(last), |&at| longest.get(at)?.1);
        let mut path: Vec<usize> = chain.filter(|&at| at < self.tasks.len()).collect();
        path.reverse();
        (path, Duration::from_nanos(u64::try_from(total).unwrap_or(u64::MAX)))
    }

    /// Returns the end of the longest chain up to each point and the previous point of that chain; `None` for a cycle.
    fn longest(&self, weight: impl Fn(usize) -> u128) -> Option<Vec<(u128, Option<usize>)>> {
        let weight = |point: usize| if point < self.tasks.len() { weight(point) } else { 0 };
        let Adjacency { mut waiting, followers } = self.adjacency();
        let mut ends: Vec<(u128, Option<usize>)> = vec![(0, None); waiting.len()];
        let mut ready: Vec<usize> = (0..waiting.len()).filter(|&at| waiting[at] == 0).collect();
        let mut visited = 0;
        while let Some(at) = ready.pop() {
            visited += 1;
            ends[at].0 += weight(at);
            for &after in &followers[at] {
                if ends[after].1.is_none() || ends[at].0 > ends[after].0 {
                    ends[after] = (ends[at].0, Some(at));
                }
                waiting[after] -= 1;
                if waiting[after] == 0 {
                    ready.push(after);
                }
            }
        }
        (visited == ends.len()).then_some(ends)
    }

    /// Returns the edges as a table.
    pub(crate) fn adjacency(&self) -> Adjacency {
        Adjacency::of(self.tasks.len(), &self.edges)
    }

    /// Returns the error for tasks that wait for each other: each cycle with the reasons of its edges.
    pub(crate) fn deadlock(&self) -> Diagnostic {
        let graph = DiGraph::<(), (), usize>::from_edges(self.edges.iter().map(|edge| edge.indices(self.tasks.len())));
        let mut lines = Vec::new();
        for cycle in kosaraju_scc(&graph).into_iter().filter(|cycle| cycle.len() > 1) {
            let members: HashSet<usize> = cycle.iter().map(|at| at.index()).collect();
            let inner = self.edges.iter().filter(|edge| {
                let (before, after) = edge.indices(self.tasks.len());
                members.contains(&before) && members.contains(&after)
            });
            for edge in inner {
                if let (Point::Task(before), Point::Task(after)) = (edge.before, edge.after) {
                    let (before, after, reason) = (&self.tasks[before], &self.tasks[after], edge.reason);
                    lines.push(format!("`{after}` waits for `{before}`: {reason}"));
                }
            }
        }
        Diagnostic::error("these steps of the plan wait for each other")
            .because(lines.join("\n"))
            .hint("make the change in two runs: first remove what is to go, then add what is new")
    }
}

impl Edge {
    /// Returns the indices of the two points in tables: tasks come first.
    fn indices(&self, tasks: usize) -> (usize, usize) {
        let index = |point| match point {
            Point::Task(at) => at,
            Point::Settled(at) => tasks + at,
        };
        (index(self.before), index(self.after))
    }
}

/// The points of an execution graph as a table. Tasks keep their indices, and the indices of [`Point::Settled`] follow.
#[derive(Debug)]
pub(crate) struct Adjacency {
    /// For each point, the number of points that it waits for.
    pub(crate) waiting: Vec<usize>,
    /// For each point, the points that wait for it.
    pub(crate) followers: Vec<Vec<usize>>,
}

impl Adjacency {
    fn of(tasks: usize, edges: &[Edge]) -> Self {
        let points = 2 * tasks;
        let (mut waiting, mut followers) = (vec![0; points], vec![Vec::new(); points]);
        for edge in edges {
            let (before, after) = edge.indices(tasks);
            followers[before].push(after);
            waiting[after] += 1;
        }
        Self { waiting, followers }
    }
}

/// Returns `true` if these edges between the points of `tasks` tasks contain no cycle.
pub(crate) fn is_acyclic(tasks: usize, edges: &[Edge]) -> bool {
    let Adjacency { mut waiting, followers } = Adjacency::of(tasks, edges);
    let mut ready: Vec<usize> = (0..waiting.len()).filter(|&at| waiting[at] == 0).collect();
    let mut visited = 0;
    while let Some(at) = ready.pop() {
        visited += 1;
        for &after in &followers[at] {
            waiting[after] -= 1;
            if waiting[after] == 0 {
                ready.push(after);
            }
        }
    }
    visited == waiting.len()
}
