//! What the parameter groups of instances and of clusters have in common: all but the names of their operations.

use super::{are_ours, derived_name, name_problem, retag, tag_list, tags_of};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    wait,
};
use aws_sdk_rds::{
    Client,
    types::{ApplyMethod, DbClusterParameterGroup, DbParameterGroup, Parameter, Tag},
};
use infra_core::{
    Resource,
    provider::{Context, Created, ErrorKind, Found, Prior, Problem, ProviderError},
};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// How many parameters one request takes.
const AT_ONCE: usize = 20;

/// A kind of parameter group.
pub(super) trait ParameterGroup: Resource {
    /// Whose parameters they are.
    const OF: Of;

    /// What is declared.
    fn declared(&self) -> Declared<'_>;

    /// The group as it lives, in the words of the recorded inputs where they say the same.
    fn living(group: &Group, parameters: BTreeMap<String, String>, tags: &[Tag], recorded: &Self) -> Created<Self>;
}

/// Whose parameters a group holds.
#[derive(Clone, Copy)]
pub(super) enum Of {
    Instances,
    Clusters,
}

/// What is declared of a group.
pub(super) struct Declared<'a> {
    pub(super) name: Option<&'a str>,
    pub(super) family: &'a str,
    pub(super) description: &'a str,
    pub(super) parameters: &'a BTreeMap<String, String>,
    pub(super) tags: &'a BTreeMap<String, String>,
}

/// A group as the service tells it.
pub(super) struct Group {
    pub(super) name: String,
    pub(super) family: String,
    pub(super) description: String,
    pub(super) arn: String,
}

impl Declared<'_> {
    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.map_or_else(|| derived_name(cx, 255), str::to_owned)
    }
}

pub(super) fn check(declared: &Declared<'_>) -> Vec<Problem> {
    let mut problems: Vec<Problem> = name_problem(declared.name, 255).into_iter().collect();
    if !declared.family.ends_with(|c: char| c.is_ascii_digit()) {
        let problem = Problem::new("family", format!("`{}` names no major version", declared.family));
        problems.push(problem.hint("write it like `postgres15` or `aurora-postgresql15`"));
    }
    for name in declared.parameters.keys().filter(|name| name.chars().any(|c| c.is_ascii_uppercase())) {
        let problem = Problem::new("parameters", format!("the service knows `{name}` in lower case"));
        problems.push(problem.hint(format!("write `{}`", name.to_lowercase())));
    }
    problems
}

pub(super) async fn create<G: ParameterGroup>(cx: &Context<'_, Aws>, inputs: &G) -> Result<Created<G>, ProviderError> {
    let rds = cx.client().rds(cx.region()?).await;
    let declared = inputs.declared();
    let name = declared.group_name(cx);
    let group = match G::OF.create(&rds, &name, &declared, tag_list(cx, declared.tags)).await {
        Ok(group) => group.ok_or_else(|| lost(&name))?,
        // The SDK repeats a request whose answer was lost.
        Err(error) if error.kind == ErrorKind::AlreadyExists => {
            let ours = ours(cx, &rds, G::OF, &name).await?;
            ours.ok_or_else(|| error.hint("choose another name, or delete the group that has it"))?.0
        }
        Err(error) => return Err(error.into()),
    };
    let created = G::living(&group, BTreeMap::new(), &[], inputs);
    match converge(&rds, G::OF, &name, declared.parameters).await {
        Ok(()) => Ok(Created { inputs: None, ..created }),
        Err(error) => Err(created.failed(error.into())),
    }
}

pub(super) async fn read<G: ParameterGroup>(
    cx: &Context<'_, Aws>,
    name: &str,
    recorded: &G,
) -> Result<Option<Created<G>>, ProviderError> {
    let rds = cx.client().rds(cx.region()?).await;
    let Some(group) = G::OF.describe(&rds, name).await? else { return Ok(None) };
    let tags = tags_of(&rds, &group.arn).await?;
    Ok(Some(G::living(&group, user_parameters(&rds, G::OF, name).await?, &tags, recorded)))
}

