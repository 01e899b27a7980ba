//! `aws:autoscaling:LifecycleHook`: a pause of instances at launch or termination.

use super::{classified, deleted_with_group, id_in, parts, recorded_id};
use crate::{error::AwsError, prelude::*};
use aws_sdk_autoscaling::{Client, types};
use std::{borrow::Cow, time::Duration};

/// A lifecycle hook: a pause of the instances of a group at launch or before termination.
///
/// An instance waits until `CompleteLifecycleAction` is called for it, or until the timeout.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let template = virginia.add("template", LaunchTemplate::new("t3.micro"));
/// # let group = virginia.add("group", AutoScalingGroup::from(template.version(), network.subnets));
/// virginia.add("drain", LifecycleHook {
///     heartbeat_timeout: 120,
///     default_result: LifecycleResult::Continue,
///     ..LifecycleHook::terminating(group.name)
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `PutLifecycleHook`
/// - Read: `DescribeLifecycleHooks`
/// - Update: `PutLifecycleHook`; before it `DeleteLifecycleHook` if `metadata` is removed
/// - Delete: `DeleteLifecycleHook`
///
/// # Replacement
/// A change of `name` or `group` replaces the hook. The new hook is created before the previous one is deleted.
/// With the same declared `name`, which `up --replace` requests, the previous hook is deleted first.
///
/// # Import
/// The import takes `GROUP:NAME`, the names of the group and the hook:
///
/// ```console
/// $ stack import aws:autoscaling:LifecycleHook drain web:drain --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:autoscaling:LifecycleHook")]
pub struct LifecycleHook {
    /// Name, unique in the group: 1 to 255 letters, digits and any of `-_/`. When omitted, the declaration's name with
    /// a unique suffix. A change replaces the hook.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// Name of the Auto Scaling group. A change replaces the hook.
    #[resource(replace, key)]
    pub group: Input<AutoScalingGroupName>,
    /// Transition at which instances wait.
    pub transition: Transition,
    /// Longest time that an instance waits, 30 to 7200 seconds; 3600 by default.
    pub heartbeat_timeout: u32,
    /// Result for an instance after the timeout; [`LifecycleResult::Abandon`] by default.
    pub default_result: LifecycleResult,
    /// Additional text of the notification, 1 to 4000 characters; none by default.
    pub metadata: Option<String>,
}

/// Transition at which instances wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// Launch, before the instance is in service.
    Launching,
    /// Termination, when the instance is out of service.
    Terminating,
}

/// Result for an instance that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleResult {
    /// The transition continues.
    Continue,
    /// At launch, the instance is terminated and replaced; at termination, other hooks are skipped.
    Abandon,
}

/// Outputs of a [`LifecycleHook`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct LifecycleHookOutputs {
    /// Name of the hook.
    pub name: Output<String>,
}

/// Default of `HeartbeatTimeout`.
const HEARTBEAT: Duration = Duration::from_hours(1);

impl LifecycleHook {
    /// Returns a hook at which new instances wait before they are in service. They are abandoned after the timeout.
    pub fn launching(group: impl Into<Input<AutoScalingGroupName>>) -> Self {
        Self::at(group.into(), Transition::Launching)
    }

    /// Returns a hook at which instances wait before they terminate. They terminate after the timeout.
    pub fn terminating(group: impl Into<Input<AutoScalingGroupName>>) -> Self {
        Self::at(group.into(), Transition::Terminating)
    }

    fn at(group: Input<AutoScalingGroupName>, transition: Transition) -> Self {
        Self {
            name: None,
            group,
            transition,
            heartbeat_timeout: HEARTBEAT.as_secs() as u32,
            default_result: LifecycleResult::Abandon,
            metadata: None,
        }
    }

    fn hook_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl AwsResource for LifecycleHook {}

impl Described for LifecycleHook {
    type Client = Aws;
    type Api = Client;
    type Description = (AutoScalingGroupName, types::LifecycleHook);

    // Sending PutLifecycleHook twice has the effect of sending it once, and the group belongs to the program.
    const FOUND_BY: FoundBy = FoundBy::Key;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        let bad = |name: &str| name.is_empty() || name.len() > 255 || !name.chars().all(valid);
        if self.name.as_deref().is_some_and(bad) {
            problems.push(Problem::new("name", "a name has 1 to 255 letters, digits and any of `-_/`"));
        }
        if !(30..=7200).contains(&self.heartbeat_timeout) {
            problems.push(Problem::new("heartbeat_timeout", "the timeout is 30 to 7200 seconds"));
        }
        if self.metadata.as_deref().is_some_and(|metadata| metadata.is_empty() || metadata.len() > 4000) {
            problems.push(Problem::new("metadata", "the metadata has 1 to 4000 characters"));
        }
        problems
    }

