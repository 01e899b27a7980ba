//! `aws:ec2:SecurityGroupRule`: one rule of a security group, as a resource of its own.

use super::{
    filter,
    rule::{self, Rule},
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{SecurityGroupId, SecurityGroupRuleId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{IpPermission, ResourceType, SecurityGroupRule as Described, SecurityGroupRuleUpdate},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// One rule of a security group that is declared elsewhere, such as in another component, or that refers back to a group
/// which refers to it.
///
/// Made by `AuthorizeSecurityGroupIngress` or `AuthorizeSecurityGroupEgress`; changed in place by
/// `ModifySecurityGroupRules`, tags by `CreateTags` and `DeleteTags`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecurityGroupRule {
    /// The group it is a rule of.
    pub group: Input<SecurityGroupId>,
    /// Which way the traffic goes.
    pub direction: Direction,
    /// Which traffic, and who is at the other side.
    pub rule: Rule,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Which way traffic goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Direction {
    /// To the members of the group.
    Ingress,
    /// From the members of the group.
    Egress,
}

/// What a [`SecurityGroupRule`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecurityGroupRuleOutputs {
    /// Its id, `sgr-…`.
    pub id: Output<SecurityGroupRuleId>,
}

impl SecurityGroupRule {
    /// What may reach the members of this group: `SecurityGroupRule::ingress(&web.id, Rule::tcp(80).from_anywhere())`.
    pub fn ingress(group: impl Into<Input<SecurityGroupId>>, rule: Rule) -> Self {
        Self { group: group.into(), direction: Direction::Ingress, rule, tags: BTreeMap::new() }
    }

    /// What the members of this group may reach: `SecurityGroupRule::egress(&web.id, Rule::tcp(443).to_anywhere())`.
    pub fn egress(group: impl Into<Input<SecurityGroupId>>, rule: Rule) -> Self {
        Self { direction: Direction::Egress, ..Self::ingress(group, rule) }
    }
}

impl Resource for SecurityGroupRule {
    const TYPE: &'static str = "aws:ec2:SecurityGroupRule";
    type Outputs = SecurityGroupRuleOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["group", "direction"]).regional(["id"])
    }
}

impl AwsResource for SecurityGroupRule {}

impl Handler for SecurityGroupRule {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        self.rule.problems("rule")
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let group = inputs.group.known()?;
        let permission = inputs.rule.key(group.as_str())?.permission(inputs.rule.description.as_deref());
        let status = "waiting until the groups are seen";
        let answer = wait::while_inconsistent(cx, status, &["InvalidGroup.NotFound"], async || {
            authorize(cx, &ec2, group.as_str(), permission.clone(), inputs).await
        })
        .await;
        let made = match answer {
            Ok(made) => made,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &ec2, inputs).await.map_err(|error| ProviderError::unsure(error.to_string()))?;
                Some(ours.ok_or_else(|| error.hint("the group has this rule already: leave one of the two out"))?)
            }
            Err(error) => return Err(error.into()),
        };
        let made = made.ok_or_else(|| ProviderError::unsure("the answer to the authorization has no rule"))?;
        Ok(Created { inputs: None, ..created(&made, inputs) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, &prior.id).await?.map(|rule| created(&rule, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let group = inputs.group.known()?;
        let wanted = inputs.rule.key(group.as_str())?.request(inputs.rule.description.as_deref());
        let update = SecurityGroupRuleUpdate::builder().security_group_rule_id(&prior.id).security_group_rule(wanted);
        let call = ec2.modify_security_group_rules().group_id(group.as_str()).security_group_rules(update.build());
        call.send().await.context("ModifySecurityGroupRules")?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
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

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let named = Self::ingress(SecurityGroupId::from(""), Rule::all().from_itself());
        Ok(describe(&ec2, id).await?.map(|rule| created(&rule, &named)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::key(|cx: &Context<'_, Aws>, inputs: &Self| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let rule = ours(cx, &ec2, inputs).await?;
                Ok(Found::from(rule.map(|rule| created(&rule, inputs))))
            })
        })
    }
}

/// Whether a rule is declared on its own, by whichever stack.
pub(super) fn is_declared(rule: &Described) -> bool {
    rule.tags().iter().any(|tag| tag.key() == Some(Context::<Aws>::OPERATION_TAG))
}

