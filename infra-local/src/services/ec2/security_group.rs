//! Security groups.

use std::collections::BTreeMap;

use super::{Ec2Operation, Located, TAG_SPECIFICATIONS, check_id, resource, select, tags_for};
pub(super) use crate::domain::ec2::unknown_security_group as not_found;
use crate::model::ec2::vpc::{Peer, Ports, Rule, SecurityGroup};
use crate::model::{Account, ArnScope, Cloud, Region};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::writes(
        "CreateSecurityGroup",
        create,
        &[&["GroupName", "GroupDescription", "VpcId"], TAG_SPECIFICATIONS],
    )
    .on(&[resource::VPC, resource::NEW_SECURITY_GROUP]),
    Operation::writes("DeleteSecurityGroup", delete, &[&["GroupId", "GroupName"]]).on(&[resource::SECURITY_GROUP]),
    Operation::reads("DescribeSecurityGroups", describe, &[&["GroupId.N", "GroupName.N"], FILTERS, PAGES]).on_any(),
];

/// AWS's default quota of groups per region.
const LIMIT: usize = 2500;

fn create(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let name = params.required("GroupName")?;
    let description = params.required("GroupDescription")?;
    check_text("GroupName", name)?;
    check_text("GroupDescription", description)?;
    if name.starts_with("sg-") {
        return Err(ApiError::invalid("Invalid value for parameter GroupName: it must not begin with 'sg-'"));
    }
    if name == "default" {
        return Err(ApiError::new("InvalidParameterValue", "Cannot use reserved security group name: default"));
    }
    let tags = tags_for(params, "security-group")?;
    let region = cloud.region_mut(call.region)?;
    let vpc_id = match params.optional("VpcId") {
        Some(id) if region.ec2.vpcs.contains_key(id) => id.to_owned(),
        Some(id) => return Err(ApiError::new("InvalidVpcID.NotFound", format!("The vpc ID '{id}' does not exist"))),
        None => super::default_vpc(region)?.id.clone(),
    };
    if region.ec2.security_groups.values().any(|group| group.vpc_id == vpc_id && group.name == name) {
        return Err(ApiError::new(
            "InvalidGroup.Duplicate",
            format!("The security group '{name}' already exists for VPC '{vpc_id}'"),
        ));
    }
    if region.ec2.security_groups.len() >= LIMIT {
        return Err(ApiError::new(
            "SecurityGroupLimitExceeded",
            format!("The maximum number of security groups for VPC '{vpc_id}' has been reached."),
        ));
    }
    let group = SecurityGroup { tags, ..SecurityGroup::new(name, description, &vpc_id) };
    let answer = Node::new()
        .with("return", true)
        .with("groupId", &group.id)
        .with("tagSet", tags::set(&group.tags))
        .with("securityGroupArn", arn(call.scope(), &group.id));
    region.ec2.security_groups.insert(group.id.clone(), group);
    Ok(answer)
}

fn delete(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let group = find(region, &call.input)?;
    let (id, name) = (group.id.clone(), group.name.clone());
    if name == "default" {
        return Err(ApiError::new(
            "CannotDelete",
            format!("the specified group: \"{id}\" name: \"default\" cannot be deleted by a user"),
        ));
    }
    let users = region.users_of_security_group(&id);
    if !users.is_empty() {
        return Err(ApiError::new(
            "DependencyViolation",
            format!("resource {id} has a dependent object: {}", users.join(", ")),
        ));
    }
    region.ec2.security_groups.remove(&id);
    Ok(Node::success().with("groupId", id))
}

