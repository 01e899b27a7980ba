//! Networks: VPCs, subnets and security groups.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::gateway::InternetGateway;
use super::instance::InstanceState;
use super::network_acl::{AclAssociation, NetworkAcl};
use super::network_interface::{Attachment, NetworkInterface};
use super::route_table::{Route, RouteTable, RouteTarget};
use crate::model::cidr::Cidr;
use crate::model::{Region, Tags, new_id};

#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
// The flags are those of AWS's API.
#[allow(clippy::struct_excessive_bools)]
pub(crate) struct Vpc {
    pub(crate) id: String,
    pub(crate) cidr: String,
    /// Other IPv4 ranges.
    #[serde(default)]
    pub(crate) secondary: Vec<RangeAssociation>,
    /// IPv6 ranges, which are recorded and described only.
    #[serde(default)]
    pub(crate) ipv6: Vec<RangeAssociation>,
    pub(crate) default: bool,
    pub(crate) dns_support: bool,
    pub(crate) dns_hostnames: bool,
    /// Kept and shown.
    #[serde(default)]
    pub(crate) address_usage_metrics: bool,
    /// Id of its set of DHCP options, or `default` for none. `None` stands for the set of the region.
    #[serde(default)]
    pub(crate) dhcp_options: Option<String>,
    pub(crate) tags: Tags,
    /// Tags of the default network ACL, in states of earlier versions only.
    #[serde(default, skip_serializing_if = "Tags::is_empty")]
    pub(crate) network_acl_tags: Tags,
}

/// A range of a VPC or a subnet besides its own IPv4 range.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct RangeAssociation {
    pub(crate) id: String,
    pub(crate) cidr: String,
}

/// Attributes of a subnet for later interfaces. IPv6 addresses and names of resources are recorded and described only.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
// The flags are those of AWS's API.
#[allow(clippy::struct_excessive_bools)]
#[serde(default)]
pub(crate) struct SubnetSettings {
    pub(crate) assign_ipv6: bool,
    pub(crate) dns64: bool,
    /// The host name contains the instance's id, not its address.
    pub(crate) resource_names: bool,
    pub(crate) resource_name_a: bool,
    pub(crate) resource_name_aaaa: bool,
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
    #[serde(default)]
    pub(crate) ipv6: Option<RangeAssociation>,
    #[serde(default)]
    pub(crate) settings: SubnetSettings,
    #[serde(default)]
    pub(crate) acl: AclAssociation,
    pub(crate) tags: Tags,
    /// Index of the subnet's 256 addresses in the cloud's block.
    pub(crate) index: u8,
    /// Owners of the assigned host numbers.
    pub(crate) hosts: BTreeMap<u8, String>,
    /// The host number that was assigned last.
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
    /// `None` for all protocols.
    pub(crate) ports: Option<Ports>,
    pub(crate) peer: Peer,
    pub(crate) description: Option<String>,
    pub(crate) tags: Tags,
}

/// The first and the last port; for ICMP, type and code.
pub(crate) type Ports = (i32, i32);

/// Source or destination of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Peer {
    Ipv4(String),
    Ipv6(String),
    Group(String),
    /// Id of a prefix list.
    PrefixList(String),
}

impl Peer {
    /// Returns the range, or the id of the group or of the prefix list.
    pub(crate) fn text(&self) -> &str {
        match self {
            Peer::Ipv4(text) | Peer::Ipv6(text) | Peer::Group(text) | Peer::PrefixList(text) => text,
        }
    }
}

impl Rule {
    /// Returns whether two rules permit the same traffic: AWS refuses duplicates.
    pub(crate) fn same_permission(&self, other: &Rule) -> bool {
        self.egress == other.egress
            && self.protocol == other.protocol
            && self.ports == other.ports
            && self.peer == other.peer
    }
}

impl Vpc {
    /// Returns a new VPC, as `CreateVpc` creates it.
    pub(crate) fn new(cidr: &str) -> Vpc {
        Vpc {
            id: new_id("vpc"),
            cidr: cidr.to_owned(),
            secondary: Vec::new(),
            ipv6: Vec::new(),
            default: false,
            dns_support: true,
            dns_hostnames: false,
            address_usage_metrics: false,
            dhcp_options: None,
            tags: Tags::new(),
            network_acl_tags: Tags::new(),
        }
    }

