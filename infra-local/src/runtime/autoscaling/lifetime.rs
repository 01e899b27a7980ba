//! Replaces the members that have reached the group's maximum instance lifetime.
//!
//! Source: EC2 Auto Scaling, "Replace Auto Scaling instances based on maximum instance lifetime"
//! (<https://docs.aws.amazon.com/autoscaling/ec2/userguide/asg-max-instance-lifetime.html>): one instance at a time, and
//! none that is protected from scale-in. The group terminates an instance, and launches another one as for any missing
//! member.

use super::{Env, members};
use crate::domain::autoscaling::membership::{self, Leaving};
use crate::model::Region;
use crate::model::autoscaling::Group;

const CAUSE: &str = "an instance was taken out of service because it has reached the maximum instance lifetime.";

/// Processes without which an instance cannot be replaced.
const NEEDED: [&str; 2] = ["Launch", "Terminate"];

/// Terminates the oldest member whose lifetime is over, once all members serve.
pub(super) fn replace_expired(group: &mut Group, region: &mut Region, env: &Env<'_>) {
    let Some(lifetime) = group.extras.max_lifetime_seconds else { return };
    let waits = group.deleting
        || group.active_refresh().is_some()
        || group.next_launch.is_some()
        || NEEDED.iter().any(|process| group.is_suspended(process))
        || group.staying().count() != group.desired as usize
        || !group.staying().all(|member| members::serves(group, region, member));
    if waits {
        return;
    }
    let expired = group.staying().filter(|member| !member.protected && env.over(member.launched, lifetime));
    if let Some(id) = expired.min_by_key(|member| member.launched).map(|member| member.instance.clone()) {
        membership::leave(group, region, &id, &Leaving { cause: CAUSE, drain: true }, env.now);
    }
}
