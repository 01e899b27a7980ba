//! Databases, end to end: real PostgreSQL servers behind endpoints that are stable across restarts and failovers.

use infra_aws::{
    self as aws, Aws, DbCluster, DbInstance, DbParameterGroup, DbSubnetGroup, DefaultVpc, Rule, SecurityGroup,
};
use infra_core::{
    Config, Engine, Result, Stack,
    engine::{EngineError, ImportRequest},
    store::{FileStore, MemoryStore, StoreError},
};
use infra_local::{DatabaseStatus, LocalCloud, Options};
use insta::assert_snapshot;
use rustix::process::{Pid, Signal, kill_process};
use std::{
    collections::BTreeSet,
    net::{SocketAddr, TcpStream},
    path::Path,
    process::Command,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, Ordering},
    },
    thread,
    time::{Duration, Instant},
};
use tempfile::TempDir;
use tests::{TIMEOUT, stable};

/// The variable parts of a DB instance's declaration.
#[derive(Clone, Copy)]
struct Tasks {
    password: &'static str,
    work_mem: u32,
    max_connections: u32,
    storage: u32,
    open: bool,
    final_snapshot: bool,
}

const TASKS: Tasks = Tasks {
    password: "first-password",
    work_mem: 1024,
    max_connections: 30,
    storage: 20,
    open: true,
    final_snapshot: false,
};

fn instance(tasks: Tasks) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let ohio = aws::region(stack, "us-east-2");
        let network = ohio.lookup(DefaultVpc);
        let ingress = if tasks.open { vec![Rule::tcp(5432).from_anywhere()] } else { Vec::new() };
        let access = ohio.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id) });
        let subnets = ohio.add("subnets", DbSubnetGroup::of(network.subnets));
        let family = format!("postgres{}", major());
        let parameters = DbParameterGroup::of_family(family)
            .set("work_mem", tasks.work_mem)
            .set("max_connections", tasks.max_connections);
        let parameters = ohio.add("parameters", parameters);
        let database = ohio.add(
            "database",
            DbInstance {
                allocated_storage: tasks.storage,
                subnet_group: Some(subnets.name),
                security_groups: vec![access.id],
                parameter_group: Some(parameters.name),
                final_snapshot: tasks.final_snapshot,
                ..DbInstance::postgres("db.t3.micro", "tasks", "cloud", tasks.password)
            },
        );
        stack.export("id", database.id);
        stack.export("endpoint", database.endpoint);
        stack.export("url", database.url);
        Ok(())
    }
}

/// Declares a cluster of this number of instances, without a final snapshot.
fn cluster(instances: u32) -> impl Fn(&Stack, &Config) -> Result + Sync {
    cluster_of(DbCluster {
        instances,
        final_snapshot: false,
        ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "first-password")
    })
}

/// Declares a cluster with the name `tasks` that is open to all addresses.
fn cluster_of(cluster: DbCluster) -> impl Fn(&Stack, &Config) -> Result + Sync {
    move |stack, _| {
        let virginia = aws::region(stack, "us-east-1");
        let network = virginia.lookup(DefaultVpc);
        let access = virginia.add(
            "cluster-access",
            SecurityGroup { ingress: vec![Rule::tcp(5432).from_anywhere()], ..SecurityGroup::in_vpc(network.vpc_id) },
        );
        let database = virginia.add(
            "cluster",
            DbCluster { name: Some("tasks".to_owned()), security_groups: vec![access.id], ..cluster.clone() },
        );
        stack.export("writer", database.url);
        stack.export("reader", database.reader_url);
        Ok(())
    }
}

/// Returns the command for an executable of PostgreSQL, which is found as the local cloud does.
fn postgres(program: &str) -> Command {
    let installed = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let newest =
        installed.filter_map(|entry| Some((entry.file_name().to_str()?.parse::<u32>().ok()?, entry.path()))).max();
    Command::new(newest.map_or_else(|| program.into(), |(_, path)| path.join("bin").join(program)))
}

pub(crate) fn major() -> String {
    let output = postgres("postgres").arg("--version").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    text.split_whitespace().nth(2).unwrap().split('.').next().unwrap().to_owned()
}

