//! Rules of security groups.

use crate::ids::SecurityGroupId;
use aws_sdk_ec2::types::{
    IpPermission, IpRange, Ipv6Range, SecurityGroupRule, SecurityGroupRuleRequest, UserIdGroupPair,
};
use infra_core::{Input, provider::Problem, value::Unresolved};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, net::IpAddr, ops::RangeInclusive};

/// A rule of a security group: a protocol, its ports, and the other side of the traffic.
///
/// The other side is the source of incoming and the destination of outgoing traffic. A rule has exactly one: `cidr`,
/// `group` or `itself`.
///
/// ```
/// # use infra_aws::{Rule, SecurityGroupId};
/// # let application = SecurityGroupId::from("sg-0123456789abcdef0");
/// let rules = vec![
///     Rule::tcp(443).from_anywhere(),
///     Rule::tcp(8000..=8010).from_cidr("10.0.0.0/8"),
///     Rule::tcp(5432).from_group(application).describe("the application"),
///     Rule::all().from_itself(),
/// ];
/// ```
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Rule {
    /// Protocol: `tcp`, `udp`, `icmp`, or `-1` for all.
    pub protocol: String,
    /// First port, 0 to 65,535; none for `icmp` and `-1`.
    pub from_port: Option<u16>,
    /// Last port, not less than `from_port`; none for `icmp` and `-1`.
    pub to_port: Option<u16>,
    /// IPv4 or IPv6 range of the other side: `10.0.0.0/8`.
    pub cidr: Option<Input<String>>,
    /// Id of the security group whose members are the other side.
    pub group: Option<Input<SecurityGroupId>>,
    /// Indicates whether the members of the rule's own group are the other side; false by default.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub itself: bool,
    /// Purpose of the rule, up to 255 characters; none when omitted.
    pub description: Option<String>,
}

/// The traffic of a [`Rule`] that still needs its other side.
#[derive(Clone, Debug)]
pub struct Ports {
    protocol: &'static str,
    range: Option<(u16, u16)>,
}

/// A port or a range of ports.
pub trait PortRange {
    /// Returns the first and the last port.
    fn bounds(self) -> (u16, u16);
}

impl PortRange for u16 {
    fn bounds(self) -> (u16, u16) {
        (self, self)
    }
}

impl PortRange for RangeInclusive<u16> {
    fn bounds(self) -> (u16, u16) {
        (*self.start(), *self.end())
    }
}

impl Rule {
    /// Returns TCP with a port or a range of ports: `443`, `8000..=8010`.
    pub fn tcp(ports: impl PortRange) -> Ports {
        Ports { protocol: "tcp", range: Some(ports.bounds()) }
    }

    /// Returns UDP with a port or a range of ports.
    pub fn udp(ports: impl PortRange) -> Ports {
        Ports { protocol: "udp", range: Some(ports.bounds()) }
    }

    /// Returns ICMP of all types, such as echo requests.
    pub fn icmp() -> Ports {
        Ports { protocol: "icmp", range: None }
    }

    /// Returns all protocols.
    pub fn all() -> Ports {
        Ports { protocol: "-1", range: None }
    }

    /// Sets the description.
    pub fn describe(mut self, description: impl Into<String>) -> Self {
        self.description = Some(description.into());
        self
    }

    pub(super) fn problems(&self, property: &str) -> Vec<Problem> {
        let mut problems = Vec::new();
        let mut problem = |message: String, hint: &str| problems.push(Problem::new(property, message).hint(hint));
        match (self.from_port, self.to_port) {
            (Some(from), Some(to)) if from > to => {
                problem(format!("the ports {from} to {to} are not a range"), "write the lower port first");
            }
            (Some(_), None) | (None, Some(_)) => {
                problem("one end of the port range is missing".into(), "set both `from_port` and `to_port`");
            }
            (None, None) if matches!(self.protocol.as_str(), "tcp" | "udp") => {
                problem(format!("{} needs ports", self.protocol), "for all of them write 0..=65535");
            }
            _ => {}
        }
        let sides = [self.cidr.is_some(), self.group.is_some(), self.itself];
        if sides.into_iter().filter(|side| *side).count() != 1 {
            problem("a rule has exactly one other side".into(), "set either `cidr`, `group` or `itself`");
        }
        if let Some(Ok(cidr)) = self.cidr.as_ref().map(Input::known)
            && canonical_cidr(&cidr).is_none()
        {
            problem(
                format!("`{cidr}` is not an address range"),
                "write an address and a prefix length: `10.0.0.0/8`; one address is `203.0.113.7/32`",
            );
        }
        problems
    }
}

