//! VPCs.

use super::{
    Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, needed, not_honoured, ranges, resource, select, tags_for,
};
use crate::model::cidr::Cidr;
use crate::model::ec2::peering::PeeringState;
use crate::model::ec2::vpc;
use crate::model::ec2::vpc::{RangeAssociation, Vpc};
use crate::model::{Cloud, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateVpc",
        create,
        &[
            &["CidrBlock", "InstanceTenancy", "AmazonProvidedIpv6CidrBlock", "Ipv6CidrBlockNetworkBorderGroup"],
            TAG_SPECIFICATIONS,
        ],
    )
    .on(&[resource::NEW_VPC]),
    Operation::writes("DeleteVpc", delete, &[&["VpcId"]]).on(&[resource::VPC]),
    Operation::reads("DescribeVpcs", describe, &[&["VpcId.N"], FILTERS, PAGES]).on_any(),
    Operation::reads("DescribeVpcAttribute", describe_attribute, &[&["VpcId", "Attribute"]]).on(&[resource::VPC]),
    Operation::writes(
        "ModifyVpcAttribute",
        modify_attribute,
        &[&["VpcId", "EnableDnsSupport.Value", "EnableDnsHostnames.Value", "EnableNetworkAddressUsageMetrics.Value"]],
    )
    .on(&[resource::VPC]),
];

/// AWS's default quota of VPCs in a region.
const LIMIT: usize = 5;

/// Ranges that are no VPC's: this network, loopback, link-local, multicast and above.
const RESERVED: [&str; 4] = ["0.0.0.0/8", "127.0.0.0/8", "169.254.0.0/16", "224.0.0.0/3"];

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let cidr = parse_cidr(params, "CidrBlock")?;
    check_range(cidr)?;
    let tenancy = params.optional("InstanceTenancy").unwrap_or("default");
    if tenancy != "default" {
        return Err(not_honoured(format!("VPCs of the local cloud have the tenancy 'default', not '{tenancy}'")));
    }
    ranges::check_border_group(params, call.region)?;
    let ipv6 = params.flag("AmazonProvidedIpv6CidrBlock")?.then(ranges::provided_range);
    let tags = tags_for(params, "vpc")?;
    let region = cloud.region_mut(call.region)?;
    check_limit(region)?;
    let vpc = Vpc { tags, ipv6: ipv6.into_iter().collect(), ..Vpc::new(&cidr.to_string()) };
    let answer = Node::new().with("vpc", render(region, &vpc, "pending"));
    vpc::add_vpc(region, vpc);
    Ok(answer)
}

/// Refuses ranges that AWS reserves, and those with too many or too few addresses.
pub(super) fn check_range(cidr: Cidr) -> Outcome<()> {
    let reserved = RESERVED.into_iter().filter_map(Cidr::parse).any(|range| range.overlaps(cidr));
    if reserved || !(16..=28).contains(&cidr.bits()) {
        return Err(ApiError::new("InvalidVpc.Range", format!("The CIDR '{cidr}' is invalid.")));
    }
    Ok(())
}

/// Checks that the region may have another VPC.
pub(super) fn check_limit(region: &Region) -> Outcome<()> {
    if region.ec2.vpcs.len() >= LIMIT {
        return Err(ApiError::new("VpcLimitExceeded", "The maximum number of VPCs has been reached."));
    }
    Ok(())
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = call.input.required("VpcId")?;
    let region = cloud.region_mut(call.region)?;
    find(region, id)?;
    if is_needed(region, id) {
        return Err(needed("vpc", id));
    }
    region.ec2.vpcs.remove(id);
    region.ec2.security_groups.retain(|_, group| group.vpc_id != id);
    region.ec2.route_tables.retain(|_, table| table.vpc_id != id);
    region.ec2.network_acls.retain(|_, acl| acl.vpc_id != id);
    let peerings: Vec<String> = region
        .ec2
        .peerings
        .values()
        .filter(|peering| !peering.state.is_over() && peering.other_side(id).is_some())
        .map(|peering| peering.id.clone())
        .collect();
    for peering in peerings {
        cloud.change_peering(&peering, |peering| {
            peering.state = PeeringState::Deleted;
            peering.ended = Some(call.now);
        });
    }
    Ok(Node::success())
}

