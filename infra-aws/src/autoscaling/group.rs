//! `aws:autoscaling:AutoScalingGroup`: a group of instances with a desired size.

use super::{
    classified, describe, health,
    refresh::{self, Refresh, Rollout},
    settings::{self, Process, TerminationPolicy},
    template::{specification, version},
};
use crate::{elbv2::target_group::TargetGroup, error::AwsError, prelude::*};
use aws_sdk_autoscaling::{Client, types};
use aws_sdk_ec2::types::{InstanceStateName, Reservation};
use infra_core::target::Readiness;
use std::{collections::BTreeSet, time::Duration};

/// An Auto Scaling group: instances of one launch template, whose number is kept at the desired size.
///
/// A create and an update finish when all instances are in service and healthy. Another template version is rolled out
/// by an instance refresh with automatic rollback: if the new instances do not become healthy, the group keeps the
/// previous version, and the update fails with the reason. Tags are propagated to the instances.
///
/// # Example
/// ```
/// # use infra_aws::{self as aws, *};
/// # use infra_core::{Config, Result, Stack};
/// # fn program(stack: &Stack, _: &Config) -> Result {
/// # let virginia = aws::region(stack, "us-east-1");
/// # let network = virginia.lookup(DefaultVpc);
/// # let template = virginia.add("template", LaunchTemplate::new("t3.micro"));
/// # let targets = virginia.add("targets", TargetGroup::http(8080, network.vpc_id));
/// let group = virginia.add("group", AutoScalingGroup {
///     min: 1,
///     max: 4,
///     desired: Some(2),
///     targets: vec![targets.arn],
///     ..AutoScalingGroup::from(template.version(), network.subnets)
/// });
/// virginia.add("scale-on-cpu", ScalingPolicy::target_cpu(group.name, 50.0));
/// # Ok(())
/// # }
/// # assert!(infra_core::testing::declare(&program).is_ok());
/// ```
///
/// # API operations
/// - Create: `CreateAutoScalingGroup`; `SuspendProcesses`, `EnableMetricsCollection`; those of the wait for healthy
///   instances
/// - Read: `DescribeAutoScalingGroups`
/// - Update: `DescribeAutoScalingGroups`, `UpdateAutoScalingGroup`, `AttachLoadBalancerTargetGroups`,
///   `DetachLoadBalancerTargetGroups`, `SuspendProcesses`, `ResumeProcesses`, `EnableMetricsCollection`,
///   `DisableMetricsCollection`, `CreateOrUpdateTags`, `DeleteTags`; for a rollout `StartInstanceRefresh`,
///   `DescribeInstanceRefreshes`, `RollbackInstanceRefresh` and `CancelInstanceRefresh`; those of the wait for healthy
///   instances
/// - Wait for healthy instances: `DescribeAutoScalingGroups`, `DescribeTargetHealth`; if it fails,
///   `DescribeScalingActivities` and `GetConsoleOutput` find the reason
/// - Delete: `DescribeAutoScalingGroups`, `DeleteAutoScalingGroup` with its instances; `DescribeInstances` until they
///   are terminated
///
/// # Replacement
/// A change of `name` replaces the group, and so does a change of the VPC of its subnets, because instances of one VPC
/// cannot be targets in another one. The new group is created before the previous one is deleted. All other changes are
/// made in place; those of `refresh` and `wait_for_healthy` take effect at the next update.
///
/// # Import
/// The import takes the name of the group:
///
/// ```console
/// $ stack import aws:autoscaling:AutoScalingGroup group web --region us-east-1
/// ```
#[derive(Clone, Debug, Serialize, Deserialize, Resource)]
#[resource(type = "aws:autoscaling:AutoScalingGroup", timeout = refresh::LIMIT + Duration::from_mins(30))]
pub struct AutoScalingGroup {
    /// Name, unique in the account and region: 1 to 255 characters without `:`. When omitted, the declaration's name
    /// with a unique suffix. A change replaces the group.
    #[resource(replace)]
    pub name: Option<String>,
    /// Minimum number of instances; 1 by default.
    pub min: u32,
    /// Maximum number of instances, not less than `min`; 1 by default.
    pub max: u32,
    /// Desired number of instances, from `min` to `max`; `min` when omitted. It is set when the group is created and
    /// when the program changes it, so that an update does not revert the effect of scaling policies.
    pub desired: Option<u32>,
    /// Launch template and number of the version that the instances have: `template.version()`.
    pub template: Input<LaunchTemplateVersion>,
    /// Ids of the subnets, at least one. The instances are distributed over their availability zones.
    #[resource(follows = "vpc_id")]
    pub subnets: Input<Vec<SubnetId>>,
    /// ARNs of the target groups with which the instances are registered; none by default.
    #[serde(default)]
    pub targets: Vec<Input<Arn<TargetGroup>>>,
    /// Checks that decide whether an instance is replaced; when omitted, [`HealthCheck::Elb`] with `targets` and
    /// [`HealthCheck::Ec2`] without.
    pub health_check: Option<HealthCheck>,
    /// Time after its launch for which an instance may be unhealthy, in seconds; 300 by default, as in the AWS console.
    /// The API's default, 0, replaces instances while they boot.
    pub health_grace: u32,
    /// Time until the metrics of a new instance count for scaling policies, in seconds; none when omitted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub instance_warmup: Option<u32>,
    /// Criteria that select the instance to terminate when the group shrinks, in the order of their precedence; the
    /// default policy of AWS when empty.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub termination_policies: Vec<TerminationPolicy>,
    /// Indicates whether new instances are protected from scale-in; false by default.
    #[serde(default, skip_serializing_if = "is_false")]
    pub protect_from_scale_in: bool,
    /// Suspended processes; none by default.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub suspended: BTreeSet<Process>,
    /// Indicates whether metrics of the group are published, such as the number of instances in service, every minute;
    /// false by default.
    #[serde(default, skip_serializing_if = "is_false")]
    pub metrics: bool,
    /// User-defined tags of the group and of its new instances: key → value.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, String>,
    /// Preferences of the rollout of another template version. A change alone does not update the group.
    #[serde(default)]
    #[resource(untracked)]
    pub refresh: Refresh,
    /// Longest time until all instances are in service and healthy, in seconds; 0 disables waiting. When omitted, 600,
    /// and 60 in the local cloud. A change alone does not update the group.
    #[resource(untracked)]
    pub wait_for_healthy: Option<u32>,
}

