//! The network that the model declares, as plain data.
//!
//! [`Network::of`] is a pure function of the model. The runtime brings packets in line with its result, and [`reach`]
//! evaluates the same data, so both answer alike.
//!
//! - [`derive`]: from the model to the network
//! - [`faults`]: injected faults of the network
//! - [`reach`]: which connections the network permits, and what blocks the others

mod derive;
mod faults;
mod reach;
#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

pub(crate) use faults::{Fault, Side};
pub(crate) use reach::{End, Flow};

use crate::model::cidr::Cidr;

/// Source address of connections from outside of the cloud, such as those of a browser on this machine. It is in the
/// range for documentation, TEST-NET-1 (RFC 5737), so it collides with no declared network.
pub(crate) const CLIENTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);

/// Address of AWS's endpoints on the internet of the cloud.
pub(crate) const ENDPOINTS: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 2);

/// Address of the instance metadata service, as on AWS.
pub(crate) const METADATA: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 254);

/// Address of the VPC's DNS resolver that is the same in every VPC, as on AWS. See [`Vpc::resolver`] for the other one.
pub(crate) const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 169, 253);

/// All VPCs of a cloud, and the peering connections between them.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Network {
    /// By id.
    pub(crate) vpcs: BTreeMap<String, Vpc>,
    /// The two VPCs of each active peering connection, by the connection's id.
    pub(crate) peerings: BTreeMap<String, [String; 2]>,
    /// Injected faults.
    #[serde(default)]
    pub(crate) faults: Vec<Fault>,
}

/// A VPC: its router and what is connected to it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Vpc {
    pub(crate) range: Cidr,
    /// Other ranges.
    #[serde(default)]
    pub(crate) more_ranges: Vec<Cidr>,
    /// Domain of the names of private addresses.
    pub(crate) domain: String,
    /// Whether its DNS resolver answers.
    pub(crate) has_resolver: bool,
    /// Id of the attached internet gateway.
    pub(crate) internet_gateway: Option<String>,
    /// By id.
    pub(crate) subnets: BTreeMap<String, Subnet>,
    /// By id.
    pub(crate) interfaces: BTreeMap<String, Interface>,
    /// The security groups of the interfaces, and those that their rules name, by id.
    pub(crate) groups: BTreeMap<String, SecurityGroup>,
    /// Its network ACLs, by id.
    pub(crate) acls: BTreeMap<String, NetworkAcl>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Subnet {
    pub(crate) range: Cidr,
    /// The full name of its zone.
    pub(crate) zone: String,
    /// Id of the route table that its packets are routed by.
    pub(crate) route_table: String,
    /// Routes besides the local one. The longest prefix wins.
    pub(crate) routes: BTreeMap<Cidr, Target>,
    /// Id of its network ACL.
    pub(crate) acl: String,
}

/// Target of a route.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Target {
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
pub(crate) struct Interface {
    /// Id of the instance, name of the load balancer, …
    pub(crate) owner: String,
    pub(crate) subnet: String,
    pub(crate) address: Ipv4Addr,
    /// Further private addresses.
    #[serde(default)]
    pub(crate) secondary: BTreeSet<Ipv4Addr>,
    /// The primary interface of its instance and its own number there, if it is not the primary one itself.
    #[serde(default)]
    pub(crate) device: Option<(String, u32)>,
    /// Whether it has no source/destination check: it sends packets from other addresses than its own, and forwards packets
    /// to other addresses under its own, as AWS's NAT instances do.
    #[serde(default)]
    pub(crate) forwards: bool,
    /// The public address that the internet gateway translates to the private one.
    pub(crate) public: Option<Ipv4Addr>,
    /// Ids of its security groups. `None` for the interface of a NAT gateway, which has none: everything passes.
    pub(crate) groups: Option<BTreeSet<String>>,
    /// Forwards packets under its own address, as a NAT gateway does.
    pub(crate) translates: bool,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct SecurityGroup {
    /// Private addresses of the interfaces that belong to the group. Rules that name the group permit these.
    pub(crate) members: BTreeSet<Ipv4Addr>,
    pub(crate) ingress: BTreeSet<Permission>,
    pub(crate) egress: BTreeSet<Permission>,
}

/// A rule of a security group.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Permission {
    pub(crate) traffic: Traffic,
    pub(crate) peer: Peer,
}

