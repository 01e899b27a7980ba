//! Permissions: the form of security group rules in requests.

use super::ranges::ipv6_cidr;
use super::security_group::not_found;
use crate::model::ec2::vpc::{Peer, Ports, Rule};
use crate::model::{Region, Tags};
use crate::wire::{ApiError, Outcome, Params};

/// Parameters of a single rule, for operation tables.
pub(super) const SIMPLE: &[&str] = &["IpProtocol", "FromPort", "ToPort", "CidrIp", "SourceSecurityGroupName"];
/// Parameters of lists of rules, for operation tables.
pub(super) const PERMISSIONS: &[&str] = &[
    "IpPermissions.N.IpProtocol",
    "IpPermissions.N.FromPort",
    "IpPermissions.N.ToPort",
    "IpPermissions.N.IpRanges.N.CidrIp",
    "IpPermissions.N.IpRanges.N.Description",
    "IpPermissions.N.Ipv6Ranges.N.CidrIpv6",
    "IpPermissions.N.Ipv6Ranges.N.Description",
    "IpPermissions.N.PrefixListIds.N.PrefixListId",
    "IpPermissions.N.PrefixListIds.N.Description",
    "IpPermissions.N.Groups.N.GroupId",
    "IpPermissions.N.Groups.N.GroupName",
    "IpPermissions.N.Groups.N.UserId",
    "IpPermissions.N.Groups.N.VpcId",
    "IpPermissions.N.Groups.N.Description",
];

/// Parameters of changed rules, for operation tables.
pub(super) const UPDATES: &[&str] = &[
    "SecurityGroupRule.N.SecurityGroupRuleId",
    "SecurityGroupRule.N.SecurityGroupRule.IpProtocol",
    "SecurityGroupRule.N.SecurityGroupRule.FromPort",
    "SecurityGroupRule.N.SecurityGroupRule.ToPort",
    "SecurityGroupRule.N.SecurityGroupRule.CidrIpv4",
    "SecurityGroupRule.N.SecurityGroupRule.CidrIpv6",
    "SecurityGroupRule.N.SecurityGroupRule.PrefixListId",
    "SecurityGroupRule.N.SecurityGroupRule.ReferencedGroupId",
    "SecurityGroupRule.N.SecurityGroupRule.Description",
];

/// Parses the new content of a rule.
pub(super) fn parse_update(region: &Region, group_id: &str, params: &Params, egress: bool) -> Outcome<Rule> {
    let protocol = protocol(params.required("IpProtocol")?)?;
    let ports = ports(&protocol, params)?;
    let names = ["CidrIpv4", "CidrIpv6", "PrefixListId", "ReferencedGroupId"];
    let given: Vec<_> = names.into_iter().filter_map(|name| Some((name, params.optional(name)?))).collect();
    let peer = match given.as_slice() {
        [("CidrIpv4", cidr)] => Peer::Ipv4(ipv4_cidr(cidr)?),
        [("CidrIpv6", cidr)] => Peer::Ipv6(ipv6_cidr(cidr)?),
        [("PrefixListId", id)] => Peer::PrefixList(super::prefix_list::find(region, id)?.id),
        [(_, id)] => Peer::Group(group_in_reach(region, group_id, id)?),
        _ => {
            return Err(ApiError::new(
                "InvalidParameterCombination",
                "Exactly one of CidrIpv4, CidrIpv6, PrefixListId and ReferencedGroupId is given for a security group rule",
            ));
        }
    };
    let description = params.optional("Description").filter(|text| !text.is_empty()).map(str::to_owned);
    Ok(Rule { egress, protocol, ports, peer, description, tags: Tags::new() })
}

/// Parses the rules of a request, which must not contain duplicates.
pub(super) fn parse(region: &Region, group_id: &str, params: &Params, egress: bool) -> Outcome<Vec<Rule>> {
    let mut rules = Vec::new();
    let permissions = params.structures("IpPermissions");
    if permissions.is_empty() {
        let protocol = protocol(params.required("IpProtocol").map_err(|_| ApiError::missing("ipPermissions"))?)?;
        let ports = ports(&protocol, params)?;
        let peer = match (params.optional("CidrIp"), params.optional("SourceSecurityGroupName")) {
            (Some(cidr), None) => Peer::Ipv4(ipv4_cidr(cidr)?),
            (None, Some(name)) => Peer::Group(group_by_name(region, group_id, name)?),
            _ => return Err(ApiError::missing("CidrIp or SourceSecurityGroupName")),
        };
        rules.push(Rule { egress, protocol, ports, peer, description: None, tags: Tags::new() });
    }
    for permission in permissions {
        let protocol = protocol(permission.required("IpProtocol")?)?;
        let ports = ports(&protocol, &permission)?;
        let before = rules.len();
        let mut add = |peer: Peer, entry: &Params| {
            let description = entry.optional("Description").filter(|text| !text.is_empty()).map(str::to_owned);
            rules.push(Rule { egress, protocol: protocol.clone(), ports, peer, description, tags: Tags::new() });
        };
        for range in permission.structures("IpRanges") {
            add(Peer::Ipv4(ipv4_cidr(range.required("CidrIp")?)?), &range);
        }
        for range in permission.structures("Ipv6Ranges") {
            add(Peer::Ipv6(ipv6_cidr(range.required("CidrIpv6")?)?), &range);
        }
        for list in permission.structures("PrefixListIds") {
            let id = super::prefix_list::find(region, list.required("PrefixListId")?)?.id;
            add(Peer::PrefixList(id), &list);
        }
        for pair in permission.structures("Groups") {
            let id = match (pair.optional("GroupId"), pair.optional("GroupName")) {
                (Some(id), _) => group_in_reach(region, group_id, id)?,
                (None, Some(name)) => group_by_name(region, group_id, name)?,
                (None, None) => return Err(ApiError::missing("Groups.N.GroupId")),
            };
            add(Peer::Group(id), &pair);
        }
        if rules.len() == before {
            return Err(ApiError::new(
                "MissingParameter",
                "Either 'cidrIp', 'cidrIpv6', 'prefixListId' or 'groupId' must be provided for a security group rule.",
            ));
        }
    }
    for (position, rule) in rules.iter().enumerate() {
        if rules[..position].iter().any(|earlier| earlier.same_permission(rule)) {
            return Err(ApiError::invalid("The same permission must not appear multiple times"));
        }
    }
    Ok(rules)
}

