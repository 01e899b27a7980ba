//! Subnets.

use std::collections::BTreeMap;

use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, needed, ranges, resource, select, tags_for, vpc};
use crate::model::cidr::Cidr;
use crate::model::ec2::network_acl::AclAssociation;
use crate::model::ec2::vpc::{Subnet, SubnetSettings};
use crate::model::{ArnScope, Cloud, Region, new_id, zone_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateSubnet",
        create,
        &[&["VpcId", "CidrBlock", "Ipv6CidrBlock", "AvailabilityZone", "AvailabilityZoneId"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::VPC, resource::NEW_SUBNET]),
    Operation::writes("DeleteSubnet", delete, &[&["SubnetId"]]).on(&[resource::SUBNET]),
    Operation::reads("DescribeSubnets", describe, &[&["SubnetId.N"], FILTERS, PAGES]).on_any(),
    Operation::writes("ModifySubnetAttribute", modify, &[&["SubnetId"], ATTRIBUTES]).on(&[resource::SUBNET]),
];

/// Parameters of single attributes.
const ATTRIBUTES: &[&str] = &[
    "MapPublicIpOnLaunch.Value",
    "AssignIpv6AddressOnCreation.Value",
    "EnableDns64.Value",
    "EnableResourceNameDnsARecordOnLaunch.Value",
    "EnableResourceNameDnsAAAARecordOnLaunch.Value",
    HOSTNAMES,
];

/// The attribute that is no flag.
const HOSTNAMES: &str = "PrivateDnsHostnameTypeOnLaunch";

/// AWS's default quota of subnets in a VPC.
const LIMIT: usize = 200;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let cidr = vpc::parse_cidr(params, "CidrBlock")?;
    let tags = tags_for(params, "subnet")?;
    let region = cloud.region(call.region)?;
    let vpc = vpc::find(region, params.required("VpcId")?)?;
    let vpc_id = vpc.id.clone();
    let acl = AclAssociation::new(&vpc.network_acl_id());
    if !(16..=28).contains(&cidr.bits()) || !vpc.ranges().any(|range| range.contains(cidr)) {
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
    let ipv6 = params.optional("Ipv6CidrBlock").map(|text| ranges::subnet_range(region, &vpc_id, text));
    let ipv6 = ipv6.transpose()?;
    let index = cloud.take_subnet_index().ok_or_else(no_index)?;
    let subnet = Subnet {
        id: new_id("subnet"),
        vpc_id,
        cidr: cidr.to_string(),
        zone,
        default_for_zone: false,
        map_public_ip: false,
        ipv6,
        settings: SubnetSettings::default(),
        acl,
        tags,
        index,
        hosts: BTreeMap::new(),
        last_host: 0,
    };
    let answer = Node::new().with("subnet", render(&subnet, call.scope()));
    cloud.region_mut(call.region)?.ec2.subnets.insert(subnet.id.clone(), subnet);
    Ok(answer)
}

