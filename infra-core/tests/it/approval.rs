//! The approval of plans: the questions and their order, and the absence of changes after a rejected or failed plan.

use crate::common::{Lifecycle, placed, sized};
use infra_core::{
    Config, Result, Stack,
    diff::Action,
    engine::{EngineError, Run},
    event::{Event, Events},
    store::{ConfigChange, StackConfig},
};
use insta::assert_snapshot;
use std::{
    sync::{Arc, Mutex},
    thread,
    time::Duration,
};

fn program(stack: &Stack, config: &Config) -> Result {
    let thing = stack.add("thing", sized(config.get_or("size", 1_u32)?));
    stack.add("place", placed(&config.get_or("place", "a")?));
    stack.relaunchable("engine", &thing.id, "another thing");
    if config.get_or("invalid", false)? {
        stack.add("thing", sized(2));
    }
    Ok(())
}

/// Returns a run with answers to its questions, and a log of plans and questions in their order.
fn asked<T>(run: Run<'_, T>, relaunch: bool, approve: bool) -> (Run<'_, T>, Arc<Mutex<Vec<String>>>) {
    let log: Arc<Mutex<Vec<String>>> = Arc::default();
    let (shown, offered, confirmed) = (log.clone(), log.clone(), log.clone());
    let events = Events::to(move |event| match event {
        Event::StepPlanned { urn, action, .. } => {
            shown.lock().unwrap().push(format!("planned: {action} {}", urn.name()))
        }
        Event::StepFinished { urn, action, .. } => shown.lock().unwrap().push(format!("{action} {}", urn.name())),
        _ => {}
    });
    let run = run.events(events).relaunch(move |thing| {
        offered.lock().unwrap().push(format!("relaunch {}?", thing.name));
        relaunch
    });
    let run = run.approve(move |plan| {
        confirmed.lock().unwrap().push(format!("destructive: {}?", plan.is_destructive()));
        approve
    });
    (run, log)
}

fn text(log: &Mutex<Vec<String>>) -> String {
    log.lock().unwrap().join("\n")
}

