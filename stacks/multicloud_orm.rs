//! The Tasks application behind a load balancer in us-east-1, with its PostgreSQL host in us-east-2.
//!
//! Each region has a separate network. The networks are peered, and the database admits only the application's network.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `instanceType` | `t3.micro` | type of all instances |
//! | `listenerPort` | 80 on AWS, 8080 on the local cloud | port of the load balancer |
//! | `applicationPort` | 8080 | port of the application |
//! | `logLevel` | `info` | log level of the application |
//! | `auth` | `writes` on AWS, `off` on the local cloud | requests that need a signed-in user: none (`off`), `writes` or `all` |
//! | `minimum`, `desired`, `maximum` | 1, 2, 4 | number of instances that run the application |
//! | `sshFrom` | none | CIDR block that may connect to the hosts by SSH, such as `203.0.113.7/32` |
//! | `targetCpu` | 50 | target of the group's average CPU utilisation, in percent |
//! | `targetRequests` | none | target of the average number of requests per instance and minute |
//! | `schedule` | none | scheduled numbers of instances, in UTC: `0 8 * * MON-FRI = 4; 0 20 * * MON-FRI = 1` |
//! | `keepData` | true | keep the data when the database host is relaunched |

use infra_aws::{
    self as aws, AutoScalingGroup, BakedImage, KeyPair, LaunchTemplate, Listener, LoadBalancer, Machine, Network,
    PostgresHost, Rule, ScalingPolicy, ScheduledAction, Service, TargetGroup,
};
use infra_core::{Config, Result, Stack, output_format, random::Password};
use std::str::FromStr;

/// Declares the resources.
pub fn multicloud_orm(stack: &Stack, config: &Config) -> Result {
    let virginia = aws::region(stack, "us-east-1");
    let ohio = aws::region(stack, "us-east-2");

    let instance_type = config.get_or("instanceType", "t3.micro")?;
    let application_port = config.get_or("applicationPort", 8080_u16)?;
    // Unprivileged users of this machine cannot listen on ports below 1024.
    let default_port: u16 = if stack.target().is_local() { 8080 } else { 80 };
    let listener_port = config.get_or("listenerPort", default_port)?;

    let ssh_from: Option<String> = config.get("sshFrom")?;

    // A network in each region, peered with each other.
    let mut network = Network::new(&virginia, "network", "10.1.0.0/16", 2)?;
    let mut database_network = Network::new(&ohio, "database-network", "10.2.0.0/16", 1)?;
    network.peer_with(&mut database_network);
    let (network, database_network) = (network.declare(), database_network.declare());
    let (virginia, ohio) = (network.region.clone(), database_network.region.clone());

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
    let data = if keep_data { "the existing data" } else { "an empty database" };
    stack.relaunchable("database", &database.instance_id, &format!("a new host with {data}"));

    // Access to the application, in Virginia.
    let application_key = virginia.add("application-key", KeyPair::generated());
    let public = [Rule::tcp(listener_port).from_anywhere()];
    let balancer_access = network.security_group("balancer-access", "Public access to the load balancer", public);
    let ssh = ssh_from.map(|addresses| Rule::tcp(22).from_cidr(addresses).describe("SSH"));
    let private = std::iter::once(Rule::tcp(application_port).from_group(&balancer_access)).chain(ssh);
    let application_access = network.security_group("application-access", "Access from the load balancer", private);

    // The local cloud admits only clients on this machine, so it needs no sign-in; on the internet, writes need it.
    let default_auth = if stack.target().is_local() { "off" } else { "writes" };
    let admin_password = stack.add("admin-password", Password::of_length(24));

    // The application: the configuration of its hosts, an image with it, and the launch template. The balancer's subnets
    // are those of this network, and only the balancer may connect to the instances, so its `X-Forwarded-For` is trusted.
    // On the local cloud all connections come from 127.0.0.1, those of clients and of the balancer. That address must not
    // be in the trusted range, because clients could then forge their address. There, all clients share one address.
    let tasks = Machine::debian().service(
        Service::cargo_bin("tasks")
            .env("DATABASE_URL", database.url)
            .env("AUTH", config.get_or("auth", default_auth)?)
            .env("ADMIN_USERNAME", "admin")
            .env("ADMIN_PASSWORD", admin_password.value.clone())
            .env("TRUSTED_PROXIES", network.cidr)
            .env("RUST_LOG", config.get_or("logLevel", "info")?)
            .listen(application_port)
            .port("METRICS_LISTEN", 9090)
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
            security_groups: vec![application_access.clone()],
            ..LaunchTemplate::of_image(instance_type, &image)
        },
    );

    // The load balancer and the Auto Scaling group behind it.
    let balancer =
        virginia.add("balancer", LoadBalancer::application(network.subnets.clone(), [balancer_access.clone()]));
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

    // Scaling of the group between its minimum and maximum.
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

/// Scheduled numbers of instances: cron's five fields, `=`, the number; entries are separated by `;`.
#[derive(Default)]
struct Schedule(Vec<(String, u32)>);

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let times = text.split(';').map(|entry| {
            let (recurrence, desired) = entry.split_once('=').ok_or_else(|| {
                format!("`{entry}` has no `=`: write cron's five fields, `=` and the number of instances")
            })?;
            let desired = desired.trim().parse().map_err(|error| format!("`{}`: {error}", desired.trim()))?;
            Ok((recurrence.trim().to_owned(), desired))
        });
        times.collect::<Result<_, String>>().map(Self)
    }
}
