//! The Bookstore on a highly available database: a cluster with a writer and two readers in three availability zones, and
//! a scaled application behind a load balancer.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `region` | `us-east-1` | region of all resources |
//! | `instanceType` | `t3.micro` | type of the application's instances |
//! | `databaseClass` | `db.t4g.medium` | class of the cluster's instances |
//! | `databaseInstances` | 3 | number of the cluster's instances: one writer, the others readers |
//! | `listenerPort` | 80 on AWS, 8080 on the local cloud | port of the load balancer |
//! | `minimum`, `desired`, `maximum` | 1, 2, 6 | number of instances that run the application |
//! | `adminEmail` | `admin@example.com` | email address of the administrator |
//! | `sshFrom` | none | CIDR block that may connect to the hosts by SSH, such as `203.0.113.7/32` |

use infra_aws::{
    self as aws, AlarmMetric, DbCluster, DbSubnetGroup, KeyPair, Listener, LoadBalancer, Machine, MetricAlarm, Network,
    Rule, ScalingPolicy, Service, ServiceGroup, Step,
};
use infra_core::{Config, Result, Stack, output_format, random::Password};

/// Port of the application.
const APPLICATION_PORT: u16 = 8080;
/// Port of the database.
const DATABASE_PORT: u16 = 5432;

/// Declares the resources.
pub fn bookstore(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
    let is_local = stack.target().is_local();
    let instance_type = config.get_or("instanceType", "t3.micro")?;
    // Unprivileged users of this machine cannot listen on ports below 1024.
    let listener_port = config.get_or("listenerPort", if is_local { 8080_u16 } else { 80 })?;

    let network = Network::new(&region, "network", "10.4.0.0/16", 3)?.declare();
    let region = network.region.clone();

    // The internet reaches the load balancer, the load balancer the application, and the application the database.
    let ssh_from: Option<String> = config.get("sshFrom")?;
    let public = [Rule::tcp(listener_port).from_anywhere()];
    let balancer_access = network.security_group("balancer-access", "Public access to the load balancer", public);
    let ssh = ssh_from.map(|addresses| Rule::tcp(22).from_cidr(addresses).describe("SSH"));
    let private = std::iter::once(Rule::tcp(APPLICATION_PORT).from_group(&balancer_access)).chain(ssh);
    let application_access = network.security_group("application-access", "Access from the load balancer", private);
    let clients = [Rule::tcp(DATABASE_PORT).from_group(&application_access)];
    let database_access = network.security_group("database-access", "Access from the application", clients);

    // The database: one writer and its readers, in three zones.
    let password = stack.add("database-password", Password::of_length(32));
    let subnets = region.add("database-subnets", DbSubnetGroup::of(network.subnets.clone()));
    let class = config.get_or("databaseClass", "db.t4g.medium")?;
    let database = region.add(
        "database",
        DbCluster {
            instances: config.get_or("databaseInstances", 3_u32)?,
            port: Some(DATABASE_PORT),
            subnet_group: Some(subnets.name),
            security_groups: vec![database_access],
            final_snapshot: !is_local,
            ..DbCluster::aurora_postgresql(class, "bookstore", "cloud", password.value)
        },
    );

    // The application: writes and the reads that depend on them use the writer, all other reads the readers.
    let session_key = stack.add("session-key", Password::of_length(64));
    let admin_password = stack.add("admin-password", Password::of_length(24));
    let machine = Machine::debian().service(
        Service::cargo_bin("bookstore")
            .env("WRITE_ENGINE", database.url)
            .env("READER_ENGINE", database.reader_url)
            .env("SECRET_KEY", session_key.value)
            .env("TRUSTED_PROXIES", network.cidr.clone())
            .env("ADMIN_EMAIL", config.get_or("adminEmail", "admin@example.com")?)
            .env("ADMIN_PASSWORD", admin_password.value.clone())
            .listen(APPLICATION_PORT)
            .port("METRICS_LISTEN", 9090)
            .health("/healthz"),
    );
    let key = region.add("key", KeyPair::generated());
    let application = ServiceGroup::new(&network, "application", APPLICATION_PORT, machine)
        .instance_type(instance_type)
        .access(application_access)
        .key_name(key.name)
        .health_path("/healthz")
        .size(config.get_or("minimum", 1_u32)?, config.get_or("desired", 2_u32)?, config.get_or("maximum", 6_u32)?)
        .declare();
    stack.relaunchable("application", &application.template_id, "new instances, one after another");

    // An average CPU utilisation of more than 50 % over 300 s adds an instance.
    let growth = ScalingPolicy::steps(application.group.clone(), [Step::above(0.0, 1)]);
    let growth = region.add("scale-out", growth);
    let busy = MetricAlarm::above(AlarmMetric::group_cpu(application.group), 50.0);
    region.add(
        "cpu-above-50",
        MetricAlarm { period: 300, evaluation_periods: 1, alarm_actions: vec![growth.arn], ..busy },
    );

    // The load balancer.
    let balancer = region.add("balancer", LoadBalancer::application(network.subnets.clone(), [balancer_access]));
    region.add("listener", Listener::http(listener_port, balancer.arn).forward(application.targets));

    let url = output_format!("http://{}:{}", balancer.dns_name, listener_port);
    stack.export("url", url.clone());
    stack.export("catalog", output_format!("{}/book/catalog", url));
    stack.export("admin_password", admin_password.value);
    stack.export("writer_endpoint", database.writer_endpoint);
    stack.export("reader_endpoint", database.reader_endpoint);
    stack.export("private_key", key.private_key);
    Ok(())
}
