//! `aws:elb:TargetGroup`: targets of a load balancer.

use super::{
    attributes::{self, Attributes, Known},
    derived_name, name_problem, retag, tags_of,
};
use crate::prelude::*;
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{self, Matcher, ProtocolEnum, TargetGroupAttribute, TargetTypeEnum},
};
use std::time::Duration;

/// A target group: the targets of a load balancer, which forwards requests to the healthy ones.
///
/// The instances of an [`AutoScalingGroup`](crate::AutoScalingGroup) are registered by their group; other targets by a
/// [`TargetGroupAttachment`](crate::TargetGroupAttachment).
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// let network = virginia.lookup(DefaultVpc);
/// let targets = virginia.add("targets", TargetGroup {
///     health_path: Some("/healthz".into()),
///     health_interval: Some(10),
///     ..TargetGroup::http(8080, network.vpc_id).least_outstanding_requests()
/// });
/// stack.export("targets", targets.arn);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `DescribeTargetGroups` if `name` is declared, because `CreateTargetGroup` returns an existing group with
///   the same settings; `CreateTargetGroup`; those of a read; `ModifyTargetGroupAttributes`
/// - Read: `DescribeTargetGroups`, `DescribeTargetGroupAttributes`, `DescribeTags`
/// - Update: those of a read, `ModifyTargetGroup`, `ModifyTargetGroupAttributes`, `AddTags`, `RemoveTags`
/// - Delete: `DeleteTargetGroup`, repeated while a listener uses the group
///
/// # Replacement
/// A change of `name`, `protocol`, `port`, `vpc_id` or `target_type` replaces the group, because AWS cannot change
/// them. The new group is created before the previous one is deleted, so a declared `name` has to change together with
/// the others. Listeners and Auto Scaling groups change to the new group independently of each other, so requests may
/// fail until its first targets are healthy.
///
/// # Import
/// The import takes the ARN of the group:
///
/// ```console
/// $ stack import aws:elb:TargetGroup targets arn:aws:elasticloadbalancing:us-east-1:123456789012:targetgroup/web/943f017f100becff --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:elb:TargetGroup")]
pub struct TargetGroup {
    /// Name, unique in the account and region: 1 to 32 letters, digits and `-`, without `-` at either end, and not
    /// beginning with `internal-`. When omitted, the declaration's name with a unique suffix. A change replaces the
    /// group.
    #[resource(replace)]
    pub name: Option<String>,
    /// Protocol of the requests to the targets; [`Protocol::Http`] by default. A change replaces the group.
    #[resource(replace)]
    pub protocol: Protocol,
    /// Port on which the targets listen, 1 to 65,535. A change replaces the group.
    #[resource(replace)]
    pub port: u16,
    /// Id of the VPC that contains the targets. A change replaces the group.
    #[resource(replace)]
    pub vpc_id: Input<VpcId>,
    /// Path of the health checks, beginning with `/`, up to 1024 bytes; `/` when omitted.
    pub health_path: Option<String>,
    /// Interval of the health checks, 5 to 300 seconds; 30 when omitted.
    pub health_interval: Option<u32>,
    /// Timeout of a health check, 2 to 120 seconds and shorter than the interval; 5 when omitted.
    pub health_timeout: Option<u32>,
    /// Number of consecutive successful checks after which a target is healthy, 2 to 10; 5 when omitted.
    pub healthy_threshold: Option<u32>,
    /// Number of consecutive failed checks after which a target is unhealthy, 2 to 10; 2 when omitted.
    pub unhealthy_threshold: Option<u32>,
    /// Status codes of a successful check: `200-299` or `200,204`; `200` when omitted.
    pub matcher: Option<String>,
    /// Time that requests may take while their target is deregistered, up to 3600 seconds; 300 when omitted.
    pub deregistration_delay: Option<u32>,
    /// Kind of targets; [`TargetType::Instance`] by default. A change replaces the group.
    #[serde(default, skip_serializing_if = "TargetType::is_instance")]
    #[resource(replace)]
    pub target_type: TargetType,
    /// Other attributes by their API names: name → value, such as `load_balancing.algorithm.type` → `round_robin`.
    /// Omitted attributes have the API's defaults. [`TargetGroup::sticky`] and other methods set them.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`TargetGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct TargetGroupOutputs {
    /// Amazon Resource Name of the group.
    #[output(regional)]
    pub arn: Output<Arn<TargetGroup>>,
    /// Name of the group.
    pub name: Output<String>,
}

