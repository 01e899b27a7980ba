//! Connections that a network permits, and the components that block the others.
//!
//! The evaluation follows a connection from its source to its destination and its replies back, through the components
//! that AWS's Reachability Analyzer lists: security groups judge the connection, network ACLs each packet, route tables
//! each direction.

use serde::{Deserialize, Serialize};
use std::{fmt, net::Ipv4Addr};

use super::{
    AclEntry, CLIENTS, ENDPOINTS, Fault, Interface, METADATA, Network, NetworkAcl, Peer, Permission, RESOLVER, Target,
    Traffic, Vpc,
};

/// Source of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End<'a> {
    /// A network interface, by id.
    Interface(&'a str),
    /// A client outside of the cloud, at [`CLIENTS`].
    Outside,
    /// A client outside of the cloud with this address.
    Client(Ipv4Addr),
}

/// A connection to be evaluated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Flow<'a> {
    /// Source.
    pub from: End<'a>,
    /// Destination's address.
    pub to: Ipv4Addr,
    /// Protocol and port of the destination.
    pub traffic: Traffic,
    /// The source's port, to which replies are sent. Network ACLs judge it.
    pub reply_port: u16,
}

/// A component on the path of a connection, and what it does with it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hop {
    /// Id of the component.
    pub component: String,
    /// Its effect on the connection.
    pub action: String,
}

/// The component that blocks a connection, and the reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Blocked {
    /// Id of the component.
    pub component: String,
    /// The reason.
    pub reason: String,
    /// Kind of the component.
    #[serde(skip)]
    pub obstacle: Obstacle,
}

/// Kind of a component that blocks a connection.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Obstacle {
    /// The egress rules of the source's security groups.
    Egress,
    /// The ingress rules of the destination's security groups.
    Ingress,
    /// A network ACL.
    NetworkAcl,
    /// A route table.
    RouteTable,
    /// Another component.
    #[default]
    Other,
}

/// The path of a connection, up to its destination or the component that blocks it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Path {
    /// The components that the connection passes.
    pub hops: Vec<Hop>,
    /// The component that blocks it; `None` if it is open.
    pub blocked: Option<Blocked>,
}

impl<'a> Flow<'a> {
    /// A connection from a port that systems open connections from.
    pub fn new(from: End<'a>, to: Ipv4Addr, traffic: Traffic) -> Flow<'a> {
        Flow { from, to, traffic, reply_port: EPHEMERAL }
    }
}

impl Path {
    /// Returns whether the connection gets through.
    pub fn is_open(&self) -> bool {
        self.blocked.is_none()
    }
}

impl Network {
    /// Follows a connection through the network.
    pub fn path(&self, flow: Flow<'_>) -> Path {
        let mut walk = Walk { network: self, flow, hops: Vec::new(), senders: Vec::new() };
        let blocked = walk.run().err();
        Path { hops: walk.hops, blocked }
    }

    /// Returns whether a TCP connection can be opened.
    pub fn reaches(&self, from: End<'_>, to: Ipv4Addr, port: u16) -> bool {
        self.path(Flow::new(from, to, Traffic::Tcp(port, port))).is_open()
    }
}

/// A port of the range that Linux opens connections from.
const EPHEMERAL: u16 = 40_000;

/// An interface with its VPC.
#[derive(Clone, Copy)]
struct Place<'a> {
    vpc_id: &'a str,
    vpc: &'a Vpc,
    id: &'a str,
    interface: &'a Interface,
}

struct Walk<'a> {
    network: &'a Network,
    flow: Flow<'a>,
    hops: Vec<Hop>,
    /// The source and the NAT gateway that forwards its packets: interfaces by id, or the internet (`None`).
    senders: Vec<Option<&'a str>>,
}

type Step<T = ()> = Result<T, Blocked>;

fn blocked<T>(component: &str, reason: impl fmt::Display) -> Step<T> {
    blocked_by(Obstacle::Other, component, reason)
}

