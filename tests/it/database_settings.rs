//! Settings of DB instances and clusters, in clouds without database servers.

use crate::databases::major;
use infra_aws::{self as aws, Aws, DbCluster, DbInstance, DbParameterGroup};
use infra_core::{Config, Engine, Result, Stack, store::MemoryStore, target::Readiness};
use infra_local::{LocalCloud, Options};
use tempfile::TempDir;

struct Fixture {
    cloud: LocalCloud,
    _directory: TempDir,
}

impl Fixture {
    async fn start() -> Self {
        let directory = TempDir::new().unwrap();
        let options = Options { control_plane_only: true, ..Options::new(directory.path()) };
        Self { cloud: LocalCloud::start(options).await.unwrap(), _directory: directory }
    }

    fn engine(&self, program: &str) -> Engine {
        let target = infra_core::Target { readiness: Readiness::ControlPlane, ..tests::target(&self.cloud) };
        Engine::new(program, "dev", MemoryStore::new()).target(target)
    }
}

/// Declares an instance in Virginia.
fn declaring(instance: DbInstance) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        aws::region(stack, "us-east-1").add("database", instance.clone());
        Ok(())
    }
}

fn named(name: &str) -> DbInstance {
    DbInstance {
        name: Some(name.to_owned()),
        final_snapshot: false,
        ..DbInstance::postgres("db.t3.micro", "tasks", "cloud", "first-password")
    }
}

/// Applies a program, and fails the test if a refresh then finds a difference.
async fn converges(engine: &Engine, program: &(impl Fn(&Stack, &Config) -> Result + Sync)) {
    let report = engine.up(program).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let plan = engine.preview(program).refresh_first(true).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
}

#[tokio::test(flavor = "multi_thread")]
async fn instances_are_public_only_if_they_are_declared_so() {
    let fixture = Fixture::start().await;
    let engine = fixture.engine("typed");
    let rds = Aws::new(&tests::target(&fixture.cloud)).rds("us-east-1").await;
    let is_public = async |name: &str| {
        let found = rds.describe_db_instances().db_instance_identifier(name).send().await.unwrap();
        found.db_instances()[0].publicly_accessible().unwrap()
    };
    // In the default VPC, RDS chooses a public instance.
    let call = rds.create_db_instance().db_instance_identifier("plain").engine("postgres");
    let call = call.db_instance_class("db.t3.micro").allocated_storage(20).master_username("cloud");
    call.master_user_password("long-enough").send().await.unwrap();
    assert!(is_public("plain").await);

    converges(&engine, &declaring(named("typed"))).await;
    assert!(!is_public("typed").await);
    converges(&engine, &declaring(DbInstance { public: true, ..named("typed") })).await;
    assert!(is_public("typed").await);
    converges(&engine, &declaring(named("typed"))).await;
    assert!(!is_public("typed").await);
    fixture.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn storage_is_checked_in_the_preview_and_changed_in_place() {
    let fixture = Fixture::start().await;
    let engine = fixture.engine("storage");
    let io1 = DbInstance { storage_type: Some("io1".into()), allocated_storage: 100, ..named("storage") };
    let refused = engine.preview(&declaring(io1.clone())).await.unwrap_err().to_string();
    assert!(refused.contains("`iops`: storage of the type io1 needs provisioned IOPS"), "{refused}");
    assert!(refused.contains("set `iops` to 1000 to 5000"), "{refused}");

    let first = DbInstance { iops: Some(1000), ..io1 };
    converges(&engine, &declaring(first.clone())).await;
    let larger = DbInstance { allocated_storage: 200, iops: Some(3000), ..first.clone() };
    let plan = engine.preview(&declaring(larger.clone())).await.unwrap().to_string();
    assert!(plan.contains("~ update DbInstance"), "{plan}");
    converges(&engine, &declaring(larger.clone())).await;

    let refused = engine.preview(&declaring(first)).await.unwrap_err().to_string();
    assert!(refused.contains("RDS cannot reduce the storage from 200 GiB to 100 GiB"), "{refused}");
    assert!(refused.contains("write 200"), "{refused}");
    // A replacement has a disk of its own.
    let other = DbInstance { name: Some("smaller".into()), allocated_storage: 100, ..larger };
    converges(&engine, &declaring(other)).await;
    fixture.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn snapshot_determines_the_encryption() {
    let fixture = Fixture::start().await;
    let rds = Aws::new(&tests::target(&fixture.cloud)).rds("us-east-1").await;
    for (name, encrypted) in [("sealed", true), ("open", false)] {
        let engine = fixture.engine(name);
        converges(&engine, &declaring(DbInstance { encrypted, ..named(name) })).await;
        let call = rds.create_db_snapshot().db_instance_identifier(name).db_snapshot_identifier(format!("{name}-1"));
        call.send().await.unwrap();
    }
    let of = |snapshot: &str, encrypted| DbInstance { snapshot: Some(snapshot.into()), encrypted, ..named("restored") };
    let engine = fixture.engine("restored");
    converges(&engine, &declaring(of("sealed-1", false))).await;
    let engine = fixture.engine("refused");
    let report =
        engine.up(&declaring(DbInstance { name: Some("refused".into()), ..of("open-1", true) })).await.unwrap();
    let failure = report.failures[0].to_string();
    assert!(failure.contains("the snapshot `open-1` is not encrypted"), "{failure}");
    assert!(engine.state().await.unwrap().is_none_or(|state| state.live_count() == 0), "nothing was created");
    fixture.cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn removed_parameter_groups_are_replaced_by_the_default_ones() {
    let fixture = Fixture::start().await;
    let rds = Aws::new(&tests::target(&fixture.cloud)).rds("us-east-1").await;
    let groups = async || {
        let found = rds.describe_db_instances().send().await.unwrap();
        let groups = found.db_instances().iter().map(|instance| &instance.db_parameter_groups()[0]);
        groups.map(|group| group.db_parameter_group_name().unwrap().to_owned()).collect::<Vec<_>>()
    };
    let program = |with_groups: bool| {
        move |stack: &Stack, _: &Config| -> Result {
            let virginia = aws::region(stack, "us-east-1");
            let group = |family: &str| {
                let family = format!("{family}{}", major());
                virginia.add(&format!("of-{family}"), DbParameterGroup::of_family(family).set("work_mem", 4096)).name
            };
            let instances = group("postgres");
            let members = group("aurora-postgresql");
            let instance = DbInstance { parameter_group: with_groups.then_some(instances), ..named("one") };
            virginia.add("database", instance);
            let cluster = DbCluster {
                parameter_group: with_groups.then_some(members),
                final_snapshot: false,
                ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "first-password")
            };
            virginia.add("cluster", cluster);
            Ok(())
        }
    };
    let engine = fixture.engine("parameters");
    converges(&engine, &program(true)).await;
    assert!(groups().await.iter().all(|group| group.starts_with("of-")), "{:?}", groups().await);
    converges(&engine, &program(false)).await;
    let defaults = groups().await;
    assert!(defaults.len() == 3 && defaults.iter().all(|group| group.starts_with("default.")), "{defaults:?}");
    fixture.cloud.shutdown().await;
}
