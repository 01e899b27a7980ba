//! Baked images, end to end: program, engine, SDK, local cloud.

use infra_aws::{self as aws, Aws, BakedImage, Instance, LaunchTemplate, Machine, Service, Subnet, Vpc};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore};
use infra_local::{Fault, LocalCloud, Options, Requests};
use std::os::unix::fs::PermissionsExt;
use tempfile::TempDir;
use tests::TIMEOUT;

struct Fixture {
    cloud: LocalCloud,
    engine: Engine,
    aws: Aws,
    directory: TempDir,
}

impl Fixture {
    async fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
        let target = tests::target(&cloud);
        let engine = Engine::new("program", "dev", MemoryStore::new()).target(target.clone());
        Self { cloud, engine, aws: Aws::new(&target), directory }
    }

    /// Writes an executable that sleeps, whose content depends on the version.
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

    /// Returns the ids and images of the instances that are not terminated.
    async fn active_instances(&self) -> Vec<(String, String)> {
        let ec2 = self.aws.ec2("us-east-1").await;
        let answer = ec2.describe_instances().send().await.unwrap();
        let all = answer.reservations().iter().flat_map(|reservation| reservation.instances().iter());
        let active_instances =
            all.filter(|instance| instance.state().unwrap().name().unwrap().as_str() != "terminated");
        active_instances
            .map(|instance| (instance.instance_id().unwrap().to_owned(), instance.image_id().unwrap().to_owned()))
            .collect()
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_runs_the_program_of_its_image_and_a_changed_program_replaces_the_image() {
    let fixture = Fixture::new().await;
    let path = fixture.program(1);
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
        let report = fixture.engine.up(&program).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = fixture.engine.preview(&program).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "the actual state differs from the declaration: {plan}");
    };
    up().await;
    let first = fixture.images().await;
    let active_instances = fixture.active_instances().await;
    assert_eq!((first.len(), active_instances.len()), (1, 1), "the builder is terminated: {active_instances:?}");
    assert_eq!(active_instances[0].1, first[0]);
    let running = async || {
        let status = fixture.cloud.status().await;
        let hosts = &status.regions["us-east-1"].instances;
        let services = hosts.iter().filter(|host| host.state == "running").flat_map(|host| &host.services);
        services.filter(|service| service.name == "waits" && service.pid.is_some()).count()
    };
    let deadline = tokio::time::Instant::now() + TIMEOUT;
    while running().await != 1 {
        assert!(tokio::time::Instant::now() < deadline, "{:?}", fixture.cloud.status().await);
        tokio::time::sleep(std::time::Duration::from_millis(20)).await;
    }

    fixture.program(2);
    up().await;
    let second = fixture.images().await;
    assert_eq!(second.len(), 1);
    assert_ne!(first, second);

    let report = fixture.engine.destroy(&program).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert!(fixture.images().await.is_empty() && fixture.active_instances().await.is_empty());
    let ec2 = fixture.aws.ec2("us-east-1").await;
    let snapshots = ec2.describe_snapshots().owner_ids("self").send().await.unwrap();
    assert!(snapshots.snapshots().is_empty());
    fixture.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn builder_whose_setup_fails_is_terminated_and_its_console_is_shown() {
    let fixture = Fixture::new().await;
    let path = fixture.program(1);
    let program = |stack: &Stack, _: &Config| -> Result {
        let virginia = aws::region(stack, "us-east-1");
        let closed = virginia.add("closed", Vpc::new("10.0.0.0/16"));
        let subnet = virginia.add("subnet", Subnet::of(&closed.id, "10.0.1.0/24"));
        let machine = Machine::debian().service(Service::prebuilt("waits", &path).argument("600"));
        let image = BakedImage { subnet: Some(subnet.id), ..BakedImage::new("t3.micro", machine) };
        virginia.add("image", image);
        Ok(())
    };
    let report = fixture.engine.up(&program).await.unwrap();
    let failures: Vec<String> = report.failures.iter().map(|failure| failure.summary.clone()).collect();
    assert_eq!(failures.len(), 1, "{failures:?}");
    assert!(failures[0].contains("could not configure itself"), "{failures:?}");
    assert!(failures[0].contains("has no way to the internet"), "{failures:?}");
    assert!(fixture.images().await.is_empty() && fixture.active_instances().await.is_empty());
    fixture.engine.destroy(&program).await.unwrap();
    fixture.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn image_is_not_left_behind_when_the_response_of_its_create_is_lost() {
    let fixture = Fixture::new().await;
    let path = fixture.program(1);
    let program = |stack: &Stack, _: &Config| -> Result {
        let machine = Machine::debian().service(Service::prebuilt("waits", &path).argument("600"));
        aws::region(stack, "us-east-1").add("image", BakedImage::new("t3.micro", machine));
        Ok(())
    };
    let requests = Requests { operation: "ec2:CreateImage".to_owned(), ..Requests::default() };
    fixture.cloud.inject(&Fault::DropAnswers(requests)).unwrap();
    let report = fixture.engine.up(&program).await.unwrap();
    assert!(!report.is_success());
    assert!(fixture.images().await.is_empty() && fixture.active_instances().await.is_empty(), "{:?}", report.failures);
    fixture.cloud.inject(&Fault::Clear).unwrap();
    assert!(fixture.engine.up(&program).await.unwrap().is_success());
    assert_eq!(fixture.images().await.len(), 1);
    assert!(fixture.engine.destroy(&program).await.unwrap().is_success());
    assert!(fixture.images().await.is_empty());
    fixture.cloud.shutdown().await;
}
