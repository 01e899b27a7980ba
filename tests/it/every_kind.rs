//! Create, read and delete of one resource of each kind: a refresh reports no drift, and no failure of a single API call
//! leaves a resource behind.

use crate::{
    databases::major,
    each_once::{EachOnce, Failure},
};
use infra_aws::{Aws, provider_with_clients};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use std::collections::BTreeSet;
use tempfile::TempDir;

#[path = "../../examples/every_kind.rs"]
#[expect(dead_code, reason = "its `main` runs it as an example")]
pub(crate) mod program;

/// Returns the resource kinds of the provider, which its `kinds!` macro lists by service.
fn provider_kinds() -> BTreeSet<String> {
    let source = std::fs::read_to_string(tests::workspace().join("infra-aws/src/provider.rs")).unwrap();
    let (_, kinds) = source.split_once("\nkinds! {\n").unwrap();
    let lists = kinds.split(": resources [").skip(1).map(|list| list.split_once(']').unwrap().0);
    lists.flat_map(|list| list.split(',')).map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()).collect()
}

struct Fixture {
    cloud: LocalCloud,
    engine: Engine,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let options = Options { time_scale: 30.0, ..Options::new(directory.path()) };
        let cloud = LocalCloud::start(options).await.unwrap();
        let engine = Engine::new("every-kind", "dev", MemoryStore::new())
            .target(tests::target(&cloud))
            .config([("everything", "true".to_owned()), ("postgres", major())]);
        Self { cloud, engine, _directory: directory }
    }
}

/// Maximum number of runs, which exceeds the number of dependent calls.
const MAX_RUNS: usize = 300;

/// Runs the command until it succeeds, while each distinct request fails once.
async fn until_it_succeeds(calls: &EachOnce, mut run: impl AsyncFnMut() -> Vec<String>) {
    let mut failures = Vec::new();
    for _ in 0..MAX_RUNS {
        failures = run().await;
        if failures.is_empty() {
            return;
        }
    }
    panic!("still failing after {MAX_RUNS} runs and {} failed requests: {failures:#?}", calls.failed().len());
}

/// Returns the failures of a run, including an error that ended it.
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
async fn delete_with_failing_calls(failure: Failure, refresh: bool) {
    let Fixture { cloud, engine, _directory } = Fixture::new().await;
    let before = cloud.inventory();
    let calls = EachOnce::new(failure);
    let every_kind = |stack: &Stack, config: &Config| -> Result {
        stack.provide("aws", || provider_with_clients(Aws::new(stack.target()).with_interceptor(calls.clone())));
        program::every_kind(stack, config)
    };
    let report = engine.up(&every_kind).continue_on_error(true).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    calls.arm();
    until_it_succeeds(&calls, async || {
        failures(engine.destroy(&every_kind).refresh_first(refresh).continue_on_error(true).await)
    })
    .await;
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
async fn deletion_with_refused_calls_continues_in_the_next_run() {
    delete_with_failing_calls(Failure::Refused, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn refresh_keeps_the_resources_of_a_refused_deletion() {
    delete_with_failing_calls(Failure::Refused, true).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_with_lost_responses_continues_in_the_next_run() {
    delete_with_failing_calls(Failure::Lost, false).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn creation_with_lost_responses_leaves_no_resource_behind() {
    let Fixture { cloud, engine, _directory } = Fixture::new().await;
    let before = cloud.inventory();
    let calls = EachOnce::new(Failure::Lost);
    let every_kind = |stack: &Stack, config: &Config| -> Result {
        stack.provide("aws", || provider_with_clients(Aws::new(stack.target()).with_interceptor(calls.clone())));
        program::every_kind(stack, config)
    };
    calls.arm();
    until_it_succeeds(&calls, async || failures(engine.up(&every_kind).continue_on_error(true).await)).await;
    assert!(calls.failed().len() > 60, "{:?}", calls.failed());
    until_it_succeeds(&calls, async || failures(engine.destroy(&every_kind).continue_on_error(true).await)).await;
    let after = cloud.inventory();
    let left: Vec<&String> = after.difference(&before).collect();
    assert!(left.is_empty(), "left behind: {left:?}");
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_kind_is_created_without_drift_and_deleted() {
    let Fixture { cloud, engine, _directory } = Fixture::new().await;
    let before = cloud.inventory();
    let every_kind = |stack: &Stack, config: &Config| -> Result { program::every_kind(stack, config) };

    let report = engine.up(&every_kind).continue_on_error(true).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let plan = engine.preview(&every_kind).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    let report = engine.refresh(&every_kind).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert!(report.drift.is_empty(), "{:?}", report.drift);

    let state = engine.state().await.unwrap().unwrap();
    let declared: BTreeSet<String> =
        state.resources.keys().map(|urn| urn.kind().rsplit(':').next().unwrap().to_owned()).collect();
    let missing: Vec<String> = provider_kinds().into_iter().filter(|kind| !declared.contains(kind)).collect();
    // The type tokens of these kinds differ from the names of their structs.
    assert_eq!(missing, ["CloudResource", "DbClusterParameterGroup"]);
    assert!(declared.contains("Resource") && declared.contains("ClusterParameterGroup"));

    let report = engine.destroy(&every_kind).continue_on_error(true).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert_eq!(engine.state().await.unwrap().unwrap().live_count(), 0);
    assert_eq!(cloud.inventory(), before);
    cloud.shutdown().await;
}
