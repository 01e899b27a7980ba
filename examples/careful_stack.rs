//! A stack with options, a hook and a policy.
//!
//! `cargo run --example careful_stack -- preview`

use infra_aws::{self as aws, DefaultVpc, Parameter, Rule, SecurityGroup, policies};
use infra_cli::program;
use infra_core::{
    Config, Options, Result, Stack,
    diff::Action,
    options::{Hook, HookContext},
    policy::Enforcement,
    random::Password,
};
use std::{error::Error, process::ExitCode, time::Duration};

/// Declares a protected password, and a security group that a policy checks.
fn careful(stack: &Stack, config: &Config) -> Result {
    let region = aws::region(stack, &config.get_or("region", "us-east-1")?);
    stack.policy(policies::no_open_database_ports(Enforcement::Mandatory));

    // ANCHOR: options
    let options = Options::new()
        .protect(true) // no run deletes or replaces it
        .alias("secret") // its previous name: the resource is renamed, not replaced
        .hook(Hook::before(Action::Update, announce).retry(3, Duration::from_secs(1)));
    let password = stack.with(options).add("password", Password::of_length(24));
    // ANCHOR_END: options

    let parameter = region.with(Options::new().ignore_changes(["name"]).depends_on(&password.value));
    parameter
        .add("password", Parameter { name: Some("/careful/password".into()), ..Parameter::secure(password.value) });

    let network = region.lookup(DefaultVpc);
    let ingress = vec![Rule::tcp(5432).from_cidr(config.get_or("office", "198.51.100.0/24")?)];
    let group = region.add("database", SecurityGroup { ingress, ..SecurityGroup::in_vpc(network.vpc_id) });
    stack.export("security_group", group.id);
    Ok(())
}

async fn announce(context: HookContext) -> std::result::Result<(), Box<dyn Error + Send + Sync>> {
    println!("about to change {}", context.urn.name());
    Ok(())
}

fn main() -> ExitCode {
    infra_cli::run([program("careful", careful)])
}