    async fn create(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Self::Description> {
        let (group, name) = (inputs.group.known()?, inputs.hook_name(cx));
        put(client, &group, &name, inputs).await?;
        Ok((group, types::LifecycleHook::builder().lifecycle_hook_name(name).build()))
    }

    async fn apply(_: &Context<'_>, client: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        if let Some(old) = update.old {
            let (group, name) = parts(update.id, "HOOK")?;
            // PutLifecycleHook does not change what it omits.
            if old.metadata.is_some() && update.new.metadata.is_none() {
                found(remove(client, &group, name).await)?;
            }
            put(client, &group, name, update.new).await?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, client: &Client, prior: &Prior<Self>) -> Result<()> {
        let id = Self::id_of(prior);
        let (group, name) = parts(&id, "HOOK")?;
        deleted_with_group(remove(client, &group, name).await)
    }

    fn id_of(prior: &Prior<Self>) -> Cow<'_, str> {
        recorded_id(&prior.id, &prior.inputs.group)
    }

    async fn describe(_: &Context<'_>, client: &Client, id: &str) -> Result<Option<Self::Description>> {
        let (group, name) = parts(id, "HOOK")?;
        // A request with an unknown name of a hook fails.
        let call = client.describe_lifecycle_hooks().auto_scaling_group_name(group.as_str());
        let response = found(classified(call.send().await.context("DescribeLifecycleHooks")))?;
        let hooks = response.and_then(|response| response.lifecycle_hooks).unwrap_or_default();
        Ok(hooks.into_iter().find(|hook| hook.lifecycle_hook_name() == Some(name)).map(|hook| (group, hook)))
    }

    async fn find_created(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        Self::describe(cx, client, &id_in(&inputs.group.known()?, &inputs.hook_name(cx))).await
    }

    fn normalize((group, hook): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = hook.lifecycle_hook_name().unwrap_or_default();
        let timeout = recorded.map_or(HEARTBEAT.as_secs() as u32, |recorded| recorded.heartbeat_timeout);
        let terminating = hook.lifecycle_transition() == Some(Transition::Terminating.word());
        Created {
            id: id_in(group, name),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                group: group.clone().into(),
                transition: if terminating { Transition::Terminating } else { Transition::Launching },
                heartbeat_timeout: hook.heartbeat_timeout().map_or(timeout, i32::cast_unsigned),
                default_result: match hook.default_result() {
                    Some("CONTINUE") => LifecycleResult::Continue,
                    _ => LifecycleResult::Abandon,
                },
                metadata: hook.notification_metadata().map(str::to_owned),
            }),
            outputs: LifecycleHookOutputs { name: name.into() },
        }
    }
}

async fn put(client: &Client, group: &AutoScalingGroupName, name: &str, inputs: &LifecycleHook) -> Result<()> {
    client
        .put_lifecycle_hook()
        .auto_scaling_group_name(group.as_str())
        .lifecycle_hook_name(name)
        .lifecycle_transition(inputs.transition.word())
        .heartbeat_timeout(inputs.heartbeat_timeout.cast_signed())
        .default_result(inputs.default_result.word())
        .set_notification_metadata(inputs.metadata.clone())
        .send()
        .await
        .context("PutLifecycleHook")?;
    Ok(())
}

async fn remove(client: &Client, group: &AutoScalingGroupName, name: &str) -> Result<(), AwsError> {
    let call = client.delete_lifecycle_hook().auto_scaling_group_name(group.as_str()).lifecycle_hook_name(name);
    classified(call.send().await.context("DeleteLifecycleHook")).map(drop)
}

impl Transition {
    fn word(self) -> &'static str {
        match self {
            Self::Launching => "autoscaling:EC2_INSTANCE_LAUNCHING",
            Self::Terminating => "autoscaling:EC2_INSTANCE_TERMINATING",
        }
    }
}

impl LifecycleResult {
    fn word(self) -> &'static str {
        match self {
            Self::Continue => "CONTINUE",
            Self::Abandon => "ABANDON",
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn check_refuses_values_outside_the_limits() {
        let hook = LifecycleHook::launching(AutoScalingGroupName::from("web"));
        assert!(hook.check().is_empty());
        let bad = LifecycleHook { heartbeat_timeout: 10, name: Some("a b".into()), ..hook };
        let problems: Vec<String> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(problems, ["name", "heartbeat_timeout"]);
    }

    #[test]
    fn existing_hook_as_declared_shows_no_drift() {
        let recorded = LifecycleHook {
            default_result: LifecycleResult::Continue,
            metadata: Some("m".into()),
            ..LifecycleHook::terminating(AutoScalingGroupName::from("web"))
        };
        let existing = types::LifecycleHook::builder()
            .lifecycle_hook_name("drain-abc")
            .lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING")
            .heartbeat_timeout(3600)
            .default_result("CONTINUE")
            .notification_metadata("m")
            .build();
        let read = LifecycleHook::normalize(&(AutoScalingGroupName::from("web"), existing), Some(&recorded));
        assert_eq!(read.id, "web:drain-abc");
        assert_eq!(serde_json::to_value(read.inputs).unwrap(), serde_json::to_value(recorded).unwrap());
    }
}