pub(super) async fn update<G: ParameterGroup>(
    cx: &Context<'_, Aws>,
    prior: &Prior<G>,
    inputs: &G,
) -> Result<G::Outputs, ProviderError> {
    let rds = cx.client().rds(cx.region()?).await;
    let group = G::OF.describe(&rds, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
    converge(&rds, G::OF, &prior.id, inputs.declared().parameters).await?;
    retag(&rds, &group.arn, prior.inputs.declared().tags, inputs.declared().tags).await?;
    Ok(prior.outputs.clone())
}

pub(super) async fn delete<G: ParameterGroup>(cx: &Context<'_, Aws>, prior: &Prior<G>) -> Result<(), ProviderError> {
    let rds = cx.client().rds(cx.region()?).await;
    let status = "waiting until no database uses the group any more";
    wait::while_needed(cx, status, Duration::from_mins(5), async || G::OF.delete(&rds, &prior.id).await).await?;
    Ok(())
}

pub(super) async fn find<G: ParameterGroup>(cx: &Context<'_, Aws>, inputs: &G) -> Result<Found<G>, ProviderError> {
    let rds = cx.client().rds(cx.region()?).await;
    let name = inputs.declared().group_name(cx);
    let Some((group, tags)) = ours(cx, &rds, G::OF, &name).await? else { return Ok(Found::Absent) };
    Ok(Found::Found(G::living(&group, user_parameters(&rds, G::OF, &name).await?, &tags, inputs)))
}

/// Brings the parameters in order, whatever they are now.
async fn converge(rds: &Client, of: Of, name: &str, wanted: &BTreeMap<String, String>) -> Result<(), AwsError> {
    let living = user_parameters(rds, of, name).await?;
    let changed: Vec<_> = wanted.iter().filter(|(name, value)| living.get(*name) != Some(*value)).collect();
    let reset: Vec<_> = living.keys().filter(|name| !wanted.contains_key(*name)).collect();
    if changed.is_empty() && reset.is_empty() {
        return Ok(());
    }
    let fixed = static_parameters(rds, of, name).await?;
    let method = |name: &str| if fixed.contains(name) { ApplyMethod::PendingReboot } else { ApplyMethod::Immediate };
    for part in changed.chunks(AT_ONCE) {
        let parameters = part.iter().map(|(name, value)| {
            Parameter::builder().parameter_name(*name).parameter_value(*value).apply_method(method(name)).build()
        });
        of.modify(rds, name, parameters.collect()).await?;
    }
    for part in reset.chunks(AT_ONCE) {
        let parameters =
            part.iter().map(|name| Parameter::builder().parameter_name(*name).apply_method(method(name)).build());
        of.reset(rds, name, parameters.collect()).await?;
    }
    Ok(())
}

/// What somebody has set.
async fn user_parameters(rds: &Client, of: Of, name: &str) -> Result<BTreeMap<String, String>, AwsError> {
    let set = parameters(rds, of, name, Some("user")).await?;
    let pair = |one: Parameter| Some((one.parameter_name?, one.parameter_value?));
    Ok(set.into_iter().filter_map(pair).collect())
}

/// What takes effect at a reboot only.
async fn static_parameters(rds: &Client, of: Of, name: &str) -> Result<BTreeSet<String>, AwsError> {
    let all = parameters(rds, of, name, None).await?;
    let fixed = all.into_iter().filter(|one| one.apply_type() == Some("static"));
    Ok(fixed.filter_map(|one| one.parameter_name).collect())
}

async fn parameters(rds: &Client, of: Of, name: &str, source: Option<&str>) -> Result<Vec<Parameter>, AwsError> {
    let mut all = Vec::new();
    let mut marker = None;
    loop {
        let (page, next) = of.parameters(rds, name, source, marker).await?;
        all.extend(page.unwrap_or_default());
        marker = next.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(all);
        }
    }
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, rds: &Client, of: Of, name: &str) -> Result<Option<(Group, Vec<Tag>)>, AwsError> {
    let Some(group) = of.describe(rds, name).await? else { return Ok(None) };
    let tags = tags_of(rds, &group.arn).await?;
    Ok(are_ours(cx, &tags).then_some((group, tags)))
}

