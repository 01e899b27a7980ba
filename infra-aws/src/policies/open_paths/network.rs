//! The network that a program declares, as data for the evaluation of paths.

use super::program::{End, Program};
use crate::{
    Instance, InternetGateway, LaunchTemplate, NatGateway, Route, RouteTable, Rule, SecurityGroup, SecurityGroupRule,
    Subnet, Vpc, VpcPeering, ec2::security_group_rule::Direction,
};
use infra_core::{Resource, policy::Declared, urn::Urn, value::Value};
use infra_network::{
    AclEntry, Cidr, Interface, Network, NetworkAcl, Peer, Permission, SecurityGroup as Group, Subnet as Place, Target,
    Traffic, Vpc as Range,
};
use serde_json::Value as Json;
use std::{
    collections::{BTreeMap, BTreeSet},
    net::Ipv4Addr,
};

/// Ids of the VPC and the subnet of ends whose subnets are not declared in the stack. Everything in it has a route to the
/// internet, and rules with a CIDR block apply to all addresses.
const UNDECLARED: &str = "undeclared";

/// First address of the public addresses that ends get here, in the range for benchmarks (RFC 2544).
const PUBLIC: Ipv4Addr = Ipv4Addr::new(198, 18, 0, 1);

/// The VPCs that a program declares, with subnets, routes and network ACLs. Ids are URNs.
pub(super) struct DeclaredNetwork<'a> {
    program: Program<'a>,
    base: Network,
    /// Subnets whose routes are not known before they are created.
    unknown: BTreeSet<&'a Urn>,
}

/// A network with the interfaces of the two ends of a path.
pub(super) struct Placed {
    pub(super) network: Network,
    /// Ids of the interfaces of the source, unless it is a client, and of the destination.
    pub(super) from: Option<String>,
    pub(super) to: String,
}

/// Position of an end: the VPC and the subnet, by their ids.
#[derive(Clone, PartialEq, Eq)]
struct Position {
    vpc: String,
    subnet: String,
    is_public: bool,
}

impl<'a> DeclaredNetwork<'a> {
    pub(super) fn of(program: Program<'a>) -> Self {
        let mut declared = Self { program, base: Network::default(), unknown: BTreeSet::new() };
        declared.add_vpcs();
        declared.add_subnets();
        declared.add_routes();
        declared.add_acls();
        declared
    }

    fn add_vpcs(&mut self) {
        for (declared, vpc) in self.program.of_kind::<Vpc>() {
            let Some(range) = Cidr::parse(&vpc.cidr) else { continue };
            self.base.vpcs.insert(declared.urn.to_string(), Range::new(range));
        }
        for (gateway, _) in self.program.of_kind::<InternetGateway>() {
            for vpc in self.program.used::<Vpc>(gateway) {
                if let Some(vpc) = self.base.vpcs.get_mut(vpc.urn.as_str()) {
                    vpc.internet_gateway = Some(gateway.urn.to_string());
                }
            }
        }
        for (peering, _) in self.program.of_kind::<VpcPeering>() {
            let sides: Vec<String> = self.program.used::<Vpc>(peering).map(|vpc| vpc.urn.to_string()).collect();
            if let Ok(sides) = <[String; 2]>::try_from(sides)
                && sides.iter().all(|vpc| self.base.vpcs.contains_key(vpc))
            {
                self.base.peerings.insert(peering.urn.to_string(), sides);
            }
        }
    }

    fn add_subnets(&mut self) {
        for (declared, subnet) in self.program.of_kind::<Subnet>() {
            let Some((vpc, range)) = self.program.only::<Vpc>(declared).zip(Cidr::parse(&subnet.cidr)) else {
                continue;
            };
            if let Some(network) = self.base.vpcs.get_mut(vpc.urn.as_str()) {
                // Without an association, the VPC's main route table, which has no other route than the local one.
                let place = Place::new(range, &format!("the main route table of {}", vpc.urn));
                network.subnets.insert(declared.urn.to_string(), place);
            }
        }
    }