fn blocked_by<T>(obstacle: Obstacle, component: &str, reason: impl fmt::Display) -> Step<T> {
    Err(Blocked { component: component.to_owned(), reason: reason.to_string(), obstacle })
}

impl<'a> Walk<'a> {
    fn run(&mut self) -> Step {
        match self.flow.from {
            End::Outside => self.enter_from_outside(CLIENTS),
            End::Client(address) => self.enter_from_outside(address),
            End::Interface(id) => {
                let Some(source) = self.place(id) else {
                    return blocked(id, "the interface does not exist, or its instance is stopped");
                };
                self.hop(id, format!("{} of {}", source.interface.address, source.interface.owner));
                self.senders.push(Some(source.id));
                self.leave_interface(source)
            }
        }
    }

    fn enter_from_outside(&mut self, client: Ipv4Addr) -> Step {
        self.hop("internet", format!("a client at {client}"));
        self.senders.push(None);
        self.enter_public(client)
    }

    fn leave_interface(&mut self, source: Place<'a>) -> Step {
        let to = self.flow.to;
        if to == source.interface.address {
            self.hop(source.id, "the destination is the source itself".to_owned());
            return Ok(());
        }
        if [METADATA, RESOLVER, source.vpc.resolver()].contains(&to) {
            return self.enter_router(source);
        }
        self.egress_of_groups(source, to)?;
        if source.vpc.covers(to) {
            let Some((id, interface)) = source.vpc.at(to) else {
                return blocked(source.vpc_id, format!("no interface has the address {to}"));
            };
            let destination = Place { id, interface, ..source };
            return self.enter_interface(Some(source), source.interface.address, destination);
        }
        let subnet = &source.vpc.subnets[&source.interface.subnet];
        match subnet.route(to) {
            None => blocked_by(Obstacle::RouteTable, &subnet.route_table, format!("no route leads to {to}")),
            Some((range, Target::Blackhole(id))) => blocked_by(
                Obstacle::RouteTable,
                &subnet.route_table,
                format!("the route {range} leads to {id}, which is not available"),
            ),
            Some((range, Target::Peering(id))) => {
                self.hop(&subnet.route_table, format!("{range} leads to {id}"));
                let Some(other) = self.other_side(id, source.vpc_id) else {
                    return blocked(id, "the peering connection joins other VPCs");
                };
                let vpc = &self.network.vpcs[other];
                let found = vpc.covers(to).then(|| vpc.at(to)).flatten();
                let Some((address_holder, interface)) = found else {
                    return blocked(other, format!("no interface has the address {to}"));
                };
                let destination = Place { vpc_id: other, vpc, id: address_holder, interface };
                self.enter_interface(Some(source), source.interface.address, destination)?;
                Self::check_return(destination, source.interface.address, &Target::Peering(id.clone()))
            }
            Some((range, Target::Internet)) => {
                self.hop(&subnet.route_table, format!("{range} leads to the internet gateway"));
                self.judge_packets(source, to, Direction::Out)?;
                self.cross_gateway(source)
            }
            Some((range, Target::Interface(id))) => {
                self.hop(&subnet.route_table, format!("{range} leads to {id}"));
                let Some(forwarder) = self.place(id) else {
                    return blocked(id, "the interface does not exist, or its instance is stopped");
                };
                if !forwarder.interface.forwards {
                    return blocked(id, format!("its source/destination check drops packets to {to}"));
                }
                if self.senders.contains(&Some(forwarder.id)) {
                    return blocked_by(
                        Obstacle::RouteTable,
                        &subnet.route_table,
                        format!("the route {range} leads back to {id}"),
                    );
                }
                self.check_faults(Some(forwarder.id))?;
                self.across_subnets(source, source.interface.address, forwarder, to)?;
                self.ingress_of_groups(forwarder, source.interface.address)?;
                let Interface { owner, address, .. } = forwarder.interface;
                self.hop(forwarder.id, format!("{owner} forwards packets as {address}"));
                self.senders.push(Some(forwarder.id));
                self.leave_interface(forwarder)
            }
            Some((range, Target::Nat(id))) => {
                self.hop(&subnet.route_table, format!("{range} leads to {id}"));
                let Some(gateway) = self.place(id) else {
                    return blocked(id, "the NAT gateway does not exist");
                };
                self.check_faults(Some(gateway.id))?;
                self.across_subnets(source, source.interface.address, gateway, to)?;
                self.senders.push(Some(gateway.id));
                let gateway_subnet = &gateway.vpc.subnets[&gateway.interface.subnet];
                match gateway_subnet.route(to) {
                    Some((range, Target::Internet)) => {
                        self.hop(&gateway_subnet.route_table, format!("{range} leads to the internet gateway"));
                    }
                    _ => {
                        return blocked_by(
                            Obstacle::RouteTable,
                            &gateway_subnet.route_table,
                            format!("{} is in a subnet without a route to the internet", gateway.interface.owner),
                        );
                    }
                }
                self.judge_packets(gateway, to, Direction::Out)?;
                self.cross_gateway(gateway)
            }
        }
    }