async fn authorize(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    group: &str,
    permission: IpPermission,
    inputs: &SecurityGroupRule,
) -> Result<Option<Described>, AwsError> {
    let tags = tags::ec2_with(cx, ResourceType::SecurityGroupRule, &inputs.tags);
    let made = match inputs.direction {
        Direction::Ingress => {
            let call = ec2.authorize_security_group_ingress().group_id(group);
            let call = call.ip_permissions(permission).tag_specifications(tags);
            call.send().await.context("AuthorizeSecurityGroupIngress")?.security_group_rules
        }
        Direction::Egress => {
            let call = ec2.authorize_security_group_egress().group_id(group);
            let call = call.ip_permissions(permission).tag_specifications(tags);
            call.send().await.context("AuthorizeSecurityGroupEgress")?.security_group_rules
        }
    };
    Ok(made.unwrap_or_default().pop())
}

async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_security_group_rules().security_group_rule_ids(id).send().await;
    let answer = found(answer.context("DescribeSecurityGroupRules"))?;
    Ok(answer.and_then(|answer| answer.security_group_rules.unwrap_or_default().pop()))
}

/// The rule of the group that says the same, if this very operation made it.
async fn ours(
    cx: &Context<'_, Aws>,
    ec2: &Client,
    inputs: &SecurityGroupRule,
) -> Result<Option<Described>, ProviderError> {
    let group = inputs.group.known()?;
    let key = inputs.rule.key(group.as_str())?;
    let egress = inputs.direction == Direction::Egress;
    let mut rules =
        ec2.describe_security_group_rules().filters(filter("group-id", group.as_str())).into_paginator().items().send();
    while let Some(rule) = rules.next().await {
        let rule = rule.context("DescribeSecurityGroupRules")?;
        let same = rule.is_egress() == Some(egress) && rule::described(&rule).as_ref() == Some(&key);
        if same && tags::ec2_are_ours(cx, rule.tags()) {
            return Ok(Some(rule));
        }
    }
    Ok(None)
}

/// The rule as it lives, in the words of the recorded inputs where they say the same.
fn created(lives: &Described, recorded: &SecurityGroupRule) -> Created<SecurityGroupRule> {
    let id = lives.security_group_rule_id().unwrap_or_default();
    let group = lives.group_id().unwrap_or_default();
    let description = lives.description().filter(|text| !text.is_empty()).map(str::to_owned);
    let key = rule::described(lives);
    let rule = match key {
        Some(key) if recorded.rule.key(group).as_ref().ok() != Some(&key) => key.rule(group, description),
        _ => Rule { description, ..recorded.rule.clone() },
    };
    let inputs = SecurityGroupRule {
        group: SecurityGroupId::from(group).into(),
        direction: if lives.is_egress() == Some(true) { Direction::Egress } else { Direction::Ingress },
        rule,
        tags: tags::ec2_own(lives.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: SecurityGroupRuleOutputs { id: SecurityGroupRuleId::from(id).into() },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_ec2::types::ReferencedSecurityGroup;

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let lives = Described::builder().security_group_rule_id("sgr-1").group_id("sg-1").is_egress(false);
        let tcp = lives.clone().ip_protocol("tcp").from_port(80).to_port(80);
        let group = |id: &str| ReferencedSecurityGroup::builder().group_id(id).build();
        let all = lives.ip_protocol("-1").from_port(-1).to_port(-1);
        for (lives, rule) in [
            (
                tcp.clone().cidr_ipv4("10.0.0.0/8").description("inside"),
                Rule::tcp(80).from_cidr("10.1.2.3/8").describe("inside"),
            ),
            (tcp.clone().cidr_ipv6("::/0"), Rule::tcp(80).from_cidr("::/0")),
            (all.clone().referenced_group_info(group("sg-1")), Rule::all().from_itself()),
            (all.referenced_group_info(group("sg-2")), Rule::all().from_group(SecurityGroupId::from("sg-2"))),
        ] {
            let recorded = SecurityGroupRule::ingress(SecurityGroupId::from("sg-1"), rule);
            let read = created(&lives.build(), &recorded).inputs;
            assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(recorded)).ok());
        }
        let recorded = SecurityGroupRule::ingress(SecurityGroupId::from("sg-1"), Rule::tcp(443).from_anywhere());
        let drifted = created(&tcp.cidr_ipv4("0.0.0.0/0").build(), &recorded).inputs;
        assert_eq!(drifted.and_then(|inputs| inputs.rule.from_port), Some(80));
    }
}
