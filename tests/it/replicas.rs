//! Read replicas of DB instances, and cluster parameter groups.

use crate::databases::{major, sql, wait_for_answer};
use infra_aws::{self as aws, DbCluster, DbClusterParameterGroup, DbInstance, DefaultVpc, Rule, SecurityGroup};
use infra_core::{Config, Engine, Result, Stack, engine::ImportRequest, execute::Report, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use insta::assert_snapshot;
use tempfile::TempDir;
use tests::stable;

/// The source of the third instance's replication.
#[derive(Clone, Copy)]
enum Source {
    Tasks,
    Others,
    Nothing,
}

fn replicated(source: Source) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let ohio = aws::region(stack, "us-east-2");
        let network = ohio.lookup(DefaultVpc);
        let ingress = vec![Rule::tcp(5432).from_anywhere()];
        let access = ohio.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id) });
        let plain = || DbInstance {
            security_groups: vec![access.id.clone()],
            final_snapshot: false,
            ..DbInstance::postgres("db.t3.micro", "tasks", "cloud", "first-password")
        };
        let tasks = ohio.add("tasks", plain());
        let others = ohio.add("others", plain());
        let of = |source| DbInstance {
            security_groups: vec![access.id.clone()],
            final_snapshot: false,
            ..DbInstance::replica("db.t3.micro", source, "tasks", "cloud", "first-password")
        };
        let replica = match source {
            Source::Tasks => of(tasks.id),
            Source::Others => of(others.id),
            Source::Nothing => plain(),
        };
        let replica = ohio.add("replica", replica);
        stack.export("source", tasks.url);
        stack.export("replica", replica.url);
        stack.export("id", replica.id);
        Ok(())
    }
}

fn succeeded(report: Report) -> Report {
    assert!(report.is_success(), "{:?}", report.failures);
    report
}

#[tokio::test(flavor = "multi_thread")]
async fn replica_follows_its_source_until_it_is_promoted() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let target = tests::target(&cloud);
    let engine = Engine::new("replicas", "dev", MemoryStore::new()).target(target.clone());
    let output = async |name: &str| engine.outputs().await.unwrap()[name].as_str().unwrap().to_owned();

    succeeded(engine.up(&replicated(Source::Tasks)).await.unwrap());
    let (source, replica) = (output("source").await, output("replica").await);
    sql(&source, "CREATE TABLE t AS SELECT 42 AS answer").unwrap();
    wait_for_answer(&replica, "SELECT pg_is_in_recovery(), answer FROM t", "t|42").await;
    assert!(sql(&replica, "INSERT INTO t VALUES (1)").is_err());
    let drift = succeeded(engine.refresh(&replicated(Source::Tasks)).await.unwrap()).drift;
    assert!(drift.is_empty(), "{drift:?}");
    assert!(!engine.preview(&replicated(Source::Tasks)).await.unwrap().has_changes());

    let importer = Engine::new("importer", "dev", MemoryStore::new()).target(target.clone());
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-2");
        Ok(())
    };
    let request = ImportRequest {
        kind: "aws:rds:DbInstance".into(),
        name: "replica".into(),
        id: output("id").await,
        region: Some("us-east-2".into()),
    };
    let adopted = importer.import(&region, &[request]).await.unwrap();
    let line = adopted[0].declaration.lines().find(|line| line.contains("replicate_from")).unwrap();
    assert_snapshot!(stable(line.trim()), @r#"replicate_from: Some(DbInstanceId::from("tasks-<suffix>").into()),"#);

    let report = engine.up(&replicated(Source::Others)).await.unwrap();
    let failure = report.failures[0].to_string();
    assert!(failure.contains("and cannot be changed to replicate `others-"), "{failure}");
    assert!(failure.contains("up --replace"), "{failure}");

    // Promoted in place, with separate backups.
    let before = output("id").await;
    succeeded(engine.up(&replicated(Source::Nothing)).await.unwrap());
    assert_eq!(output("id").await, before);
    let replica = output("replica").await;
    wait_for_answer(&replica, "SELECT pg_is_in_recovery(), answer FROM t", "f|42").await;
    sql(&replica, "INSERT INTO t VALUES (1)").unwrap();
    wait_for_answer(&source, "SELECT count(*) FROM t", "1").await;
    assert!(!engine.preview(&replicated(Source::Nothing)).refresh_first(true).await.unwrap().has_changes());

    succeeded(engine.destroy(&replicated(Source::Nothing)).await.unwrap());
    assert!(cloud.status().await.regions["us-east-2"].databases.is_empty());
    cloud.shutdown().await;
}

fn cluster(work_mem: u32) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.lookup(DefaultVpc);
        let ingress = vec![Rule::tcp(5432).from_anywhere()];
        let access = virginia.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id) });
        let parameters = DbClusterParameterGroup {
            name: Some("of-clusters".to_owned()),
            ..DbClusterParameterGroup::of_family(format!("aurora-postgresql{}", major())).set("work_mem", work_mem)
        };
        let parameters = virginia.add("parameters", parameters);
        let database = DbCluster {
            instances: 1,
            security_groups: vec![access.id],
            cluster_parameter_group: Some(parameters.name),
            final_snapshot: false,
            ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "first-password")
        };
        stack.export("url", virginia.add("cluster", database).url);
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_parameter_group_configures_all_members() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let target = tests::target(&cloud);
    let engine = Engine::new("clusters", "dev", MemoryStore::new()).target(target.clone());
    succeeded(engine.up(&cluster(2048)).await.unwrap());
    let url = engine.outputs().await.unwrap()["url"].as_str().unwrap().to_owned();
    wait_for_answer(&url, "SHOW work_mem", "2MB").await;
    assert!(!engine.preview(&cluster(2048)).refresh_first(true).await.unwrap().has_changes());
    succeeded(engine.up(&cluster(3072)).await.unwrap());
    wait_for_answer(&url, "SHOW work_mem", "3MB").await;

    let importer = Engine::new("importer", "dev", MemoryStore::new()).target(target);
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-1");
        Ok(())
    };
    let request = ImportRequest {
        kind: "aws:rds:ClusterParameterGroup".into(),
        name: "parameters".into(),
        id: "of-clusters".into(),
        region: Some("us-east-1".into()),
    };
    let adopted = importer.import(&region, &[request]).await.unwrap();
    let declaration =
        adopted[0].declaration.replace(&format!("aurora-postgresql{}", major()), "aurora-postgresql<major>");
    assert_snapshot!(declaration, @r#"
    aws::region(stack, "us-east-1").add("parameters", DbClusterParameterGroup {
        name: Some("of-clusters".into()),
        family: "aurora-postgresql<major>".into(),
        description: "Managed by infra".into(),
        parameters: [
            ("work_mem".into(), "3072".into()),
        ].into(),
        tags: Default::default(),
    });
    "#);
    succeeded(engine.destroy(&cluster(3072)).await.unwrap());
    cloud.shutdown().await;
}
