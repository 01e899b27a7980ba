//! Requests that AWS refuses for a reason which passes, or which somebody else has to remove.

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
use tests::PATIENCE;

struct World {
    cloud: LocalCloud,
    engine: Engine,
    aws: Aws,
    statuses: Arc<Mutex<Vec<String>>>,
    _directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path())).await.unwrap();
        let target = tests::target(&cloud);
        let statuses = Arc::new(Mutex::new(Vec::new()));
        let seen = statuses.clone();
        let events = Events::to(move |event| {
            if let Event::StepStatus { message, .. } = event {
                seen.lock().unwrap().push(message);
            }
        });
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone()).events(events);
        Self { cloud, engine, aws: Aws::new(&target), statuses, _directory: directory }
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
async fn throttled_requests_are_repeated_and_reported() {
    let world = World::new().await;
    let requests = Requests { operation: "ec2:CreateVpc".to_owned(), count: Some(7), ..Requests::default() };
    world.cloud.inject(&Fault::Throttle(requests)).unwrap();
    let report = world.engine.up(&program).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let statuses = world.statuses();
    assert!(statuses.iter().any(|status| status.contains("retrying CreateVpc")), "{statuses:?}");
    assert!(world.engine.destroy(&program).await.unwrap().is_success());
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_deletion_names_what_blocks_it_and_waits_only_for_what_is_being_deleted() {
    let world = World::new().await;
    let before = world.cloud.inventory();
    assert!(world.engine.up(&program).await.unwrap().is_success());
    let subnet = world.engine.outputs().await.unwrap()["subnet"].as_str().unwrap().to_owned();
    let ec2 = world.aws.ec2("us-east-1").await;
    let image = ec2.describe_images().owners("136693071363").send().await.unwrap().images()[0].image_id.clone();
    let call = ec2.run_instances().set_image_id(image).min_count(1).max_count(1).subnet_id(&subnet);
    let launched = call.instance_type("t3.micro".into()).send().await.unwrap();
    let foreign = launched.instances()[0].instance_id().unwrap().to_owned();

    let report = world.engine.destroy(&program).await.unwrap();
    let failure = &report.failures[0];
    assert!(failure.summary.contains(&format!("{subnet} is used by instance {foreign}")), "{failure}");
    let hint = failure.hint.clone().unwrap_or_default();
    assert!(hint.contains(&format!("describe-network-interfaces --filters Name=subnet-id,Values={subnet}")), "{hint}");
    let statuses = world.statuses();
    assert!(statuses.iter().any(|status| status.contains(&foreign)), "{statuses:?}");

    ec2.terminate_instances().instance_ids(&foreign).send().await.unwrap();
    let report = world.engine.destroy(&program).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let gone = async || world.cloud.inventory() == before;
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while !gone().await {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", world.cloud.inventory());
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
    world.cloud.shutdown().await;
}
