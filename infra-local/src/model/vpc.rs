//! Networks: VPCs, subnets and security groups.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::instance::InstanceState;
use super::{Region, Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) cidr: String,
    pub(crate) default: bool,
    pub(crate) dns_support: bool,
    pub(crate) dns_hostnames: bool,
    pub(crate) tags: Tags,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) id: String,
    pub(crate) vpc_id: String,
    pub(crate) cidr: String,
    /// The zone's full name.
    pub(crate) zone: String,
    pub(crate) default_for_zone: bool,
    pub(crate) map_public_ip: bool,
    pub(crate) tags: Tags,
    /// Which 256 addresses of the cloud's block are this subnet's.
    pub(crate) index: u8,
    /// Who holds which host number of those addresses.
    pub(crate) hosts: BTreeMap<u8, String>,
    /// The number that was given last.
    pub(crate) last_host: u8,
}

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) description: String,
    pub(crate) vpc_id: String,
    pub(crate) tags: Tags,
    pub(crate) rules: BTreeMap<String, Rule>,
}

/// One rule of a security group, as `DescribeSecurityGroupRules` shows it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Rule {
    pub(crate) egress: bool,
    /// `tcp`, `udp`, `icmp`, `icmpv6`, a number, or `-1` for all.
    pub(crate) protocol: String,
    /// Absent for all protocols.
    pub(crate) ports: Option<Ports>,
    pub(crate) peer: Peer,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
}

/// The first and the last port; for ICMP, type and code.
pub(crate) type Ports = (i32, i32);

/// Whom a rule speaks of.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Peer {
    Ipv4(String),
    Ipv6(String),
    Group(String),
}

impl Peer {
    /// The range or the group's id.
    pub(crate) fn text(&self) -> &str {
        match self {
            Peer::Ipv4(text) | Peer::Ipv6(text) | Peer::Group(text) => text,
        }
    }
}

impl Rule {
    /// Whether two rules permit the same: AWS refuses to have both.
    pub(crate) fn same_permission(&self, other: &Rule) -> bool {
        self.egress == other.egress
            && self.protocol == other.protocol
            && self.ports == other.ports
            && self.peer == other.peer
    }
}

impl Subnet {
    /// Takes a free host number. Like AWS, the first four and the last are nobody's. A number that was given back is
    /// the last to be given again, so that nobody mistakes a new host for an old one.
    pub(crate) fn take_host(&mut self, owner: &str) -> Option<u8> {
        let after = (4..=254).filter(|host| *host > self.last_host);
        let before = (4..=254).filter(|host| *host <= self.last_host);
        let host = after.chain(before).find(|host| !self.hosts.contains_key(host))?;
        self.last_host = host;
        self.hosts.insert(host, owner.to_owned());
        Some(host)
    }

    /// Gives back everything that `owner` holds.
    pub(crate) fn release_hosts(&mut self, owner: &str) {
        self.hosts.retain(|_, holder| holder != owner);
    }

    /// The addresses of the declared range that are still free.
    pub(crate) fn available_addresses(&self) -> u32 {
        let prefix: u32 = self.cidr.split_once('/').and_then(|(_, bits)| bits.parse().ok()).unwrap_or(24);
        (1_u32 << (32 - prefix.clamp(16, 28))).saturating_sub(5 + self.hosts.len() as u32)
    }
}

impl SecurityGroup {
    /// A new group with the rule that every new group has: everything may go out.
    pub(crate) fn new(name: &str, description: &str, vpc_id: &str) -> SecurityGroup {
        let everything_out = Rule {
            egress: true,
            protocol: "-1".to_owned(),
            ports: None,
            peer: Peer::Ipv4("0.0.0.0/0".to_owned()),
            description: None,
            tags: Tags::new(),
        };
        SecurityGroup {
            id: new_id("sg"),
            name: name.to_owned(),
            description: description.to_owned(),
            vpc_id: vpc_id.to_owned(),
            tags: Tags::new(),
            rules: BTreeMap::from([(new_id("sgr"), everything_out)]),
        }
    }
}

impl Region {
    /// Everything that keeps a security group from being deleted.
    pub(crate) fn users_of_security_group(&self, id: &str) -> Vec<String> {
        let referring = self.security_groups.values().filter(|group| {
            group.id != id && group.rules.values().any(|rule| matches!(&rule.peer, Peer::Group(peer) if peer == id))
        });
        let instances = self.instances.values().filter(|instance| {
            instance.state != InstanceState::Terminated && instance.security_groups.iter().any(|group| group == id)
        });
        let balancers = self.balancing.load_balancers.values();
        let balancers = balancers.filter(|balancer| balancer.security_groups.iter().any(|group| group == id));
        let referring = referring.map(|group| group.id.clone());
        let interfaces = instances.map(|instance| instance.network_interface_id.clone());
        let databases = self.databases_in_security_group(id);
        referring.chain(interfaces).chain(balancers.map(|balancer| balancer.arn.clone())).chain(databases).collect()
    }
}

/// Gives a new region what AWS gives it: a VPC 172.31.0.0/16, a subnet per zone, and the group `default`.
pub(crate) fn add_default_network(region: &mut Region, region_index: u8) {
    let vpc = Vpc {
        id: new_id("vpc"),
        cidr: "172.31.0.0/16".to_owned(),
        default: true,
        dns_support: true,
        dns_hostnames: true,
        tags: Tags::new(),
    };
    for (position, zone) in region.zone_names().collect::<Vec<_>>().into_iter().enumerate() {
        let subnet = Subnet {
            id: new_id("subnet"),
            vpc_id: vpc.id.clone(),
            cidr: format!("{}/20", Ipv4Addr::new(172, 31, position as u8 * 16, 0)),
            zone,
            default_for_zone: true,
            map_public_ip: true,
            tags: Tags::new(),
            index: region_index * SUBNETS_PER_REGION + position as u8,
            hosts: BTreeMap::new(),
            last_host: 0,
        };
        region.subnets.insert(subnet.id.clone(), subnet);
    }
    let mut group = SecurityGroup::new("default", "default VPC security group", &vpc.id);
    let among_themselves = Rule {
        egress: false,
        protocol: "-1".to_owned(),
        ports: None,
        peer: Peer::Group(group.id.clone()),
        description: None,
        tags: Tags::new(),
    };
    group.rules.insert(new_id("sgr"), among_themselves);
    region.security_groups.insert(group.id.clone(), group);
    region.vpcs.insert(vpc.id.clone(), vpc);
}

/// How many of the block's 256 subnets a region has for itself.
const SUBNETS_PER_REGION: u8 = 16;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_host_number_is_not_given_again_at_once() {
        let mut region = Region { name: "r".to_owned(), zones: vec!["a".to_owned()], ..Region::default() };
        add_default_network(&mut region, 0);
        let mut subnet = region.subnets.into_values().next().expect("a subnet per zone");
        assert_eq!((subnet.take_host("a"), subnet.take_host("b")), (Some(4), Some(5)));
        subnet.release_hosts("b");
        assert_eq!(subnet.take_host("c"), Some(6));
        for _ in 7..=254 {
            assert!(subnet.take_host("d").is_some());
        }
        assert_eq!((subnet.take_host("e"), subnet.take_host("f")), (Some(5), None));
    }
}
