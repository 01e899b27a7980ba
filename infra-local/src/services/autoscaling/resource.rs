//! Resources of Auto Scaling's operations, for authorisation.

use crate::access::{Dependent, LAUNCHED, PASSES_LAUNCH_ROLE, Resource};

const ARN: &str = "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}";

pub(super) const GROUP: Resource = Resource::Named("AutoScalingGroupName", ARN);
pub(super) const TAGGED: Resource = Resource::Named("Tags.N.ResourceId", ARN);
pub(super) const GROUP_OF_INSTANCE: Resource = Resource::Resolved("InstanceId", |cloud, region, instance| {
    let mut groups = cloud.regions.get(region)?.autoscaling.groups.values();
    let group = groups.find(|group| group.members.iter().any(|member| member.instance == instance))?;
    GROUP.arn(cloud, region, &group.name)
});
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