    fn add_routes(&mut self) {
        for (table, routes) in self.program.of_kind::<RouteTable>() {
            let mut targets: BTreeMap<Cidr, Target> = BTreeMap::new();
            let mut is_known = true;
            for route in &routes.routes {
                match self.route(table, route) {
                    Some((range, target)) => _ = targets.insert(range, target),
                    None => is_known = false,
                }
            }
            for subnet in self.program.used::<Subnet>(table) {
                if !is_known {
                    self.unknown.insert(subnet.urn);
                }
                let mut vpcs = self.base.vpcs.values_mut();
                if let Some(place) = vpcs.find_map(|vpc| vpc.subnets.get_mut(subnet.urn.as_str())) {
                    place.route_table = table.urn.to_string();
                    place.routes.clone_from(&targets);
                }
            }
        }
    }

    /// Returns the destination and the target of a route, if both are known or declared.
    fn route(&mut self, table: &'a Declared<'a>, route: &Route) -> Option<(Cidr, Target)> {
        let range = Cidr::parse(&route.destination.known().ok()?)?;
        if route.internet_gateway.is_some() {
            // A gateway that is not declared in the stack is attached.
            let vpc = self.program.only::<Vpc>(table)?;
            let network = self.base.vpcs.get_mut(vpc.urn.as_str())?;
            network.internet_gateway.get_or_insert_with(|| format!("the internet gateway of {}", vpc.urn));
            return Some((range, Target::Internet));
        }
        if route.nat_gateway.is_some() {
            let gateway = self.program.only::<NatGateway>(table)?;
            let subnet = self.program.only::<Subnet>(gateway)?;
            let public = public_address(&self.base);
            let network = self.vpc_of(subnet.urn.as_str())?;
            let id = gateway.urn.to_string();
            if !network.interfaces.contains_key(&id) {
                let address = free_address(network, subnet.urn.as_str())?;
                let mut interface = Interface::new(gateway.urn.name(), subnet.urn.as_str(), address, []);
                interface.groups = None;
                interface.translates = true;
                interface.public = Some(public);
                network.interfaces.insert(id.clone(), interface);
            }
            return Some((range, Target::Nat(id)));
        }
        // The path through a forwarding instance is not evaluated.
        if route.instance.is_some() || route.network_interface.is_some() {
            return None;
        }
        let here = self.program.only::<Vpc>(table)?.urn.as_str();
        let leads_to = |sides: &[String; 2]| {
            let other = sides.iter().find(|side| *side != here)?;
            let other = self.base.vpcs.get(other)?;
            sides.iter().any(|side| side == here).then(|| other.range.overlaps(range)).filter(|overlaps| *overlaps)
        };
        let connections = self.program.used::<VpcPeering>(table).map(|peering| peering.urn.to_string());
        let mut connections = connections.filter(|id| self.base.peerings.get(id).and_then(leads_to).is_some());
        connections.next().map(|id| (range, Target::Peering(id)))
    }

    /// Network ACLs have no kind of their own: they are resources of CloudFormation's types.
    fn add_acls(&mut self) {
        let program = self.program;
        let of_type = |name: &'static str| program.all.iter().filter(move |declared| is_of_type(declared, name));
        let acl_of = |by: &'a Declared<'a>| {
            let used = by.dependencies.iter().filter_map(|urn| program.by_urn.get(urn).copied());
            used.filter(|declared| is_of_type(declared, "AWS::EC2::NetworkAcl")).map(|acl| acl.urn).next()
        };
        let mut acls: BTreeMap<&Urn, NetworkAcl> = BTreeMap::new();
        for entry in of_type("AWS::EC2::NetworkAclEntry") {
            let properties = entry.inputs.field("properties").map(Value::to_json).unwrap_or_default();
            let (Some(acl), Some((number, is_egress, parsed))) = (acl_of(entry), acl_entry(&properties)) else {
                continue;
            };
            let acl = acls.entry(acl).or_insert_with(|| NetworkAcl { ingress: [].into(), egress: [].into() });
            let entries = if is_egress { &mut acl.egress } else { &mut acl.ingress };
            entries.insert(number, parsed);
        }
        let closed = NetworkAcl { ingress: [].into(), egress: [].into() };
        for association in of_type("AWS::EC2::SubnetNetworkAclAssociation") {
            let Some(acl) = acl_of(association) else { continue };
            for subnet in program.used::<Subnet>(association) {
                let Some(network) = self.vpc_of(subnet.urn.as_str()) else { continue };
                network.acls.insert(acl.to_string(), acls.get(acl).unwrap_or(&closed).clone());
                if let Some(place) = network.subnets.get_mut(subnet.urn.as_str()) {
                    place.acl = acl.to_string();
                }
            }
        }
    }