/// The other side of a rule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Peer {
    Range(Cidr),
    /// The members of this security group of the VPC.
    Group(String),
}

/// Protocol and ports that a rule matches.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Traffic {
    All,
    /// First and last port.
    Tcp(u16, u16),
    Udp(u16, u16),
    /// Type and code; `None` matches all.
    Icmp(Option<u8>, Option<u8>),
    /// Another protocol, by IANA's number.
    Protocol(u8),
}

/// A network ACL. It judges each packet that enters or leaves a subnet, in both directions, without regard to
/// connections.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NetworkAcl {
    /// By rule number: the first entry that matches decides, and without any the packet is denied.
    pub(crate) ingress: BTreeMap<u16, AclEntry>,
    pub(crate) egress: BTreeMap<u16, AclEntry>,
}

#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct AclEntry {
    pub(crate) allow: bool,
    pub(crate) traffic: Traffic,
    pub(crate) range: Cidr,
}

impl Network {
    /// Finds an interface and its VPC's id.
    pub(crate) fn interface(&self, id: &str) -> Option<(&str, &Interface)> {
        self.vpcs.iter().find_map(|(vpc, network)| Some((vpc.as_str(), network.interfaces.get(id)?)))
    }

    /// Finds the interface that holds a public address, its id and its VPC's id.
    pub(crate) fn holder_of(&self, public: Ipv4Addr) -> Option<(&str, &str, &Interface)> {
        self.vpcs.iter().find_map(|(vpc, network)| {
            let (id, interface) = network.interfaces.iter().find(|(_, interface)| interface.public == Some(public))?;
            Some((vpc.as_str(), id.as_str(), interface))
        })
    }
}

impl Vpc {
    /// Returns all of its ranges.
    pub(crate) fn ranges(&self) -> impl Iterator<Item = Cidr> {
        std::iter::once(self.range).chain(self.more_ranges.iter().copied())
    }

    /// Returns whether an address is in one of its ranges.
    pub(crate) fn covers(&self, address: Ipv4Addr) -> bool {
        self.ranges().any(|range| range.covers(address))
    }

    /// Returns the address of the VPC's DNS resolver: the second one after the network's own.
    pub(crate) fn resolver(&self) -> Ipv4Addr {
        self.range.address(2)
    }

    /// Finds the interface that has a private address, and its id.
    pub(crate) fn at(&self, address: Ipv4Addr) -> Option<(&str, &Interface)> {
        let found = self.interfaces.iter().find(|(_, interface)| interface.addresses().any(|own| own == address));
        found.map(|(id, interface)| (id.as_str(), interface))
    }
}

impl Interface {
    /// Returns all of its private addresses, the primary one first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = Ipv4Addr> {
        std::iter::once(self.address).chain(self.secondary.iter().copied())
    }
}

impl Subnet {
    /// Returns the first address after the network's own: the router's.
    pub(crate) fn router(&self) -> Ipv4Addr {
        self.range.address(1)
    }

    /// Returns the route with the longest prefix that covers an address.
    pub(crate) fn route(&self, address: Ipv4Addr) -> Option<(Cidr, &Target)> {
        let covering = self.routes.iter().filter(|(range, _)| range.covers(address));
        covering.max_by_key(|(range, _)| range.bits()).map(|(range, target)| (*range, target))
    }
}

impl NetworkAcl {
    /// The network ACL of a new VPC, which allows everything.
    pub(crate) fn open() -> NetworkAcl {
        let everything = AclEntry { allow: true, traffic: Traffic::All, range: Cidr::EVERYWHERE };
        let entries = BTreeMap::from([(100, everything)]);
        NetworkAcl { ingress: entries.clone(), egress: entries }
    }

    /// Returns whether every packet passes.
    pub(crate) fn is_open(&self) -> bool {
        *self == NetworkAcl::open()
    }
}
