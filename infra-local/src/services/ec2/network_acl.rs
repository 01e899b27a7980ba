//! Network ACLs: the one that every VPC has, which lets everything pass.

use super::{Ec2Operation, Located};
use crate::model::ACCOUNT;
use crate::model::Cloud;
use crate::model::ec2::vpc::{Subnet, Vpc};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] =
    &[Operation::reads("DescribeNetworkAcls", describe, &[&["NetworkAclId.N"], FILTERS, PAGES]).on_any()];

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("NetworkAclId");
    if let Some(missing) = ids.iter().find(|id| !region.ec2.vpcs.values().any(|vpc| vpc.network_acl_id() == **id)) {
        return Err(ApiError::new(
            "InvalidNetworkAclID.NotFound",
            format!("The networkAcl ID '{missing}' does not exist"),
        ));
    }
    let fields: &[Field<Located<'_, Vpc>>] = &[
        ("network-acl-id", |it| vec![it.item.network_acl_id()]),
        ("vpc-id", |it| vec![it.item.id.clone()]),
        ("default", |_| vec!["true".to_owned()]),
        ("owner-id", |_| vec![ACCOUNT.to_owned()]),
        ("association.association-id", |it| subnets(it).map(association_id).collect()),
        ("association.network-acl-id", |it| subnets(it).map(|_| it.item.network_acl_id()).collect()),
        ("association.subnet-id", |it| subnets(it).map(|subnet| subnet.id.clone()).collect()),
    ];
    let wanted = region.ec2.vpcs.values().filter(|vpc| ids.is_empty() || ids.contains(&vpc.network_acl_id()));
    let wanted: Vec<_> = wanted.map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(wanted.iter(), fields, |it| &it.item.network_acl_tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    Ok(Node::new().list("networkAclSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

/// The subnets of a VPC, all of which the ACL is for.
fn subnets<'a>(vpc: &Located<'a, Vpc>) -> impl Iterator<Item = &'a Subnet> {
    let Located { region, item } = *vpc;
    region.ec2.subnets.values().filter(|subnet| subnet.vpc_id == item.id)
}

fn association_id(subnet: &Subnet) -> String {
    subnet.id.replacen("subnet-", "aclassoc-", 1)
}

fn render(vpc: &Located<'_, Vpc>) -> Node {
    let id = vpc.item.network_acl_id();
    let entry = |number: u16, action: &'static str, egress: bool| {
        Node::new()
            .with("ruleNumber", number)
            .with("protocol", "-1")
            .with("ruleAction", action)
            .with("egress", egress)
            .with("cidrBlock", "0.0.0.0/0")
    };
    let entries =
        [true, false].into_iter().flat_map(|egress| [entry(100, "allow", egress), entry(32767, "deny", egress)]);
    let associations = subnets(vpc).map(|subnet| {
        Node::new()
            .with("networkAclAssociationId", association_id(subnet))
            .with("networkAclId", &id)
            .with("subnetId", &subnet.id)
    });
    Node::new()
        .with("networkAclId", &id)
        .with("vpcId", &vpc.item.id)
        .with("ownerId", ACCOUNT)
        .with("default", true)
        .list("entrySet", entries)
        .list("associationSet", associations)
        .with("tagSet", tags::set(&vpc.item.network_acl_tags))
}
