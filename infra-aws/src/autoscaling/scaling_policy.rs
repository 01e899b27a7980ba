//! `aws:autoscaling:ScalingPolicy`: automatic changes of the size of a group.

use super::{
    classified, deleted_with_group, id_in, parts, recorded_id,
    steps::{Step, Steps},
};
use crate::{
    elbv2::{load_balancer::LoadBalancer, target_group::TargetGroup},
    prelude::*,
};
use aws_sdk_autoscaling::{
    Client,
    types::{
        self, CustomizedMetricSpecification, MetricDimension, MetricStatistic, MetricType,
        PredefinedMetricSpecification, TargetTrackingConfiguration,
    },
};
use std::borrow::Cow;

/// A scaling policy: a rule that changes the size of an Auto Scaling group.
///
/// A policy either keeps a metric near a target value (target tracking), for which AWS creates the alarms, or makes
/// steps when an alarm changes its state. The alarm of a policy with steps is a [`MetricAlarm`](crate::MetricAlarm)
/// with the policy among its actions.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let template = virginia.add("template", LaunchTemplate::new("t3.micro"));
/// # let group = AutoScalingGroup { max: 4, ..AutoScalingGroup::from(template.version(), network.subnets) };
/// # let group = virginia.add("group", group);
/// virginia.add("scale-on-cpu", ScalingPolicy {
///     instance_warmup: Some(120),
///     ..ScalingPolicy::target_cpu(&group.name, 50.0)
/// });
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `PutScalingPolicy`; `DescribePolicies` if its response contains no ARN
/// - Read: `DescribePolicies`
/// - Update: `PutScalingPolicy`
/// - Delete: `DeletePolicy`, which also deletes the alarms of target tracking
///
/// # Replacement
/// A change of `name` or `group` replaces the policy. The new policy is created before the previous one is deleted.
/// With the same declared `name`, which `up --replace` requests, the previous policy is deleted first. A
/// change of `scaling` is made in place.
///
/// # Import
/// The import takes `GROUP:NAME`, the names of the group and the policy. Simple and predictive policies are refused, and
/// so are those on a mathematical expression.
///
/// ```console
/// $ stack import aws:autoscaling:ScalingPolicy scale-on-cpu web:scale-on-cpu --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:autoscaling:ScalingPolicy")]
pub struct ScalingPolicy {
    /// Name, unique in the group: 1 to 255 characters without `:`. When omitted, the declaration's name with a unique
    /// suffix. A change replaces the policy.
    #[resource(replace, key)]
    pub name: Option<String>,
    /// Name of the Auto Scaling group. A change replaces the policy.
    #[resource(replace, key)]
    pub group: Input<AutoScalingGroupName>,
    /// Target of a metric, or steps.
    pub scaling: Scaling,
    /// Time until the metrics of a new instance count, in seconds; the group's `instance_warmup` when omitted.
    pub instance_warmup: Option<u32>,
}

/// Rule by which a policy scales.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// Keeps a metric near a value.
    Target(TargetTracking),
    /// Scales by the distance of a metric from the threshold of its alarm.
    Steps(Steps),
}

/// Target tracking: a metric and its target value.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TargetTracking {
    /// Metric that the policy observes.
    pub metric: Metric,
    /// Target value, more than 0 in the unit of the metric; at most 100 for [`Metric::Cpu`].
    pub value: f64,
    /// Indicates whether the policy only adds instances and never removes any; false by default.
    #[serde(default)]
    pub disable_scale_in: bool,
}

/// Metric of target tracking.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// Average CPU utilization of the group, in per cent.
    Cpu,
    /// Average number of bytes that an instance receives, in one minute.
    NetworkIn,
    /// Average number of bytes that an instance sends, in one minute.
    NetworkOut,
    /// Requests per target and minute.
    RequestsPerTarget {
        /// ARN of the balancer that counts them.
        balancer: Input<Arn<LoadBalancer>>,
        /// ARN of the target group of the instances.
        targets: Input<Arn<TargetGroup>>,
    },
    /// Custom metric, which decreases when the group grows.
    Custom {
        /// Namespace, such as `Shop`.
        namespace: String,
        /// Name.
        name: String,
        /// Dimensions: name → value.
        #[serde(default)]
        dimensions: BTreeMap<String, String>,
        /// Statistic over one minute: `Average`, `Minimum`, `Maximum`, `SampleCount` or `Sum`.
        statistic: String,
    },
}

/// Outputs of a [`ScalingPolicy`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct ScalingPolicyOutputs {
    /// Amazon Resource Name of the policy.
    #[output(regional)]
    pub arn: Output<Arn<ScalingPolicy>>,
    /// Name of the policy.
    pub name: Output<String>,
}