    /// Returns its IPv4 ranges, the primary one first.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Cidr> {
        let all = std::iter::once(&self.cidr).chain(self.secondary.iter().map(|range| &range.cidr));
        all.filter_map(|range| Cidr::parse(range))
    }

    /// Returns the id of its default network ACL.
    pub(crate) fn network_acl_id(&self) -> String {
        NetworkAcl::default_id(&self.id)
    }
}

impl Subnet {
    /// Assigns a free host number, as long as the declared range has an address left. As on AWS, the first four and the
    /// last are reserved. A released number is reused last, so that a new host is not mistaken for a previous one.
    pub(crate) fn take_host(&mut self, owner: &str) -> Option<u8> {
        if self.available_addresses() == 0 {
            return None;
        }
        let last = self.last_address();
        let after = (4..=last).filter(|host| *host > self.last_host);
        let before = (4..=last).filter(|host| *host <= self.last_host);
        let host = after.chain(before).find(|host| !self.hosts.contains_key(host))?;
        self.last_host = host;
        self.hosts.insert(host, owner.to_owned());
        Some(host)
    }

    /// Assigns the given host number. Returns false when it is in use.
    pub(crate) fn take_this_host(&mut self, host: u8, owner: &str) -> bool {
        let free = (4..=self.last_address()).contains(&host) && !self.hosts.contains_key(&host);
        if free {
            self.hosts.insert(host, owner.to_owned());
        }
        free
    }

    /// Returns the host number that is assigned to `owner`.
    pub(crate) fn host_of(&self, owner: &str) -> Option<u8> {
        self.hosts.iter().find(|(_, holder)| *holder == owner).map(|(host, _)| *host)
    }

    /// Returns the highest assignable host number. The last address of a range is reserved.
    fn last_address(&self) -> u8 {
        let size = Cidr::parse(&self.cidr).map_or(256, Cidr::size);
        u8::try_from(size - 2).unwrap_or(254).min(254)
    }

    /// Releases all host numbers of `owner`.
    pub(crate) fn release_hosts(&mut self, owner: &str) {
        self.hosts.retain(|_, holder| holder != owner);
    }

    /// Returns the number of free addresses in the declared range.
    pub(crate) fn available_addresses(&self) -> u32 {
        let prefix = Cidr::parse(&self.cidr).map_or(24, Cidr::bits);
        (1_u32 << (32 - prefix.clamp(16, 28))).saturating_sub(5 + self.hosts.len() as u32)
    }
}

impl SecurityGroup {
    /// Returns a new group with the default rule, which allows all outbound traffic.
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
    /// Returns the id of a VPC's set of DHCP options.
    pub(crate) fn dhcp_options_of<'a>(&'a self, vpc: &'a Vpc) -> &'a str {
        vpc.dhcp_options.as_deref().unwrap_or(&self.ec2.dhcp_options)
    }

    /// Returns the private address of the interface with this address in the cloud's range: the same host number in the
    /// range of the interface's subnet. Where the loopback interface connects instances, it is the same address.
    pub(crate) fn private_address(&self, address: Ipv4Addr) -> Ipv4Addr {
        if !self.private_addresses {
            return address;
        }
        let [.., host] = address.octets();
        let range = self.subnet_of_address(address).and_then(|subnet| Cidr::parse(&subnet.cidr));
        range.map_or(address, |range| range.address(u32::from(host)))
    }

    /// Returns the subnet of an address in the cloud's range.
    pub(crate) fn subnet_of_address(&self, address: Ipv4Addr) -> Option<&Subnet> {
        let [.., index, _] = address.octets();
        self.ec2.subnets.values().find(|subnet| subnet.index == index)
    }

