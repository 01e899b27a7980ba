//! `aws:logs:LogGroup`: where logs are kept.

use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, LogGroupName},
    region::AwsResource,
    tags,
};
use aws_sdk_cloudwatchlogs::{Client, types::LogGroup as Described};
use infra_core::{
    Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};

/// A log group.
///
/// Made by `CreateLogGroup`; changed in place by `PutRetentionPolicy`, `DeleteRetentionPolicy`, `TagResource` and
/// `UntagResource`. Deleting it deletes what was logged.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct LogGroup {
    /// Its name, unique in account and region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// How many days events are kept: one of the numbers that AWS takes. Forever when not given.
    pub retention_days: Option<u32>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What a [`LogGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LogGroupOutputs {
    /// Its name.
    pub name: Output<LogGroupName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<LogGroup>>,
}

/// The retentions that AWS takes, in days.
const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

impl LogGroup {
    /// A group whose events are kept for so many days.
    pub fn kept_for_days(days: u32) -> Self {
        Self { retention_days: Some(days), ..Self::default() }
    }

    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(512))
    }
}

impl Resource for LogGroup {
    const TYPE: &'static str = "aws:logs:LogGroup";
    type Outputs = LogGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name"]).regional(["name", "arn"])
    }
}

impl AwsResource for LogGroup {}

impl Handler for LogGroup {
    type Client = Aws;

    fn loses(&self, _: Option<&Self>) -> Option<String> {
        Some("its log events".to_owned())
    }

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = |c: char| c.is_ascii_alphanumeric() || "._-/#".contains(c);
        let bad = |name: &str| name.is_empty() || name.len() > 512 || !name.chars().all(valid);
        if self.name.as_deref().is_some_and(bad) {
            problems.push(Problem::new("name", "a name has 1 to 512 letters, digits and any of `._-/#`"));
        }
        if let Some(days) = self.retention_days.filter(|days| !RETENTIONS.contains(days)) {
            let longer = RETENTIONS.into_iter().find(|known| *known > days).unwrap_or(RETENTIONS[RETENTIONS.len() - 1]);
            let known: Vec<String> = RETENTIONS.iter().map(ToString::to_string).collect();
            problems.push(
                Problem::new(
                    "retention_days",
                    format!("AWS does not keep logs for {days} days, but for {}", known.join(", ")),
                )
                .hint(format!("write {longer}")),
            );
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().logs(cx.region()?).await;
        let name = inputs.group_name(cx);
        let tags: HashMap<String, String> = tags::all(cx).into_iter().chain(inputs.tags.clone()).collect();
        let call = client.create_log_group().log_group_name(&name).set_tags(Some(tags));
        match call.send().await.context("CreateLogGroup") {
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                let ours = ours(cx, &client, &name).await.map_err(AwsError::unsure)?;
                ours.ok_or_else(|| error.hint("choose another name, import the group, or delete it"))?;
            }
            answer => drop(answer?),
        }
        let group = describe(&client, &name).await?.ok_or_else(|| lost(&name))?;
        let created = created(&group, inputs, inputs.tags.clone());
        match retain(&client, &name, inputs.retention_days).await {
            Ok(()) => Ok(Created { inputs: None, ..created }),
            Err(error) => Err(created.failed(error.into())),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().logs(cx.region()?).await;
        Ok(look(&client, &prior.id, &prior.inputs).await?)
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().logs(cx.region()?).await;
        retain(&client, &prior.id, inputs.retention_days).await?;
        retag(&client, prior, inputs).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let client = cx.client().logs(cx.region()?).await;
        client.delete_log_group().log_group_name(&prior.id).send().await.context("DeleteLogGroup")?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().logs(cx.region()?).await;
        let recorded = Self { name: Some(String::new()), ..Self::default() };
        Ok(look(&client, id, &recorded).await?)
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().logs(cx.region()?).await;
                let name = inputs.group_name(cx);
                match ours(cx, &client, &name).await? {
                    Some(_) => Ok(Found::from(look(&client, &name, inputs).await?)),
                    None => Ok(Found::Absent),
                }
            })
        })
    }
}

async fn retain(client: &Client, name: &str, days: Option<u32>) -> Result<(), AwsError> {
    if let Some(days) = days {
        let call = client.put_retention_policy().log_group_name(name).retention_in_days(days.cast_signed());
        call.send().await.context("PutRetentionPolicy")?;
    } else {
        client.delete_retention_policy().log_group_name(name).send().await.context("DeleteRetentionPolicy")?;
    }
    Ok(())
}

