//! DB subnet groups.

use std::collections::BTreeSet;

use super::{FILTERS, PAGES, TAGS, arn, entries, filtered, not_found, page, parse_tags, quota, resource};
use crate::model::rds::SubnetGroup;
use crate::model::{Cloud, Region};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

const GROUP: &[&str] = &["DBSubnetGroupName", "DBSubnetGroupDescription", "SubnetIds.SubnetIdentifier.N"];

pub(super) const OPERATIONS: &[Operation<Params, Node>] = &[
    Operation::writes("CreateDBSubnetGroup", create, &[GROUP, TAGS]).on(&[resource::SUBNET_GROUP]),
    Operation::reads("DescribeDBSubnetGroups", describe, &[&["DBSubnetGroupName"], PAGES, FILTERS])
        .on(&[resource::SUBNET_GROUP]),
    Operation::writes("ModifyDBSubnetGroup", modify, &[GROUP]).on(&[resource::SUBNET_GROUP]),
    Operation::writes("DeleteDBSubnetGroup", delete, &[&["DBSubnetGroupName"]]).on(&[resource::SUBNET_GROUP]),
];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = check_name(params.required("DBSubnetGroupName")?)?;
    let description = params.required("DBSubnetGroupDescription")?.to_owned();
    let tags = parse_tags(params)?;
    let region = cloud.region_mut(call.region)?;
    if region.rds.subnet_groups.contains_key(&name) {
        return Err(ApiError::new(
            "DBSubnetGroupAlreadyExists",
            format!("The DB subnet group '{name}' already exists."),
        ));
    }
    quota::SUBNET_GROUPS.check(region.rds.subnet_groups.len() + 1)?;
    let (vpc_id, subnets) = parse_subnets(region, params)?;
    let group = SubnetGroup { name: name.clone(), description, vpc_id, subnets, tags };
    let answer = Node::new().with("DBSubnetGroup", render(&group, region));
    region.rds.subnet_groups.insert(name, group);
    Ok(answer)
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let groups = match params.optional("DBSubnetGroupName") {
        Some(name) => vec![find(region, name)?],
        None => filtered(region.rds.subnet_groups.values(), params, &[])?,
    };
    let page = page(groups, params, |group| &group.name)?;
    let groups = page.items.into_iter().map(|group| render(group, region));
    Ok(Node::new().with("DBSubnetGroups", entries("DBSubnetGroup", groups)).maybe("Marker", page.next))
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required("DBSubnetGroupName")?;
    let region = cloud.region_mut(call.region)?;
    let mut group = find(region, name)?.clone();
    let (vpc_id, subnets) = parse_subnets(region, params)?;
    if vpc_id != group.vpc_id {
        return Err(ApiError::new("InvalidSubnet", "The VPC of a DB subnet group cannot be changed."));
    }
    let used: BTreeSet<&String> = users(region, &group.name).collect();
    if !used.is_empty()
        && let Some(subnet) = group.subnets.iter().find(|subnet| !subnets.contains(subnet) && in_use(region, subnet))
    {
        return Err(ApiError::new(
            "SubnetAlreadyInUse",
            format!("The DB subnet {subnet} is in use and cannot be removed."),
        ));
    }
    group.subnets = subnets;
    if let Some(description) = params.optional("DBSubnetGroupDescription") {
        description.clone_into(&mut group.description);
    }
    let answer = Node::new().with("DBSubnetGroup", render(&group, region));
    region.rds.subnet_groups.insert(group.name.clone(), group);
    Ok(answer)
}

/// Returns whether an endpoint of a database has its address in this subnet.
fn in_use(region: &Region, subnet: &str) -> bool {
    region
        .ec2
        .subnets
        .get(subnet)
        .is_some_and(|subnet| subnet.hosts.values().any(|owner| owner.starts_with("arn:aws:rds:")))
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let name = find(region, call.input.required("DBSubnetGroupName")?)?.name.clone();
    if let Some(user) = users(region, &name).next() {
        return Err(ApiError::new(
            "InvalidDBSubnetGroupStateFault",
            format!(
                "Cannot delete the subnet group '{name}' because at least one database instance: {user} is still using it."
            ),
        ));
    }
    region.rds.subnet_groups.remove(&name);
    Ok(Node::new())
}

