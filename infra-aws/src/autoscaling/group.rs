//! `aws:autoscaling:AutoScalingGroup`: as many instances as it takes.

use super::{
    describe, health, named,
    refresh::{self, Refresh},
    settings::{self, Process, TerminationPolicy},
};
use crate::{
    client::Aws,
    elbv2::target_group::TargetGroup,
    error::{AwsError, SdkContext, found},
    ids::{Arn, AutoScalingGroupName, LaunchTemplateId, LaunchTemplateVersion, SubnetId},
    region::AwsResource,
    tags, wait,
};
use aws_sdk_autoscaling::{
    Client,
    types::{AutoScalingGroup as Described, LaunchTemplateSpecification},
};
use aws_sdk_ec2::types::{InstanceStateName, Reservation};
use infra_core::{
    Input, Output, Resource, Schema,
    provider::{Context, Created, ErrorKind, Found, Handler, Prior, Problem, ProviderError, Recovery},
    target::Readiness,
};
use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// A group of instances of one launch template, kept at the size it should have.
///
/// Made by `CreateAutoScalingGroup`; changed in place by `UpdateAutoScalingGroup` and
/// `AttachLoadBalancerTargetGroups`/`DetachLoadBalancerTargetGroups`, `SuspendProcesses`/`ResumeProcesses`,
/// `EnableMetricsCollection`/`DisableMetricsCollection` and `CreateOrUpdateTags`/`DeleteTags`. Another template version is rolled out by
/// `StartInstanceRefresh` with auto rollback: when the new instances do not become healthy, the old version stays, and
/// the update fails with the reason. Tags are handed on to the instances.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AutoScalingGroup {
    /// Its name, unique in account and region; derived from the declaration's when none is given.
    pub name: Option<String>,
    /// How many instances there are at least.
    pub min: u32,
    /// How many instances there are at most.
    pub max: u32,
    /// How many instances there should be: applied when the group is made and when the program changes it, so that it
    /// does not undo what scaling policies did. `min` when not given.
    pub desired: Option<u32>,
    /// What the instances are launched from.
    pub template: Input<LaunchTemplateVersion>,
    /// Where they are launched; the group spreads them over the zones of these subnets.
    pub subnets: Input<Vec<SubnetId>>,
    /// The target groups that they are registered with.
    #[serde(default)]
    pub targets: Vec<Input<Arn<TargetGroup>>>,
    /// Whose word counts on whether an instance is healthy; the balancer's when there are targets.
    pub health_check: Option<HealthCheck>,
    /// How many seconds a new instance may be unhealthy before it is replaced: 300, as in AWS's console (the bare API
    /// has 0, which replaces instances while they still boot).
    pub health_grace: u32,
    /// How many seconds a new instance does not count to scaling yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_warmup: Option<u32>,
    /// Which instances end first; AWS's default order when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub termination_policies: Vec<TerminationPolicy>,
    /// Whether new instances are spared when the group shrinks.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protect_from_scale_in: bool,
    /// What the group does not do for now.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suspended: BTreeSet<Process>,
    /// Whether the metrics of the group itself are published, such as how many instances are in service.
    #[serde(default, skip_serializing_if = "is_false")]
    pub metrics: bool,
    /// Tags of one's own, for the group and the instances that it launches.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// How another template version is rolled out.
    #[serde(default)]
    pub refresh: Refresh,
    /// How many seconds to wait until all instances are in service and healthy; 0 does not wait. 600 when not given,
    /// 60 in the local cloud.
    pub wait_for_healthy: Option<u32>,
}

/// Whose word counts on whether an instance is healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthCheck {
    /// EC2's: whether it runs.
    Ec2,
    /// Also the balancer's: whether it answers.
    Elb,
}

/// What an [`AutoScalingGroup`] tells.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct AutoScalingGroupOutputs {
    /// Its name.
    pub name: Output<AutoScalingGroupName>,
    /// Its Amazon Resource Name.
    pub arn: Output<Arn<AutoScalingGroup>>,
}

