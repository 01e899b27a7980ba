//! `aws:autoscaling:ScalingPolicy`: when a group grows and shrinks.

use super::{
    import_id, named,
    steps::{Step, Steps},
};
use crate::{
    client::Aws,
    elbv2::{load_balancer::LoadBalancer, target_group::TargetGroup},
    error::{AwsError, SdkContext, found},
    ids::{Arn, AutoScalingGroupName},
    region::AwsResource,
};
use aws_sdk_autoscaling::{
    Client,
    types::{
        CustomizedMetricSpecification, MetricDimension, MetricStatistic, MetricType, PredefinedMetricSpecification,
        ScalingPolicy as Described, TargetTrackingConfiguration,
    },
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// When a group grows and shrinks: to keep a metric near a value, or step by step when an alarm says so.
///
/// Made and changed by `PutScalingPolicy`, which also makes the alarms that follow a target; the alarm of a policy with
/// steps is a [`MetricAlarm`](crate::MetricAlarm) with the policy among its actions.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// Its name, unique in the group; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The name of the group.
    pub group: Input<AutoScalingGroupName>,
    /// How it scales.
    pub scaling: Scaling,
    /// How many seconds a new instance does not count yet; the group's own when not given.
    pub instance_warmup: Option<u32>,
}

/// How a policy scales.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Scaling {
    /// So that a metric stays near a value.
    Target(Target),
    /// By more the further a metric is beyond its alarm's threshold.
    Steps(Steps),
}

/// A metric and the value that it should stay near.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Target {
    /// What is measured.
    pub metric: Metric,
    /// The value that the metric should stay near.
    pub value: f64,
    /// Whether the group only ever grows by this policy.
    #[serde(default)]
    pub disable_scale_in: bool,
}

/// What a policy follows.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Metric {
    /// The average CPU utilisation of the group, in per cent.
    Cpu,
    /// The requests that each target gets in a minute.
    RequestsPerTarget {
        /// The balancer that counts them.
        balancer: Input<Arn<LoadBalancer>>,
        /// The target group that the group is attached to.
        targets: Input<Arn<TargetGroup>>,
    },
    /// A metric of one's own, which falls when the group grows.
    Custom {
        /// Its namespace, such as `Shop`.
        namespace: String,
        /// Its name.
        name: String,
        /// Its dimensions by name.
        #[serde(default)]
        dimensions: BTreeMap<String, String>,
        /// What counts of a minute: `Average`, `Minimum`, `Maximum`, `SampleCount` or `Sum`.
        statistic: String,
    },
}

/// What a [`ScalingPolicy`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingPolicyOutputs {
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<ScalingPolicy>>,
    /// Its name.
    pub name: Output<String>,
}

impl ScalingPolicy {
    /// Keeps the average CPU utilisation of the group near so many per cent.
    pub fn target_cpu(group: impl Into<Input<AutoScalingGroupName>>, percent: f64) -> Self {
        Self::target(group, Metric::Cpu, percent)
    }

    /// Keeps the requests that each target gets in a minute near this number.
    pub fn target_requests(
        group: impl Into<Input<AutoScalingGroupName>>,
        balancer: impl Into<Input<Arn<LoadBalancer>>>,
        targets: impl Into<Input<Arn<TargetGroup>>>,
        per_minute: f64,
    ) -> Self {
        let metric = Metric::RequestsPerTarget { balancer: balancer.into(), targets: targets.into() };
        Self::target(group, metric, per_minute)
    }

    /// Keeps a metric near a value.
    pub fn target(group: impl Into<Input<AutoScalingGroupName>>, metric: Metric, value: f64) -> Self {
        Self::of(group.into(), Scaling::Target(Target { metric, value, disable_scale_in: false }))
    }

    /// Adds, or takes away, more instances the further a metric is beyond the threshold of the policy's alarm.
    pub fn steps(group: impl Into<Input<AutoScalingGroupName>>, steps: impl IntoIterator<Item = Step>) -> Self {
        Self::of(group.into(), Scaling::Steps(Steps::changing(steps)))
    }

