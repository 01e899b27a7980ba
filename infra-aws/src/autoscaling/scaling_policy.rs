//! `aws:autoscaling:ScalingPolicy`: when a group grows and shrinks.

use super::named;
use crate::{
    client::Aws,
    elb::{load_balancer::LoadBalancer, target_group::TargetGroup},
    error::{AwsError, SdkContext, found},
    ids::{Arn, AutoScalingGroupName},
    region::AwsResource,
};
use aws_sdk_autoscaling::{
    Client,
    types::{MetricType, PredefinedMetricSpecification, ScalingPolicy as Described, TargetTrackingConfiguration},
};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, Found, Handler, Prior, Problem, ProviderError, Recovery},
};
use serde::{Deserialize, Serialize};

/// A target tracking policy: the group grows and shrinks so that a metric stays near a value.
///
/// Made and changed by `PutScalingPolicy`, which also makes the alarms it needs.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ScalingPolicy {
    /// Its name, unique in the group; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// The name of the group.
    pub group: Input<AutoScalingGroupName>,
    /// What is measured.
    pub metric: Metric,
    /// The value that the metric should stay near.
    pub target: f64,
    /// Whether the group only ever grows by this policy.
    #[serde(default)]
    pub disable_scale_in: bool,
    /// How many seconds a new instance does not count yet; the group's own when not given.
    pub instance_warmup: Option<u32>,
}

/// What a policy measures.
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
        Self::tracking(group.into(), Metric::Cpu, percent)
    }

    /// Keeps the requests that each target gets in a minute near this number.
    pub fn target_requests(
        group: impl Into<Input<AutoScalingGroupName>>,
        balancer: impl Into<Input<Arn<LoadBalancer>>>,
        targets: impl Into<Input<Arn<TargetGroup>>>,
        per_minute: f64,
    ) -> Self {
        let metric = Metric::RequestsPerTarget { balancer: balancer.into(), targets: targets.into() };
        Self::tracking(group.into(), metric, per_minute)
    }

    fn tracking(group: Input<AutoScalingGroupName>, metric: Metric, target: f64) -> Self {
        Self { name: None, group, metric, target, disable_scale_in: false, instance_warmup: None }
    }

    fn policy_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }

    fn configuration(&self) -> Result<TargetTrackingConfiguration, ProviderError> {
        let metric = self.metric.specification()?;
        let configuration = TargetTrackingConfiguration::builder()
            .predefined_metric_specification(metric)
            .target_value(self.target)
            .disable_scale_in(self.disable_scale_in);
        Ok(configuration.build())
    }
}

impl Metric {
    fn specification(&self) -> Result<PredefinedMetricSpecification, ProviderError> {
        let specification = PredefinedMetricSpecification::builder();
        Ok(match self {
            Self::Cpu => specification.predefined_metric_type(MetricType::AsgAverageCpuUtilization),
            Self::RequestsPerTarget { balancer, targets } => specification
                .predefined_metric_type(MetricType::AlbRequestCountPerTarget)
                .resource_label(resource_label(&balancer.known()?, &targets.known()?)?),
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
        let mut problems = Vec::new();
        if self.name.as_deref().is_some_and(|name| name.is_empty() || name.len() > 255 || name.contains(':')) {
            problems.push(Problem::new("name", "a name has 1 to 255 characters and no `:`"));
        }
        let most = if matches!(self.metric, Metric::Cpu) { 100.0 } else { f64::MAX };
        if !(self.target > 0.0 && self.target <= most) {
            problems
                .push(Problem::new("target", "a target is more than 0, and of CPU utilisation at most 100 per cent"));
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
    let answer = client
        .put_scaling_policy()
        .auto_scaling_group_name(inputs.group.known()?.as_str())
        .policy_name(name)
        .policy_type("TargetTrackingScaling")
        .target_tracking_configuration(inputs.configuration()?)
        .set_estimated_instance_warmup(inputs.instance_warmup.map(u32::cast_signed))
        .send()
        .await
        .context("PutScalingPolicy")?;
    let arn = Arn::from(answer.policy_arn().unwrap_or_default());
    Ok(ScalingPolicyOutputs { arn: arn.into(), name: name.into() })
}

async fn describe(client: &Client, group: &AutoScalingGroupName, name: &str) -> Result<Option<Described>, AwsError> {
    let call = client.describe_policies().auto_scaling_group_name(group.as_str()).policy_names(name);
    let answer = found(named(call.send().await.context("DescribePolicies")))?;
    Ok(answer.and_then(|answer| answer.scaling_policies.unwrap_or_default().pop()))
}

/// The policy as it lives, in the words of the recorded inputs where they say the same.
fn live(policy: &Described, recorded: &ScalingPolicy) -> Created<ScalingPolicy> {
    let name = policy.policy_name().unwrap_or_default();
    let configuration = policy.target_tracking_configuration();
    let same_metric = recorded.metric.specification().is_ok_and(|metric| {
        configuration.and_then(|configuration| configuration.predefined_metric_specification()) == Some(&metric)
    });
    let inputs = ScalingPolicy {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        group: recorded.group.clone(),
        metric: if same_metric { recorded.metric.clone() } else { Metric::Cpu },
        // A policy that measures something else has no target here: that is seen as a change.
        target: configuration
            .filter(|_| same_metric)
            .and_then(TargetTrackingConfiguration::target_value)
            .unwrap_or_default(),
        disable_scale_in: configuration.and_then(TargetTrackingConfiguration::disable_scale_in).unwrap_or(false),
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

    #[test]
    fn requests_are_counted_by_balancer_and_target_group() {
        let label = resource_label(&BALANCER.into(), &TARGETS.into()).unwrap();
        assert_eq!(label, "app/web/50dc6c495c0c9188/targetgroup/web/943f017f100becff");
        assert!(resource_label(&"x".into(), &TARGETS.into()).is_err());
    }

    #[test]
    fn targets_make_sense() {
        let group = || AutoScalingGroupName::from("web");
        assert!(ScalingPolicy::target_cpu(group(), 50.0).check().is_empty());
        for bad in [0.0, 101.0, f64::NAN] {
            assert_eq!(ScalingPolicy::target_cpu(group(), bad).check()[0].property, "target");
        }
        let policy = ScalingPolicy::target_requests(group(), Arn::from(BALANCER), Arn::from(TARGETS), 1000.0);
        assert!(policy.check().is_empty());
    }

    #[test]
    fn what_lives_as_declared_shows_no_drift() {
        let recorded = ScalingPolicy::target_requests(
            AutoScalingGroupName::from("web"),
            Arn::from(BALANCER),
            Arn::from(TARGETS),
            1000.0,
        );
        let lives = Described::builder().policy_name("scale-abc").policy_arn("arn:policy");
        let lives = lives.target_tracking_configuration(recorded.configuration().unwrap()).build();
        let json = |inputs: &ScalingPolicy| serde_json::to_value(inputs).unwrap();
        assert_eq!(json(&live(&lives, &recorded).inputs.unwrap()), json(&recorded));
        let other = ScalingPolicy { target: 10.0, ..recorded };
        assert_ne!(json(&live(&lives, &other).inputs.unwrap()), json(&other));
    }
}