    /// Returns the network with interfaces of both ends, once for each combination of their subnets. `is_public` gives the
    /// destination a public address.
    pub(super) fn placed(&self, from: Option<&End<'a>>, to: &End<'a>, is_public: bool) -> Vec<Placed> {
        let (sources, destinations) = (from.map(|from| self.positions(from)), self.positions(to));
        let is_declared = sources.as_ref().is_none_or(|sources| !sources.is_empty()) && !destinations.is_empty();
        if !is_declared {
            let undeclared = Position { vpc: UNDECLARED.into(), subnet: UNDECLARED.into(), is_public: true };
            let source = from.map(|from| (from, &undeclared));
            return self.place(undeclared_network(), source, (to, &undeclared), is_public).into_iter().collect();
        }
        let sources: Vec<Option<Position>> =
            sources.map_or_else(|| vec![None], |sources| sources.into_iter().map(Some).collect());
        let mut placed = Vec::new();
        for source in &sources {
            for destination in &destinations {
                let source = from.zip(source.as_ref());
                placed.extend(self.place(self.base.clone(), source, (to, destination), is_public));
            }
        }
        placed
    }

    /// Returns the declared subnets of an end; none if the routes of one are not known.
    fn positions(&self, end: &End<'a>) -> Vec<Position> {
        let position = |subnet: &&'a Declared<'a>| {
            let (vpc, _) = self.base.vpcs.iter().find(|(_, vpc)| vpc.subnets.contains_key(subnet.urn.as_str()))?;
            let is_public = subnet.resource::<Subnet>().is_some_and(|subnet| subnet.map_public_ip);
            let is_known = !self.unknown.contains(subnet.urn);
            is_known.then(|| Position { vpc: vpc.clone(), subnet: subnet.urn.to_string(), is_public })
        };
        let positions: Option<Vec<_>> = end.subnets.iter().map(position).collect();
        positions.unwrap_or_default()
    }

