//! `aws:elbv2:TargetGroup`: whom a balancer hands requests to.

use super::{
    attributes::{self, Attributes, Known},
    derived_name, is_ours, name_problem, own_tags,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, VpcId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{Matcher, ProtocolEnum, TargetGroup as Described, TargetGroupAttribute, TargetTypeEnum},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Instances that a balancer hands requests to, as long as they are healthy.
///
/// Made by `CreateTargetGroup`; health check, attributes and tags are changed in place by `ModifyTargetGroup`,
/// `ModifyTargetGroupAttributes`, `AddTags` and `RemoveTags`. What is not given is as AWS has it by default. Durations are in seconds.
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
    /// Whether targets are instances or addresses.
    #[serde(default, skip_serializing_if = "TargetType::is_instance")]
    pub target_type: TargetType,
    /// Other attributes by AWS's names, such as `load_balancing.algorithm.type`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// What targets are registered as.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TargetType {
    /// Instances, by their ids.
    #[default]
    Instance,
    /// IP addresses.
    Ip,
}

impl TargetType {
    #[allow(clippy::trivially_copy_pass_by_ref)]
    fn is_instance(&self) -> bool {
        *self == Self::Instance
    }
}

/// Attributes with AWS's defaults, without `deregistration_delay.timeout_seconds`, which is a property of its own.
const ATTRIBUTES: Known = &[
    ("load_balancing.algorithm.anomaly_mitigation", "off"),
    ("load_balancing.algorithm.type", "round_robin"),
    ("load_balancing.cross_zone.enabled", "use_load_balancer_configuration"),
    ("slow_start.duration_seconds", "0"),
    ("stickiness.app_cookie.cookie_name", ""),
    ("stickiness.app_cookie.duration_seconds", "86400"),
    ("stickiness.enabled", "false"),
    ("stickiness.lb_cookie.duration_seconds", "86400"),
    ("stickiness.type", "lb_cookie"),
];

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
            target_type: TargetType::Instance,
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    /// Keeps a client with its target for this long since its last request.
    pub fn sticky(self, seconds: u32) -> Self {
        self.attribute("stickiness.enabled", "true")
            .attribute("stickiness.type", "lb_cookie")
            .attribute("stickiness.lb_cookie.duration_seconds", seconds)
    }

    /// Keeps a client with its target as long as it has the application's cookie of this name.
    pub fn sticky_by_cookie(self, name: impl Into<String>) -> Self {
        self.attribute("stickiness.enabled", "true")
            .attribute("stickiness.type", "app_cookie")
            .attribute("stickiness.app_cookie.cookie_name", name.into())
    }

    /// Gives a new target its share of the requests little by little, over 30 to 900 seconds.
    pub fn slow_start(self, seconds: u32) -> Self {
        self.attribute("slow_start.duration_seconds", seconds)
    }

    /// Hands each request to the target that has the fewest under way, instead of to all in turn.
    pub fn least_outstanding_requests(self) -> Self {
        self.attribute("load_balancing.algorithm.type", "least_outstanding_requests")
    }

    fn attribute(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.insert(name.to_owned(), value.to_string());
        self
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
    const TYPE: &'static str = "aws:elbv2:TargetGroup";
    type Outputs = TargetGroupOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "protocol", "port", "vpc_id", "target_type"]).regional(["arn"])
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
        let said = |name: &str| self.attributes.get(name).map(String::as_str);
        let slow = said("slow_start.duration_seconds").is_some_and(|seconds| seconds != "0");
        let in_turn = said("load_balancing.algorithm.type").is_none_or(|algorithm| algorithm == "round_robin");
        refuse(slow && !in_turn, "attributes", "slow start goes only with the algorithm `round_robin`");
        problems.extend(attributes::problems(&self.attributes, ATTRIBUTES));
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let name = inputs.group_name(cx);
        // CreateTargetGroup succeeds when somebody else has already made one of this name with the same settings.
        if inputs.name.is_some() && by_name(&elbv2, &name).await?.is_some() && ours(cx, &elbv2, &name).await?.is_none()
        {
            return Err(taken(&name));
        }
        let health = inputs.health();
        let answer = elbv2
            .create_target_group()
            .name(&name)
            .protocol(inputs.protocol.into())
            .port(inputs.port.into())
            .vpc_id(inputs.vpc_id.known()?.as_str())
            .target_type(inputs.target_type.into())
            .health_check_path(health.path)
            .health_check_interval_seconds(health.interval.cast_signed())
            .health_check_timeout_seconds(health.timeout.cast_signed())
            .healthy_threshold_count(health.healthy.cast_signed())
            .unhealthy_threshold_count(health.unhealthy.cast_signed())
            .matcher(Matcher::builder().http_code(health.matcher).build())
            .set_tags(Some(tags::elbv2_with(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateTargetGroup");
        let group = match answer {
            Ok(answer) => answer.target_groups.unwrap_or_default().pop().ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => {
                ours(cx, &elbv2, &name).await?.ok_or_else(|| {
                    error.hint("when a group with a fixed name is to be replaced, give it another one, or none")
                })?
            }
            Err(error) => return Err(error.into()),
        };
        let created = Created::new(group.target_group_arn().unwrap_or_default(), outputs(&group));
        match converge(&elbv2, &group, inputs).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        match describe(&elbv2, &prior.id).await? {
            Some(group) => Ok(Some(seen(&elbv2, &group, &prior.inputs).await?)),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let group = describe(&elbv2, &prior.id).await?.ok_or_else(|| lost(&prior.id))?;
        converge(&elbv2, &group, inputs).await?;
        tags::elbv2_retag(&elbv2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let status = "waiting until no listener uses the group any more";
        wait::while_needed(cx, status, Duration::from_mins(2), async || {
            elbv2.delete_target_group().target_group_arn(&prior.id).send().await.context("DeleteTargetGroup")
        })
        .await?;
        Ok(())
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let named = Self { name: Some(String::new()), ..Self::http(1, VpcId::from("")) };
        match describe(&elbv2, id).await? {
            Some(group) => Ok(Some(seen(&elbv2, &group, &named).await?)),
            None => Ok(None),
        }
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elbv2 = cx.client().elbv2(cx.region()?).await;
                let Some(group) = ours(cx, &elbv2, &inputs.group_name(cx)).await? else {
                    return Ok(Found::Absent);
                };
                Ok(Found::Found(seen(&elbv2, &group, inputs).await?))
            })
        })
    }
}

