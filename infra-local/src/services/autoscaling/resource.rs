//! Resources of Auto Scaling's operations, for authorisation.

use crate::access::Resource;

const ARN: &str = "arn:aws:autoscaling:{region}:{account}:autoScalingGroup:*:autoScalingGroupName/{}";

pub(super) const GROUP: Resource = Resource::Named("AutoScalingGroupName", ARN);
pub(super) const TAGGED: Resource = Resource::Named("Tags.N.ResourceId", ARN);
pub(super) const GROUP_OF_INSTANCE: Resource = Resource::Resolved("InstanceId", |cloud, region, instance| {
    let mut groups = cloud.regions.get(region)?.autoscaling.groups.values();
    let group = groups.find(|group| group.members.iter().any(|member| member.instance == instance))?;
    GROUP.arn(cloud, region, &group.name)
});
