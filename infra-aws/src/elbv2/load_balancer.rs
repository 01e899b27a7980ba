//! `aws:elb:LoadBalancer`: an application load balancer.

use super::{
    attributes::{self, Attributes, Known},
    derived_name, name_problem, retag, tags_of,
};
use crate::prelude::*;
use aws_sdk_elasticloadbalancingv2::{
    Client,
    types::{self, LoadBalancerAttribute, LoadBalancerSchemeEnum, LoadBalancerStateEnum, LoadBalancerTypeEnum},
};
use infra_core::target::Readiness;
use std::collections::BTreeSet;

/// An application load balancer, which distributes HTTP requests to targets.
///
/// A create finishes when the balancer is active, after some minutes. [`Listener`](crate::Listener)s accept its
/// connections.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// let access = virginia.add("access", SecurityGroup {
///     ingress: vec![Rule::tcp(80).from_anywhere()],
///     ..SecurityGroup::in_vpc(&network.vpc_id)
/// });
/// let balancer = virginia.add("balancer", LoadBalancer {
///     idle_timeout: Some(120),
///     ..LoadBalancer::application(network.subnets, [access.id])
/// });
/// let targets = virginia.add("targets", TargetGroup::http(8080, network.vpc_id));
/// virginia.add("listener", Listener::http(80, balancer.arn).forward(targets.arn));
/// stack.export("host", balancer.dns_name);
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `DescribeLoadBalancers` if `name` is declared, because `CreateLoadBalancer` returns an existing balancer
///   with the same settings; `CreateLoadBalancer`; those of a read; `ModifyLoadBalancerAttributes`;
///   `DescribeLoadBalancers` until the balancer is active
/// - Read: `DescribeLoadBalancers`, `DescribeLoadBalancerAttributes`, `DescribeTags`
/// - Update: those of a read, `SetSecurityGroups`, `SetSubnets`, `ModifyLoadBalancerAttributes`, `AddTags`,
///   `RemoveTags`
/// - Delete: `DeleteLoadBalancer`; `DescribeLoadBalancers` until the balancer is deleted
///
/// # Replacement
/// A change of `name` or `scheme` replaces the balancer, because AWS cannot change them, and so does a change of the VPC of
/// its subnets, because a balancer cannot leave its VPC. The new balancer is created before the previous one is deleted, so
/// a declared `name` has to change together with `scheme`. Its host name changes, and its listeners are replaced as well.
///
/// # Import
/// The import takes the ARN of the balancer, which has to be an application load balancer:
///
/// ```console
/// $ stack import aws:elb:LoadBalancer balancer arn:aws:elasticloadbalancing:us-east-1:123456789012:loadbalancer/app/web/50dc6c495c0c9188 --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:elb:LoadBalancer")]
pub struct LoadBalancer {
    /// Name, unique in the account and region: 1 to 32 letters, digits and `-`, without `-` at either end, and not
    /// beginning with `internal-`. When omitted, the declaration's name with a unique suffix. A change replaces the
    /// balancer.
    #[resource(replace)]
    pub name: Option<String>,
    /// Network from which clients reach the balancer; [`Scheme::InternetFacing`] by default. A change replaces the
    /// balancer.
    #[resource(replace)]
    pub scheme: Scheme,
    /// Ids of at least two subnets, in different availability zones.
    #[resource(follows = "vpc_id")]
    pub subnets: Input<Vec<SubnetId>>,
    /// Ids of the security groups. When empty, the balancer is created with the group `default` of the VPC, and an
    /// update changes nothing.
    pub security_groups: Vec<Input<SecurityGroupId>>,
    /// Time without traffic after which a connection is closed, 1 to 4000 seconds; 60 when omitted.
    pub idle_timeout: Option<u32>,
    /// Other attributes by their API names: name → value, such as `routing.http.drop_invalid_header_fields.enabled` →
    /// `true`. Omitted attributes have the API's defaults. With `deletion_protection.enabled`, the API refuses to
    /// delete the balancer.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, String>,
    /// User-defined tags: key → value; none by default.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
}

