//! Records of runs in progress.

use crate::common::{Place, steps};
use infra_core::{Urn, diff::Action, event::Event};
use infra_records::{Outcome, Run, Status, follow, list};
use std::{
    thread,
    time::{Duration, Instant},
};

/// Waits until a run satisfies a condition.
fn until(run: &mut Run, condition: impl Fn(&Run) -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !condition(run) {
        assert!(Instant::now() < deadline, "{run:?}");
        run.update().unwrap();
        thread::yield_now();
    }
}

fn started(command: &str) -> Event {
    Event::RunStarted { version: 1, command: command.into(), program: "web".into(), stack: "dev".into() }
}

fn urn(name: &str) -> Urn {
    Urn::new("dev", "web", "aws:demo:Thing", name).unwrap()
}

#[test]
fn run_is_followed_while_it_runs() {
    let place = Place::new();
    let recorder = place.recorder();
    let events = recorder.events(|_| {});
    events.send(started("up"));
    let mut run = place.newest();
    until(&mut run, |run| run.status == Status::Running && run.path().exists());
    assert_eq!(list(place.path(), "web", "dev")[0].status, Status::Running);

    events.send(Event::StepStarted { urn: urn("net"), action: Action::Create });
    until(&mut run, |run| run.steps.len() == 1);
    assert_eq!(run.steps[0].outcome, Outcome::Running);
    let lines = follow(run.path(), 0).unwrap();
    assert_eq!(lines.lines.len(), 3);

    events.send(Event::StepStatus { urn: urn("net"), message: "waiting for a route".into() });
    events.send(Event::StepFinished {
        urn: urn("net"),
        action: Action::Create,
        id: Some("net-1".into()),
        elapsed_ms: 3,
    });
    until(&mut run, |run| run.steps[0].finished_ms.is_some());
    assert_eq!(run.steps[0].progress[0].message, "waiting for a route");
    let rest = follow(run.path(), lines.offset).unwrap();
    assert!(rest.lines.len() == 2 && rest.lines[1].contains("step_finished"), "{rest:?}");
    assert_eq!(follow(run.path(), rest.offset).unwrap().lines.len(), 0);

    recorder.close(Ok(()));
    assert!(run.update().unwrap() && run.status == Status::Finished { success: true, interrupted: false });
    assert!(!run.update().unwrap());
}

#[test]
fn run_of_a_terminated_process_was_killed() {
    let place = Place::new();
    let recorder = place.recorder();
    let events = recorder.events(|_| {});
    events.send(started("up"));
    events.send(Event::StepStarted { urn: urn("net"), action: Action::Create });
    // The file is closed, as when the process terminates.
    drop((recorder, events));
    let mut run = place.newest();
    until(&mut run, |run| run.status == Status::Killed);
    assert_eq!(steps(&run), ["create net: running"]);
    let summary = &list(place.path(), "web", "dev")[0];
    assert_eq!((summary.status, summary.finished), (Status::Killed, None));
}

#[test]
fn commands_at_the_same_time_have_their_own_records() {
    let place = Place::new();
    let recorders: Vec<_> = (0..8).map(|_| place.recorder()).collect();
    thread::scope(|scope| {
        for recorder in &recorders {
            scope.spawn(|| {
                recorder.events(|_| {}).send(started("up"));
                recorder.close(Ok(()));
            });
        }
    });
    let records = list(place.path(), "web", "dev");
    assert!(records.len() == 8 && records.iter().all(|record| matches!(record.status, Status::Finished { .. })));
}
