//! Requests that AWS refuses temporarily, or until a foreign resource is deleted.

use infra_aws::{self as aws, Aws, SecurityGroup, Subnet, Vpc};
use infra_core::{
    Config, Engine, Result, Stack,
    event::{Event, Events},
    store::MemoryStore,
};
use infra_local::{Fault, LocalCloud, Options, Requests};
use std::{
    sync::{Arc, Mutex},
    time::Duration,
};
use tempfile::TempDir;
use tests::TIMEOUT;

struct Fixture {
    cloud: LocalCloud,
    engine: Engine,
    aws: Aws,
    statuses: Arc<Mutex<Vec<String>>>,
    _directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
        let target = tests::target(&cloud);
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
        Self { cloud, engine, aws: Aws::new(&target), statuses, _directory: directory }
    }

    /// Returns events that record the status messages of a run.
    fn events(&self) -> Events {
        let seen = self.statuses.clone();
        Events::to(move |event| {
            if let Event::StepStatus { message, .. } = event {
                seen.lock().unwrap().push(message);
            }
        })
    }

    fn statuses(&self) -> Vec<String> {
        self.statuses.lock().unwrap().clone()
    }
}

fn program(stack: &Stack, _: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
    let subnet = virginia.add("subnet", Subnet::of(&vpc.id, "10.0.0.0/24"));
    virginia.add("group", SecurityGroup::in_vpc(&vpc.id));
    stack.export("subnet", subnet.id);
    Ok(())
}

#[tokio::test(flavor = "multi_thread")]
async fn throttled_requests_are_retried_and_reported() {
    let fixture = Fixture::new().await;
    let requests = Requests { operation: "ec2:CreateVpc".to_owned(), count: Some(7), ..Requests::default() };
    fixture.cloud.inject(&Fault::Throttle(requests)).unwrap();
    let report = fixture.engine.up(&program).events(fixture.events()).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let statuses = fixture.statuses();
    assert!(statuses.iter().any(|status| status.contains("retrying CreateVpc")), "{statuses:?}");
    assert!(fixture.engine.destroy(&program).events(fixture.events()).await.unwrap().is_success());
    fixture.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn deletion_reports_its_blocker_and_waits_only_for_resources_that_are_being_deleted() {
    let fixture = Fixture::new().await;
    let before = fixture.cloud.inventory();
    assert!(fixture.engine.up(&program).events(fixture.events()).await.unwrap().is_success());
    let subnet = fixture.engine.outputs().await.unwrap()["subnet"].as_str().unwrap().to_owned();
    let ec2 = fixture.aws.ec2("us-east-1").await;
    let image = ec2.describe_images().owners("136693071363").send().await.unwrap().images()[0].image_id.clone();
    let call = ec2.run_instances().set_image_id(image).min_count(1).max_count(1).subnet_id(&subnet);
    let launched = call.instance_type("t3.micro".into()).send().await.unwrap();
    let foreign = launched.instances()[0].instance_id().unwrap().to_owned();

    let report = fixture.engine.destroy(&program).events(fixture.events()).await.unwrap();
    let failure = &report.failures[0];
    assert!(failure.summary.contains(&format!("{subnet} is used by instance {foreign}")), "{failure}");
    let hint = failure.hint.clone().unwrap_or_default();
    assert!(hint.contains(&format!("describe-network-interfaces --filters Name=subnet-id,Values={subnet}")), "{hint}");
    let statuses = fixture.statuses();
    assert!(statuses.iter().any(|status| status.contains(&foreign)), "{statuses:?}");

    ec2.terminate_instances().instance_ids(&foreign).send().await.unwrap();
    let report = fixture.engine.destroy(&program).events(fixture.events()).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    while fixture.cloud.inventory() != before {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", fixture.cloud.inventory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    fixture.cloud.shutdown().await;
}