/// Outputs of a [`LoadBalancer`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct LoadBalancerOutputs {
    /// Amazon Resource Name of the balancer.
    #[output(regional)]
    pub arn: Output<Arn<LoadBalancer>>,
    /// Host name of the balancer, to which its addresses are published.
    pub dns_name: Output<String>,
    /// Id of the hosted zone of the host name, for alias records of Route 53.
    pub zone_id: Output<String>,
    /// Name of the balancer.
    pub name: Output<String>,
}

/// Network from which clients reach a balancer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Scheme {
    /// The internet: the balancer has public addresses.
    #[default]
    InternetFacing,
    /// The VPC.
    Internal,
}

/// Attributes and their defaults, without `idle_timeout.timeout_seconds`, which is the property `idle_timeout`.
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

const IDLE_TIMEOUT: &str = "idle_timeout.timeout_seconds";
const DEFAULT_IDLE_TIMEOUT: u32 = 60;

impl LoadBalancer {
    /// Returns an internet-facing application load balancer in these subnets, with these security groups.
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

    fn balancer_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| derived_name(cx))
    }

    fn subnet_ids(&self) -> Result<Vec<String>> {
        Ok(self.subnets.known()?.into_iter().map(String::from).collect())
    }

    fn group_ids(&self) -> Result<Vec<String>> {
        self.security_groups.iter().map(|group| Ok(group.known()?.into())).collect()
    }
}

impl AwsResource for LoadBalancer {}

impl Described for LoadBalancer {
    type Client = Aws;
    type Api = Client;
    type Description = (types::LoadBalancer, Attributes, Vec<types::Tag>);

    const FOUND_BY: FoundBy = FoundBy::Name;

    fn check(&self) -> Vec<Problem> {
        let mut problems: Vec<Problem> = self.name.as_deref().and_then(name_problem).into_iter().collect();
        if self.subnets.known().is_ok_and(|subnets| subnets.len() < 2) {
            problems.push(
                Problem::new("subnets", "a load balancer needs at least two subnets")
                    .hint("add a subnet in another zone, or use those of the default VPC"),
            );
        }
        if self.idle_timeout.is_some_and(|seconds| !(1..=4000).contains(&seconds)) {
            problems.push(Problem::new("idle_timeout", "the timeout is 1 to 4000 seconds"));
        }
        problems.extend(attributes::problems(&self.attributes, ATTRIBUTES));
        problems
    }

