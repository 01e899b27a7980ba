//! `aws:logs:LogGroup`: a group of log streams in CloudWatch Logs.

use crate::prelude::*;
use aws_sdk_cloudwatchlogs::{Client, types};

/// A CloudWatch Logs group: log streams with a common retention.
///
/// Its log events are deleted with it. The plan of a deletion warns of that.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let logs = virginia.add("logs", LogGroup { name: Some("/web".into()), ..LogGroup::retention_days(30) });
/// stack.export("log_group", logs.name);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateLogGroup`; those of a read; `PutRetentionPolicy` or `DeleteRetentionPolicy`
/// - Read: `DescribeLogGroups`, `ListTagsForResource`
/// - Update: `PutRetentionPolicy` or `DeleteRetentionPolicy`; `TagResource`, `UntagResource`
/// - Delete: `DeleteLogGroup`
///
/// # Replacement
/// A change of `name` replaces the group, and the log events of the previous group are deleted with it. The new group
/// is created before the previous one is deleted. With the same declared `name`, which `up --replace` requests, the previous
/// group is deleted first.
///
/// # Import
/// The import takes the name of the group:
///
/// ```console
/// $ stack import aws:logs:LogGroup logs /web --region us-east-1
/// ```
#[derive(Clone, Debug, Default, Serialize, Deserialize, Resource)]
#[resource(type = "aws:logs:LogGroup")]
pub struct LogGroup {
    /// Name, unique in the account and region: 1 to 512 letters, digits and any of `._-/#`. When omitted, the
    /// declaration's name with a unique suffix. A change replaces the group.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// Retention of log events, in days: 1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827,
    /// 2192, 2557, 2922, 3288 or 3653. Unlimited when omitted.
    pub retention_days: Option<u32>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`LogGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct LogGroupOutputs {
    /// Name of the group.
    #[output(regional)]
    pub name: Output<LogGroupName>,
    /// Amazon Resource Name of the group.
    #[output(regional)]
    pub arn: Output<Arn<LogGroup>>,
}

/// Retention periods that CloudWatch Logs accepts, in days.
const RETENTIONS: [u32; 22] =
    [1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653];

impl LogGroup {
    /// Returns a group that keeps its events for this many days.
    pub fn retention_days(days: u32) -> Self {
        Self { retention_days: Some(days), ..Self::default() }
    }

    fn group_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(512))
    }
}

impl AwsResource for LogGroup {}

impl Described for LogGroup {
    type Client = Aws;
    type Api = Client;
    type Description = (types::LogGroup, Vec<(String, String)>);

    const FOUND_BY: FoundBy = FoundBy::Name;

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
            let message = format!("CloudWatch Logs does not keep logs for {days} days, but for {}", known.join(", "));
            problems.push(Problem::new("retention_days", message).hint(format!("write {longer}")));
        }
        problems
    }

    async fn create(cx: &Context<'_>, logs: &Client, inputs: &Self) -> Result<Self::Description> {
        let name = inputs.group_name(cx);
        let tags = tags::for_create::<(String, String)>(cx, &inputs.tags).into_iter().collect();
        let call = logs.create_log_group().log_group_name(&name).set_tags(Some(tags));
        call.send().await.context("CreateLogGroup")?;
        wait::created::<Self>(cx, logs, &name).await
    }

    async fn apply(_: &Context<'_>, logs: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (name, arn) = (update.id, update.outputs.arn.known()?);
        if let Some(days) = update.new.retention_days {
            let call = logs.put_retention_policy().log_group_name(name).retention_in_days(days.cast_signed());
            call.send().await.context("PutRetentionPolicy")?;
        } else {
            logs.delete_retention_policy().log_group_name(name).send().await.context("DeleteRetentionPolicy")?;
        }
        let (set, removed) = tags::retag::<(String, String)>(update.old.map(|old| &old.tags), &update.new.tags);
        if let Some(set) = set {
            let call = logs.tag_resource().resource_arn(arn.as_str()).set_tags(Some(set.into_iter().collect()));
            call.send().await.context("TagResource")?;
        }
        if removed.is_some() {
            let call = logs.untag_resource().resource_arn(arn.as_str()).set_tag_keys(removed);
            call.send().await.context("UntagResource")?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, logs: &Client, prior: &Prior<Self>) -> Result<()> {
        logs.delete_log_group().log_group_name(&prior.id).send().await.context("DeleteLogGroup")?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, logs: &Client, name: &str) -> Result<Option<Self::Description>> {
        let mut pages = logs.describe_log_groups().log_group_name_prefix(name).into_paginator().items().send();
        while let Some(group) = pages.next().await {
            let group = group.context("DescribeLogGroups")?;
            if group.log_group_name() == Some(name) {
                let tags = logs.list_tags_for_resource().resource_arn(group_arn(&group)).send().await;
                let tags = found(tags.context("ListTagsForResource"))?;
                return Ok(tags.map(|tags| (group, tags.tags.into_iter().flatten().collect())));
            }
        }
        Ok(None)
    }

    async fn find_created(cx: &Context<'_>, logs: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = Self::describe(cx, logs, &inputs.group_name(cx)).await?;
        Ok(existing.filter(|(_, tags)| tags::are_of_operation(cx, tags)))
    }

    fn normalize((group, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = group.log_group_name().unwrap_or_default();
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                retention_days: group.retention_in_days().map(i32::cast_unsigned),
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: LogGroupOutputs { name: LogGroupName::from(name).into(), arn: Arn::from(group_arn(group)).into() },
        }
    }
}

/// Returns the ARN of the group itself, which `DescribeLogGroups` returns with `:*` for its streams.
fn group_arn(group: &types::LogGroup) -> String {
    let arn = group.log_group_arn().or(group.arn()).unwrap_or_default();
    arn.strip_suffix(":*").unwrap_or(arn).to_owned()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn check_suggests_the_next_accepted_retention() {
        assert!(LogGroup::retention_days(7).check().is_empty());
        let problems = LogGroup { name: Some("a b".into()), ..LogGroup::retention_days(10) }.check();
        assert_eq!(problems[0].property, "name");
        assert_eq!(problems[1].hint.as_deref(), Some("write 14"));
        assert_eq!(LogGroup::retention_days(5000).check()[0].hint.as_deref(), Some("write 3653"));
    }

    #[test]
    fn existing_group_as_declared_shows_no_drift() {
        let group = types::LogGroup::builder().log_group_name("web").arn("arn:aws:logs:r:1:log-group:web:*").build();
        let existing = LogGroup::normalize(&(group, Vec::new()), Some(&LogGroup::default()));
        assert_eq!(existing.outputs.arn.known().unwrap().as_str(), "arn:aws:logs:r:1:log-group:web");
        assert_eq!(serde_json::to_value(existing.inputs).unwrap(), serde_json::to_value(LogGroup::default()).unwrap());
    }
}
