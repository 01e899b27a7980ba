//! `aws:ec2:SecurityGroup`: a firewall of network interfaces.

use super::{
    Deletion, blockers, filter, retag,
    rule::{self, Rule, RuleSet},
    security_group_rule::{self, Direction},
    tag_specification,
};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};
use std::collections::BTreeSet;

/// A security group: the traffic that its members may receive and send.
///
/// The group contains exactly the declared rules: others are removed by the next update, except those that a
/// [`SecurityGroupRule`](crate::SecurityGroupRule) of any stack declares. New rules are added before others are
/// removed, so that traffic which both allow is not interrupted.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let network = virginia.lookup(DefaultVpc);
/// let access = virginia.add("access", SecurityGroup {
///     description: "Public access to the web servers".into(),
///     ingress: vec![Rule::tcp(443).from_anywhere(), Rule::tcp(22).from_cidr("203.0.113.7/32")],
///     ..SecurityGroup::in_vpc(network.vpc_id)
/// });
/// virginia.add("web", Instance { security_groups: vec![access.id], ..Instance::new("t3.micro") });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateSecurityGroup`; those of an update without tags
/// - Read: `DescribeSecurityGroups`, `DescribeSecurityGroupRules`
/// - Update: those of a read, `AuthorizeSecurityGroupIngress`, `AuthorizeSecurityGroupEgress`,
///   `UpdateSecurityGroupRuleDescriptionsIngress`, `UpdateSecurityGroupRuleDescriptionsEgress`,
///   `RevokeSecurityGroupIngress`, `RevokeSecurityGroupEgress`, `CreateTags`, `DeleteTags`
/// - Delete: `DeleteSecurityGroup`; if it is refused because the group is in use, `DescribeNetworkInterfaces`,
///   `DescribeInstances`, `DescribeNatGateways`, `DescribeLoadBalancers` and `DescribeSecurityGroups` find the
///   resources that use it
///
/// # Replacement
/// A change of `name`, `description` or `vpc_id` replaces the group, because AWS cannot change them. The new group is
/// created before the previous one is deleted, so in the same VPC a declared `name` has to change together with
/// `description`. Rules and tags change in place.
///
/// # Import
/// The import takes the id of the group:
///
/// ```console
/// $ stack import aws:ec2:SecurityGroup access sg-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:SecurityGroup")]
pub struct SecurityGroup {
    /// Name, unique in the VPC, up to 255 characters and not beginning with `sg-`; when omitted, the declaration's name
    /// with a unique suffix. A change replaces the group.
    #[resource(replace)]
    pub name: Option<String>,
    /// Purpose of the group, up to 255 characters; `Managed by infra` by default. A change replaces the group.
    #[resource(replace)]
    pub description: String,
    /// Id of the VPC that contains the group. A change replaces the group.
    #[resource(replace)]
    pub vpc_id: Input<VpcId>,
    /// Rules for the traffic that members may receive; none by default.
    pub ingress: Vec<Rule>,
    /// Rules for the traffic that members may send. When empty, AWS's default applies: all traffic to every IPv4
    /// address.
    pub egress: Vec<Rule>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`SecurityGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct SecurityGroupOutputs {
    /// Id of the group, `sg-…`.
    #[output(regional)]
    pub id: Output<SecurityGroupId>,
    /// Amazon Resource Name of the group.
    pub arn: Output<String>,
    /// Name of the group.
    pub name: Output<String>,
}

impl SecurityGroup {
    /// Returns a group that allows no incoming and all outgoing traffic.
    pub fn in_vpc(vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self {
            name: None,
            description: "Managed by infra".to_owned(),
            vpc_id: vpc_id.into(),
            ingress: Vec::new(),
            egress: Vec::new(),
            tags: BTreeMap::new(),
        }
    }

    fn group_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl AwsResource for SecurityGroup {}

impl Described for SecurityGroup {
    type Client = Aws;
    type Api = Client;
    /// A group without the rules that are declared as resources.
    type Description = types::SecurityGroup;

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn check(&self) -> Vec<Problem> {
        let rules = |property: &'static str, rules: &[Rule]| -> Vec<Problem> {
            let indexed = rules.iter().enumerate();
            indexed.flat_map(|(at, rule)| rule.problems(&format!("{property}[{at}]"))).collect()
        };
        let mut problems = [rules("ingress", &self.ingress), rules("egress", &self.egress)].concat();
        if self.name.as_deref().is_some_and(|name| name.starts_with("sg-")) {
            problems.push(Problem::new("name", "the name of a group must not begin with `sg-`"));
        }
        problems
    }

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let (name, vpc_id) = (inputs.group_name(cx), inputs.vpc_id.known()?);
        let call = ec2.create_security_group().group_name(&name).vpc_id(vpc_id.as_str());
        let call = call.description(&inputs.description).tag_specifications(tag_specification(
            cx,
            types::ResourceType::SecurityGroup,
            &inputs.tags,
        ));
        let response = call.send().await.context("CreateSecurityGroup")?;
        Ok(types::SecurityGroup::builder()
            .set_group_id(response.group_id)
            .set_security_group_arn(response.security_group_arn)
            .group_name(name)
            .vpc_id(vpc_id)
            .description(&inputs.description)
            .build())
    }

    async fn apply(cx: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let group = wait::visible(cx, ec2, &update).await?;
        change_rules(cx, ec2, update.id, group, update.new).await?;
        retag(ec2, update.id, update.old.map(|old| &old.tags), &update.new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let deleted = blockers::delete(cx, ec2, Deletion::SecurityGroup(&prior.id), async || {
            ec2.delete_security_group().group_id(&prior.id).send().await.context("DeleteSecurityGroup").map(drop)
        });
        Ok(deleted.await?)
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let response = ec2.describe_security_groups().group_ids(id).send().await.context("DescribeSecurityGroups");
        let group = found(response)?.and_then(|response| response.security_groups?.pop());
        let Some(mut group) = group else { return Ok(None) };
        let rules = ec2.describe_security_group_rules().filters(filter("group-id", id)).into_paginator().items();
        let mut rules = rules.send();
        let (mut ingress, mut egress) = (BTreeSet::new(), BTreeSet::new());
        while let Some(rule) = rules.next().await {
            let rule = rule.context("DescribeSecurityGroupRules")?;
            if security_group_rule::is_resource(&rule) {
                let declared = if rule.is_egress() == Some(true) { &mut egress } else { &mut ingress };
                declared.extend(rule::described(&rule));
            }
        }
        let without = |permissions: &[types::IpPermission], declared: &BTreeSet<rule::Key>| {
            let all = rule::from_permissions(permissions);
            rule::permissions(all.iter().filter(|(key, _)| !declared.contains(key)))
        };
        group.ip_permissions = Some(without(group.ip_permissions(), &ingress));
        group.ip_permissions_egress = Some(without(group.ip_permissions_egress(), &egress));
        Ok(Some(group))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let (name, vpc_id) = (inputs.group_name(cx), inputs.vpc_id.known()?);
        let call = ec2.describe_security_groups().filters(filter("group-name", &name));
        let call = call.filters(filter("vpc-id", vpc_id.as_str()));
        let groups = call.send().await.context("DescribeSecurityGroups")?.security_groups.unwrap_or_default();
        Ok(groups.into_iter().find(|group| tags::are_of_operation(cx, group.tags())))
    }

    fn normalize(group: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = group.group_id().unwrap_or_default();
        let name = group.group_name().unwrap_or_default();
        let named_by_program = recorded.is_none_or(|recorded| recorded.name.is_some());
        let ingress = rule::from_permissions(group.ip_permissions());
        let egress = rule::from_permissions(group.ip_permissions_egress());
        let recorded_ingress = recorded.map_or(&[][..], |recorded| &recorded.ingress);
        let recorded_egress = recorded.map_or(&[][..], |recorded| &recorded.egress);
        let omits_egress = recorded_egress.is_empty() && rule::is_default_egress(&egress);
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                name: named_by_program.then(|| name.to_owned()),
                description: group.description().unwrap_or_default().to_owned(),
                vpc_id: VpcId::from(group.vpc_id().unwrap_or_default()).into(),
                ingress: rule::as_recorded(&ingress, recorded_ingress, id),
                egress: if omits_egress { Vec::new() } else { rule::as_recorded(&egress, recorded_egress, id) },
                tags: tags::declared(group.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: SecurityGroupOutputs {
                id: SecurityGroupId::from(id).into(),
                arn: group.security_group_arn().unwrap_or_default().into(),
                name: name.into(),
            },
        }
    }
}

/// Adds, describes and removes rules, until the group has those of its inputs.
async fn change_rules(
    cx: &Context<'_>,
    ec2: &Client,
    id: &str,
    mut group: types::SecurityGroup,
    inputs: &SecurityGroup,
) -> Result<()> {
    const ROUNDS: usize = 3;
    let ingress = rule::to_set(&inputs.ingress, id)?;
    for round in 1.. {
        let current = rule::from_permissions(group.ip_permissions_egress());
        let egress = match inputs.egress.as_slice() {
            [] if rule::is_default_egress(&current) => current.clone(),
            [] => rule::default_egress(),
            rules => rule::to_set(rules, id)?,
        };
        let current_ingress = rule::from_permissions(group.ip_permissions());
        let changed = match change(ec2, id, Direction::Ingress, &current_ingress, &ingress).await {
            Ok(()) => change(ec2, id, Direction::Egress, &current, &egress).await,
            failed => failed,
        };
        match changed {
            // Another client changed the rules, or a request whose response was lost was carried out.
            Err(error) if round < ROUNDS && matches!(error.kind, ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
                group = SecurityGroup::require(cx, ec2, id).await?;
            }
            changed => return changed,
        }
    }
    Ok(())
}

/// Changes the rules of one direction from `current` to `wanted`.
async fn change(ec2: &Client, id: &str, direction: Direction, current: &RuleSet, wanted: &RuleSet) -> Result<()> {
    let added = rule::permissions(wanted.iter().filter(|(key, _)| !current.contains_key(key)));
    let renamed =
        rule::permissions(wanted.iter().filter(|(key, text)| current.get(key).is_some_and(|old| old != *text)));
    let removed = rule::permissions(current.iter().filter(|(key, _)| !wanted.contains_key(key)));
    macro_rules! call {
        ($permissions:ident, $ingress:ident $ingress_name:literal, $egress:ident $egress_name:literal) => {
            if !$permissions.is_empty() {
                let permissions = Some($permissions);
                match direction {
                    Direction::Ingress => {
                        let call = ec2.$ingress().group_id(id).set_ip_permissions(permissions);
                        call.send().await.context($ingress_name)?;
                    }
                    Direction::Egress => {
                        let call = ec2.$egress().group_id(id).set_ip_permissions(permissions);
                        call.send().await.context($egress_name)?;
                    }
                }
            }
        };
    }
    call!(
        added,
        authorize_security_group_ingress "AuthorizeSecurityGroupIngress",
        authorize_security_group_egress "AuthorizeSecurityGroupEgress"
    );
    call!(
        renamed,
        update_security_group_rule_descriptions_ingress "UpdateSecurityGroupRuleDescriptionsIngress",
        update_security_group_rule_descriptions_egress "UpdateSecurityGroupRuleDescriptionsEgress"
    );
    call!(
        removed,
        revoke_security_group_ingress "RevokeSecurityGroupIngress",
        revoke_security_group_egress "RevokeSecurityGroupEgress"
    );
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn check_names_the_rule() {
        let group = SecurityGroup {
            ingress: vec![Rule::tcp(80).from_anywhere(), Rule::tcp(90).from_cidr("10.0.0.0")],
            ..SecurityGroup::in_vpc(VpcId::from("vpc-1"))
        };
        let problems = Described::check(&group);
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].property, "ingress[1]");
    }

    #[test]
    fn description_of_a_declared_group_equals_the_declaration() {
        let declared = SecurityGroup {
            ingress: vec![Rule::tcp(80).from_anywhere(), Rule::tcp(22).from_itself()],
            ..SecurityGroup::in_vpc(VpcId::from("vpc-1"))
        };
        let permissions = |set: &RuleSet| rule::permissions(set);
        let group = types::SecurityGroup::builder()
            .group_id("sg-1")
            .group_name("access-abc")
            .description("Managed by infra")
            .vpc_id("vpc-1")
            .set_ip_permissions(rule::to_set(&declared.ingress, "sg-1").ok().as_ref().map(permissions))
            .set_ip_permissions_egress(Some(permissions(&rule::default_egress())))
            .build();
        let read = SecurityGroup::normalize(&group, Some(&declared)).inputs;
        assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared)).ok());
    }
}
