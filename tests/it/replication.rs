//! A replicated PostgreSQL server, end to end: standbys that stream when the run ends, and that outlive their primary.

use crate::databases::{sql, wait_for_answer};
use crate::skip::skip;
use infra_aws::{
    self as aws, Aws, DefaultVpc, Instance, Machine, MariaDb, ReplicatedDatabase, Replication, Rule, SecurityGroup,
};
use infra_core::{Config, Engine, Result, Stack, engine::Run, execute::Report, store::MemoryStore};
use infra_local::{LocalCloud, Options};
use std::{process::Command, time::Instant};
use tempfile::TempDir;
use tests::TIMEOUT;

const REGION: &str = "us-east-2";

fn program(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, REGION);
    let network = region.lookup(DefaultVpc);
    let cluster = ReplicatedDatabase::postgres(&region, "database")
        .database("tasks", "cloud", "it's a pass/word")
        .replicas(config.get_or("replicas", 2_u32)? as usize)
        .network(network.vpc_id, [network.subnets.index(0), network.subnets.index(1)])
        .reachable_by(network.cidr)
        .declare()?;
    stack.export("primary", cluster.primary.url);
    stack.export("primary-id", cluster.primary.instance_id);
    for (number, replica) in cluster.replicas.into_iter().enumerate() {
        stack.export(&format!("replica-{number}"), replica.url);
        stack.export(&format!("replica-{number}-id"), replica.instance_id);
    }
    Ok(())
}

async fn up(run: Run<'_, Report>) {
    let report = run.await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
}

async fn output(engine: &Engine, name: &str) -> String {
    engine.outputs().await.unwrap()[name].as_str().unwrap().to_owned()
}

/// Waits until an instance is in a state.
async fn wait_for_state(aws: &Aws, id: &str, state: &str) {
    let ec2 = aws.ec2(REGION).await;
    let started = Instant::now();
    loop {
        let answer = ec2.describe_instances().instance_ids(id).send().await.unwrap();
        let instance = &answer.reservations()[0].instances()[0];
        if instance.state().unwrap().name().unwrap().as_str() == state {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "{id} is not {state}");
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn standbys_stream_when_the_run_ends_and_outlive_their_primary() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let target = tests::target(&cloud);
    let aws = Aws::new(&target);
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(target);
    up(engine.up(&program)).await;
    let urls = [output(&engine, "replica-0").await, output(&engine, "replica-1").await];
    for url in &urls {
        assert_eq!(sql(url, "SELECT pg_is_in_recovery(), count(*) FROM pg_stat_wal_receiver").unwrap(), "t|1");
    }
    let primary = output(&engine, "primary").await;
    assert_eq!(sql(&primary, "SELECT count(*) FROM pg_stat_replication").unwrap(), "2");
    sql(&primary, "CREATE TABLE kept AS SELECT generate_series(1, 1000) AS id").unwrap();
    for url in &urls {
        wait_for_answer(url, "SELECT count(*) FROM kept", "1000").await;
    }

    let ec2 = aws.ec2(REGION).await;
    let (primary_id, lost) = (output(&engine, "primary-id").await, output(&engine, "replica-1-id").await);
    ec2.stop_instances().instance_ids(&primary_id).send().await.unwrap();
    wait_for_state(&aws, &primary_id, "stopped").await;
    for url in &urls {
        assert_eq!(sql(url, "SELECT count(*) FROM kept").unwrap(), "1000");
    }
    ec2.start_instances().instance_ids(&primary_id).send().await.unwrap();
    wait_for_answer(&primary, "INSERT INTO kept VALUES (1001) RETURNING id", "1001").await;
    wait_for_answer(&urls[0], "SELECT count(*) FROM kept", "1001").await;

    ec2.terminate_instances().instance_ids(&lost).send().await.unwrap();
    wait_for_state(&aws, &lost, "terminated").await;
    up(engine.up(&program).refresh_first(true)).await;
    assert_ne!(output(&engine, "replica-1-id").await, lost);
    wait_for_answer(&output(&engine, "replica-1").await, "SELECT count(*) FROM kept", "1001").await;

    let smaller = engine.clone().config([("replicas", "1")]);
    up(smaller.up(&program)).await;
    wait_for_answer(&primary, "SELECT count(*) FROM pg_stat_replication", "1").await;
    let plan = smaller.preview(&program).refresh_first(true).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    up(smaller.destroy(&program)).await;
    cloud.shutdown().await;
}

/// Declares a MariaDB server with a standby.
fn mariadb(stack: &Stack, _: &Config) -> Result {
    let region = aws::region(stack, REGION);
    let network = region.lookup(DefaultVpc);
    let ingress = vec![Rule::tcp(3306).from_cidr(network.cidr)];
    let access = region.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id) });
    let host = |replication| Instance {
        security_groups: vec![access.id.clone()],
        machine: Machine::debian().mariadb(MariaDb::new("tasks", "cloud", "a-password").replication(replication)),
        ..Instance::new("t3.micro")
    };
    let primary = region.add("primary", host(Replication::primary("it's another")));
    let standby = region.add("standby", host(Replication::standby_of(primary.private_ip.clone(), "it's another")));
    stack.export("primary", primary.private_ip);
    stack.export("standby", standby.private_ip);
    Ok(())
}

/// Executes a statement and returns its result, or the error output of the client.
fn mariadb_sql(address: &str, statement: &str) -> Result<String, String> {
    let mut command = Command::new("mariadb");
    command.args(["--no-defaults", "--skip-ssl", "--protocol=tcp", "--user=cloud", "--batch", "--skip-column-names"]);
    command.args([&format!("--host={address}"), &format!("--execute={statement}"), "tasks"]);
    let output = command.env("MYSQL_PWD", "a-password").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

#[tokio::test(flavor = "multi_thread")]
async fn standby_of_mariadb_replicates_when_the_run_ends() {
    if Command::new("mariadbd").arg("--version").output().is_err() {
        skip("MariaDB is not installed");
        return;
    }
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    up(engine.up(&mariadb)).await;
    let (primary, standby) = (output(&engine, "primary").await, output(&engine, "standby").await);
    mariadb_sql(&primary, "CREATE TABLE kept AS SELECT 42 AS answer").unwrap();
    let started = Instant::now();
    while mariadb_sql(&standby, "SELECT answer FROM kept").as_deref() != Ok("42") {
        assert!(started.elapsed() < TIMEOUT);
        tokio::time::sleep(std::time::Duration::from_millis(50)).await;
    }
    let refused = mariadb_sql(&standby, "DROP TABLE kept").unwrap_err();
    assert!(refused.contains("--read-only"), "{refused}");
    up(engine.destroy(&mariadb)).await;
    cloud.shutdown().await;
}