impl AutoScalingGroup {
    /// One instance of this template version, in one of these subnets.
    pub fn from(template: impl Into<Input<LaunchTemplateVersion>>, subnets: impl Into<Input<Vec<SubnetId>>>) -> Self {
        Self {
            name: None,
            min: 1,
            max: 1,
            desired: None,
            template: template.into(),
            subnets: subnets.into(),
            targets: Vec::new(),
            health_check: None,
            health_grace: 300,
            instance_warmup: None,
            termination_policies: Vec::new(),
            protect_from_scale_in: false,
            suspended: BTreeSet::new(),
            metrics: false,
            tags: BTreeMap::new(),
            refresh: Refresh::default(),
            wait_for_healthy: None,
        }
    }

    fn group_name(&self, cx: &Context<'_, Aws>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }

    fn subnet_ids(&self) -> Result<String, ProviderError> {
        let subnets: Vec<String> = self.subnets.known()?.into_iter().map(String::from).collect();
        Ok(subnets.join(","))
    }

    fn target_arns(&self) -> Result<Vec<String>, ProviderError> {
        self.targets.iter().map(|target| Ok(target.known()?.into())).collect()
    }

    fn health_check_type(&self) -> &'static str {
        let implied = if self.targets.is_empty() { HealthCheck::Ec2 } else { HealthCheck::Elb };
        self.health_check.unwrap_or(implied).word()
    }

    pub(super) fn termination_words(&self) -> Vec<String> {
        let policies = if self.termination_policies.is_empty() {
            &[TerminationPolicy::Default][..]
        } else {
            &self.termination_policies
        };
        policies.iter().map(|policy| policy.word().to_owned()).collect()
    }

    /// How long to wait for health, if at all.
    pub(super) fn patience(&self, cx: &Context<'_, Aws>) -> Option<Duration> {
        let implied = if cx.client().is_local() { 60 } else { 600 };
        let seconds = self.wait_for_healthy.unwrap_or(implied);
        (seconds > 0 && cx.client().readiness() == Readiness::Full).then(|| Duration::from_secs(seconds.into()))
    }
}

// serde hands over a reference.
#[allow(clippy::trivially_copy_pass_by_ref)]
fn is_false(flag: &bool) -> bool {
    !flag
}

impl HealthCheck {
    fn word(self) -> &'static str {
        match self {
            Self::Ec2 => "EC2",
            Self::Elb => "ELB",
        }
    }
}

impl Resource for AutoScalingGroup {
    const TYPE: &'static str = "aws:autoscaling:AutoScalingGroup";
    type Outputs = AutoScalingGroupOutputs;

    fn schema() -> Schema {
        Schema::new()
            .replace_on(["name"])
            .untracked(["refresh", "wait_for_healthy"])
            .regional(["name", "arn"])
            .timeout(refresh::LIMIT + Duration::from_mins(30))
    }
}

impl AwsResource for AutoScalingGroup {}

impl Handler for AutoScalingGroup {
    type Client = Aws;

    fn check(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut refuse = |wrong: bool, property: &str, message: String| {
            if wrong {
                problems.push(Problem::new(property, message));
            }
        };
        let (min, max) = (self.min, self.max);
        let name = self.name.as_deref().unwrap_or("group");
        let bad_name = name.is_empty() || name.len() > 255 || name.contains(':');
        refuse(bad_name, "name", "a name has 1 to 255 characters and no `:`".into());
        refuse(min > max, "max", format!("at most {max} cannot be less than at least {min}"));
        let desired = self.desired.filter(|desired| min <= max && !(min..=max).contains(desired));
        refuse(desired.is_some(), "desired", format!("it must lie between `min`, {min}, and `max`, {max}"));
        let nowhere = self.subnets.known().is_ok_and(|subnets| subnets.is_empty());
        refuse(nowhere, "subnets", "instances need at least one subnet".into());
        let least = self.refresh.min_healthy_percentage.unwrap_or(90);
        let most = self.refresh.max_healthy_percentage.unwrap_or(100);
        let outside = least > 100 || !(100..=200).contains(&most) || most - least.min(most) > 100;
        refuse(outside, "refresh", "it takes 0 to 100 per cent at least, 100 to 200 at most, and 100 between".into());
        let checkpoints = &self.refresh.checkpoints;
        let grow = checkpoints.windows(2).all(|pair| pair[0] < pair[1]);
        let bad = !grow || checkpoints.iter().any(|percent| !(1..=100).contains(percent));
        refuse(bad, "refresh.checkpoints", "they are numbers from 1 to 100 that grow".into());
        problems
    }

