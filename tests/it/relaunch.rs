//! Relaunch of a database host, end to end: its replacement keeps the data, even if the relaunch fails halfway.

use crate::databases::{sql, wait_for_answer};
use infra_aws::{self as aws, Aws, PostgresHost};
use infra_core::{
    Config, Engine, Result, Stack,
    engine::Run,
    event::{Event, Events},
    execute::Report,
    plan::Selection,
    store::MemoryStore,
};
use infra_local::{Fault, LocalCloud, Options, Requests};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::Notify;

struct Fixture {
    cloud: Arc<LocalCloud>,
    engine: Engine,
    aws: Aws,
    _directory: TempDir,
}

fn program(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, "us-east-2");
    let mut host = PostgresHost::new(&region, "database").database("tasks", "cloud", "a-password");
    host = host.instance_type(config.get_or("type", "t3.micro")?).reachable_from(&region);
    if config.get_or("fresh", false)? {
        host = host.fresh();
    }
    let host = host.declare()?;
    stack.relaunchable("database", &host.instance_id, "a new host");
    stack.export("url", host.url);
    Ok(())
}

impl Fixture {
    /// Deploys a database with a table of 1000 rows.
    async fn with_data() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
        let target = tests::target(&cloud);
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
        let fixture = Self { cloud: Arc::new(cloud), engine, aws: Aws::new(&target), _directory: directory };
        fixture.up(fixture.engine.up(&program)).await;
        let url = fixture.url().await;
        wait_for_answer(&url, "SELECT 1", "1").await;
        sql(&url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id").unwrap();
        fixture
    }

    async fn up(&self, run: Run<'_, Report>) {
        let report = run.await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
    }

    fn relaunch(&self) -> Run<'static, Report> {
        relaunching(&self.engine)
    }

    async fn url(&self) -> String {
        self.engine.outputs().await.unwrap()["url"].as_str().unwrap().to_owned()
    }

    /// Asserts that the only instance has the data, that no image is left, and that a refresh reports no drift.
    async fn assert_data_was_kept(&self) {
        wait_for_answer(&self.url().await, "SELECT count(*) FROM kept", "1000").await;
        let plan = self.engine.preview(&program).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
        assert_eq!(self.images().await, 0);
        assert_eq!(self.active_instances().await, 1);
    }

    async fn images(&self) -> usize {
        let ec2 = self.aws.ec2("us-east-2").await;
        let images = ec2.describe_images().owners("self").send().await.unwrap().images().len();
        let snapshots = ec2.describe_snapshots().owner_ids("self").send().await.unwrap().snapshots().len();
        assert_eq!(images, snapshots);
        images
    }

    /// Returns the number of instances that are not terminated.
    async fn active_instances(&self) -> usize {
        let ec2 = self.aws.ec2("us-east-2").await;
        let answer = ec2.describe_instances().send().await.unwrap();
        let all = answer.reservations().iter().flat_map(|reservation| reservation.instances().iter());
        all.filter(|instance| instance.state().unwrap().name().unwrap().as_str() != "terminated").count()
    }

    fn inject(&self, operation: &str, fault: impl Fn(Requests) -> Fault) {
        let requests = Requests { operation: format!("ec2:{operation}"), ..Requests::default() };
        self.cloud.inject(&fault(requests)).unwrap();
    }

    async fn end(self) {
        let report = self.engine.destroy(&program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert_eq!((self.images().await, self.active_instances().await), (0, 0));
        if let Some(cloud) = Arc::into_inner(self.cloud) {
            cloud.shutdown().await;
        }
    }

    /// Relaunches the host, and drops the run, as a kill would, when it sends this request, which is throttled. The requests
    /// are throttled only after `CreateImage`.
    async fn relaunch_killed_at(&self, operation: &'static str) {
        let throttle = |operation: &str, count| {
            let requests = Requests { operation: format!("ec2:{operation}"), count, ..Requests::default() };
            Fault::Throttle(requests)
        };
        self.cloud.inject(&throttle("CreateImage", Some(1))).unwrap();
        let (cloud, reached) = (self.cloud.clone(), Arc::new(Notify::new()));
        let notify = reached.clone();
        let events = Events::to(move |event| {
            let Event::StepStatus { message, .. } = event else { return };
            if message.ends_with("retrying CreateImage") {
                // The SDK sends `CreateImage` again after this event.
                cloud.inject(&throttle(operation, None)).unwrap();
            } else if message.ends_with(&format!("retrying {operation}")) {
                notify.notify_one();
            }
        });
        let run = self.relaunch().events(events);
        tokio::select! {
            report = run.into_future() => panic!("the run was not interrupted: {report:?}"),
            () = reached.notified() => {}
        }
        self.cloud.inject(&Fault::Clear).unwrap();
    }
}

