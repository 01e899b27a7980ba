//! Network ACLs, and which subnets use them.

use super::client_token::{earlier_result, remember};
use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, needed, resource, select, tags_for, vpc};
use crate::model::ec2::network_acl::{AclAssociation, AclEntry, NetworkAcl};
use crate::model::ec2::vpc::Subnet;
use crate::model::{Cloud, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes("CreateNetworkAcl", create, &[&["VpcId", "ClientToken"], TAG_SPECIFICATIONS])
        .on(&[resource::VPC, resource::NEW_NETWORK_ACL]),
    Operation::writes("DeleteNetworkAcl", delete, &[&["NetworkAclId"]]).on(&[resource::NETWORK_ACL]),
    Operation::writes("ReplaceNetworkAclAssociation", replace_association, &[&["AssociationId", "NetworkAclId"]])
        .on(&[resource::NETWORK_ACL, resource::ASSOCIATED_SUBNET]),
    Operation::reads("DescribeNetworkAcls", describe, &[&["NetworkAclId.N"], FILTERS, PAGES]).on_any(),
];

/// AWS's default quota of network ACLs in a VPC.
const LIMIT: usize = 200;

/// Number of the entry that ends both directions and denies all packets that no other entry matches.
pub(super) const LAST_RULE: u16 = 32767;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "network-acl")?;
    let region = cloud.region_mut(call.region)?;
    let answer = |region: &Region, acl: &NetworkAcl| {
        let acl = render(&Located { region, item: acl });
        Node::new().with("networkAcl", acl).maybe("clientToken", params.optional("ClientToken"))
    };
    if let Some(known) = earlier_result(region, call, "CreateNetworkAcl")? {
        return Ok(answer(region, find(region, &known)?));
    }
    let vpc_id = vpc::find(region, params.required("VpcId")?)?.id.clone();
    if region.ec2.network_acls.values().filter(|acl| acl.vpc_id == vpc_id).count() >= LIMIT {
        return Err(ApiError::new(
            "NetworkAclLimitExceeded",
            format!("The maximum number of network ACLs has been reached for VPC '{vpc_id}'."),
        ));
    }
    let acl = NetworkAcl { tags, ..NetworkAcl::new(&vpc_id) };
    let answer = answer(region, &acl);
    remember(region, call, "CreateNetworkAcl", &acl.id);
    region.ec2.network_acls.insert(acl.id.clone(), acl);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let acl = find(region, call.input.required("NetworkAclId")?)?;
    let id = acl.id.clone();
    if acl.default {
        return Err(ApiError::invalid(format!("cannot delete default network ACL {id}")));
    }
    if associated(region, acl).next().is_some() {
        return Err(needed("networkAcl", &id));
    }
    region.ec2.remove_network_acl(&id);
    Ok(Node::success())
}

/// Associates a subnet with another ACL. The subnet is named by its current association.
fn replace_association(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let id = check_id(params.required("AssociationId")?, "aclassoc", "InvalidAssociationID.Malformed")?;
    let acl = find(region, params.required("NetworkAclId")?)?;
    let mut subnet = region.ec2.subnets.values().find(|subnet| subnet.acl.id == id).cloned().ok_or_else(|| {
        ApiError::new("InvalidAssociationID.NotFound", format!("The association ID '{id}' does not exist"))
    })?;
    if subnet.vpc_id != acl.vpc_id {
        return Err(ApiError::invalid(format!(
            "Network ACL {} and subnet {} belong to different networks",
            acl.id, subnet.id
        )));
    }
    subnet.acl = AclAssociation::new(&acl.id);
    let answer = Node::new().with("newAssociationId", &subnet.acl.id);
    region.ec2.subnets.insert(subnet.id.clone(), subnet);
    Ok(answer)
}

/// The ACL with this id.
pub(super) fn find<'a>(region: &'a Region, id: &str) -> Outcome<&'a NetworkAcl> {
    check_id(id, "acl", "InvalidNetworkAclId.Malformed")?;
    region.ec2.network_acls.get(id).ok_or_else(|| not_found(id))
}

/// The ACL with this id, to change it.
pub(super) fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut NetworkAcl> {
    check_id(id, "acl", "InvalidNetworkAclId.Malformed")?;
    region.ec2.network_acls.get_mut(id).ok_or_else(|| not_found(id))
}

