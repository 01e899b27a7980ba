//! Parameter groups of instances and of clusters, which differ in the names of their operations.

use super::{name_problem, tags_of};
use crate::{error::AwsError, prelude::*};
use aws_sdk_rds::{
    Client,
    types::{ApplyMethod, DbClusterParameterGroup, DbParameterGroup, Parameter, Tag},
};
use std::{collections::BTreeSet, time::Duration};

/// Largest number of parameters in one request.
const PARAMETERS_OF_A_REQUEST: usize = 20;

/// Implements `Described` for a kind of parameter group.
macro_rules! described {
    ($kind:ident, $outputs:ident, $name:ident, $operations:expr) => {
        impl Described for $kind {
            type Client = Aws;
            type Api = aws_sdk_rds::Client;
            type Description = $crate::rds::parameters::Group;

            const FOUND_BY: FoundBy = FoundBy::Name;

            fn check(&self) -> Vec<Problem> {
                $crate::rds::parameters::problems(self.name.as_deref(), &self.family, &self.parameters)
            }

            async fn create(cx: &Context<'_>, rds: &Self::Api, inputs: &Self) -> Result<Self::Description> {
                let name = inputs.group_name(cx);
                let tags = tags::for_create(cx, &inputs.tags);
                $operations.create(rds, &name, &inputs.family, &inputs.description, tags).await
            }

            async fn apply(_: &Context<'_>, rds: &Self::Api, update: Update<'_, Self>) -> Result<Self::Outputs> {
                $operations.apply(rds, update.id, &update.new.parameters).await?;
                let arn = update.outputs.arn.known()?;
                $crate::rds::retag(rds, arn.as_str(), update.old.map(|old| &old.tags), &update.new.tags).await?;
                Ok(update.outputs.clone())
            }

            async fn delete(cx: &Context<'_>, rds: &Self::Api, prior: &Prior<Self>) -> Result<()> {
                $operations.delete(cx, rds, &prior.id).await
            }

            async fn describe(_: &Context<'_>, rds: &Self::Api, name: &str) -> Result<Option<Self::Description>> {
                $operations.describe(rds, name).await
            }

            async fn find_created(
                cx: &Context<'_>,
                rds: &Self::Api,
                inputs: &Self,
            ) -> Result<Option<Self::Description>> {
                let existing = $operations.describe(rds, &inputs.group_name(cx)).await?;
                Ok(existing.filter(|group| tags::are_of_operation(cx, &group.tags)))
            }

            fn normalize(group: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
                Created {
                    id: group.name.clone(),
                    inputs: Some(Self {
                        name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| group.name.clone()),
                        family: group.family.clone(),
                        description: group.description.clone(),
                        parameters: group.parameters.clone(),
                        tags: tags::declared(&group.tags, recorded.map(|recorded| &recorded.tags)),
                    }),
                    outputs: $outputs {
                        name: $name::from(group.name.as_str()).into(),
                        arn: Arn::from(group.arn.as_str()).into(),
                    },
                }
            }
        }
    };
}
pub(super) use described;

/// Description of a parameter group.
#[derive(Clone, Debug, Default)]
pub struct Group {
    pub(super) name: String,
    pub(super) family: String,
    pub(super) description: String,
    pub(super) arn: String,
    pub(super) parameters: BTreeMap<String, String>,
    pub(super) tags: Vec<Tag>,
}

/// Operations on parameter groups.
#[derive(Clone, Copy)]
pub(super) enum Operations {
    /// On the groups of instances.
    Instances,
    /// On the groups of clusters.
    Clusters,
}

/// Returns the problems of a declared group.
pub(super) fn problems(name: Option<&str>, family: &str, parameters: &BTreeMap<String, String>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = name_problem(name, 255).into_iter().collect();
    if !family.ends_with(|c: char| c.is_ascii_digit()) {
        let problem = Problem::new("family", format!("`{family}` contains no major version"));
        problems.push(problem.hint("write it like `postgres15` or `aurora-postgresql15`"));
    }
    for name in parameters.keys().filter(|name| name.chars().any(|c| c.is_ascii_uppercase())) {
        let problem = Problem::new("parameters", format!("the name of the parameter `{name}` has upper-case letters"));
        problems.push(problem.hint(format!("write `{}`", name.to_lowercase())));
    }
    problems
}