    fn of(group: Input<AutoScalingGroupName>, scaling: Scaling) -> Self {
        Self { name: None, group, scaling, instance_warmup: None }
    }

    fn policy_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }
}

impl Target {
    fn configuration(&self) -> Result<TargetTrackingConfiguration, ProviderError> {
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
    fn predefined(&self) -> Result<PredefinedMetricSpecification, ProviderError> {
        let specification = PredefinedMetricSpecification::builder();
        Ok(match self {
            Self::RequestsPerTarget { balancer, targets } => specification
                .predefined_metric_type(MetricType::AlbRequestCountPerTarget)
                .resource_label(resource_label(&balancer.known()?, &targets.known()?)?),
            _ => specification.predefined_metric_type(MetricType::AsgAverageCpuUtilization),
        }
        .build())
    }
}

impl Resource for ScalingPolicy {
    const TYPE: &'static str = "aws:autoscaling:ScalingPolicy";
    type Outputs = ScalingPolicyOutputs;

    fn schema() -> Schema {
        Schema::new().replace_on(["name", "group"]).regional(["arn"])
    }
}

impl AwsResource for ScalingPolicy {}

impl Handler for ScalingPolicy {
    type Client = Aws;

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

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let name = inputs.policy_name(cx);
        let outputs = put(&client, &name, inputs).await?;
        Ok(Created::new(name, outputs))
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let policy = describe(&client, &prior.inputs.group.known()?, &prior.id).await?;
        Ok(policy.map(|policy| live(&policy, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        put(&client, &prior.id, inputs).await
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let group = prior.inputs.group.known()?;
        let call = client.delete_policy().auto_scaling_group_name(group.as_str()).policy_name(&prior.id);
        match named(call.send().await.context("DeletePolicy")) {
            // The group takes its policies with it.
            Err(error) if error.is(&["ScalingActivityInProgress"]) => Ok(()),
            answer => Ok(answer.map(drop)?),
        }
    }

    /// By `GROUP/POLICY`.
    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let (group, name) = import_id(id, "POLICY")?;
        let recorded = Self { name: Some(name.to_owned()), ..Self::target_cpu(group.clone(), 50.0) };
        Ok(describe(&client, &group, name).await?.map(|policy| live(&policy, &recorded)))
    }

    fn recovery() -> Recovery<Self> {
        // PutScalingPolicy is the same done twice, and the group is the program's own.
        Recovery::key(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().autoscaling(cx.region()?).await;
                let policy = describe(&client, &inputs.group.known()?, &inputs.policy_name(cx)).await?;
                Ok(Found::from(policy.map(|policy| live(&policy, inputs))))
            })
        })
    }
}

async fn put(client: &Client, name: &str, inputs: &ScalingPolicy) -> Result<ScalingPolicyOutputs, ProviderError> {
    let group = inputs.group.known()?;
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
    let answer = call.send().await.context("PutScalingPolicy")?;
    let told = answer.policy_arn().filter(|arn| !arn.is_empty()).map(str::to_owned);
    let arn = match told {
        Some(arn) => arn,
        // Some servers only tell when they are asked.
        None => describe(client, &group, name).await?.and_then(|policy| policy.policy_arn).unwrap_or_default(),
    };
    Ok(ScalingPolicyOutputs { arn: Arn::from(arn).into(), name: name.into() })
}

async fn describe(client: &Client, group: &AutoScalingGroupName, name: &str) -> Result<Option<Described>, AwsError> {
    let call = client.describe_policies().auto_scaling_group_name(group.as_str()).policy_names(name);
    let answer = found(named(call.send().await.context("DescribePolicies")))?;
    Ok(answer.and_then(|answer| answer.scaling_policies.unwrap_or_default().pop()))
}

