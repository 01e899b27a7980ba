//! Subnets.

use super::{Ec2Operation, select};
use crate::cloud::Cloud;
use crate::model::vpc::Subnet;
use crate::model::{ACCOUNT, tags, zone_id};
use crate::wire::filter::Field;
use crate::wire::{Call, FILTERS, Filters, Node, Operation, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeSubnets", describe, &[&["SubnetId.N"], FILTERS, PAGES])];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let subnets = select(&region.subnets, &params.texts("SubnetId"), "InvalidSubnetID.NotFound", "subnet ID")?;
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
    ("cidr-block", |subnet| vec![subnet.cidr.clone()]),
    ("cidr", |subnet| vec![subnet.cidr.clone()]),
    ("cidrBlock", |subnet| vec![subnet.cidr.clone()]),
    ("default-for-az", |subnet| vec![subnet.default_for_zone.to_string()]),
    ("defaultForAz", |subnet| vec![subnet.default_for_zone.to_string()]),
    ("map-public-ip-on-launch", |subnet| vec![subnet.map_public_ip.to_string()]),
    ("owner-id", |_| vec![ACCOUNT.to_owned()]),
    ("state", |_| vec!["available".to_owned()]),
];

fn render(subnet: &Subnet, region: &str) -> Node {
    Node::new()
        .with("subnetId", &subnet.id)
        .with("subnetArn", format!("arn:aws:ec2:{region}:{ACCOUNT}:subnet/{}", subnet.id))
        .with("state", "available")
        .with("ownerId", ACCOUNT)
        .with("vpcId", &subnet.vpc_id)
        .with("cidrBlock", &subnet.cidr)
        .with("availableIpAddressCount", subnet.available_addresses())
        .with("availabilityZone", &subnet.zone)
        .with("availabilityZoneId", zone_id(&subnet.zone))
        .with("defaultForAz", subnet.default_for_zone)
        .with("mapPublicIpOnLaunch", subnet.map_public_ip)
        .with("assignIpv6AddressOnCreation", false)
        .with("tagSet", tags::set(&subnet.tags))
}
