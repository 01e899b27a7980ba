//! Creation, description and deletion of load balancers.

use std::collections::BTreeMap;

use super::limits::{self, LOAD_BALANCERS};
use super::{
    PAGES, TAGS, arn, check_name, load_balancer, no_load_balancer, not_all_found, not_honoured, page, parse_tags,
    required, resource, validation,
};
use crate::model::ec2::vpc::Subnet;
use crate::model::elbv2::attributes::Attributed as _;
use crate::model::elbv2::{BalancerState, LoadBalancer};
use crate::model::ids::new_arn_suffix;
use crate::model::{Cloud, Region, Tags};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes(
        "CreateLoadBalancer",
        create,
        &[&["Name", "SecurityGroups.N", "Scheme", "Type", "IpAddressType"], SUBNETS, TAGS],
    )
    .on(&[resource::NEW_LOAD_BALANCER]),
    Operation::reads("DescribeLoadBalancers", describe, &[&["LoadBalancerArns.N", "Names.N"], PAGES]).on_any(),
    Operation::writes("DeleteLoadBalancer", delete, &[&["LoadBalancerArn"]]).on(&[resource::LOAD_BALANCER]),
];

pub(super) const SUBNETS: &[&str] = &[
    "Subnets.N",
    "SubnetMappings.N.SubnetId",
    "SubnetMappings.N.AllocationId",
    "SubnetMappings.N.PrivateIPv4Address",
    "SubnetMappings.N.IPv6Address",
];

/// Parts of subnet mappings that only network load balancers support, with their nouns; see the type `SubnetMapping` of
/// AWS's API.
const OF_NETWORK_BALANCERS: [(&str, &str); 3] = [
    ("AllocationId", "Elastic IP addresses"),
    ("PrivateIPv4Address", "Private IPv4 addresses"),
    ("IPv6Address", "IPv6 addresses"),
];

/// Hosted zone of the DNS names of load balancers in us-east-1. Only alias records would need the zones of other
/// regions.
const HOSTED_ZONE: &str = "Z35SXDOTRQ7X7K";

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(required(params, "Name")?, "Load balancer")?;
    if name.starts_with("internal-") {
        return Err(validation(format!("Load balancer name '{name}' cannot begin with 'internal-'")));
    }
    let kind = params.optional("Type").unwrap_or("application");
    match kind {
        "application" => {}
        "network" | "gateway" => {
            return Err(not_honoured(format!(
                "The local cloud balances HTTP and HTTPS, not the packets and connections of a load balancer of type \
                 '{kind}'; use the type 'application', or AWS"
            )));
        }
        other => {
            return Err(validation(format!(
                "Load balancer type '{other}' must be one of 'network, application, gateway'"
            )));
        }
    }
    let scheme = params.optional("Scheme").unwrap_or("internet-facing");
    if !["internet-facing", "internal"].contains(&scheme) {
        return Err(ApiError::new("InvalidScheme", format!("Scheme '{scheme}' is not valid")));
    }
    check_ip_address_type(params)?;
    let tags = parse_tags(params)?;

    let region = cloud.region_mut(call.region)?;
    let subnets = parse_subnets(region, params)?;
    let vpc_id = region.ec2.subnets.get(&subnets[0]).map(|subnet| subnet.vpc_id.clone()).unwrap_or_default();
    if scheme == "internet-facing" && region.internet_gateway_of(&vpc_id).is_none() {
        return Err(ApiError::new("InvalidSubnet", format!("VPC {vpc_id} has no internet gateway")));
    }
    let security_groups = parse_security_groups(region, params, &vpc_id)?;

    let wanted = LoadBalancer {
        arn: arn(call.scope(), &format!("loadbalancer/app/{name}/{}", new_arn_suffix())),
        name: name.to_owned(),
        scheme: scheme.to_owned(),
        vpc_id,
        subnets,
        security_groups,
        created: call.now,
        state: BalancerState::Provisioning,
        address: std::net::Ipv4Addr::LOCALHOST,
        attributes: BTreeMap::new(),
        tags,
    };
    let existing = region.elbv2.load_balancers.values().find(|balancer| balancer.name == name);
    if let Some(existing) = existing {
        if !same_settings(existing, &wanted) {
            return Err(ApiError::new(
                "DuplicateLoadBalancerName",
                format!("A load balancer with the same name '{name}' exists, but with different settings"),
            ));
        }
        return Ok(answer([existing], region));
    }
    limits::check(LOAD_BALANCERS, region.elbv2.load_balancers.len() + 1, "TooManyLoadBalancers")?;
    let address = take_address(region, &wanted, call)?;
    let balancer = LoadBalancer { address, ..wanted };
    let node = answer([&balancer], region);
    region.elbv2.load_balancers.insert(balancer.arn.clone(), balancer);
    Ok(node)
}