/// Returns whether a VPC has more in it than what came with it.
fn is_needed(region: &Region, id: &str) -> bool {
    region.ec2.subnets.values().any(|subnet| subnet.vpc_id == id)
        || region.internet_gateway_of(id).is_some()
        || region.ec2.vpc_endpoints.values().any(|endpoint| endpoint.vpc_id == id)
        || region.ec2.egress_only_gateways.values().any(|gateway| gateway.vpc_id == id)
        || region.ec2.nat_gateways.values().any(|gateway| gateway.vpc_id == id && !gateway.state.is_over())
        || region.ec2.route_tables.values().any(|table| table.vpc_id == id && !table.is_main())
        || region.ec2.network_acls.values().any(|acl| acl.vpc_id == id && !acl.default)
        || region.ec2.security_groups.values().any(|group| group.vpc_id == id && group.name != "default")
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let fields: &[Field<Located<'_, Vpc>>] = &[
        ("vpc-id", |it| vec![it.item.id.clone()]),
        ("cidr", |it| vec![it.item.cidr.clone()]),
        ("cidr-block", |it| vec![it.item.cidr.clone()]),
        ("cidr-block-association.cidr-block", |it| ipv4_ranges(it.item).into_iter().map(|own| own.cidr).collect()),
        ("cidr-block-association.association-id", |it| ipv4_ranges(it.item).into_iter().map(|own| own.id).collect()),
        ("ipv6-cidr-block-association.ipv6-cidr-block", |it| it.item.ipv6.iter().map(|own| own.cidr.clone()).collect()),
        ("ipv6-cidr-block-association.association-id", |it| it.item.ipv6.iter().map(|own| own.id.clone()).collect()),
        ("ipv6-cidr-block-association.ipv6-pool", |it| it.item.ipv6.iter().map(|_| "Amazon".to_owned()).collect()),
        ("ipv6-cidr-block-association.state", |it| it.item.ipv6.iter().map(|_| "associated".to_owned()).collect()),
        ("cidr-block-association.state", |_| vec!["associated".to_owned()]),
        ("dhcp-options-id", |it| vec![it.region.dhcp_options_of(it.item).to_owned()]),
        ("is-default", |it| vec![it.item.default.to_string()]),
        ("isDefault", |it| vec![it.item.default.to_string()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("state", |_| vec!["available".to_owned()]),
    ];
    let ids = params.texts("VpcId");
    for id in &ids {
        check_id(id, "vpc", "InvalidVpcID.Malformed")?;
    }
    let vpcs = select(&region.ec2.vpcs, &ids, "InvalidVpcID.NotFound", "vpc ID")?;
    let vpcs: Vec<_> = vpcs.into_iter().map(|item| Located { region, item }).collect();
    let vpcs = Filters::parse(params)?.apply(vpcs.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(vpcs, params, |it| &it.item.id)?;
    Ok(Node::new()
        .list("vpcSet", page.items.into_iter().map(|it| render(region, it.item, "available")))
        .maybe("nextToken", page.next))
}

fn describe_attribute(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let vpc = find(cloud.region(call.region)?, call.input.required("VpcId")?)?;
    let (name, value) = match call.input.required("Attribute")? {
        "enableDnsSupport" => ("enableDnsSupport", vpc.dns_support),
        "enableDnsHostnames" => ("enableDnsHostnames", vpc.dns_hostnames),
        "enableNetworkAddressUsageMetrics" => ("enableNetworkAddressUsageMetrics", vpc.address_usage_metrics),
        other => return Err(ApiError::invalid(format!("Value ({other}) for parameter attribute is invalid."))),
    };
    Ok(Node::new().with("vpcId", &vpc.id).with(name, Node::new().with("value", value)))
}

/// Like AWS, one attribute at a time.
fn modify_attribute(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = find(region, params.required("VpcId")?)?.id.clone();
    let support = params.parsed("EnableDnsSupport.Value")?;
    let hostnames = params.parsed("EnableDnsHostnames.Value")?;
    let metrics = params.parsed("EnableNetworkAddressUsageMetrics.Value")?;
    let vpc = find_mut(region, &id)?;
    match (support, hostnames, metrics) {
        (Some(support), None, None) => vpc.dns_support = support,
        (None, Some(hostnames), None) => vpc.dns_hostnames = hostnames,
        (None, None, Some(metrics)) => vpc.address_usage_metrics = metrics,
        (None, None, None) => {
            return Err(ApiError::missing("EnableDnsSupport, EnableDnsHostnames or another attribute"));
        }
        _ => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Fields for multiple attribute types specified; one attribute is modified at a time",
            ));
        }
    }
    Ok(Node::success())
}

/// An IPv4 range of a request, in its canonical form.
pub(super) fn parse_cidr(params: &Params, name: &str) -> Outcome<Cidr> {
    let text = params.required(name)?;
    Cidr::parse(text).ok_or_else(|| {
        ApiError::invalid(format!("Value ({text}) for parameter {name} is invalid. This is not a valid CIDR block."))
    })
}

/// The VPC with this id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a Vpc> {
    check_id(id, "vpc", "InvalidVpcID.Malformed")?;
    region.ec2.vpcs.get(id).ok_or_else(|| not_found(id))
}

fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut Vpc> {
    region.ec2.vpcs.get_mut(id).ok_or_else(|| not_found(id))
}

/// AWS's error for a VPC that is not there.
pub(super) fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))
}

/// Returns the IPv4 ranges with their associations, the primary one first.
fn ipv4_ranges(vpc: &Vpc) -> Vec<RangeAssociation> {
    let primary = RangeAssociation { id: association_id(vpc), cidr: vpc.cidr.clone() };
    std::iter::once(primary).chain(vpc.secondary.iter().cloned()).collect()
}

/// Returns the id of the association of the primary range.
pub(super) fn association_id(vpc: &Vpc) -> String {
    vpc.id.replacen("vpc-", "vpc-cidr-assoc-", 1)
}

pub(super) fn render(region: &Region, vpc: &Vpc, state: &str) -> Node {
    let own = ipv4_ranges(vpc);
    let ipv6 = vpc.ipv6.iter().map(|own| ranges::render_ipv6(region, own, "associated"));
    Node::new()
        .with("vpcId", &vpc.id)
        .with("ownerId", region.account)
        .with("state", state)
        .with("cidrBlock", &vpc.cidr)
        .list("cidrBlockAssociationSet", own.iter().map(|own| ranges::render(own, "associated")))
        .list("ipv6CidrBlockAssociationSet", ipv6)
        .with("dhcpOptionsId", region.dhcp_options_of(vpc))
        .with("instanceTenancy", "default")
        .with("isDefault", vpc.default)
        .with("tagSet", tags::set(&vpc.tags))
}