fn describe(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("GroupId");
    for id in &ids {
        check_id(id, "sg", "InvalidGroupId.Malformed")?;
    }
    let mut groups = select(&region.ec2.security_groups, &ids, "InvalidGroup.NotFound", "security group")?;
    let names = params.texts("GroupName");
    if !names.is_empty() {
        if let Some(missing) = names.iter().find(|name| !groups.iter().any(|group| group.name == **name)) {
            return Err(ApiError::new(
                "InvalidGroup.NotFound",
                format!("The security group '{missing}' does not exist"),
            ));
        }
        groups.retain(|group| names.contains(&group.name));
    }
    let fields: &[Field<Located<'_, SecurityGroup>>] = &[
        ("group-id", |it| vec![it.item.id.clone()]),
        ("group-name", |it| vec![it.item.name.clone()]),
        ("description", |it| vec![it.item.description.clone()]),
        ("vpc-id", |it| vec![it.item.vpc_id.clone()]),
        ("owner-id", |it| vec![it.region.account.to_string()]),
        ("ip-permission.group-id", |it| peers(it.item, false, |peer| matches!(peer, Peer::Group(_)))),
        ("egress.ip-permission.group-id", |it| peers(it.item, true, |peer| matches!(peer, Peer::Group(_)))),
        ("ip-permission.cidr", |it| peers(it.item, false, |peer| matches!(peer, Peer::Ipv4(_)))),
        ("egress.ip-permission.cidr", |it| peers(it.item, true, |peer| matches!(peer, Peer::Ipv4(_)))),
        ("ip-permission.ipv6-cidr", |it| peers(it.item, false, |peer| matches!(peer, Peer::Ipv6(_)))),
        ("egress.ip-permission.ipv6-cidr", |it| peers(it.item, true, |peer| matches!(peer, Peer::Ipv6(_)))),
        ("ip-permission.prefix-list-id", |it| peers(it.item, false, |peer| matches!(peer, Peer::PrefixList(_)))),
        ("egress.ip-permission.prefix-list-id", |it| peers(it.item, true, |peer| matches!(peer, Peer::PrefixList(_)))),
        ("ip-permission.user-id", |it| owners(it, false)),
        ("egress.ip-permission.user-id", |it| owners(it, true)),
        ("ip-permission.protocol", |it| protocols(it.item, false)),
        ("egress.ip-permission.protocol", |it| protocols(it.item, true)),
        ("ip-permission.from-port", |it| ports(it.item, false, |ports| ports.0)),
        ("egress.ip-permission.from-port", |it| ports(it.item, true, |ports| ports.0)),
        ("ip-permission.to-port", |it| ports(it.item, false, |ports| ports.1)),
        ("egress.ip-permission.to-port", |it| ports(it.item, true, |ports| ports.1)),
    ];
    let groups: Vec<_> = groups.into_iter().map(|item| Located { region, item }).collect();
    let found = Filters::parse(params)?.apply(groups.iter(), fields, |it| &it.item.tags)?;
    let page = Page::of(found, params, |it| &it.item.id)?;
    let nodes = page.items.into_iter().map(|it| render(it.item, region.scope()));
    Ok(Node::new().list("securityGroupInfo", nodes).maybe("nextToken", page.next))
}

/// Returns the rules of a direction.
fn rules(group: &SecurityGroup, egress: bool) -> impl Iterator<Item = &Rule> {
    group.rules.values().filter(move |rule| rule.egress == egress)
}

fn protocols(group: &SecurityGroup, egress: bool) -> Vec<String> {
    rules(group, egress).map(|rule| rule.protocol.clone()).collect()
}

/// Returns the accounts of the groups that rules refer to.
fn owners(it: &Located<'_, SecurityGroup>, egress: bool) -> Vec<String> {
    let referring = rules(it.item, egress).filter(|rule| matches!(rule.peer, Peer::Group(_)));
    referring.map(|_| it.region.account.to_string()).collect()
}

fn peers(group: &SecurityGroup, egress: bool, wanted: fn(&Peer) -> bool) -> Vec<String> {
    let rules = rules(group, egress).filter(|rule| wanted(&rule.peer));
    rules.map(|rule| rule.peer.text().to_owned()).collect()
}

fn ports(group: &SecurityGroup, egress: bool, end: fn(Ports) -> i32) -> Vec<String> {
    rules(group, egress).filter_map(|rule| rule.ports).map(|ports| end(ports).to_string()).collect()
}

