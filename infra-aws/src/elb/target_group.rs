//! `aws:elb:TargetGroup`: whom a balancer hands requests to.

use super::{derived_name, is_ours, name_problem};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, VpcId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{Matcher, ProtocolEnum, TargetGroup as Described, TargetGroupAttribute},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Instances that a balancer hands requests to, as long as they are healthy.
///
/// Made by `CreateTargetGroup`; health check and attributes are changed in place by `ModifyTargetGroup` and
/// `ModifyTargetGroupAttributes`. What is not given is as AWS has it by default. Durations are in seconds.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetGroup {
    /// Its name, unique in account and region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// How requests are sent to the targets.
    pub protocol: Protocol,
    /// The port that the targets listen on.
    pub port: u16,
    /// The VPC that the targets live in.
    pub vpc_id: Input<VpcId>,
    /// The path that is asked whether a target is healthy; `/` by default.
    pub health_path: Option<String>,
    /// From one health check to the next, 5 to 300; 30 by default.
    pub health_interval: Option<u32>,
    /// How long an answer may take, 2 to 120; 5 by default.
    pub health_timeout: Option<u32>,
    /// How many checks in a row make a target healthy, 2 to 10; 5 by default.
    pub healthy_threshold: Option<u32>,
    /// How many failures in a row make it unhealthy, 2 to 10; 2 by default.
    pub unhealthy_threshold: Option<u32>,
    /// The status codes of a healthy answer: `200-299`, `200,204`; `200` by default.
    pub matcher: Option<String>,
    /// How long requests may go on while a target leaves, up to 3600; 300 by default.
    pub deregistration_delay: Option<u32>,
}

/// How requests are sent to targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// In the clear.
    Http,
    /// Encrypted; the targets' certificates are not verified.
    Https,
}

/// What a [`TargetGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetGroupOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<TargetGroup>>,
    /// Its name.
    pub name: Output<String>,
}

const DELAY: &str = "deregistration_delay.timeout_seconds";

/// The settings that can change, all of them said.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Health {
    path: String,
    interval: u32,
    timeout: u32,
    healthy: u32,
    unhealthy: u32,
    matcher: String,
}

/// AWS's defaults for HTTP and HTTPS.
const DEFAULT_DELAY: u32 = 300;
fn default_health() -> Health {
    Health { path: "/".into(), interval: 30, timeout: 5, healthy: 5, unhealthy: 2, matcher: "200".into() }
}

impl TargetGroup {
    /// Instances of this VPC that listen for HTTP on this port.
    pub fn http(port: u16, vpc_id: impl Into<Input<VpcId>>) -> Self {
        Self {
            name: None,
            protocol: Protocol::Http,
            port,
            vpc_id: vpc_id.into(),
            health_path: None,
            health_interval: None,
            health_timeout: None,
            healthy_threshold: None,
            unhealthy_threshold: None,
            matcher: None,
            deregistration_delay: None,
        }
    }

    /// The path that is asked whether a target is healthy.
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// How many seconds requests may go on while a target leaves.
    pub fn deregistration_delay(mut self, seconds: u32) -> Self {
        self.deregistration_delay = Some(seconds);
        self
    }

    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx))
    }

    fn health(&self) -> Health {
        let default = default_health();
        Health {
            path: self.health_path.clone().unwrap_or(default.path),
            interval: self.health_interval.unwrap_or(default.interval),
            timeout: self.health_timeout.unwrap_or(default.timeout),
            healthy: self.healthy_threshold.unwrap_or(default.healthy),
            unhealthy: self.unhealthy_threshold.unwrap_or(default.unhealthy),
            matcher: self.matcher.clone().unwrap_or(default.matcher),
        }
    }
}

impl Resource for TargetGroup {
    const TYPE: &'static str = "aws:elb:TargetGroup";
    type Outputs = TargetGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "protocol", "port", "vpc_id"]).regional(["arn"])
    }
}

impl AwsResource for TargetGroup {}