/// Returns the id of a group in the same VPC, or in one that is peered with it in this region.
fn group_in_reach(region: &Region, near: &str, id: &str) -> Outcome<String> {
    let group = region.ec2.security_groups.get(id).ok_or_else(|| not_found(id))?;
    let vpc_id = region.ec2.security_groups.get(near).map_or("", |group| &group.vpc_id);
    if group.vpc_id != vpc_id && !region.are_peered(vpc_id, &group.vpc_id) {
        return Err(ApiError::new(
            "InvalidGroup.NotFound",
            "You have specified two resources that belong to different networks.",
        ));
    }
    Ok(id.to_owned())
}

fn group_by_name(region: &Region, near: &str, name: &str) -> Outcome<String> {
    let vpc_id = region.ec2.security_groups.get(near).map(|group| &group.vpc_id);
    let found = region.ec2.security_groups.values().find(|group| group.name == name && Some(&group.vpc_id) == vpc_id);
    found.map(|group| group.id.clone()).ok_or_else(|| not_found(name))
}

fn protocol(text: &str) -> Outcome<String> {
    let named = match text.to_ascii_lowercase().as_str() {
        "all" | "-1" => "-1",
        "tcp" | "6" => "tcp",
        "udp" | "17" => "udp",
        "icmp" | "1" => "icmp",
        "icmpv6" | "58" => "icmpv6",
        number if number.parse::<u8>().is_ok() => return Ok(number.to_owned()),
        _ => return Err(ApiError::invalid(format!("Invalid value '{text}' for IP protocol. Unknown protocol."))),
    };
    Ok(named.to_owned())
}

fn ports(protocol: &str, params: &Params) -> Outcome<Option<Ports>> {
    let from: Option<i32> = params.parsed("FromPort")?;
    let to: Option<i32> = params.parsed("ToPort")?;
    match (protocol, from, to) {
        ("tcp" | "udp", Some(from), Some(to)) if (0..=65535).contains(&from) && (from..=65535).contains(&to) => {
            Ok(Some((from, to)))
        }
        ("tcp" | "udp", Some(from), Some(to)) => Err(ApiError::invalid(format!(
            "Invalid TCP/UDP port range ({from}:{to}): both ends lie in 0 to 65535 and the first is not above the second"
        ))),
        ("tcp" | "udp", ..) => Err(ApiError::invalid(format!(
            "Invalid value 'Must specify both from and to ports with TCP/UDP.' for portRange (protocol {protocol})"
        ))),
        ("icmp" | "icmpv6", from, to) => Ok(Some((from.unwrap_or(-1), to.unwrap_or(-1)))),
        // AWS ignores ports of protocols without ports.
        _ => Ok(None),
    }
}

fn ipv4_cidr(text: &str) -> Outcome<String> {
    let invalid = || ApiError::invalid(format!("CIDR block {text} is malformed"));
    let (address, bits) = text.split_once('/').ok_or_else(invalid)?;
    let address: std::net::Ipv4Addr = address.parse().map_err(|_| invalid())?;
    let bits: u32 = bits.parse().ok().filter(|bits| *bits <= 32).ok_or_else(invalid)?;
    let mask = u32::MAX.checked_shl(32 - bits).unwrap_or(0);
    // AWS stores the network, not the host: 10.0.0.7/8 becomes 10.0.0.0/8.
    Ok(format!("{}/{bits}", std::net::Ipv4Addr::from(u32::from(address) & mask)))
}

/// Describes a rule as AWS's messages do.
pub(super) fn describe(rule: &Rule) -> String {
    let ports = rule.ports.map_or_else(|| "ALL".to_owned(), |(from, to)| format!("from port: {from}, to port: {to}"));
    format!("peer: {}, {}, {ports}, ALLOW", rule.peer.text(), rule.protocol.to_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ranges_are_kept_as_networks() {
        assert_eq!(ipv4_cidr("10.1.2.3/8"), Ok("10.0.0.0/8".to_owned()));
        assert_eq!(ipv4_cidr("0.0.0.0/0"), Ok("0.0.0.0/0".to_owned()));
        assert_eq!(ipv6_cidr("2001:db8::1/32"), Ok("2001:db8::/32".to_owned()));
        assert!(ipv4_cidr("10.0.0.0").is_err() && ipv4_cidr("10.0.0.0/33").is_err());
    }

    #[test]
    fn ports_belong_to_protocols() {
        let params = |text: &str| Params::parse(text.as_bytes());
        assert_eq!(ports("tcp", &params("FromPort=80&ToPort=90")), Ok(Some((80, 90))));
        assert_eq!(ports("-1", &params("FromPort=80&ToPort=90")), Ok(None));
        assert_eq!(ports("icmp", &params("")), Ok(Some((-1, -1))));
        assert!(ports("tcp", &params("FromPort=90&ToPort=80")).is_err() && ports("udp", &params("")).is_err());
        assert_eq!(protocol("6"), Ok("tcp".to_owned()));
        assert!(protocol("carrier-pigeon").is_err());
    }
}