    async fn create(cx: &Context<'_, Aws>, inputs: &Self) -> Result<Created<Self>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let name = inputs.group_name(cx);
        match make(cx, &client, &name, inputs).await {
            // The SDK repeats a request whose answer was lost.
            Err(error) if error.kind == ErrorKind::AlreadyExists && ours(cx, &client, &name).await?.is_some() => {}
            made => made?,
        }
        let group = describe(&client, &name).await?.ok_or_else(|| lost(&name))?;
        let created = Created { inputs: None, ..live(&group, inputs) };
        if let Err(error) = switch(&client, &name, &group, inputs).await {
            return Err(created.failed(error.into()));
        }
        match health::wait(cx, &name, inputs.patience(cx)).await {
            Ok(()) => Ok(created),
            Err(error) => Err(created.failed(error)),
        }
    }

    async fn read(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        Ok(describe(&client, &prior.id).await?.map(|group| live(&group, &prior.inputs)))
    }

    async fn update(cx: &Context<'_, Aws>, prior: &Prior<Self>, inputs: &Self) -> Result<Self::Outputs, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let name = &prior.id;
        converge(&client, name, prior, inputs).await?;
        settings::retag(&client, name, &prior.inputs.tags, &inputs.tags).await?;
        let template = inputs.template.known()?;
        let rolled_out = match cx.client().readiness() {
            // Behind a mock server nothing would ever be refreshed.
            Readiness::ControlPlane => {
                let call = client.update_auto_scaling_group().auto_scaling_group_name(name);
                let call = call.launch_template(specification(&template));
                call.send().await.context("UpdateAutoScalingGroup").map(drop).map_err(Into::into)
            }
            Readiness::Full => Box::pin(refresh::roll_out(cx, &client, name, &template, inputs)).await,
        };
        let healthy = match rolled_out {
            Ok(()) => health::wait(cx, name, inputs.patience(cx)).await,
            Err(error) => Err(error),
        };
        match healthy {
            Ok(()) => Ok(prior.outputs.clone()),
            // The version that lives may be the old one.
            Err(error) => match describe(&client, name).await {
                Ok(Some(group)) => Err(live(&group, inputs).failed(error)),
                _ => Err(error),
            },
        }
    }

    async fn delete(cx: &Context<'_, Aws>, prior: &Prior<Self>) -> Result<(), ProviderError> {
        const PATIENCE: Duration = Duration::from_mins(15);
        let client = cx.client().autoscaling(cx.region()?).await;
        let name = &prior.id;
        let group = describe(&client, name).await?.ok_or_else(|| lost(name))?;
        let instances: Vec<String> = group.instances().iter().filter_map(|one| one.instance_id.clone()).collect();
        let deleted = wait::while_needed(cx, "waiting until the group has settled", PATIENCE, async || {
            let call = client.delete_auto_scaling_group().auto_scaling_group_name(name).force_delete(true);
            named(call.send().await.context("DeleteAutoScalingGroup"))
        });
        found(deleted.await)?;
        wait::until(cx, "waiting until the group is gone", PATIENCE, async || {
            Ok(describe(&client, name).await?.is_none().then_some(()))
        })
        .await?;
        wait::until(cx, "waiting until its instances are terminated", PATIENCE, async || {
            Ok(are_terminated(cx, &instances).await?.then_some(()))
        })
        .await
    }

    async fn import(cx: &Context<'_, Aws>, id: &str) -> Result<Option<Created<Self>>, ProviderError> {
        let client = cx.client().autoscaling(cx.region()?).await;
        let unknown = LaunchTemplateVersion { id: LaunchTemplateId::from(""), version: 0 };
        let recorded = Self { name: Some(String::new()), ..Self::from(unknown, Vec::new()) };
        Ok(describe(&client, id).await?.map(|group| live(&group, &recorded)))
    }

    fn recovery() -> Recovery<Self> {
        Recovery::name(|cx: &Context<'_, Aws>, inputs| {
            Box::pin(async move {
                let client = cx.client().autoscaling(cx.region()?).await;
                let group = ours(cx, &client, &inputs.group_name(cx)).await?;
                Ok(Found::from(group.map(|group| live(&group, inputs))))
            })
        })
    }
}