async fn retag(client: &Client, prior: &Prior<LogGroup>, inputs: &LogGroup) -> Result<(), ProviderError> {
    let arn = prior.outputs.arn.known()?;
    let removed: Vec<String> =
        prior.inputs.tags.keys().filter(|key| !inputs.tags.contains_key(*key)).cloned().collect();
    if prior.inputs.tags != inputs.tags && !inputs.tags.is_empty() {
        let tags = inputs.tags.clone().into_iter().collect();
        client.tag_resource().resource_arn(arn.as_str()).set_tags(Some(tags)).send().await.context("TagResource")?;
    }
    if !removed.is_empty() {
        let call = client.untag_resource().resource_arn(arn.as_str()).set_tag_keys(Some(removed));
        call.send().await.context("UntagResource")?;
    }
    Ok(())
}

async fn look(client: &Client, name: &str, recorded: &LogGroup) -> Result<Option<Created<LogGroup>>, AwsError> {
    let Some(group) = describe(client, name).await? else { return Ok(None) };
    let Some(tags) = tags_of(client, &group).await? else { return Ok(None) };
    let own = tags.into_iter().filter(|(key, _)| recorded.tags.contains_key(key)).collect();
    Ok(Some(created(&group, recorded, own)))
}

async fn describe(client: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let mut pages = client.describe_log_groups().log_group_name_prefix(name).into_paginator().items().send();
    while let Some(group) = pages.next().await {
        let group = group.context("DescribeLogGroups")?;
        if group.log_group_name() == Some(name) {
            return Ok(Some(group));
        }
    }
    Ok(None)
}

async fn tags_of(client: &Client, group: &Described) -> Result<Option<HashMap<String, String>>, AwsError> {
    let answer = client.list_tags_for_resource().resource_arn(arn(group)).send().await;
    Ok(found(answer.context("ListTagsForResource"))?.map(|answer| answer.tags.unwrap_or_default()))
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, client: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let Some(group) = describe(client, name).await? else { return Ok(None) };
    let tags = tags_of(client, &group).await?.unwrap_or_default();
    let ours = tags::are_ours(cx, tags.iter().map(|(key, value)| (Some(key.as_str()), Some(value.as_str()))));
    Ok(ours.then_some(group))
}

/// The ARN that names the group itself, not the streams in it.
fn arn(group: &Described) -> String {
    let arn = group.log_group_arn().or(group.arn()).unwrap_or_default();
    arn.strip_suffix(":*").unwrap_or(arn).to_owned()
}

fn lost(group: &str) -> ProviderError {
    ProviderError::of(ErrorKind::Unsure, format!("the new log group {group} is not to be seen"))
}

fn created(group: &Described, recorded: &LogGroup, own: BTreeMap<String, String>) -> Created<LogGroup> {
    let name = group.log_group_name().unwrap_or_default();
    Created {
        id: name.to_owned(),
        inputs: Some(LogGroup {
            name: recorded.name.as_ref().map(|_| name.to_owned()),
            retention_days: group.retention_in_days().map(i32::cast_unsigned),
            tags: own,
        }),
        outputs: LogGroupOutputs { name: LogGroupName::from(name).into(), arn: Arn::from(arn(group)).into() },
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn retentions_are_awss() {
        assert!(LogGroup::kept_for_days(7).check().is_empty());
        let problems = LogGroup { name: Some("a b".into()), ..LogGroup::kept_for_days(10) }.check();
        assert_eq!(problems[0].property, "name");
        assert_eq!(problems[1].hint.as_deref(), Some("write 14"));
        assert_eq!(LogGroup::kept_for_days(5000).check()[0].hint.as_deref(), Some("write 3653"));
    }

    #[test]
    fn the_arn_is_the_groups_own() {
        let lives = Described::builder().log_group_name("web").arn("arn:aws:logs:r:1:log-group:web:*").build();
        let read = created(&lives, &LogGroup::default(), BTreeMap::new());
        assert_eq!(read.outputs.arn.known().unwrap().as_str(), "arn:aws:logs:r:1:log-group:web");
        assert_eq!(serde_json::to_value(read.inputs).unwrap(), serde_json::to_value(LogGroup::default()).unwrap());
    }
}