/// Health checks of instances.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "UPPERCASE")]
pub enum HealthCheck {
    /// Status checks of EC2.
    Ec2,
    /// Status checks of EC2 and health checks of the balancer.
    Elb,
}

/// Outputs of an [`AutoScalingGroup`].
#[derive(Clone, Debug, Serialize, Deserialize, Outputs)]
pub struct AutoScalingGroupOutputs {
    /// Name of the group.
    #[output(regional)]
    pub name: Output<AutoScalingGroupName>,
    /// Amazon Resource Name of the group.
    #[output(regional)]
    pub arn: Output<Arn<AutoScalingGroup>>,
}

impl AutoScalingGroup {
    /// Returns a group of one instance of this template version, in one of these subnets.
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

    fn group_name(&self, cx: &Context<'_>) -> String {
        self.name.clone().unwrap_or_else(|| cx.unique_name(255))
    }

    fn subnet_ids(&self) -> Result<String> {
        let subnets: Vec<String> = self.subnets.known()?.into_iter().map(String::from).collect();
        Ok(subnets.join(","))
    }

    fn target_arns(&self) -> Result<Vec<String>> {
        self.targets.iter().map(|target| Ok(target.known()?.into())).collect()
    }

    fn health_check_type(&self) -> &'static str {
        let implied = if self.targets.is_empty() { HealthCheck::Ec2 } else { HealthCheck::Elb };
        self.health_check.unwrap_or(implied).word()
    }

    /// Returns the longest time until all instances are healthy, unless it is not awaited.
    fn healthy_timeout(&self, cx: &Context<'_>) -> Option<Duration> {
        let implied = if cx.client().is_local() { 60 } else { 600 };
        let seconds = self.wait_for_healthy.unwrap_or(implied);
        (seconds > 0 && cx.client().readiness() == Readiness::Full).then(|| Duration::from_secs(seconds.into()))
    }
}

// serde passes a reference.
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

impl AwsResource for AutoScalingGroup {}

impl Described for AutoScalingGroup {
    type Client = Aws;
    type Api = Client;
    type Description = types::AutoScalingGroup;