impl Handler for TargetGroup {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.name.as_deref().and_then(name_problem).into_iter().collect();
        let health = self.health();
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        refuse(self.port == 0, "port", "there is no port 0");
        refuse(!health.path.starts_with('/') || health.path.len() > 1024, "health_path", "a path begins with `/`");
        refuse(!(5..=300).contains(&health.interval), "health_interval", "it takes 5 to 300 seconds");
        refuse(!(2..=120).contains(&health.timeout), "health_timeout", "it takes 2 to 120 seconds");
        refuse(health.timeout >= health.interval, "health_timeout", "it must be shorter than the interval");
        refuse(!(2..=10).contains(&health.healthy), "healthy_threshold", "it takes 2 to 10 checks");
        refuse(!(2..=10).contains(&health.unhealthy), "unhealthy_threshold", "it takes 2 to 10 checks");
        let codes = |c: char| c.is_ascii_digit() || matches!(c, ',' | '-');
        let status = health.matcher.is_empty() || !health.matcher.chars().all(codes);
        refuse(status, "matcher", "write status codes like `200-299` or `200,204`");
        let delay = self.deregistration_delay.is_some_and(|seconds| seconds > 3600);
        refuse(delay, "deregistration_delay", "it takes up to 3600 seconds");
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        let name = inputs.group_name(cx);
        // CreateTargetGroup succeeds when somebody else has already made one of this name with the same settings.
        if inputs.name.is_some() && by_name(&elb, &name).await?.is_some() && ours(cx, &elb, &name).await?.is_none() {
            return Err(taken(&name));
        }
        let health = inputs.health();
        let answer = elb
            .create_target_group()
            .name(&name)
            .protocol(inputs.protocol.into())
            .port(inputs.port.into())
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .health_check_path(health.path)
            .health_check_interval_seconds(health.interval.cast_signed())
            .health_check_timeout_seconds(health.timeout.cast_signed())
            .healthy_threshold_count(health.healthy.cast_signed())
            .unhealthy_threshold_count(health.unhealthy.cast_signed())
            .matcher(Matcher::builder().http_code(health.matcher).build())
            .set_tags(Some(tags::balancing(cx)))
            .send()
            .await
            .context("CreateTargetGroup");
        let group = match answer {
            Ok(answer) => answer.target_groups.unwrap_or_default().pop().ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => ours(cx, &elb, &name).await?.ok_or_else(|| {
                error.hint("when a group with a fixed name is to be replaced, give it another one, or none")
            })?,
            Err(error) => return Err(error.into()),
        };
        let created = Created::new(group.target_group_arn().unwrap_or_default(), outputs(&group));
        match converge(&elb, &group, inputs).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        match describe(&elb, &prior.id).await? {
            Some(group) => Ok(Some(live(&group, delay(&elb, &prior.id).await?, &prior.inputs))),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        let group = describe(&elb, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        converge(&elb, &group, inputs).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elb = cx.client().balancing(cx.region()?).await;
        let status = "waiting until no listener uses the group any more";
        wait::while_needed(cx, status, Duration::from_mins(2), async || {
            elb.delete_target_group().target_group_arn(&prior.id).send().await.context("DeleteTargetGroup")
        })
        .await?;
        Ok(())
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elb = cx.client().balancing(cx.region()?).await;
                let Some(group) = ours(cx, &elb, &inputs.group_name(cx)).await? else {
                    return Ok(Found::Absent);
                };
                let delay = delay(&elb, group.target_group_arn().unwrap_or_default()).await?;
                Ok(Found::Found(live(&group, delay, inputs)))
            })
        })
    }
}

/// Brings health check and attributes in order, whatever they are now.
async fn converge(elb: &Client, group: &Described, inputs: &TargetGroup) -> Result<(), ProviderError> {
    let arn = group.target_group_arn().unwrap_or_default();
    let health = inputs.health();
    if health_of(group) != health {
        elb.modify_target_group()
            .target_group_arn(arn)
            .health_check_path(health.path)
            .health_check_interval_seconds(health.interval.cast_signed())
            .health_check_timeout_seconds(health.timeout.cast_signed())
            .healthy_threshold_count(health.healthy.cast_signed())
            .unhealthy_threshold_count(health.unhealthy.cast_signed())
            .matcher(Matcher::builder().http_code(health.matcher).build())
            .send()
            .await
            .context("ModifyTargetGroup")?;
    }
    let wanted = inputs.deregistration_delay.unwrap_or(DEFAULT_DELAY);
    if delay(elb, arn).await? != wanted {
        let attribute = TargetGroupAttribute::builder().key(DELAY).value(wanted.to_string()).build();
        let call = elb.modify_target_group_attributes().target_group_arn(arn).attributes(attribute);
        call.send().await.context("ModifyTargetGroupAttributes")?;
    }
    Ok(())
}

async fn describe(elb: &Client, arn: &str) -> Result<Option<Described>, AwsError> {
    let answer = elb.describe_target_groups().target_group_arns(arn).send().await.context("DescribeTargetGroups");
    Ok(found(answer)?.and_then(|answer| answer.target_groups.unwrap_or_default().pop()))
}

async fn by_name(elb: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = elb.describe_target_groups().names(name).send().await.context("DescribeTargetGroups");
    Ok(found(answer)?.and_then(|answer| answer.target_groups.unwrap_or_default().pop()))
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, elb: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    match by_name(elb, name).await? {
        Some(group) if is_ours(cx, elb, group.target_group_arn().unwrap_or_default()).await? => Ok(Some(group)),
        _ => Ok(None),
    }
}

async fn delay(elb: &Client, arn: &str) -> Result<u32, AwsError> {
    let call = elb.describe_target_group_attributes().target_group_arn(arn);
    let answer = call.send().await.context("DescribeTargetGroupAttributes")?;
    let attribute = answer.attributes().iter().find(|attribute| attribute.key() == Some(DELAY));
    Ok(attribute.and_then(|attribute| attribute.value()?.parse().ok()).unwrap_or(DEFAULT_DELAY))
}