fn not_found(id: &str) -> ApiError {
    ApiError::new("InvalidNetworkAclID.NotFound", format!("The networkAcl ID '{id}' does not exist"))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("NetworkAclId");
    for id in &ids {
        check_id(id, "acl", "InvalidNetworkAclId.Malformed")?;
    }
    let acls = select(&region.ec2.network_acls, &ids, "InvalidNetworkAclID.NotFound", "networkAcl ID")?;
    let acls: Vec<_> = acls.into_iter().map(|item| Located { region, item }).collect();
    let fields: &[Field<Located<'_, NetworkAcl>>] = &[
        ("network-acl-id", |it| vec![it.item.id.clone()]),
        ("vpc-id", |it| vec![it.item.vpc_id.clone()]),
        ("default", |it| vec![it.item.default.to_string()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("association.association-id", |it| subnets(it).map(|subnet| subnet.acl.id.clone()).collect()),
        ("association.network-acl-id", |it| subnets(it).map(|_| it.item.id.clone()).collect()),
        ("association.subnet-id", |it| subnets(it).map(|subnet| subnet.id.clone()).collect()),
        ("entry.cidr", |it| ranges(it, false)),
        ("entry.egress", |it| entries(it).map(|(egress, ..)| egress.to_string()).collect()),
        ("entry.icmp.code", |it| icmp(it, |(_, code)| code)),
        ("entry.icmp.type", |it| icmp(it, |(kind, _)| kind)),
        ("entry.ipv6-cidr", |it| ranges(it, true)),
        ("entry.port-range.from", |it| ports(it, |(first, _)| first)),
        ("entry.port-range.to", |it| ports(it, |(_, last)| last)),
        ("entry.protocol", |it| entries(it).flat_map(|(_, _, entry)| protocol_names(&entry)).collect()),
        ("entry.rule-action", |it| entries(it).map(|(_, _, entry)| action(&entry).to_owned()).collect()),
        ("entry.rule-number", |it| entries(it).map(|(_, number, _)| number.to_string()).collect()),
    ];
    let found = Filters::parse(params)?.apply(acls.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    Ok(Node::new().list("networkAclSet", page.items.into_iter().map(render)).maybe("nextToken", page.next))
}

/// The subnets that use an ACL.
fn associated<'a>(region: &'a Region, acl: &'a NetworkAcl) -> impl Iterator<Item = &'a Subnet> {
    region.ec2.subnets.values().filter(|subnet| subnet.acl.network_acl_id == acl.id)
}

fn subnets<'a>(acl: &Located<'a, NetworkAcl>) -> impl Iterator<Item = &'a Subnet> {
    associated(acl.region, acl.item)
}

/// The entries of both directions, with the last ones: whether it is for egress, its number and the entry.
fn entries(acl: &Located<'_, NetworkAcl>) -> impl Iterator<Item = (bool, u16, AclEntry)> {
    [true, false].into_iter().flat_map(|egress| {
        let own = acl.item.entries(egress).iter().map(move |(number, entry)| (egress, *number, entry.clone()));
        own.chain([(egress, LAST_RULE, AclEntry::everything(false))])
    })
}

/// Ranges of IPv4 or IPv6 addresses.
fn ranges(acl: &Located<'_, NetworkAcl>, ipv6: bool) -> Vec<String> {
    entries(acl).map(|(_, _, entry)| entry.cidr).filter(|range| range.contains(':') == ipv6).collect()
}

fn ports(acl: &Located<'_, NetworkAcl>, end: fn((u16, u16)) -> u16) -> Vec<String> {
    entries(acl).filter_map(|(_, _, entry)| entry.ports).map(|ports| end(ports).to_string()).collect()
}

/// Type and code of an ICMP entry; all of them when absent.
type Icmp = (Option<u8>, Option<u8>);

fn icmp(acl: &Located<'_, NetworkAcl>, part: fn(Icmp) -> Option<u8>) -> Vec<String> {
    entries(acl).filter_map(|(_, _, entry)| entry.icmp).map(|icmp| or_all(part(icmp)).to_string()).collect()
}

/// A protocol, ICMP type or code as AWS shows it: -1 stands for all.
fn or_all(number: Option<u8>) -> i32 {
    number.map_or(-1, i32::from)
}

/// The protocol's number, and its name if AWS accepts one.
fn protocol_names(entry: &AclEntry) -> Vec<String> {
    let name = match entry.protocol {
        Some(1) => Some("icmp"),
        Some(6) => Some("tcp"),
        Some(17) => Some("udp"),
        _ => None,
    };
    [or_all(entry.protocol).to_string()].into_iter().chain(name.map(str::to_owned)).collect()
}

fn action(entry: &AclEntry) -> &'static str {
    if entry.allow { "allow" } else { "deny" }
}

fn render(acl: &Located<'_, NetworkAcl>) -> Node {
    let associations = subnets(acl).map(|subnet| {
        Node::new()
            .with("networkAclAssociationId", &subnet.acl.id)
            .with("networkAclId", &acl.item.id)
            .with("subnetId", &subnet.id)
    });
    let entries = entries(acl).map(|(egress, number, entry)| {
        let ports = entry.ports.map(|(first, last)| Node::new().with("from", first).with("to", last));
        let icmp = entry.icmp.map(|(kind, code)| Node::new().with("code", or_all(code)).with("type", or_all(kind)));
        Node::new()
            .with("ruleNumber", number)
            .with("protocol", or_all(entry.protocol).to_string())
            .with("ruleAction", action(&entry))
            .with("egress", egress)
            .with(if entry.cidr.contains(':') { "ipv6CidrBlock" } else { "cidrBlock" }, &entry.cidr)
            .maybe("icmpTypeCode", icmp)
            .maybe("portRange", ports)
    });
    Node::new()
        .with("networkAclId", &acl.item.id)
        .with("vpcId", &acl.item.vpc_id)
        .with("ownerId", acl.region.account)
        .with("default", acl.item.default)
        .list("entrySet", entries)
        .list("associationSet", associations)
        .with("tagSet", tags::set(&acl.item.tags))
}
