//! The execution graph of a plan as text: levels of tasks that can run at the same time, and the critical path.

use super::style;
use console::truncate_str;
use infra_core::{
    execute::Durations,
    execution::{ExecutionGraph, Task},
};
use std::time::Duration;

/// Returns the timeline of a plan, with lines of this width.
///
/// Tasks without an expected duration count as instantaneous, so the critical path is the longest chain of known durations
/// or, when none is known, the longest chain of tasks.
pub(crate) fn timeline(execution: &ExecutionGraph, expected: &Durations, width: Option<usize>) -> String {
    let levels = execution.levels().unwrap_or_default();
    if levels.is_empty() {
        return "timeline: nothing to do\n".to_owned();
    }
    let known = |task: &Task| expected.of(task.urn(), task.action());
    let is_known = execution.tasks.iter().any(|task| known(task).is_some());
    let (path, total) = execution.critical_path(|task| match known(task) {
        Some(duration) => duration,
        None if is_known => Duration::ZERO,
        None => Duration::from_secs(1),
    });
    let mut rows = Vec::new();
    for (number, level) in levels.iter().enumerate() {
        for (position, &at) in level.iter().enumerate() {
            let task = &execution.tasks[at];
            let level = if position == 0 { (number + 1).to_string() } else { String::new() };
            let mark = if path.contains(&at) { "*" } else { "" };
            let took = known(task).map(|duration| format!("~ {}", style::duration(milliseconds(duration))));
            let action = format!("{} {}", style::sign(task.action()), task.urn().short());
            rows.push([level, mark.to_owned(), took.unwrap_or_default(), action]);
        }
    }
    let table = style::table(["LEVEL", "", "EXPECTED", "TASK"], rows.into_iter());
    let cut = |line: &str| width.map_or(line.to_owned(), |width| truncate_str(line, width, "…").into_owned());
    let table: Vec<String> = table.lines().map(cut).collect();
    let sum = if is_known { format!(", ~ {}", style::duration(milliseconds(total))) } else { String::new() };
    format!("{}\n\n* critical path: {} of {} tasks{sum}\n", table.join("\n"), path.len(), execution.tasks.len())
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::{
        diff::Action,
        execution::{Edge, Point, Reason},
    };

    #[test]
    fn levels_durations_and_the_critical_path_are_shown() {
        let apply = |name: &str| Task::Apply {
            urn: format!("urn:infra:dev::web::aws:ec2:{name}").parse().unwrap(),
            action: Action::Create,
        };
        let edge =
            |before, after| Edge { before: Point::Task(before), after: Point::Task(after), reason: Reason::Dependency };
        let execution = ExecutionGraph {
            tasks: ["Vpc::net", "KeyPair::key", "Subnet::net-with-a-name-that-is-far-too-long"].map(apply).into(),
            edges: vec![edge(0, 2)],
        };
        let known = serde_json::json!({"aws:ec2:Vpc": {"create": {"count": 2, "mean_ms": 1250.0}}});
        let shown = |execution: &ExecutionGraph, durations| {
            console::strip_ansi_codes(&timeline(execution, &durations, Some(50))).into_owned()
        };
        insta::assert_snapshot!(shown(&execution, serde_json::from_value(known).unwrap()), @"
        LEVEL     EXPECTED  TASK
        1      *  ~ 1.2 s   + Vpc net
                            + KeyPair key
        2      *            + Subnet net-with-a-name-that…

        * critical path: 2 of 3 tasks, ~ 1.2 s
        ");
        let unknown = shown(&execution, Durations::default());
        assert_eq!(unknown.lines().last().unwrap(), "* critical path: 2 of 3 tasks");
        assert_eq!(shown(&ExecutionGraph::default(), Durations::default()), "timeline: nothing to do\n");
    }
}
