//! `aws:ec2:SecurityGroupRule`: a rule that is added to a security group.

use super::{
    filter, retag,
    rule::{self, Rule},
    tag_specification,
};
use crate::prelude::*;
use aws_sdk_ec2::{Client, types};

/// A rule that is added to an existing security group.
///
/// It is for a group that is declared elsewhere, such as in another component, and for two groups that refer to each
/// other. A [`SecurityGroup`](crate::SecurityGroup) leaves such rules unchanged.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let web = virginia.add("web", SecurityGroup::in_vpc(&network.vpc_id));
/// let jobs = virginia.add("jobs", SecurityGroup::in_vpc(&network.vpc_id));
/// virginia.add("web-to-jobs", SecurityGroupRule::ingress(&jobs.id, Rule::tcp(8080).from_group(&web.id)));
/// virginia.add("jobs-to-web", SecurityGroupRule::ingress(&web.id, Rule::tcp(8080).from_group(&jobs.id)));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `AuthorizeSecurityGroupIngress` or `AuthorizeSecurityGroupEgress`; `DescribeSecurityGroupRules` if the
///   group has such a rule, which finds the rule of an interrupted run
/// - Read: `DescribeSecurityGroupRules`
/// - Update: `ModifySecurityGroupRules`, `CreateTags`, `DeleteTags`
/// - Delete: `RevokeSecurityGroupIngress` or `RevokeSecurityGroupEgress`
///
/// # Replacement
/// A change of `group` or `direction` replaces the rule, because AWS cannot change them. The new rule is created before
/// the previous one is deleted. A change of `rule` modifies it in place. When a replacement is requested by `up --replace`,
/// the previous rule is deleted first, because a group has no rule twice.
///
/// # Import
/// The import takes the id of the rule. A rule for a prefix list or for one type of ICMP messages is refused, because a
/// [`Rule`] cannot express it. An imported rule has no tag of the engine, so a
/// [`SecurityGroup`](crate::SecurityGroup) that declares its group, without the rule, removes it.
///
/// ```console
/// $ stack import aws:ec2:SecurityGroupRule web-to-jobs sgr-0123456789abcdef0 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:ec2:SecurityGroupRule")]
pub struct SecurityGroupRule {
    /// Id of the security group that contains the rule. A change replaces the rule.
    #[resource(replace, key)]
    pub group: Input<SecurityGroupId>,
    /// Direction of the traffic. A change replaces the rule.
    #[resource(replace, key)]
    pub direction: Direction,
    /// Protocol, ports and other side of the traffic.
    #[resource(key)]
    pub rule: Rule,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Direction of traffic, as seen from the members of a security group.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the members of the group.
    Ingress,
    /// From the members of the group.
    Egress,
}

/// Outputs of a [`SecurityGroupRule`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct SecurityGroupRuleOutputs {
    /// Id of the rule, `sgr-…`.
    #[output(regional)]
    pub id: Output<SecurityGroupRuleId>,
}

impl SecurityGroupRule {
    /// Allows traffic to the members of a group: `SecurityGroupRule::ingress(&web.id, Rule::tcp(80).from_anywhere())`.
    pub fn ingress(group: impl Into<Input<SecurityGroupId>>, rule: Rule) -> Self {
        Self { group: group.into(), direction: Direction::Ingress, rule, tags: BTreeMap::new() }
    }

    /// Allows traffic from the members of a group: `SecurityGroupRule::egress(&web.id, Rule::tcp(443).to_anywhere())`.
    pub fn egress(group: impl Into<Input<SecurityGroupId>>, rule: Rule) -> Self {
        Self { direction: Direction::Egress, ..Self::ingress(group, rule) }
    }
}

impl AwsResource for SecurityGroupRule {}

impl Described for SecurityGroupRule {
    type Client = Aws;
    type Api = Client;
    type Description = types::SecurityGroupRule;

    const FOUND_BY: FoundBy = FoundBy::Key;
    const CONFLICT: &'static str = "the group has this rule already: remove one of the two declarations";

    fn check(&self) -> Vec<Problem> {
        self.rule.problems("rule")
    }

