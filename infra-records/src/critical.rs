//! The steps that determined the duration of a run.

use crate::run::Run;
use infra_core::execution::{Edge, Point};

/// Returns the indices of the steps that determined the duration of a run, in the order of their execution: the step that
/// finished last, the last one of those that it waited for, and so on. Steps that were not executed are omitted. The steps
/// of a run in progress end at its last event.
///
/// A gap between two of these steps has another cause than the order of the plan, such as the limit of concurrent steps.
pub fn critical_path(run: &Run) -> Vec<usize> {
    let tasks = run.execution.tasks.len();
    let index = |point: Point| match point {
        Point::Task(at) => at,
        Point::Settled(at) => tasks + at,
    };
    let (mut before, mut waiting, mut after) =
        (vec![Vec::new(); 2 * tasks], vec![0; 2 * tasks], vec![Vec::new(); 2 * tasks]);
    for &Edge { before: earlier, after: later, .. } in &run.execution.edges {
        let (earlier, later) = (index(earlier), index(later));
        before[later].push(earlier);
        after[earlier].push(later);
        waiting[later] += 1;
    }
    // The end of each point, the length of the chain up to it, and the last step of the chain. Of chains that end in the same
    // millisecond, the longest one is chosen.
    let mut ends: Vec<(u64, usize, Option<usize>)> = vec![(0, 0, None); 2 * tasks];
    let mut previous: Vec<Option<usize>> = vec![None; tasks];
    let mut ready: Vec<usize> = (0..2 * tasks).filter(|&at| waiting[at] == 0).collect();
    while let Some(at) = ready.pop() {
        ends[at] = before[at].iter().map(|&earlier| ends[earlier]).max().unwrap_or_default();
        let executed = run
            .steps
            .get(at)
            .filter(|_| at < tasks)
            .and_then(|step| step.started_ms.map(|started| step.finished_ms.unwrap_or(run.last_ms).max(started)));
        if let Some(end) = executed {
            let (_, length, last) = ends[at];
            previous[at] = last;
            ends[at] = (end, length + 1, Some(at));
        }
        for &later in &after[at] {
            waiting[later] -= 1;
            if waiting[later] == 0 {
                ready.push(later);
            }
        }
    }
    let last = ends.iter().max().and_then(|(_, _, step)| *step);
    let mut path: Vec<usize> = std::iter::successors(last, |&at| previous[at]).collect();
    path.reverse();
    path
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::{
        Urn,
        diff::Action,
        execution::{ExecutionGraph, Reason, Task},
    };
    use serde_json::json;

    /// Returns the names on the critical path of a run with these tasks, each with its start and end, and these edges.
    fn path(tasks: &[(&str, Option<(u64, u64)>)], edges: &[(Point, Point)]) -> Vec<String> {
        let urn = |name: &str| Urn::new("dev", "web", "aws:demo:Thing", name).unwrap();
        let of = |(name, _): &(&str, _)| Task::Apply { urn: urn(name), action: Action::Create };
        let edge = |&(before, after): &(Point, Point)| Edge { before, after, reason: Reason::Dependency };
        let (tasks_of, edges) = (tasks.iter().map(of).collect(), edges.iter().map(edge).collect());
        let execution = ExecutionGraph { tasks: tasks_of, edges };
        let at = |ms: u64| format!("2026-11-30T10:15:{:02}.{:03}Z", ms / 1000, ms % 1000);
        let mut lines = vec![
            json!({"event": "run_recorded", "at": at(0), "command": "up", "program": "web", "stack": "dev", "target": "local", "by": "b", "pid": 1}),
            json!({"event": "planned", "at": at(0), "execution": execution}),
        ];
        for (name, times) in tasks {
            let Some((start, end)) = times else { continue };
            lines.push(json!({"event": "step_started", "at": at(*start), "urn": urn(name), "action": "create"}));
            lines.push(json!({"event": "step_finished", "at": at(*end), "urn": urn(name), "action": "create"}));
        }
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("record");
        let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
        std::fs::write(&file, lines.join("\n") + "\n").unwrap();
        let run = Run::read(&file).unwrap();
        assert_eq!(run.unreadable, 0);
        critical_path(&run).into_iter().map(|at| run.steps[at].urn.name().to_owned()).collect()
    }

    #[test]
    fn critical_path_is_the_chain_of_the_steps_that_were_waited_for() {
        use Point::Task;
        let tasks = [("a", Some((0, 100))), ("b", Some((100, 300))), ("c", Some((0, 250))), ("d", Some((300, 400)))];
        let edges = [(Task(0), Task(1)), (Task(1), Task(3)), (Task(2), Task(3))];
        assert_eq!(path(&tasks, &edges), ["a", "b", "d"]);
        let slower = [tasks[0], tasks[1], ("c", Some((0, 350))), ("d", Some((350, 400)))];
        assert_eq!(path(&slower, &edges), ["c", "d"]);
        assert_eq!(path(&[], &[]), [""; 0]);
    }

    #[test]
    fn settled_points_and_tasks_without_work_connect_steps() {
        use Point::{Settled, Task};
        let tasks = [("a", Some((0, 100))), ("b", Some((100, 300))), ("unneeded", None), ("delete", Some((300, 310)))];
        let edges = [
            (Task(0), Task(1)),
            (Task(0), Settled(0)),
            (Task(1), Settled(0)),
            (Settled(0), Task(2)),
            (Task(2), Task(3)),
        ];
        assert_eq!(path(&tasks, &edges), ["a", "b", "delete"]);
    }
}