    const FOUND_BY: FoundBy = FoundBy::Name;

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
        refuse(min > max, "max", format!("the maximum, {max}, cannot be less than the minimum, {min}"));
        let desired = self.desired.filter(|desired| min <= max && !(min..=max).contains(desired));
        refuse(desired.is_some(), "desired", format!("it must be between `min`, {min}, and `max`, {max}"));
        let without_subnets = self.subnets.known().is_ok_and(|subnets| subnets.is_empty());
        refuse(without_subnets, "subnets", "instances need at least one subnet".into());
        let least = self.refresh.min_healthy_percentage.unwrap_or(90);
        let most = self.refresh.max_healthy_percentage.unwrap_or(100);
        let outside = least > 100 || !(100..=200).contains(&most) || most - least.min(most) > 100;
        refuse(
            outside,
            "refresh",
            "the minimum is 0 to 100 per cent, the maximum 100 to 200, and their difference at most 100".into(),
        );
        let checkpoints = &self.refresh.checkpoints;
        let ascending = checkpoints.windows(2).all(|pair| pair[0] < pair[1]);
        let bad = !ascending || checkpoints.iter().any(|percent| !(1..=100).contains(percent));
        refuse(bad, "refresh.checkpoints", "checkpoints are percentages from 1 to 100 in ascending order".into());
        problems
    }

    async fn create(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Self::Description> {
        let name = inputs.group_name(cx);
        let targets = inputs.target_arns()?;
        let call = client
            .create_auto_scaling_group()
            .auto_scaling_group_name(&name)
            .launch_template(specification(&inputs.template.known()?))
            .min_size(inputs.min.cast_signed())
            .max_size(inputs.max.cast_signed())
            .set_desired_capacity(inputs.desired.map(u32::cast_signed))
            .vpc_zone_identifier(inputs.subnet_ids()?)
            .set_target_group_arns((!targets.is_empty()).then_some(targets))
            .health_check_type(inputs.health_check_type())
            .health_check_grace_period(inputs.health_grace.cast_signed())
            .set_default_instance_warmup(inputs.instance_warmup.map(u32::cast_signed))
            .set_termination_policies(Some(settings::termination_words(&inputs.termination_policies)))
            .new_instances_protected_from_scale_in(inputs.protect_from_scale_in)
            .set_tags(Some(settings::tags_for_create(cx, &name, &inputs.tags)));
        let status = "waiting until the instance profile is visible everywhere";
        wait::retry(cx, status, Duration::from_mins(2), is_new_profile, async || {
            call.clone().send().await.context("CreateAutoScalingGroup")
        })
        .await?;
        wait::created::<Self>(cx, client, &name).await
    }

    async fn apply(cx: &Context<'_>, client: &Client, update: Update<'_, Self>) -> Result<Self::Outputs> {
        let (name, new) = (update.id, update.new);
        let group = wait::visible(cx, client, &update).await?;
        if let Some(old) = update.old {
            modify(client, &group, old, new).await?;
            replace_targets(client, &group, new).await?;
        }
        settings::suspend(client, name, &settings::suspended(&group), &new.suspended).await?;
        settings::collect_metrics(client, name, settings::has_metrics(&group), new.metrics).await?;
        settings::retag(client, name, update.old.map(|old| &old.tags), &new.tags).await?;
        let healthy = async {
            if update.old.is_some() {
                Box::pin(roll_out(cx, client, name, new)).await?;
            }
            health::wait(cx, name, new.healthy_timeout(cx)).await
        };
        match healthy.await {
            Ok(()) => Ok(update.outputs.clone()),
            // The group may have the previous version.
            Err(error) => match describe(client, name).await {
                Ok(Some(group)) => Err(Self::normalize(&group, Some(new)).failed(error)),
                _ => Err(error),
            },
        }
    }

    async fn delete(cx: &Context<'_>, client: &Client, prior: &Prior<Self>) -> Result<()> {
        const TIMEOUT: Duration = Duration::from_mins(15);
        let name = &prior.id;
        let group = Self::require(cx, client, name).await?;
        let instances: Vec<String> = group.instances().iter().filter_map(|one| one.instance_id.clone()).collect();
        let deleted =
            wait::retry_while_in_use(cx, "waiting until scaling activities have finished", TIMEOUT, async || {
                let call = client.delete_auto_scaling_group().auto_scaling_group_name(name).force_delete(true);
                classified(call.send().await.context("DeleteAutoScalingGroup"))
            });
        found(deleted.await)?;
        wait::until(cx, "waiting until the group is deleted", TIMEOUT, async || {
            Ok(describe(client, name).await?.is_none().then_some(()))
        })
        .await?;
        wait::until(cx, "waiting until the instances are terminated", TIMEOUT, async || {
            Ok(are_terminated(cx, &instances).await?.then_some(()))
        })
        .await
    }

    async fn describe(_: &Context<'_>, client: &Client, name: &str) -> Result<Option<Self::Description>> {
        Ok(describe(client, name).await?)
    }

    async fn find_created(cx: &Context<'_>, client: &Client, inputs: &Self) -> Result<Option<Self::Description>> {
        let existing = describe(client, &inputs.group_name(cx)).await?;
        Ok(existing.filter(|group| tags::are_of_operation(cx, &settings::tags_of(group))))
    }

    fn normalize(group: &Self::Description, recorded: Option<&Self>) -> Created<Self> {
        let unknown = LaunchTemplateVersion { id: LaunchTemplateId::from(""), version: 0 };
        let blank = Self::from(unknown, Vec::new());
        let old = recorded.unwrap_or(&blank);
        let name = group.auto_scaling_group_name().unwrap_or_default();
        let number = |value: Option<i32>, recorded| value.map_or(recorded, i32::cast_unsigned);
        let same_subnets = old.subnet_ids().is_ok_and(|ids| same(ids.split(','), subnets_of(group)));
        let targets = group.target_group_arns();
        let same_targets = old
            .target_arns()
            .is_ok_and(|arns| same(arns.iter().map(String::as_str), targets.iter().map(String::as_str)));
        let health_check = health_check_of(group);
        let same_health_check = old.health_check_type() == health_check.word();
        Created {
            id: name.to_owned(),
            inputs: Some(Self {
                name: recorded.is_none_or(|recorded| recorded.name.is_some()).then(|| name.to_owned()),
                min: number(group.min_size(), old.min),
                max: number(group.max_size(), old.max),
                desired: old.desired,
                template: version(group.launch_template()).map_or_else(|| old.template.clone(), Into::into),
                subnets: if same_subnets {
                    old.subnets.clone()
                } else {
                    subnets_of(group).map(SubnetId::from).collect::<Vec<_>>().into()
                },
                targets: if same_targets {
                    old.targets.clone()
                } else {
                    targets.iter().map(|arn| Arn::from(arn.as_str()).into()).collect()
                },
                health_check: if same_health_check { old.health_check } else { Some(health_check) },
                health_grace: number(group.health_check_grace_period(), old.health_grace),
                instance_warmup: settings::warmup(group),
                termination_policies: settings::termination_policies(group, &old.termination_policies),
                protect_from_scale_in: group.new_instances_protected_from_scale_in().unwrap_or(false),
                suspended: settings::suspended(group),
                metrics: settings::has_metrics(group),
                tags: tags::declared(&settings::tags_of(group), recorded.map(|recorded| &recorded.tags)),
                refresh: old.refresh.clone(),
                wait_for_healthy: old.wait_for_healthy,
            }),
            outputs: AutoScalingGroupOutputs {
                name: AutoScalingGroupName::from(name).into(),
                arn: Arn::from(group.auto_scaling_group_arn().unwrap_or_default()).into(),
            },
        }
    }
}

