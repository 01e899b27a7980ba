//! `aws:ec2:SecurityGroup`: a firewall around network interfaces.

use super::{
    blockers::{self, Held},
    filter,
    rule::{self, Rule, RuleSet},
    security_group_rule,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{SecurityGroupId, VpcId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_ec2::{
    Client,
    types::{IpPermission, ResourceType, SecurityGroup as Described},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// A security group: which traffic may reach its members, and which they may send.
///
/// Made by `CreateSecurityGroup`; rules are changed in place with `AuthorizeSecurityGroupIngress`/`Egress` and
/// `RevokeSecurityGroupIngress`/`Egress`, new ones first, so that traffic both old and new rules allow never stops; tags
/// with `CreateTags` and `DeleteTags`. Rules that are declared on their own, as
/// [`SecurityGroupRule`](crate::SecurityGroupRule), are left alone; all others are its own.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Its name, unique in the VPC; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// What it is for.
    pub description: String,
    /// The VPC it belongs to.
    pub vpc_id: Input<VpcId>,
    /// What may reach its members; nothing when empty.
    pub ingress: Vec<Rule>,
    /// What its members may reach. Empty means AWS's default: everything over IPv4.
    pub egress: Vec<Rule>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`SecurityGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SecurityGroupOutputs {
    /// Its id, `sg-…`.
    pub id: Output<SecurityGroupId>,
    /// Its Amazon Resource Name.
    pub arn: Output<String>,
    /// Its name.
    pub name: Output<String>,
}

impl SecurityGroup {
    /// A group that lets nothing in and everything out.
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

    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl Resource for SecurityGroup {
    const TYPE: &'static str = "aws:ec2:SecurityGroup";
    type Outputs = SecurityGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "description", "vpc_id"]).regional(["id"])
    }
}

impl AwsResource for SecurityGroup {}

impl Handler for SecurityGroup {
    type Client = Aws;

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

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let vpc = inputs.vpc_id.known()?;
        let name = inputs.group_name(cx);
        let answer = ec2
            .create_security_group()
            .group_name(&name)
            .description(&inputs.description)
            .vpc_id(vpc.as_str())
            .tag_specifications(tags::ec2_with(cx, ResourceType::SecurityGroup, &inputs.tags))
            .send()
            .await
            .context("CreateSecurityGroup");
        let group = match answer {
            Ok(answer) => Described::builder()
                .group_id(answer.group_id().unwrap_or_default())
                .set_security_group_arn(answer.security_group_arn)
                .group_name(&name)
                .vpc_id(vpc)
                .description(&inputs.description)
                .build(),
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &ec2, &name, &vpc).await.map_err(AwsError::unsure)?;
                ours.ok_or_else(|| error.hint("choose another name, or delete the group that has it"))?
            }
            Err(error) => return Err(error.into()),
        };
        let created = created(&group, inputs);
        match fill(cx, &ec2, &created.id, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let group = describe(&ec2, &prior.id).await?;
        Ok(group.map(|group| created(&group, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let group = describe(&ec2, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        converge(&ec2, group, inputs).await?;
        tags::ec2_retag(&ec2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        let deleted = blockers::delete(cx, &ec2, Held::SecurityGroup(&prior.id), async || {
            ec2.delete_security_group().group_id(&prior.id).send().await.context("DeleteSecurityGroup").map(drop)
        });
        Ok(deleted.await?)
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let ec2 = cx.client().ec2(cx.region()?).await;
        Ok(describe(&ec2, id).await?.map(|group| {
            let living = group.tags().iter().filter_map(|tag| Some((tag.key()?, tag.value()?)));
            let tags = tags::foreign(living);
            created(&group, &Self { name: Some(String::new()), tags, ..Self::in_vpc(VpcId::from("")) })
        }))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let ec2 = cx.client().ec2(cx.region()?).await;
                let group = ours(cx, &ec2, &inputs.group_name(cx), &inputs.vpc_id.known()?).await?;
                Ok(Found::from(group.map(|group| created(&group, inputs))))
            })
        })
    }
}

/// Gives a new group its rules, once it is seen.
async fn fill(cx: &Context<'_, Aws>, ec2: &Client, id: &str, inputs: &SecurityGroup) -> Result<(), ProviderError> {
    let status = "waiting until the new group is seen";
    let group = wait::until(cx, status, wait::CONSISTENCY, async || Ok(describe(ec2, id).await?)).await?;
    converge(ec2, group, inputs).await
}

/// Brings the rules in order, whatever they are now.
async fn converge(ec2: &Client, mut group: Described, inputs: &SecurityGroup) -> Result<(), ProviderError> {
    const ROUNDS: usize = 3;
    let id = group.group_id().unwrap_or_default().to_owned();
    let ingress = rule::wanted(&inputs.ingress, &id)?;
    for round in 1.. {
        let living = rule::living(group.ip_permissions_egress());
        let egress = match inputs.egress.as_slice() {
            [] if rule::is_default_egress(&living) => living.clone(),
            [] => rule::default_egress(),
            rules => rule::wanted(rules, &id)?,
        };
        let inward = change(ec2, &id, Direction::Ingress, &rule::living(group.ip_permissions()), &ingress).await;
        let outward = match inward {
            Ok(()) => change(ec2, &id, Direction::Egress, &living, &egress).await,
            Err(error) => Err(error),
        };
        match outward {
            Ok(()) => break,
            // Somebody else changed the rules meanwhile, or a lost answer had been carried out: look again.
            Err(error) if round < ROUNDS && matches!(error.kind, ErrorKind::AlreadyExists | ErrorKind::NotFound) => {
                group = describe(ec2, &id).await?.ok_or_else(|| lost(&id))?;
            }
            Err(error) => return Err(error.into()),
        }
    }
    Ok(())
}

#[derive(Clone, Copy)]
enum Direction {
    Ingress,
    Egress,
}

async fn change(
    ec2: &Client,
    id: &str,
    direction: Direction,
    living: &RuleSet,
    wanted: &RuleSet,
) -> Result<(), AwsError> {
    let added = rule::permissions(wanted.iter().filter(|(key, _)| !living.contains_key(key)));
    let renamed =
        rule::permissions(wanted.iter().filter(|(key, text)| living.get(key).is_some_and(|old| old != *text)));
    let removed = rule::permissions(living.iter().filter(|(key, _)| !wanted.contains_key(key)));
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

/// The group without the rules that are resources of their own, which say of themselves by a tag that they are.
async fn describe(ec2: &Client, id: &str) -> Result<Option<Described>, AwsError> {
    let answer = ec2.describe_security_groups().group_ids(id).send().await.context("DescribeSecurityGroups");
    let group = found(answer)?.and_then(|answer| answer.security_groups.unwrap_or_default().pop());
    let Some(mut group) = group else { return Ok(None) };
    let mut rules = ec2.describe_security_group_rules().filters(filter("group-id", id)).into_paginator().items().send();
    let (mut ingress, mut egress) = (BTreeSet::new(), BTreeSet::new());
    while let Some(rule) = rules.next().await {
        let rule = rule.context("DescribeSecurityGroupRules")?;
        if security_group_rule::is_declared(&rule) {
            let side = if rule.is_egress() == Some(true) { &mut egress } else { &mut ingress };
            side.extend(rule::described(&rule));
        }
    }
    let without = |permissions: &[IpPermission], declared: &BTreeSet<rule::Key>| {
        let all = rule::living(permissions);
        rule::permissions(all.iter().filter(|(key, _)| !declared.contains(key)))
    };
    if !ingress.is_empty() {
        group.ip_permissions = Some(without(group.ip_permissions(), &ingress));
    }
    if !egress.is_empty() {
        group.ip_permissions_egress = Some(without(group.ip_permissions_egress(), &egress));
    }
    Ok(Some(group))
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, ec2: &Client, name: &str, vpc: &VpcId) -> Result<Option<Described>, AwsError> {
    let answer = ec2
        .describe_security_groups()
        .filters(filter("group-name", name))
        .filters(filter("vpc-id", vpc.as_str()))
        .send()
        .await
        .context("DescribeSecurityGroups")?;
    let groups = answer.security_groups.unwrap_or_default();
    Ok(groups.into_iter().find(|group| tags::ec2_are_ours(cx, group.tags())))
}

fn lost(group: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the security group {group} is gone"))
}

/// The group as it lives, in the words of the recorded inputs where they say the same.
fn created(group: &Described, recorded: &SecurityGroup) -> Created<SecurityGroup> {
    let id = group.group_id().unwrap_or_default();
    let name = group.group_name().unwrap_or_default();
    let egress = rule::living(group.ip_permissions_egress());
    let inputs = SecurityGroup {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        description: group.description().unwrap_or_default().to_owned(),
        vpc_id: VpcId::from(group.vpc_id().unwrap_or_default()).into(),
        ingress: rule::as_recorded(&rule::living(group.ip_permissions()), &recorded.ingress, id),
        egress: if recorded.egress.is_empty() && rule::is_default_egress(&egress) {
            Vec::new()
        } else {
            rule::as_recorded(&egress, &recorded.egress, id)
        },
        tags: tags::ec2_own(group.tags(), &recorded.tags),
    };
    Created {
        id: id.to_owned(),
        inputs: Some(inputs),
        outputs: SecurityGroupOutputs {
            id: SecurityGroupId::from(id).into(),
            arn: group.security_group_arn().unwrap_or_default().into(),
            name: name.into(),
        },
    }
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
        let problems = group.check();
        assert_eq!(problems.len(), 1);
        assert_eq!(problems[0].property, "ingress[1]");
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = SecurityGroup {
            ingress: vec![Rule::tcp(80).from_anywhere(), Rule::tcp(22).from_itself()],
            ..SecurityGroup::in_vpc(VpcId::from("vpc-1"))
        };
        let permissions = |set: &RuleSet| rule::permissions(set);
        let lives = Described::builder()
            .group_id("sg-1")
            .group_name("access-abc")
            .description("Managed by infra")
            .vpc_id("vpc-1")
            .set_ip_permissions(rule::wanted(&recorded.ingress, "sg-1").ok().as_ref().map(permissions))
            .set_ip_permissions_egress(Some(permissions(&rule::default_egress())))
            .build();
        let read = created(&lives, &recorded).inputs;
        assert_eq!(serde_json::to_value(read).ok(), serde_json::to_value(Some(recorded)).ok());
    }
}
