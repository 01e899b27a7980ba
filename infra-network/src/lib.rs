//! The network of VPCs as plain data, and the connections that it permits.
//!
//! The local cloud derives a [`Network`] from its model, brings packets in line with it and answers `stack local reach` by
//! it. The policies of infra-aws derive one from a program's declarations and warn of closed paths in the preview. So both
//! answer alike.
//!
//! ```
//! use infra_network::{Cidr, End, Flow, Interface, Network, Permission, Peer, SecurityGroup, Subnet, Traffic, Vpc};
//!
//! let https = Permission { traffic: Traffic::Tcp(443, 443), peer: Peer::Range(Cidr::EVERYWHERE) };
//! let everything = Permission { traffic: Traffic::All, peer: Peer::Range(Cidr::EVERYWHERE) };
//! let group = SecurityGroup { ingress: [https].into(), egress: [everything].into(), ..SecurityGroup::default() };
//! let mut vpc = Vpc { groups: [("web".to_owned(), group)].into(), ..Vpc::new(Cidr::parse("10.0.0.0/16").unwrap()) };
//! vpc.subnets.insert("a".to_owned(), Subnet::new(Cidr::parse("10.0.1.0/24").unwrap(), "main"));
//! for (id, address) in [("client", [10, 0, 1, 4]), ("server", [10, 0, 1, 5])] {
//!     vpc.interfaces.insert(id.to_owned(), Interface::new(id, "a", address.into(), ["web".to_owned()]));
//! }
//! let network = Network { vpcs: [("vpc".to_owned(), vpc)].into(), ..Network::default() };
//! let path = |port| network.path(Flow::new(End::Interface("client"), [10, 0, 1, 5].into(), Traffic::Tcp(port, port)));
//! assert!(path(443).is_open());
//! assert_eq!(path(80).blocked.unwrap().component, "web");
//! ```
//!
//! # Layout
//! - `cidr`: ranges of addresses
//! - `fault`: injected faults of the network
//! - `reach`: which connections the network permits, and what blocks the others

mod cidr;
mod fault;
mod reach;

pub use cidr::Cidr;
pub use fault::{Fault, Side, Symptom};
pub use reach::{Blocked, End, Flow, Hop, Obstacle, Path};

use serde::{Deserialize, Serialize};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// Source address of connections from outside of the cloud, such as those of a browser on this machine. It is in the
/// range for documentation, TEST-NET-1 (RFC 5737), so it collides with no declared network.
pub const CLIENTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Address of AWS's endpoints on the internet of the cloud.
pub const ENDPOINTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Address of the instance metadata service, as on AWS.
pub const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Address of the VPC's DNS resolver that is the same in every VPC, as on AWS. See [`Vpc::resolver`] for the other one.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

/// All VPCs of a cloud, and the peering connections between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Network {
    /// The VPCs, by id.
    pub vpcs: BTreeMap<String, Vpc>,
    /// The two VPCs of each active peering connection, by the connection's id.
    pub peerings: BTreeMap<String, [String; 2]>,
    /// Injected faults.
    #[serde(default)]
    pub faults: Vec<Fault>,
}

/// A VPC: its router and what is connected to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vpc {
    /// Primary range.
    pub range: Cidr,
    /// Other ranges.
    #[serde(default)]
    pub more_ranges: Vec<Cidr>,
    /// Domain of the names of private addresses.
    pub domain: String,
    /// `true` if its DNS resolver answers.
    pub has_resolver: bool,
    /// Id of the attached internet gateway.
    pub internet_gateway: Option<String>,
    /// Its subnets, by id.
    pub subnets: BTreeMap<String, Subnet>,
    /// The network interfaces in its subnets, by id.
    pub interfaces: BTreeMap<String, Interface>,
    /// The security groups of the interfaces, and those that their rules name, by id.
    pub groups: BTreeMap<String, SecurityGroup>,
    /// Its network ACLs, by id.
    pub acls: BTreeMap<String, NetworkAcl>,
}

