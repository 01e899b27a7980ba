//! VPCs.

use super::{Ec2Operation, check_id, select};
use crate::cloud::Cloud;
use crate::model::vpc::Vpc;
use crate::model::{ACCOUNT, tags};
use crate::wire::filter::Field;
use crate::wire::{ApiError, Call, FILTERS, Filters, Node, Operation, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeVpcs", describe, &[&["VpcId.N"], FILTERS, PAGES]),
    Operation::reads("DescribeVpcAttribute", describe_attribute, &[&["VpcId", "Attribute"]]),
];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let vpcs = select(&region.vpcs, &params.texts("VpcId"), "InvalidVpcID.NotFound", "vpc ID")?;
    let vpcs = Filters::parse(params)?.apply(vpcs.into_iter(), FIELDS, |vpc| &vpc.tags)?;
    let page = Page::of(vpcs, params, |vpc| &vpc.id)?;
    Ok(Node::new().list("vpcSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

const FIELDS: &[Field<Vpc>] = &[
    ("vpc-id", |vpc| vec![vpc.id.clone()]),
    ("cidr", |vpc| vec![vpc.cidr.clone()]),
    ("cidr-block-association.cidr-block", |vpc| vec![vpc.cidr.clone()]),
    ("is-default", |vpc| vec![vpc.default.to_string()]),
    ("isDefault", |vpc| vec![vpc.default.to_string()]),
    ("owner-id", |_| vec![ACCOUNT.to_owned()]),
    ("state", |_| vec!["available".to_owned()]),
];

fn describe_attribute(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let id = check_id(call.input.required("VpcId")?, "vpc", "InvalidVpcID.Malformed")?;
    let vpc = find(cloud.region(call.region)?, id)?;
    let (name, value) = match call.input.required("Attribute")? {
        "enableDnsSupport" => ("enableDnsSupport", vpc.dns_support),
        "enableDnsHostnames" => ("enableDnsHostnames", vpc.dns_hostnames),
        "enableNetworkAddressUsageMetrics" => ("enableNetworkAddressUsageMetrics", false),
        other => return Err(ApiError::invalid(format!("Value ({other}) for parameter attribute is invalid."))),
    };
    Ok(Node::new().with("vpcId", id).with(name, Node::new().with("value", value)))
}

fn find<'a>(region: &'a crate::model::Region, id: &str) -> Outcome<&'a Vpc> {
    let vpc = region.vpcs.get(id);
    vpc.ok_or_else(|| ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist")))
}

fn render(vpc: &Vpc) -> Node {
    let association = Node::new()
        .with("associationId", vpc.id.replacen("vpc-", "vpc-cidr-assoc-", 1))
        .with("cidrBlock", &vpc.cidr)
        .with("cidrBlockState", Node::new().with("state", "associated"));
    Node::new()
        .with("vpcId", &vpc.id)
        .with("ownerId", ACCOUNT)
        .with("state", "available")
        .with("cidrBlock", &vpc.cidr)
        .list("cidrBlockAssociationSet", [association])
        .with("dhcpOptionsId", "default")
        .with("instanceTenancy", "default")
        .with("isDefault", vpc.default)
        .with("tagSet", tags::set(&vpc.tags))
}