impl ScalingPolicy {
    /// Returns a policy that keeps the average CPU utilization of the group near this percentage.
    pub fn target_cpu(group: impl Into<Input<AutoScalingGroupName>>, percent: f64) -> Self {
        Self::target(group, Metric::Cpu, percent)
    }

    /// Returns a policy that keeps the requests per target and minute near this number.
    pub fn target_requests(
        group: impl Into<Input<AutoScalingGroupName>>,
        balancer: impl Into<Input<Arn<LoadBalancer>>>,
        targets: impl Into<Input<Arn<TargetGroup>>>,
        per_minute: f64,
    ) -> Self {
        let metric = Metric::RequestsPerTarget { balancer: balancer.into(), targets: targets.into() };
        Self::target(group, metric, per_minute)
    }

    /// Returns a policy that keeps a metric near a value.
    pub fn target(group: impl Into<Input<AutoScalingGroupName>>, metric: Metric, value: f64) -> Self {
        Self::of(group.into(), Scaling::Target(TargetTracking { metric, value, disable_scale_in: false }))
    }

    /// Returns a policy that adds or removes instances by the distance of a metric from the threshold of the policy's alarm.
    pub fn steps(group: impl Into<Input<AutoScalingGroupName>>, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::of(group.into(), Scaling::Steps(Steps::changing(steps)))
    }

    fn of(group: Input<AutoScalingGroupName>, scaling: Scaling) -> Self {
        Self { name: None, group, scaling, instance_warmup: None }
    }

    fn policy_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl AwsResource for ScalingPolicy {}

impl Described for ScalingPolicy {
    type Client = Aws;
    type Api = Client;
    type Description = (AutoScalingGroupName, types::ScalingPolicy);

    // Sending PutScalingPolicy twice has the effect of sending it once, and the group belongs to the program.
    const FOUND_BY: FoundBy = FoundBy::Key;

    fn check(&self) -> Vec<Problem> {
        let mut problems = match &self.scaling {
            Scaling::Target(target) => target.problems(),
            Scaling::Steps(steps) => steps.problems(),
        };
        if self.name.as_deref().is_some_and(|name| name.is_empty() || name.len() > 255 || name.contains(':')) {
            problems.push(Problem::new("name", "a name has 1 to 255 characters and no `:`"));
        }
        problems
    }

    fn check_import((_, policy): &Self::Description) -> Result<()> {
        let is_declarable = match policy.target_tracking_configuration() {
            Some(existing) => metric(existing, policy.policy_arn().unwrap_or_default()).is_some(),
            None => policy.policy_type() == Some("StepScaling"),
        };
        if is_declarable {
            return Ok(());
        }
        let (name, kind) = (policy.policy_name().unwrap_or_default(), policy.policy_type().unwrap_or_default());
        let message = format!("the policy `{name}` ({kind}) scales by a rule that a `ScalingPolicy` cannot contain");
        Err(ProviderError::refused(message)
            .hint("declare a `CloudResource` of the type AWS::AutoScaling::ScalingPolicy"))
    }

    async fn create(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Self::Description> {
        let (group, name) = (inputs.group.known()?, inputs.policy_name(cx));
        match put(client, &group, &name, inputs).await?.filter(|arn| !arn.is_empty()) {
            Some(arn) => Ok((group, types::ScalingPolicy::builder().policy_name(name).policy_arn(arn).build())),
            // Some implementations of the API do not return the ARN.
            None => wait::created::<Self>(cx, client, &id_in(&group, &name)).await,
        }
    }

    async fn apply(_: &Context<'_>, client: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        if update.old.is_some() {
            let (group, name) = parts(update.id, "POLICY")?;
            put(client, &group, name, update.new).await?;
        }
        Ok(update.outputs.clone())
    }

    async fn delete(_: &Context<'_>, client: &Client, prior: &Prior<Self>) -> Result<()> {
        let id = Self::id_of(prior);
        let (group, name) = parts(&id, "POLICY")?;
        let call = client.delete_policy().auto_scaling_group_name(group.as_str()).policy_name(name);
        deleted_with_group(classified(call.send().await.context("DeletePolicy")))
    }

    fn id_of(prior: &Prior<Self>) -> Cow<'_, str> {
        recorded_id(&prior.id, &prior.inputs.group)
    }

    async fn describe(_: &Context<'_>, client: &Client, id: &str) -> Result<Option<Self::Description>> {
        let (group, name) = parts(id, "POLICY")?;
        let call = client.describe_policies().auto_scaling_group_name(group.as_str()).policy_names(name);
        let response = found(classified(call.send().await.context("DescribePolicies")))?;
        Ok(response.and_then(|response| response.scaling_policies?.pop()).map(|policy| (group, policy)))
    }

