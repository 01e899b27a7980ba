//! A small selection of the harness's scenarios, for every run of the tests.
#![allow(clippy::unwrap_used)]

use crash::{
    broken::Broken,
    harness::{Harness, Outcome, Settings},
    sandbox::{Command, Store},
    scenario::{Ending, Scenario},
};

const SEED: u64 = 20_261_121;

fn harness(broken: Option<Broken>) -> Harness {
    harness_with(Store::Files, broken, 2)
}

fn harness_with(store: Store, broken: Option<Broken>, jobs: usize) -> Harness {
    let executable = env!("CARGO_BIN_EXE_crash").into();
    let settings = Settings { executable, store, broken, parallel: 4, jobs, seed: SEED, keep: 0 };
    Harness::prepare(settings).unwrap()
}

fn outcomes(harness: &Harness, scenarios: Vec<Scenario>) -> Vec<Outcome> {
    let mut outcomes = Vec::new();
    harness.run(scenarios, |outcome| outcomes.push(outcome)).unwrap();
    outcomes
}

fn assert_success(harness: &Harness, scenarios: Vec<Scenario>) -> Vec<Outcome> {
    let outcomes = outcomes(harness, scenarios);
    for Outcome { scenario, failure, .. } in &outcomes {
        if let Some(failure) = failure {
            panic!("{scenario}: {}\n{}", failure.message, failure.evidence);
        }
    }
    outcomes
}

/// Selects one of the four scenarios of each moment: the first of the first moment, the second of the second, and so on.
fn one_of_each(scenarios: Vec<Scenario>) -> Vec<Scenario> {
    let numbered = scenarios.into_iter().enumerate();
    numbered.filter(|(number, _)| number % 4 == number / 4 % 4).map(|(_, scenario)| scenario).collect()
}

#[test]
fn kill_at_a_boundary_loses_nothing() {
    let harness = harness(None);
    let scenarios = one_of_each(harness.enumerated(harness.spread(40)));
    assert_eq!(scenarios.len(), 40);
    let outcomes = assert_success(&harness, scenarios);
    let killed = outcomes.iter().filter(|outcome| outcome.kills > 0).count();
    // The number of entries that share a write, and with it the number of the journal's boundaries, differs between runs.
    assert!(killed > 20, "only {killed} of 40 processes were killed before they had finished");
}

#[test]
fn kill_at_a_random_moment_loses_nothing() {
    let harness = harness(None);
    assert_success(&harness, harness.random(50));
}

/// In most scenarios, the run after the kill waits until the lease of the killed run has expired.
#[test]
fn kill_with_the_state_in_an_object_store_loses_nothing() {
    let harness = harness_with(Store::Objects, None, 8);
    let moments = harness.moments().into_iter().filter(|(_, moment)| {
        ["LeaseTake", "LeaseRenew", "LeaseRelease", "ObjectPut", "ObjectPutDone", "ObjectDelete"]
            .contains(&moment.name.as_str())
    });
    let moments: Vec<_> = moments.collect();
    let every = moments.len().div_ceil(16);
    let scenarios = one_of_each(harness.enumerated(moments.into_iter().step_by(every)));
    let outcomes = assert_success(&harness, scenarios);
    assert!(outcomes.iter().any(|outcome| outcome.kills > 0));
}

/// Kills `command` at boundaries of this name, and asserts that at least one scenario fails.
fn assert_detected(broken: Broken, command: Command, boundary: &str) {
    let harness = harness(Some(broken));
    let moments = harness.moments().into_iter().filter(|(of, moment)| *of == command && moment.name == boundary);
    let scenarios =
        harness.enumerated(moments.take(8)).into_iter().filter(|scenario| scenario.ending != Ending::Destroy);
    let outcomes = outcomes(&harness, scenarios.collect());
    assert!(!outcomes.is_empty(), "{command} has no boundary {boundary}");
    assert!(outcomes.iter().any(|outcome| outcome.failure.is_some()), "the harness has not detected {broken:?}");
}

#[test]
fn recovery_that_finds_no_resource_is_detected() {
    assert_detected(Broken::Blind, Command::UpA, "ProviderAnswer");
}

#[test]
fn create_without_the_operation_id_is_detected() {
    assert_detected(Broken::Anonymous, Command::UpA, "ProviderAnswer");
}

#[test]
fn unsynced_intent_is_detected() {
    assert_detected(Broken::Unsynced, Command::UpA, "ProviderAnswer");
}

#[test]
fn snapshot_written_in_place_is_detected() {
    assert_detected(Broken::Torn, Command::UpB, "SnapshotSync");
}

#[test]
fn lost_progress_is_detected() {
    assert_detected(Broken::Forgetful, Command::UpA, "CloudCommitted");
}

#[test]
fn journal_that_is_applied_twice_is_detected() {
    assert_detected(Broken::Replayed, Command::UpB, "ProviderAnswer");
}