    fn place(
        &self,
        mut network: Network,
        from: Option<(&End<'a>, &Position)>,
        to: (&End<'a>, &Position),
        is_public: bool,
    ) -> Option<Placed> {
        let ends: Vec<(&End<'a>, &Position)> = from.into_iter().chain([to]).collect();
        let mut members = Members::default();
        let mut ids = Vec::new();
        for (end, position) in &ends {
            let is_destination = end.declared.urn == to.0.declared.urn;
            let is_host = [Instance::TYPE, LaunchTemplate::TYPE].contains(&end.declared.urn.kind());
            let has_public = is_public && is_destination || position.is_public && is_host;
            let public = has_public.then(|| public_address(&network));
            let vpc = network.vpcs.get_mut(&position.vpc)?;
            let address = free_address(vpc, &position.subnet)?;
            let groups = end.groups.iter().map(|group| group.urn.to_string());
            let interface = Interface::new(end.declared.urn.name(), &position.subnet, address, groups);
            for group in &end.groups {
                let member = Member { vpc: position.vpc.clone(), region: end.declared.region, address };
                members.0.entry(group.urn.to_string()).or_default().push(member);
            }
            let id = format!("{} in {}", end.declared.urn, position.subnet);
            vpc.interfaces.insert(id.clone(), Interface { public, ..interface });
            ids.push(id);
        }
        for (end, position) in &ends {
            let visible = members.visible(&network, &position.vpc, end.declared.region);
            let vpc = network.vpcs.get_mut(&position.vpc)?;
            for group in &end.groups {
                let declared = self.group(group, position.vpc == UNDECLARED);
                let Group { ingress, egress, .. } = declared;
                let entry = vpc.groups.entry(group.urn.to_string()).or_default();
                (entry.ingress, entry.egress) = (ingress, egress);
            }
            // Rules refer to the members of the groups of both ends.
            for (group, addresses) in visible {
                vpc.groups.entry(group).or_default().members.extend(addresses);
            }
        }
        let to = ids.pop()?;
        Some(Placed { network, from: ids.pop(), to })
    }

    /// Returns a declared group with its own rules and those that are declared separately.
    fn group(&self, declared: &'a Declared<'a>, is_undeclared: bool) -> Group {
        let own = declared.resource::<SecurityGroup>();
        let (ingress, egress) = own.map(|own| (own.ingress, own.egress)).unwrap_or_default();
        let named = |by: &'a Declared<'a>| -> Vec<&'a Urn> {
            self.program.used::<SecurityGroup>(by).map(|it| it.urn).filter(|urn| *urn != declared.urn).collect()
        };
        let permissions = |rules: &[Rule], by: &'a Declared<'a>| -> Vec<Permission> {
            rules.iter().flat_map(|rule| permissions(rule, declared.urn, &named(by), is_undeclared)).collect()
        };
        let mut group = Group::default();
        group.ingress.extend(permissions(&ingress, declared));
        group.egress.extend(permissions(&egress, declared));
        if egress.is_empty() {
            // A new group keeps AWS's default rule, which allows all outbound traffic.
            group.egress.insert(Permission { traffic: Traffic::All, peer: Peer::Range(Cidr::EVERYWHERE) });
        }
        for (by, single) in self.program.of_kind::<SecurityGroupRule>() {
            if !by.dependencies.contains(declared.urn) {
                continue;
            }
            let rules = match single.direction {
                Direction::Ingress => &mut group.ingress,
                Direction::Egress => &mut group.egress,
            };
            rules.extend(permissions(std::slice::from_ref(&single.rule), by));
        }
        group
    }

    fn vpc_of(&mut self, subnet: &str) -> Option<&mut Range> {
        self.base.vpcs.values_mut().find(|vpc| vpc.subnets.contains_key(subnet))
    }
}

/// Members of groups: their addresses, with the VPC and the region that each is in.
#[derive(Default)]
struct Members<'a>(BTreeMap<String, Vec<Member<'a>>>);

/// A member of a group.
struct Member<'a> {
    vpc: String,
    region: Option<&'a str>,
    address: Ipv4Addr,
}

impl Members<'_> {
    /// Returns the members to which rules in a VPC of a region refer: those in it, and in peered VPCs of the region.
    fn visible(&self, network: &Network, vpc: &str, region: Option<&str>) -> BTreeMap<String, BTreeSet<Ipv4Addr>> {
        let is_peered = |other: &str| {
            let mut connections = network.peerings.values();
            connections.any(|sides| sides.iter().any(|side| side == vpc) && sides.iter().any(|side| side == other))
        };
        let groups = self.0.iter().map(|(group, members)| {
            let is_visible =
                |member: &&Member<'_>| member.region == region && (member.vpc == vpc || is_peered(&member.vpc));
            (group.clone(), members.iter().filter(is_visible).map(|member| member.address).collect())
        });
        groups.collect()
    }
}

impl Placed {
    /// Returns the security groups of the destination.
    pub(super) fn groups_of_destination(&self) -> Vec<&Group> {
        let found = self.network.interface(&self.to);
        let groups = found.into_iter().flat_map(|(vpc, interface)| {
            let ids = interface.groups.iter().flatten();
            ids.filter_map(move |id| self.network.vpcs[vpc].groups.get(id))
        });
        groups.collect()
    }
}

/// Returns whether a resource is of a type of CloudFormation.
fn is_of_type(declared: &Declared<'_>, name: &str) -> bool {
    declared.inputs.field("type_name").and_then(Value::as_str) == Some(name)
}

fn undeclared_network() -> Network {
    // A range that is no one's: nothing in it is compared with a declared one.
    let range = Cidr::parse("198.51.100.0/24").unwrap_or(Cidr::EVERYWHERE);
    let mut vpc = Range::new(range);
    vpc.internet_gateway = Some(UNDECLARED.to_owned());
    let mut subnet = Place::new(range, UNDECLARED);
    subnet.routes.insert(Cidr::EVERYWHERE, Target::Internet);
    vpc.subnets.insert(UNDECLARED.to_owned(), subnet);
    Network { vpcs: [(UNDECLARED.to_owned(), vpc)].into(), ..Network::default() }
}