fn users<'a>(region: &'a Region, name: &'a str) -> impl Iterator<Item = &'a String> {
    let instances = region.rds.instances.values();
    let instances = instances.filter(move |one| one.place.subnet_group == name).map(|instance| &instance.id);
    let clusters = region.rds.clusters.values();
    instances.chain(clusters.filter(move |one| one.place.subnet_group == name).map(|cluster| &cluster.id))
}

pub(super) fn find<'a>(region: &'a Region, name: &str) -> Outcome<&'a SubnetGroup> {
    region
        .rds
        .subnet_groups
        .get(&name.to_lowercase())
        .ok_or_else(|| not_found("DBSubnetGroupNotFoundFault", format!("DB subnet group '{name}' does not exist.")))
}

/// Returns the subnet group of a request; by default the default VPC's subnets, under the name that AWS reports for
/// them.
pub(super) fn of_request(region: &Region, params: &Params) -> Outcome<SubnetGroup> {
    if let Some(name) = params.optional("DBSubnetGroupName").filter(|name| *name != "default") {
        return find(region, name).cloned();
    }
    let vpc = region.ec2.vpcs.values().find(|vpc| vpc.default).ok_or_else(|| {
        ApiError::new("InvalidVPCNetworkStateFault", "No default VPC: name a DB subnet group with DBSubnetGroupName.")
    })?;
    let subnets = region.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc.id);
    Ok(SubnetGroup {
        name: "default".to_owned(),
        description: "default".to_owned(),
        vpc_id: vpc.id.clone(),
        subnets: subnets.map(|subnet| subnet.id.clone()).collect(),
        tags: crate::model::Tags::new(),
    })
}

/// Returns the VPC and the subnets of a request, which are in at least two zones.
fn parse_subnets(region: &Region, params: &Params) -> Outcome<(String, Vec<String>)> {
    let ids = params.texts("SubnetIds.SubnetIdentifier");
    quota::SUBNETS.check(ids.len())?;
    let mut vpcs = BTreeSet::new();
    let mut zones = BTreeSet::new();
    for id in &ids {
        let subnet = region
            .ec2
            .subnets
            .get(id)
            .ok_or_else(|| ApiError::new("InvalidSubnet", format!("Subnet {id} does not exist.")))?;
        vpcs.insert(subnet.vpc_id.clone());
        zones.insert(subnet.zone.clone());
    }
    if vpcs.len() > 1 {
        return Err(ApiError::new("InvalidSubnet", "Subnets in the DB subnet group have to be in the same VPC."));
    }
    if zones.len() < 2 {
        return Err(ApiError::new(
            "DBSubnetGroupDoesNotCoverEnoughAZs",
            format!(
                "The DB subnet group doesn't meet Availability Zone (AZ) coverage requirement. Current AZ coverage: {}. \
                 Add subnets to cover at least 2 AZs.",
                zones.into_iter().collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    Ok((vpcs.into_iter().next().unwrap_or_default(), ids))
}

fn check_name(name: &str) -> Outcome<String> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || "-_. ".contains(character);
    if name.len() > 255 || !name.chars().all(allowed) || name.eq_ignore_ascii_case("default") {
        return Err(ApiError::invalid(format!(
            "The parameter DBSubnetGroupName must be provided and must not be blank or 'default', with at most 255 \
             letters, digits, spaces, hyphens, underscores and periods, not '{name}'"
        )));
    }
    Ok(name.to_lowercase())
}

pub(super) fn render(group: &SubnetGroup, region: &Region) -> Node {
    let subnets = group.subnets.iter().filter_map(|id| region.ec2.subnets.get(id)).map(|subnet| {
        Node::new()
            .with("SubnetIdentifier", &subnet.id)
            .with("SubnetAvailabilityZone", Node::new().with("Name", &subnet.zone))
            .with("SubnetOutpost", Node::new())
            .with("SubnetStatus", "Active")
    });
    Node::new()
        .with("DBSubnetGroupName", &group.name)
        .with("DBSubnetGroupDescription", &group.description)
        .with("VpcId", &group.vpc_id)
        .with("SubnetGroupStatus", "Complete")
        .with("Subnets", entries("Subnet", subnets))
        .with("DBSubnetGroupArn", arn(region.scope(), "subgrp", &group.name))
        .list("SupportedNetworkTypes", ["IPV4"])
}
