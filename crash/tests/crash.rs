//! A small part of what the harness does, for every run of the tests.
#![allow(clippy::unwrap_used)]

use crash::{
    broken::Broken,
    harness::{Harness, Outcome, Settings},
    life::{Ending, Life},
    place::{Command, Store},
};

const SEED: u64 = 20_261_121;

fn harness(broken: Option<Broken>) -> Harness {
    prepared(Store::Files, broken, 2)
}

fn prepared(store: Store, broken: Option<Broken>, jobs: usize) -> Harness {
    let program = env!("CARGO_BIN_EXE_crash").into();
    let settings = Settings { program, store, broken, parallel: 4, jobs, seed: SEED, keep: 0 };
    Harness::prepare(settings).unwrap()
}

fn outcomes(harness: &Harness, lives: Vec<Life>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    harness.live(lives, |outcome| outcomes.push(outcome)).unwrap();
    outcomes
}

fn lose_nothing(harness: &Harness, lives: Vec<Life>) -> Vec<Outcome> {
    let outcomes = outcomes(harness, lives);
    for Outcome { life, failure, .. } in &outcomes {
        if let Some(failure) = failure {
            panic!("{life}: {}\n{}", failure.what, failure.evidence);
        }
    }
    outcomes
}

/// One of the four lives that each moment has: the first of the first moment, the second of the second, and so on.
fn one_of_each(lives: Vec<Life>) -> Vec<Life> {
    let numbered = lives.into_iter().enumerate();
    numbered.filter(|(number, _)| number % 4 == number / 4 % 4).map(|(_, life)| life).collect()
}

#[test]
fn a_kill_at_a_boundary_loses_nothing() {
    let harness = harness(None);
    let lives = one_of_each(harness.enumerated(harness.spread(40)));
    assert_eq!(lives.len(), 40);
    let outcomes = lose_nothing(&harness, lives);
    let fallen = outcomes.iter().filter(|outcome| outcome.fallen > 0).count();
    // How often entries share a write differs from run to run, and with it how many boundaries of the journal there are.
    assert!(fallen > 20, "only {fallen} of 40 processes were killed before they had ended");
}

#[test]
fn a_kill_at_any_moment_loses_nothing() {
    let harness = harness(None);
    lose_nothing(&harness, harness.random(50));
}

/// Whoever comes next has to wait until the lease of the killed run has expired, most of the time.
#[test]
fn a_kill_while_the_state_is_in_an_object_store_loses_nothing() {
    let harness = prepared(Store::Objects, None, 8);
    let moments = harness.moments().into_iter().filter(|(_, moment)| {
        ["LeaseTake", "LeaseRenew", "LeaseRelease", "ObjectPut", "ObjectPutDone", "ObjectDelete"]
            .contains(&moment.name.as_str())
    });
    let moments: Vec<_> = moments.collect();
    let every = moments.len().div_ceil(16);
    let lives = one_of_each(harness.enumerated(moments.into_iter().step_by(every)));
    let outcomes = lose_nothing(&harness, lives);
    assert!(outcomes.iter().any(|outcome| outcome.fallen > 0));
}

/// Kills `command` at boundaries of this name, brings everything in order, and expects to be told that something is not.
fn is_noticed(broken: Broken, command: Command, boundary: &str) {
    let harness = harness(Some(broken));
    let moments = harness.moments().into_iter().filter(|(of, moment)| *of == command && moment.name == boundary);
    let lives = harness.enumerated(moments.take(8)).into_iter().filter(|life| life.ending != Ending::Destroy);
    let outcomes = outcomes(&harness, lives.collect());
    assert!(!outcomes.is_empty(), "{command} has no boundary {boundary}");
    assert!(outcomes.iter().any(|outcome| outcome.failure.is_some()), "the harness has not noticed {broken:?}");
}

#[test]
fn finders_that_find_nothing_are_noticed() {
    is_noticed(Broken::Blind, Command::UpA, "ProviderAnswer");
}

#[test]
fn operations_that_nothing_bears_are_noticed() {
    is_noticed(Broken::Anonymous, Command::UpA, "ProviderAnswer");
}

#[test]
fn intents_that_do_not_wait_for_the_disk_are_noticed() {
    is_noticed(Broken::Unsynced, Command::UpA, "ProviderAnswer");
}

#[test]
fn snapshots_written_in_place_are_noticed() {
    is_noticed(Broken::Torn, Command::UpB, "SnapshotSync");
}

#[test]
fn progress_that_is_lost_is_noticed() {
    is_noticed(Broken::Forgetful, Command::UpA, "WorldCommitted");
}

#[test]
fn a_journal_that_is_applied_twice_is_noticed() {
    is_noticed(Broken::Replayed, Command::UpB, "ProviderAnswer");
}