    fn check_import(description: &Self::Description) -> Result<()> {
        if rule::described(description).is_some() {
            return Ok(());
        }
        let id = description.security_group_rule_id().unwrap_or_default();
        let other = description.prefix_list_id().map(|list| format!("the prefix list {list}"));
        let other = other.unwrap_or_else(|| "ICMP messages of one type".to_owned());
        Err(ProviderError::refused(format!("the rule {id} cannot be declared: it applies to {other}")).hint(
            "declare a `CloudResource` of the type AWS::EC2::SecurityGroupIngress or AWS::EC2::SecurityGroupEgress",
        ))
    }

    async fn create(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Self::Description> {
        let group = inputs.group.known()?;
        let permission = inputs.rule.key(group.as_str())?.permission(inputs.rule.description.as_deref());
        let tags = tag_specification(cx, types::ResourceType::SecurityGroupRule, &inputs.tags);
        let status = "waiting until the groups are visible";
        let rules =
            wait::retry_while_inconsistent(cx, status, &["InvalidGroup.NotFound"], async || match inputs.direction {
                Direction::Ingress => {
                    let call = ec2.authorize_security_group_ingress().group_id(group.as_str());
                    let call = call.ip_permissions(permission.clone()).tag_specifications(tags.clone());
                    call.send()
                        .await
                        .context("AuthorizeSecurityGroupIngress")
                        .map(|response| response.security_group_rules)
                }
                Direction::Egress => {
                    let call = ec2.authorize_security_group_egress().group_id(group.as_str());
                    let call = call.ip_permissions(permission.clone()).tag_specifications(tags.clone());
                    call.send()
                        .await
                        .context("AuthorizeSecurityGroupEgress")
                        .map(|response| response.security_group_rules)
                }
            });
        let rule = rules.await?.and_then(|mut rules| rules.pop());
        rule.ok_or_else(|| ProviderError::unsure("the response to the authorization contains no rule"))
    }

    async fn apply(_: &Context<'_>, ec2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        if let Some(old) = update.old {
            let Self { group, rule, .. } = update.new;
            let group = group.known()?;
            let changes = rule.key(group.as_str())?.request(rule.description.as_deref());
            let changes = types::SecurityGroupRuleUpdate::builder()
                .security_group_rule_id(update.id)
                .security_group_rule(changes);
            let call = ec2.modify_security_group_rules().group_id(group.as_str()).security_group_rules(changes.build());
            call.send().await.context("ModifySecurityGroupRules")?;
            retag(ec2, update.id, Some(&old.tags), &update.new.tags).await?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, ec2: &Client, prior: &Prior<Self>) -> Result<()> {
        let group = prior.inputs.group.known()?;
        match prior.inputs.direction {
            Direction::Ingress => {
                let call = ec2.revoke_security_group_ingress().group_id(group.as_str());
                let call = call.security_group_rule_ids(&prior.id);
                call.send().await.context("RevokeSecurityGroupIngress")?;
            }
            Direction::Egress => {
                let call = ec2.revoke_security_group_egress().group_id(group.as_str());
                let call = call.security_group_rule_ids(&prior.id);
                call.send().await.context("RevokeSecurityGroupEgress")?;
            }
        }
        Ok(())
    }

    async fn describe(_: &Context<'_>, ec2: &Client, id: &str) -> Result<Option<Self::Description>> {
        let response = ec2.describe_security_group_rules().security_group_rule_ids(id).send().await;
        let response = found(response.context("DescribeSecurityGroupRules"))?;
        Ok(response.and_then(|response| response.security_group_rules?.pop()))
    }

    async fn find_created(cx: &Context<'_>, ec2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let group = inputs.group.known()?;
        let key = inputs.rule.key(group.as_str())?;
        let egress = inputs.direction == Direction::Egress;
        let rules = ec2.describe_security_group_rules().filters(filter("group-id", group.as_str()));
        let mut rules = rules.into_paginator().items().send();
        while let Some(rule) = rules.next().await {
            let rule = rule.context("DescribeSecurityGroupRules")?;
            let is_same = rule.is_egress() == Some(egress) && rule::described(&rule).as_ref() == Some(&key);
            if is_same && tags::are_of_operation(cx, rule.tags()) {
                return Ok(Some(rule));
            }
        }
        Ok(None)
    }

    fn normalize(description: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let id = description.security_group_rule_id().unwrap_or_default();
        let group = description.group_id().unwrap_or_default();
        let text = description.description().filter(|text| !text.is_empty()).map(str::to_owned);
        let recorded_rule = recorded.map(|recorded| recorded.rule.clone());
        let rule = match (rule::described(description), recorded_rule) {
            (Some(key), Some(rule)) if rule.key(group).as_ref().ok() == Some(&key) => {
                Rule { description: text, ..rule }
            }
            (Some(key), _) => key.rule(group, text),
            // Such as a rule for a prefix list, which a declaration cannot contain.
            (None, rule) => Rule { description: text, ..rule.unwrap_or_else(|| Rule::all().from_itself()) },
        };
        let direction = if description.is_egress() == Some(true) { Direction::Egress } else { Direction::Ingress };
        Created {
            id: id.to_owned(),
            inputs: Some(Self {
                group: SecurityGroupId::from(group).into(),
                direction,
                rule,
                tags: tags::declared(description.tags(), recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: SecurityGroupRuleOutputs { id: SecurityGroupRuleId::from(id).into() },
        }
    }
}

/// Returns whether some stack declares the rule as a [`SecurityGroupRule`].
pub(super) fn is_resource(rule: &types::SecurityGroupRule) -> bool {
    rule.tags().iter().any(|tag| tag.key() == Some(Context::OPERATION_TAG))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn description_of_a_declared_rule_equals_the_declaration() {
        let rule =
            types::SecurityGroupRule::builder().security_group_rule_id("sgr-1").group_id("sg-1").is_egress(false);
        let tcp = rule.clone().ip_protocol("tcp").from_port(80).to_port(80);
        let all = rule.ip_protocol("-1").from_port(-1).to_port(-1);
        let group = |id: &str| types::ReferencedSecurityGroup::builder().group_id(id).build();
        for (description, rule) in [
            (
                tcp.clone().cidr_ipv4("10.0.0.0/8").description("inside"),
                Rule::tcp(80).from_cidr("10.1.2.3/8").describe("inside"),
            ),
            (tcp.cidr_ipv6("::/0"), Rule::tcp(80).from_cidr("::/0")),
            (all.clone().referenced_group_info(group("sg-1")), Rule::all().from_itself()),
            (all.referenced_group_info(group("sg-2")), Rule::all().from_group(SecurityGroupId::from("sg-2"))),
        ] {
            let declared = SecurityGroupRule::ingress(SecurityGroupId::from("sg-1"), rule);
            let read = SecurityGroupRule::normalize(&description.build(), Some(&declared)).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(declared)).ok());
        }
    }

    #[test]
    fn another_port_is_drift() {
        let declared = SecurityGroupRule::ingress(SecurityGroupId::from("sg-1"), Rule::tcp(443).from_anywhere());
        let rule =
            types::SecurityGroupRule::builder().security_group_rule_id("sgr-1").group_id("sg-1").is_egress(false);
        let rule = rule.ip_protocol("tcp").from_port(80).to_port(80).cidr_ipv4("0.0.0.0/0").build();
        let read = SecurityGroupRule::normalize(&rule, Some(&declared)).inputs;
        assert_eq!(read.and_then(|inputs| inputs.rule.from_port), Some(80));
    }
    #[test]
    fn import_refuses_rules_that_cannot_be_declared() {
        let rule = types::SecurityGroupRule::builder().security_group_rule_id("sgr-1").group_id("sg-1");
        let refused = |rule: types::SecurityGroupRule| SecurityGroupRule::check_import(&rule).err();
        let icmp =
            |kind: i32| rule.clone().ip_protocol("icmp").from_port(kind).to_port(-1).cidr_ipv4("0.0.0.0/0").build();
        assert!(refused(icmp(-1)).is_none());
        assert!(refused(icmp(8)).is_some_and(|error| error.message.contains("ICMP messages of one type")));
        let list = rule.ip_protocol("tcp").from_port(80).to_port(80).prefix_list_id("pl-1").build();
        assert!(refused(list).is_some_and(|error| error.message.contains("the prefix list pl-1")));
    }
}