/// A subnet of a VPC.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Subnet {
    /// Range of its addresses.
    pub range: Cidr,
    /// The full name of its zone.
    pub zone: String,
    /// Id of the route table that its packets are routed by.
    pub route_table: String,
    /// Routes besides the local one. The longest prefix wins.
    pub routes: BTreeMap<Cidr, Target>,
    /// Id of its network ACL.
    pub acl: String,
}

/// Target of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Target {
    /// The attached internet gateway.
    Internet,
    /// The interface of a NAT gateway, by the interface's id.
    Nat(String),
    /// An active peering connection, by id.
    Peering(String),
    /// An interface of an instance that is not stopped, by id.
    Interface(String),
    /// A target that is detached, deleted or not yet available, by id. Packets are dropped.
    Blackhole(String),
}

/// A network interface: of an instance, a load balancer, a database or a NAT gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// Id of the instance, name of the load balancer, …
    pub owner: String,
    /// Id of its subnet.
    pub subnet: String,
    /// Primary private address.
    pub address: Ipv4Addr,
    /// Further private addresses, each with the public address that the internet gateway translates to it.
    #[serde(default)]
    pub secondary: BTreeMap<Ipv4Addr, Option<Ipv4Addr>>,
    /// The primary interface of its instance and its own number there, if it is not the primary one itself.
    #[serde(default)]
    pub device: Option<(String, u32)>,
    /// `true` if it has no source/destination check: it sends packets from other addresses than its own, and forwards packets
    /// to other addresses under its own, as AWS's NAT instances do.
    #[serde(default)]
    pub forwards: bool,
    /// The public address that the internet gateway translates to the private one.
    pub public: Option<Ipv4Addr>,
    /// Ids of its security groups. `None` for the interface of a NAT gateway, which has none: everything passes.
    pub groups: Option<BTreeSet<String>>,
    /// Forwards packets under its own address, as a NAT gateway does.
    pub translates: bool,
}

/// A security group. It judges the connections of its members.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct SecurityGroup {
    /// Private addresses of the interfaces that belong to the group. Rules that name the group permit these.
    pub members: BTreeSet<Ipv4Addr>,
    /// Rules for connections to members.
    pub ingress: BTreeSet<Permission>,
    /// Rules for connections from members.
    pub egress: BTreeSet<Permission>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Permission {
    /// Protocol and ports.
    pub traffic: Traffic,
    /// The other side of a connection.
    pub peer: Peer,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Peer {
    /// Addresses.
    Range(Cidr),
    /// The members of this security group of the VPC.
    Group(String),
}

/// Protocol and ports that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Traffic {
    /// All protocols.
    All,
    /// TCP: first and last port.
    Tcp(u16, u16),
    /// UDP: first and last port.
    Udp(u16, u16),
    /// ICMP: type and code; `None` matches all.
    Icmp(Option<u8>, Option<u8>),
    /// Another protocol, by IANA's number.
    Protocol(u8),
}

/// A network ACL. It judges each packet that enters or leaves a subnet, in both directions, without regard to
/// connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NetworkAcl {
    /// Entries for packets into the subnet, by rule number: the first one that matches decides, and without any the packet
    /// is denied.
    pub ingress: BTreeMap<u16, AclEntry>,
    /// Entries for packets out of the subnet.
    pub egress: BTreeMap<u16, AclEntry>,
}

/// An entry of a network ACL.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct AclEntry {
    /// `true` if matching packets pass.
    pub allow: bool,
    /// Protocol and ports of the packets.
    pub traffic: Traffic,
    /// Addresses of the other side.
    pub range: Cidr,
}

impl Network {
    /// Finds an interface and its VPC's id.
    pub fn interface(&self, id: &str) -> Option<(&str, &Interface)> {
        self.vpcs.iter().find_map(|(vpc, network)| Some((vpc.as_str(), network.interfaces.get(id)?)))
    }

    /// Finds the interface that holds a public address, its id and its VPC's id.
    pub fn holder_of(&self, public: Ipv4Addr) -> Option<(&str, &str, &Interface)> {
        self.vpcs.iter().find_map(|(vpc, network)| {
            let is_held = |interface: &Interface| interface.translations().any(|(_, outside)| outside == public);
            let (id, interface) = network.interfaces.iter().find(|(_, interface)| is_held(interface))?;
            Some((vpc.as_str(), id.as_str(), interface))
        })
    }
}