/// Returns the group that `GroupId`, or `GroupName` in the default VPC, names.
pub(super) fn find<'a>(region: &'a Region, params: &Params) -> Outcome<&'a SecurityGroup> {
    if let Some(id) = params.optional("GroupId") {
        check_id(id, "sg", "InvalidGroupId.Malformed")?;
        return region.ec2.security_groups.get(id).ok_or_else(|| not_found(id));
    }
    let name = params.required("GroupName").map_err(|_| ApiError::missing("groupName or groupId"))?;
    let vpc = super::default_vpc(region)?;
    let named = region.ec2.security_groups.values().find(|group| group.vpc_id == vpc.id && group.name == name);
    named.ok_or_else(|| not_found(name))
}

/// Returns the group with this id for modification.
pub(super) fn find_mut<'a>(region: &'a mut Region, id: &str) -> Outcome<&'a mut SecurityGroup> {
    region.ec2.security_groups.get_mut(id).ok_or_else(|| not_found(id))
}

/// Checks the name or the description of a group: up to 255 characters of AWS's set.
fn check_text(parameter: &str, text: &str) -> Outcome<()> {
    let allowed = |character: char| character.is_ascii_alphanumeric() || " ._-:/()#,@[]+=&;{}!$*".contains(character);
    if text.len() <= 255 && text.chars().all(allowed) {
        return Ok(());
    }
    Err(ApiError::invalid(format!(
        "Value ({text}) for parameter {parameter} is invalid. Character sets beyond ASCII are not supported, and at most 255 characters."
    )))
}

fn render(group: &SecurityGroup, scope: ArnScope<'_>) -> Node {
    Node::new()
        .with("ownerId", scope.account)
        .with("groupId", &group.id)
        .with("groupName", &group.name)
        .with("groupDescription", &group.description)
        .with("vpcId", &group.vpc_id)
        .with("ipPermissions", render_permissions(group, false, scope.account))
        .with("ipPermissionsEgress", render_permissions(group, true, scope.account))
        .with("tagSet", tags::set(&group.tags))
        .with("securityGroupArn", arn(scope, &group.id))
}

/// Renders rules. As on AWS, rules with the same protocol and ports are one permission.
fn render_permissions(group: &SecurityGroup, egress: bool, account: Account) -> Node {
    let mut permissions: BTreeMap<(&str, Option<Ports>), Vec<&Rule>> = BTreeMap::new();
    for rule in group.rules.values().filter(|rule| rule.egress == egress) {
        permissions.entry((&rule.protocol, rule.ports)).or_default().push(rule);
    }
    Node::items(permissions.into_iter().map(|((protocol, ports), mut rules)| {
        rules.sort_by(|left, right| left.peer.cmp(&right.peer));
        let ranges = |name: &'static str, wanted: fn(&Peer) -> bool| {
            let ranges = rules.iter().filter(move |rule| wanted(&rule.peer));
            Node::items(ranges.map(move |rule| {
                let node = Node::new().with(name, rule.peer.text());
                let node = if name == "groupId" { node.with("userId", account) } else { node };
                node.maybe("description", rule.description.as_ref())
            }))
        };
        Node::new()
            .with("ipProtocol", protocol)
            .maybe("fromPort", ports.map(|ports| ports.0))
            .maybe("toPort", ports.map(|ports| ports.1))
            .with("groups", ranges("groupId", |peer| matches!(peer, Peer::Group(_))))
            .with("ipRanges", ranges("cidrIp", |peer| matches!(peer, Peer::Ipv4(_))))
            .with("ipv6Ranges", ranges("cidrIpv6", |peer| matches!(peer, Peer::Ipv6(_))))
            .with("prefixListIds", ranges("prefixListId", |peer| matches!(peer, Peer::PrefixList(_))))
    }))
}

fn arn(scope: ArnScope<'_>, id: &str) -> String {
    scope.arn("ec2", format_args!("security-group/{id}"))
}

/// Renders the groups of an instance with their names.
pub(super) fn render_groups(region: &Region, ids: &[String]) -> Node {
    Node::items(ids.iter().map(|id| {
        let name = region.ec2.security_groups.get(id).map(|group| group.name.as_str());
        Node::new().with("groupId", id).maybe("groupName", name)
    }))
}