    fn check_import((balancer, ..): &Self::Description) -> Result<()> {
        if balancer.r#type() == Some(&LoadBalancerTypeEnum::Application) {
            return Ok(());
        }
        let arn = balancer.load_balancer_arn().unwrap_or_default();
        Err(ProviderError::refused(format!("`{arn}` is no application load balancer"))
            .hint("only application load balancers can be declared"))
    }

    async fn create(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Self::Description> {
        let name = inputs.balancer_name(cx);
        // CreateLoadBalancer succeeds when another owner's balancer has this name and the same settings.
        if inputs.name.is_some() && named(elbv2, &name).await?.is_some() {
            let message = format!("a load balancer `{name}` exists already");
            return Err(ProviderError::of(ErrorKind::AlreadyExists, message));
        }
        let groups = inputs.group_ids()?;
        let tags = tags::for_create(cx, &inputs.tags);
        let response = elbv2
            .create_load_balancer()
            .name(&name)
            .r#type(LoadBalancerTypeEnum::Application)
            .scheme(inputs.scheme.into())
            .set_subnets(Some(inputs.subnet_ids()?))
            .set_security_groups((!groups.is_empty()).then_some(groups))
            .set_tags(Some(tags.clone()))
            .send()
            .await
            .context("CreateLoadBalancer")?;
        let created = response.load_balancers.and_then(|mut created| created.pop());
        let created = created.ok_or_else(|| ProviderError::unsure("CreateLoadBalancer returned no balancer"))?;
        Ok((created, Attributes::new(), tags))
    }

    async fn apply(cx: &Context<'_>, elbv2: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (arn, new) = (update.id, update.new);
        let (balancer, existing, _) = wait::visible(cx, elbv2, &update).await?;
        let groups = new.group_ids()?;
        if !groups.is_empty() && !same(balancer.security_groups(), &groups) {
            let call = elbv2.set_security_groups().load_balancer_arn(arn).set_security_groups(Some(groups));
            call.send().await.context("SetSecurityGroups")?;
        }
        let subnets = new.subnet_ids()?;
        if !same(&subnets_of(&balancer), &subnets) {
            let call = elbv2.set_subnets().load_balancer_arn(arn).set_subnets(Some(subnets));
            call.send().await.context("SetSubnets")?;
        }
        let mut changes = attributes::changes(&existing, &new.attributes, ATTRIBUTES);
        let timeout = new.idle_timeout.unwrap_or(DEFAULT_IDLE_TIMEOUT);
        if idle_timeout(&existing) != timeout {
            changes.push((IDLE_TIMEOUT.to_owned(), timeout.to_string()));
        }
        if !changes.is_empty() {
            let attribute = |(key, value)| LoadBalancerAttribute::builder().key(key).value(value).build();
            let changes = changes.into_iter().map(attribute).collect();
            let call = elbv2.modify_load_balancer_attributes().load_balancer_arn(arn).set_attributes(Some(changes));
            call.send().await.context("ModifyLoadBalancerAttributes")?;
        }
        if cx.client().readiness() != Readiness::ControlPlane {
            wait_until_active(cx, elbv2, arn).await?;
        }
        retag(elbv2, arn, update.old.map(|old| &old.tags), &new.tags).await?;
        Ok(update.outputs.clone())
    }

    async fn delete(cx: &Context<'_>, elbv2: &Client, prior: &Prior<Self>) -> Result<()> {
        let call = elbv2.delete_load_balancer().load_balancer_arn(&prior.id);
        found(call.send().await.context("DeleteLoadBalancer"))?;
        wait::until(cx, "waiting until the balancer is deleted", wait::TIMEOUT, async || {
            Ok(with_arn(elbv2, &prior.id).await?.is_none().then_some(()))
        })
        .await
    }

    async fn describe(_: &Context<'_>, elbv2: &Client, arn: &str) -> Result<Option<Self::Description>> {
        let Some(balancer) = with_arn(elbv2, arn).await? else { return Ok(None) };
        let call = elbv2.describe_load_balancer_attributes().load_balancer_arn(arn);
        let attributes = call.send().await.context("DescribeLoadBalancerAttributes")?.attributes.unwrap_or_default();
        let attribute = |found: LoadBalancerAttribute| Some((found.key?, found.value.unwrap_or_default()));
        Ok(Some((balancer, attributes.into_iter().filter_map(attribute).collect(), tags_of(elbv2, arn).await?)))
    }

    async fn find_created(cx: &Context<'_>, elbv2: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let Some(balancer) = named(elbv2, &inputs.balancer_name(cx)).await? else { return Ok(None) };
        let existing = Self::describe(cx, elbv2, balancer.load_balancer_arn().unwrap_or_default()).await?;
        Ok(existing.filter(|(.., tags)| tags::are_of_operation(cx, tags)))
    }

    fn normalize((balancer, attributes, tags): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let (subnets, groups) = (subnets_of(balancer), balancer.security_groups());
        let is_recorded = |ids: Result<Vec<String>>, existing: &[String]| ids.is_ok_and(|ids| same(&ids, existing));
        let same_subnets = recorded.filter(|recorded| is_recorded(recorded.subnet_ids(), &subnets));
        let same_groups = recorded
            .filter(|recorded| recorded.security_groups.is_empty() || is_recorded(recorded.group_ids(), groups));
        let timeout = idle_timeout(attributes);
        let with_timeout = recorded.is_some_and(|recorded| recorded.idle_timeout.is_some());
        let arn = balancer.load_balancer_arn().unwrap_or_default();
        let name = balancer.load_balancer_name().unwrap_or_default();
        Created {
            id: arn.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                scheme: balancer
                    .scheme()
                    .map(Scheme::from)
                    .or(recorded.map(|recorded| recorded.scheme))
                    .unwrap_or_default(),
                subnets: same_subnets.map_or_else(
                    || subnets.into_iter().map(SubnetId::from).collect::<Vec<_>>().into(),
                    |recorded| recorded.subnets.clone(),
                ),
                security_groups: same_groups.map_or_else(
                    || groups.iter().map(|id| SecurityGroupId::from(id.as_str()).into()).collect(),
                    |recorded| recorded.security_groups.clone(),
                ),
                idle_timeout: (with_timeout || timeout != DEFAULT_IDLE_TIMEOUT).then_some(timeout),
                attributes: attributes::declared(attributes, recorded.map(|recorded| &recorded.attributes), ATTRIBUTES),
                tags: tags::declared(tags, recorded.map(|recorded| &recorded.tags)),
            }),
            outputs: LoadBalancerOutputs {
                arn: Arn::from(arn).into(),
                dns_name: balancer.dns_name().unwrap_or_default().into(),
                zone_id: balancer.canonical_hosted_zone_id().unwrap_or_default().into(),
                name: name.into(),
            },
        }
    }
}

