//! `aws:autoscaling:LifecycleHook`: instances wait for somebody's word.

use super::{import_id, named};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::AutoScalingGroupName,
    region::AwsResource,
};
use aws_sdk_autoscaling::{Client, types::LifecycleHook as Described};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Lets the instances of a group wait at launch, or before they end, until `CompleteLifecycleAction` is called for them.
///
/// Made and changed by `PutLifecycleHook`.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifecycleHook {
    /// Its name, unique in the group; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The name of the group.
    pub group: Input<AutoScalingGroupName>,
    /// When instances wait.
    pub transition: Transition,
    /// How many seconds an instance waits without a word, 30 to 7200.
    pub heartbeat_timeout: u32,
    /// What happens when there was no word in time.
    pub default_result: LifecycleResult,
    /// What is told to whoever looks after the instances.
    pub metadata: Option<String>,
}

/// When instances wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Transition {
    /// Before they come into service.
    Launching,
    /// Before they end, when they are out of service.
    Terminating,
}

/// What becomes of an instance that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum LifecycleResult {
    /// It goes on.
    Continue,
    /// At launch it is ended and replaced; before its end it does not wait for other hooks.
    Abandon,
}

/// What a [`LifecycleHook`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LifecycleHookOutputs {
    /// Its name.
    pub name: Output<String>,
}

/// AWS's default of `HeartbeatTimeout`.
const HEARTBEAT: Duration = Duration::from_hours(1);

impl LifecycleHook {
    /// New instances wait before they come into service; without a word they are given up.
    pub fn launching(group: impl Into<Input<AutoScalingGroupName>>) -> Self {
        Self::at(group.into(), Transition::Launching)
    }

    /// Instances wait before they end; without a word they end as well.
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

    fn hook_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
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

impl Resource for LifecycleHook {
    const TYPE: &'static str = "aws:autoscaling:LifecycleHook";
    type Outputs = LifecycleHookOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "group"])
    }
}

impl AwsResource for LifecycleHook {}

impl Handler for LifecycleHook {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let valid = |c: char| c.is_ascii_alphanumeric() || "-_/".contains(c);
        let bad = |name: &str| name.is_empty() || name.len() > 255 || !name.chars().all(valid);
        if self.name.as_deref().is_some_and(bad) {
            problems.push(Problem::new("name", "a name has 1 to 255 letters, digits and any of `-_/`"));
        }
        if !(30..=7200).contains(&self.heartbeat_timeout) {
            problems.push(Problem::new("heartbeat_timeout", "an instance waits 30 to 7200 seconds"));
        }
        if self.metadata.as_deref().is_some_and(|metadata| metadata.is_empty() || metadata.len() > 4000) {
            problems.push(Problem::new("metadata", "it has 1 to 4000 characters"));
        }
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let name = inputs.hook_name(cx);
        put(&client, &name, inputs).await?;
        Ok(Created::new(name.clone(), LifecycleHookOutputs { name: name.into() }))
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let hook = describe(&client, &prior.inputs.group.known()?, &prior.id).await?;
        Ok(hook.map(|hook| live(&hook, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        // What is left out of the call would stay as it was.
        if prior.inputs.metadata.is_some() && inputs.metadata.is_none() {
            found(remove(&client, &inputs.group.known()?, &prior.id).await)?;
        }
        put(&client, &prior.id, inputs).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        match remove(&client, &prior.inputs.group.known()?, &prior.id).await {
            // The group takes its hooks with it.
            Err(error) if error.is(&["ScalingActivityInProgress"]) => Ok(()),
            answer => Ok(answer?),
        }
    }

    /// By `GROUP/HOOK`.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let (group, name) = import_id(id, "HOOK")?;
        let recorded = Self { name: Some(name.to_owned()), ..Self::launching(group.clone()) };
        Ok(describe(&client, &group, name).await?.map(|hook| live(&hook, &recorded)))
    }

    fn recovery() -> Recovery<Self> {
        // PutLifecycleHook is the same done twice, and the group is the program's own.
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().autoscaling(cx.region()?).await;
                let hook = describe(&client, &inputs.group.known()?, &inputs.hook_name(cx)).await?;
                Ok(Found::from(hook.map(|hook| live(&hook, inputs))))
            })
        })
    }
}

async fn put(client: &Client, name: &str, inputs: &LifecycleHook) -> Result<(), ProviderError> {
    client
        .put_lifecycle_hook()
        .auto_scaling_group_name(inputs.group.known()?.as_str())
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
    named(call.send().await.context("DeleteLifecycleHook")).map(drop)
}

async fn describe(client: &Client, group: &AutoScalingGroupName, name: &str) -> Result<Option<Described>, AwsError> {
    // Asked for a name that it does not know, AWS answers with an error.
    let call = client.describe_lifecycle_hooks().auto_scaling_group_name(group.as_str());
    let answer = found(named(call.send().await.context("DescribeLifecycleHooks")))?;
    let hooks = answer.and_then(|answer| answer.lifecycle_hooks).unwrap_or_default();
    Ok(hooks.into_iter().find(|hook| hook.lifecycle_hook_name() == Some(name)))
}

/// The hook as it lives.
fn live(hook: &Described, recorded: &LifecycleHook) -> Created<LifecycleHook> {
    let name = hook.lifecycle_hook_name().unwrap_or_default();
    let terminating = hook.lifecycle_transition() == Some(Transition::Terminating.word());
    let inputs = LifecycleHook {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        group: recorded.group.clone(),
        transition: if terminating { Transition::Terminating } else { Transition::Launching },
        heartbeat_timeout: hook.heartbeat_timeout().map_or(recorded.heartbeat_timeout, i32::cast_unsigned),
        default_result: match hook.default_result() {
            Some("CONTINUE") => LifecycleResult::Continue,
            _ => LifecycleResult::Abandon,
        },
        metadata: hook.notification_metadata().map(str::to_owned),
    };
    Created { id: name.to_owned(), inputs: Some(inputs), outputs: LifecycleHookOutputs { name: name.into() } }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn bounds_are_awss() {
        let hook = LifecycleHook::launching(AutoScalingGroupName::from("web"));
        assert!(hook.check().is_empty());
        let bad = LifecycleHook { heartbeat_timeout: 10, name: Some("a b".into()), ..hook };
        let problems: Vec<String> = bad.check().into_iter().map(|problem| problem.property).collect();
        assert_eq!(problems, ["name", "heartbeat_timeout"]);
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = LifecycleHook {
            default_result: LifecycleResult::Continue,
            metadata: Some("m".into()),
            ..LifecycleHook::terminating(AutoScalingGroupName::from("web"))
        };
        let lives = Described::builder()
            .lifecycle_hook_name("drain-abc")
            .lifecycle_transition("autoscaling:EC2_INSTANCE_TERMINATING")
            .heartbeat_timeout(3600)
            .default_result("CONTINUE")
            .notification_metadata("m")
            .build();
        let read = live(&lives, &recorded).inputs.unwrap();
        assert_eq!(serde_json::to_value(read).unwrap(), serde_json::to_value(recorded).unwrap());
    }
}
