//! `aws:rds:DbSubnetGroup`: where the addresses of databases come from.

use super::{are_ours, derived_name, name_problem, own_tags, retag, tag_list, tags_of};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, DbSubnetGroupName, SubnetId, VpcId},
    region::AwsResource,
    wait,
};
use aws_sdk_rds::{
    Client,
    types::{DbSubnetGroup as Described, Subnet, Tag},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Subnets of a VPC, in two zones at least, that databases get their addresses from.
///
/// Made by `CreateDBSubnetGroup`, changed in place by `ModifyDBSubnetGroup`; tags with `AddTagsToResource` and
/// `RemoveTagsFromResource`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbSubnetGroup {
    /// Its name; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// What it is for.
    pub description: String,
    /// The subnets.
    pub subnets: Input<Vec<SubnetId>>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`DbSubnetGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbSubnetGroupOutputs {
    /// Its name.
    pub name: Output<DbSubnetGroupName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<DbSubnetGroup>>,
    /// The VPC that its subnets are in.
    pub vpc_id: Output<VpcId>,
}

impl DbSubnetGroup {
    /// A group of these subnets.
    pub fn of(subnets: impl Into<Input<Vec<SubnetId>>>) -> Self {
        Self { name: None, description: "Managed by infra".to_owned(), subnets: subnets.into(), tags: BTreeMap::new() }
    }

    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx, 255))
    }

    fn subnet_ids(&self) -> Result<Vec<String>, ProviderError> {
        Ok(self.subnets.known()?.into_iter().map(String::from).collect())
    }
}

impl Resource for DbSubnetGroup {
    const TYPE: &'static str = "aws:rds:DbSubnetGroup";
    type Outputs = DbSubnetGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"]).regional(["name", "arn", "vpc_id"])
    }
}

impl AwsResource for DbSubnetGroup {}

impl Handler for DbSubnetGroup {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 255).into_iter().collect();
        if self.subnets.known().is_ok_and(|subnets| subnets.len() < 2) {
            let problem = Problem::new("subnets", "databases need subnets in at least two zones");
            problems.push(problem.hint("such as all of a VPC's: `network.subnets`"));
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let name = inputs.group_name(cx);
        let answer = rds
            .create_db_subnet_group()
            .db_subnet_group_name(&name)
            .db_subnet_group_description(&inputs.description)
            .set_subnet_ids(Some(inputs.subnet_ids()?))
            .set_tags(Some(tag_list(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateDBSubnetGroup");
        let group = match answer {
            Ok(answer) => answer.db_subnet_group.ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &rds, &name).await?;
                ours.ok_or_else(|| error.hint("choose another name, or delete the group that has it"))?.0
            }
            Err(error) => return Err(error.into()),
        };
        Ok(Created { inputs: None, ..live(&group, &[], inputs) })
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let Some(group) = describe(&rds, &prior.id).await? else { return Ok(None) };
        let tags = tags_of(&rds, group.db_subnet_group_arn().unwrap_or_default()).await?;
        Ok(Some(live(&group, &tags, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let call = rds
            .modify_db_subnet_group()
            .db_subnet_group_name(&prior.id)
            .db_subnet_group_description(&inputs.description)
            .set_subnet_ids(Some(inputs.subnet_ids()?));
        let answer = call.send().await.context("ModifyDBSubnetGroup")?;
        let group = answer.db_subnet_group.ok_or_else(|| lost(&prior.id))?;
        retag(&rds, group.db_subnet_group_arn().unwrap_or_default(), &prior.inputs.tags, &inputs.tags).await?;
        Ok(live(&group, &[], inputs).outputs)
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let status = "waiting until no database uses the group any more";
        wait::while_needed(cx, status, Duration::from_mins(5), async || {
            rds.delete_db_subnet_group().db_subnet_group_name(&prior.id).send().await.context("DeleteDBSubnetGroup")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let named = Self { name: Some(String::new()), ..Self::of(Vec::new()) };
        Ok(describe(&rds, id).await?.map(|group| live(&group, &[], &named)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let rds = cx.client().rds(cx.region()?).await;
                let group = ours(cx, &rds, &inputs.group_name(cx)).await?;
                Ok(Found::from(group.map(|(group, tags)| live(&group, &tags, inputs))))
            })
        })
    }
}

async fn describe(rds: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = rds.describe_db_subnet_groups().db_subnet_group_name(name).send().await;
    let groups = found(answer.context("DescribeDBSubnetGroups"))?.and_then(|answer| answer.db_subnet_groups);
    Ok(groups.unwrap_or_default().pop())
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, rds: &Client, name: &str) -> Result<Option<(Described, Vec<Tag>)>, AwsError> {
    let Some(group) = describe(rds, name).await? else { return Ok(None) };
    let tags = tags_of(rds, group.db_subnet_group_arn().unwrap_or_default()).await?;
    Ok(are_ours(cx, &tags).then_some((group, tags)))
}

fn lost(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the DB subnet group {name} is gone"))
}

/// The group as it lives, in the words of the recorded inputs where they say the same.
fn live(group: &Described, tags: &[Tag], recorded: &DbSubnetGroup) -> Created<DbSubnetGroup> {
    let name = group.db_subnet_group_name().unwrap_or_default();
    let living: BTreeSet<&str> = group.subnets().iter().filter_map(Subnet::subnet_identifier).collect();
    let known = recorded.subnet_ids().unwrap_or_default();
    let subnets = if living == known.iter().map(String::as_str).collect() {
        recorded.subnets.clone()
    } else {
        living.into_iter().map(SubnetId::from).collect::<Vec<_>>().into()
    };
    Created {
        id: name.to_owned(),
        inputs: Some(DbSubnetGroup {
            name: recorded.name.as_ref().map(|_| name.to_owned()),
            description: group.db_subnet_group_description().unwrap_or_default().to_owned(),
            subnets,
            tags: own_tags(tags, &recorded.tags),
        }),
        outputs: DbSubnetGroupOutputs {
            name: DbSubnetGroupName::from(name).into(),
            arn: Arn::from(group.db_subnet_group_arn().unwrap_or_default()).into(),
            vpc_id: VpcId::from(group.vpc_id().unwrap_or_default()).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_order_of_subnets_is_no_drift() {
        let subnets = |ids: [&str; 2]| ids.map(SubnetId::from).to_vec();
        let recorded = DbSubnetGroup::of(subnets(["subnet-b", "subnet-a"]));
        let subnet = |id: &str| Subnet::builder().subnet_identifier(id).build();
        let group = Described::builder()
            .db_subnet_group_name("data-abc")
            .db_subnet_group_description("Managed by infra")
            .subnets(subnet("subnet-a"))
            .subnets(subnet("subnet-b"));
        let json = |inputs: Option<DbSubnetGroup>| serde_json::to_value(inputs).ok();
        assert_eq!(json(live(&group.clone().build(), &[], &recorded).inputs), json(Some(recorded.clone())));
        let changed = live(&group.subnets(subnet("subnet-c")).build(), &[], &recorded).inputs;
        assert_ne!(json(changed), json(Some(recorded)));
    }

    #[test]
    fn one_subnet_is_not_enough() {
        assert_eq!(DbSubnetGroup::of(vec![SubnetId::from("subnet-a")]).check()[0].property, "subnets");
    }
}