/// Returns a run that replaces the database's host.
fn relaunching(engine: &Engine) -> Run<'static, Report> {
    let replace = vec!["database".parse().unwrap()];
    engine.up(&program).select(Selection { replace, ..Selection::default() })
}

#[tokio::test(flavor = "multi_thread")]
async fn replacement_of_the_host_keeps_the_data_unless_the_program_declares_it_fresh() {
    let fixture = Fixture::with_data().await;
    let before = fixture.url().await;
    fixture.up(fixture.relaunch()).await;
    assert_ne!(fixture.url().await, before, "the new host has another address");
    fixture.assert_data_was_kept().await;
    // A replacement because of another instance type keeps the data as well.
    fixture.up(fixture.engine.clone().config([("type", "t3.small")]).up(&program)).await;
    wait_for_answer(&fixture.url().await, "SELECT count(*) FROM kept", "1000").await;
    fixture.up(fixture.engine.up(&program)).await;
    fixture.assert_data_was_kept().await;
    fixture.up(relaunching(&fixture.engine.clone().config([("fresh", "true")]))).await;
    let url = fixture.url().await;
    wait_for_answer(&url, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'", "0").await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn failed_relaunch_leaves_the_previous_host_running() {
    let fixture = Fixture::with_data().await;
    let before = fixture.url().await;
    let fails = async |run: Run<'_, Report>| {
        let report = run.await.unwrap();
        let failures: Vec<String> = report.failures.iter().map(|failure| failure.summary.clone()).collect();
        assert!(failures.len() == 1 && failures[0].contains("runs again"), "{failures:?}");
        assert_eq!(fixture.url().await, before);
        wait_for_answer(&before, "SELECT count(*) FROM kept", "1000").await;
    };
    fixture.inject("CreateImage", Fault::Errors);
    fails(fixture.relaunch()).await;
    fixture.cloud.inject(&Fault::Clear).unwrap();
    fails(fixture.engine.clone().config([("type", "t9.colossal")]).up(&program)).await;
    fixture.up(fixture.relaunch()).await;
    fixture.assert_data_was_kept().await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relaunch_with_an_unknown_outcome_is_continued_by_the_next_run() {
    let fixture = Fixture::with_data().await;
    let faults = [Fault::DropAnswers, Fault::Errors];
    let operations = ["StopInstances", "CreateImage", "RunInstances"];
    for (fault, operation) in faults.iter().flat_map(|fault| operations.map(|operation| (fault, operation))) {
        fixture.inject(operation, fault);
        // The SDK may have retried the request successfully.
        let report = fixture.relaunch().await.unwrap();
        fixture.cloud.inject(&Fault::Clear).unwrap();
        fixture.up(fixture.engine.up(&program)).await;
        wait_for_answer(&fixture.url().await, "SELECT count(*) FROM kept", "1000").await;
        assert_eq!(fixture.active_instances().await, 1, "after {operation}: {:?}", report.failures);
    }
    fixture.up(fixture.relaunch()).await;
    fixture.assert_data_was_kept().await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relaunch_killed_before_the_launch_leaves_no_image_and_no_open_operation() {
    let fixture = Fixture::with_data().await;
    let before = fixture.cloud.inventory();
    let url = fixture.url().await;
    fixture.relaunch_killed_at("DescribeImages").await;
    assert_eq!(fixture.images().await, 1, "the image exists, and the new host does not");
    let plan = fixture.engine.preview(&program).await.unwrap();
    assert!(plan.has_changes(), "the preview shows that the previous host is started again: {plan}");
    assert_eq!(fixture.engine.state().await.unwrap().unwrap().open.len(), 1, "a preview records nothing");

    fixture.up(fixture.engine.up(&program)).await;
    assert_eq!(fixture.cloud.inventory(), before);
    assert!(fixture.engine.state().await.unwrap().unwrap().open.is_empty());
    assert_eq!(fixture.url().await, url);
    fixture.assert_data_was_kept().await;
    fixture.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn relaunch_killed_at_the_launch_leaves_no_image() {
    let fixture = Fixture::with_data().await;
    let before = fixture.cloud.inventory();
    fixture.relaunch_killed_at("RunInstances").await;
    fixture.up(fixture.engine.up(&program)).await;
    assert_eq!(fixture.cloud.inventory(), before);
    // The launch may have been in flight; without its image it can no longer succeed.
    fixture.up(fixture.engine.up(&program)).await;
    assert!(fixture.engine.state().await.unwrap().unwrap().open.is_empty());
    fixture.assert_data_was_kept().await;
    fixture.end().await;
}
