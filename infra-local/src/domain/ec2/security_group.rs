//! Rules of security groups.

use super::unknown_security_group;
use crate::model::Region;
use crate::wire::{ApiError, Outcome};

/// AWS's default quota of security groups per network interface.
const GROUPS_LIMIT: usize = 5;

/// Returns whether an ingress rule of the security groups permits a TCP port, whatever its source.
pub(crate) fn admit_any(region: &Region, groups: &[String], port: u16) -> bool {
    let groups = groups.iter().filter_map(|id| region.ec2.security_groups.get(id));
    groups.flat_map(|group| group.rules.values()).filter(|rule| !rule.egress).any(|rule| {
        let is_tcp = ["tcp", "6", "-1"].contains(&rule.protocol.as_str());
        is_tcp && rule.ports.is_none_or(|(low, high)| (low..=high).contains(&i32::from(port)))
    })
}

/// Checks that the groups exist in this VPC. Without any, the VPC's default group is used.
pub(crate) fn check_security_groups(region: &Region, ids: &mut Vec<String>, vpc_id: &str) -> Outcome<()> {
    if ids.is_empty() {
        let default =
            region.ec2.security_groups.values().find(|group| group.vpc_id == vpc_id && group.name == "default");
        ids.extend(default.map(|group| group.id.clone()));
    }
    ids.sort();
    ids.dedup();
    if ids.len() > GROUPS_LIMIT {
        return Err(ApiError::new(
            "SecurityGroupsPerInterfaceLimitExceeded",
            format!("The maximum number of security groups per interface has been reached: {GROUPS_LIMIT}"),
        ));
    }
    for id in ids {
        let group = region.ec2.security_groups.get(id).ok_or_else(|| unknown_security_group(id))?;
        if group.vpc_id != vpc_id {
            return Err(ApiError::new(
                "InvalidParameter",
                format!("Security group {id} and the subnet belong to different networks."),
            ));
        }
    }
    Ok(())
}
