//! `aws:elbv2:LoadBalancer`: an application load balancer.

use super::{
    attributes::{self, Attributes, Known},
    derived_name, is_ours, name_problem, own_tags,
};
use crate::{
    client::Aws,
    error::{AwsError, SdkContext, found},
    ids::{Arn, SecurityGroupId, SubnetId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{
        LoadBalancer as Described, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum,
        LoadBalancerTypeEnum,
    },
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// An application load balancer: it takes HTTP requests and hands them to targets.
///
/// Made by `CreateLoadBalancer`; changed in place by `SetSecurityGroups`, `SetSubnets`,
/// `ModifyLoadBalancerAttributes`, `AddTags` and `RemoveTags`. It is ready when AWS calls it active, which takes some minutes.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadBalancer {
    /// Its name, unique in account and region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// From where it can be reached.
    pub scheme: Scheme,
    /// Where it lives: at least two subnets, each in another zone.
    pub subnets: Input<Vec<SubnetId>>,
    /// Who may reach it. Empty means the VPC's default group.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// After how many seconds without traffic a connection is closed, 1 to 4000; AWS's 60 when not given.
    pub idle_timeout: Option<u32>,
    /// Other attributes by AWS's names, such as `routing.http.drop_invalid_header_fields.enabled`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// Tags of one's own.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Attributes with AWS's defaults, without `idle_timeout.timeout_seconds`, which is a property of its own.
const ATTRIBUTES: Known = &[
    ("access_logs.s3.bucket", ""),
    ("access_logs.s3.enabled", "false"),
    ("access_logs.s3.prefix", ""),
    ("client_keep_alive.seconds", "3600"),
    ("connection_logs.s3.bucket", ""),
    ("connection_logs.s3.enabled", "false"),
    ("connection_logs.s3.prefix", ""),
    ("deletion_protection.enabled", "false"),
    ("routing.http.desync_mitigation_mode", "defensive"),
    ("routing.http.drop_invalid_header_fields.enabled", "false"),
    ("routing.http.preserve_host_header.enabled", "false"),
    ("routing.http.x_amzn_tls_version_and_cipher_suite.enabled", "false"),
    ("routing.http.xff_client_port.enabled", "false"),
    ("routing.http.xff_header_processing.mode", "append"),
    ("routing.http2.enabled", "true"),
    ("waf.fail_open.enabled", "false"),
    ("zonal_shift.config.enabled", "false"),
];

/// From where a balancer can be reached.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// From anywhere: it has public addresses.
    #[default]
    InternetFacing,
    /// From inside the VPC.
    Internal,
}

/// What a [`LoadBalancer`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct LoadBalancerOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<LoadBalancer>>,
    /// The host name that leads to it.
    pub dns_name: Output<String>,
    /// The hosted zone of that name, for alias records of Route 53.
    pub zone_id: Output<String>,
    /// Its name.
    pub name: Output<String>,
}

const IDLE_TIMEOUT: &str = "idle_timeout.timeout_seconds";
const DEFAULT_IDLE_TIMEOUT: u32 = 60;

impl LoadBalancer {
    /// An internet-facing application load balancer in these subnets, reachable as these groups say.
    pub fn application(
        subnets: impl Into<Input<Vec<SubnetId>>>,
        security_groups: impl IntoIterator<Item = Input<SecurityGroupId>>,
    ) -> Self {
        Self {
            name: None,
            scheme: Scheme::InternetFacing,
            subnets: subnets.into(),
            security_groups: security_groups.into_iter().collect(),
            idle_timeout: None,
            attributes: BTreeMap::new(),
            tags: BTreeMap::new(),
        }
    }

    fn balancer_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx))
    }

    fn subnet_ids(&self) -> Result<Vec<String>, ProviderError> {
        Ok(self.subnets.known()?.into_iter().map(String::from).collect())
    }

    fn group_ids(&self) -> Result<Vec<String>, ProviderError> {
        self.security_groups.iter().map(|group| Ok(group.known()?.into())).collect()
    }
}

impl Resource for LoadBalancer {
    const TYPE: &'static str = "aws:elbv2:LoadBalancer";
    type Outputs = LoadBalancerOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "scheme"]).regional(["arn"])
    }
}

impl AwsResource for LoadBalancer {}