#[tokio::test]
async fn relaunches_are_offered_after_the_plan_and_planned_separately() {
    let life = Lifecycle::new();
    life.apply(&program).await;
    let wrapped = life.wrap(&program);
    let engine = life.engine().config([("place", "b")]);
    let (run, log) = asked(engine.up(&wrapped), false, true);
    let report = run.await.unwrap();
    assert_eq!(report.counts, [(Action::Same, 1), (Action::Replace, 1), (Action::Delete, 1)].into());
    assert_snapshot!(text(&log), @"
    planned: replace place
    relaunch engine?
    destructive: true?
    replace place
    delete place
    ");
    // The offer is made even without changes.
    let (run, log) = asked(engine.up(&wrapped), true, false);
    let report = run.await.unwrap();
    assert!(report.interrupted && report.counts.is_empty());
    assert_snapshot!(text(&log), @"
    relaunch engine?
    planned: replace thing
    destructive: true?
    ");
}

#[tokio::test]
async fn planned_replacement_is_not_offered_as_relaunch() {
    let life = Lifecycle::new();
    let replaced = |stack: &Stack, config: &Config| -> Result {
        let place = stack.add("place", placed(&config.get_or("place", "a")?));
        stack.relaunchable("place", &place.id, "another place");
        Ok(())
    };
    life.apply(&replaced).await;
    let (engine, replaced) = (life.engine().config([("place", "b")]), life.wrap(&replaced));
    let (run, log) = asked(engine.up(&replaced), true, true);
    run.await.unwrap();
    assert_snapshot!(text(&log), @"
    planned: replace place
    destructive: true?
    replace place
    delete place
    ");
}

#[tokio::test]
async fn creations_and_updates_in_place_are_not_destructive() {
    let life = Lifecycle::new();
    let wrapped = life.wrap(&program);
    assert!(!life.engine().preview(&wrapped).await.unwrap().is_destructive());
    life.apply(&program).await;
    let engine = life.engine();
    assert!(!engine.clone().config([("size", "2")]).preview(&wrapped).await.unwrap().is_destructive());
    assert!(engine.clone().config([("place", "b")]).preview(&wrapped).await.unwrap().is_destructive());
    assert!(engine.preview_destroy(&wrapped).await.unwrap().is_destructive());
}

#[tokio::test]
async fn time_of_questions_is_excluded_from_the_duration() {
    const ANSWER: Duration = Duration::from_millis(1500);
    let life = Lifecycle::new();
    let elapsed = Arc::new(Mutex::new(0));
    let measured = elapsed.clone();
    let events = Events::to(move |event| {
        if let Event::RunFinished { elapsed_ms, .. } = event {
            *measured.lock().unwrap() = elapsed_ms;
        }
    });
    let (engine, wrapped) = (life.engine(), life.wrap(&program));
    let run = engine.up(&wrapped).events(events).approve(|_| {
        thread::sleep(ANSWER);
        true
    });
    let started = std::time::Instant::now();
    run.await.unwrap();
    let whole = started.elapsed().as_millis() as u64;
    let recorded = engine.history().await.unwrap()[0].duration_ms;
    for counted in [*elapsed.lock().unwrap(), recorded] {
        assert!(counted + ANSWER.as_millis() as u64 <= whole, "{counted} ms of {whole} ms");
    }
}

#[tokio::test]
async fn documents_are_stored_only_after_the_approval() {
    let life = Lifecycle::new();
    let wrapped = life.wrap(&program);
    let run = |key: &'static str| {
        let store = life.store.clone();
        life.engine().config([(key, "true")]).up(&wrapped).on_approval(move || {
            let store = store.clone();
            async move {
                let change = ConfigChange::Set(key.to_owned(), "true".into());
                StackConfig::change(&store, "program", "dev", &[change]).await.map(drop)
            }
        })
    };
    run("invalid").await.unwrap_err();
    let rejected = run("rejected").approve(|_| false).await.unwrap();
    assert!(rejected.interrupted);
    let stored = StackConfig::read(&life.store, "program", "dev").await.unwrap();
    assert!(stored.values().is_empty(), "{stored:?}");
    assert!(life.cloud.resources().is_empty());
    assert!(run("kept").await.unwrap().is_success());
    let stored = StackConfig::read(&life.store, "program", "dev").await.unwrap();
    assert_eq!(stored.values().keys().collect::<Vec<_>>(), ["kept"]);
}

#[tokio::test]
async fn preview_of_destroy_lists_deletions_and_changes_nothing() {
    let life = Lifecycle::new();
    let wrapped = life.wrap(&program);
    assert_snapshot!(life.engine().preview_destroy(&wrapped).await.unwrap(), @"nothing");
    life.apply(&program).await;
    let before = life.engine().state().await.unwrap();
    assert_snapshot!(life.engine().preview_destroy(&wrapped).await.unwrap(), @"
    - delete Thing thing
    - delete Thing place
    2 delete
    ");
    assert_eq!(life.engine().state().await.unwrap(), before);
    assert_eq!(life.engine().history().await.unwrap().len(), 1);
}

#[tokio::test]
async fn pinned_stack_refuses_up_until_it_is_unpinned() {
    let life = Lifecycle::new();
    let wrapped = life.wrap(&program);
    life.apply(&program).await;
    life.engine().config([("size", "2")]).up(&wrapped).await.unwrap();
    let size = async || {
        life.engine().state().await.unwrap().unwrap().current(&thing()).unwrap().inputs.to_json()["size"].clone()
    };

    assert!(life.engine().rollback(1, &wrapped).await.unwrap().is_success());
    assert_eq!(life.engine().pinned().await.unwrap(), None);
    assert!(life.engine().rollback(1, &wrapped).pin(true).await.unwrap().is_success());
    assert_eq!(life.engine().pinned().await.unwrap().unwrap().serial, 1);
    let newer = life.engine().config([("size", "2")]);
    let refused = newer.up(&wrapped).await.unwrap_err();
    assert!(matches!(refused, EngineError::WrongUse(_)));
    let pin = life.engine().pinned().await.unwrap().unwrap();
    let refused = refused.to_string().replace(&pin.to_string(), "pinned to serial 1 by … on …");
    assert_snapshot!(refused, @"
    error: the stack `dev` is pinned, and `up` would undo the rollback
      why: pinned to serial 1 by … on …
      hint: `up --unpin` applies the program again; `rollback --unpin` only removes the pin
    ");
    assert_eq!(size().await, 1);
    // A rejected plan does not remove the pin, and another rollback moves it.
    assert!(newer.up(&wrapped).unpin(true).approve(|_| false).await.unwrap().interrupted);
    assert!(life.engine().pinned().await.unwrap().is_some());
    assert!(life.engine().rollback(2, &wrapped).await.unwrap().is_success());
    assert_eq!(life.engine().pinned().await.unwrap().unwrap().serial, 2);
    assert!(newer.up(&wrapped).unpin(true).await.unwrap().is_success());
    assert_eq!((life.engine().pinned().await.unwrap(), size().await), (None, 2.into()));
    life.engine().rollback(1, &wrapped).pin(true).await.unwrap();
    assert_eq!(life.engine().remove_pin().await.unwrap().unwrap().serial, 1);
    assert!(newer.up(&wrapped).await.unwrap().is_success());
}

#[tokio::test]
async fn rollback_warns_that_the_next_up_undoes_it() {
    let life = Lifecycle::new();
    let wrapped = life.wrap(&program);
    life.apply(&program).await;
    life.engine().config([("size", "2")]).up(&wrapped).await.unwrap();
    let notes: Arc<Mutex<Vec<String>>> = Arc::default();
    let events = || {
        let notes = notes.clone();
        Events::to(move |event| {
            if let Event::Message(message) = event {
                notes.lock().unwrap().push(message.to_string());
            }
        })
    };
    life.engine().preview_rollback(1, &wrapped).events(events()).await.unwrap();
    life.engine().rollback(1, &wrapped).events(events()).await.unwrap();
    let messages = std::mem::take(&mut *notes.lock().unwrap());
    assert_eq!(messages.len(), 2, "{messages:?}");
    assert_eq!(messages[0], messages[1]);
    assert_snapshot!(messages[0], @"
    note: the next `up` applies the current program, which undoes this rollback
      hint: `rollback 1 --pin` makes `up` refuse this; or change the program
    ");
    life.engine().rollback(1, &wrapped).events(events()).pin(true).await.unwrap();
    assert!(notes.lock().unwrap().is_empty());
}

fn thing() -> infra_core::Urn {
    infra_core::Urn::new("dev", "program", "fake:Thing", "thing").unwrap()
}