/// Protocol of the requests to targets.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum Protocol {
    /// Plain HTTP.
    Http,
    /// HTTPS; the targets' certificates are not verified.
    Https,
}

/// Kind of target that can be registered.
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

/// Attributes and their defaults, without `deregistration_delay.timeout_seconds`, which is the property
/// `deregistration_delay`.
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

const DELAY: &str = "deregistration_delay.timeout_seconds";
const DEFAULT_DELAY: u32 = 300;

/// Settings of health checks.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Health {
    path: String,
    interval: u32,
    timeout: u32,
    healthy: u32,
    unhealthy: u32,
    matcher: String,
}

/// Returns the API's defaults for HTTP and HTTPS.
fn default_health() -> Health {
    Health { path: "/".into(), interval: 30, timeout: 5, healthy: 5, unhealthy: 2, matcher: "200".into() }
}

impl TargetGroup {
    /// Returns a group of instances of this VPC that serve HTTP on this port.
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

    /// Routes the requests of a client to the same target until it has sent none for this many seconds.
    pub fn sticky(self, seconds: u32) -> Self {
        self.attribute("stickiness.enabled", "true")
            .attribute("stickiness.type", "lb_cookie")
            .attribute("stickiness.lb_cookie.duration_seconds", seconds)
    }

    /// Routes the requests of a client to the same target while it has the application's cookie with this name.
    pub fn sticky_by_cookie(self, name: impl Into<String>) -> Self {
        self.attribute("stickiness.enabled", "true")
            .attribute("stickiness.type", "app_cookie")
            .attribute("stickiness.app_cookie.cookie_name", name.into())
    }

    /// Increases the share of a new target gradually, over 30 to 900 seconds.
    pub fn slow_start(self, seconds: u32) -> Self {
        self.attribute("slow_start.duration_seconds", seconds)
    }

    /// Routes each request to the target with the fewest outstanding requests, instead of round robin.
    pub fn least_outstanding_requests(self) -> Self {
        self.attribute("load_balancing.algorithm.type", "least_outstanding_requests")
    }

    fn attribute(mut self, name: &str, value: impl ToString) -> Self {
        self.attributes.insert(name.to_owned(), value.to_string());
        self
    }

    /// Sets the path of health checks.
    pub fn health_path(mut self, path: impl Into<String>) -> Self {
        self.health_path = Some(path.into());
        self
    }

    /// Sets the time that requests may take while their target is deregistered, in seconds.
    pub fn deregistration_delay(mut self, seconds: u32) -> Self {
        self.deregistration_delay = Some(seconds);
        self
    }

