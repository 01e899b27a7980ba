//! The instances of a stack, for commands that connect to one.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext},
};
use aws_sdk_ec2::{Client, types};
use infra_core::{Target, diagnostic::Diagnostic, instances::Instance};
use std::collections::{BTreeMap, BTreeSet};

/// Port of SSH servers.
const SSH: i32 = 22;

/// Returns the instances of a stack in a region that are not terminated, also those of its Auto Scaling groups.
/// `infra_cli::Cli::new(programs).instances(instances::of_stack)` enables `exec`, `shell` and `forward` on AWS.
///
/// # API operations
/// `DescribeInstances` by the tags `infra:program` and `infra:stack`, `DescribeSecurityGroups`
///
/// # Errors
/// A message for the user if a request is refused.
pub async fn of_stack(
    target: Target,
    region: String,
    program: String,
    stack: String,
) -> Result<Vec<Instance>, Diagnostic> {
    let ec2 = Aws::new(&target).ec2(&region).await;
    let found = describe(&ec2, &region, &program, &stack).await;
    found.map_err(|error| {
        let unable =
            Diagnostic::error(format!("the instances in {region} cannot be listed")).because(error.to_string());
        if error.has_code(&["UnauthorizedOperation"]) {
            return unable.hint("allow `ec2:DescribeInstances` and `ec2:DescribeSecurityGroups` to this identity");
        }
        unable
    })
}

async fn describe(ec2: &Client, region: &str, program: &str, stack: &str) -> Result<Vec<Instance>, AwsError> {
    let filter = |name: &str, values: &[&str]| {
        let values = values.iter().map(|value| (*value).to_owned()).collect();
        types::Filter::builder().name(name).set_values(Some(values)).build()
    };
    let call = ec2
        .describe_instances()
        .filters(filter("tag:infra:program", &[program]))
        .filters(filter("tag:infra:stack", &[stack]))
        .filters(filter("instance-state-name", &["pending", "running", "stopping", "stopped"]));
    let mut pages = call.into_paginator().send();
    let mut found = Vec::new();
    while let Some(page) = pages.next().await {
        let page = page.context("DescribeInstances")?;
        let instances = page.reservations().iter().flat_map(types::Reservation::instances);
        found.extend(instances.map(|instance| instance_of(instance, region)));
    }
    let sources = ssh_sources(ec2, &found).await?;
    for instance in &mut found {
        let of_groups = instance.security_groups.iter().filter_map(|group| sources.get(group));
        instance.ssh_from = of_groups.flatten().cloned().collect::<BTreeSet<_>>().into_iter().collect();
    }
    Ok(found)
}

fn instance_of(instance: &types::Instance, region: &str) -> Instance {
    let name = instance.tags().iter().find(|tag| tag.key() == Some("Name")).and_then(types::Tag::value);
    let state = instance.state().and_then(types::InstanceState::name);
    // Without an address, EC2 returns an empty text or none.
    let address = |text: Option<&str>| text.filter(|text| !text.is_empty()).map(str::to_owned);
    let groups = instance.security_groups().iter().filter_map(types::GroupIdentifier::group_id);
    Instance {
        id: instance.instance_id().unwrap_or_default().to_owned(),
        region: region.to_owned(),
        state: state.map_or("unknown", types::InstanceStateName::as_str).to_owned(),
        name: name.map(str::to_owned),
        private_address: address(instance.private_ip_address()),
        public_address: address(instance.public_ip_address()),
        key_name: address(instance.key_name()),
        security_groups: groups.map(str::to_owned).collect(),
        ssh_from: Vec::new(),
    }
}

/// Returns the address ranges from which each security group admits SSH.
async fn ssh_sources(ec2: &Client, instances: &[Instance]) -> Result<BTreeMap<String, Vec<String>>, AwsError> {
    let groups: BTreeSet<&String> = instances.iter().flat_map(|instance| &instance.security_groups).collect();
    if groups.is_empty() {
        return Ok(BTreeMap::new());
    }
    let ids = groups.into_iter().cloned().collect();
    let mut described = ec2.describe_security_groups().set_group_ids(Some(ids)).into_paginator().items().send();
    let mut sources = BTreeMap::new();
    while let Some(group) = described.next().await {
        let group = group.context("DescribeSecurityGroups")?;
        let admitting = group.ip_permissions().iter().filter(|permission| admits_ssh(permission));
        let ranges = admitting.flat_map(|permission| {
            let v4 = permission.ip_ranges().iter().filter_map(types::IpRange::cidr_ip);
            v4.chain(permission.ipv6_ranges().iter().filter_map(types::Ipv6Range::cidr_ipv6))
        });
        sources.insert(group.group_id().unwrap_or_default().to_owned(), ranges.map(str::to_owned).collect());
    }
    Ok(sources)
}

fn admits_ssh(permission: &types::IpPermission) -> bool {
    let ports = permission.from_port().unwrap_or_default()..=permission.to_port().unwrap_or_default();
    match permission.ip_protocol() {
        Some("-1") => true,
        Some("tcp") => ports.contains(&SSH),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ssh_is_admitted_by_its_port_or_by_all_traffic() {
        let permission = |protocol: &str, from: i32, to: i32| {
            types::IpPermission::builder().ip_protocol(protocol).from_port(from).to_port(to).build()
        };
        assert!(admits_ssh(&permission("tcp", 22, 22)));
        assert!(admits_ssh(&permission("tcp", 0, 65535)));
        assert!(admits_ssh(&types::IpPermission::builder().ip_protocol("-1").build()));
        assert!(!admits_ssh(&permission("udp", 22, 22)));
        assert!(!admits_ssh(&permission("tcp", 80, 443)));
    }
}
