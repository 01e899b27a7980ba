//! Rules of security groups.

use crate::model::Region;

/// Returns whether an ingress rule of the security groups permits a TCP port, whatever its source.
pub(crate) fn admit_any(region: &Region, groups: &[String], port: u16) -> bool {
    let groups = groups.iter().filter_map(|id| region.ec2.security_groups.get(id));
    groups.flat_map(|group| group.rules.values()).filter(|rule| !rule.egress).any(|rule| {
        let is_tcp = ["tcp", "6", "-1"].contains(&rule.protocol.as_str());
        is_tcp && rule.ports.is_none_or(|(low, high)| (low..=high).contains(&i32::from(port)))
    })
}
