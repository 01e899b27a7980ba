//! A stack with many resources, for measurements:
//! `cargo run --release --example many_resources -- rehearse -c resources=1000`.

use infra_aws::{self as aws, Parameter, Role, RouteTable, SecurityGroup, Subnet, TargetGroup, Vpc};
use infra_cli::program;
use infra_core::{Config, Result, Stack};
use std::process::ExitCode;

/// Number of resources of a network.
const NETWORK: u32 = 50;

/// Regions of the networks. AWS's quota is five VPCs per region, one of which is the default VPC.
const REGIONS: [&str; 5] = ["us-east-1", "us-east-2", "us-west-2", "eu-west-1", "eu-central-1"];

/// Declares networks of fifty resources each, at most twenty.
fn many(stack: &Stack, config: &Config) -> Result {
    let resources: u32 = config.get_or("resources", 1000_u32)?;
    let regions = REGIONS.map(|name| aws::region(stack, name));
    for number in 0..resources / NETWORK {
        let network = regions[number as usize % regions.len()].component(&format!("network-{number}"));
        let vpc = network.add("vpc", Vpc::new(format!("10.{number}.0.0/16")));
        for subnet in 0..6 {
            network.add(&format!("subnet-{subnet}"), Subnet::of(&vpc.id, format!("10.{number}.{subnet}.0/24")));
        }
        for group in 0..13 {
            network.add(&format!("group-{group}"), SecurityGroup::in_vpc(&vpc.id));
        }
        for routes in 0..8 {
            network.add(&format!("routes-{routes}"), RouteTable::of(&vpc.id));
        }
        for item in 0..6 {
            network.add(&format!("targets-{item}"), TargetGroup::http(80, &vpc.id));
            network.add(&format!("role-{item}"), Role::for_service("ec2.amazonaws.com"));
        }
        for parameter in 0..10 {
            network.add(&format!("parameter-{parameter}"), Parameter::plain(vpc.cidr.clone()));
        }
    }
    Ok(())
}

fn main() -> ExitCode {
    infra_cli::run([program("many", many)])
}
