//! One of each kind of resource, made, looked at and deleted: what the kinds say of what lives is what was declared.

use crate::databases::major;
use infra_aws::Aws;
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use std::collections::{BTreeMap, BTreeSet};
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

/// How many things of each kind there are in the cloud.
async fn left(cloud: &LocalCloud) -> BTreeMap<String, usize> {
    let status = cloud.status().await;
    let regions = status.regions.into_iter().flat_map(|(region, status)| {
        let running = [("balancers", status.balancers.len()), ("groups", status.groups.len())];
        let all = status.counts.into_iter().chain(running.map(|(kind, count)| (kind.to_owned(), count)));
        all.map(move |(kind, count)| (format!("{region}/{kind}"), count))
    });
    let mut left: BTreeMap<String, usize> = status.counts.into_iter().chain(regions).collect();
    let aws = Aws::new(&tests::target(&cloud));
    let logs = aws.logs("us-east-1").await.describe_log_groups().send().await.unwrap();
    let alarms = aws.cloudwatch("us-east-1").await.describe_alarms().send().await.unwrap();
    let certificates = aws.acm("us-east-1").await.list_certificates().send().await.unwrap();
    left.insert("log_groups".to_owned(), logs.log_groups().len());
    left.insert("alarms".to_owned(), alarms.metric_alarms().len());
    left.insert("certificates".to_owned(), certificates.certificate_summary_list().len());
    left
}

#[tokio::test(flavor = "multi_thread")]
async fn one_of_each_lives_as_declared_and_goes() {
    let directory = TempDir::new().unwrap();
    let options = Options { time_scale: 30.0, ..Options::new(directory.path()) };
    let cloud = LocalCloud::start(options).await.unwrap();
    let engine = Engine::new("every-kind", "dev", MemoryStore::new())
        .target(tests::target(&cloud))
        .config([("everything", "true".to_owned()), ("postgres", major())]);
    let before = left(&cloud).await;
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
    assert_eq!(left(&cloud).await, before);
    cloud.shutdown().await;
}
