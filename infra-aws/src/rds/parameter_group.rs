//! `aws:rds:DbParameterGroup`: how the engine of databases is configured.

use super::{are_ours, derived_name, name_problem, own_tags, retag, tag_list, tags_of};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, DbParameterGroupName},
    region::AwsResource,
    wait,
};
use aws_sdk_rds::{
    Client,
    types::{ApplyMethod, DbParameterGroup as Described, Parameter, Tag},
};
use infra_core::{
    Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Parameters of PostgreSQL for the databases that use the group.
///
/// Made by `CreateDBParameterGroup`; parameters are set by `ModifyDBParameterGroup` and given back to the engine by
/// `ResetDBParameterGroup`. Dynamic ones reach running databases at once, static ones when they are rebooted. Tags are
/// changed with `AddTagsToResource` and `RemoveTagsFromResource`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbParameterGroup {
    /// Its name; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The engine and major version it is for: `postgres15`, `aurora-postgresql15`.
    pub family: String,
    /// What it is for.
    pub description: String,
    /// Values by name, such as `max_connections`; formulas like `{DBInstanceClassMemory/9531392}` are AWS's.
    pub parameters: BTreeMap<String, String>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`DbParameterGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct DbParameterGroupOutputs {
    /// Its name.
    pub name: Output<DbParameterGroupName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<DbParameterGroup>>,
}

/// How many parameters one request takes.
const AT_ONCE: usize = 20;

impl DbParameterGroup {
    /// A group for this engine and major version, with the engine's defaults.
    pub fn of_family(family: impl Into<String>) -> Self {
        Self {
            name: None,
            family: family.into(),
            description: "Managed by infra".to_owned(),
            parameters: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Sets a parameter.
    pub fn set(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.parameters.insert(name.into(), value.to_string());
        self
    }

    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx, 255))
    }
}

impl Resource for DbParameterGroup {
    const TYPE: &'static str = "aws:rds:DbParameterGroup";
    type Outputs = DbParameterGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "family", "description"]).regional(["name", "arn"])
    }
}

impl AwsResource for DbParameterGroup {}

impl Handler for DbParameterGroup {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = name_problem(self.name.as_deref(), 255).into_iter().collect();
        if !self.family.ends_with(|c: char| c.is_ascii_digit()) {
            let problem = Problem::new("family", format!("`{}` names no major version", self.family));
            problems.push(problem.hint("write it like `postgres15` or `aurora-postgresql15`"));
        }
        for name in self.parameters.keys().filter(|name| name.chars().any(|c| c.is_ascii_uppercase())) {
            let problem = Problem::new("parameters", format!("the service knows `{name}` in lower case"));
            problems.push(problem.hint(format!("write `{}`", name.to_lowercase())));
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let name = inputs.group_name(cx);
        let answer = rds
            .create_db_parameter_group()
            .db_parameter_group_name(&name)
            .db_parameter_group_family(&inputs.family)
            .description(&inputs.description)
            .set_tags(Some(tag_list(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateDBParameterGroup");
        let group = match answer {
            Ok(answer) => answer.db_parameter_group.ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &rds, &name).await?;
                ours.ok_or_else(|| error.hint("choose another name, or delete the group that has it"))?.0
            }
            Err(error) => return Err(error.into()),
        };
        let created = live(&group, &BTreeMap::new(), &[], inputs);
        match converge(&rds, &name, inputs).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let Some(group) = describe(&rds, &prior.id).await? else { return Ok(None) };
        let tags = tags_of(&rds, group.db_parameter_group_arn().unwrap_or_default()).await?;
        Ok(Some(live(&group, &user_parameters(&rds, &prior.id).await?, &tags, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let group = describe(&rds, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        converge(&rds, &prior.id, inputs).await?;
        retag(&rds, group.db_parameter_group_arn().unwrap_or_default(), &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let status = "waiting until no database uses the group any more";
        wait::while_needed(cx, status, Duration::from_mins(5), async || {
            let call = rds.delete_db_parameter_group().db_parameter_group_name(&prior.id);
            call.send().await.context("DeleteDBParameterGroup")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let rds = cx.client().rds(cx.region()?).await;
        let Some(group) = describe(&rds, id).await? else { return Ok(None) };
        let named = Self { name: Some(String::new()), ..Self::of_family("") };
        Ok(Some(live(&group, &user_parameters(&rds, id).await?, &[], &named)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let rds = cx.client().rds(cx.region()?).await;
                let name = inputs.group_name(cx);
                let Some((group, tags)) = ours(cx, &rds, &name).await? else { return Ok(Found::Absent) };
                Ok(Found::Found(live(&group, &user_parameters(&rds, &name).await?, &tags, inputs)))
            })
        })
    }
}

/// Brings the parameters in order, whatever they are now.
async fn converge(rds: &Client, name: &str, inputs: &DbParameterGroup) -> Result<(), ProviderError> {
    let living = user_parameters(rds, name).await?;
    let changed: Vec<_> = inputs.parameters.iter().filter(|(name, value)| living.get(*name) != Some(*value)).collect();
    let reset: Vec<_> = living.keys().filter(|name| !inputs.parameters.contains_key(*name)).collect();
    if changed.is_empty() && reset.is_empty() {
        return Ok(());
    }
    let fixed = static_parameters(rds, name).await?;
    let method = |name: &str| if fixed.contains(name) { ApplyMethod::PendingReboot } else { ApplyMethod::Immediate };
    for part in changed.chunks(AT_ONCE) {
        let parameters = part.iter().map(|(name, value)| {
            Parameter::builder().parameter_name(*name).parameter_value(*value).apply_method(method(name)).build()
        });
        let call = rds.modify_db_parameter_group().db_parameter_group_name(name);
        call.set_parameters(Some(parameters.collect())).send().await.context("ModifyDBParameterGroup")?;
    }
    for part in reset.chunks(AT_ONCE) {
        let parameters =
            part.iter().map(|name| Parameter::builder().parameter_name(*name).apply_method(method(name)).build());
        let call = rds.reset_db_parameter_group().db_parameter_group_name(name).reset_all_parameters(false);
        call.set_parameters(Some(parameters.collect())).send().await.context("ResetDBParameterGroup")?;
    }
    Ok(())
}

/// What somebody has set.
async fn user_parameters(rds: &Client, name: &str) -> Result<BTreeMap<String, String>, AwsError> {
    let set = parameters(rds, name, Some("user")).await?;
    let pair = |one: Parameter| Some((one.parameter_name?, one.parameter_value?));
    Ok(set.into_iter().filter_map(pair).collect())
}

/// What takes effect at a reboot only.
async fn static_parameters(rds: &Client, name: &str) -> Result<BTreeSet<String>, AwsError> {
    let all = parameters(rds, name, None).await?;
    let fixed = all.into_iter().filter(|one| one.apply_type() == Some("static"));
    Ok(fixed.filter_map(|one| one.parameter_name).collect())
}

async fn parameters(rds: &Client, name: &str, source: Option<&str>) -> Result<Vec<Parameter>, AwsError> {
    let mut all = Vec::new();
    let mut marker = None;
    loop {
        let call = rds.describe_db_parameters().db_parameter_group_name(name).set_source(source.map(str::to_owned));
        let answer = call.set_marker(marker).send().await.context("DescribeDBParameters")?;
        all.extend(answer.parameters.unwrap_or_default());
        marker = answer.marker.filter(|marker| !marker.is_empty());
        if marker.is_none() {
            return Ok(all);
        }
    }
}

async fn describe(rds: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = rds.describe_db_parameter_groups().db_parameter_group_name(name).send().await;
    let groups = found(answer.context("DescribeDBParameterGroups"))?.and_then(|answer| answer.db_parameter_groups);
    Ok(groups.unwrap_or_default().pop())
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, rds: &Client, name: &str) -> Result<Option<(Described, Vec<Tag>)>, AwsError> {
    let Some(group) = describe(rds, name).await? else { return Ok(None) };
    let tags = tags_of(rds, group.db_parameter_group_arn().unwrap_or_default()).await?;
    Ok(are_ours(cx, &tags).then_some((group, tags)))
}

fn lost(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the DB parameter group {name} is gone"))
}

fn live(
    group: &Described,
    parameters: &BTreeMap<String, String>,
    tags: &[Tag],
    recorded: &DbParameterGroup,
) -> Created<DbParameterGroup> {
    let name = group.db_parameter_group_name().unwrap_or_default();
    Created {
        id: name.to_owned(),
        inputs: Some(DbParameterGroup {
            name: recorded.name.as_ref().map(|_| name.to_owned()),
            family: group.db_parameter_group_family().unwrap_or_default().to_owned(),
            description: group.description().unwrap_or_default().to_owned(),
            parameters: parameters.clone(),
            tags: own_tags(tags, &recorded.tags),
        }),
        outputs: DbParameterGroupOutputs {
            name: DbParameterGroupName::from(name).into(),
            arn: Arn::from(group.db_parameter_group_arn().unwrap_or_default()).into(),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn families_and_names_are_checked() {
        assert!(DbParameterGroup::of_family("postgres15").set("work_mem", 4096).check().is_empty());
        let problems = DbParameterGroup::of_family("postgres").set("DateStyle", "ISO").check();
        let properties: Vec<_> = problems.into_iter().map(|problem| problem.property).collect();
        assert_eq!(properties, ["family", "parameters"]);
    }
}
