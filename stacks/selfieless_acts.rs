//! SelfieLessActs: the services `users` and `acts` behind one load balancer, on a shared PostgreSQL database.
//!
//! The load balancer sends the paths of users to one group of instances and all others to another one. On each host of the
//! second group, the orchestrator starts, replaces and scales the processes of the service `acts`, and serves the web pages.
//!
//! | configuration | default | meaning |
//! |---|---|---|
//! | `region` | `us-east-1` | region of all resources |
//! | `instanceType` | `t3.micro` | type of all instances |
//! | `databaseClass` | `db.t4g.micro` | class of the database instance |
//! | `listenerPort` | 80 on AWS, 8080 on the local cloud | port of the load balancer |
//! | `users`, `acts` | 2 | number of instances of each group, at most 4 |
//! | `requestsPerInstance` | 20 | requests per window for which the orchestrator adds a process |
//! | `windowSeconds` | 120 | length of the orchestrator's window |
//! | `crash` | false on AWS, true on the local cloud | enables `POST /api/v1/_crash` |
//! | `sshFrom` | none | CIDR block that may connect to the hosts by SSH, such as `203.0.113.7/32` |

use infra_aws::{
    self as aws, Action, Condition, DbInstance, DbSubnetGroup, KeyPair, Listener, ListenerRule, LoadBalancer, Machine,
    Network, Program, Rule, Service, ServiceGroup,
};
use infra_core::{Config, Result, Stack, output_format, random::Password};

/// Port of the users service and of the orchestrator on their hosts.
const SERVICE_PORT: u16 = 8080;
/// Port of the database.
const DATABASE_PORT: u16 = 5432;

/// Declares the resources.
pub fn selfieless_acts(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
    let is_local = stack.target().is_local();
    let instance_type = config.get_or("instanceType", "t3.micro")?;
    // Unprivileged users of this machine cannot listen on ports below 1024.
    let listener_port = config.get_or("listenerPort", if is_local { 8080_u16 } else { 80 })?;
    let crash = config.get_or("crash", is_local)?.to_string();

    let network = Network::new(&region, "network", "10.3.0.0/16", 2)?.declare();
    let region = network.region.clone();

    // The internet reaches the load balancer, the load balancer the services, and the services the database.
    let ssh_from: Option<String> = config.get("sshFrom")?;
    let public = [Rule::tcp(listener_port).from_anywhere()];
    let balancer_access = network.security_group("balancer-access", "Public access to the load balancer", public);
    let ssh = ssh_from.map(|addresses| Rule::tcp(22).from_cidr(addresses).describe("SSH"));
    let private = std::iter::once(Rule::tcp(SERVICE_PORT).from_group(&balancer_access)).chain(ssh);
    let service_access = network.security_group("service-access", "Access from the load balancer", private);
    let clients = [Rule::tcp(DATABASE_PORT).from_group(&service_access)];
    let database_access = network.security_group("database-access", "Access from the services", clients);

    // The load balancer, which the acts service also uses to ask for the users.
    let balancer = region.add("balancer", LoadBalancer::application(network.subnets.clone(), [balancer_access]));
    let url = output_format!("http://{}:{}", balancer.dns_name, listener_port);

    // The database of both services.
    let password = stack.add("database-password", Password::of_length(32));
    let subnets = region.add("database-subnets", DbSubnetGroup::of(network.subnets.clone()));
    let class = config.get_or("databaseClass", "db.t4g.micro")?;
    let database = region.add(
        "database",
        DbInstance {
            port: Some(DATABASE_PORT),
            subnet_group: Some(subnets.name),
            security_groups: vec![database_access],
            final_snapshot: !is_local,
            ..DbInstance::postgres(class, "selfieless", "cloud", password.value)
        },
    );

    // The services. `acts` is started by the orchestrator, with the orchestrator's environment.
    let users = Machine::debian().service(
        Service::cargo_bin("users")
            .env("DATABASE_URL", database.url.clone())
            .env("ALLOW_CRASH", crash.clone())
            .listen(SERVICE_PORT)
            .port("METRICS_LISTEN", 9090)
            .health("/healthz"),
    );
    let acts = Machine::debian().service(
        Service::cargo_bin("orchestrator")
            .program("PROGRAM", Program::cargo_bin("acts"))
            .env("DATABASE_URL", database.url)
            .env("USERS_URL", url.clone())
            .env("ORIGIN", url.clone())
            .env("ALLOW_CRASH", crash)
            .env("REQUESTS_PER_INSTANCE", config.get_or("requestsPerInstance", 20_u32)?.to_string())
            .env("WINDOW_SECONDS", config.get_or("windowSeconds", 120_u32)?.to_string())
            .listen(SERVICE_PORT)
            .port("METRICS_LISTEN", 9090)
            .health("/healthz"),
    );
    let key = region.add("key", KeyPair::generated());
    let group = |name: &str, machine, desired| {
        ServiceGroup::new(&network, name, SERVICE_PORT, machine)
            .instance_type(&instance_type)
            .access(&service_access)
            .key_name(&key.name)
            .health_path("/healthz")
            .size(1, desired, 4)
            .declare()
    };
    let users = group("users", users, config.get_or("users", 2_u32)?);
    let acts = group("acts", acts, config.get_or("acts", 2_u32)?);
    stack.relaunchable("users", &users.template_id, "new instances, one after another");
    stack.relaunchable("acts", &acts.template_id, "new instances, one after another");

    // The paths of users, and all others.
    let listener = region.add("listener", Listener::http(listener_port, balancer.arn).forward(acts.targets));
    let paths = Condition::path(["/api/v1/users", "/api/v1/users/*", "/api/v1/validate_user"]);
    region.add("users-paths", ListenerRule::new(listener.arn, 10, [paths], Action::forward(users.targets)));

    stack.export("url", url.clone());
    stack.export("curl", output_format!("curl -i {}/api/v1/categories", url));
    stack.export("orchestrator", output_format!("{}/_orchestrator", url));
    stack.export("private_key", key.private_key);
    Ok(())
}
