//! From the model to the network.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::{
    AclEntry, ENDPOINTS, Interface, Network, NetworkAcl, Peer, Permission, SecurityGroup, Subnet, Target, Traffic, Vpc,
    faults,
};
use crate::domain::ec2::network_interface::{self, NetworkInterface, Owner};
use crate::domain::names;
use crate::model::cidr::Cidr;
use crate::model::ec2::gateway::NatState;
use crate::model::ec2::network_acl;
use crate::model::ec2::peering::PeeringState;
use crate::model::ec2::route_table::{Route, RouteTarget};
use crate::model::ec2::vpc::{self, Rule};
use crate::model::{Cloud, Region};

/// Derives the network of everything that should be connected: instances that are not stopped, load balancers,
/// databases and NAT gateways. It has private addresses, also where the loopback interface connects everything.
pub(crate) fn of(cloud: &Cloud) -> Network {
    let cloud = cloud.with_private_addresses();
    let mut network = Network::default();
    for region in cloud.regions.values() {
        for vpc in region.ec2.vpcs.values() {
            if let Some(range) = Cidr::parse(&vpc.cidr) {
                network.vpcs.insert(vpc.id.clone(), of_vpc(region, vpc, range));
            }
        }
        for peering in region.ec2.peerings.values().filter(|peering| peering.state == PeeringState::Active) {
            let sides = [peering.requester.vpc_id.clone(), peering.accepter.vpc_id.clone()];
            network.peerings.insert(peering.id.clone(), sides);
        }
    }
    network.peerings.retain(|_, sides| sides.iter().all(|vpc| network.vpcs.contains_key(vpc)));
    for region in cloud.regions.values() {
        add_members_of_peers(region, &mut network);
    }
    network.faults = faults::of(&cloud);
    network
}

fn of_vpc(region: &Region, vpc: &vpc::Vpc, range: Cidr) -> Vpc {
    let interfaces = network_interface::all(region).into_iter().filter(|interface| interface.subnet.vpc_id == vpc.id);
    let interfaces: BTreeMap<String, Interface> = interfaces.filter_map(|it| interface(region, it)).collect();
    let subnets = region.ec2.subnets.values().filter(|subnet| subnet.vpc_id == vpc.id);
    let subnets: BTreeMap<String, Subnet> = subnets
        .filter_map(|subnet| Some((subnet.id.clone(), of_subnet(region, subnet, Cidr::parse(&subnet.cidr)?))))
        .collect();
    let groups = region.ec2.security_groups.values().filter(|group| group.vpc_id == vpc.id);
    let groups = groups.map(|group| {
        let permissions = |egress: bool| {
            group.rules.values().filter(move |rule| rule.egress == egress).flat_map(|rule| permissions_of(region, rule))
        };
        let members = interfaces.values().filter(|interface| is_in(interface, &group.id));
        let group_of_network = SecurityGroup {
            members: members.flat_map(Interface::addresses).collect(),
            ingress: permissions(false).collect(),
            egress: permissions(true).collect(),
        };
        (group.id.clone(), group_of_network)
    });
    Vpc {
        range,
        more_ranges: vpc.ranges().skip(1).collect(),
        domain: names::private_domain(&region.name),
        has_resolver: vpc.dns_support,
        internet_gateway: region.internet_gateway_of(&vpc.id).map(|gateway| gateway.id.clone()),
        groups: groups.collect(),
        acls: region.ec2.network_acls.values().filter(|acl| acl.vpc_id == vpc.id).map(acl).collect(),
        subnets,
        interfaces,
    }
}

fn is_in(interface: &Interface, group: &str) -> bool {
    interface.groups.as_ref().is_some_and(|groups| groups.contains(group))
}

fn of_subnet(region: &Region, subnet: &vpc::Subnet, range: Cidr) -> Subnet {
    let table = region.route_table_of(&subnet.id);
    let routes = table.into_iter().flat_map(|table| &table.routes);
    let routes = routes.flat_map(|route| {
        let target = target(region, &subnet.vpc_id, route);
        destinations(region, &route.destination).into_iter().map(move |range| (range, target.clone()))
    });
    Subnet {
        range,
        zone: subnet.zone.clone(),
        route_table: table.map(|table| table.id.clone()).unwrap_or_default(),
        routes: routes.collect(),
        acl: subnet.acl.network_acl_id.clone(),
    }
}

/// Returns the IPv4 ranges of a route's destination.
fn destinations(region: &Region, destination: &str) -> Vec<Cidr> {
    if destination.starts_with("pl-") {
        return ranges_of(region, destination).collect();
    }
    Cidr::parse(destination).into_iter().collect()
}

fn target(region: &Region, vpc_id: &str, route: &Route) -> Target {
    let id = route.target.id();
    if !region.is_alive(vpc_id, &route.target) {
        return Target::Blackhole(id.clone());
    }
    match &route.target {
        RouteTarget::InternetGateway(_) => Target::Internet,
        RouteTarget::NatGateway(_) => match region.ec2.nat_gateways.get(id) {
            Some(gateway) => Target::Nat(gateway.network_interface_id.clone()),
            None => Target::Blackhole(id.clone()),
        },
        RouteTarget::Peering(_) => Target::Peering(id.clone()),
        RouteTarget::NetworkInterface(_) => Target::Interface(id.clone()),
        // Only IPv6 packets leave by this gateway.
        RouteTarget::EgressOnly(_) => Target::Blackhole(id.clone()),
    }
}

