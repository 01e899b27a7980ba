//! The resources that keep EC2 from deleting a security group, a subnet, a VPC or an internet gateway.
//!
//! `DependencyViolation` does not name them, so they are looked up. A deletion waits for blockers that are being deleted
//! already. Any other blocker is an error of kind [`ErrorKind::Dependency`], which names it: the engine repeats the
//! deletion when other steps of the run have finished, and reports the error when none is left.

use super::{filter, instances};
use crate::{error::AwsError, prelude::*, wait::Backoff};
use aws_sdk_ec2::{
    Client,
    types::{NatGateway, NatGatewayState, NetworkInterface, NetworkInterfaceStatus, NetworkInterfaceType, Tag},
};
use std::{future::Future, time::Duration};
use tokio::time::Instant;

/// Longest time until blockers are deleted: network interfaces outlive their balancers and instances by minutes.
const TIMEOUT: Duration = Duration::from_mins(8);

/// A deletion that other resources may block, with the id of its resource.
#[derive(Clone, Copy)]
pub(super) enum Deletion<'a> {
    SecurityGroup(&'a str),
    Subnet(&'a str),
    Vpc(&'a str),
    /// The internet gateway of this VPC, which cannot be detached while a resource in the VPC has a public address.
    GatewayOf(&'a str),
}

/// A resource that blocks a deletion.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Blocker {
    /// Kind, id, name and state.
    text: String,
    is_deleting: bool,
}

/// Repeats a deletion while all blockers are being deleted. Fails as soon as one is not, and names it and the command that
/// lists the network interfaces.
pub(super) async fn delete<F>(
    cx: &Context<'_>,
    ec2: &Client,
    deletion: Deletion<'_>,
    mut call: impl FnMut() -> F,
) -> Result<(), AwsError>
where
    F: Future<Output = Result<(), AwsError>>,
{
    let started = Instant::now();
    let mut backoff = Backoff::new(cx.client(), TIMEOUT);
    let mut reported = String::new();
    loop {
        let error = match call().await {
            Err(error) if error.kind == ErrorKind::Dependency => error,
            result => return result,
        };
        // A blocker that cannot be looked up is no reason to stop waiting.
        let blockers = deletion.blockers(cx, ec2).await.unwrap_or_default();
        let list = listed(&blockers);
        let status = format!("waiting until {} by {list}", deletion.verb());
        if status != reported {
            cx.status(&status);
            reported = status;
        }
        let any_stays = blockers.iter().any(|blocker| !blocker.is_deleting);
        let timeout = match (any_stays, blockers.is_empty()) {
            // Descriptions lag behind deletions.
            (true, _) => settling_time(cx.client()),
            (false, true) => wait::CONSISTENCY,
            (false, false) => TIMEOUT,
        };
        if started.elapsed() >= timeout || !backoff.sleep().await {
            let named = blockers.into_iter().filter(|blocker| blocker.is_deleting != any_stays);
            let cause = format!("{} by {}", deletion.used(), listed(&named.collect::<Vec<_>>()));
            let hint = format!("delete it first; `{}` lists the network interfaces", deletion.command(cx));
            return Err(error.because(&cause).hint(hint));
        }
    }
}

/// Returns how long a blocker must exist before the deletion fails.
fn settling_time(client: &Aws) -> Duration {
    if client.has_custom_endpoint() { Duration::from_millis(500) } else { Duration::from_secs(15) }
}

/// Lists the blockers in a text of bounded length.
fn listed(blockers: &[Blocker]) -> String {
    const SHOWN: usize = 3;
    if blockers.is_empty() {
        return "a resource that EC2 does not describe".to_owned();
    }
    let shown: Vec<&str> = blockers.iter().take(SHOWN).map(|blocker| blocker.text.as_str()).collect();
    let more = blockers.len().saturating_sub(SHOWN);
    if more == 0 { shown.join(", ") } else { format!("{} and {more} more", shown.join(", ")) }
}

impl Deletion<'_> {
    fn verb(self) -> String {
        match self {
            Self::SecurityGroup(id) | Self::Subnet(id) | Self::Vpc(id) => format!("{id} is no longer used"),
            Self::GatewayOf(vpc) => format!("no public address in {vpc} is used"),
        }
    }

    fn used(self) -> String {
        match self {
            Self::SecurityGroup(id) | Self::Subnet(id) | Self::Vpc(id) => format!("{id} is used"),
            Self::GatewayOf(vpc) => format!("public addresses in {vpc} are used"),
        }
    }

    /// Returns the filter of the network interfaces that may block the deletion.
    fn interfaces(self) -> (&'static str, String) {
        match self {
            Self::SecurityGroup(id) => ("group-id", id.to_owned()),
            Self::Subnet(id) => ("subnet-id", id.to_owned()),
            Self::Vpc(id) | Self::GatewayOf(id) => ("vpc-id", id.to_owned()),
        }
    }

    /// Returns the command that lists the network interfaces.
    fn command(self, cx: &Context<'_>) -> String {
        let (name, value) = self.interfaces();
        let options = cx.client().command_options(cx.region().unwrap_or_default());
        format!("aws ec2 describe-network-interfaces --filters Name={name},Values={value}{options}")
    }

    async fn blockers(self, cx: &Context<'_>, ec2: &Client) -> Result<Vec<Blocker>> {
        let (name, value) = self.interfaces();
        let call = ec2.describe_network_interfaces().filters(filter(name, &value));
        let mut interfaces =
            call.send().await.context("DescribeNetworkInterfaces")?.network_interfaces.unwrap_or_default();
        if let Self::GatewayOf(_) = self {
            interfaces.retain(|interface| interface.association().is_some_and(|it| it.public_ip().is_some()));
        }
        let mut blockers = Vec::new();
        for interface in &interfaces {
            blockers.push(interface_blocker(cx, ec2, interface).await?);
        }
        match self {
            Self::SecurityGroup(id) => blockers.extend(referring_groups(ec2, id).await?),
            Self::Vpc(id) => blockers.extend(parts_of_vpc(ec2, id).await?),
            Self::Subnet(_) | Self::GatewayOf(_) => {}
        }
        Ok(blockers)
    }
}

/// Returns the instance, gateway or balancer that uses the interface.
async fn interface_blocker(cx: &Context<'_>, ec2: &Client, interface: &NetworkInterface) -> Result<Blocker> {
    let id = interface.network_interface_id().unwrap_or_default();
    let description = interface.description().unwrap_or_default();
    if let Some(owner) = interface.attachment().and_then(|attachment| attachment.instance_id()) {
        let Some(owner) = instances::describe(ec2, owner).await? else {
            return Ok(deleting(format!("instance {owner}")));
        };
        let state = instances::state(&owner);
        let is_deleting = !instances::exists(&owner);
        let text = named("instance", owner.instance_id(), owner.tags(), state.as_str());
        return Ok(Blocker { text, is_deleting });
    }
    if interface.interface_type() == Some(&NetworkInterfaceType::NatGateway) {
        let gateway = description.rsplit(' ').next().unwrap_or_default();
        let response = ec2.describe_nat_gateways().nat_gateway_ids(gateway).send().await.context("DescribeNatGateways");
        let gateways = found(response)?.and_then(|response| response.nat_gateways).unwrap_or_default();
        return Ok(match gateways.first() {
            Some(gateway) => nat_blocker(gateway),
            None => deleting(format!("NAT gateway {gateway}")),
        });
    }
    if let Some(name) = description.strip_prefix("ELB ").and_then(|rest| rest.split('/').nth(1)) {
        return balancer_blocker(cx, name).await;
    }
    let detached = interface.status() == Some(&NetworkInterfaceStatus::Available);
    let of_service = interface.requester_managed() == Some(true);
    let state = interface.status().map(NetworkInterfaceStatus::as_str).unwrap_or_default();
    let owner = if description.is_empty() { String::new() } else { format!(", {description}") };
    let text = format!("network interface {id} ({state}{owner})");
    // Services delete their interfaces some time after the resources that used them.
    Ok(Blocker { text, is_deleting: of_service || !detached && interface.attachment().is_none() })
}

async fn balancer_blocker(cx: &Context<'_>, name: &str) -> Result<Blocker> {
    let elbv2 = cx.client().elbv2(cx.region()?).await;
    let response = elbv2.describe_load_balancers().names(name).send().await.context("DescribeLoadBalancers");
    let balancers = found(response)?.and_then(|response| response.load_balancers).unwrap_or_default();
    let text = format!("load balancer {name}");
    if balancers.is_empty() {
        return Ok(deleting(text));
    }
    Ok(Blocker { text, is_deleting: false })
}

fn nat_blocker(gateway: &NatGateway) -> Blocker {
    let state = gateway.state().map(NatGatewayState::as_str).unwrap_or_default();
    let is_deleting = matches!(gateway.state(), Some(NatGatewayState::Deleting | NatGatewayState::Deleted));
    let text = named("NAT gateway", gateway.nat_gateway_id(), gateway.tags(), state);
    Blocker { text, is_deleting }
}

/// Returns the groups whose rules refer to this one.
async fn referring_groups(ec2: &Client, id: &str) -> Result<Vec<Blocker>> {
    let mut blockers: Vec<Blocker> = Vec::new();
    for name in ["ip-permission.group-id", "egress.ip-permission.group-id"] {
        let call = ec2.describe_security_groups().filters(filter(name, id));
        let groups = call.send().await.context("DescribeSecurityGroups")?.security_groups.unwrap_or_default();
        for group in groups.iter().filter(|group| group.group_id() != Some(id)) {
            let text = named("rule of security group", group.group_id(), group.tags(), "refers to it");
            let blocker = Blocker { text, is_deleting: false };
            if !blockers.contains(&blocker) {
                blockers.push(blocker);
            }
        }
    }
    Ok(blockers)
}

/// Returns the parts of a VPC that AWS does not delete with it.
async fn parts_of_vpc(ec2: &Client, id: &str) -> Result<Vec<Blocker>> {
    let mut blockers = Vec::new();
    let mut add = |kind, id: Option<&str>, tags: &[Tag]| {
        blockers.push(Blocker { text: named(kind, id, tags, ""), is_deleting: false });
    };
    let in_vpc = || filter("vpc-id", id);
    let response = ec2.describe_subnets().filters(in_vpc()).send().await.context("DescribeSubnets")?;
    response.subnets().iter().for_each(|subnet| add("subnet", subnet.subnet_id(), subnet.tags()));
    let call = ec2.describe_internet_gateways().filters(filter("attachment.vpc-id", id));
    let response = call.send().await.context("DescribeInternetGateways")?;
    let gateways = response.internet_gateways().iter();
    gateways.for_each(|gateway| add("internet gateway", gateway.internet_gateway_id(), gateway.tags()));
    let response = ec2.describe_security_groups().filters(in_vpc()).send().await.context("DescribeSecurityGroups")?;
    let groups = response.security_groups().iter().filter(|group| group.group_name() != Some("default"));
    groups.for_each(|group| add("security group", group.group_id(), group.tags()));
    let response = ec2.describe_route_tables().filters(in_vpc()).send().await.context("DescribeRouteTables")?;
    let tables = response.route_tables().iter();
    let tables =
        tables.filter(|table| !table.associations().iter().any(|association| association.main() == Some(true)));
    tables.for_each(|table| add("route table", table.route_table_id(), table.tags()));
    Ok(blockers)
}

fn deleting(text: String) -> Blocker {
    Blocker { text, is_deleting: true }
}

/// Returns a text such as `instance i-0123 (web, running)`.
fn named(kind: &str, id: Option<&str>, tags: &[Tag], state: &str) -> String {
    let name = tags.iter().find(|tag| tag.key() == Some("Name")).and_then(Tag::value).unwrap_or_default();
    let details: Vec<&str> = [name, state].into_iter().filter(|text| !text.is_empty()).collect();
    let details = if details.is_empty() { String::new() } else { format!(" ({})", details.join(", ")) };
    format!("{kind} {}{details}", id.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn long_list_is_shortened() {
        let blockers: Vec<Blocker> = (1..=5).map(|number| deleting(format!("instance i-{number}"))).collect();
        assert_eq!(listed(&blockers), "instance i-1, instance i-2, instance i-3 and 2 more");
        assert_eq!(listed(&[]), "a resource that EC2 does not describe");
    }

    #[test]
    fn text_contains_the_name_and_the_state() {
        let tag = Tag::builder().key("Name").value("web").build();
        assert_eq!(named("instance", Some("i-1"), &[tag], "running"), "instance i-1 (web, running)");
        assert_eq!(named("subnet", Some("subnet-1"), &[], ""), "subnet subnet-1");
    }
}