/// Returns the error for a cloud whose addresses are all assigned to subnets.
pub(super) fn no_index() -> ApiError {
    ApiError::new(
        "SubnetLimitExceeded",
        "All 255 parts of the local cloud's addresses belong to subnets: delete a subnet in any region first",
    )
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
    let subnet = region.ec2.subnets.get_mut(&id).ok_or_else(|| not_found(&id))?;
    let given: Vec<&str> = ATTRIBUTES.iter().copied().filter(|name| params.optional(name).is_some()).collect();
    let [attribute] = given.as_slice() else {
        return Err(if given.is_empty() {
            ApiError::missing("MapPublicIpOnLaunch or another attribute")
        } else {
            let message = "Only one subnet attribute can be modified at a time";
            ApiError::new("InvalidParameterCombination", message)
        });
    };
    if *attribute == HOSTNAMES {
        subnet.settings.resource_names = match params.required(attribute)? {
            "ip-name" => false,
            "resource-name" => true,
            other => return Err(ApiError::invalid(format!("Value ({other}) for parameter {attribute} is invalid."))),
        };
        return Ok(Node::success());
    }
    let value = params.flag(attribute)?;
    match *attribute {
        "MapPublicIpOnLaunch.Value" => subnet.map_public_ip = value,
        "AssignIpv6AddressOnCreation.Value" if value && subnet.ipv6.is_none() => {
            let message = "Invalid value 'true' for assignIpv6AddressOnCreation. Subnet must have an IPv6 CIDR block.";
            return Err(ApiError::invalid(message));
        }
        "AssignIpv6AddressOnCreation.Value" => subnet.settings.assign_ipv6 = value,
        "EnableDns64.Value" => subnet.settings.dns64 = value,
        "EnableResourceNameDnsARecordOnLaunch.Value" => subnet.settings.resource_name_a = value,
        _ => subnet.settings.resource_name_aaaa = value,
    }
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
    let fields: &[Field<Located<'_, Subnet>>] = &[
        ("subnet-id", |it| vec![it.item.id.clone()]),
        ("vpc-id", |it| vec![it.item.vpc_id.clone()]),
        ("availability-zone", |it| vec![it.item.zone.clone()]),
        ("availabilityZone", |it| vec![it.item.zone.clone()]),
        ("availability-zone-id", |it| vec![zone_id(&it.item.zone)]),
        ("available-ip-address-count", |it| vec![it.item.available_addresses().to_string()]),
        ("cidr-block", |it| vec![it.item.cidr.clone()]),
        ("cidr", |it| vec![it.item.cidr.clone()]),
        ("cidrBlock", |it| vec![it.item.cidr.clone()]),
        ("customer-owned-ipv4-pool", |_| Vec::new()),
        ("enable-dns64", |it| vec![it.item.settings.dns64.to_string()]),
        ("enable-lni-at-device-index", |_| Vec::new()),
        ("ipv6-cidr-block-association.ipv6-cidr-block", |it| it.item.ipv6.iter().map(|own| own.cidr.clone()).collect()),
        ("ipv6-cidr-block-association.association-id", |it| it.item.ipv6.iter().map(|own| own.id.clone()).collect()),
        ("ipv6-cidr-block-association.state", |it| it.item.ipv6.iter().map(|_| "associated".to_owned()).collect()),
        ("ipv6-native", |_| vec!["false".to_owned()]),
        ("map-customer-owned-ip-on-launch", |_| vec!["false".to_owned()]),
        ("outpost-arn", |_| Vec::new()),
        ("private-dns-name-options-on-launch.hostname-type", |it| vec![hostname_type(it.item).to_owned()]),
        ("private-dns-name-options-on-launch.enable-resource-name-dns-a-record", |it| {
            vec![it.item.settings.resource_name_a.to_string()]
        }),
        ("private-dns-name-options-on-launch.enable-resource-name-dns-aaaa-record", |it| {
            vec![it.item.settings.resource_name_aaaa.to_string()]
        }),
        ("subnet-arn", |it| vec![arn(it.item, it.region.scope())]),
        ("default-for-az", |it| vec![it.item.default_for_zone.to_string()]),
        ("defaultForAz", |it| vec![it.item.default_for_zone.to_string()]),
        ("map-public-ip-on-launch", |it| vec![it.item.map_public_ip.to_string()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("state", |_| vec!["available".to_owned()]),
    ];
    let subnets: Vec<_> = subnets.into_iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(subnets.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    let nodes = page.items.into_iter().map(|it| render(it.item, region.scope()));
    Ok(Node::new().list("subnetSet", nodes).maybe("nextToken", page.next))
}

/// The subnet with this id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Subnet> {
    check_id(id, "subnet", "InvalidSubnetID.Malformed")?;
    region.ec2.subnets.get(id).ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidSubnetID.NotFound", format!("The subnet ID '{id}' does not exist"))
}

fn hostname_type(subnet: &Subnet) -> &'static str {
    if subnet.settings.resource_names { "resource-name" } else { "ip-name" }
}

fn arn(subnet: &Subnet, scope: ArnScope<'_>) -> String {
    scope.arn("ec2", format_args!("subnet/{}", subnet.id))
}

pub(super) fn render(subnet: &Subnet, scope: ArnScope<'_>) -> Node {
    Node::new()
        .with("subnetId", &subnet.id)
        .with("subnetArn", arn(subnet, scope))
        .with("state", "available")
        .with("ownerId", scope.account)
        .with("vpcId", &subnet.vpc_id)
        .with("cidrBlock", &subnet.cidr)
        .list("ipv6CidrBlockAssociationSet", subnet.ipv6.iter().map(|own| ranges::render_of_subnet(own, "associated")))
        .with("availableIpAddressCount", subnet.available_addresses())
        .with("availabilityZone", &subnet.zone)
        .with("availabilityZoneId", zone_id(&subnet.zone))
        .with("defaultForAz", subnet.default_for_zone)
        .with("mapPublicIpOnLaunch", subnet.map_public_ip)
        .with("assignIpv6AddressOnCreation", subnet.settings.assign_ipv6)
        .with("enableDns64", subnet.settings.dns64)
        .with("ipv6Native", false)
        .with(
            "privateDnsNameOptionsOnLaunch",
            Node::new()
                .with("hostnameType", hostname_type(subnet))
                .with("enableResourceNameDnsARecord", subnet.settings.resource_name_a)
                .with("enableResourceNameDnsAAAARecord", subnet.settings.resource_name_aaaa),
        )
        .with("tagSet", tags::set(&subnet.tags))
}