    async fn find_created(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        Self::describe(cx, client, &id_in(&inputs.group.known()?, &inputs.policy_name(cx))).await
    }

    fn normalize((group, policy): &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let name = policy.policy_name().unwrap_or_default();
        let scaling = scaling(policy, recorded.map(|recorded| &recorded.scaling));
        Created {
            id: id_in(group, name),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                group: group.clone().into(),
                scaling,
                instance_warmup: policy.estimated_instance_warmup().map(i32::cast_unsigned),
            }),
            outputs: ScalingPolicyOutputs {
                arn: Arn::from(policy.policy_arn().unwrap_or_default()).into(),
                name: name.into(),
            },
        }
    }
}

/// Converts the description of a policy into the rule that declares it.
fn scaling(policy: &types::ScalingPolicy, recorded: Option<&Scaling>) -> Scaling {
    let Some(existing) = policy.target_tracking_configuration() else {
        let recorded = recorded.and_then(|recorded| match recorded {
            Scaling::Steps(recorded) => Some(recorded),
            Scaling::Target(_) => None,
        });
        return Scaling::Steps(Steps::of(policy, recorded));
    };
    let recorded = recorded.and_then(|recorded| match recorded {
        Scaling::Target(recorded) => Some(recorded),
        Scaling::Steps(_) => None,
    });
    let declared = target(existing, policy.policy_arn().unwrap_or_default(), recorded);
    Scaling::Target(declared.unwrap_or_else(|| TargetTracking {
        // No declaration has this metric and this value, so the difference is drift.
        metric: Metric::Cpu,
        value: 0.0,
        disable_scale_in: existing.disable_scale_in().unwrap_or(false),
    }))
}

/// Creates or changes the policy, and returns its ARN.
async fn put(
    client: &Client,
    group: &AutoScalingGroupName,
    name: &str,
    inputs: &ScalingPolicy,
) -> Result<Option<String>> {
    let call = client
        .put_scaling_policy()
        .auto_scaling_group_name(group.as_str())
        .policy_name(name)
        .set_estimated_instance_warmup(inputs.instance_warmup.map(u32::cast_signed));
    let call = match &inputs.scaling {
        Scaling::Target(target) => {
            call.policy_type("TargetTrackingScaling").target_tracking_configuration(target.configuration()?)
        }
        Scaling::Steps(steps) => call
            .policy_type("StepScaling")
            .adjustment_type(steps.adjustment.word())
            .set_step_adjustments(Some(steps.adjustments()))
            .set_min_adjustment_magnitude(steps.min_magnitude.map(u32::cast_signed))
            .set_metric_aggregation_type(steps.aggregation.map(|aggregation| aggregation.word().to_owned())),
    };
    Ok(call.send().await.context("PutScalingPolicy")?.policy_arn)
}

impl TargetTracking {
    fn configuration(&self) -> Result<TargetTrackingConfiguration> {
        let (predefined, customized) = match &self.metric {
            Metric::Custom { namespace, name, dimensions, statistic } => {
                let dimension = |(name, value)| MetricDimension::builder().name(name).value(value).build();
                let specification = CustomizedMetricSpecification::builder()
                    .namespace(namespace)
                    .metric_name(name)
                    .statistic(MetricStatistic::from(statistic.as_str()))
                    .set_dimensions(
                        Some(dimensions.iter().map(dimension).collect::<Vec<_>>()).filter(|all| !all.is_empty()),
                    );
                (None, Some(specification.build()))
            }
            metric => (Some(metric.predefined()?), None),
        };
        Ok(TargetTrackingConfiguration::builder()
            .set_predefined_metric_specification(predefined)
            .set_customized_metric_specification(customized)
            .target_value(self.value)
            .disable_scale_in(self.disable_scale_in)
            .build())
    }

    fn problems(&self) -> Vec<Problem> {
        let most = if matches!(self.metric, Metric::Cpu) { 100.0 } else { f64::MAX };
        let mut problems = Vec::new();
        if !(self.value > 0.0 && self.value <= most) {
            let text = "a target is more than 0, and of CPU utilisation at most 100 per cent";
            problems.push(Problem::new("scaling.target.value", text));
        }
        if let Metric::Custom { statistic, .. } = &self.metric
            && !["Average", "Minimum", "Maximum", "SampleCount", "Sum"].contains(&statistic.as_str())
        {
            let text = format!("`{statistic}` is none of Average, Minimum, Maximum, SampleCount and Sum");
            problems.push(Problem::new("scaling.target.metric.custom.statistic", text));
        }
        problems
    }
}