impl Handler for LoadBalancer {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.name.as_deref().and_then(name_problem).into_iter().collect();
        if self.subnets.known().is_ok_and(|subnets| subnets.len() < 2) {
            problems.push(
                Problem::new("subnets", "a load balancer needs at least two subnets")
                    .hint("give it subnets in two zones, such as those of the default VPC"),
            );
        }
        if self.idle_timeout.is_some_and(|seconds| !(1..=4000).contains(&seconds)) {
            problems.push(Problem::new("idle_timeout", "it takes 1 to 4000 seconds"));
        }
        problems.extend(attributes::problems(&self.attributes, ATTRIBUTES));
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let name = inputs.balancer_name(cx);
        // CreateLoadBalancer succeeds when somebody else has already made one of this name with the same settings.
        if inputs.name.is_some() && by_name(&elbv2, &name).await?.is_some() && ours(cx, &elbv2, &name).await?.is_none()
        {
            return Err(taken(&name));
        }
        let groups = inputs.group_ids()?;
        let answer = elbv2
            .create_load_balancer()
            .name(&name)
            .r#type(LoadBalancerTypeEnum::Application)
            .scheme(inputs.scheme.into())
            .set_subnets(Some(inputs.subnet_ids()?))
            .set_security_groups((!groups.is_empty()).then_some(groups))
            .set_tags(Some(tags::elbv2_with(cx, &inputs.tags)))
            .send()
            .await
            .context("CreateLoadBalancer");
        let balancer = match answer {
            Ok(answer) => answer.load_balancers.unwrap_or_default().pop().ok_or_else(|| lost(&name))?,
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists => ours(cx, &elbv2, &name).await?.ok_or(error)?,
            Err(error) => return Err(error.into()),
        };
        let created = Created::new(balancer.load_balancer_arn().unwrap_or_default(), outputs(&balancer));
        match converge(cx, &elbv2, &created.id, inputs).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        match describe(&elbv2, &prior.id).await? {
            Some(balancer) => Ok(Some(seen(&elbv2, &balancer, &prior.inputs).await?)),
            None => Ok(None),
        }
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        converge(cx, &elbv2, &prior.id, inputs).await?;
        tags::elbv2_retag(&elbv2, &prior.id, &prior.inputs.tags, &inputs.tags).await?;
        Ok(prior.outputs.clone())
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let call = elbv2.delete_load_balancer().load_balancer_arn(&prior.id);
        found(call.send().await.context("DeleteLoadBalancer"))?;
        wait::until(cx, "waiting until the balancer is gone", wait::PATIENCE, async || {
            Ok(describe(&elbv2, &prior.id).await?.is_none().then_some(()))
        })
        .await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let elbv2 = cx.client().elbv2(cx.region()?).await;
        let Some(balancer) = describe(&elbv2, id).await? else {
            return Ok(None);
        };
        if balancer.r#type() != Some(&LoadBalancerTypeEnum::Application) {
            return Err(ProviderError::refused(format!("`{id}` is no application load balancer"))
                .hint("only application load balancers can be declared here"));
        }
        // Who may reach it is said, even when it is the default group.
        let groups = balancer.security_groups().iter().map(|group| SecurityGroupId::from(group.as_str()).into());
        let named = Self { name: Some(String::new()), ..Self::application(Vec::new(), groups) };
        Ok(Some(seen(&elbv2, &balancer, &named).await?))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let elbv2 = cx.client().elbv2(cx.region()?).await;
                let Some(balancer) = ours(cx, &elbv2, &inputs.balancer_name(cx)).await? else {
                    return Ok(Found::Absent);
                };
                Ok(Found::Found(seen(&elbv2, &balancer, inputs).await?))
            })
        })
    }
}

