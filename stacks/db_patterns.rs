//! Cloud design patterns over a replicated database: gatekeeper, trusted host and proxy.
//!
//! Every tier admits only the tier before it. The internet reaches the gatekeeper, which validates SQL statements; the
//! trusted host validates again and signs; the proxy sends writes to the manager, and reads to the manager or to a worker.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `region` | `us-east-1` | region of all resources |
//! | `instanceType` | `t3.micro` | type of all instances |
//! | `engine` | `postgresql` | database server: `postgresql` or `mariadb` |
//! | `workers` | 3 | number of replicas of the manager |
//! | `gatekeeperPort` | 80 on AWS, 8080 on the local cloud | public port |
//! | `sshFrom` | none | CIDR block that may connect to the hosts by SSH, such as `203.0.113.7/32` |

use infra_aws::{
    self as aws, CargoBin, ElasticIp, Instance, InstanceOutputs, KeyPair, Machine, Network, Program,
    ReplicatedDatabase, Rule, Service,
};
use infra_cli::StackOutputs;
use infra_core::{Config, Output, Result, Stack, diagnostic::Diagnostic, output_format, random::Password};
use std::str::FromStr;

/// Port of the trusted host and of the proxy.
const TIER_PORT: u16 = 8080;

/// Declares the resources.
pub fn db_patterns(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
    let instance_type = config.get_or("instanceType", "t3.micro")?;
    let workers = config.get_or("workers", 3_u32)?;
    // Unprivileged users of this machine cannot listen on ports below 1024.
    let public_port = config.get_or("gatekeeperPort", if stack.target().is_local() { 8080_u16 } else { 80 })?;
    let network = Network::new(&region, "network", "10.5.0.0/16", 2)?.declare();
    let region = network.region.clone();

    // The internet reaches the gatekeeper, each tier the next one, and the proxy the databases.
    let ssh_from: Option<String> = config.get("sshFrom")?;
    let access = |name: &str, description: &str, rule: Rule| {
        let ssh = ssh_from.as_ref().map(|addresses| Rule::tcp(22).from_cidr(&**addresses).describe("SSH"));
        network.security_group(name, description, std::iter::once(rule).chain(ssh))
    };
    let gatekeeper_access = access("gatekeeper-access", "Public access", Rule::tcp(public_port).from_anywhere());
    let rule = Rule::tcp(TIER_PORT).from_group(&gatekeeper_access);
    let trusted_access = access("trusted-host-access", "Access from the gatekeeper", rule);
    let rule = Rule::tcp(TIER_PORT).from_group(&trusted_access);
    let proxy_access = access("proxy-access", "Access from the trusted host", rule);

    // The databases: a manager with its replicas, and a single server for comparisons.
    let key = region.add("key", KeyPair::generated());
    let password = stack.add("database-password", Password::of_length(32));
    let engine = config.get::<Engine>("engine")?.unwrap_or_default();
    let database = |name: &str, replicas: u32| {
        let cluster = match engine {
            Engine::Postgresql => ReplicatedDatabase::postgres(&region, name),
            Engine::MariaDb => ReplicatedDatabase::mariadb(&region, name),
        };
        let cluster = cluster
            .instance_type(&instance_type)
            .database("main_db", "patterns", password.value.clone())
            .replicas(replicas as usize)
            .network(network.vpc_id.clone(), (0..2).map(|index| network.subnets.index(index)))
            .key_name(key.name.clone())
            .reachable_by_group(&proxy_access);
        match &ssh_from {
            Some(addresses) => cluster.ssh_from(addresses).declare(),
            None => cluster.declare(),
        }
    };
    let cluster = database("cluster", workers)?;
    let standalone = database("standalone", 0)?;

    // The tiers, each with the address of the next one.
    let tier = |name: &str, access: &Output<_>, service: Service, port: u16| -> InstanceOutputs {
        let service = service.listen(port).port("METRICS_LISTEN", 9090).health("/healthz");
        region.add(
            name,
            Instance {
                subnet: Some(network.subnets.index(0)),
                security_groups: vec![access.clone()],
                key_name: Some(key.name.clone()),
                machine: Machine::debian().service(service),
                ..Instance::new(&*instance_type)
            },
        )
    };
    let signing_key = stack.add("signing-key", Password::of_length(64));
    let proxy = Service::cargo_bin("proxy")
        .env("SIGNING_KEY", signing_key.value.clone())
        .env("MANAGER_URL", cluster.primary.url)
        .env("WORKER_URLS", Output::list(cluster.replicas.iter().map(|worker| worker.url.clone())).join(" ").secret())
        .env("STANDALONE_URL", standalone.primary.url)
        // For `exec proxy -- sh -c '"$CLIENT" bench'`: only this host reaches the databases.
        .program("CLIENT", Program::cargo_bin("patterns"));
    let proxy = tier("proxy", &proxy_access, proxy, TIER_PORT);
    let trusted_host = Service::cargo_bin("trusted-host")
        .env("SIGNING_KEY", signing_key.value)
        .env("PROXY_URL", output_format!("http://{}:{}", proxy.private_ip, TIER_PORT));
    let trusted_host = tier("trusted-host", &trusted_access, trusted_host, TIER_PORT);
    let gatekeeper = Service::cargo_bin("gatekeeper")
        .env("TRUSTED_HOST_URL", output_format!("http://{}:{}", trusted_host.private_ip, TIER_PORT));
    let gatekeeper = tier("gatekeeper", &gatekeeper_access, gatekeeper, public_port);

    // The public address stays the same when the gatekeeper is replaced.
    let address = region.add("gatekeeper-address", ElasticIp::of(&gatekeeper.id));
    let url = output_format!("http://{}:{}", address.public_ip, public_port);
    stack.export("url", url.clone());
    stack.export("client", output_format!("cargo run --quiet --bin patterns -- send-requests --url {}", url));
    stack.export("private_key", key.private_key);
    Ok(())
}

/// The database server.
#[derive(Clone, Copy, Default)]
enum Engine {
    #[default]
    Postgresql,
    MariaDb,
}

impl FromStr for Engine {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "postgresql" => Ok(Self::Postgresql),
            "mariadb" => Ok(Self::MariaDb),
            other => Err(format!("`{other}` is neither `postgresql` nor `mariadb`")),
        }
    }
}

/// Sends requests of every kind to the gatekeeper.
pub async fn send_requests(outputs: StackOutputs) -> Result<(), Diagnostic> {
    let url = outputs.get("url").and_then(|url| url.as_str()).unwrap_or_default().to_owned();
    let failed = |reason: String| Diagnostic::error(format!("send-requests failed: {reason}"));
    let client = CargoBin::of_workspace("patterns").executable().await.map_err(|error| failed(error.to_string()))?;
    let finished = tokio::process::Command::new(client)
        .args(["send-requests", "--url", &url])
        .stdout(std::io::stderr())
        .status()
        .await
        .map_err(|error| failed(error.to_string()))?;
    if finished.success() { Ok(()) } else { Err(failed(format!("the client ended with {finished}"))) }
}
