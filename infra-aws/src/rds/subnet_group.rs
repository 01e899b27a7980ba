//! `aws:rds:DbSubnetGroup`: subnets of databases.

use super::{derived_name, name_problem, retag, tags_of};
use crate::prelude::*;
use aws_sdk_rds::{
    Client,
    types::{self, Subnet, Tag},
};
use std::{collections::BTreeSet, time::Duration};

/// A DB subnet group: the subnets of a VPC in which databases have their addresses.
///
/// Databases outside of the default VPC need one.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # use infra_core::Output;
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let zones = virginia.lookup(AvailabilityZones).names;
/// let vpc = virginia.add("vpc", Vpc::new("10.0.0.0/16"));
/// let first = virginia.add("first", Subnet::of(&vpc.id, "10.0.0.0/24").in_zone(zones.index(0)));
/// let second = virginia.add("second", Subnet::of(&vpc.id, "10.0.1.0/24").in_zone(zones.index(1)));
/// let subnets = virginia.add("subnets", DbSubnetGroup::of(Output::list([first.id, second.id])));
/// virginia.add("database", DbInstance {
///     subnet_group: Some(subnets.name),
///     ..DbInstance::postgres("db.t4g.micro", "tasks", "cloud", "long-enough")
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateDBSubnetGroup`
/// - Read: `DescribeDBSubnetGroups`, `ListTagsForResource`
/// - Update: `ModifyDBSubnetGroup`, `AddTagsToResource`, `RemoveTagsFromResource`
/// - Delete: `DeleteDBSubnetGroup`, repeated while a database uses the group
///
/// # Replacement
/// A change of `name` replaces the group, and with it the databases that use it. A change of the VPC of its subnets does the
/// same, because a group cannot leave its VPC. The new group is created before the
/// previous one is deleted.
///
/// # Import
/// The import takes the name of the group:
///
/// ```console
/// $ stack import aws:rds:DbSubnetGroup subnets tasks --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:rds:DbSubnetGroup")]
pub struct DbSubnetGroup {
    /// Name, unique in the account and region: up to 255 lower-case letters, digits and `-`, beginning with a letter,
    /// without `--` and without `-` at the end. When omitted, the declaration's name with a unique suffix. A change
    /// replaces the group.
    #[resource(replace)]
    pub name: Option<String>,
    /// Purpose of the group; `Managed by infra` by default.
    pub description: String,
    /// Ids of at least two subnets of one VPC, in different availability zones.
    #[resource(follows = "vpc_id")]
    pub subnets: Input<Vec<SubnetId>>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`DbSubnetGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct DbSubnetGroupOutputs {
    /// Name of the group.
    #[output(regional)]
    pub name: Output<DbSubnetGroupName>,
    /// Amazon Resource Name of the group.
    #[output(regional)]
    pub arn: Output<Arn<DbSubnetGroup>>,
    /// Id of the VPC that contains the subnets, `vpc-…`.
    #[output(regional)]
    pub vpc_id: Output<VpcId>,
}

impl DbSubnetGroup {
    /// Returns a group of these subnets.
    pub fn of(subnets: impl Into<Input<Vec<SubnetId>>>) -> Self {
        Self { name: None, description: "Managed by infra".to_owned(), subnets: subnets.into(), tags: BTreeMap::new() }
    }

    fn group_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx, 255))
    }

    fn subnet_ids(&self) -> Result<Vec<String>> {
        Ok(self.subnets.known()?.into_iter().map(String::from).collect())
    }
}

impl AwsResource for DbSubnetGroup {}

impl Described for DbSubnetGroup {
    type Client = Aws;
    type Api = Client;
    type Description = (types::DbSubnetGroup, Vec<Tag>);

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 255).into_iter().collect();
        if self.subnets.known().is_ok_and(|subnets| subnets.len() < 2) {
            let problem = Problem::new("subnets", "databases need subnets in at least two zones");
            problems.push(problem.hint("use all subnets of a VPC: `network.subnets`"));
        }
        problems
    }

    async fn create(cx: &Context<'_>, rds: &Client, inputs: &Self) -> Result<Self::Description> {
        let response = rds
            .create_db_subnet_group()
            .db_subnet_group_name(inputs.group_name(cx))
            .db_subnet_group_description(&inputs.description)
            .set_subnet_ids(Some(inputs.subnet_ids()?))
            .set_tags(Some(tags::for_create(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateDBSubnetGroup")?;
        let created = response.db_subnet_group;
        Ok((created.ok_or_else(|| ProviderError::unsure("CreateDBSubnetGroup returned no group"))?, Vec::new()))
    }

    async fn apply(_: &Context<'_>, rds: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let Some(old) = update.old else { return Ok(update.outputs.clone()) };
        let call = rds
            .modify_db_subnet_group()
            .db_subnet_group_name(update.id)
            .db_subnet_group_description(&update.new.description)
            .set_subnet_ids(Some(update.new.subnet_ids()?));
        let group = call.send().await.context("ModifyDBSubnetGroup")?.db_subnet_group;
        let group = group.ok_or_else(|| ProviderError::unsure("ModifyDBSubnetGroup returned no group"))?;
        retag(rds, group.db_subnet_group_arn().unwrap_or_default(), Some(&old.tags), &update.new.tags).await?;
        Ok(Self::normalize(&(group, Vec::new()), Some(update.new)).outputs)
    }

    async fn delete(cx: &Context<'_>, rds: &Client, prior: &Prior<Self>) -> Result<()> {
        let status = "waiting until no database uses the group";
        wait::retry_while_in_use(cx, status, Duration::from_mins(5), async || {
            rds.delete_db_subnet_group().db_subnet_group_name(&prior.id).send().await.context("DeleteDBSubnetGroup")
        })
        .await?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, rds: &Client, name: &str) -> Result<Option<Self::Description>> {
        let response = rds.describe_db_subnet_groups().db_subnet_group_name(name).send().await;
        let response = found(response.context("DescribeDBSubnetGroups"))?;
        let Some(group) = response.and_then(|response| response.db_subnet_groups?.pop()) else { return Ok(None) };
        let tags = tags_of(rds, group.db_subnet_group_arn().unwrap_or_default()).await?;
        Ok(Some((group, tags)))
    }

    async fn find_created(cx: &Context<'_>, rds: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, rds, &inputs.group_name(cx)).await?;
        Ok(existing.filter(|(_, tags)| tags::are_of_operation(cx, tags)))
    }

    fn normalize((group, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = group.db_subnet_group_name().unwrap_or_default();
        let subnets: BTreeSet<&str> = group.subnets().iter().filter_map(Subnet::subnet_identifier).collect();
        let same = |recorded: &&Self| {
            recorded.subnet_ids().is_ok_and(|recorded| subnets == recorded.iter().map(String::as_str).collect())
        };
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                description: group.db_subnet_group_description().unwrap_or_default().to_owned(),
                subnets: match recorded.filter(same) {
                    Some(recorded) => recorded.subnets.clone(),
                    None => subnets.into_iter().map(SubnetId::from).collect::<Vec<_>>().into(),
                },
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: DbSubnetGroupOutputs {
                name: DbSubnetGroupName::from(name).into(),
                arn: Arn::from(group.db_subnet_group_arn().unwrap_or_default()).into(),
                vpc_id: VpcId::from(group.vpc_id().unwrap_or_default()).into(),
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_of_subnets_is_no_drift() {
        let subnets = |ids: [&str; 2]| ids.map(SubnetId::from).to_vec();
        let recorded = DbSubnetGroup::of(subnets(["subnet-b", "subnet-a"]));
        let subnet = |id: &str| Subnet::builder().subnet_identifier(id).build();
        let group = types::DbSubnetGroup::builder()
            .db_subnet_group_name("data-abc")
            .db_subnet_group_description("Managed by infra")
            .subnets(subnet("subnet-a"))
            .subnets(subnet("subnet-b"));
        let json = |inputs: Option<DbSubnetGroup>| serde_json::to_value(inputs).ok();
        let read = |group| json(DbSubnetGroup::normalize(&(group, Vec::new()), Some(&recorded)).inputs);
        assert_eq!(read(group.clone().build()), json(Some(recorded.clone())));
        assert_ne!(read(group.subnets(subnet("subnet-c")).build()), json(Some(recorded.clone())));
    }

    #[test]
    fn check_refuses_a_single_subnet() {
        assert_eq!(DbSubnetGroup::of(vec![SubnetId::from("subnet-a")]).check()[0].property, "subnets");
    }
}