/// Brings groups, subnets and attributes in order, whatever they are now, and waits until the balancer is active.
async fn converge(
    cx: &Context<'_, Aws>,
    elbv2: &Client,
    arn: &str,
    inputs: &LoadBalancer,
) -> Result<(), ProviderError> {
    let balancer = describe(elbv2, arn).await?.ok_or_else(|| lost(arn))?;
    let groups = inputs.group_ids()?;
    if !groups.is_empty() && !same(balancer.security_groups(), &groups) {
        let call = elbv2.set_security_groups().load_balancer_arn(arn).set_security_groups(Some(groups));
        call.send().await.context("SetSecurityGroups")?;
    }
    let subnets = inputs.subnet_ids()?;
    if !same(&subnets_of(&balancer), &subnets) {
        let call = elbv2.set_subnets().load_balancer_arn(arn).set_subnets(Some(subnets));
        call.send().await.context("SetSubnets")?;
    }
    let living = attributes_of(elbv2, arn).await?;
    let mut changes = attributes::changes(&living, &inputs.attributes, ATTRIBUTES);
    let idle = inputs.idle_timeout.unwrap_or(DEFAULT_IDLE_TIMEOUT);
    if idle_timeout(&living) != idle {
        changes.push((IDLE_TIMEOUT.to_owned(), idle.to_string()));
    }
    if !changes.is_empty() {
        let changes =
            changes.into_iter().map(|(key, value)| LoadBalancerAttribute::builder().key(key).value(value).build());
        let call =
            elbv2.modify_load_balancer_attributes().load_balancer_arn(arn).set_attributes(Some(changes.collect()));
        call.send().await.context("ModifyLoadBalancerAttributes")?;
    }
    if cx.client().readiness() == Readiness::ControlPlane {
        return Ok(());
    }
    wait::until(cx, "waiting until the balancer is active", wait::PATIENCE, async || {
        let balancer = describe(elbv2, arn).await?.ok_or_else(|| lost(arn))?;
        let state = balancer.state();
        match state.and_then(|state| state.code()) {
            Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) => Ok(Some(())),
            Some(LoadBalancerStateEnum::Failed) => Err(ProviderError::refused(format!(
                "the load balancer could not be set up: {}",
                state.and_then(|state| state.reason()).unwrap_or("AWS gives no reason")
            ))
            .hint("remove what the reason names, then replace the balancer: `up --replace` with its URN")),
            _ => Ok(None),
        }
    })
    .await
}

async fn describe(elbv2: &Client, arn: &str) -> Result<Option<Described>, AwsError> {
    let answer = elbv2.describe_load_balancers().load_balancer_arns(arn).send().await.context("DescribeLoadBalancers");
    Ok(found(answer)?.and_then(|answer| answer.load_balancers.unwrap_or_default().pop()))
}

async fn by_name(elbv2: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let answer = elbv2.describe_load_balancers().names(name).send().await.context("DescribeLoadBalancers");
    Ok(found(answer)?.and_then(|answer| answer.load_balancers.unwrap_or_default().pop()))
}

/// The balancer of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, elbv2: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    match by_name(elbv2, name).await? {
        Some(balancer) if is_ours(cx, elbv2, balancer.load_balancer_arn().unwrap_or_default()).await? => {
            Ok(Some(balancer))
        }
        _ => Ok(None),
    }
}

async fn attributes_of(elbv2: &Client, arn: &str) -> Result<Attributes, AwsError> {
    let call = elbv2.describe_load_balancer_attributes().load_balancer_arn(arn);
    let answer = call.send().await.context("DescribeLoadBalancerAttributes")?;
    let pairs = answer.attributes().iter();
    Ok(pairs.filter_map(|pair| Some((pair.key()?.to_owned(), pair.value().unwrap_or_default().to_owned()))).collect())
}

fn idle_timeout(attributes: &Attributes) -> u32 {
    attributes.get(IDLE_TIMEOUT).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_IDLE_TIMEOUT)
}

/// The balancer with what other calls tell.
async fn seen(
    elbv2: &Client,
    balancer: &Described,
    recorded: &LoadBalancer,
) -> Result<Created<LoadBalancer>, AwsError> {
    let arn = balancer.load_balancer_arn().unwrap_or_default();
    let tags = own_tags(elbv2, arn, &recorded.tags).await?;
    Ok(live(balancer, &attributes_of(elbv2, arn).await?, tags, recorded))
}

fn lost(balancer: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the load balancer {balancer} is gone"))
}

fn taken(name: &str) -> ProviderError {
    ProviderError::of(ErrorKind::AlreadyExists, format!("there is already a load balancer `{name}`"))
        .hint("choose another name, or bring the balancer under management with `stack import`")
}