/// Brings health check and attributes in order, whatever they are now.
async fn converge(elbv2: &Client, group: &Described, inputs: &TargetGroup) -> Result<(), ProviderError> {
    let arn = group.target_group_arn().unwrap_or_default();
    let health = inputs.health();
    if health_of(group) != health {
        elbv2
            .modify_target_group()
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
    let living = attributes_of(elbv2, arn).await?;
    let mut changes = attributes::changes(&living, &inputs.attributes, ATTRIBUTES);
    let wanted = inputs.deregistration_delay.unwrap_or(DEFAULT_DELAY);
    if delay(&living) != wanted {
        changes.push((DELAY.to_owned(), wanted.to_string()));
    }
    if !changes.is_empty() {
        let changes =
            changes.into_iter().map(|(key, value)| TargetGroupAttribute::builder().key(key).value(value).build());
        let call = elbv2.modify_target_group_attributes().target_group_arn(arn).set_attributes(Some(changes.collect()));
        call.send().await.context("ModifyTargetGroupAttributes")?;
    }
    Ok(())
}

async fn describe(elbv2: &Client, arn: &str) -> Result<Option<Described>, AwsError> {
    let answer = elbv2.describe_target_groups().target_group_arns(arn).send().await.context("DescribeTargetGroups");
    Ok(found(answer)?.and_then(|answer| answer.target_groups.unwrap_or_default().pop()))
}

async fn by_name(elbv2: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = elbv2.describe_target_groups().names(name).send().await.context("DescribeTargetGroups");
    Ok(found(answer)?.and_then(|answer| answer.target_groups.unwrap_or_default().pop()))
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, elbv2: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    match by_name(elbv2, name).await? {
        Some(group) if is_ours(cx, elbv2, group.target_group_arn().unwrap_or_default()).await? => Ok(Some(group)),
        _ => Ok(None),
    }
}

async fn attributes_of(elbv2: &Client, arn: &str) -> Result<Attributes, AwsError> {
    let call = elbv2.describe_target_group_attributes().target_group_arn(arn);
    let answer = call.send().await.context("DescribeTargetGroupAttributes")?;
    let pairs = answer.attributes().iter();
    Ok(pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value().unwrap_or_default().to_owned()))).collect())
}

fn delay(attributes: &Attributes) -> u32 {
    attributes.get(DELAY).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_DELAY)
}

/// The group with what other calls tell.
async fn seen(elbv2: &Client, group: &Described, recorded: &TargetGroup) -> Result<Created<TargetGroup>, AwsError> {
    let arn = group.target_group_arn().unwrap_or_default();
    let tags = own_tags(elbv2, arn, &recorded.tags).await?;
    Ok(live(group, &attributes_of(elbv2, arn).await?, tags, recorded))
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
fn live(
    group: &Described,
    attributes: &Attributes,
    tags: BTreeMap<String, String>,
    recorded: &TargetGroup,
) -> Created<TargetGroup> {
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
        deregistration_delay: said(recorded.deregistration_delay.as_ref(), delay(attributes), &DEFAULT_DELAY),
        target_type: match group.target_type() {
            Some(TargetTypeEnum::Ip) => TargetType::Ip,
            _ => TargetType::Instance,
        },
        attributes: attributes::recorded(attributes, &recorded.attributes, ATTRIBUTES),
        tags,
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

impl From<TargetType> for TargetTypeEnum {
    fn from(kind: TargetType) -> Self {
        match kind {
            TargetType::Instance => Self::Instance,
            TargetType::Ip => Self::Ip,
        }
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
        let delay = |seconds: &str| Attributes::from([(DELAY.to_owned(), seconds.to_owned())]);
        let read = live(&lives.clone().build(), &delay("300"), BTreeMap::new(), &group()).inputs;
        assert_eq!(read.as_ref().and_then(json), json(&group()));
        let lives = lives.health_check_interval_seconds(10).build();
        let read = live(&lives, &delay("30"), BTreeMap::new(), &group()).inputs;
        let read = read.map(|inputs| (inputs.health_interval, inputs.deregistration_delay, inputs.matcher));
        assert_eq!(read, Some((Some(10), Some(30), None)));
    }
}
