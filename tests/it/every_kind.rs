//! One resource of each kind, created, read and deleted: reading reports what was declared, and no failure of a single
//! API call leaves anything behind.

use crate::{
    databases::major,
    each_once::{EachOnce, Failure},
};
use infra_aws::{Aws, provider_through};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use std::collections::BTreeSet;
use tempfile::TempDir;

#[path = "../../examples/every_kind.rs"]
#[expect(dead_code, reason = "it runs by itself as well")]
mod program;

/// The kinds that the provider serves, lookups left out.
fn served() -> BTreeSet<String> {
    let source = std::fs::read_to_string(tests::workspace().join("infra-aws/src/lib.rs")).unwrap();
    let resources = source.split("    resources:\n").nth(1).unwrap().split("    ;\n").next().unwrap();
    let names = resources.lines().map(str::trim).filter(|line| !line.starts_with("//"));
    names.map(|name| name.trim_end_matches(',').to_owned()).collect()
}

struct World {
    cloud: LocalCloud,
    engine: Engine,
    _directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let options = Options { time_scale: 30.0, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let engine = Engine::new("every-kind", "dev", MemoryStore::new())
            .target(tests::target(&cloud))
            .config([("everything", "true".to_owned()), ("postgres", major())])
            .continue_on_error(true);
        Self { cloud, engine, _directory: directory }
    }
}

/// More runs than any chain of dependent calls needs.
const MOST_RUNS: usize = 300;

/// Runs the command until it succeeds while each distinct request fails once. Returns what the last failures were.
async fn until_it_succeeds(calls: &EachOnce, mut run: impl AsyncFnMut() -> Vec<String>) {
    let mut failures = Vec::new();
    for _ in 0..MOST_RUNS {
        failures = run().await;
        if failures.is_empty() {
            return;
        }
    }
    panic!("still failing after {MOST_RUNS} runs and {} failed requests: {failures:#?}", calls.failed().len());
}

/// The failures of a run, those that ended it early included.
fn failures(report: std::result::Result<infra_core::execute::Report, infra_core::engine::EngineError>) -> Vec<String> {
    match report {
        Ok(report) if report.is_success() => Vec::new(),
        Ok(report) => {
            report.failures.iter().map(ToString::to_string).chain([format!("{} skipped", report.skipped)]).collect()
        }
        Err(error) => vec![error.to_string()],
    }
}

/// Deletes one resource of each kind while each API call of the deletions fails once.
async fn every_call_of_a_deletion_fails_once(failure: Failure, refresh: bool) {
    let World { cloud, engine, _directory } = World::new().await;
    let before = cloud.inventory();
    let calls = EachOnce::new(failure);
    let every_kind = |stack: &Stack, config: &Config| -> Result {
        stack.provide("aws", || provider_through(Aws::new(stack.target()).intercepted(calls.clone())));
        program::every_kind(stack, config)
    };
    let report = engine.up(&every_kind).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    calls.arm();
    let engine = engine.refresh_first(refresh);
    until_it_succeeds(&calls, async || failures(engine.destroy(&every_kind).await)).await;
    let failed = calls.failed();
    for call in ["DeregisterImage", "DeleteSnapshot", "DeleteRolePolicy", "DisassociateRouteTable", "DeleteObject"] {
        assert!(failed.iter().any(|failed| failed == call), "{call} did not fail: {failed:?}");
    }
    assert_eq!(engine.state().await.unwrap().unwrap().live_count(), 0);
    let after = cloud.inventory();
    let left: Vec<&String> = after.difference(&before).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    assert_eq!(after, before);
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_calls_are_refused_continues_in_the_next_run() {
    every_call_of_a_deletion_fails_once(Failure::Refused, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_refresh_keeps_what_a_refused_deletion_has_left() {
    every_call_of_a_deletion_fails_once(Failure::Refused, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_whose_responses_are_lost_continues_in_the_next_run() {
    every_call_of_a_deletion_fails_once(Failure::Lost, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_creation_whose_responses_are_lost_leaves_nothing_behind() {
    let World { cloud, engine, _directory } = World::new().await;
    let before = cloud.inventory();
    let calls = EachOnce::new(Failure::Lost);
    let every_kind = |stack: &Stack, config: &Config| -> Result {
        stack.provide("aws", || provider_through(Aws::new(stack.target()).intercepted(calls.clone())));
        program::every_kind(stack, config)
    };
    calls.arm();
    until_it_succeeds(&calls, async || failures(engine.up(&every_kind).await)).await;
    assert!(calls.failed().len() > 60, "{:?}", calls.failed());
    until_it_succeeds(&calls, async || failures(engine.destroy(&every_kind).await)).await;
    let after = cloud.inventory();
    let left: Vec<&String> = after.difference(&before).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_each_lives_as_declared_and_goes() {
    let World { cloud, engine, _directory } = World::new().await;
    let before = cloud.inventory();
    let every_kind = |stack: &Stack, config: &Config| -> Result { program::every_kind(stack, config) };

    let report = engine.up(&every_kind).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let plan = engine.preview(&every_kind).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    let report = engine.refresh(&every_kind).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert!(report.drift.is_empty(), "{:?}", report.drift);

    let state = engine.state().await.unwrap().unwrap();
    let declared: BTreeSet<String> =
        state.resources.keys().map(|urn| urn.kind().rsplit(':').next().unwrap().to_owned()).collect();
    let missing: Vec<String> = served().into_iter().filter(|kind| !declared.contains(kind)).collect();
    // Their tokens are not called like their structs.
    assert_eq!(missing, ["CloudResource", "DbClusterParameterGroup"]);
    assert!(declared.contains("Resource") && declared.contains("ClusterParameterGroup"));

    let report = engine.destroy(&every_kind).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert_eq!(engine.state().await.unwrap().unwrap().live_count(), 0);
    assert_eq!(cloud.inventory(), before);
    cloud.shutdown().await;
}
