//! Images that are baked, through every layer: program, engine, SDK, local cloud.

use infra_aws::{self as aws, Aws, BakedImage, Instance, LaunchTemplate, Machine, Service, Subnet, Vpc};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use infra_local::{Fault, LocalCloud, Options, Requests};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tests::PATIENCE;

struct World {
    cloud: LocalCloud,
    engine: Engine,
    aws: Aws,
    directory: TempDir,
}

impl World {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
        let target = tests::target(&cloud);
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
        Self { cloud, engine, aws: Aws::new(&target), directory }
    }

    /// A program that waits, in a new version.
    fn program(&self, version: u32) -> std::path::PathBuf {
        let path = self.directory.path().join("waits");
        let mut program = std::fs::read("/bin/sleep").unwrap();
        program.extend_from_slice(&version.to_le_bytes());
        std::fs::write(&path, program).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        path
    }

    async fn images(&self) -> Vec<String> {
        let ec2 = self.aws.ec2("us-east-1").await;
        let images = ec2.describe_images().owners("self").send().await.unwrap().images.unwrap_or_default();
        images.iter().map(|image| image.image_id().unwrap().to_owned()).collect()
    }

    /// Instances that have not ended.
    async fn living(&self) -> Vec<(String, String)> {
        let ec2 = self.aws.ec2("us-east-1").await;
        let answer = ec2.describe_instances().send().await.unwrap();
        let all = answer.reservations().iter().flat_map(|reservation| reservation.instances().iter());
        let living = all.filter(|one| one.state().unwrap().name().unwrap().as_str() != "terminated");
        living.map(|one| (one.instance_id().unwrap().to_owned(), one.image_id().unwrap().to_owned())).collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_launched_from_an_image_runs_it_and_a_new_program_is_a_new_image() {
    let world = World::new().await;
    let path = world.program(1);
    let program = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let machine = Machine::debian()
            .file("/etc/motd", "baked", "0644")
            .service(Service::prebuilt("waits", &path).argument("600"));
        let image = virginia.add("image", BakedImage::new("t3.micro", machine));
        virginia.add("template", LaunchTemplate::of_image("t3.micro", &image));
        virginia.add(
            "host",
            Instance {
                image: Some(image.id),
                instance_profile: Some(image.instance_profile),
                ..Instance::new("t3.micro")
            },
        );
        Ok(())
    };
    let up = async || {
        let report = world.engine.up(&program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = world.engine.clone().refresh_first(true).preview(&program).await.unwrap();
        assert!(!plan.has_changes(), "what lives is what was declared: {plan}");
    };
    up().await;
    let first = world.images().await;
    let living = world.living().await;
    assert_eq!((first.len(), living.len()), (1, 1), "the builder has been ended: {living:?}");
    assert_eq!(living[0].1, first[0]);
    let running = async || {
        let status = world.cloud.status().await;
        let hosts = &status.regions["us-east-1"].instances;
        let services = hosts.iter().filter(|host| host.state == "running").flat_map(|host| &host.services);
        services.filter(|service| service.name == "waits" && service.pid.is_some()).count()
    };
    let deadline = tokio::time::Instant::now() + PATIENCE;
    while running().await != 1 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", world.cloud.status().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    world.program(2);
    up().await;
    let second = world.images().await;
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);

    let report = world.engine.destroy(&program).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert!(world.images().await.is_empty() && world.living().await.is_empty());
    let ec2 = world.aws.ec2("us-east-1").await;
    let snapshots = ec2.describe_snapshots().owner_ids("self").send().await.unwrap();
    assert!(snapshots.snapshots().is_empty());
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_builder_that_cannot_configure_itself_is_ended_and_its_console_shown() {
    let world = World::new().await;
    let path = world.program(1);
    let program = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let closed = virginia.add("closed", Vpc::new("10.0.0.0/16"));
        let subnet = virginia.add("subnet", Subnet::of(&closed.id, "10.0.1.0/24"));
        let machine = Machine::debian().service(Service::prebuilt("waits", &path).argument("600"));
        let image = BakedImage { subnet: Some(subnet.id), ..BakedImage::new("t3.micro", machine) };
        virginia.add("image", image);
        Ok(())
    };
    let report = world.engine.up(&program).await.unwrap();
    let failures: Vec<String> = report.failures.iter().map(|failure| failure.summary.clone()).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("could not configure itself"), "{failures:?}");
    assert!(failures[0].contains("has no way to the internet"), "{failures:?}");
    assert!(world.images().await.is_empty() && world.living().await.is_empty());
    world.engine.destroy(&program).await.unwrap();
    world.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_image_whose_answer_is_lost_is_not_left_behind() {
    let world = World::new().await;
    let path = world.program(1);
    let program = |stack: &Stack, _: &Config| -> Result {
        let machine = Machine::debian().service(Service::prebuilt("waits", &path).argument("600"));
        aws::region(stack, "us-east-1").add("image", BakedImage::new("t3.micro", machine));
        Ok(())
    };
    let requests = Requests { operation: "ec2:CreateImage".to_owned(), ..Requests::default() };
    world.cloud.inject(&Fault::DropAnswers(requests)).unwrap();
    let report = world.engine.up(&program).await.unwrap();
    assert!(!report.is_success());
    assert!(world.images().await.is_empty() && world.living().await.is_empty(), "{:?}", report.failures);
    world.cloud.inject(&Fault::Clear).unwrap();
    assert!(world.engine.up(&program).await.unwrap().is_success());
    assert_eq!(world.images().await.len(), 1);
    assert!(world.engine.destroy(&program).await.unwrap().is_success());
    assert!(world.images().await.is_empty());
    world.cloud.shutdown().await;
}
