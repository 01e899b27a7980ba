//! Rules of security groups.

use super::permission::{self, PERMISSIONS, SIMPLE, UPDATES};
use super::security_group::{find, find_mut};
use super::{Ec2Operation, TAG_SPECIFICATIONS, resource, tags_for};
use crate::model::ec2::vpc::{Peer, Rule, SecurityGroup};
use crate::model::{ArnScope, Cloud, new_id};
use crate::services::tags;
use crate::services::{Call, Operation};
use crate::wire::filter::Field;
use crate::wire::{ApiError, FILTERS, Filters, Node, Outcome, PAGES, Page, Params};

pub(super) const OPERATIONS: &[Ec2Operation] = &[
    Operation::reads("DescribeSecurityGroupRules", describe_rules, &[&["SecurityGroupRuleId.N"], FILTERS, PAGES])
        .on_any(),
    Operation::writes(
        "AuthorizeSecurityGroupIngress",
        authorize_ingress,
        &[GROUP, PERMISSIONS, SIMPLE, TAG_SPECIFICATIONS],
    )
    .on(&[resource::SECURITY_GROUP]),
    Operation::writes(
        "AuthorizeSecurityGroupEgress",
        authorize_egress,
        &[&["GroupId"], PERMISSIONS, SIMPLE, TAG_SPECIFICATIONS],
    )
    .on(&[resource::SECURITY_GROUP]),
    Operation::writes(
        "RevokeSecurityGroupIngress",
        revoke_ingress,
        &[GROUP, PERMISSIONS, SIMPLE, &["SecurityGroupRuleId.N"]],
    )
    .on(&[resource::SECURITY_GROUP]),
    Operation::writes(
        "RevokeSecurityGroupEgress",
        revoke_egress,
        &[&["GroupId"], PERMISSIONS, SIMPLE, &["SecurityGroupRuleId.N"]],
    )
    .on(&[resource::SECURITY_GROUP]),
    Operation::writes("ModifySecurityGroupRules", modify, &[&["GroupId"], UPDATES])
        .on(&[resource::SECURITY_GROUP, resource::MODIFIED_RULES]),
    Operation::writes(
        "UpdateSecurityGroupRuleDescriptionsIngress",
        describe_ingress_rules,
        &[GROUP, PERMISSIONS, DESCRIPTIONS],
    )
    .on(&[resource::SECURITY_GROUP]),
    Operation::writes(
        "UpdateSecurityGroupRuleDescriptionsEgress",
        describe_egress_rules,
        &[GROUP, PERMISSIONS, DESCRIPTIONS],
    )
    .on(&[resource::SECURITY_GROUP]),
];

/// Descriptions of rules by their ids.
const DESCRIPTIONS: &[&str] =
    &["SecurityGroupRuleDescription.N.SecurityGroupRuleId", "SecurityGroupRuleDescription.N.Description"];

const GROUP: &[&str] = &["GroupId", "GroupName"];

/// AWS's default quota of rules per group and direction.
const RULES_LIMIT: usize = 60;

/// A rule with its group, for filters and responses.
struct PlacedRule<'a> {
    id: &'a str,
    group: &'a SecurityGroup,
    rule: &'a Rule,
}

fn describe_rules(cloud: &Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region(call.region)?;
    let ids = params.texts("SecurityGroupRuleId");
    let all: Vec<PlacedRule<'_>> = region
        .ec2
        .security_groups
        .values()
        .flat_map(|group| group.rules.iter().map(move |(id, rule)| PlacedRule { id, group, rule }))
        .collect();
    if let Some(missing) = ids.iter().find(|id| !all.iter().any(|placed| placed.id == *id)) {
        return Err(ApiError::new(
            "InvalidSecurityGroupRuleId.NotFound",
            format!("The security group rule ID '{missing}' does not exist"),
        ));
    }
    let fields: &[Field<PlacedRule<'_>>] = &[
        ("security-group-rule-id", |placed| vec![placed.id.to_owned()]),
        ("group-id", |placed| vec![placed.group.id.clone()]),
    ];
    let wanted = all.iter().filter(|placed| ids.is_empty() || ids.iter().any(|id| id == placed.id));
    let rules = Filters::parse(params)?.apply(wanted, fields, |placed| &placed.rule.tags)?;
    let page = Page::of(rules, params, |placed| placed.id)?;
    Ok(Node::new()
        .list(
            "securityGroupRuleSet",
            page.items.into_iter().map(|placed| render_rule(call.scope(), &placed.group.id, placed.id, placed.rule)),
        )
        .maybe("nextToken", page.next))
}

fn authorize_ingress(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    authorize(cloud, call, false)
}

fn authorize_egress(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    authorize(cloud, call, true)
}

fn authorize(cloud: &mut Cloud, call: &Call<'_, Params>, egress: bool) -> Outcome<Node> {
    let params = &call.input;
    let tags = tags_for(params, "security-group-rule")?;
    let region = cloud.region_mut(call.region)?;
    let group_id = find(region, params)?.id.clone();
    let rules = permission::parse(region, &group_id, params, egress)?;
    let group = find_mut(region, &group_id)?;
    let mut added = Vec::new();
    for rule in rules {
        if group.rules.values().any(|existing| existing.same_permission(&rule)) {
            return Err(ApiError::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule \"{}\" already exists", permission::describe(&rule)),
            ));
        }
        let id = new_id("sgr");
        let rule = Rule { tags: tags.clone(), ..rule };
        added.push(render_rule(call.scope(), &group_id, &id, &rule));
        group.rules.insert(id, rule);
    }
    if group.rules.values().filter(|rule| rule.egress == egress).count() > RULES_LIMIT {
        return Err(ApiError::new(
            "RulesPerSecurityGroupLimitExceeded",
            format!("The maximum number of rules per security group has been reached: {RULES_LIMIT}"),
        ));
    }
    Ok(Node::success().list("securityGroupRuleSet", added))
}