    fn group_name(&self, cx: &Context<'_>) -> String {
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

impl AwsResource for TargetGroup {}

impl Described for TargetGroup {
    type Client = Aws;
    type Api = Client;
    type Description = (types::TargetGroup, Attributes, Vec<types::Tag>);

    const FOUND_BY: FoundBy = FoundBy::Name;
    const CONFLICT: &'static str = "choose another name or none, also to replace a group, or import the existing one";

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.name.as_deref().and_then(name_problem).into_iter().collect();
        let health = self.health();
        let mut refuse = |wrong: bool, property: &str, message: &str| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        refuse(self.port == 0, "port", "port 0 does not exist");
        refuse(!health.path.starts_with('/') || health.path.len() > 1024, "health_path", "a path begins with `/`");
        refuse(!(5..=300).contains(&health.interval), "health_interval", "the interval is 5 to 300 seconds");
        refuse(!(2..=120).contains(&health.timeout), "health_timeout", "the timeout is 2 to 120 seconds");
        refuse(health.timeout >= health.interval, "health_timeout", "the timeout must be shorter than the interval");
        refuse(!(2..=10).contains(&health.healthy), "healthy_threshold", "a threshold is 2 to 10 checks");
        refuse(!(2..=10).contains(&health.unhealthy), "unhealthy_threshold", "a threshold is 2 to 10 checks");
        let codes = |c: char| c.is_ascii_digit() || matches!(c, ',' | '-');
        let status = health.matcher.is_empty() || !health.matcher.chars().all(codes);
        refuse(status, "matcher", "write status codes like `200-299` or `200,204`");
        let delay = self.deregistration_delay.is_some_and(|seconds| seconds > 3600);
        refuse(delay, "deregistration_delay", "the delay is at most 3600 seconds");
        let declared = |name: &str| self.attributes.get(name).map(String::as_str);
        let slow = declared("slow_start.duration_seconds").is_some_and(|seconds| seconds != "0");
        let round_robin = declared("load_balancing.algorithm.type").is_none_or(|algorithm| algorithm == "round_robin");
        refuse(slow && !round_robin, "attributes", "slow start requires the algorithm `round_robin`");
        problems.extend(attributes::problems(&self.attributes, ATTRIBUTES));
        problems
    }

    async fn create(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Self::Description> {
        let name = inputs.group_name(cx);
        // CreateTargetGroup succeeds when another owner's group has this name and the same settings.
        if inputs.name.is_some() && named(elbv2, &name).await?.is_some() {
            let message = format!("a target group `{name}` exists already");
            return Err(ProviderError::of(ErrorKind::AlreadyExists, message));
        }
        let health = inputs.health();
        let tags = tags::for_create(cx, &inputs.tags);
        let response = elbv2
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
            .set_tags(Some(tags.clone()))
            .send()
            .await
            .context("CreateTargetGroup")?;
        let created = response.target_groups.and_then(|mut created| created.pop());
        let created = created.ok_or_else(|| ProviderError::unsure("CreateTargetGroup returned no group"))?;
        Ok((created, Attributes::new(), tags))
    }

    async fn apply(cx: &Context<'_>, elbv2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (arn, new) = (update.id, update.new);
        let (group, existing, _) = wait::visible(cx, elbv2, &update).await?;
        let health = new.health();
        if health_of(&group) != health {
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
        let mut changes = attributes::changes(&existing, &new.attributes, ATTRIBUTES);
        let wanted = new.deregistration_delay.unwrap_or(DEFAULT_DELAY);
        if delay(&existing) != wanted {
            changes.push((DELAY.to_owned(), wanted.to_string()));
        }
        if !changes.is_empty() {
            let attribute = |(key, value)| TargetGroupAttribute::builder().key(key).value(value).build();
            let changes = changes.into_iter().map(attribute).collect();
            let call = elbv2.modify_target_group_attributes().target_group_arn(arn).set_attributes(Some(changes));
            call.send().await.context("ModifyTargetGroupAttributes")?;
        }
        retag(elbv2, arn, update.old.map(|old| &old.tags), &new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, elbv2: &Client, prior: &Prior<Self>) -> Result<()> {
        let status = "waiting until no listener uses the group";
        wait::retry_while_in_use(cx, status, Duration::from_mins(2), async || {
            elbv2.delete_target_group().target_group_arn(&prior.id).send().await.context("DeleteTargetGroup")
        })
        .await?;
        Ok(())
    }

    async fn describe(_: &Context<'_>, elbv2: &Client, arn: &str) -> Result<Option<Self::Description>> {
        let response = elbv2.describe_target_groups().target_group_arns(arn).send().await;
        let response = found(response.context("DescribeTargetGroups"))?;
        let Some(group) = response.and_then(|response| response.target_groups?.pop()) else { return Ok(None) };
        let call = elbv2.describe_target_group_attributes().target_group_arn(arn);
        let attributes = call.send().await.context("DescribeTargetGroupAttributes")?.attributes.unwrap_or_default();
        let attribute = |found: TargetGroupAttribute| Some((found.key?, found.value.unwrap_or_default()));
        Ok(Some((group, attributes.into_iter().filter_map(attribute).collect(), tags_of(elbv2, arn).await?)))
    }

    async fn find_created(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let Some(group) = named(elbv2, &inputs.group_name(cx)).await? else { return Ok(None) };
        let existing = Self::describe(cx, elbv2, group.target_group_arn().unwrap_or_default()).await?;
        Ok(existing.filter(|(.., tags)| tags::are_of_operation(cx, tags)))
    }

    fn normalize((group, attributes, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        /// Returns a value that is recorded or differs from its default.
        fn declared<T: PartialEq>(recorded: Option<&T>, existing: T, default: &T) -> Option<T> {
            (recorded.is_some() || existing != *default).then_some(existing)
        }
        let (health, default) = (health_of(group), default_health());
        let arn = group.target_group_arn().unwrap_or_default();
        let name = group.target_group_name().unwrap_or_default();
        let blank = Self::http(0, VpcId::from(""));
        let old = recorded.unwrap_or(&blank);
        Created {
            id: arn.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                protocol: if group.protocol() == Some(&ProtocolEnum::Https) { Protocol::Https } else { Protocol::Http },
                port: group.port().and_then(|port| u16::try_from(port).ok()).unwrap_or(old.port),
                vpc_id: VpcId::from(group.vpc_id().unwrap_or_default()).into(),
                health_path: declared(old.health_path.as_ref(), health.path, &default.path),
                health_interval: declared(old.health_interval.as_ref(), health.interval, &default.interval),
                health_timeout: declared(old.health_timeout.as_ref(), health.timeout, &default.timeout),
                healthy_threshold: declared(old.healthy_threshold.as_ref(), health.healthy, &default.healthy),
                unhealthy_threshold: declared(old.unhealthy_threshold.as_ref(), health.unhealthy, &default.unhealthy),
                matcher: declared(old.matcher.as_ref(), health.matcher, &default.matcher),
                deregistration_delay: declared(old.deregistration_delay.as_ref(), delay(attributes), &DEFAULT_DELAY),
                target_type: match group.target_type() {
                    Some(TargetTypeEnum::Ip) => TargetType::Ip,
                    _ => TargetType::Instance,
                },
                attributes: attributes::declared(attributes, Some(&old.attributes), ATTRIBUTES),
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: TargetGroupOutputs { arn: Arn::from(arn).into(), name: name.into() },
        }
    }
}

async fn named(elbv2: &Client, name: &str) -> Result<Option<types::TargetGroup>> {
    let response = found(elbv2.describe_target_groups().names(name).send().await.context("DescribeTargetGroups"))?;
    Ok(response.and_then(|response| response.target_groups?.pop()))
}

fn delay(attributes: &Attributes) -> u32 {
    attributes.get(DELAY).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_DELAY)
}

fn health_of(group: &types::TargetGroup) -> Health {
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
    fn check_refuses_values_outside_the_limits() {
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
    fn defaults_are_omitted_and_changes_are_drift() {
        let existing = types::TargetGroup::builder()
            .target_group_arn("arn:targets")
            .target_group_name("targets-abc")
            .protocol(ProtocolEnum::Http)
            .port(8080)
            .vpc_id("vpc-1")
            .health_check_path("/healthz")
            .health_check_interval_seconds(30);
        let json = |inputs: &TargetGroup| serde_json::to_value(inputs).ok();
        let delay = |seconds: &str| Attributes::from([(DELAY.to_owned(), seconds.to_owned())]);
        let read = |existing: types::TargetGroup, seconds: &str| {
            TargetGroup::normalize(&(existing, delay(seconds), Vec::new()), Some(&group())).inputs
        };
        assert_eq!(read(existing.clone().build(), "300").as_ref().and_then(json), json(&group()));
        let changed = read(existing.health_check_interval_seconds(10).build(), "30");
        let changed = changed.map(|inputs| (inputs.health_interval, inputs.deregistration_delay, inputs.matcher));
        assert_eq!(changed, Some((Some(10), Some(30), None)));
    }
}