async fn make(
    cx: &Context<'_, Aws>,
    client: &Client,
    name: &str,
    inputs: &AutoScalingGroup,
) -> Result<(), ProviderError> {
    let targets = inputs.target_arns()?;
    let call = client
        .create_auto_scaling_group()
        .auto_scaling_group_name(name)
        .launch_template(specification(&inputs.template.known()?))
        .min_size(inputs.min.cast_signed())
        .max_size(inputs.max.cast_signed())
        .set_desired_capacity(inputs.desired.map(u32::cast_signed))
        .vpc_zone_identifier(inputs.subnet_ids()?)
        .set_target_group_arns((!targets.is_empty()).then_some(targets))
        .health_check_type(inputs.health_check_type())
        .health_check_grace_period(inputs.health_grace.cast_signed())
        .set_default_instance_warmup(inputs.instance_warmup.map(u32::cast_signed))
        .set_termination_policies(Some(inputs.termination_words()))
        .new_instances_protected_from_scale_in(inputs.protect_from_scale_in)
        .set_tags(Some(tags::autoscaling(cx, name, &inputs.tags)));
    let status = "waiting until the instance profile is seen everywhere";
    let made = wait::retry(cx, status, Duration::from_mins(2), profile_is_too_new, async || {
        call.clone().send().await.context("CreateAutoScalingGroup")
    });
    made.await?;
    Ok(())
}

/// An instance profile that was just made is "invalid" for some seconds.
fn profile_is_too_new(error: &AwsError) -> bool {
    let text = error.message.to_ascii_lowercase().replace(' ', "");
    error.is(&["ValidationError"]) && text.contains("iaminstanceprofile")
}

/// Brings everything but the template version in order, whatever it is now.
async fn converge(
    client: &Client,
    name: &str,
    prior: &Prior<AutoScalingGroup>,
    inputs: &AutoScalingGroup,
) -> Result<(), ProviderError> {
    let group = describe(client, name).await?.ok_or_else(|| lost(name))?;
    let desired = inputs.desired.filter(|_| inputs.desired != prior.inputs.desired).map(u32::cast_signed);
    if !has_settings(&group, inputs)? || desired.is_some_and(|desired| group.desired_capacity() != Some(desired)) {
        let call = client
            .update_auto_scaling_group()
            .auto_scaling_group_name(name)
            .min_size(inputs.min.cast_signed())
            .max_size(inputs.max.cast_signed())
            .set_desired_capacity(desired)
            .vpc_zone_identifier(inputs.subnet_ids()?)
            .health_check_type(inputs.health_check_type())
            .health_check_grace_period(inputs.health_grace.cast_signed())
            // AWS's way to take the setting back.
            .default_instance_warmup(inputs.instance_warmup.map_or(-1, u32::cast_signed))
            .set_termination_policies(Some(inputs.termination_words()))
            .new_instances_protected_from_scale_in(inputs.protect_from_scale_in);
        call.send().await.context("UpdateAutoScalingGroup")?;
    }
    let (living, wanted) = (group.target_group_arns(), inputs.target_arns()?);
    let only_in = |left: &[String], right: &[String]| -> Vec<String> {
        left.iter().filter(|arn| !right.contains(arn)).cloned().collect()
    };
    let (attached, detached) = (only_in(&wanted, living), only_in(living, &wanted));
    if !attached.is_empty() {
        let call = client.attach_load_balancer_target_groups().auto_scaling_group_name(name);
        call.set_target_group_arns(Some(attached)).send().await.context("AttachLoadBalancerTargetGroups")?;
    }
    if !detached.is_empty() {
        let call = client.detach_load_balancer_target_groups().auto_scaling_group_name(name);
        call.set_target_group_arns(Some(detached)).send().await.context("DetachLoadBalancerTargetGroups")?;
    }
    Ok(switch(client, name, &group, inputs).await?)
}

/// Brings in order what the group does by itself.
async fn switch(client: &Client, name: &str, group: &Described, inputs: &AutoScalingGroup) -> Result<(), AwsError> {
    settings::suspend(client, name, &settings::suspended(group), &inputs.suspended).await?;
    settings::collect(client, name, settings::collects(group), inputs.metrics).await
}

