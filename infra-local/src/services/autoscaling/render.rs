//! Rendering of groups, members and activities.

use super::refresh::template;
use super::{mixed, tags};
use crate::model::Region;
use crate::model::autoscaling::launch_configuration::name_of;
use crate::model::autoscaling::{Activity, ActivityStatus, Group, Member};
use crate::wire::Node;

pub(super) fn group(group: &Group, region: &Region, instances: bool) -> Node {
    let members: &[Member] = if instances { &group.members } else { &[] };
    let suspended = group
        .suspended
        .iter()
        .map(|(process, reason)| Node::new().with("ProcessName", process).with("SuspensionReason", reason));
    let role = group.extras.role.clone().unwrap_or_else(|| {
        let role = "role/aws-service-role/autoscaling.amazonaws.com/AWSServiceRoleForAutoScaling";
        format!("arn:aws:iam::{}:{role}", region.account)
    });
    let maintenance = group
        .extras
        .maintenance
        .map(|(least, most)| Node::new().with("MinHealthyPercentage", least).with("MaxHealthyPercentage", most));
    let strategy = if group.balanced_only { "balanced-only" } else { "balanced-best-effort" };
    let distribution = Node::new().with("CapacityDistributionStrategy", strategy);
    let enabled = group
        .collected
        .iter()
        .map(|metric| Node::new().with("Metric", metric).with("Granularity", super::types::GRANULARITY));
    let sources = group.target_groups.iter();
    let sources = sources.map(|arn| Node::new().with("Identifier", arn).with("Type", "elbv2"));
    let configuration = group.template.id.as_deref().and_then(name_of);
    Node::new()
        .with("AutoScalingGroupName", &group.name)
        .with("AutoScalingGroupARN", &group.arn)
        .maybe("LaunchConfigurationName", configuration)
        .maybe("LaunchTemplate", (group.mixed.is_none() && configuration.is_none()).then(|| template(&group.template)))
        .maybe("MixedInstancesPolicy", group.mixed.as_ref().map(|mixed| mixed::render(mixed, group)))
        .with("MinSize", group.min)
        .with("MaxSize", group.max)
        .with("DesiredCapacity", group.desired)
        .with("DefaultCooldown", group.cooldown_seconds)
        .list("AvailabilityZones", &group.zones)
        .list("LoadBalancerNames", Vec::<Node>::new())
        .list("TargetGroupARNs", &group.target_groups)
        .with("HealthCheckType", if group.elb_health { "ELB" } else { "EC2" })
        .with("HealthCheckGracePeriod", group.grace_seconds)
        .list(
            "Instances",
            members
                .iter()
                .map(|member| self::member(member, region, if member.healthy { "Healthy" } else { "Unhealthy" })),
        )
        .with("CreatedTime", group.created)
        .list("SuspendedProcesses", suspended)
        .with("AvailabilityZoneDistribution", distribution)
        .with("VPCZoneIdentifier", group.subnets.join(","))
        .list("EnabledMetrics", enabled)
        .maybe("Status", group.deleting.then_some("Delete in progress"))
        .list("Tags", group.tags.iter().map(|(key, tag)| tags::render(&group.name, key, tag)))
        .list("TerminationPolicies", &group.termination_policies)
        .with("NewInstancesProtectedFromScaleIn", group.protects_new)
        .maybe("DefaultInstanceWarmup", group.warmup_seconds)
        .list("TrafficSources", sources)
        .maybe("Context", group.extras.context.as_ref())
        .with("ServiceLinkedRoleARN", role)
        .with("DeletionProtection", group.extras.deletion_protection.name())
        .maybe("InstanceMaintenancePolicy", maintenance)
        .maybe("MaxInstanceLifetime", group.extras.max_lifetime_seconds)
        .with("CapacityRebalance", false)
        .maybe("DesiredCapacityType", group.extras.capacity_type.as_ref())
}

/// Renders a member with the health status in the spelling of the operation.
pub(super) fn member(member: &Member, region: &Region, health: &str) -> Node {
    let configuration = name_of(&member.template.id);
    // Attached instances have no launch template.
    let template = (!member.template.id.is_empty() && configuration.is_none()).then(|| {
        Node::new()
            .with("LaunchTemplateId", &member.template.id)
            .with("LaunchTemplateName", &member.template.name)
            .with("Version", member.template.version)
    });
    let instance = region.ec2.instances.get(&member.instance);
    Node::new()
        .with("InstanceId", &member.instance)
        .maybe("InstanceType", instance.map(|instance| &instance.instance_type))
        .with("AvailabilityZone", &member.zone)
        .with("LifecycleState", member.lifecycle.name())
        .with("HealthStatus", health)
        .maybe("LaunchTemplate", template)
        .maybe("LaunchConfigurationName", configuration)
        .with("ProtectedFromScaleIn", member.protected)
}

pub(super) fn activity(activity: &Activity, group: &Group) -> Node {
    let (status, progress) = match activity.status {
        ActivityStatus::InProgress => ("InProgress", 50_u32),
        ActivityStatus::WaitingForDraining => ("WaitingForELBConnectionDraining", 20),
        ActivityStatus::MidLifecycleAction => ("MidLifecycleAction", 60),
        ActivityStatus::Successful => ("Successful", 100),
        ActivityStatus::Failed => ("Failed", 100),
        ActivityStatus::Cancelled => ("Cancelled", 100),
    };
    let description = match activity.status {
        ActivityStatus::WaitingForDraining => {
            format!("{} - Waiting For ELB Connection Draining", activity.description)
        }
        _ => activity.description.clone(),
    };
    let details = serde_json::json!({
        "Subnet ID": activity.subnet,
        "Availability Zone": activity.zone,
    });
    Node::new()
        .with("ActivityId", &activity.id)
        .with("AutoScalingGroupName", &group.name)
        .with("AutoScalingGroupARN", &group.arn)
        .with("Description", description)
        .with("Cause", &activity.cause)
        .with("StartTime", activity.started)
        .maybe("EndTime", activity.ended)
        .with("StatusCode", status)
        .maybe("StatusMessage", activity.message.as_ref())
        .with("Progress", progress)
        .with("Details", details.to_string())
}