impl Metric {
    fn predefined(&self) -> Result<PredefinedMetricSpecification> {
        let specification = PredefinedMetricSpecification::builder();
        Ok(match self {
            Self::RequestsPerTarget { balancer, targets } => specification
                .predefined_metric_type(MetricType::AlbRequestCountPerTarget)
                .resource_label(resource_label(&balancer.known()?, &targets.known()?)?),
            Self::NetworkIn => specification.predefined_metric_type(MetricType::AsgAverageNetworkIn),
            Self::NetworkOut => specification.predefined_metric_type(MetricType::AsgAverageNetworkOut),
            Self::Cpu | Self::Custom { .. } => {
                specification.predefined_metric_type(MetricType::AsgAverageCpuUtilization)
            }
        }
        .build())
    }
}

/// Converts the configuration of a policy with this ARN into the target that declares it. Returns `None` for a metric that a
/// declaration cannot contain.
fn target(
    configuration: &TargetTrackingConfiguration,
    policy_arn: &str,
    recorded: Option<&TargetTracking>,
) -> Option<TargetTracking> {
    let wanted = recorded.and_then(|recorded| recorded.configuration().ok());
    let same = wanted.is_some_and(|wanted| {
        wanted.predefined_metric_specification() == configuration.predefined_metric_specification()
            && wanted.customized_metric_specification() == configuration.customized_metric_specification()
    });
    let metric = match recorded.filter(|_| same) {
        Some(recorded) => recorded.metric.clone(),
        None => metric(configuration, policy_arn)?,
    };
    Some(TargetTracking {
        metric,
        value: configuration.target_value().unwrap_or_default(),
        disable_scale_in: configuration.disable_scale_in().unwrap_or(false),
    })
}

fn metric(configuration: &TargetTrackingConfiguration, policy_arn: &str) -> Option<Metric> {
    if let Some(custom) = configuration.customized_metric_specification() {
        let dimensions = custom.dimensions().iter();
        return Some(Metric::Custom {
            // A metric that is calculated from others has neither.
            namespace: custom.namespace()?.to_owned(),
            name: custom.metric_name()?.to_owned(),
            dimensions: dimensions
                .filter_map(|dimension| Some((dimension.name()?.to_owned(), dimension.value()?.to_owned())))
                .collect(),
            statistic: custom.statistic()?.as_str().to_owned(),
        });
    }
    let predefined = configuration.predefined_metric_specification()?;
    Some(match predefined.predefined_metric_type()? {
        MetricType::AsgAverageCpuUtilization => Metric::Cpu,
        MetricType::AsgAverageNetworkIn => Metric::NetworkIn,
        MetricType::AsgAverageNetworkOut => Metric::NetworkOut,
        MetricType::AlbRequestCountPerTarget => labelled(predefined.resource_label()?, policy_arn)?,
        _ => return None,
    })
}

/// Returns the metric of a [`resource_label`]. The ARNs of the balancer and the target group have the partition, the region
/// and the account of the policy.
fn labelled(label: &str, policy_arn: &str) -> Option<Metric> {
    let (balancer, targets) = label.split_at(label.find("/targetgroup/")?);
    let mut parts = policy_arn.split(':');
    let (partition, region, account) = (parts.nth(1)?, parts.nth(1)?, parts.next()?);
    let arn = |resource: &str| format!("arn:{partition}:elasticloadbalancing:{region}:{account}:{resource}");
    Some(Metric::RequestsPerTarget {
        balancer: Arn::from(arn(&format!("loadbalancer/{balancer}"))).into(),
        targets: Arn::from(arn(targets.trim_start_matches('/'))).into(),
    })
}