/// The policy as it lives, in the words of the recorded inputs where they say the same.
fn live(policy: &Described, recorded: &ScalingPolicy) -> Created<ScalingPolicy> {
    let name = policy.policy_name().unwrap_or_default();
    let scaling = match (policy.target_tracking_configuration(), &recorded.scaling) {
        (Some(configuration), Scaling::Target(recorded)) => Scaling::Target(live_target(configuration, Some(recorded))),
        (Some(configuration), Scaling::Steps(_)) => Scaling::Target(live_target(configuration, None)),
        (None, Scaling::Steps(recorded)) => Scaling::Steps(Steps::of(policy, Some(recorded))),
        (None, Scaling::Target(_)) => Scaling::Steps(Steps::of(policy, None)),
    };
    let inputs = ScalingPolicy {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        group: recorded.group.clone(),
        scaling,
        instance_warmup: policy.estimated_instance_warmup().map(i32::cast_unsigned),
    };
    Created {
        id: name.to_owned(),
        inputs: Some(inputs),
        outputs: ScalingPolicyOutputs {
            arn: Arn::from(policy.policy_arn().unwrap_or_default()).into(),
            name: name.into(),
        },
    }
}

fn live_target(configuration: &TargetTrackingConfiguration, recorded: Option<&Target>) -> Target {
    let wanted = recorded.and_then(|recorded| recorded.configuration().ok());
    let same = wanted.is_some_and(|wanted| {
        wanted.predefined_metric_specification() == configuration.predefined_metric_specification()
            && wanted.customized_metric_specification() == configuration.customized_metric_specification()
    });
    let metric = match (recorded, configuration.customized_metric_specification()) {
        (Some(recorded), _) if same => recorded.metric.clone(),
        (_, Some(custom)) => Metric::Custom {
            namespace: custom.namespace().unwrap_or_default().to_owned(),
            name: custom.metric_name().unwrap_or_default().to_owned(),
            dimensions: custom
                .dimensions()
                .iter()
                .filter_map(|dimension| Some((dimension.name()?.to_owned(), dimension.value()?.to_owned())))
                .collect(),
            statistic: custom.statistic().map_or_else(String::new, |statistic| statistic.as_str().to_owned()),
        },
        // The label of a balancer does not tell its whole ARN.
        _ => Metric::Cpu,
    };
    let label = configuration.predefined_metric_specification().and_then(PredefinedMetricSpecification::resource_label);
    // A policy that measures something else has no target here: that is seen as a change.
    let foreign = !same && label.is_some();
    Target {
        metric,
        value: configuration.target_value().filter(|_| !foreign).unwrap_or_default(),
        disable_scale_in: configuration.disable_scale_in().unwrap_or(false),
    }
}

/// How CloudWatch names a balancer together with one of its target groups: `app/NAME/ID/targetgroup/NAME/ID`.
fn resource_label(balancer: &Arn<LoadBalancer>, targets: &Arn<TargetGroup>) -> Result<String, ProviderError> {
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
    fn requests_are_counted_by_balancer_and_target_group() {
        let label = resource_label(&BALANCER.into(), &TARGETS.into()).unwrap();
        assert_eq!(label, "app/web/50dc6c495c0c9188/targetgroup/web/943f017f100becff");
        assert!(resource_label(&"x".into(), &TARGETS.into()).is_err());
    }

    #[test]
    fn targets_make_sense() {
        assert!(ScalingPolicy::target_cpu(group(), 50.0).check().is_empty());
        for bad in [0.0, 101.0, f64::NAN] {
            assert_eq!(ScalingPolicy::target_cpu(group(), bad).check()[0].property, "scaling.target.value");
        }
        let policy = ScalingPolicy::target_requests(group(), Arn::from(BALANCER), Arn::from(TARGETS), 1000.0);
        assert!(policy.check().is_empty());
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
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
            let lives = Described::builder().policy_name("scale-abc").policy_arn("arn:policy");
            let lives = lives.target_tracking_configuration(target.configuration().unwrap()).build();
            assert_eq!(json(&live(&lives, &recorded).inputs.unwrap()), json(&recorded));
            let other = ScalingPolicy::target_cpu(group(), 10.0);
            assert_ne!(json(&live(&lives, &other).inputs.unwrap()), json(&other));
        }
    }
}