fn lost(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the parameter group {name} is gone"))
}

/// A page of parameters, and where the next one begins.
type ParameterPage = (Option<Vec<Parameter>>, Option<String>);

impl Of {
    async fn create(
        self,
        rds: &Client,
        name: &str,
        declared: &Declared<'_>,
        tags: Vec<Tag>,
    ) -> Result<Option<Group>, AwsError> {
        Ok(match self {
            Self::Instances => {
                let call = rds.create_db_parameter_group().db_parameter_group_name(name);
                let call = call.db_parameter_group_family(declared.family).description(declared.description);
                let answer = call.set_tags(Some(tags)).send().await.context("CreateDBParameterGroup")?;
                answer.db_parameter_group.map(Group::from)
            }
            Self::Clusters => {
                let call = rds.create_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                let call = call.db_parameter_group_family(declared.family).description(declared.description);
                let answer = call.set_tags(Some(tags)).send().await.context("CreateDBClusterParameterGroup")?;
                answer.db_cluster_parameter_group.map(Group::from)
            }
        })
    }

    async fn describe(self, rds: &Client, name: &str) -> Result<Option<Group>, AwsError> {
        Ok(match self {
            Self::Instances => {
                let answer = rds.describe_db_parameter_groups().db_parameter_group_name(name).send().await;
                let groups = found(answer.context("DescribeDBParameterGroups"))?;
                groups.and_then(|answer| answer.db_parameter_groups?.pop()).map(Group::from)
            }
            Self::Clusters => {
                let answer = rds.describe_db_cluster_parameter_groups().db_cluster_parameter_group_name(name);
                let groups = found(answer.send().await.context("DescribeDBClusterParameterGroups"))?;
                groups.and_then(|answer| answer.db_cluster_parameter_groups?.pop()).map(Group::from)
            }
        })
    }

    async fn parameters(
        self,
        rds: &Client,
        name: &str,
        source: Option<&str>,
        marker: Option<String>,
    ) -> Result<ParameterPage, AwsError> {
        let source = source.map(str::to_owned);
        Ok(match self {
            Self::Instances => {
                let call = rds.describe_db_parameters().db_parameter_group_name(name).set_source(source);
                let answer = call.set_marker(marker).send().await.context("DescribeDBParameters")?;
                (answer.parameters, answer.marker)
            }
            Self::Clusters => {
                let call = rds.describe_db_cluster_parameters().db_cluster_parameter_group_name(name);
                let call = call.set_source(source).set_marker(marker);
                let answer = call.send().await.context("DescribeDBClusterParameters")?;
                (answer.parameters, answer.marker)
            }
        })
    }

    async fn modify(self, rds: &Client, name: &str, parameters: Vec<Parameter>) -> Result<(), AwsError> {
        match self {
            Self::Instances => {
                let call = rds.modify_db_parameter_group().db_parameter_group_name(name);
                call.set_parameters(Some(parameters)).send().await.context("ModifyDBParameterGroup").map(drop)
            }
            Self::Clusters => {
                let call = rds.modify_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                call.set_parameters(Some(parameters)).send().await.context("ModifyDBClusterParameterGroup").map(drop)
            }
        }
    }

    async fn reset(self, rds: &Client, name: &str, parameters: Vec<Parameter>) -> Result<(), AwsError> {
        match self {
            Self::Instances => {
                let call = rds.reset_db_parameter_group().db_parameter_group_name(name).reset_all_parameters(false);
                call.set_parameters(Some(parameters)).send().await.context("ResetDBParameterGroup").map(drop)
            }
            Self::Clusters => {
                let call = rds.reset_db_cluster_parameter_group().db_cluster_parameter_group_name(name);
                let call = call.reset_all_parameters(false).set_parameters(Some(parameters));
                call.send().await.context("ResetDBClusterParameterGroup").map(drop)
            }
        }
    }

    async fn delete(self, rds: &Client, name: &str) -> Result<(), AwsError> {
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
        }
    }
}