    /// Returns the resources that prevent the deletion of a security group.
    pub(crate) fn users_of_security_group(&self, id: &str) -> Vec<String> {
        let referring = self.ec2.security_groups.values().filter(|group| {
            group.id != id && group.rules.values().any(|rule| matches!(&rule.peer, Peer::Group(peer) if peer == id))
        });
        let instances = self.ec2.instances.values().filter(|instance| {
            instance.state != InstanceState::Terminated && instance.security_groups.iter().any(|group| group == id)
        });
        let balancers = self.elbv2.load_balancers.values();
        let balancers = balancers.filter(|balancer| balancer.security_groups.iter().any(|group| group == id));
        let referring = referring.map(|group| group.id.clone());
        let interfaces = instances.map(|instance| instance.network_interface_id.clone());
        let unattached = self
            .ec2
            .network_interfaces
            .values()
            // The groups of primary interfaces are their instances'.
            .filter(|interface| interface.attachment.as_ref().is_none_or(|held| held.device_index > 0))
            .filter(|interface| interface.groups.iter().any(|group| group == id));
        let interfaces = interfaces.chain(unattached.map(|interface| interface.id.clone()));
        let endpoints = self.ec2.vpc_endpoints.values().filter(|it| it.security_groups.iter().any(|group| group == id));
        let endpoints = endpoints.map(|endpoint| endpoint.id.clone());
        let databases = self.databases_in_security_group(id).into_iter().chain(endpoints);
        referring.chain(interfaces).chain(balancers.map(|balancer| balancer.arn.clone())).chain(databases).collect()
    }
}

/// Subnet index of the elastic addresses.
pub(crate) const ELASTIC_INDEX: u8 = 255;

/// Adds a VPC with what AWS gives every one: a main route table, a network ACL that allows everything, and the group
/// `default`, whose members may reach each other.
pub(crate) fn add_vpc(region: &mut Region, vpc: Vpc) {
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
    region.ec2.security_groups.insert(group.id.clone(), group);
    let table = RouteTable::main(&vpc.id);
    region.ec2.route_tables.insert(table.id.clone(), table);
    let acl = NetworkAcl::default_of(&vpc.id);
    region.ec2.network_acls.insert(acl.id.clone(), acl);
    region.ec2.vpcs.insert(vpc.id.clone(), vpc);
}

/// Adds the default network of a region: a VPC 172.31.0.0/16 with an internet gateway, and a subnet per zone.
pub(crate) fn add_default_network(region: &mut Region, indexes: &[u8]) {
    let vpc = Vpc { default: true, dns_hostnames: true, ..Vpc::new("172.31.0.0/16") };
    for (position, (zone, index)) in region.zone_names().zip(indexes).collect::<Vec<_>>().into_iter().enumerate() {
        let subnet = Subnet {
            id: new_id("subnet"),
            vpc_id: vpc.id.clone(),
            cidr: format!("{}/20", Ipv4Addr::new(172, 31, position as u8 * 16, 0)),
            zone,
            default_for_zone: true,
            map_public_ip: true,
            ipv6: None,
            settings: SubnetSettings::default(),
            acl: AclAssociation::new(&vpc.network_acl_id()),
            tags: Tags::new(),
            index: *index,
            hosts: BTreeMap::new(),
            last_host: 0,
        };
        region.ec2.subnets.insert(subnet.id.clone(), subnet);
    }
    let id = vpc.id.clone();
    add_vpc(region, vpc);
    open_to_internet(region, &id);
}

/// Adds what a state of an older version does not have: DHCP options, main route tables, the default VPC's gateway,
/// network ACLs, and the interfaces of instances.
pub(crate) fn complete_networks(region: &mut Region) {
    if region.ec2.dhcp_options.is_empty() {
        region.ec2.dhcp_options = new_id("dopt");
    }
    let bare = |region: &Region, vpc: &&Vpc| !region.ec2.route_tables.values().any(|table| table.vpc_id == vpc.id);
    let bare: Vec<Vpc> = region.ec2.vpcs.values().filter(|vpc| bare(region, vpc)).cloned().collect();
    for vpc in bare {
        let table = RouteTable::main(&vpc.id);
        region.ec2.route_tables.insert(table.id.clone(), table);
        if vpc.default {
            open_to_internet(region, &vpc.id);
        }
    }
    complete_network_acls(region);
    complete_network_interfaces(region);
}