fn lost(group: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the target group {group} is gone"))
}

fn taken(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::AlreadyExists, format!("there is already a target group `{name}`"))
        .hint("choose another name, or bring the group under management with `stack import`")
}

fn health_of(group: &Described) -> Health {
    let default = default_health();
    let seconds = |value: Option<i32>, default| value.map_or(default, i32::cast_unsigned);
    Health {
        path: group.health_check_path().map_or(default.path, str::to_owned),
        interval: seconds(group.health_check_interval_seconds(), default.interval),
        timeout: seconds(group.health_check_timeout_seconds(), default.timeout),
        healthy: seconds(group.healthy_threshold_count(), default.healthy),
        unhealthy: seconds(group.unhealthy_threshold_count(), default.unhealthy),
        matcher: group.matcher().and_then(|matcher| matcher.http_code()).map_or(default.matcher, str::to_owned),
    }
}

/// The group as it lives, in the words of the recorded inputs where they say the same.
fn live(group: &Described, delay: u32, recorded: &TargetGroup) -> Created<TargetGroup> {
    /// What was left to AWS and is as AWS has it stays unsaid.
    fn said<T: PartialEq>(recorded: Option<&T>, living: T, default: &T) -> Option<T> {
        (recorded.is_some() || living != *default).then_some(living)
    }
    let (living, default) = (health_of(group), default_health());
    let inputs = TargetGroup {
        name: recorded.name.as_ref().and(group.target_group_name.clone()),
        protocol: if group.protocol() == Some(&ProtocolEnum::Https) { Protocol::Https } else { Protocol::Http },
        port: group.port().and_then(|port| u16::try_from(port).ok()).unwrap_or(recorded.port),
        vpc_id: VpcId::from(group.vpc_id().unwrap_or_default()).into(),
        health_path: said(recorded.health_path.as_ref(), living.path, &default.path),
        health_interval: said(recorded.health_interval.as_ref(), living.interval, &default.interval),
        health_timeout: said(recorded.health_timeout.as_ref(), living.timeout, &default.timeout),
        healthy_threshold: said(recorded.healthy_threshold.as_ref(), living.healthy, &default.healthy),
        unhealthy_threshold: said(recorded.unhealthy_threshold.as_ref(), living.unhealthy, &default.unhealthy),
        matcher: said(recorded.matcher.as_ref(), living.matcher, &default.matcher),
        deregistration_delay: said(recorded.deregistration_delay.as_ref(), delay, &DEFAULT_DELAY),
    };
    Created {
        id: group.target_group_arn().unwrap_or_default().to_owned(),
        inputs: Some(inputs),
        outputs: outputs(group),
    }
}

fn outputs(group: &Described) -> TargetGroupOutputs {
    TargetGroupOutputs {
        arn: Arn::from(group.target_group_arn().unwrap_or_default()).into(),
        name: group.target_group_name().unwrap_or_default().into(),
    }
}

impl From<Protocol> for ProtocolEnum {
    fn from(protocol: Protocol) -> Self {
        match protocol {
            Protocol::Http => Self::Http,
            Protocol::Https => Self::Https,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group() -> TargetGroup {
        TargetGroup::http(8080, VpcId::from("vpc-1")).health_path("/healthz")
    }

    #[test]
    fn check_knows_the_limits() {
        assert!(group().check().is_empty());
        let bad = TargetGroup {
            health_interval: Some(5),
            health_timeout: Some(5),
            healthy_threshold: Some(1),
            matcher: Some("ok".into()),
            ..group().health_path("healthz").deregistration_delay(4000)
        };
        let properties: Vec<_> = bad.check().into_iter().map(|problem| problem.property).collect();
        let expected = ["health_path", "health_timeout", "healthy_threshold", "matcher", "deregistration_delay"];
        assert_eq!(properties, expected);
    }

    #[test]
    fn defaults_stay_unsaid_and_changes_are_seen() {
        let lives = Described::builder()
            .target_group_arn("arn:targets")
            .target_group_name("targets-abc")
            .protocol(ProtocolEnum::Http)
            .port(8080)
            .vpc_id("vpc-1")
            .health_check_path("/healthz")
            .health_check_interval_seconds(30);
        let json = |inputs: &TargetGroup| serde_json::to_value(inputs).ok();
        let read = live(&lives.clone().build(), 300, &group()).inputs;
        assert_eq!(read.as_ref().and_then(json), json(&group()));
        let read = live(&lives.health_check_interval_seconds(10).build(), 30, &group()).inputs;
        let read = read.map(|inputs| (inputs.health_interval, inputs.deregistration_delay, inputs.matcher));
        assert_eq!(read, Some((Some(10), Some(30), None)));
    }
}
