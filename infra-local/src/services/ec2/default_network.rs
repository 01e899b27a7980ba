//! Creation of the default VPC and of default subnets, after their deletion.

use std::collections::BTreeMap;

use super::{Ec2Operation, default_vpc, subnet, vpc};
use crate::model::cidr::Cidr;
use crate::model::ec2::network_acl::AclAssociation;
use crate::model::ec2::vpc::{Subnet, SubnetSettings, add_default_network};
use crate::model::{Cloud, Tags, new_id, zone_id};
use crate::services::{Call, Operation};
use crate::wire::{ApiError, Node, Outcome, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateDefaultVpc", create_vpc, &[]).on_any(),
    Operation::writes("CreateDefaultSubnet", create_subnet, &[&["AvailabilityZone", "AvailabilityZoneId"]]).on_any(),
];

/// Number of addresses of a default subnet, a /20.
const SUBNET_SIZE: u32 = 4096;

/// Creates the default VPC with a subnet in each zone and an internet gateway.
fn create_vpc(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    if default_vpc(cloud.region(call.region)?).is_ok() {
        return Err(ApiError::new(
            "DefaultVpcAlreadyExists",
            "A Default VPC already exists for this account in this region.",
        ));
    }
    vpc::check_limit(cloud.region(call.region)?)?;
    let zones = cloud.region(call.region)?.zones.len();
    let mut indexes = Vec::new();
    for _ in 0..zones {
        let index = cloud.take_subnet_index().filter(|index| !indexes.contains(index)).ok_or_else(subnet::no_index)?;
        indexes.push(index);
    }
    let region = cloud.region_mut(call.region)?;
    add_default_network(region, &indexes);
    Ok(Node::new().with("vpc", vpc::render(region, default_vpc(region)?, "pending")))
}

/// Creates the default subnet of a zone, in the first free /20 of the default VPC.
fn create_subnet(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let vpc = default_vpc(region).map_err(|_| {
        ApiError::new(
            "DefaultVpcDoesNotExist",
            "There is no default VPC in this region. Create one with CreateDefaultVpc.",
        )
    })?;
    let (name, id) = (params.optional("AvailabilityZone"), params.optional("AvailabilityZoneId"));
    if name.is_none() && id.is_none() {
        return Err(ApiError::missing("availabilityZone"));
    }
    let found = region.zone_names().find(|zone| name == Some(zone) || id == Some(&zone_id(zone)));
    let zone = found.ok_or_else(|| {
        let given = name.or(id).unwrap_or_default();
        ApiError::invalid(format!("Value ({given}) for parameter availabilityZone is invalid."))
    })?;
    let own: Vec<&Subnet> = region.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc.id).collect();
    if let Some(existing) = own.iter().find(|subnet| subnet.default_for_zone && subnet.zone == zone) {
        return Err(ApiError::new(
            "DefaultSubnetAlreadyExistsInAvailabilityZone",
            format!("'{}' is already the default subnet in {zone}.", existing.id),
        ));
    }
    let taken: Vec<Cidr> = own.iter().filter_map(|subnet| Cidr::parse(&subnet.cidr)).collect();
    let free = Cidr::parse(&vpc.cidr).and_then(|range| {
        let parts = u32::try_from(range.size()).unwrap_or(0) / SUBNET_SIZE;
        let mut parts = (0..parts).filter_map(|part| Cidr::parse(&format!("{}/20", range.address(part * SUBNET_SIZE))));
        parts.find(|part| !taken.iter().any(|other| other.overlaps(*part)))
    });
    let cidr = free.ok_or_else(|| {
        ApiError::new("InsufficientVpcAddressSpace", format!("The default VPC {} has no free /20 range", vpc.id))
    })?;
    let (vpc_id, acl) = (vpc.id.clone(), AclAssociation::new(&vpc.network_acl_id()));
    let index = cloud.take_subnet_index().ok_or_else(subnet::no_index)?;
    let subnet = Subnet {
        id: new_id("subnet"),
        vpc_id,
        cidr: cidr.to_string(),
        zone,
        default_for_zone: true,
        map_public_ip: true,
        ipv6: None,
        settings: SubnetSettings::default(),
        acl,
        tags: Tags::new(),
        index,
        hosts: BTreeMap::new(),
        last_host: 0,
    };
    let answer = Node::new().with("subnet", subnet::render(&subnet, call.scope()));
    cloud.region_mut(call.region)?.ec2.subnets.insert(subnet.id.clone(), subnet);
    Ok(answer)
}
