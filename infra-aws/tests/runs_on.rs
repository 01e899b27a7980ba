//! Refusal of plans that the machine of a local target cannot execute.
#![allow(clippy::unwrap_used)]

use infra_aws::{Arn, DbInstance, ImageId, LaunchTemplate, Listener, Machine, MariaDb, Postgres, Service, region};
use infra_core::{
    Config, Engine, Result, Stack, Target,
    engine::EngineError,
    store::MemoryStore,
    target::{Host, Obstacle},
};

/// Declares resources without lookups, so that the plan needs no AWS endpoint.
fn program(stack: &Stack, _: &Config) -> Result {
    let virginia = region(stack, "us-east-1");
    let machine = Machine::debian()
        .postgres(Postgres::new("tasks", "cloud", "long-secret"))
        .service(Service::prebuilt("tasks", "/bin/true").listen(8080));
    let image = Some(ImageId::from("ami-1").into());
    virginia.add("host", LaunchTemplate { image, machine, ..LaunchTemplate::new("t3.micro") });
    virginia.add("database", DbInstance::postgres("db.t4g.micro", "tasks", "cloud", "long-secret"));
    virginia.add("listener", Listener::http(80, Arn::from("arn:balancer")).forward(Arn::from("arn:targets")));
    Ok(())
}

/// Returns the errors of a preview on this machine; an empty text when the plan is accepted.
async fn refusal(host: Host) -> String {
    refusal_of(&program, host).await
}

async fn refusal_of(program: &(dyn Fn(&Stack, &Config) -> Result + Sync), host: Host) -> String {
    // Nothing listens on port 1.
    let target = Target {
        host: Some(host),
        ..Target::local("http://127.0.0.1:1", infra_core::target::Credentials::new("key", "secret"))
    };
    let engine = Engine::new("program", "dev", MemoryStore::new()).target(target);
    match engine.preview(program).await {
        Ok(plan) => {
            assert!(plan.has_changes());
            String::new()
        }
        Err(EngineError::Refused(diagnostics)) => {
            diagnostics.iter().map(|diagnostic| diagnostic.to_string() + "\n").collect()
        }
        Err(error) => panic!("{error}"),
    }
}

#[tokio::test]
async fn plan_is_accepted_on_a_machine_with_enough_resources() {
    assert_eq!(refusal(Host { free_bytes: 1 << 30, lowest_port: 1, ..Host::default() }).await, "");
}

#[tokio::test]
async fn mariadb_must_be_installed_for_a_host_that_runs_it() {
    fn program(stack: &Stack, _: &Config) -> Result {
        let machine = Machine::debian().mariadb(MariaDb::new("tasks", "cloud", "long-secret"));
        let image = Some(ImageId::from("ami-1").into());
        region(stack, "us-east-1").add("host", LaunchTemplate { image, machine, ..LaunchTemplate::new("t3.micro") });
        Ok(())
    }
    let obstacle =
        |server: &str| Obstacle { reason: format!("{server} is not installed"), remedy: "install it".into() };
    let unavailable = [("postgresql", obstacle("PostgreSQL")), ("mariadb", obstacle("MariaDB"))];
    let unavailable = unavailable.map(|(name, obstacle)| (name.to_owned(), obstacle)).into();
    let host = Host { unavailable, free_bytes: 1 << 30, lowest_port: 1, ..Host::default() };
    insta::assert_snapshot!(refusal_of(&program, host).await, @r"
    error: MariaDB cannot run on this machine: MariaDB is not installed
      at: urn:infra:dev::program::aws:ec2:LaunchTemplate::host
      why: the policy `runs-on-this-machine` requires it
      hint: install it
    ");
}

#[tokio::test]
async fn every_unmet_requirement_is_reported_with_a_remedy() {
    let obstacle = Obstacle { reason: "PostgreSQL is not installed".into(), remedy: "install it".into() };
    let host = Host {
        unavailable: [("postgresql".to_owned(), obstacle)].into(),
        free_bytes: 100 << 20,
        lowest_port: 1024,
        occupied_ports: [8080, 9000].into(),
    };
    insta::assert_snapshot!(refusal(host).await, @r"
    error: PostgreSQL cannot run on this machine: PostgreSQL is not installed
      at: urn:infra:dev::program::aws:ec2:LaunchTemplate::host
      why: the policy `runs-on-this-machine` requires it
      hint: install it
    error: port 8080 is not available: another process listens on it on all addresses
      at: urn:infra:dev::program::aws:ec2:LaunchTemplate::host
      why: the policy `runs-on-this-machine` requires it
      hint: stop that process (`ss -ltnp 'sport = :8080'`), or choose another port
    error: port 80 is not available: this user may only listen on ports from 1024
      at: urn:infra:dev::program::aws:elb:Listener::listener
      why: the policy `runs-on-this-machine` requires it
      hint: choose another port, or allow this one as root: `sysctl net.ipv4.ip_unprivileged_port_start=80`
    error: the disk of the local cloud has 100 MiB free; this plan needs at least 352 MiB
      at: urn:infra:dev::program::aws:ec2:LaunchTemplate::host
      why: the policy `runs-on-this-machine` requires it
      hint: free disk space, or move the local cloud to another disk: `--directory PATH`
    ");
}