    /// To the services of the VPC's router. Security groups and network ACLs do not judge these packets.
    fn enter_router(&mut self, source: Place<'a>) -> Step {
        let is_metadata = self.flow.to == METADATA;
        match self.flow.traffic {
            Traffic::Tcp(80, 80) if is_metadata => self.hop(source.vpc_id, "the instance metadata service".to_owned()),
            Traffic::Tcp(53, 53) | Traffic::Udp(53, 53) if !is_metadata && !source.vpc.has_resolver => {
                return blocked(source.vpc_id, "the VPC has no DNS resolver, because enableDnsSupport is false");
            }
            Traffic::Tcp(53, 53) | Traffic::Udp(53, 53) if !is_metadata => {
                self.hop(source.vpc_id, "the DNS resolver".to_owned());
            }
            traffic => return blocked(source.vpc_id, format!("no service of {} accepts {traffic}", self.flow.to)),
        }
        Ok(())
    }

    /// From an internet gateway on, under the public address of an interface.
    fn cross_gateway(&mut self, source: Place<'a>) -> Step {
        let gateway = source.vpc.internet_gateway.as_deref().unwrap_or(source.vpc_id);
        let Some(public) = source.interface.public else {
            return blocked(gateway, format!("{} has no public address", source.interface.owner));
        };
        self.hop(gateway, format!("translates {} to {public}", source.interface.address));
        if self.flow.to == ENDPOINTS {
            self.check_faults(None)?;
            self.hop("internet", "AWS's endpoints".to_owned());
            return Ok(());
        }
        self.enter_public(public)
    }

    /// To the interface that holds the destination's public address.
    fn enter_public(&mut self, from: Ipv4Addr) -> Step {
        let to = self.flow.to;
        let Some((vpc_id, id, interface)) = self.network.holder_of(to) else {
            return blocked("internet", format!("nothing in this cloud has the public address {to}"));
        };
        let vpc = &self.network.vpcs[vpc_id];
        let destination = Place { vpc_id, vpc, id, interface };
        let Some(gateway) = &vpc.internet_gateway else {
            return blocked(vpc_id, "the VPC has no internet gateway");
        };
        self.hop(gateway, format!("translates {to} to {}", interface.private_of(to).unwrap_or(interface.address)));
        self.enter_interface(None, from, destination)?;
        Self::check_return(destination, from, &Target::Internet)
    }

    /// Into an interface. `source` is the sender, unless it is behind an internet gateway.
    fn enter_interface(&mut self, source: Option<Place<'a>>, from: Ipv4Addr, to: Place<'a>) -> Step {
        if to.interface.translates {
            return blocked(to.id, "a NAT gateway accepts no connections");
        }
        self.check_faults(Some(to.id))?;
        match source {
            Some(source) => self.across_subnets(source, from, to, to.interface.address)?,
            None => self.judge_packets(to, from, Direction::In)?,
        }
        self.ingress_of_groups(to, from)?;
        self.hop(to.id, format!("{} of {}", to.interface.address, to.interface.owner));
        Ok(())
    }

