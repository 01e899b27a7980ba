//! The Tasks application behind a load balancer in us-east-1, its PostgreSQL host in us-east-2.
//!
//! Each has a network of its own; the two are peered, and the database lets in the application's network alone.
//!
//! | configuration | default | what it sets |
//! |---|---|---|
//! | `instanceType` | `t3.micro` | the type of every instance |
//! | `listenerPort` | 80 on AWS, 8080 on the local cloud | where the balancer listens |
//! | `applicationPort` | 8080 | where the application listens |
//! | `logLevel` | `info` | how much the application logs |
//! | `auth` | `writes` on AWS, `off` on the local cloud | whom the application asks to sign in: nobody (`off`), writers or `all` |
//! | `minimum`, `desired`, `maximum` | 1, 2, 4 | how many instances run the application |
//! | `sshFrom` | nobody | the addresses that may log in to the hosts, such as `203.0.113.7/32` |
//! | `targetCpu` | 50 | the average CPU utilisation, in percent, that the group is kept at |
//! | `targetRequests` | none | the requests in a minute that each instance is to get on average |
//! | `schedule` | none | from when on how many instances: `0 8 * * MON-FRI = 4; 0 20 * * MON-FRI = 1`, in UTC |
//! | `keepData` | true | whether a database host that is relaunched keeps the data of the old one |

use infra_aws::{
    self as aws, AutoScalingGroup, BakedImage, KeyPair, LaunchTemplate, Listener, LoadBalancer, Machine, Network,
    PostgresHost, Rule, ScalingPolicy, ScheduledAction, SecurityGroup, Service, TargetGroup,
};
use infra_core::{Config, Result, Stack, output_format, random::Password};
use std::str::FromStr;

