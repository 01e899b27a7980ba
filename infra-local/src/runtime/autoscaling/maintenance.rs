//! Replacements of unhealthy members within the instance maintenance policy of a group.
//!
//! Source: EC2 Auto Scaling, "Instance maintenance policies"
//! (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/ec2-auto-scaling-instance-maintenance-policy.html>): the
//! capacity stays above the minimum percentage, so that a replacement may be launched first, up to the maximum
//! percentage. Without a policy, unhealthy members are terminated at once.

use crate::model::autoscaling::{Group, Lifecycle};

/// Returns the number of members that must serve when an unhealthy one is terminated.
pub(super) fn fewest_serving(group: &Group) -> usize {
    policy(group).map_or(0, |(least, _)| (group.desired * least).div_ceil(100) as usize)
}

/// Returns the number of members that are launched before unhealthy ones are terminated.
pub(super) fn surplus(group: &Group) -> u32 {
    let Some((_, most)) = policy(group) else { return 0 };
    let kept = group.staying().filter(|member| member.lifecycle == Lifecycle::InService && !member.healthy).count();
    // At least one, because otherwise none could be replaced.
    let allowed = (group.desired * most / 100).saturating_sub(group.desired).max(1);
    u32::try_from(kept).unwrap_or(allowed).min(allowed)
}

/// Returns the minimum and maximum percentages. An instance refresh has its own, and handles unhealthy members.
fn policy(group: &Group) -> Option<(u32, u32)> {
    let applies = !group.deleting && group.active_refresh().is_none();
    group.extras.maintenance.filter(|_| applies)
}