/// The balancer as it lives, in the words of the recorded inputs where they say the same.
fn live(
    balancer: &Described,
    attributes: &Attributes,
    tags: BTreeMap<String, String>,
    recorded: &LoadBalancer,
) -> Created<LoadBalancer> {
    let idle_timeout = idle_timeout(attributes);
    let subnets = subnets_of(balancer);
    let groups = balancer.security_groups();
    let recorded_groups = recorded.group_ids().unwrap_or_default();
    let same_subnets = recorded.subnet_ids().is_ok_and(|recorded| same(&recorded, &subnets));
    let inputs = LoadBalancer {
        name: recorded.name.as_ref().and(balancer.load_balancer_name.clone()),
        scheme: balancer.scheme().map_or(recorded.scheme, Scheme::from),
        subnets: if same_subnets {
            recorded.subnets.clone()
        } else {
            subnets.into_iter().map(SubnetId::from).collect::<Vec<_>>().into()
        },
        security_groups: if recorded_groups.is_empty() || same(groups, &recorded_groups) {
            recorded.security_groups.clone()
        } else {
            groups.iter().map(|id| SecurityGroupId::from(id.as_str()).into()).collect()
        },
        idle_timeout: match recorded.idle_timeout {
            None if idle_timeout == DEFAULT_IDLE_TIMEOUT => None,
            _ => Some(idle_timeout),
        },
        attributes: attributes::recorded(attributes, &recorded.attributes, ATTRIBUTES),
        tags,
    };
    Created {
        id: balancer.load_balancer_arn().unwrap_or_default().to_owned(),
        inputs: Some(inputs),
        outputs: outputs(balancer),
    }
}

fn outputs(balancer: &Described) -> LoadBalancerOutputs {
    LoadBalancerOutputs {
        arn: Arn::from(balancer.load_balancer_arn().unwrap_or_default()).into(),
        dns_name: balancer.dns_name().unwrap_or_default().into(),
        zone_id: balancer.canonical_hosted_zone_id().unwrap_or_default().into(),
        name: balancer.load_balancer_name().unwrap_or_default().into(),
    }
}

fn subnets_of(balancer: &Described) -> Vec<String> {
    balancer.availability_zones().iter().filter_map(|zone| zone.subnet_id.clone()).collect()
}

fn same(left: &[String], right: &[String]) -> bool {
    left.iter().collect::<BTreeSet<_>>() == right.iter().collect()
}

impl From<Scheme> for LoadBalancerSchemeEnum {
    fn from(scheme: Scheme) -> Self {
        match scheme {
            Scheme::InternetFacing => Self::InternetFacing,
            Scheme::Internal => Self::Internal,
        }
    }
}

impl From<&LoadBalancerSchemeEnum> for Scheme {
    fn from(scheme: &LoadBalancerSchemeEnum) -> Self {
        match scheme {
            LoadBalancerSchemeEnum::Internal => Self::Internal,
            _ => Self::InternetFacing,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_elasticloadbalancingv2::types::AvailabilityZone;

    fn subnets(ids: &[&str]) -> Vec<SubnetId> {
        ids.iter().map(|id| SubnetId::from(*id)).collect()
    }

    #[test]
    fn one_subnet_is_too_few() {
        let balancer = LoadBalancer::application(subnets(&["subnet-1"]), []);
        assert_eq!(balancer.check()[0].property, "subnets");
        let balancer = LoadBalancer { idle_timeout: Some(0), ..LoadBalancer::application(subnets(&["a", "b"]), []) };
        assert_eq!(balancer.check()[0].property, "idle_timeout");
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = LoadBalancer::application(subnets(&["b", "a"]), [SecurityGroupId::from("sg-1").into()]);
        let zone = |id: &str| AvailabilityZone::builder().subnet_id(id).build();
        let lives = Described::builder()
            .load_balancer_name("web-abc")
            .load_balancer_arn("arn:balancer")
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .availability_zones(zone("a"))
            .availability_zones(zone("b"))
            .security_groups("sg-1");
        let json = |inputs: &LoadBalancer| serde_json::to_value(inputs).ok();
        let idle = |seconds: &str| Attributes::from([(IDLE_TIMEOUT.to_owned(), seconds.to_owned())]);
        let read = live(&lives.clone().build(), &idle("60"), BTreeMap::new(), &recorded).inputs;
        assert_eq!(read.as_ref().and_then(json), json(&recorded));
        let read = live(&lives.security_groups("sg-2").build(), &idle("30"), BTreeMap::new(), &recorded).inputs;
        assert_eq!(read.as_ref().map(|inputs| inputs.security_groups.len()), Some(2));
        assert_eq!(read.and_then(|inputs| inputs.idle_timeout), Some(30));
    }
}