/// The names `from_…` suit ingress and `to_…` egress; both return the same rule.
impl Ports {
    /// Permits traffic from every IPv4 address.
    pub fn from_anywhere(self) -> Rule {
        self.from_cidr("0.0.0.0/0")
    }

    /// Permits traffic from a range of addresses.
    pub fn from_cidr(self, cidr: impl Into<Input<String>>) -> Rule {
        Rule { cidr: Some(cidr.into()), ..self.rule() }
    }

    /// Permits traffic from the members of another group.
    pub fn from_group(self, group: impl Into<Input<SecurityGroupId>>) -> Rule {
        Rule { group: Some(group.into()), ..self.rule() }
    }

    /// Permits traffic from the members of the rule's own group.
    pub fn from_itself(self) -> Rule {
        Rule { itself: true, ..self.rule() }
    }

    /// Permits traffic to every IPv4 address.
    pub fn to_anywhere(self) -> Rule {
        self.from_anywhere()
    }

    /// Permits traffic to a range of addresses.
    pub fn to_cidr(self, cidr: impl Into<Input<String>>) -> Rule {
        self.from_cidr(cidr)
    }

    /// Permits traffic to the members of another group.
    pub fn to_group(self, group: impl Into<Input<SecurityGroupId>>) -> Rule {
        self.from_group(group)
    }

    fn rule(self) -> Rule {
        Rule {
            protocol: self.protocol.to_owned(),
            from_port: self.range.map(|range| range.0),
            to_port: self.range.map(|range| range.1),
            cidr: None,
            group: None,
            itself: false,
            description: None,
        }
    }
}

/// The identity of a rule for AWS, which does not include its description.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Key {
    protocol: String,
    ports: Option<(u16, u16)>,
    peer: Peer,
}

#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Peer {
    Cidr(String),
    Group(String),
}

/// Rules as a set, with their descriptions.
pub(super) type RuleSet = BTreeMap<Key, Option<String>>;

/// Converts the declared rules of a group.
pub(super) fn to_set(rules: &[Rule], group_id: &str) -> Result<RuleSet, Unresolved> {
    rules.iter().map(|rule| Ok((rule.key(group_id)?, rule.description.clone()))).collect()
}

/// Returns the egress rules of a new group: all traffic to every IPv4 address.
pub(super) fn default_egress() -> RuleSet {
    to_set(&[Rule::all().to_anywhere()], "").unwrap_or_default()
}

/// Returns whether these are the egress rules of a new group. In a VPC with IPv6 they also allow all traffic to every
/// IPv6 address.
pub(super) fn is_default_egress(rules: &RuleSet) -> bool {
    let ipv6 = Key { protocol: "-1".to_owned(), ports: None, peer: Peer::Cidr("::/0".to_owned()) };
    let mut rules = rules.clone();
    rules.remove(&ipv6);
    rules == default_egress()
}

/// Converts EC2's description of the rules of a group.
pub(super) fn from_permissions(permissions: &[IpPermission]) -> RuleSet {
    let mut set = RuleSet::new();
    for permission in permissions {
        let protocol = match permission.ip_protocol().unwrap_or("-1") {
            "6" => "tcp",
            "17" => "udp",
            "1" => "icmp",
            other => other,
        };
        let port = |port: Option<i32>| port.and_then(|port| u16::try_from(port).ok());
        let ports = port(permission.from_port()).zip(port(permission.to_port())).filter(|_| protocol != "-1");
        let mut add = |peer, description: Option<&str>| {
            let key = Key { protocol: protocol.to_owned(), ports, peer };
            set.insert(key, description.filter(|text| !text.is_empty()).map(str::to_owned));
        };
        for range in permission.ip_ranges() {
            add(Peer::Cidr(range.cidr_ip().unwrap_or_default().to_owned()), range.description());
        }
        for range in permission.ipv6_ranges() {
            add(Peer::Cidr(range.cidr_ipv6().unwrap_or_default().to_owned()), range.description());
        }
        for pair in permission.user_id_group_pairs() {
            add(Peer::Group(pair.group_id().unwrap_or_default().to_owned()), pair.description());
        }
    }
    set
}