/// Returns whether a create request failed because the instance profile was created some seconds ago.
fn is_new_profile(error: &AwsError) -> bool {
    let text = error.message.to_ascii_lowercase().replace(' ', "");
    error.has_code(&["ValidationError"]) && text.contains("iaminstanceprofile")
}

/// Changes sizes, subnets, health checks and termination, if they differ.
async fn modify(
    client: &Client,
    group: &types::AutoScalingGroup,
    old: &AutoScalingGroup,
    new: &AutoScalingGroup,
) -> Result<()> {
    let desired = new.desired.filter(|_| new.desired != old.desired).map(u32::cast_signed);
    if has_settings(group, new)? && desired.is_none_or(|desired| group.desired_capacity() == Some(desired)) {
        return Ok(());
    }
    let call = client
        .update_auto_scaling_group()
        .auto_scaling_group_name(group.auto_scaling_group_name().unwrap_or_default())
        .min_size(new.min.cast_signed())
        .max_size(new.max.cast_signed())
        .set_desired_capacity(desired)
        .vpc_zone_identifier(new.subnet_ids()?)
        .health_check_type(new.health_check_type())
        .health_check_grace_period(new.health_grace.cast_signed())
        // -1 resets the warm-up.
        .default_instance_warmup(new.instance_warmup.map_or(-1, u32::cast_signed))
        .set_termination_policies(Some(settings::termination_words(&new.termination_policies)))
        .new_instances_protected_from_scale_in(new.protect_from_scale_in);
    call.send().await.context("UpdateAutoScalingGroup")?;
    Ok(())
}

fn has_settings(group: &types::AutoScalingGroup, new: &AutoScalingGroup) -> Result<bool> {
    let numbers = [group.min_size(), group.max_size(), group.health_check_grace_period()];
    let wanted = [new.min, new.max, new.health_grace].map(|number| Some(number.cast_signed()));
    let subnets = new.subnet_ids()?;
    let policies = &new.termination_policies;
    Ok(numbers == wanted
        && same(subnets_of(group), subnets.split(','))
        && health_check_of(group).word() == new.health_check_type()
        && settings::warmup(group) == new.instance_warmup
        && settings::termination_policies(group, policies) == *policies
        && group.new_instances_protected_from_scale_in().unwrap_or(false) == new.protect_from_scale_in)
}

