//! Records of runs, which the web console shows.

use crate::place::{Place, files};
use infra_records::{Outcome, RecordSummary, Run, Status, list};
use serde_json::Value as Json;
use std::{
    fs,
    io::{BufRead, BufReader},
    process::Stdio,
};

const SUCCESS: Status = Status::Finished { success: true, interrupted: false };
const FAILURE: Status = Status::Finished { success: false, interrupted: false };

fn records(place: &Place, program: &str) -> Vec<RecordSummary> {
    list(&place.infra(""), program, "dev")
}

fn commands(place: &Place, program: &str) -> Vec<String> {
    records(place, program).iter().map(|record| record.header.command.clone()).collect()
}

#[test]
fn every_command_that_plans_or_applies_is_recorded() {
    let place = &Place::new("shop");
    place.run_with(&["config", "set", "token", "--secret"], &[], "hunter2\n").succeeds();
    place.done(&["preview"]);
    assert!(records(place, "shop").is_empty(), "a preview alone is not recorded");
    place.done(&["up", "--yes"]);
    place.done(&["preview"]);
    place.done(&["refresh"]);
    place.done(&["up", "--yes", "-c", "serverSize=3"]);
    place.done(&["rollback", "1", "--preview"]);
    place.done(&["rollback", "1", "--yes"]);
    place.done(&["graph", "--plan"]);
    place.done(&["import", "cloud:Server", "imported", "server-2", "--region", "north"]);
    place.done(&["state", "unprotect", "imported"]);
    place.done(&["destroy", "--preview"]);
    place.done(&["destroy", "--yes"]);
    let expected =
        ["destroy", "preview", "import", "rollback", "preview", "up", "refresh", "preview", "up"].map(str::to_owned);
    assert_eq!(commands(place, "shop"), expected);
    for record in records(place, "shop") {
        assert_eq!((record.status, record.header.target.as_str()), (SUCCESS, "aws"), "{record:?}");
        let run = Run::read(&record.path).unwrap();
        assert_eq!((run.unreadable, run.failures.len()), (0, 0));
        let text = fs::read_to_string(&record.path).unwrap();
        let times: Vec<String> = text.lines().map(|line| line_of(line)["at"].as_str().unwrap().to_owned()).collect();
        assert!(times.is_sorted(), "{times:?}");
    }
    let up = Run::read(&records(place, "shop")[8].path).unwrap();
    assert!(up.steps.len() == 2 && up.steps.iter().all(|step| matches!(step.outcome, Outcome::Finished { .. })));
    assert_eq!((up.outputs["password"].as_str(), up.outputs["address"].as_str()), (Some("[secret]"), Some("10.0.0.1")));
    assert!(!files(&place.infra("runs")).contains("hunter2"));
}

fn line_of(text: &str) -> Json {
    serde_json::from_str(text).unwrap()
}

#[test]
fn generated_passwords_are_not_recorded() {
    let place = &Place::new("passwords");
    for length in ["length=20", "length=30"] {
        place.done(&["up", "--yes", "-c", length]);
        let password = place.done(&["output", "password", "--show-secrets"]);
        assert!(!files(&place.infra("runs")).contains(password.trim()));
    }
    assert_eq!(records(place, "passwords").len(), 2);
}

#[test]
fn record_of_a_killed_run_remains_without_its_end() {
    let place = &Place::new("passwords");
    let gate = place.path().join("gate");
    let mut command = place.command(&["--json", "up", "--yes", "-c", &format!("gate={}", gate.display())]);
    let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
    lines
        .find(|line| {
            line.as_ref()
                .unwrap()
                .contains(r#""step_started","urn":"urn:infra:dev::passwords::random:Password::gated""#)
        })
        .unwrap()
        .unwrap();
    let path = records(place, "passwords")[0].path.clone();
    let mut run = Run::read(&path).unwrap();
    while !run.steps.iter().any(|step| step.outcome == Outcome::Running) {
        run.update().unwrap();
        assert_eq!(run.status, Status::Running);
    }
    assert_eq!(run.header.pid, child.id());
    child.kill().unwrap();
    child.wait().unwrap();
    assert!(run.update().unwrap());
    assert_eq!((run.status, run.finished_ms), (Status::Killed, None));
    assert!(!fs::read_to_string(&path).unwrap().contains("run_finished"));
    fs::write(&gate, "").unwrap();
    place.done(&["up", "--yes"]);
    assert_eq!(
        records(place, "passwords").iter().map(|record| record.status).collect::<Vec<_>>(),
        [SUCCESS, Status::Killed]
    );
}

#[test]
fn refused_run_is_recorded_with_its_errors() {
    let place = &Place::new("demanding");
    place.run(&["up", "--yes"]).fails(2, &["first"]);
    let record = &records(place, "demanding")[0];
    let run = Run::read(&record.path).unwrap();
    assert_eq!((record.status, run.failures.len()), (FAILURE, 1));
    assert!(run.failures[0].summary.contains("first"), "{:?}", run.failures);
}

#[test]
fn old_records_are_deleted_at_the_start_of_a_run() {
    let place = &Place::new("passwords");
    place.done(&["up", "--yes"]);
    let first = records(place, "passwords")[0].path.clone();
    let text = fs::read(&first).unwrap();
    for number in 0..120 {
        fs::write(first.with_file_name(format!("20200101T000000.{number:03}Z-00000000.jsonl")), &text).unwrap();
    }
    place.done(&["up", "--yes"]);
    let kept = records(place, "passwords");
    assert!(kept.len() == 100 && kept[1].path == first, "{}", kept.len());
    assert_eq!(kept[99].id, "20200101T000000.022Z-00000000");
}

#[test]
fn run_succeeds_with_a_warning_if_it_cannot_be_recorded() {
    let place = &Place::new("passwords");
    fs::create_dir(place.infra("")).unwrap();
    fs::write(place.infra("runs"), "").unwrap();
    let up = place.run(&["up", "--yes"]).succeeds();
    let shown = up.out + &up.err;
    assert_eq!(shown.matches("the run cannot be recorded").count(), 1, "{shown}");
    assert_eq!(place.run(&["preview", "--expect-no-changes"]).code, Some(0));
}
