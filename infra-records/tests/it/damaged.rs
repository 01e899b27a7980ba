//! Records that cannot be written, and records that are damaged or from a later version.

use crate::common::{Place, steps};
use infra_records::{Run, Status, list};
use std::{fs, io::Write};

#[tokio::test]
async fn run_succeeds_with_one_warning_if_it_cannot_be_recorded() {
    let place = Place::new();
    fs::write(place.path().join("runs"), "a file instead of a directory").unwrap();
    let report = place.record(place.engine.up(&place.program("a"))).await.unwrap();
    assert!(report.is_success());
    let warnings = place.warnings.lock().unwrap();
    assert_eq!(warnings.len(), 1, "{warnings:?}");
    assert!(warnings[0].summary.starts_with("the run cannot be recorded: "));
    assert!(warnings[0].subject.as_ref().unwrap().contains("/runs/web/dev/") && warnings[0].hint.is_some());
    assert!(list(place.path(), "web", "dev").is_empty());
}

#[tokio::test]
async fn unknown_events_and_a_torn_last_line_are_ignored() {
    let place = Place::new();
    let path = place.up(&place.program("a")).await.path().to_owned();
    let complete = fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = complete.lines().collect();
    let finished = lines.iter().position(|line| line.contains("step_finished")).unwrap();
    let mut file = fs::File::create(&path).unwrap();
    for line in &lines[..=finished] {
        writeln!(file, "{line}").unwrap();
        writeln!(file, r#"{{"at":"2026-11-30T10:15:12.123Z","event":"of_a_later_version","urn":7}}"#).unwrap();
    }
    let torn = &lines[finished + 1][..lines[finished + 1].len() / 2];
    write!(file, "{torn}").unwrap();
    drop(file);
    let run = Run::read(&path).unwrap();
    assert_eq!((run.status, run.unreadable), (Status::Killed, 0));
    assert_eq!(steps(&run)[0], "create net: finished net-1");
    assert_eq!(list(place.path(), "web", "dev")[0].status, Status::Killed);
}

#[tokio::test]
async fn damaged_lines_are_counted_and_a_damaged_header_is_an_error() {
    let place = Place::new();
    let path = place.up(&place.program("a")).await.path().to_owned();
    let complete = fs::read(&path).unwrap();
    let first = complete.iter().position(|&byte| byte == b'\n').unwrap() + 1;
    let damaged = [&complete[..first], b"\xff\xfe\n{\"at\": 1}\n\n", &complete[first..]].concat();
    fs::write(&path, damaged).unwrap();
    let run = Run::read(&path).unwrap();
    assert_eq!((run.unreadable, run.steps.len()), (3, 3));

    fs::write(&path, &complete[first..]).unwrap();
    let error = Run::read(&path).unwrap_err().to_string();
    assert!(error.contains("its first line is damaged") && error.contains("jsonl"), "{error}");
    assert!(list(place.path(), "web", "dev").is_empty());
}