/// Attaches and detaches target groups.
async fn replace_targets(client: &Client, group: &types::AutoScalingGroup, new: &AutoScalingGroup) -> Result<()> {
    let name = group.auto_scaling_group_name().unwrap_or_default();
    let (existing, wanted) = (group.target_group_arns(), new.target_arns()?);
    let only_in = |left: &[String], right: &[String]| -> Vec<String> {
        left.iter().filter(|arn| !right.contains(arn)).cloned().collect()
    };
    let (attached, detached) = (only_in(&wanted, existing), only_in(existing, &wanted));
    if !attached.is_empty() {
        let call = client.attach_load_balancer_target_groups().auto_scaling_group_name(name);
        call.set_target_group_arns(Some(attached)).send().await.context("AttachLoadBalancerTargetGroups")?;
    }
    if !detached.is_empty() {
        let call = client.detach_load_balancer_target_groups().auto_scaling_group_name(name);
        call.set_target_group_arns(Some(detached)).send().await.context("DetachLoadBalancerTargetGroups")?;
    }
    Ok(())
}

/// Replaces the instances with other template versions.
async fn roll_out(cx: &Context<'_>, client: &Client, name: &str, new: &AutoScalingGroup) -> Result<()> {
    let template = &new.template.known()?;
    // A mock server does not refresh instances.
    if cx.client().readiness() == Readiness::ControlPlane {
        let call = client.update_auto_scaling_group().auto_scaling_group_name(name);
        call.launch_template(specification(template)).send().await.context("UpdateAutoScalingGroup")?;
        return Ok(());
    }
    let (refresh, health_grace, healthy_timeout) = (&new.refresh, new.health_grace, new.healthy_timeout(cx));
    Box::pin(Rollout { cx, client, name, template, refresh, health_grace, healthy_timeout }.run()).await
}

async fn are_terminated(cx: &Context<'_>, instances: &[String]) -> Result<bool> {
    if instances.is_empty() || cx.client().readiness() == Readiness::ControlPlane {
        return Ok(true);
    }
    let ec2 = cx.client().ec2(cx.region()?).await;
    let call = ec2.describe_instances().set_instance_ids(Some(instances.to_vec()));
    let Some(response) = found(call.send().await.context("DescribeInstances"))? else { return Ok(true) };
    let mut instances = response.reservations().iter().flat_map(Reservation::instances);
    Ok(instances.all(|one| one.state().and_then(|state| state.name()) == Some(&InstanceStateName::Terminated)))
}

fn subnets_of(group: &types::AutoScalingGroup) -> impl Iterator<Item = &str> {
    group.vpc_zone_identifier().unwrap_or_default().split(',').map(str::trim)
}

fn health_check_of(group: &types::AutoScalingGroup) -> HealthCheck {
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
    fn check_names_the_properties() {
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
    fn group_with_targets_uses_their_health_checks() {
        assert_eq!(group().health_check_type(), "ELB");
        assert_eq!(AutoScalingGroup { targets: Vec::new(), ..group() }.health_check_type(), "EC2");
        assert_eq!(AutoScalingGroup { health_check: Some(HealthCheck::Ec2), ..group() }.health_check_type(), "EC2");
    }

    #[test]
    fn another_version_is_drift_but_scaling_is_not() {
        let existing = |version: &str| {
            types::AutoScalingGroup::builder()
                .auto_scaling_group_name("web-abc")
                .auto_scaling_group_arn("arn:group")
                .min_size(1)
                .max_size(4)
                .desired_capacity(4)
                .launch_template(
                    types::LaunchTemplateSpecification::builder().launch_template_id("lt-1").version(version).build(),
                )
                .vpc_zone_identifier("subnet-a,subnet-b")
                .target_group_arns("arn:targets")
                .health_check_type("ELB")
                .health_check_grace_period(300)
                .build()
        };
        let plain = |inputs: &AutoScalingGroup| value::lower(inputs).unwrap().evaluate(&|_| None).unwrap();
        let recorded: AutoScalingGroup = value::from_value(&plain(&group())).unwrap();
        assert_eq!(
            plain(&AutoScalingGroup::normalize(&existing("3"), Some(&recorded)).inputs.unwrap()),
            plain(&recorded)
        );
        let read = plain(&AutoScalingGroup::normalize(&existing("2"), Some(&recorded)).inputs.unwrap());
        let read: AutoScalingGroup = value::from_value(&read).unwrap();
        assert_eq!(read.template.known().unwrap().version, 2);
    }
}