/// Executes a statement and returns its result, or the error output of the client.
pub(crate) fn sql(url: &str, statement: &str) -> Result<String, String> {
    let output =
        postgres("psql").args(["-X", "-Atq", "-c", statement, url]).env("PGCONNECT_TIMEOUT", "10").output().unwrap();
    let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap().trim().to_owned();
    if output.status.success() { Ok(text(output.stdout)) } else { Err(text(output.stderr)) }
}

/// Repeats a statement until its result is the expected one.
pub(crate) async fn wait_for_answer(url: &str, statement: &str, expected: &str) {
    let started = Instant::now();
    loop {
        let answer = sql(url, statement);
        if answer.as_deref() == Ok(expected) {
            return;
        }
        assert!(started.elapsed() < TIMEOUT, "{statement} returns {answer:?} instead of {expected}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// A client that continuously inserts numbers into the table `w`.
struct Client {
    acknowledged: Arc<Mutex<Vec<u32>>>,
    stop: Arc<AtomicBool>,
    thread: thread::JoinHandle<()>,
}

impl Client {
    fn start(url: &str) -> Self {
        let (acknowledged, stop) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicBool::new(false)));
        let (url, inserted, stopped) = (url.to_owned(), Arc::clone(&acknowledged), Arc::clone(&stop));
        let thread = thread::spawn(move || {
            for number in 0.. {
                if stopped.load(Ordering::Relaxed) {
                    return;
                }
                if sql(&url, &format!("INSERT INTO w VALUES ({number})")).is_ok() {
                    inserted.lock().unwrap().push(number);
                }
            }
        });
        Self { acknowledged, stop, thread }
    }

    /// Waits until this number of further inserts is acknowledged.
    async fn wait_for_inserts(&self, more: usize) {
        let count = || self.acknowledged.lock().unwrap().len();
        let (before, started) = (count(), Instant::now());
        while count() < before + more {
            assert!(started.elapsed() < TIMEOUT, "no insert succeeds any more");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }

    /// Stops the client and returns all acknowledged numbers.
    fn stop(self) -> Vec<u32> {
        self.stop.store(true, Ordering::Relaxed);
        self.thread.join().unwrap();
        self.acknowledged.lock().unwrap().clone()
    }
}

async fn statuses(cloud: &LocalCloud, region: &str) -> Vec<DatabaseStatus> {
    cloud.status().await.regions[region].databases.clone()
}

/// Waits until the databases of a region satisfy a condition.
async fn until(cloud: &LocalCloud, region: &str, holds: impl Fn(&[DatabaseStatus]) -> bool) -> Vec<DatabaseStatus> {
    let started = Instant::now();
    loop {
        let databases = statuses(cloud, region).await;
        if holds(&databases) {
            return databases;
        }
        assert!(started.elapsed() < TIMEOUT, "timed out: {databases:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

fn is_running(pid: u32) -> bool {
    std::fs::read_to_string(Path::new("/proc").join(pid.to_string()).join("stat"))
        .is_ok_and(|stat| !stat.contains(") Z "))
}

fn is_open(endpoint: &str) -> bool {
    let address: SocketAddr = endpoint.parse().unwrap();
    TcpStream::connect_timeout(&address, Duration::from_secs(1)).is_ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_is_created_updated_restarted_and_deleted() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(tests::target(&cloud));
    let up = async |tasks: Tasks| {
        let report = engine.up(&instance(tasks)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = engine.preview(&instance(tasks)).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
    };
    let output = async |name: &str| engine.outputs().await.unwrap()[name].as_str().unwrap_or_default().to_owned();

    let plan = stable(&engine.preview(&instance(TASKS)).await.unwrap().to_string());
    assert!(plan.contains("password: [secret]") && !plan.contains("first-password"), "{plan}");
    up(TASKS).await;
    let (id, endpoint) = (output("id").await, output("endpoint").await);
    let url = |password: &str| format!("postgres://cloud:{password}@{endpoint}/tasks");
    let first = url("first-password");
    assert_eq!(sql(&first, "CREATE TABLE t AS SELECT 42 AS answer").unwrap(), "");
    assert_eq!(
        sql(&first, "SELECT current_user, rolsuper FROM pg_roles WHERE rolname = current_user").unwrap(),
        "cloud|f"
    );
    assert_eq!(sql(&first, "SHOW work_mem").unwrap(), "1MB");
    assert_eq!(sql(&first, "SHOW max_connections").unwrap(), "30");
    assert!(sql(&url("wrong-password"), "SELECT 1").unwrap_err().contains("password authentication failed"));

    // Password, a dynamic parameter and storage are updated in place.
    let changed = Tasks { password: "second-password", work_mem: 2048, max_connections: 40, storage: 30, ..TASKS };
    let plan = stable(&engine.preview(&instance(changed)).await.unwrap().to_string());
    assert_snapshot!(plan, @r#"
    ~ update DbParameterGroup parameters [us-east-2]
        ~ parameters.max_connections: "30" => "40"
        ~ parameters.work_mem: "1024" => "2048"
    ~ update DbInstance database [us-east-2]
        ~ allocated_storage: 20 => 30
        ~ password: [secret] => [secret]
    2 same, 2 update
    endpoint = (known after apply)
    id = "database-<suffix>"
    url = (known after apply)
    "#);
    up(changed).await;
    assert_eq!(output("id").await, id);
    let second = url("second-password");
    assert!(sql(&first, "SELECT 1").is_err(), "the previous password is no longer accepted");
    wait_for_answer(&second, "SHOW work_mem", "2MB").await;
    assert_eq!(sql(&second, "SHOW max_connections").unwrap(), "30", "a static parameter waits for a reboot");
    assert_eq!(sql(&second, "SELECT answer FROM t").unwrap(), "42");

    // A killed server is restarted with its data.
    let pid = statuses(&cloud, "us-east-2").await[0].pid.unwrap();
    kill_process(Pid::from_raw(pid.cast_signed()).unwrap(), Signal::KILL).unwrap();
    until(&cloud, "us-east-2", |all| all[0].pid.is_some_and(|other| other != pid) && all[0].restarts == 1).await;
    wait_for_answer(&second, "SELECT answer FROM t", "42").await;
    assert_eq!(sql(&second, "SHOW max_connections").unwrap(), "40", "a restart applies the static parameter");

    // Without an ingress rule, the endpoint is closed.
    up(Tasks { open: false, ..changed }).await;
    until_closed(&endpoint).await;
    up(Tasks { final_snapshot: true, ..changed }).await;
    wait_for_answer(&second, "SELECT answer FROM t", "42").await;

    let pid = statuses(&cloud, "us-east-2").await[0].pid.unwrap();
    let destroyed = engine.destroy(&instance(changed)).await.unwrap();
    assert!(destroyed.is_success(), "{:?}", destroyed.failures);
    assert!(!is_running(pid), "the server is stopped");
    until_closed(&endpoint).await;
    let counts = &cloud.status().await.regions["us-east-2"].counts;
    assert_eq!((counts["databases"], counts["database_snapshots"]), (0, 1), "only the final snapshot is left");
    assert_eq!((counts["database_subnet_groups"], counts["database_parameter_groups"]), (0, 0));
    cloud.shutdown().await;
}

async fn until_closed(endpoint: &str) {
    let started = Instant::now();
    while is_open(endpoint) {
        assert!(started.elapsed() < TIMEOUT, "{endpoint} still listens");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_fails_over_without_losing_committed_data() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let target = tests::target(&cloud);
    let rds = Aws::new(&target).rds("us-east-1").await;
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(target);
    let up = async |instances: u32| {
        let report = engine.up(&cluster(instances)).await.unwrap();
        assert!(report.is_success(), "{:?}", report.failures);
        let plan = engine.preview(&cluster(instances)).refresh_first(true).await.unwrap();
        assert!(!plan.has_changes(), "{plan}");
    };
    up(2).await;
    let status = cloud.status().await.regions["us-east-1"].database_clusters[0].clone();
    let writer = format!("postgres://cloud:first-password@{}/tasks", status.writer_endpoint);
    let reader = format!("postgres://cloud:first-password@{}/tasks", status.reader_endpoint);
    sql(&writer, "CREATE TABLE t (x int)").unwrap();
    sql(&writer, "INSERT INTO t VALUES (1)").unwrap();
    wait_for_answer(&reader, "SELECT pg_is_in_recovery(), sum(x) FROM t", "t|1").await;
    assert!(sql(&reader, "INSERT INTO t VALUES (0)").unwrap_err().contains("read-only transaction"));

    // After a requested failover and after a kill of the writer, the reader becomes the writer, and the former writer
    // follows it.
    sql(&writer, "CREATE TABLE w (x int)").unwrap();
    let client = Client::start(&writer);
    for round in 2..5 {
        let settled =
            |all: &[DatabaseStatus]| all.iter().all(|database| database.state == "available" && database.pid.is_some());
        let before = until(&cloud, "us-east-1", settled).await;
        let primary = before.iter().find(|database| database.role == "primary").unwrap();
        let written = sql(&writer, &format!("INSERT INTO t VALUES ({round}) RETURNING x")).unwrap();
        assert_eq!(written, round.to_string());
        client.wait_for_inserts(3).await;
        if round == 2 {
            rds.failover_db_cluster().db_cluster_identifier("tasks").send().await.unwrap();
        } else {
            kill_process(Pid::from_raw(primary.pid.unwrap().cast_signed()).unwrap(), Signal::KILL).unwrap();
        }
        let sum = (1..=round).sum::<u32>();
        wait_for_answer(&writer, "SELECT pg_is_in_recovery(), sum(x) FROM t", &format!("f|{sum}")).await;
        let after = until(&cloud, "us-east-1", |all| {
            all.iter().any(|database| database.role == "standby" && database.pid.is_some())
        })
        .await;
        assert_eq!(
            after.iter().find(|database| database.role == "standby").unwrap().id,
            primary.id,
            "the roles are swapped"
        );
        wait_for_answer(&reader, "SELECT pg_is_in_recovery(), sum(x) FROM t", &format!("t|{sum}")).await;
        client.wait_for_inserts(3).await;
    }
    let acknowledged = client.stop().into_iter().collect::<BTreeSet<_>>();
    let kept: BTreeSet<u32> =
        sql(&writer, "SELECT x FROM w").unwrap().lines().map(|line| line.parse().unwrap()).collect();
    let lost: Vec<_> = acknowledged.difference(&kept).collect();
    assert!(lost.is_empty(), "lost acknowledged inserts: {lost:?} of {}", acknowledged.len());

    // The number of readers is updated in place.
    up(3).await;
    until(&cloud, "us-east-1", |all| {
        all.iter().filter(|database| database.role == "standby" && database.pid.is_some()).count() == 2
    })
    .await;
    up(1).await;
    assert_eq!(statuses(&cloud, "us-east-1").await.len(), 1);
    wait_for_answer(&writer, "SELECT sum(x) FROM t", "10").await;
    wait_for_answer(&reader, "SELECT pg_is_in_recovery(), sum(x) FROM t", "f|10").await;

    let pids: Vec<u32> = statuses(&cloud, "us-east-1").await.iter().filter_map(|database| database.pid).collect();
    assert!(engine.destroy(&cluster(1)).await.unwrap().is_success());
    assert!(pids.iter().all(|pid| !is_running(*pid)), "all servers are stopped");
    until_closed(&status.writer_endpoint).await;
    until_closed(&status.reader_endpoint).await;
    let counts = &cloud.status().await.regions["us-east-1"].counts;
    assert_eq!((counts["databases"], counts["database_clusters"], counts["database_snapshots"]), (0, 0, 0));
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn interrupted_creates_are_found_by_the_next_run() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let store = FileStore::new(directory.path().join("state"));
    let engine = Engine::new("program", "dev", store).target(tests::target(&cloud));
    let both = |stack: &Stack, config: &Config| -> Result {
        instance(TASKS)(stack, config)?;
        cluster(2)(stack, config)
    };
    // Interrupted when the cluster's second instance is requested and before any create can be complete.
    let requested = async {
        until(&cloud, "us-east-2", |all| all.len() == 1).await;
        until(&cloud, "us-east-1", |all| all.len() == 2).await
    };
    tokio::select! {
        report = engine.up(&both).into_future() => panic!("the run has finished: {:?}", report.map(|report| report.failures)),
        _ = requested => {}
    }
    // The dropped run releases the stack in the background.
    let report = loop {
        match engine.up(&both).await {
            Err(EngineError::Store(StoreError::Locked { .. })) => tokio::time::sleep(Duration::from_millis(10)).await,
            outcome => break outcome.unwrap(),
        }
    };
    assert!(report.is_success(), "{:?}", report.failures);
    assert!(!engine.preview(&both).refresh_first(true).await.unwrap().has_changes());
    assert_eq!((statuses(&cloud, "us-east-1").await.len(), statuses(&cloud, "us-east-2").await.len()), (2, 1));
    assert!(engine.destroy(&both).await.unwrap().is_success());
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn restart_of_the_cloud_keeps_servers_and_data() {
    let directory = TempDir::new().unwrap();
    let options = || Options::new(directory.path().join("cloud"));
    let cloud = LocalCloud::start(options()).await.unwrap();
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(tests::target(&cloud));
    assert!(engine.up(&cluster(2)).await.unwrap().is_success());
    let status = cloud.status().await.regions["us-east-1"].database_clusters[0].clone();
    let url = |endpoint: &str| format!("postgres://cloud:first-password@{endpoint}/tasks");
    let (writer, reader) = (url(&status.writer_endpoint), url(&status.reader_endpoint));
    sql(&writer, "CREATE TABLE t AS SELECT 42 AS answer").unwrap();
    let pids = |all: &[DatabaseStatus]| all.iter().map(|database| database.pid).collect::<Vec<_>>();
    let before = pids(&statuses(&cloud, "us-east-1").await);

    cloud.detach().await;
    assert!(before.iter().all(|pid| is_running(pid.unwrap())), "servers survive the end of the cloud's process");
    let cloud = LocalCloud::start(options()).await.unwrap();
    wait_for_answer(&writer, "SELECT answer FROM t", "42").await;
    assert_eq!(pids(&statuses(&cloud, "us-east-1").await), before, "the new process adopts the servers");

    cloud.shutdown().await;
    assert!(before.iter().all(|pid| !is_running(pid.unwrap())), "an orderly shutdown stops the servers");
    let cloud = LocalCloud::start(options()).await.unwrap();
    wait_for_answer(&writer, "SELECT pg_is_in_recovery(), answer FROM t", "f|42").await;
    wait_for_answer(&reader, "SELECT pg_is_in_recovery(), answer FROM t", "t|42").await;
    assert_eq!(cloud.status().await.regions["us-east-1"].database_clusters[0].writer, status.writer);
    assert!(engine.destroy(&cluster(2)).await.unwrap().is_success());
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn instance_is_imported_and_restored_from_its_final_snapshot() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let engine = |name: &str| Engine::new(name, "dev", MemoryStore::new()).target(tests::target(&cloud));
    let owner = engine("owner");
    let original = Tasks { final_snapshot: true, ..TASKS };
    assert!(owner.up(&instance(original)).await.unwrap().is_success());
    let outputs = owner.outputs().await.unwrap();
    let url = format!("postgres://cloud:first-password@{}/tasks", outputs["endpoint"].as_str().unwrap());
    sql(&url, "CREATE TABLE t AS SELECT 42 AS answer").unwrap();

    let importer = engine("importer");
    let region = |stack: &Stack, _: &Config| -> Result {
        aws::region(stack, "us-east-2");
        Ok(())
    };
    let request = ImportRequest {
        kind: "aws:rds:DbInstance".into(),
        name: "database".into(),
        id: outputs["id"].as_str().unwrap().into(),
        region: Some("us-east-2".into()),
    };
    let adopted = importer.import(&region, &[request]).await.unwrap();
    assert_snapshot!(stable(&adopted[0].declaration), @r#"
    aws::region(stack, "us-east-2").add("database", DbInstance {
        name: Some("database-<suffix>".into()),
        class: "db.t3.micro".into(),
        version: None,
        database: Some("tasks".into()),
        user: "cloud".into(),
        password: "[secret]".into(),
        allocated_storage: 20,
        max_allocated_storage: None,
        storage_type: None,
        iops: Default::default(),
        storage_throughput: Default::default(),
        port: None,
        subnet_group: Some(DbSubnetGroupName::from("subnets-<suffix>").into()),
        security_groups: vec![SecurityGroupId::from("sg-<id>").into()],
        parameter_group: Some(DbParameterGroupName::from("parameters-<suffix>").into()),
        multi_az: false,
        public: false,
        encrypted: false,
        backup_retention: 1,
        deletion_protection: false,
        final_snapshot: true,
        snapshot: None,
        replicate_from: None,
        tags: Default::default(),
    });
    "#);

    assert!(owner.destroy(&instance(original)).await.unwrap().is_success());
    let kept = std::fs::read_dir(directory.path().join("cloud/databases")).unwrap().count();
    assert_eq!(kept, 1, "only the final snapshot is left");
    let rds = Aws::new(&tests::target(&cloud)).rds("us-east-2").await;
    let snapshots = rds.describe_db_snapshots().send().await.unwrap();
    let snapshot = snapshots.db_snapshots()[0].db_snapshot_identifier().unwrap().to_owned();
    let restored = move |stack: &Stack, _: &Config| -> Result {
        let ohio = aws::region(stack, "us-east-2");
        let network = ohio.lookup(DefaultVpc);
        let ingress = vec![Rule::tcp(5432).from_anywhere()];
        let access = ohio.add("access", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id) });
        let database = DbInstance {
            snapshot: Some(snapshot.clone().into()),
            security_groups: vec![access.id],
            final_snapshot: false,
            ..DbInstance::postgres("db.t3.small", "tasks", "cloud", "other-password")
        };
        stack.export("endpoint", ohio.add("restored", database).endpoint);
        Ok(())
    };
    let other = engine("other");
    let report = other.up(&restored).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    assert!(!other.preview(&restored).refresh_first(true).await.unwrap().has_changes());
    let outputs = other.outputs().await.unwrap();
    let url = format!("postgres://cloud:other-password@{}/tasks", outputs["endpoint"].as_str().unwrap());
    wait_for_answer(&url, "SELECT answer FROM t", "42").await;
    assert!(other.destroy(&restored).await.unwrap().is_success());
    cloud.shutdown().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn cluster_is_restored_from_its_final_snapshot() {
    let directory = TempDir::new().unwrap();
    let cloud = LocalCloud::start(Options::new(directory.path().join("cloud"))).await.unwrap();
    let target = tests::target(&cloud);
    let engine = |name: &str| Engine::new(name, "dev", MemoryStore::new()).target(target.clone());
    let original =
        DbCluster { instances: 1, ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "first-password") };
    let owner = engine("owner");
    assert!(owner.up(&cluster_of(original.clone())).await.unwrap().is_success());
    let writer = cloud.status().await.regions["us-east-1"].database_clusters[0].writer_endpoint.clone();
    let url = |password: &str, endpoint: &str| format!("postgres://cloud:{password}@{endpoint}/tasks");
    sql(&url("first-password", &writer), "CREATE TABLE t AS SELECT 42 AS answer").unwrap();
    assert!(owner.destroy(&cluster_of(original)).await.unwrap().is_success());

    let rds = Aws::new(&target).rds("us-east-1").await;
    let snapshots = rds.describe_db_cluster_snapshots().send().await.unwrap();
    let snapshot = snapshots.db_cluster_snapshots()[0].db_cluster_snapshot_identifier().unwrap().to_owned();
    let restored = DbCluster {
        snapshot: Some(snapshot.into()),
        final_snapshot: false,
        ..DbCluster::aurora_postgresql("db.t4g.medium", "tasks", "cloud", "other-password")
    };
    let other = engine("other");
    let report = other.up(&cluster_of(restored.clone())).await.unwrap();
    assert!(report.is_success(), "{:?}", report.failures);
    let plan = other.preview(&cluster_of(restored.clone())).refresh_first(true).await.unwrap();
    assert!(!plan.has_changes(), "{plan}");
    let status = cloud.status().await.regions["us-east-1"].database_clusters[0].clone();
    wait_for_answer(&url("other-password", &status.writer_endpoint), "SELECT answer FROM t", "42").await;
    wait_for_answer(
        &url("other-password", &status.reader_endpoint),
        "SELECT pg_is_in_recovery(), answer FROM t",
        "t|42",
    )
    .await;
    assert!(other.destroy(&cluster_of(restored)).await.unwrap().is_success());
    cloud.shutdown().await;
}