/// Converts the result of `DescribeSecurityGroupRules`; `None` for a rule that cannot be declared: one for a prefix list, or
/// for ICMP messages of one type, which the first port contains.
pub(super) fn described(rule: &SecurityGroupRule) -> Option<Key> {
    let is_icmp = matches!(rule.ip_protocol(), Some("icmp" | "icmpv6" | "1" | "58"));
    if is_icmp && rule.from_port().is_some_and(|kind| kind != -1) {
        return None;
    }
    let permission = IpPermission::builder()
        .set_ip_protocol(rule.ip_protocol().map(str::to_owned))
        .set_from_port(rule.from_port())
        .set_to_port(rule.to_port())
        .set_ip_ranges(rule.cidr_ipv4().map(|cidr| vec![IpRange::builder().cidr_ip(cidr).build()]))
        .set_ipv6_ranges(rule.cidr_ipv6().map(|cidr| vec![Ipv6Range::builder().cidr_ipv6(cidr).build()]))
        .set_user_id_group_pairs(
            rule.referenced_group_info()
                .and_then(|group| group.group_id())
                .map(|id| vec![UserIdGroupPair::builder().group_id(id).build()]),
        )
        .build();
    from_permissions(&[permission]).into_keys().next()
}

/// Returns existing rules: the recorded ones in their order and spelling, and then all others.
pub(super) fn as_recorded(existing: &RuleSet, recorded: &[Rule], group_id: &str) -> Vec<Rule> {
    let mut rest = existing.clone();
    let mut rules = Vec::new();
    for rule in recorded {
        let Ok(key) = rule.key(group_id) else { continue };
        if let Some(description) = rest.remove(&key) {
            rules.push(Rule { description, ..rule.clone() });
        }
    }
    rules.extend(rest.into_iter().map(|(key, description)| key.rule(group_id, description)));
    rules
}

/// Converts rules for the authorize and revoke calls.
pub(super) fn permissions<'a>(rules: impl IntoIterator<Item = (&'a Key, &'a Option<String>)>) -> Vec<IpPermission> {
    rules.into_iter().map(|(key, description)| key.permission(description.as_deref())).collect()
}

impl Rule {
    /// Returns the identity of the rule in a group with this id.
    pub(super) fn key(&self, group_id: &str) -> Result<Key, Unresolved> {
        let peer = match (&self.cidr, &self.group) {
            (Some(cidr), _) => {
                let cidr = cidr.known()?;
                Peer::Cidr(canonical_cidr(&cidr).unwrap_or(cidr))
            }
            (None, Some(group)) => Peer::Group(group.known()?.to_string()),
            (None, None) => Peer::Group(group_id.to_owned()),
        };
        let ports = self.from_port.zip(self.to_port);
        Ok(Key { protocol: self.protocol.clone(), ports, peer })
    }
}

impl Key {
    /// Converts the rule for `ModifySecurityGroupRules`.
    pub(super) fn request(&self, description: Option<&str>) -> SecurityGroupRuleRequest {
        let permission = self.permission(description);
        let request = SecurityGroupRuleRequest::builder()
            .ip_protocol(&self.protocol)
            .set_from_port(permission.from_port())
            .set_to_port(permission.to_port())
            .set_description(description.map(str::to_owned));
        match &self.peer {
            Peer::Cidr(cidr) if cidr.contains(':') => request.cidr_ipv6(cidr),
            Peer::Cidr(cidr) => request.cidr_ipv4(cidr),
            Peer::Group(id) => request.referenced_group_id(id),
        }
        .build()
    }

    /// Converts the rule for a declaration of a group with this id.
    pub(super) fn rule(self, group_id: &str, description: Option<String>) -> Rule {
        let (cidr, group, itself) = match self.peer {
            Peer::Cidr(cidr) => (Some(cidr.into()), None, false),
            Peer::Group(group) if group == group_id => (None, None, true),
            Peer::Group(group) => (None, Some(SecurityGroupId::from(group).into()), false),
        };
        Rule {
            protocol: self.protocol,
            from_port: self.ports.map(|ports| ports.0),
            to_port: self.ports.map(|ports| ports.1),
            cidr,
            group,
            itself,
            description,
        }
    }

