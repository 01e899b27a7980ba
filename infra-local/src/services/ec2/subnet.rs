//! Subnets.

use std::collections::BTreeMap;

use super::{Ec2Operation, TAG_SPECIFICATIONS, check_id, needed, resource, select, tags_for, vpc};
use crate::model::Cloud;
use crate::model::cidr::Cidr;
use crate::model::ec2::network_acl::AclAssociation;
use crate::model::ec2::vpc::Subnet;
use crate::model::{ACCOUNT, Region, new_id, zone_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateSubnet",
        create,
        &[&["VpcId", "CidrBlock", "AvailabilityZone", "AvailabilityZoneId"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::VPC, resource::NEW_SUBNET]),
    Operation::writes("DeleteSubnet", delete, &[&["SubnetId"]]).on(&[resource::SUBNET]),
    Operation::reads("DescribeSubnets", describe, &[&["SubnetId.N"], FILTERS, PAGES]).on_any(),
    Operation::writes("ModifySubnetAttribute", modify, &[&["SubnetId", "MapPublicIpOnLaunch.Value"]])
        .on(&[resource::SUBNET]),
];

/// AWS's default quota of subnets in a VPC.
const LIMIT: usize = 200;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let cidr = vpc::parse_cidr(params, "CidrBlock")?;
    let tags = tags_for(params, "subnet")?;
    let region = cloud.region(call.region)?;
    let vpc = vpc::find(region, params.required("VpcId")?)?;
    let (vpc_id, range) = (vpc.id.clone(), Cidr::parse(&vpc.cidr));
    let acl = AclAssociation::new(&vpc.network_acl_id());
    if !(16..=28).contains(&cidr.bits()) || !range.is_some_and(|range| range.contains(cidr)) {
        return Err(ApiError::new("InvalidSubnet.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    let siblings: Vec<&Subnet> = region.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc_id).collect();
    if siblings.iter().filter_map(|subnet| Cidr::parse(&subnet.cidr)).any(|taken| taken.overlaps(cidr)) {
        return Err(ApiError::new(
            "InvalidSubnet.Conflict",
            format!("The CIDR '{cidr}' conflicts with another subnet"),
        ));
    }
    if siblings.len() >= LIMIT {
        return Err(ApiError::new(
            "SubnetLimitExceeded",
            format!("The maximum number of subnets has been reached for VPC '{vpc_id}'."),
        ));
    }
    let zone = zone(region, params, &siblings)?;
    let index = cloud.take_subnet_index().ok_or_else(|| {
        ApiError::new(
            "SubnetLimitExceeded",
            "All 255 parts of the local cloud's addresses belong to subnets: delete a subnet in any region first",
        )
    })?;
    let subnet = Subnet {
        id: new_id("subnet"),
        vpc_id,
        cidr: cidr.to_string(),
        zone,
        default_for_zone: false,
        map_public_ip: false,
        acl,
        tags,
        index,
        hosts: BTreeMap::new(),
        last_host: 0,
    };
    let answer = Node::new().with("subnet", render(&subnet, call.region));
    cloud.region_mut(call.region)?.ec2.subnets.insert(subnet.id.clone(), subnet);
    Ok(answer)
}

/// The zone that is asked for, else the one with the fewest subnets of the VPC.
fn zone(region: &Region, params: &Params, siblings: &[&Subnet]) -> Outcome<String> {
    let all: Vec<String> = region.zone_names().collect();
    let (name, id) = (params.optional("AvailabilityZone"), params.optional("AvailabilityZoneId"));
    let found = match (name, id) {
        (Some(_), Some(_)) => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Only one of AvailabilityZone and AvailabilityZoneId may be given",
            ));
        }
        (Some(name), None) => all.iter().find(|zone| *zone == name),
        (None, Some(id)) => all.iter().find(|zone| zone_id(zone) == id),
        (None, None) => all.iter().min_by_key(|zone| siblings.iter().filter(|subnet| subnet.zone == **zone).count()),
    };
    found.cloned().ok_or_else(|| {
        let parameter = if name.is_some() { "availabilityZone" } else { "availabilityZoneId" };
        ApiError::invalid(format!(
            "Value ({}) for parameter {parameter} is invalid. Subnets can currently only be created in the following availability zones: {}.",
            name.or(id).unwrap_or_default(),
            all.join(", ")
        ))
    })
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let id = find(region, call.input.required("SubnetId")?)?.id.clone();
    let holds_somebody = region.ec2.subnets.get(&id).is_some_and(|subnet| !subnet.hosts.is_empty());
    let balancers = region.elbv2.load_balancers.values();
    if holds_somebody || balancers.into_iter().any(|balancer| balancer.subnets.contains(&id)) {
        return Err(needed("subnet", &id));
    }
    region.ec2.subnets.remove(&id);
    for table in region.ec2.route_tables.values_mut() {
        table.associations.retain(|association| association.subnet_id.as_ref() != Some(&id));
    }
    Ok(Node::success())
}

fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = find(region, params.required("SubnetId")?)?.id.clone();
    let map: Option<bool> = params.parsed("MapPublicIpOnLaunch.Value")?;
    let map = map.ok_or_else(|| ApiError::missing("MapPublicIpOnLaunch"))?;
    let subnet = region.ec2.subnets.get_mut(&id).ok_or_else(|| not_found(&id))?;
    subnet.map_public_ip = map;
    Ok(Node::success())
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("SubnetId");
    for id in &ids {
        check_id(id, "subnet", "InvalidSubnetID.Malformed")?;
    }
    let subnets = select(&region.ec2.subnets, &ids, "InvalidSubnetID.NotFound", "subnet ID")?;
    let subnets = Filters::parse(params)?.apply(subnets.into_iter(), FIELDS, |subnet| &subnet.tags)?;
    let page = Page::of(subnets, params, |subnet| &subnet.id)?;
    Ok(Node::new()
        .list("subnetSet", page.items.into_iter().map(|subnet| render(subnet, call.region)))
        .maybe("nextToken", page.next))
}

const FIELDS: &[Field<Subnet>] = &[
    ("subnet-id", |subnet| vec![subnet.id.clone()]),
    ("vpc-id", |subnet| vec![subnet.vpc_id.clone()]),
    ("availability-zone", |subnet| vec![subnet.zone.clone()]),
    ("availabilityZone", |subnet| vec![subnet.zone.clone()]),
    ("availability-zone-id", |subnet| vec![zone_id(&subnet.zone)]),
    ("available-ip-address-count", |subnet| vec![subnet.available_addresses().to_string()]),
    ("cidr-block", |subnet| vec![subnet.cidr.clone()]),
    ("cidr", |subnet| vec![subnet.cidr.clone()]),
    ("cidrBlock", |subnet| vec![subnet.cidr.clone()]),
    ("default-for-az", |subnet| vec![subnet.default_for_zone.to_string()]),
    ("defaultForAz", |subnet| vec![subnet.default_for_zone.to_string()]),
    ("map-public-ip-on-launch", |subnet| vec![subnet.map_public_ip.to_string()]),
    ("owner-id", |_| vec![ACCOUNT.to_owned()]),
    ("state", |_| vec!["available".to_owned()]),
];

/// The subnet with this id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Subnet> {
    check_id(id, "subnet", "InvalidSubnetID.Malformed")?;
    region.ec2.subnets.get(id).ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
}

fn render(subnet: &Subnet, region: &str) -> Node {
    Node::new()
        .with("subnetId", &subnet.id)
        .with("subnetArn", format!("arn:aws:ec2:{region}:{ACCOUNT}:subnet/{}", subnet.id))
        .with("state", "available")
        .with("ownerId", ACCOUNT)
        .with("vpcId", &subnet.vpc_id)
        .with("cidrBlock", &subnet.cidr)
        .list("ipv6CidrBlockAssociationSet", Vec::<Node>::new())
        .with("availableIpAddressCount", subnet.available_addresses())
        .with("availabilityZone", &subnet.zone)
        .with("availabilityZoneId", zone_id(&subnet.zone))
        .with("defaultForAz", subnet.default_for_zone)
        .with("mapPublicIpOnLaunch", subnet.map_public_ip)
        .with("assignIpv6AddressOnCreation", false)
        .with("enableDns64", false)
        .with("ipv6Native", false)
        .with(
            "privateDnsNameOptionsOnLaunch",
            Node::new()
                .with("hostnameType", "ip-name")
                .with("enableResourceNameDnsARecord", false)
                .with("enableResourceNameDnsAAAARecord", false),
        )
        .with("tagSet", tags::set(&subnet.tags))
}