/// Returns the label of a balancer with one of its target groups: `app/NAME/ID/targetgroup/NAME/ID`.
fn resource_label(balancer: &Arn<LoadBalancer>, targets: &Arn<TargetGroup>) -> Result<String> {
    let part = |arn: &str, mark: &str, skipped: usize| {
        let at = arn.find(mark);
        at.map(|at| arn[at + skipped..].to_owned())
            .ok_or_else(|| ProviderError::refused(format!("`{arn}` is no ARN with `{mark}` in it")))
    };
    let balancer = part(balancer.as_str(), "loadbalancer/", "loadbalancer/".len())?;
    let targets = part(targets.as_str(), "targetgroup/", 0)?;
    Ok(format!("{balancer}/{targets}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const BALANCER: &str = "arn:aws:elasticloadbalancing:us-east-1:1:loadbalancer/app/web/50dc6c495c0c9188";
    const TARGETS: &str = "arn:aws:elasticloadbalancing:us-east-1:1:targetgroup/web/943f017f100becff";

    fn group() -> AutoScalingGroupName {
        AutoScalingGroupName::from("web")
    }

    #[test]
    fn label_contains_balancer_and_target_group() {
        let label = resource_label(&BALANCER.into(), &TARGETS.into()).unwrap();
        assert_eq!(label, "app/web/50dc6c495c0c9188/targetgroup/web/943f017f100becff");
        assert!(resource_label(&"x".into(), &TARGETS.into()).is_err());
    }

    #[test]
    fn check_refuses_impossible_targets() {
        assert!(ScalingPolicy::target_cpu(group(), 50.0).check().is_empty());
        for bad in [0.0, 101.0, f64::NAN] {
            assert_eq!(ScalingPolicy::target_cpu(group(), bad).check()[0].property, "scaling.target.value");
        }
        let policy = ScalingPolicy::target_requests(group(), Arn::from(BALANCER), Arn::from(TARGETS), 1000.0);
        assert!(policy.check().is_empty());
    }

    #[test]
    fn existing_policy_as_declared_shows_no_drift() {
        let json = |inputs: &ScalingPolicy| serde_json::to_value(inputs).unwrap();
        let custom = Metric::Custom {
            namespace: "Shop".into(),
            name: "Jobs".into(),
            dimensions: [("queue".to_owned(), "a".to_owned())].into(),
            statistic: "Average".into(),
        };
        for recorded in [
            ScalingPolicy::target_requests(group(), Arn::from(BALANCER), Arn::from(TARGETS), 1000.0),
            ScalingPolicy::target(group(), custom, 3.0),
        ] {
            let Scaling::Target(target) = &recorded.scaling else { panic!("a target") };
            let existing = types::ScalingPolicy::builder().policy_name("scale-abc").policy_arn("arn:policy");
            let existing = existing.target_tracking_configuration(target.configuration().unwrap()).build();
            let existing = (group(), existing);
            let read = |recorded| json(&ScalingPolicy::normalize(&existing, Some(recorded)).inputs.unwrap());
            assert_eq!(read(&recorded), json(&recorded));
            let other = ScalingPolicy::target_cpu(group(), 10.0);
            assert_ne!(read(&other), json(&other));
        }
    }

    #[test]
    fn import_contains_the_metric() {
        let custom = Metric::Custom {
            namespace: "Shop".into(),
            name: "Jobs".into(),
            dimensions: BTreeMap::new(),
            statistic: "Sum".into(),
        };
        let targets = |metric| ScalingPolicy::target(group(), metric, 30.0);
        for declared in [
            targets(Metric::Cpu),
            targets(Metric::NetworkIn),
            targets(Metric::NetworkOut),
            targets(custom),
            ScalingPolicy::target_requests(group(), Arn::from(BALANCER), Arn::from(TARGETS), 1000.0),
        ] {
            let Scaling::Target(target) = &declared.scaling else { panic!("a target") };
            let existing = types::ScalingPolicy::builder()
                .policy_arn("arn:aws:autoscaling:us-east-1:1:scalingPolicy:u:autoScalingGroupName/web:policyName/p")
                .target_tracking_configuration(target.configuration().unwrap());
            let existing = (group(), existing.build());
            ScalingPolicy::check_import(&existing).unwrap();
            let imported = ScalingPolicy::normalize(&existing, None).inputs.unwrap();
            let json = |scaling: &Scaling| serde_json::to_value(scaling).unwrap();
            assert_eq!(json(&imported.scaling), json(&declared.scaling));
        }
    }

    #[test]
    fn policies_that_cannot_be_declared_are_not_imported_and_are_drift() {
        let simple = types::ScalingPolicy::builder().policy_type("SimpleScaling").scaling_adjustment(1).build();
        assert!(ScalingPolicy::check_import(&(group(), simple)).is_err());
        let calculated = TargetTrackingConfiguration::builder()
            .customized_metric_specification(CustomizedMetricSpecification::builder().build())
            .target_value(50.0);
        let calculated = types::ScalingPolicy::builder().target_tracking_configuration(calculated.build()).build();
        let calculated = (group(), calculated);
        assert!(ScalingPolicy::check_import(&calculated).is_err());
        let declared = ScalingPolicy::target_cpu(group(), 50.0);
        let read = ScalingPolicy::normalize(&calculated, Some(&declared)).inputs.unwrap();
        let json = |scaling: &Scaling| serde_json::to_value(scaling).unwrap();
        assert_ne!(json(&read.scaling), json(&declared.scaling));
    }
}