/// Declares the system.
pub fn multicloud_orm(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let ohio = aws::region(stack, "us-east-2");

    let instance_type = config.get_or("instanceType", "t3.micro")?;
    let application_port = config.get_or("applicationPort", 8080_u16)?;
    // Ports below 1024 belong to the administrator of this machine.
    let default_port: u16 = if stack.target().is_local() { 8080 } else { 80 };
    let listener_port = config.get_or("listenerPort", default_port)?;

    let ssh_from: Option<String> = config.get("sshFrom")?;

    // A network in each region, and the way between them.
    let mut network = Network::new(&virginia, "network", "10.1.0.0/16", 2)?;
    let mut database_network = Network::new(&ohio, "database-network", "10.2.0.0/16", 1)?;
    network.peer_with(&mut database_network);
    let (network, database_network) = (network.declare(), database_network.declare());
    let (virginia, ohio) = (network.region, database_network.region);

    // The database, in Ohio.
    let database_key = ohio.add("database-key", KeyPair::generated());
    let password = stack.add("database-password", Password::of_length(32));
    let mut database = PostgresHost::new(&ohio, "database")
        .instance_type(instance_type.clone())
        .database("tasks", "cloud", password.value)
        .key_name(database_key.name)
        .network(database_network.vpc_id, database_network.subnets.index(0), database_network.cidr)
        .reachable_by(network.cidr.clone());
    if let Some(addresses) = &ssh_from {
        database = database.ssh_from(addresses);
    }
    let keep_data = config.get_or("keepData", true)?;
    if !keep_data {
        database = database.fresh();
    }
    let database = database.declare()?;
    let data = if keep_data { "the old one's data" } else { "an empty database" };
    stack.relaunchable("database", &database.instance_id, &format!("a new host with {data}"));

    // What the application may be reached by, in Virginia.
    let application_key = virginia.add("application-key", KeyPair::generated());
    let balancer_access = virginia.add(
        "balancer-access",
        SecurityGroup {
            description: "The world may use the Tasks application".into(),
            ingress: vec![Rule::tcp(listener_port).from_anywhere()],
            ..SecurityGroup::in_vpc(network.vpc_id.clone())
        },
    );
    let application_access = virginia.add(
        "application-access",
        SecurityGroup {
            description: "The balancer may use the instances".into(),
            ingress: std::iter::once(Rule::tcp(application_port).from_group(&balancer_access.id))
                .chain(ssh_from.map(|addresses| Rule::tcp(22).from_cidr(addresses).describe("SSH")))
                .collect(),
            ..SecurityGroup::in_vpc(network.vpc_id.clone())
        },
    );

    // Whoever reaches this machine may write here; on the internet only users do.
    let default_auth = if stack.target().is_local() { "off" } else { "writes" };
    let admin_password = stack.add("admin-password", Password::of_length(24));

    // The application: what a host runs, an image that holds it, and how to launch one. The balancer's subnets are those
    // of this network, and only the balancer may connect to the instances, so its `X-Forwarded-For` is trusted. On the
    // local cloud every program connects from 127.0.0.1, clients and balancer alike. That address is not in the range
    // and must not be: clients could then choose their address. All clients of this machine count as one there.
    let tasks = Machine::debian().service(
        Service::cargo_bin("tasks")
            .env("DATABASE_URL", database.url)
            .env("AUTH", config.get_or("auth", default_auth)?)
            .env("ADMIN_USERNAME", "admin")
            .env("ADMIN_PASSWORD", admin_password.value.clone())
            .env("TRUSTED_PROXIES", network.cidr)
            .env("RUST_LOG", config.get_or("logLevel", "info")?)
            .listen(application_port)
            .health("/healthz"),
    );
    let image = virginia.add(
        "application-image",
        BakedImage { subnet: Some(network.subnets.index(0)), ..BakedImage::new(instance_type.clone(), tasks) },
    );
    let template = virginia.add(
        "application",
        LaunchTemplate {
            key_name: Some(application_key.name.clone()),
            security_groups: vec![application_access.id.clone()],
            ..LaunchTemplate::of_image(instance_type, &image)
        },
    );

    // The balancer, and the group of instances behind it.
    let balancer =
        virginia.add("balancer", LoadBalancer::application(network.subnets.clone(), [balancer_access.id.clone()]));
    let targets =
        virginia.add("targets", TargetGroup::http(application_port, network.vpc_id.clone()).health_path("/healthz"));
    virginia.add("listener", Listener::http(listener_port, balancer.arn.clone()).forward(targets.arn.clone()));
    let group = virginia.add(
        "group",
        AutoScalingGroup {
            min: config.get_or("minimum", 1_u32)?,
            desired: Some(config.get_or("desired", 2_u32)?),
            max: config.get_or("maximum", 4_u32)?,
            targets: vec![targets.arn.clone()],
            ..AutoScalingGroup::from(template.version(), network.subnets.clone())
        },
    );
    stack.relaunchable("application", &template.id, "new instances, one after another");

    // How many there are in between.
    virginia.add("scale-on-cpu", ScalingPolicy::target_cpu(group.name.clone(), config.get_or("targetCpu", 50.0)?));
    if let Some(per_minute) = config.get("targetRequests")? {
        virginia.add(
            "scale-on-requests",
            ScalingPolicy::target_requests(group.name.clone(), balancer.arn.clone(), targets.arn.clone(), per_minute),
        );
    }
    let Schedule(times) = config.get("schedule")?.unwrap_or_default();
    for (number, (recurrence, desired)) in (1..).zip(times) {
        let action = ScheduledAction::recurring(group.name.clone(), recurrence);
        virginia.add(&format!("schedule-{number}"), ScheduledAction { desired: Some(desired), ..action });
    }

    let url = output_format!("http://{}:{}", balancer.dns_name, listener_port);
    stack.export("url", url.clone());
    stack.export("curl", output_format!("curl {}/tasks/", url));
    stack.export("client", output_format!("cargo run --quiet --bin client -- GET --url {}", url));
    stack.export("admin", output_format!("{}/admin/", url));
    stack.export("admin_password", admin_password.value);
    stack.export("database_endpoint", database.endpoint);
    stack.export("database_private_key", database_key.private_key);
    stack.export("application_private_key", application_key.private_key);
    Ok(())
}

/// From when on how many instances: cron's five fields, `=`, the number; several are separated by `;`.
#[derive(Default)]
struct Schedule(Vec<(String, u32)>);

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = text.split(';').map(|time| {
            let (recurrence, desired) = time.split_once('=').ok_or_else(|| format!("`{time}` has no `=`"))?;
            let desired = desired.trim().parse().map_err(|error| format!("`{}`: {error}", desired.trim()))?;
            Ok((recurrence.trim().to_owned(), desired))
        });
        times.collect::<Result<_, String>>().map(Self)
    }
}