/// Whether the group has the sizes, subnets and health check that it should have.
fn has_settings(group: &Described, inputs: &AutoScalingGroup) -> Result<bool, ProviderError> {
    let numbers = [group.min_size(), group.max_size(), group.health_check_grace_period()];
    let wanted = [inputs.min, inputs.max, inputs.health_grace].map(|number| Some(number.cast_signed()));
    let subnets = inputs.subnet_ids()?;
    Ok(numbers == wanted
        && same(subnets_of(group), subnets.split(','))
        && health_check_of(group).word() == inputs.health_check_type()
        && settings::warmup_of(group) == inputs.instance_warmup
        && settings::termination_policies_of(group, inputs) == inputs.termination_policies
        && group.new_instances_protected_from_scale_in().unwrap_or(false) == inputs.protect_from_scale_in)
}

/// The group of this name, if this very operation made it.
async fn ours(cx: &Context<'_, Aws>, client: &Client, name: &str) -> Result<Option<Described>, AwsError> {
    let group = describe(client, name).await?;
    Ok(group.filter(|group| tags::are_ours(cx, group.tags().iter().map(|tag| (tag.key(), tag.value())))))
}

async fn are_terminated(cx: &Context<'_, Aws>, instances: &[String]) -> Result<bool, ProviderError> {
    if instances.is_empty() || cx.client().readiness() == Readiness::ControlPlane {
        return Ok(true);
    }
    let ec2 = cx.client().ec2(cx.region()?).await;
    let call = ec2.describe_instances().set_instance_ids(Some(instances.to_vec()));
    let Some(answer) = found(call.send().await.context("DescribeInstances"))? else {
        return Ok(true);
    };
    let mut instances = answer.reservations().iter().flat_map(Reservation::instances);
    Ok(instances.all(|one| one.state().and_then(|state| state.name()) == Some(&InstanceStateName::Terminated)))
}

/// A template version in Auto Scaling's words.
pub(super) fn specification(template: &LaunchTemplateVersion) -> LaunchTemplateSpecification {
    let id = template.id.as_str();
    LaunchTemplateSpecification::builder().launch_template_id(id).version(template.version.to_string()).build()
}

/// The template version that Auto Scaling names, if it is a number.
pub(super) fn version(specification: Option<&LaunchTemplateSpecification>) -> Option<LaunchTemplateVersion> {
    let specification = specification?;
    let version = specification.version()?.parse().ok()?;
    Some(LaunchTemplateVersion { id: LaunchTemplateId::from(specification.launch_template_id()?), version })
}

fn lost(group: &str) -> ProviderError {
    ProviderError::of(ErrorKind::NotFound, format!("the Auto Scaling group {group} is gone"))
}

/// The group as it lives, in the words of the recorded inputs where they say the same.
fn live(group: &Described, recorded: &AutoScalingGroup) -> Created<AutoScalingGroup> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let number = |value: Option<i32>, recorded| value.map_or(recorded, i32::cast_unsigned);
    let same_subnets = recorded.subnet_ids().is_ok_and(|ids| same(ids.split(','), subnets_of(group)));
    let targets = group.target_group_arns();
    let same_targets = recorded
        .target_arns()
        .is_ok_and(|arns| same(arns.iter().map(String::as_str), targets.iter().map(String::as_str)));
    let health_check = health_check_of(group);
    let inputs = AutoScalingGroup {
        name: recorded.name.as_ref().map(|_| name.to_owned()),
        min: number(group.min_size(), recorded.min),
        max: number(group.max_size(), recorded.max),
        desired: recorded.desired,
        template: version(group.launch_template()).map_or_else(|| recorded.template.clone(), Into::into),
        subnets: if same_subnets {
            recorded.subnets.clone()
        } else {
            subnets_of(group).map(SubnetId::from).collect::<Vec<_>>().into()
        },
        targets: if same_targets {
            recorded.targets.clone()
        } else {
            targets.iter().map(|arn| Arn::from(arn.as_str()).into()).collect()
        },
        health_check: if recorded.health_check_type() == health_check.word() {
            recorded.health_check
        } else {
            Some(health_check)
        },
        health_grace: number(group.health_check_grace_period(), recorded.health_grace),
        instance_warmup: settings::warmup_of(group),
        termination_policies: settings::termination_policies_of(group, recorded),
        protect_from_scale_in: group.new_instances_protected_from_scale_in().unwrap_or(false),
        suspended: settings::suspended(group),
        metrics: settings::collects(group),
        tags: settings::own_tags(group, recorded),
        refresh: recorded.refresh.clone(),
        wait_for_healthy: recorded.wait_for_healthy,
    };
    Created {
        id: name.to_owned(),
        inputs: Some(inputs),
        outputs: AutoScalingGroupOutputs {
            name: AutoScalingGroupName::from(name).into(),
            arn: Arn::from(group.auto_scaling_group_arn().unwrap_or_default()).into(),
        },
    }
}

