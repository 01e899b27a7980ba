//! A PostgreSQL server with a standby, in a network of its own.
//!
//! ```text
//! cargo run --example replicated_database -- up
//! cargo run --example replicated_database -- output replica
//! ```

use infra_aws::{self as aws, Network, ReplicatedDatabase};
use infra_cli::program;
use infra_core::{Config, Result, Stack, random::Password};
use std::process::ExitCode;

fn replicated_database(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-2")?);
    let network = Network::new(&region, "database-network", "10.3.0.0/16", 2)?.declare();
    let password = stack.add("database-password", Password::of_length(32));
    let database = ReplicatedDatabase::postgres(&network.region, "database")
        .database("tasks", "cloud", password.value)
        .network(network.vpc_id, [network.subnets.index(0), network.subnets.index(1)])
        .reachable_by(network.cidr)
        .declare()?;
    stack.export("primary", database.primary.url);
    for replica in database.replicas {
        stack.export("replica", replica.url);
    }
    Ok(())
}

fn main() -> ExitCode {
    infra_cli::run([program("replicated-database", replicated_database)])
}
