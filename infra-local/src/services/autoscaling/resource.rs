//! Resources of Auto Scaling's operations, for authorisation.

use crate::access::{Dependent, LAUNCHED, PASSES_LAUNCH_ROLE, RequestedResource, Resource};
use crate::model::Cloud;

const ARN: &str = "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}";

pub(super) const GROUP: Resource = Resource::Named("AutoScalingGroupName", ARN);
pub(super) const TAGGED: Resource = Resource::Named("Tags.N.ResourceId", ARN);
pub(super) const GROUP_OF_INSTANCE: Resource = Resource::Resolved("InstanceId", |cloud, region, instance| {
    let mut groups = cloud.regions.get(region)?.autoscaling.groups.values();
    let group = groups.find(|group| group.members.iter().any(|member| member.instance == instance))?;
    GROUP.arn(cloud, region, &group.name)
});
pub(super) const CONFIGURATION: Resource = Resource::Named(
    "LaunchConfigurationName",
    "arn:aws:autoscaling:{region}:{account}:launchConfiguration:*:launchConfigurationName/{}",
);
/// Permission to pass the role of a launch configuration's instance profile.
pub(super) const PASSES_CONFIGURED_ROLE: &[Dependent] =
    &[Dependent::pass_role("ec2.amazonaws.com", Resource::Computed(configured_role))];

fn configured_role(cloud: &Cloud, _: &str, parameters: &[(String, String)]) -> Vec<RequestedResource> {
    let given = parameters.iter().find(|(name, _)| name == "IamInstanceProfile").map(|(_, profile)| profile);
    let mut profiles = cloud.iam.instance_profiles.values();
    let profile = given.and_then(|given| profiles.find(|profile| profile.arn == *given || profile.name == *given));
    let role = profile.and_then(|profile| cloud.iam.roles.get(profile.role.as_ref()?));
    role.map(|role| RequestedResource::new(&role.arn)).into_iter().collect()
}

/// Permissions that a group needs for the launches of its template: the caller must be allowed to launch such an instance
/// itself. Source: Amazon EC2 Auto Scaling User Guide, "Control Amazon EC2 launch template usage in Auto Scaling groups".
pub(super) const LAUNCHES: &[Dependent] = &[
    Dependent::when("LaunchTemplate.LaunchTemplateId", "ec2:RunInstances", &[LAUNCHED]),
    Dependent::when("LaunchTemplate.LaunchTemplateName", "ec2:RunInstances", &[LAUNCHED]),
    Dependent::when(
        "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateId",
        "ec2:RunInstances",
        &[LAUNCHED],
    ),
    Dependent::when(
        "MixedInstancesPolicy.LaunchTemplate.LaunchTemplateSpecification.LaunchTemplateName",
        "ec2:RunInstances",
        &[LAUNCHED],
    ),
    PASSES_LAUNCH_ROLE,
];