fn same_settings(existing: &LoadBalancer, wanted: &LoadBalancer) -> bool {
    let settings = |balancer: &LoadBalancer| -> (String, Vec<String>, Vec<String>, Tags) {
        let mut subnets = balancer.subnets.clone();
        subnets.sort();
        let mut groups = balancer.security_groups.clone();
        groups.sort();
        (balancer.scheme.clone(), subnets, groups, balancer.tags.clone())
    };
    settings(existing) == settings(wanted)
}

/// Assigns an address in each of the balancer's subnets. Returns the first one, which is the DNS name.
fn take_address(region: &mut Region, balancer: &LoadBalancer, call: &Call<'_, Params>) -> Outcome<std::net::Ipv4Addr> {
    let mut first = None;
    for id in &balancer.subnets {
        let taken = take_interface(region, &balancer.arn, id)?;
        first.get_or_insert(taken);
    }
    let (index, host) = first.ok_or_else(|| validation("At least one subnet must be specified"))?;
    Ok(call.addresses.address(index, host))
}

/// Assigns an address to the balancer's interface in a subnet, unless it has one. Returns the subnet's index and the
/// host number.
pub(super) fn take_interface(region: &mut Region, arn: &str, subnet: &str) -> Outcome<(u8, u8)> {
    let full = || ApiError::new("InvalidSubnet", format!("Not enough IP space available in {subnet}"));
    let subnet = region.ec2.subnets.get_mut(subnet).ok_or_else(full)?;
    let host = subnet.host_of(arn).or_else(|| subnet.take_host(arn)).ok_or_else(full)?;
    Ok((subnet.index, host))
}

pub(super) fn check_ip_address_type(params: &Params) -> Outcome<()> {
    match params.optional("IpAddressType") {
        None | Some("ipv4") => Ok(()),
        Some(other) => Err(not_honoured(format!("The local cloud has the IP address type 'ipv4', not '{other}'"))),
    }
}

/// Returns the subnets: at least two subnets of one VPC in different zones.
pub(super) fn parse_subnets(region: &Region, params: &Params) -> Outcome<Vec<String>> {
    let mut ids = params.texts("Subnets");
    let mappings = params.structures("SubnetMappings");
    if !ids.is_empty() && !mappings.is_empty() {
        return Err(validation("You must specify either subnets or subnet mappings, not both"));
    }
    for mapping in mappings {
        if let Some((_, what)) = OF_NETWORK_BALANCERS.iter().find(|(part, _)| mapping.optional(part).is_some()) {
            return Err(not_honoured(format!("{what} are not supported for load balancers with type 'application'")));
        }
        ids.push(required(&mapping, "SubnetId")?.to_owned());
    }
    let mut found: Vec<&Subnet> = Vec::new();
    for id in &ids {
        let subnet = region
            .ec2
            .subnets
            .get(id)
            .ok_or_else(|| ApiError::new("SubnetNotFound", format!("The subnet ID '{id}' does not exist")))?;
        if found.iter().any(|other| other.zone == subnet.zone) {
            return Err(not_honoured(format!(
                "A load balancer cannot be attached to multiple subnets in the same Availability Zone ({})",
                subnet.zone
            )));
        }
        if found.first().is_some_and(|other| other.vpc_id != subnet.vpc_id) {
            return Err(ApiError::new("InvalidSubnet", "All subnets must belong to the same VPC"));
        }
        found.push(subnet);
    }
    if found.len() < 2 {
        return Err(validation("At least two subnets in two different Availability Zones must be specified"));
    }
    Ok(ids)
}