fn revoke_ingress(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    revoke(cloud, call, false)
}

fn revoke_egress(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    revoke(cloud, call, true)
}

fn revoke(cloud: &mut Cloud, call: &Call<'_, Params>, egress: bool) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let group_id = find(region, params)?.id.clone();
    let ids = params.texts("SecurityGroupRuleId");
    let unwanted = if ids.is_empty() { permission::parse(region, &group_id, params, egress)? } else { Vec::new() };
    let group = find_mut(region, &group_id)?;
    for id in &ids {
        match group.rules.get(id) {
            Some(rule) if rule.egress == egress => {
                group.rules.remove(id);
            }
            _ => {
                return Err(ApiError::new(
                    "InvalidSecurityGroupRuleId.NotFound",
                    format!("The security group rule ID '{id}' does not exist in this direction of {group_id}"),
                ));
            }
        }
    }
    for rule in unwanted {
        let Some(id) =
            group.rules.iter().find(|(_, existing)| existing.same_permission(&rule)).map(|(id, _)| id.clone())
        else {
            return Err(ApiError::new(
                "InvalidPermission.NotFound",
                format!("The specified rule does not exist in this security group: {}", permission::describe(&rule)),
            ));
        };
        group.rules.remove(&id);
    }
    Ok(Node::success())
}

/// Replaces the content of rules; their ids, directions and tags are kept.
fn modify(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    let params = &call.input;
    let region = cloud.region_mut(call.region)?;
    let group_id = find(region, params)?.id.clone();
    let updates = params.structures("SecurityGroupRule");
    if updates.is_empty() {
        return Err(ApiError::missing("SecurityGroupRule"));
    }
    for update in updates {
        let id = update.required("SecurityGroupRuleId")?;
        let missing = || {
            ApiError::new(
                "InvalidSecurityGroupRuleId.NotFound",
                format!("The security group rule ID '{id}' does not exist in {group_id}"),
            )
        };
        let egress = find(region, params)?.rules.get(id).ok_or_else(missing)?.egress;
        let wanted = update.structure("SecurityGroupRule").unwrap_or_default();
        let wanted = permission::parse_update(region, &group_id, &wanted, egress)?;
        let group = find_mut(region, &group_id)?;
        if group.rules.iter().any(|(other, rule)| other != id && rule.same_permission(&wanted)) {
            return Err(ApiError::new(
                "InvalidPermission.Duplicate",
                format!("the specified rule \"{}\" already exists", permission::describe(&wanted)),
            ));
        }
        let rule = group.rules.get_mut(id).ok_or_else(missing)?;
        *rule = Rule { tags: std::mem::take(&mut rule.tags), ..wanted };
    }
    Ok(Node::success())
}

fn describe_ingress_rules(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    set_descriptions(cloud, call, false)
}

fn describe_egress_rules(cloud: &mut Cloud, call: &Call<'_, Params>) -> Outcome<Node> {
    set_descriptions(cloud, call, true)
}

fn set_descriptions(cloud: &mut Cloud, call: &Call<'_, Params>, egress: bool) -> Outcome<Node> {
    let region = cloud.region_mut(call.region)?;
    let group_id = find(region, &call.input)?.id.clone();
    let described = call.input.structures("SecurityGroupRuleDescription");
    if !described.is_empty() {
        let group = find_mut(region, &group_id)?;
        for entry in &described {
            let id = entry.required("SecurityGroupRuleId")?;
            let rule = group.rules.get_mut(id).filter(|rule| rule.egress == egress);
            let rule = rule.ok_or_else(|| {
                let message = format!("The security group rule ID '{id}' does not exist");
                ApiError::new("InvalidSecurityGroupRuleId.NotFound", message)
            })?;
            rule.description = entry.optional("Description").filter(|text| !text.is_empty()).map(str::to_owned);
        }
        return Ok(Node::success());
    }
    let rules = permission::parse(region, &group_id, &call.input, egress)?;
    let group = find_mut(region, &group_id)?;
    for rule in rules {
        let Some(existing) = group.rules.values_mut().find(|existing| existing.same_permission(&rule)) else {
            return Err(ApiError::new(
                "InvalidPermission.NotFound",
                format!("The specified rule does not exist in this security group: {}", permission::describe(&rule)),
            ));
        };
        existing.description = rule.description;
    }
    Ok(Node::success())
}

fn render_rule(scope: ArnScope<'_>, group_id: &str, id: &str, rule: &Rule) -> Node {
    let node = Node::new()
        .with("securityGroupRuleId", id)
        .with("groupId", group_id)
        .with("groupOwnerId", scope.account)
        .with("isEgress", rule.egress)
        .with("ipProtocol", &rule.protocol)
        .with("fromPort", rule.ports.map_or(-1, |ports| ports.0))
        .with("toPort", rule.ports.map_or(-1, |ports| ports.1));
    let node = match &rule.peer {
        Peer::Ipv4(cidr) => node.with("cidrIpv4", cidr),
        Peer::Ipv6(cidr) => node.with("cidrIpv6", cidr),
        Peer::PrefixList(id) => node.with("prefixListId", id),
        Peer::Group(id) => {
            node.with("referencedGroupInfo", Node::new().with("groupId", id).with("userId", scope.account))
        }
    };
    node.maybe("description", rule.description.as_ref())
        .with("tagSet", tags::set(&rule.tags))
        .with("securityGroupRuleArn", scope.arn("ec2", format_args!("security-group-rule/{id}")))
}