/// Returns an address of a subnet that no interface has. AWS reserves the first four.
fn free_address(vpc: &Range, subnet: &str) -> Option<Ipv4Addr> {
    let range = vpc.subnets.get(subnet)?.range;
    let hosts = 4..u32::try_from(range.size()).unwrap_or(u32::MAX);
    hosts.map(|host| range.address(host)).find(|address| vpc.at(*address).is_none())
}

/// Returns a public address that no interface of the network has.
fn public_address(network: &Network) -> Ipv4Addr {
    let interfaces: usize = network.vpcs.values().map(|vpc| vpc.interfaces.len()).sum();
    Ipv4Addr::from_bits(PUBLIC.to_bits() + u32::try_from(interfaces).unwrap_or_default())
}

/// Converts a rule. `named` are the groups that its declaration refers to.
fn permissions(rule: &Rule, group: &Urn, named: &[&Urn], is_undeclared: bool) -> Vec<Permission> {
    let ports = (rule.from_port.unwrap_or(0), rule.to_port.unwrap_or(u16::MAX));
    let traffic = match rule.protocol.as_str() {
        "-1" => Traffic::All,
        "tcp" | "6" => Traffic::Tcp(ports.0, ports.1),
        "udp" | "17" => Traffic::Udp(ports.0, ports.1),
        "icmp" | "1" => Traffic::Icmp(None, None),
        other => match other.parse() {
            Ok(number) => Traffic::Protocol(number),
            Err(_) => return Vec::new(),
        },
    };
    let permission = |peer| Permission { traffic, peer };
    if let Some(cidr) = &rule.cidr {
        let range = match cidr.known() {
            // IPv4 packets never match a range of IPv6 addresses.
            Ok(cidr) => Cidr::parse(&cidr).filter(|_| !is_undeclared || !cidr.contains(':')),
            Err(_) => Some(Cidr::EVERYWHERE),
        };
        let range = if is_undeclared { range.map(|_| Cidr::EVERYWHERE) } else { range };
        return range.map(|range| permission(Peer::Range(range))).into_iter().collect();
    }
    if rule.itself {
        return vec![permission(Peer::Group(group.to_string()))];
    }
    if named.is_empty() {
        // The rule refers to a group outside of the stack, which may be any.
        return vec![permission(Peer::Range(Cidr::EVERYWHERE))];
    }
    named.iter().map(|urn| permission(Peer::Group(urn.to_string()))).collect()
}

/// Parses the properties of an `AWS::EC2::NetworkAclEntry`: the rule number, whether it is for egress, and the entry.
///
/// <https://docs.aws.amazon.com/AWSCloudFormation/latest/TemplateReference/aws-resource-ec2-networkaclentry.html>
fn acl_entry(properties: &Json) -> Option<(u16, bool, AclEntry)> {
    let number = |value: &Json| value.as_i64().or_else(|| value.as_str()?.parse().ok());
    let port =
        |name: &str| properties["PortRange"].get(name).and_then(number).and_then(|port| u16::try_from(port).ok());
    let ports = (port("From").unwrap_or(0), port("To").unwrap_or(u16::MAX));
    let traffic = match number(&properties["Protocol"])? {
        -1 => Traffic::All,
        1 => Traffic::Icmp(None, None),
        6 => Traffic::Tcp(ports.0, ports.1),
        17 => Traffic::Udp(ports.0, ports.1),
        other => Traffic::Protocol(u8::try_from(other).ok()?),
    };
    let entry = AclEntry {
        allow: properties["RuleAction"].as_str()?.eq_ignore_ascii_case("allow"),
        traffic,
        range: Cidr::parse(properties["CidrBlock"].as_str()?)?,
    };
    let is_egress = properties["Egress"].as_bool().unwrap_or(false);
    Some((u16::try_from(number(&properties["RuleNumber"])?).ok()?, is_egress, entry))
}