async fn with_arn(elbv2: &Client, arn: &str) -> Result<Option<types::LoadBalancer>> {
    let response = elbv2.describe_load_balancers().load_balancer_arns(arn).send().await;
    let response = found(response.context("DescribeLoadBalancers"))?;
    Ok(response.and_then(|response| response.load_balancers?.pop()))
}

async fn named(elbv2: &Client, name: &str) -> Result<Option<types::LoadBalancer>> {
    let response = found(elbv2.describe_load_balancers().names(name).send().await.context("DescribeLoadBalancers"))?;
    Ok(response.and_then(|response| response.load_balancers?.pop()))
}

async fn wait_until_active(cx: &Context<'_>, elbv2: &Client, arn: &str) -> Result<()> {
    wait::until(cx, "waiting until the balancer is active", wait::TIMEOUT, async || {
        let balancer = with_arn(elbv2, arn).await?;
        let balancer = balancer.ok_or_else(|| ProviderError::of(ErrorKind::NotFound, "the balancer was deleted"))?;
        let state = balancer.state();
        match state.and_then(|state| state.code()) {
            Some(LoadBalancerStateEnum::Active | LoadBalancerStateEnum::ActiveImpaired) => Ok(Some(())),
            Some(LoadBalancerStateEnum::Failed) => Err(ProviderError::refused(format!(
                "the load balancer could not be set up: {}",
                state.and_then(|state| state.reason()).unwrap_or("the API returns no reason")
            ))
            .hint("remove the cause, then replace the balancer: `up --replace` with its URN")),
            _ => Ok(None),
        }
    })
    .await
}

fn idle_timeout(attributes: &Attributes) -> u32 {
    attributes.get(IDLE_TIMEOUT).and_then(|value| value.parse().ok()).unwrap_or(DEFAULT_IDLE_TIMEOUT)
}

fn subnets_of(balancer: &types::LoadBalancer) -> Vec<String> {
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
    fn check_refuses_a_single_subnet() {
        let balancer = LoadBalancer::application(subnets(&["subnet-1"]), []);
        assert_eq!(balancer.check()[0].property, "subnets");
        let balancer = LoadBalancer { idle_timeout: Some(0), ..LoadBalancer::application(subnets(&["a", "b"]), []) };
        assert_eq!(balancer.check()[0].property, "idle_timeout");
    }

    #[test]
    fn existing_balancer_as_declared_shows_no_drift() {
        let recorded = LoadBalancer::application(subnets(&["b", "a"]), [SecurityGroupId::from("sg-1").into()]);
        let zone = |id: &str| AvailabilityZone::builder().subnet_id(id).build();
        let existing = types::LoadBalancer::builder()
            .load_balancer_name("web-abc")
            .load_balancer_arn("arn:balancer")
            .scheme(LoadBalancerSchemeEnum::InternetFacing)
            .availability_zones(zone("a"))
            .availability_zones(zone("b"))
            .security_groups("sg-1");
        let json = |inputs: &LoadBalancer| serde_json::to_value(inputs).ok();
        let idle = |seconds: &str| Attributes::from([(IDLE_TIMEOUT.to_owned(), seconds.to_owned())]);
        let read = |balancer: types::LoadBalancer, idle_timeout: &str| {
            LoadBalancer::normalize(&(balancer, idle(idle_timeout), Vec::new()), Some(&recorded)).inputs
        };
        let read_back = read(existing.clone().build(), "60");
        assert_eq!(read_back.as_ref().and_then(json), json(&recorded));
        let changed = read(existing.security_groups("sg-2").build(), "30");
        assert_eq!(changed.as_ref().map(|inputs| inputs.security_groups.len()), Some(2));
        assert_eq!(changed.and_then(|inputs| inputs.idle_timeout), Some(30));
    }
}
