//! Records of finished runs.

use crate::common::{Place, steps};
use infra_core::{Config, Result, Stack, diff::Action, random::Password, testing::Fault};
use infra_records::{Status, critical_path, find, list, stacks};
use insta::assert_snapshot;
use serde_json::Value as Json;
use std::fs;

const SUCCESS: Status = Status::Finished { success: true, interrupted: false };
const FAILURE: Status = Status::Finished { success: false, interrupted: false };

#[tokio::test]
async fn up_is_recorded_from_its_start_to_its_end() {
    let place = Place::new();
    let run = place.up(&place.program("a")).await;
    assert_eq!((run.status, run.header.command.as_str(), run.unreadable), (SUCCESS, "up", 0));
    assert_eq!(
        (run.header.program.as_str(), run.header.stack.as_str(), run.header.target.as_str()),
        ("web", "dev", "local")
    );
    assert!(run.header.by.contains('@') && run.header.pid == std::process::id());
    assert_snapshot!(steps(&run).join("\n"), @r"
    create net: finished net-1
    create host: finished host-2
    create disk: finished disk-3
    ");
    assert_eq!((run.planned[&Action::Create], run.counts[&Action::Create]), (3, 3));
    assert_eq!(run.outputs["host"], "host-2");
    assert!(run.planned_ms <= run.finished_ms && run.elapsed_ms <= run.finished_ms);
    let net = &run.steps[critical_path(&run)[0]];
    assert_eq!(net.urn.name(), "net");
    assert!(net.diff.iter().any(|change| change.path == "place" && change.new == "a"), "{:?}", net.diff);
    assert_eq!(critical_path(&run).len(), 3);

    let text = fs::read_to_string(run.path()).unwrap();
    let lines: Vec<Json> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let name = |line: &Json| line["event"].as_str().unwrap().to_owned();
    assert_eq!((name(&lines[0]), name(&lines[1])), ("run_recorded".into(), "run_started".into()));
    assert_eq!(
        (name(&lines[lines.len() - 2]), name(&lines[lines.len() - 1])),
        ("run_finished".into(), "run_closed".into())
    );
    let times: Vec<&str> = lines.iter().map(|line| line["at"].as_str().unwrap()).collect();
    assert!(times.is_sorted() && times.iter().all(|at| at.len() == "2026-11-30T10:15:12.123Z".len()), "{times:?}");
}

#[tokio::test]
async fn failed_step_has_its_error_and_later_ones_are_skipped() {
    let place = Place::new();
    place.cloud.faults(|request| (request.urn.name() == "host").then_some(Fault::Before));
    let run = place.up(&place.program("a")).await;
    assert_eq!(run.status, FAILURE);
    let steps = steps(&run);
    assert!(steps[1].starts_with("create host: failed: "), "{steps:?}");
    assert_eq!((steps[0].as_str(), steps[2].as_str()), ("create net: finished net-1", "create disk: skipped"));
    assert_eq!((run.failures.len(), run.counts[&Action::Create]), (1, 1));
}

#[tokio::test]
async fn replacement_and_the_deletion_of_the_previous_generation_are_two_steps() {
    let place = Place::new();
    place.up(&place.program("a")).await;
    let run = place.up(&place.program("b")).await;
    let steps = steps(&run);
    assert_eq!(steps[0], "replace net: finished net-4");
    assert!(steps.contains(&"delete net: finished -".to_owned()), "{steps:?}");
    let replaced = run.steps.iter().find(|step| step.action == Action::Replace).unwrap();
    assert!(replaced.diff.iter().any(|change| change.replaces && change.old == "a" && change.new == "b"));
    let path: Vec<_> = critical_path(&run).into_iter().map(|at| run.steps[at].action).collect();
    assert_eq!((path[0], path[path.len() - 1]), (Action::Replace, Action::Delete));
}

#[tokio::test]
async fn refused_run_is_recorded_with_the_reasons() {
    let place = Place::new();
    let run = place
        .up(&|stack: &Stack, _: &Config| -> Result {
            stack.add("twice", Password::of_length(20));
            stack.add("twice", Password::of_length(20));
            Ok(())
        })
        .await;
    assert_eq!((run.status, run.steps.len()), (FAILURE, 0));
    assert!(run.failures[0].summary.contains("declared twice"), "{:?}", run.failures);
}

#[tokio::test]
async fn rejected_plan_interrupts_the_run() {
    let place = Place::new();
    place.record(place.engine.up(&place.program("a")).approve(|_| false)).await.unwrap();
    let run = place.newest();
    assert_eq!(run.status, Status::Finished { success: false, interrupted: true });
    assert_eq!(list(place.path(), "web", "dev")[0].status, run.status);
    assert!(steps(&run).iter().all(|step| step.ends_with(": waiting")));
}

#[tokio::test]
async fn preview_is_recorded_beside_other_records_only() {
    let place = Place::new();
    place.record(place.engine.preview(&place.program("a"))).await.unwrap();
    assert!(fs::read_dir(place.path()).unwrap().next().is_none());
    place.up(&place.program("a")).await;
    place.record(place.engine.preview(&place.program("b"))).await.unwrap();
    let run = place.newest();
    assert_eq!((run.header.command.as_str(), run.status), ("preview", SUCCESS));
    assert_eq!(run.planned[&Action::Replace], 1);
    let summary = &list(place.path(), "web", "dev")[0];
    assert_eq!((summary.planned[&Action::Replace], summary.counts.len()), (1, 0));
}

#[tokio::test]
async fn secrets_are_not_recorded() {
    let place = Place::new();
    let program = |stack: &Stack, config: &Config| -> Result {
        let password = stack.add("password", Password::of_length(config.get_or("length", 20_u32)?));
        stack.export("password", password.value);
        stack.export("token", config.secret("token")?.unwrap());
        Ok(())
    };
    for length in ["20", "30"] {
        let config = [("token", infra_core::config::ConfigValue::secret("hunter2")), ("length", length.into())];
        let engine = place.engine.clone().config(config);
        place.record(engine.up(&program)).await.unwrap();
        let outputs = place.engine.outputs().await.unwrap();
        let password = outputs["password"].as_str().unwrap();
        let run = place.newest();
        let text = fs::read_to_string(run.path()).unwrap();
        assert!(run.status == SUCCESS && !text.contains(password) && !text.contains("hunter2"), "{text}");
        assert_eq!(run.outputs["token"], "[secret]");
    }
}

#[tokio::test]
async fn records_are_listed_and_found_by_their_ids() {
    let place = Place::new();
    for target in ["a", "a", "b"] {
        place.up(&place.program(target)).await;
    }
    let records = list(place.path(), "web", "dev");
    assert!(records.len() == 3 && records.is_sorted_by(|one, other| one.header.at >= other.header.at));
    assert_eq!(records[0].counts[&Action::Replace], 1);
    assert_eq!(stacks(place.path()), [("web".to_owned(), "dev".to_owned())]);
    assert_eq!(find(place.path(), "web", "dev", &records[1].id).as_ref(), Some(&records[1].path));
    let id = &records[1].id;
    for (program, stack, id) in [
        ("web", "test", id.as_str()),
        ("..", "dev", id),
        ("web", "../dev", id),
        ("web", "dev", "../x"),
        ("web", "dev", ""),
    ] {
        assert_eq!(find(place.path(), program, stack, id), None, "{program} {stack} {id}");
    }
}