    /// Converts the rule for the authorize and revoke calls.
    pub(super) fn permission(&self, description: Option<&str>) -> IpPermission {
        let (from, to) = match self.ports {
            Some((from, to)) => (Some(from.into()), Some(to.into())),
            None if self.protocol.starts_with("icmp") => (Some(-1), Some(-1)),
            None => (None, None),
        };
        let permission = IpPermission::builder().ip_protocol(&self.protocol).set_from_port(from).set_to_port(to);
        let description = description.map(str::to_owned);
        match &self.peer {
            Peer::Cidr(cidr) if cidr.contains(':') => {
                permission.ipv6_ranges(Ipv6Range::builder().cidr_ipv6(cidr).set_description(description).build())
            }
            Peer::Cidr(cidr) => {
                permission.ip_ranges(IpRange::builder().cidr_ip(cidr).set_description(description).build())
            }
            Peer::Group(id) => permission
                .user_id_group_pairs(UserIdGroupPair::builder().group_id(id).set_description(description).build()),
        }
        .build()
    }
}

/// Returns an address range in AWS's spelling, with the host bits cleared; `None` for any other text.
pub(super) fn canonical_cidr(cidr: &str) -> Option<String> {
    let (address, length) = cidr.split_once('/')?;
    let length: u32 = length.parse().ok()?;
    match address.parse().ok()? {
        IpAddr::V4(address) if length <= 32 => {
            let mask = u32::MAX.checked_shl(32 - length).unwrap_or(0);
            Some(format!("{}/{length}", std::net::Ipv4Addr::from(u32::from(address) & mask)))
        }
        IpAddr::V6(address) if length <= 128 => {
            let mask = u128::MAX.checked_shl(128 - length).unwrap_or(0);
            Some(format!("{}/{length}", std::net::Ipv6Addr::from(u128::from(address) & mask)))
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn host_bits_are_cleared() {
        for (range, canonical) in [
            ("10.1.2.3/16", Some("10.1.0.0/16")),
            ("0.0.0.0/0", Some("0.0.0.0/0")),
            ("1.2.3.4/32", Some("1.2.3.4/32")),
            ("2001:DB8::1/32", Some("2001:db8::/32")),
            ("10.0.0.0", None),
            ("10.0.0.0/33", None),
            ("example.com/8", None),
        ] {
            assert_eq!(canonical_cidr(range).as_deref(), canonical, "{range}");
        }
    }

    #[test]
    fn conversion_to_permissions_and_back_keeps_the_rules() {
        let rules = vec![
            Rule::tcp(8080).from_anywhere().describe("users"),
            Rule::udp(5000..=5010).from_cidr("10.1.2.3/16"),
            Rule::icmp().from_cidr("2001:db8::/32"),
            Rule::tcp(22).from_itself(),
            Rule::all().from_group(SecurityGroupId::from("sg-2")),
        ];
        let set = to_set(&rules, "sg-1").unwrap();
        let existing = from_permissions(&permissions(&set));
        assert_eq!(existing, set);
        let back = as_recorded(&existing, &rules, "sg-1");
        assert_eq!(serde_json::to_value(&back).unwrap(), serde_json::to_value(&rules).unwrap());
    }

    #[test]
    fn default_egress_is_recognized_with_and_without_ipv6() {
        let mut rules = default_egress();
        assert!(is_default_egress(&rules));
        rules.extend(to_set(&[Rule::all().to_cidr("::/0")], "sg-1").unwrap());
        assert!(is_default_egress(&rules));
        rules.extend(to_set(&[Rule::tcp(25).to_anywhere()], "sg-1").unwrap());
        assert!(!is_default_egress(&rules) && !is_default_egress(&RuleSet::new()));
    }

    #[test]
    fn rules_that_are_not_recorded_follow_the_recorded_ones() {
        let recorded = vec![Rule::tcp(80).from_anywhere(), Rule::tcp(443).from_anywhere()];
        let existing = to_set(&[Rule::tcp(22).from_anywhere(), Rule::tcp(443).from_anywhere()], "sg-1").unwrap();
        let ports: Vec<_> = as_recorded(&existing, &recorded, "sg-1").iter().map(|rule| rule.from_port).collect();
        assert_eq!(ports, [Some(443), Some(22)]);
    }

    #[test]
    fn invalid_rules_are_reported() {
        let invalid = Rule { to_port: Some(70), ..Rule::tcp(80).from_cidr("10.0.0.0") };
        let problems = invalid.problems("ingress[0]");
        assert_eq!(problems.len(), 2, "{problems:?}");
        assert!(Rule::tcp(80).from_anywhere().problems("ingress[0]").is_empty());
    }
}