fn subnets_of(group: &Described) -> impl Iterator<Item = &str> {
    group.vpc_zone_identifier().unwrap_or_default().split(',').map(str::trim)
}

fn health_check_of(group: &Described) -> HealthCheck {
    let elb = group.health_check_type().is_some_and(|kind| kind.contains("ELB"));
    if elb { HealthCheck::Elb } else { HealthCheck::Ec2 }
}

fn same<'a>(left: impl Iterator<Item = &'a str>, right: impl Iterator<Item = &'a str>) -> bool {
    left.collect::<BTreeSet<_>>() == right.collect()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use infra_core::value;

    fn group() -> AutoScalingGroup {
        AutoScalingGroup {
            max: 4,
            desired: Some(2),
            targets: vec![Arn::from("arn:targets").into()],
            ..AutoScalingGroup::from(
                LaunchTemplateVersion { id: "lt-1".into(), version: 3 },
                vec![SubnetId::from("subnet-b"), SubnetId::from("subnet-a")],
            )
        }
    }

    #[test]
    fn sizes_must_fit_together() {
        assert!(group().check().is_empty());
        let problems = |group: AutoScalingGroup| -> Vec<String> {
            group.check().into_iter().map(|problem| problem.property).collect()
        };
        assert_eq!(problems(AutoScalingGroup { min: 5, ..group() }), ["max"]);
        assert_eq!(problems(AutoScalingGroup { desired: Some(5), ..group() }), ["desired"]);
        assert_eq!(problems(AutoScalingGroup { name: Some("a:b".into()), ..group() }), ["name"]);
        let wide =
            Refresh { min_healthy_percentage: Some(50), max_healthy_percentage: Some(200), ..Refresh::default() };
        assert_eq!(problems(AutoScalingGroup { refresh: wide, ..group() }), ["refresh"]);
    }

    #[test]
    fn targets_make_the_balancer_judge() {
        assert_eq!(group().health_check_type(), "ELB");
        assert_eq!(AutoScalingGroup { targets: Vec::new(), ..group() }.health_check_type(), "EC2");
        assert_eq!(AutoScalingGroup { health_check: Some(HealthCheck::Ec2), ..group() }.health_check_type(), "EC2");
    }

    #[test]
    fn scaling_is_no_drift_but_another_version_is() {
        let lives = |version: &str| {
            Described::builder()
                .auto_scaling_group_name("web-abc")
                .auto_scaling_group_arn("arn:group")
                .min_size(1)
                .max_size(4)
                .desired_capacity(4)
                .launch_template(
                    LaunchTemplateSpecification::builder().launch_template_id("lt-1").version(version).build(),
                )
                .vpc_zone_identifier("subnet-a,subnet-b")
                .target_group_arns("arn:targets")
                .health_check_type("ELB")
                .health_check_grace_period(300)
                .build()
        };
        let plain = |inputs: &AutoScalingGroup| value::lower(inputs).unwrap().evaluate(&|_| None).unwrap();
        let recorded: AutoScalingGroup = value::from_value(&plain(&group())).unwrap();
        assert_eq!(plain(&live(&lives("3"), &recorded).inputs.unwrap()), plain(&recorded));
        let read = plain(&live(&lives("2"), &recorded).inputs.unwrap());
        let read: AutoScalingGroup = value::from_value(&read).unwrap();
        assert_eq!(read.template.known().unwrap().version, 2);
    }
}