    /// Injected faults separate every sender from what its packets arrive at.
    fn check_faults(&self, receiver: Option<&str>) -> Step {
        let is_between = |fault: &&Fault| self.senders.iter().any(|sender| fault.is_between(*sender, receiver));
        match self.network.faults.iter().filter(|fault| fault.is_total()).find(is_between) {
            Some(Fault { sides: [one, other], .. }) => blocked(
                "partition",
                format!(
                    "an injected fault drops the packets between {} and {}: `stack local fault clear` clears it",
                    one.name, other.name
                ),
            ),
            None => Ok(()),
        }
    }

    /// Network ACLs judge packets between two subnets, and none within a subnet.
    fn across_subnets(&mut self, source: Place<'a>, from: Ipv4Addr, to: Place<'a>, destination: Ipv4Addr) -> Step {
        if source.interface.subnet == to.interface.subnet {
            return Ok(());
        }
        self.judge_packets(source, destination, Direction::Out)?;
        self.judge_packets(to, from, Direction::In)
    }

    /// Checks the packets of the connection and its replies by the network ACL of an interface's subnet.
    fn judge_packets(&mut self, at: Place<'a>, other: Ipv4Addr, direction: Direction) -> Step {
        let id = &at.vpc.subnets[&at.interface.subnet].acl;
        let Some(acl) = at.vpc.acls.get(id).filter(|acl| !acl.is_open()) else { return Ok(()) };
        let there = self.flow.traffic;
        let back = match there {
            Traffic::Tcp(..) => Traffic::Tcp(self.flow.reply_port, self.flow.reply_port),
            Traffic::Udp(..) => Traffic::Udp(self.flow.reply_port, self.flow.reply_port),
            // Echo requests, RFC 792.
            Traffic::Icmp(Some(8), _) => Traffic::Icmp(Some(0), Some(0)),
            other => other,
        };
        let (ingress, egress) = match direction {
            Direction::Out => (back, there),
            Direction::In => (there, back),
        };
        for (entries, traffic, name) in [(&acl.egress, egress, "egress"), (&acl.ingress, ingress, "ingress")] {
            let decisive = entries.iter().find(|(_, entry)| entry.matches(traffic, other));
            match decisive {
                Some((_, AclEntry { allow: true, .. })) => {}
                Some((number, _)) => {
                    return blocked_by(
                        Obstacle::NetworkAcl,
                        id,
                        format!("the {name} rule {number} denies {traffic} with {other}"),
                    );
                }
                None => {
                    return blocked_by(
                        Obstacle::NetworkAcl,
                        id,
                        format!("no {name} rule allows {traffic} with {other}"),
                    );
                }
            }
        }
        self.hop(id, format!("allows {there} with {other}"));
        Ok(())
    }

    fn egress_of_groups(&mut self, source: Place<'a>, to: Ipv4Addr) -> Step {
        self.groups(source, to, Obstacle::Egress)
    }

    fn ingress_of_groups(&mut self, destination: Place<'a>, from: Ipv4Addr) -> Step {
        self.groups(destination, from, Obstacle::Ingress)
    }

    /// Checks the egress or the ingress rules of an interface's groups.
    fn groups(&mut self, at: Place<'a>, other: Ipv4Addr, rules: Obstacle) -> Step {
        let Some(groups) = &at.interface.groups else { return Ok(()) };
        let traffic = self.flow.traffic;
        let direction = if rules == Obstacle::Egress { "egress" } else { "ingress" };
        for id in groups {
            let Some(group) = at.vpc.groups.get(id) else { continue };
            let permissions = if rules == Obstacle::Egress { &group.egress } else { &group.ingress };
            if permissions.iter().any(|rule| rule.permits(at.vpc, traffic, other)) {
                self.hop(id, format!("an {direction} rule permits {traffic} with {other}"));
                return Ok(());
            }
        }
        let all: Vec<&str> = groups.iter().map(String::as_str).collect();
        blocked_by(rules, &all.join(", "), format!("no {direction} rule permits {traffic} with {other}"))
    }

