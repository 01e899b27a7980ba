//! A database host that is relaunched, through every layer: its data goes with it, whatever fails on the way.

use crate::databases::{answers, sql};
use infra_aws::{self as aws, Aws, PostgresHost};
use infra_core::{
    Config, Engine, Result, Stack,
    event::{Event, Events},
    plan::Selection,
    store::MemoryStore,
};
use infra_local::{Fault, LocalCloud, Options, Requests};
use std::sync::Arc;
use tempfile::TempDir;
use tokio::sync::Notify;

struct World {
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

impl World {
    /// A database with something in it.
    async fn with_data() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
        let target = tests::target(&cloud);
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
        let world = Self { cloud: Arc::new(cloud), engine, aws: Aws::new(&target), _directory: directory };
        world.up(&world.engine).await;
        let url = world.url().await;
        answers(&url, "SELECT 1", "1").await;
        sql(&url, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id").unwrap();
        world
    }

    async fn up(&self, engine: &Engine) {
        let report = engine.up(&program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
    }

    fn relaunching(&self) -> Engine {
        let replace = vec!["database".parse().unwrap()];
        self.engine.clone().select(Selection { replace, ..Selection::default() })
    }

    async fn url(&self) -> String {
        self.engine.outputs().await.unwrap()["url"].as_str().unwrap().to_owned()
    }

    /// The data is there, in the only instance; what carried it over is gone, and what lives is what is declared.
    async fn has_kept_everything(&self) {
        answers(&self.url().await, "SELECT count(*) FROM kept", "1000").await;
        let plan = self.engine.clone().refresh_first(true).preview(&program).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
        assert_eq!(self.images().await, 0);
        assert_eq!(self.living().await, 1);
    }

    async fn images(&self) -> usize {
        let ec2 = self.aws.ec2("us-east-2").await;
        let images = ec2.describe_images().owners("self").send().await.unwrap().images().len();
        let snapshots = ec2.describe_snapshots().owner_ids("self").send().await.unwrap().snapshots().len();
        assert_eq!(images, snapshots);
        images
    }

    /// How many instances have not ended.
    async fn living(&self) -> usize {
        let ec2 = self.aws.ec2("us-east-2").await;
        let answer = ec2.describe_instances().send().await.unwrap();
        let all = answer.reservations().iter().flat_map(|reservation| reservation.instances().iter());
        all.filter(|one| one.state().unwrap().name().unwrap().as_str() != "terminated").count()
    }

    fn inject(&self, operation: &str, fault: impl Fn(Requests) -> Fault) {
        let requests = Requests { operation: format!("ec2:{operation}"), ..Requests::default() };
        self.cloud.inject(&fault(requests)).unwrap();
    }

    async fn end(self) {
        let report = self.engine.destroy(&program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        assert_eq!((self.images().await, self.living().await), (0, 0));
        if let Some(cloud) = Arc::into_inner(self.cloud) {
            cloud.shutdown().await;
        }
    }

    /// Relaunches the host, and ends the run as if it was killed once it sends this request, which is throttled. One
    /// that comes after `CreateImage` is throttled only then.
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
                // The request is repeated after this.
                cloud.inject(&throttle(operation, None)).unwrap();
            } else if message.ends_with(&format!("retrying {operation}")) {
                notify.notify_one();
            }
        });
        let engine = self.relaunching().events(events);
        tokio::select! {
            report = engine.up(&program) => panic!("the run was not interrupted: {report:?}"),
            () = reached.notified() => {}
        }
        self.cloud.inject(&Fault::Clear).unwrap();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn data_goes_with_the_host_unless_told_otherwise() {
    let world = World::with_data().await;
    let before = world.url().await;
    world.up(&world.relaunching()).await;
    assert_ne!(world.url().await, before, "it has another address");
    world.has_kept_everything().await;
    // Whatever the reason: here, a larger machine.
    world.up(&world.engine.clone().config([("type", "t3.small")])).await;
    answers(&world.url().await, "SELECT count(*) FROM kept", "1000").await;
    world.up(&world.engine).await;
    world.has_kept_everything().await;
    world.up(&world.relaunching().config([("fresh", "true")])).await;
    let url = world.url().await;
    answers(&url, "SELECT count(*) FROM pg_tables WHERE tablename = 'kept'", "0").await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaunch_that_fails_leaves_the_old_host_running() {
    let world = World::with_data().await;
    let before = world.url().await;
    let fails = async |engine: Engine| {
        let report = engine.up(&program).await.unwrap();
        let failures: Vec<String> = report.failures.iter().map(|failure| failure.summary.clone()).collect();
        assert!(failures.len() == 1 && failures[0].contains("runs again"), "{failures:?}");
        assert_eq!(world.url().await, before);
        answers(&before, "SELECT count(*) FROM kept", "1000").await;
    };
    world.inject("CreateImage", Fault::Errors);
    fails(world.relaunching()).await;
    world.cloud.inject(&Fault::Clear).unwrap();
    fails(world.engine.clone().config([("type", "t9.colossal")])).await;
    world.up(&world.relaunching()).await;
    world.has_kept_everything().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaunch_of_which_nobody_knows_how_far_it_came_is_gone_on_with() {
    let world = World::with_data().await;
    let faults = [Fault::DropAnswers, Fault::Errors];
    let operations = ["StopInstances", "CreateImage", "RunInstances"];
    for (fault, operation) in faults.iter().flat_map(|fault| operations.map(|operation| (fault, operation))) {
        world.inject(operation, fault);
        // The SDK may have sent it again, with success.
        let report = world.relaunching().up(&program).await.unwrap();
        world.cloud.inject(&Fault::Clear).unwrap();
        world.up(&world.engine).await;
        answers(&world.url().await, "SELECT count(*) FROM kept", "1000").await;
        assert_eq!(world.living().await, 1, "after {operation}: {:?}", report.failures);
    }
    world.up(&world.relaunching()).await;
    world.has_kept_everything().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaunch_killed_before_the_launch_leaves_no_image_and_no_open_operation() {
    let world = World::with_data().await;
    let before = world.cloud.inventory();
    let url = world.url().await;
    world.relaunch_killed_at("DescribeImages").await;
    assert_eq!(world.images().await, 1, "the image is there and the new host is not");
    let plan = world.engine.preview(&program).await.unwrap();
    assert!(plan.has_changes(), "the preview shows that the old host is started again: {plan}");
    assert_eq!(world.engine.state().await.unwrap().unwrap().open.len(), 1, "a preview records nothing");

    world.up(&world.engine).await;
    assert_eq!(world.cloud.inventory(), before);
    assert!(world.engine.state().await.unwrap().unwrap().open.is_empty());
    assert_eq!(world.url().await, url);
    world.has_kept_everything().await;
    world.end().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_relaunch_killed_at_the_launch_leaves_no_image() {
    let world = World::with_data().await;
    let before = world.cloud.inventory();
    world.relaunch_killed_at("RunInstances").await;
    world.up(&world.engine).await;
    assert_eq!(world.cloud.inventory(), before);
    // The launch may have been on its way; without its image it cannot succeed any more.
    world.up(&world.engine).await;
    assert!(world.engine.state().await.unwrap().unwrap().open.is_empty());
    world.has_kept_everything().await;
    world.end().await;
}