impl Operations {
    /// Creates a group with the engine's default parameters.
    pub(super) async fn create(
        self,
        rds: &Client,
        name: &str,
        family: &str,
        description: &str,
        tags: Vec<Tag>,
    ) -> Result<Group> {
        let created = match self {
            Self::Instances => {
                let call = rds.create_db_parameter_group().db_parameter_group_name(name);
                let call = call.db_parameter_group_family(family).description(description).set_tags(Some(tags.clone()));
                let response = call.send().await.context("CreateDBParameterGroup")?;
                response.db_parameter_group.map(Group::from)
            }
            Self::Clusters => {
                let call = rds.create_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                let call = call.db_parameter_group_family(family).description(description).set_tags(Some(tags.clone()));
                let response = call.send().await.context("CreateDBClusterParameterGroup")?;
                response.db_cluster_parameter_group.map(Group::from)
            }
        };
        let created = created.ok_or_else(|| ProviderError::unsure("the response contains no parameter group"))?;
        Ok(Group { tags, ..created })
    }

    /// Returns the group with its parameters and tags.
    pub(super) async fn describe(self, rds: &Client, name: &str) -> Result<Option<Group>> {
        let Some(group) = self.find(rds, name).await? else { return Ok(None) };
        let parameters = self.user_parameters(rds, name).await?;
        let tags = tags_of(rds, &group.arn).await?;
        Ok(Some(Group { parameters, tags, ..group }))
    }

    /// Sets the parameters that differ, and resets those that are not wanted any more.
    pub(super) async fn apply(self, rds: &Client, name: &str, wanted: &BTreeMap<String, String>) -> Result<()> {
        let existing = self.user_parameters(rds, name).await?;
        let changed: Vec<_> = wanted.iter().filter(|(name, value)| existing.get(*name) != Some(*value)).collect();
        let reset: Vec<_> = existing.keys().filter(|name| !wanted.contains_key(*name)).collect();
        if changed.is_empty() && reset.is_empty() {
            return Ok(());
        }
        let fixed = self.static_parameters(rds, name).await?;
        let method =
            |name: &str| if fixed.contains(name) { ApplyMethod::PendingReboot } else { ApplyMethod::Immediate };
        for part in changed.chunks(PARAMETERS_OF_A_REQUEST) {
            let parameters = part.iter().map(|(name, value)| {
                Parameter::builder().parameter_name(*name).parameter_value(*value).apply_method(method(name)).build()
            });
            self.modify(rds, name, parameters.collect()).await?;
        }
        for part in reset.chunks(PARAMETERS_OF_A_REQUEST) {
            let parameters =
                part.iter().map(|name| Parameter::builder().parameter_name(*name).apply_method(method(name)).build());
            self.reset(rds, name, parameters.collect()).await?;
        }
        Ok(())
    }

    pub(super) async fn delete(self, cx: &Context<'_>, rds: &Client, name: &str) -> Result<()> {
        let status = "waiting until no database uses the group";
        wait::retry_while_in_use(cx, status, Duration::from_mins(5), async || self.request_deletion(rds, name).await)
            .await?;
        Ok(())
    }

    /// Returns the parameters that differ from the engine's defaults.
    async fn user_parameters(self, rds: &Client, name: &str) -> Result<BTreeMap<String, String>> {
        let set = self.parameters(rds, name, Some("user")).await?;
        let pair = |parameter: Parameter| Some((parameter.parameter_name?, parameter.parameter_value?));
        Ok(set.into_iter().filter_map(pair).collect())
    }

    /// Returns the parameters that take effect after a reboot only.
    async fn static_parameters(self, rds: &Client, name: &str) -> Result<BTreeSet<String>> {
        let all = self.parameters(rds, name, None).await?;
        let fixed = all.into_iter().filter(|parameter| parameter.apply_type() == Some("static"));
        Ok(fixed.filter_map(|parameter| parameter.parameter_name).collect())
    }

    async fn parameters(self, rds: &Client, name: &str, source: Option<&str>) -> Result<Vec<Parameter>> {
        let mut all = Vec::new();
        let mut marker = None;
        loop {
            let (page, next) = self.page(rds, name, source, marker).await?;
            all.extend(page.unwrap_or_default());
            marker = next.filter(|marker| !marker.is_empty());
            if marker.is_none() {
                return Ok(all);
            }
        }
    }