/// The interface of a resource, if packets go in and out.
fn interface(region: &Region, interface: NetworkInterface<'_>) -> Option<(String, Interface)> {
    let owner = match interface.owner {
        Owner::Instance(instance) | Owner::Attached(instance, _) => &instance.id,
        Owner::NatGateway(gateway) if gateway.state == NatState::Available => &gateway.id,
        Owner::NatGateway(_) | Owner::Unattached(_) | Owner::VpcEndpoint(_) => return None,
        Owner::LoadBalancer(balancer) => &balancer.name,
        Owner::Database(database) => &database.id,
        Owner::Endpoint(cluster, _) => &cluster.id,
    };
    let device = match interface.owner {
        Owner::Attached(instance, attached) => {
            let index = attached.attachment.as_ref().map_or(0, |attachment| attachment.device_index);
            Some((instance.network_interface_id.clone(), index))
        }
        _ => None,
    };
    let declared = region.ec2.network_interfaces.get(&interface.id);
    let connected = Interface {
        secondary: interface.secondary.iter().copied().collect(),
        device,
        forwards: declared.is_some_and(|declared| !declared.source_dest_check),
        owner: owner.clone(),
        subnet: interface.subnet.id.clone(),
        address: interface.private,
        public: interface.public,
        groups: interface.groups.map(|groups| groups.iter().cloned().collect()),
        translates: matches!(interface.owner, Owner::NatGateway(_)),
    };
    interface.is_up().then_some((interface.id, connected))
}

/// A rule of the model as permissions: one for each range of its prefix list, and none for a rule that IPv4 packets never
/// match.
fn permissions_of(region: &Region, rule: &Rule) -> Vec<Permission> {
    let peers = match &rule.peer {
        vpc::Peer::Ipv4(range) => Cidr::parse(range).map(Peer::Range).into_iter().collect(),
        vpc::Peer::Ipv6(_) => Vec::new(),
        vpc::Peer::Group(id) => vec![Peer::Group(id.clone())],
        vpc::Peer::PrefixList(id) => ranges_of(region, id).map(Peer::Range).collect(),
    };
    let Some(traffic) = traffic(rule) else { return Vec::new() };
    peers.into_iter().map(|peer| Permission { traffic, peer }).collect()
}

/// Returns the ranges of a prefix list. The endpoints of all of AWS's services have one address.
fn ranges_of<'a>(region: &'a Region, id: &str) -> Box<dyn Iterator<Item = Cidr> + 'a> {
    match region.ec2.prefix_lists.get(id) {
        Some(list) => Box::new(list.entries().filter_map(|(range, _)| Cidr::parse(range))),
        None => Box::new(std::iter::once(Cidr::of(ENDPOINTS))),
    }
}

/// Returns the traffic that a rule permits; `None` for a protocol that IPv4 packets never have.
fn traffic(rule: &Rule) -> Option<Traffic> {
    let port = |number: i32| u16::try_from(number.max(0)).unwrap_or(u16::MAX);
    let ports = rule
        .ports
        .map_or((0, u16::MAX), |(first, last)| if first == -1 { (0, u16::MAX) } else { (port(first), port(last)) });
    let traffic = match rule.protocol.as_str() {
        "-1" => Traffic::All,
        "tcp" | "6" => Traffic::Tcp(ports.0, ports.1),
        "udp" | "17" => Traffic::Udp(ports.0, ports.1),
        "icmp" | "1" => {
            // -1 stands for all types or codes.
            let (kind, code) = rule.ports.unwrap_or((-1, -1));
            Traffic::Icmp(u8::try_from(kind).ok(), u8::try_from(code).ok())
        }
        "icmpv6" => return None,
        number => Traffic::Protocol(number.parse().ok()?),
    };
    Some(traffic)
}

fn acl(acl: &network_acl::NetworkAcl) -> (String, NetworkAcl) {
    let entries = |egress| {
        let entries = acl.entries(egress).iter();
        entries.filter_map(|(number, entry)| Some((*number, acl_entry(entry)?))).collect()
    };
    (acl.id.clone(), NetworkAcl { ingress: entries(false), egress: entries(true) })
}

fn acl_entry(entry: &network_acl::AclEntry) -> Option<AclEntry> {
    let (first, last) = entry.ports.unwrap_or((0, u16::MAX));
    let (kind, code) = entry.icmp.unwrap_or((None, None));
    let traffic = match entry.protocol {
        None => Traffic::All,
        Some(1) => Traffic::Icmp(kind, code),
        Some(6) => Traffic::Tcp(first, last),
        Some(17) => Traffic::Udp(first, last),
        Some(number) => Traffic::Protocol(number),
    };
    Some(AclEntry { allow: entry.allow, traffic, range: Cidr::parse(&entry.cidr)? })
}

/// Adds the groups of peered VPCs that rules of this region name. AWS permits such rules within a region.
fn add_members_of_peers(region: &Region, network: &mut Network) {
    let mut found: Vec<(String, String, BTreeSet<Ipv4Addr>)> = Vec::new();
    for [one, other] in network.peerings.values() {
        for (vpc, peer) in [(one, other), (other, one)] {
            if !region.ec2.vpcs.contains_key(vpc) || !region.ec2.vpcs.contains_key(peer) {
                continue;
            }
            let named = network.vpcs[vpc].groups.values().flat_map(|group| group.ingress.iter().chain(&group.egress));
            for permission in named {
                if let Peer::Group(id) = &permission.peer
                    && let Some(group) = network.vpcs[peer].groups.get(id)
                {
                    found.push((vpc.clone(), id.clone(), group.members.clone()));
                }
            }
        }
    }
    for (vpc, id, members) in found {
        if let Some(vpc) = network.vpcs.get_mut(&vpc) {
            vpc.groups.entry(id).or_default().members.extend(members);
        }
    }
}