    /// Replies must find their way back by the same kind of target.
    fn check_return(from: Place<'_>, to: Ipv4Addr, expected: &Target) -> Step {
        let subnet = &from.vpc.subnets[&from.interface.subnet];
        match subnet.route(to) {
            Some((_, target)) if target == expected => Ok(()),
            Some((range, _)) => blocked_by(
                Obstacle::RouteTable,
                &subnet.route_table,
                format!("replies to {to} take the route {range}, another way"),
            ),
            None => blocked_by(Obstacle::RouteTable, &subnet.route_table, format!("no route leads back to {to}")),
        }
    }

    fn other_side(&self, peering: &str, vpc: &str) -> Option<&'a str> {
        let [one, other] = self.network.peerings.get(peering)?;
        match vpc {
            _ if vpc == one => Some(other),
            _ if vpc == other => Some(one),
            _ => None,
        }
    }

    fn place(&self, id: &'a str) -> Option<Place<'a>> {
        let (vpc_id, interface) = self.network.interface(id)?;
        Some(Place { vpc_id, vpc: &self.network.vpcs[vpc_id], id, interface })
    }

    fn hop(&mut self, component: &str, action: String) {
        self.hops.push(Hop { component: component.to_owned(), action });
    }
}

#[derive(Clone, Copy)]
enum Direction {
    /// Out of the subnet, with replies coming in.
    Out,
    /// Into the subnet, with replies going out.
    In,
}

impl Permission {
    fn permits(&self, vpc: &Vpc, traffic: Traffic, other: Ipv4Addr) -> bool {
        self.traffic.contains(traffic)
            && match &self.peer {
                Peer::Range(range) => range.covers(other),
                Peer::Group(id) => vpc.groups.get(id).is_some_and(|group| group.members.contains(&other)),
            }
    }
}

impl AclEntry {
    fn matches(&self, traffic: Traffic, other: Ipv4Addr) -> bool {
        self.traffic.contains(traffic) && self.range.covers(other)
    }
}

impl Traffic {
    /// Returns whether a rule for this traffic covers all of `other`.
    pub fn contains(self, other: Traffic) -> bool {
        let within = |outer: (u16, u16), inner: (u16, u16)| outer.0 <= inner.0 && inner.1 <= outer.1;
        let matches = |rule: Option<u8>, packet: Option<u8>| rule.is_none() || rule == packet;
        match (self, other) {
            (Traffic::All, _) => true,
            (Traffic::Tcp(first, last), Traffic::Tcp(low, high))
            | (Traffic::Udp(first, last), Traffic::Udp(low, high)) => within((first, last), (low, high)),
            (Traffic::Icmp(kind, code), Traffic::Icmp(of_packet, with)) => {
                matches(kind, of_packet) && matches(code, with)
            }
            (Traffic::Protocol(one), Traffic::Protocol(other)) => one == other,
            _ => false,
        }
    }
}

impl fmt::Display for Traffic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let ports = |f: &mut fmt::Formatter<'_>, name: &str, first: u16, last: u16| {
            if first == last { write!(f, "{name} port {first}") } else { write!(f, "{name} ports {first}-{last}") }
        };
        match *self {
            Traffic::All => f.write_str("all traffic"),
            Traffic::Tcp(first, last) => ports(f, "TCP", first, last),
            Traffic::Udp(first, last) => ports(f, "UDP", first, last),
            Traffic::Icmp(..) => f.write_str("ICMP"),
            Traffic::Protocol(number) => write!(f, "protocol {number}"),
        }
    }
}

impl NetworkAcl {
    /// Returns the entries of a direction by number.
    pub fn entries(&self, egress: bool) -> impl Iterator<Item = (&u16, &AclEntry)> {
        if egress { self.egress.iter() } else { self.ingress.iter() }
    }
}
