//! The progress of a run through the execution graph of its plan.

use crate::execution::{Adjacency, ExecutionGraph, Task};

/// The tasks of a plan, and which of them can begin.
#[derive(Debug)]
pub(super) struct Schedule<'p> {
    graph: &'p ExecutionGraph,
    adjacency: Adjacency,
    started: Vec<bool>,
}

impl<'p> Schedule<'p> {
    pub(super) fn new(graph: &'p ExecutionGraph) -> Self {
        Self { graph, adjacency: graph.adjacency(), started: vec![false; graph.tasks.len()] }
    }

    pub(super) fn task(&self, at: usize) -> &'p Task {
        &self.graph.tasks[at]
    }

    /// Returns the tasks that wait for nothing.
    pub(super) fn ready(&self) -> Vec<usize> {
        (0..self.graph.tasks.len()).filter(|&at| self.adjacency.waiting[at] == 0).collect()
    }

    /// Marks a task as started.
    pub(super) fn begin(&mut self, at: usize) {
        self.started[at] = true;
    }

    /// Marks a task as done and returns the tasks that waited only for it.
    pub(super) fn complete(&mut self, at: usize) -> Vec<usize> {
        let Adjacency { waiting, followers } = &mut self.adjacency;
        let mut ready = Vec::new();
        let mut done = vec![at];
        while let Some(at) = done.pop() {
            for after in std::mem::take(&mut followers[at]) {
                waiting[after] -= 1;
                if waiting[after] == 0 {
                    let next = if after < self.graph.tasks.len() { &mut ready } else { &mut done };
                    next.push(after);
                }
            }
        }
        ready
    }

    /// Returns the tasks that were not started.
    pub(super) fn not_started(&self) -> impl Iterator<Item = &'p Task> + '_ {
        let graph = self.graph;
        (0..graph.tasks.len()).filter(|&at| !self.started[at]).map(|at| &graph.tasks[at])
    }
}