/// Adds the interfaces of instances, which earlier versions derived.
fn complete_network_interfaces(region: &mut Region) {
    let instances = region.ec2.instances.values().filter(|instance| instance.state != InstanceState::Terminated);
    let known = &region.ec2.network_interfaces;
    let without = instances.filter(|instance| known.get(&instance.network_interface_id).is_none());
    let missing: Vec<NetworkInterface> = without
        .map(|instance| {
            let id = instance.network_interface_id.clone();
            let attachment =
                Attachment { id: id.replacen("eni-", "eni-attach-", 1), ..Attachment::new(&instance.id, true) };
            let interface = NetworkInterface::new(id, &instance.subnet_id, instance.address);
            NetworkInterface { attachment: Some(attachment), ..interface }
        })
        .collect();
    for interface in missing {
        region.ec2.network_interfaces.insert(interface.id.clone(), interface);
    }
}

/// Adds default network ACLs and their associations. Earlier versions derived the ids of both.
fn complete_network_acls(region: &mut Region) {
    for vpc in region.ec2.vpcs.values_mut() {
        let acl =
            region.ec2.network_acls.entry(vpc.network_acl_id()).or_insert_with(|| NetworkAcl::default_of(&vpc.id));
        acl.tags.append(&mut vpc.network_acl_tags);
    }
    let defaults = &region.ec2.vpcs;
    let without = |subnet: &&Subnet| subnet.acl == AclAssociation::default();
    let without: Vec<Subnet> = region.ec2.subnets.values().filter(without).cloned().collect();
    for mut subnet in without {
        let Some(vpc) = defaults.get(&subnet.vpc_id) else { continue };
        let id = subnet.id.replacen("subnet-", "aclassoc-", 1);
        subnet.acl = AclAssociation { id, network_acl_id: vpc.network_acl_id() };
        region.ec2.subnets.insert(subnet.id.clone(), subnet);
    }
}

/// Attaches a new internet gateway to a VPC, and adds a default route to it in the VPC's main table.
fn open_to_internet(region: &mut Region, vpc_id: &str) {
    let gateway = InternetGateway::new(Some(vpc_id.to_owned()));
    let target = RouteTarget::InternetGateway(gateway.id.clone());
    for table in region.ec2.route_tables.values_mut().filter(|table| table.vpc_id == vpc_id && table.is_main()) {
        table.routes.push(Route { destination: "0.0.0.0/0".to_owned(), target: target.clone() });
    }
    region.ec2.internet_gateways.insert(gateway.id.clone(), gateway);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_state_without_network_acls_gets_the_default_ones() {
        let mut region = Region { name: "r".to_owned(), zones: vec!["a".to_owned()], ..Region::default() };
        add_default_network(&mut region, &[0]);
        region.ec2.network_acls.clear();
        let vpc = region.ec2.vpcs.values_mut().next().expect("a VPC");
        let (vpc_id, acl_id) = (vpc.id.clone(), vpc.network_acl_id());
        vpc.network_acl_tags.insert("name".to_owned(), "open".to_owned());
        let mut subnet = region.ec2.subnets.values().next().cloned().expect("a subnet per zone");
        subnet.acl = AclAssociation::default();
        let subnet_id = subnet.id.clone();
        region.ec2.subnets.insert(subnet_id.clone(), subnet);
        complete_networks(&mut region);
        let acl = &region.ec2.network_acls[&acl_id];
        assert!(acl.default && acl.vpc_id == vpc_id && acl.ingress.contains_key(&100));
        assert_eq!(acl.tags.get("name").map(String::as_str), Some("open"));
        let association = &region.ec2.subnets[&subnet_id].acl;
        assert_eq!(association.network_acl_id, acl_id);
        assert_eq!(association.id, subnet_id.replacen("subnet-", "aclassoc-", 1));
        let before = region.clone();
        complete_networks(&mut region);
        assert_eq!(region, before, "a complete state stays as it is");
    }

    #[test]
    fn a_host_number_is_not_given_again_at_once() {
        let mut region = Region { name: "r".to_owned(), zones: vec!["a".to_owned()], ..Region::default() };
        add_default_network(&mut region, &[0]);
        let mut subnet = region.ec2.subnets.values().next().cloned().expect("a subnet per zone");
        assert_eq!((subnet.take_host("a"), subnet.take_host("b")), (Some(4), Some(5)));
        subnet.release_hosts("b");
        assert_eq!(subnet.take_host("c"), Some(6));
        for _ in 7..=254 {
            assert!(subnet.take_host("d").is_some());
        }
        assert_eq!((subnet.take_host("e"), subnet.take_host("f")), (Some(5), None));
    }
}