impl Vpc {
    /// Creates a VPC with a resolver and nothing else.
    pub fn new(range: Cidr) -> Vpc {
        Vpc {
            range,
            more_ranges: Vec::new(),
            domain: String::new(),
            has_resolver: true,
            internet_gateway: None,
            subnets: BTreeMap::new(),
            interfaces: BTreeMap::new(),
            groups: BTreeMap::new(),
            acls: BTreeMap::new(),
        }
    }

    /// Returns all of its ranges.
    pub fn ranges(&self) -> impl Iterator<Item = Cidr> {
        std::iter::once(self.range).chain(self.more_ranges.iter().copied())
    }

    /// Returns whether an address is in one of its ranges.
    pub fn covers(&self, address: Ipv4Addr) -> bool {
        self.ranges().any(|range| range.covers(address))
    }

    /// Returns the address of the VPC's DNS resolver: the second one after the network's own.
    pub fn resolver(&self) -> Ipv4Addr {
        self.range.address(2)
    }

    /// Finds the interface that has a private address, and its id.
    pub fn at(&self, address: Ipv4Addr) -> Option<(&str, &Interface)> {
        let found = self.interfaces.iter().find(|(_, interface)| interface.addresses().any(|own| own == address));
        found.map(|(id, interface)| (id.as_str(), interface))
    }
}

impl Interface {
    /// Creates an interface of a subnet with one address and these security groups.
    pub fn new(owner: &str, subnet: &str, address: Ipv4Addr, groups: impl IntoIterator<Item = String>) -> Interface {
        Interface {
            owner: owner.to_owned(),
            subnet: subnet.to_owned(),
            address,
            secondary: BTreeMap::new(),
            device: None,
            forwards: false,
            public: None,
            groups: Some(groups.into_iter().collect()),
            translates: false,
        }
    }

    /// Returns all of its private addresses, the primary one first.
    pub fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        std::iter::once(self.address).chain(self.secondary.keys().copied())
    }

    /// Returns its private addresses that the internet gateway translates, each with the public address.
    pub fn translations(&self) -> impl Iterator<Item = (Ipv4Addr, Ipv4Addr)> {
        let all =
            std::iter::once((self.address, self.public)).chain(self.secondary.iter().map(|(own, it)| (*own, *it)));
        all.filter_map(|(private, public)| Some((private, public?)))
    }

    /// Returns the private address to which a public one is translated.
    pub fn private_of(&self, public: Ipv4Addr) -> Option<Ipv4Addr> {
        self.translations().find(|(_, outside)| *outside == public).map(|(private, _)| private)
    }
}

impl Subnet {
    /// Creates a subnet without routes, except the local one of its VPC.
    pub fn new(range: Cidr, route_table: &str) -> Subnet {
        let route_table = route_table.to_owned();
        Subnet { range, zone: String::new(), route_table, routes: BTreeMap::new(), acl: String::new() }
    }

    /// Returns the first address after the network's own: the router's.
    pub fn router(&self) -> Ipv4Addr {
        self.range.address(1)
    }

    /// Returns the route with the longest prefix that covers an address.
    pub fn route(&self, address: Ipv4Addr) -> Option<(Cidr, &Target)> {
        let covering = self.routes.iter().filter(|(range, _)| range.covers(address));
        covering.max_by_key(|(range, _)| range.bits()).map(|(range, target)| (*range, target))
    }
}

impl NetworkAcl {
    /// The network ACL of a new VPC, which allows everything.
    pub fn open() -> NetworkAcl {
        let everything = AclEntry { allow: true, traffic: Traffic::All, range: Cidr::EVERYWHERE };
        let entries = BTreeMap::from([(100, everything)]);
        NetworkAcl { ingress: entries.clone(), egress: entries }
    }

    /// Returns whether every packet passes.
    pub fn is_open(&self) -> bool {
        *self == NetworkAcl::open()
    }
}