/// Returns security groups of the VPC; its default group when none is named.
pub(super) fn parse_security_groups(region: &Region, params: &Params, vpc_id: &str) -> Outcome<Vec<String>> {
    let mut ids = params.texts("SecurityGroups");
    for id in &ids {
        match region.ec2.security_groups.get(id) {
            Some(group) if group.vpc_id == vpc_id => {}
            Some(_) => {
                return Err(not_honoured(format!("The security group '{id}' does not belong to VPC '{vpc_id}'")));
            }
            None => {
                return Err(ApiError::new("InvalidSecurityGroup", format!("The security group '{id}' does not exist")));
            }
        }
    }
    if ids.is_empty() {
        let mut groups = region.ec2.security_groups.values();
        let default = groups.find(|group| group.vpc_id == vpc_id && group.name == "default");
        ids.extend(default.map(|group| group.id.clone()));
    }
    ids.sort();
    ids.dedup();
    Ok(ids)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let (arns, names) = (params.texts("LoadBalancerArns"), params.texts("Names"));
    if arns.iter().any(|arn| load_balancer(region, arn).is_err()) {
        return Err(not_all_found("LoadBalancerNotFound", "load balancers"));
    }
    let all = region.elbv2.load_balancers.values();
    if let Some(missing) = names.iter().find(|name| !all.clone().any(|balancer| balancer.name == **name)) {
        return Err(ApiError::new("LoadBalancerNotFound", format!("Load balancers '[{missing}]' not found")));
    }
    let wanted = all.filter(|balancer| {
        (arns.is_empty() && names.is_empty()) || arns.contains(&balancer.arn) || names.contains(&balancer.name)
    });
    let page = page(wanted.collect(), params, |balancer| &balancer.arn)?;
    Ok(answer(page.items, region).maybe("NextMarker", page.next))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let arn = required(&call.input, "LoadBalancerArn")?;
    let region = cloud.region_mut(call.region)?;
    if !arn.contains(":loadbalancer/") {
        return Err(validation(format!("'{arn}' is not a valid load balancer ARN")));
    }
    match load_balancer(region, arn) {
        Ok(balancer) if balancer.is("deletion_protection.enabled") => {
            return Err(ApiError::new(
                "OperationNotPermitted",
                format!("Load balancer '{arn}' cannot be deleted because deletion protection is enabled"),
            ));
        }
        Ok(_) => {}
        // As on AWS, the deletion of a missing balancer succeeds.
        Err(_) => return Ok(Node::new()),
    }
    region.elbv2.load_balancers.remove(arn).ok_or_else(|| no_load_balancer(arn))?;
    region.elbv2.listeners.retain(|_, listener| listener.balancer != arn);
    for subnet in region.ec2.subnets.values_mut() {
        subnet.release_hosts(arn);
    }
    Ok(Node::new())
}

fn answer<'a>(balancers: impl IntoIterator<Item = &'a LoadBalancer>, region: &Region) -> Node {
    Node::new().list("LoadBalancers", balancers.into_iter().map(|balancer| render(balancer, region)))
}

fn render(balancer: &LoadBalancer, region: &Region) -> Node {
    let state = match &balancer.state {
        BalancerState::Provisioning => Node::new().with("Code", "provisioning"),
        BalancerState::Active => Node::new().with("Code", "active"),
        BalancerState::Failed(reason) => Node::new().with("Code", "failed").with("Reason", reason),
    };
    Node::new()
        .with("LoadBalancerArn", &balancer.arn)
        .with("DNSName", region.balancer_name(balancer))
        .with("CanonicalHostedZoneId", HOSTED_ZONE)
        .with("CreatedTime", balancer.created)
        .with("LoadBalancerName", &balancer.name)
        .with("Scheme", &balancer.scheme)
        .with("VpcId", &balancer.vpc_id)
        .with("State", state)
        .with("Type", "application")
        .with("AvailabilityZones", zones(&balancer.subnets, region))
        .list("SecurityGroups", &balancer.security_groups)
        .with("IpAddressType", "ipv4")
}

pub(super) fn zones(subnets: &[String], region: &Region) -> Node {
    let subnets = subnets.iter().filter_map(|id| region.ec2.subnets.get(id));
    Node::items(subnets.map(|subnet| {
        Node::new()
            .with("ZoneName", &subnet.zone)
            .with("SubnetId", &subnet.id)
            .list("LoadBalancerAddresses", Vec::<Node>::new())
    }))
}