    async fn find(self, rds: &Client, name: &str) -> Result<Option<Group>> {
        Ok(match self {
            Self::Instances => {
                let response = rds.describe_db_parameter_groups().db_parameter_group_name(name).send().await;
                let groups = found(response.context("DescribeDBParameterGroups"))?;
                groups.and_then(|response| response.db_parameter_groups?.pop()).map(Group::from)
            }
            Self::Clusters => {
                let response = rds.describe_db_cluster_parameter_groups().db_cluster_parameter_group_name(name);
                let groups = found(response.send().await.context("DescribeDBClusterParameterGroups"))?;
                groups.and_then(|response| response.db_cluster_parameter_groups?.pop()).map(Group::from)
            }
        })
    }

    /// Returns a page of parameters and the marker of the next one.
    async fn page(
        self,
        rds: &Client,
        name: &str,
        source: Option<&str>,
        marker: Option<String>,
    ) -> Result<(Option<Vec<Parameter>>, Option<String>)> {
        let source = source.map(str::to_owned);
        Ok(match self {
            Self::Instances => {
                let call = rds.describe_db_parameters().db_parameter_group_name(name).set_source(source);
                let response = call.set_marker(marker).send().await.context("DescribeDBParameters")?;
                (response.parameters, response.marker)
            }
            Self::Clusters => {
                let call = rds.describe_db_cluster_parameters().db_cluster_parameter_group_name(name);
                let call = call.set_source(source).set_marker(marker);
                let response = call.send().await.context("DescribeDBClusterParameters")?;
                (response.parameters, response.marker)
            }
        })
    }

    async fn modify(self, rds: &Client, name: &str, parameters: Vec<Parameter>) -> Result<()> {
        match self {
            Self::Instances => {
                let call = rds.modify_db_parameter_group().db_parameter_group_name(name);
                call.set_parameters(Some(parameters)).send().await.context("ModifyDBParameterGroup")?;
            }
            Self::Clusters => {
                let call = rds.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                call.set_parameters(Some(parameters)).send().await.context("ModifyDBClusterParameterGroup")?;
            }
        }
        Ok(())
    }

    async fn reset(self, rds: &Client, name: &str, parameters: Vec<Parameter>) -> Result<()> {
        match self {
            Self::Instances => {
                let call = rds.reset_db_parameter_group().db_parameter_group_name(name).reset_all_parameters(false);
                call.set_parameters(Some(parameters)).send().await.context("ResetDBParameterGroup")?;
            }
            Self::Clusters => {
                let call = rds.reset_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                let call = call.reset_all_parameters(false).set_parameters(Some(parameters));
                call.send().await.context("ResetDBClusterParameterGroup")?;
            }
        }
        Ok(())
    }

    async fn request_deletion(self, rds: &Client, name: &str) -> Result<(), AwsError> {
        match self {
            Self::Instances => {
                let call = rds.delete_db_parameter_group().db_parameter_group_name(name);
                call.send().await.context("DeleteDBParameterGroup").map(drop)
            }
            Self::Clusters => {
                let call = rds.delete_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                call.send().await.context("DeleteDBClusterParameterGroup").map(drop)
            }
        }
    }
}

impl From<DbParameterGroup> for Group {
    fn from(group: DbParameterGroup) -> Self {
        Self {
            name: group.db_parameter_group_name.unwrap_or_default(),
            family: group.db_parameter_group_family.unwrap_or_default(),
            description: group.description.unwrap_or_default(),
            arn: group.db_parameter_group_arn.unwrap_or_default(),
            parameters: BTreeMap::new(),
            tags: Vec::new(),
        }
    }
}

impl From<DbClusterParameterGroup> for Group {
    fn from(group: DbClusterParameterGroup) -> Self {
        Self {
            name: group.db_cluster_parameter_group_name.unwrap_or_default(),
            family: group.db_parameter_group_family.unwrap_or_default(),
            description: group.description.unwrap_or_default(),
            arn: group.db_cluster_parameter_group_arn.unwrap_or_default(),
            parameters: BTreeMap::new(),
            tags: Vec::new(),
        }
    }
}
