//! The declared network with the connections that it permits, for a picture of it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::domain::ec2::network_interface::{self, Owner};
use crate::domain::network::{End, Network, Target, Traffic, Vpc};
use crate::model::cidr::Cidr;
use crate::server::status::Status;
use crate::state::Shared;

/// Number of evaluated connections above which the map has none.
const MOST: usize = 200_000;

/// VPCs, their subnets and interfaces, and the permitted connections.
#[derive(Debug, Serialize)]
pub(crate) struct NetworkMap {
    vpcs: Vec<VpcMap>,
    /// Pairs of VPCs with an active peering connection.
    peerings: Vec<[String; 2]>,
    /// `None` if there are too many interfaces to evaluate.
    connections: Option<Vec<Connection>>,
}

/// A VPC with interfaces.
#[derive(Debug, Serialize)]
struct VpcMap {
    id: String,
    region: String,
    range: Cidr,
    /// `true` if an internet gateway is attached.
    internet: bool,
    subnets: Vec<SubnetMap>,
}

#[derive(Debug, Serialize)]
struct SubnetMap {
    id: String,
    zone: String,
    range: Cidr,
    /// `true` if it has a route to an internet gateway.
    public: bool,
    interfaces: Vec<InterfaceMap>,
}

#[derive(Debug, Serialize)]
struct InterfaceMap {
    id: String,
    /// ID or name of the resource that the interface belongs to.
    owner: String,
    /// The tag `Name` of the owner.
    name: Option<String>,
    /// `instance`, `load balancer`, `database`, `nat gateway` or `unattached`.
    kind: &'static str,
    address: Ipv4Addr,
    public: Option<Ipv4Addr>,
}

/// Connections from one owner to another one that the network permits.
#[derive(Debug, PartialEq, Eq, Serialize)]
struct Connection {
    /// Owner of the source, or `internet`.
    from: String,
    /// Owner of the destination.
    to: String,
    /// TCP ports, of those that a program listens on or a rule names.
    ports: BTreeSet<u16>,
}

/// Returns the map of the declared network.
pub(crate) fn of(shared: &Shared) -> NetworkMap {
    let status = Status::of(shared);
    shared.read(|cloud| {
        let network = crate::domain::network::of(cloud);
        let vpcs = cloud.regions.iter().flat_map(|(name, region)| {
            let described: BTreeMap<String, (&'static str, Option<String>)> = network_interface::all(region)
                .into_iter()
                .map(|interface| (interface.id.clone(), describe(&interface.owner)))
                .collect();
            let of_region =
                network.vpcs.iter().filter(|(id, vpc)| region.ec2.vpcs.contains_key(*id) && !vpc.interfaces.is_empty());
            of_region.map(|(id, vpc)| VpcMap::of(name, id, vpc, &described)).collect::<Vec<_>>()
        });
        NetworkMap {
            vpcs: vpcs.collect(),
            peerings: network.peerings.values().cloned().collect(),
            connections: connections(&network, &ports(&network, &status)),
        }
    })
}

fn describe(owner: &Owner<'_>) -> (&'static str, Option<String>) {
    match owner {
        Owner::Instance(instance) | Owner::Attached(instance, _) => ("instance", instance.tags.get("Name").cloned()),
        Owner::NatGateway(gateway) => ("nat gateway", gateway.tags.get("Name").cloned()),
        Owner::LoadBalancer(balancer) => ("load balancer", Some(balancer.name.clone())),
        Owner::Database(_) | Owner::Endpoint(..) => ("database", None),
        Owner::Unattached(_) => ("unattached", None),
        Owner::VpcEndpoint(_) => ("vpc-endpoint", None),
    }
}

impl VpcMap {
    fn of(region: &str, id: &str, vpc: &Vpc, described: &BTreeMap<String, (&'static str, Option<String>)>) -> Self {
        let subnets = vpc.subnets.iter().map(|(subnet_id, subnet)| {
            let interfaces = vpc.interfaces.iter().filter(|(_, interface)| interface.subnet == *subnet_id);
            SubnetMap {
                id: subnet_id.clone(),
                zone: subnet.zone.clone(),
                range: subnet.range,
                public: subnet.routes.values().any(|target| *target == Target::Internet),
                interfaces: interfaces
                    .map(|(id, interface)| {
                        let (kind, name) = described.get(id).cloned().unwrap_or(("unattached", None));
                        let owner = interface.owner.clone();
                        InterfaceMap {
                            id: id.clone(),
                            owner,
                            name,
                            kind,
                            address: interface.address,
                            public: interface.public,
                        }
                    })
                    .collect(),
            }
        });
        Self {
            id: id.to_owned(),
            region: region.to_owned(),
            range: vpc.range,
            internet: vpc.internet_gateway.is_some(),
            subnets: subnets.filter(|subnet| !subnet.interfaces.is_empty()).collect(),
        }
    }
}

/// Returns the TCP ports that a program, load balancer or database listens on, and the ends of the ranges of all rules.
fn ports(network: &Network, status: &Status) -> BTreeSet<u16> {
    let regions = || status.regions.values();
    let services = regions().flat_map(|region| &region.instances).flat_map(|instance| &instance.services);
    let balancers = regions().flat_map(|region| &region.balancers).flat_map(|balancer| &balancer.ports);
    let databases = regions().flat_map(|region| &region.databases);
    let databases = databases.filter_map(|database| database.endpoint.rsplit_once(':')?.1.parse().ok());
    let groups = network.vpcs.values().flat_map(|vpc| vpc.groups.values());
    let rules = groups.flat_map(|group| &group.ingress).filter_map(|permission| match permission.traffic {
        Traffic::Tcp(first, last) => Some([first, last]),
        _ => None,
    });
    services
        .filter_map(|service| service.port)
        .chain(balancers.copied())
        .chain(databases)
        .chain(rules.flatten())
        .collect()
}

fn connections(network: &Network, ports: &BTreeSet<u16>) -> Option<Vec<Connection>> {
    let interfaces: Vec<_> = network.vpcs.values().flat_map(|vpc| &vpc.interfaces).collect();
    if interfaces.len() * (interfaces.len() + 1) * ports.len() > MOST {
        return None;
    }
    let mut found: BTreeMap<(&str, &str), BTreeSet<u16>> = BTreeMap::new();
    for (_, to) in &interfaces {
        for port in ports {
            let outside = to.public.is_some_and(|public| network.reaches(End::Outside, public, *port));
            let inside = interfaces.iter().filter(|(id, _)| network.reaches(End::Interface(id), to.address, *port));
            let from = outside.then_some("internet").into_iter().chain(inside.map(|(_, from)| from.owner.as_str()));
            for from in from.filter(|from| *from != to.owner) {
                found.entry((from, to.owner.as_str())).or_default().insert(*port);
            }
        }
    }
    let connections =
        found.into_iter().map(|((from, to), ports)| Connection { from: from.to_owned(), to: to.to_owned(), ports });
    Some(connections.collect())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::services::ec2;
    use crate::testing::{ControlPlane, element};

    #[test]
    fn rules_permit_connections_between_members_and_from_clients() {
        let mut plane = ControlPlane::new();
        let ids = plane.launch_two("app");
        let (_directory, shared) = plane.shared();
        assert_eq!(of(&shared).connections.unwrap(), [], "no rule names a port");

        let groups = plane.query(ec2::OPERATIONS, "DescribeSecurityGroups", "GroupName.1=default").unwrap();
        let group = element(&groups, "groupId").to_owned();
        for (port, source) in [(22, "0.0.0.0/0"), (5432, "172.31.0.0/16")] {
            let rule = format!(
                "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort={port}&IpPermissions.1.ToPort={port}\
                 &IpPermissions.1.IpRanges.1.CidrIp={source}"
            );
            plane.query(ec2::OPERATIONS, "AuthorizeSecurityGroupIngress", &rule).unwrap();
        }
        let (_directory, shared) = plane.shared();
        let map = of(&shared);
        let vpc = map.vpcs.iter().find(|vpc| vpc.region == "us-east-1").unwrap();
        assert!(vpc.internet);
        let interfaces: Vec<_> = vpc.subnets.iter().flat_map(|subnet| &subnet.interfaces).collect();
        assert_eq!(interfaces.len(), 2);
        assert!(interfaces.iter().all(|interface| interface.kind == "instance" && ids.contains(&interface.owner)));

        let connections = map.connections.unwrap();
        let ports = |from: &str, to: &str| {
            let found = connections.iter().find(|each| each.from == from && each.to == to);
            found.map(|each| each.ports.iter().copied().collect::<Vec<_>>()).unwrap_or_default()
        };
        assert_eq!(ports(&ids[0], &ids[1]), [22, 5432]);
        assert_eq!(ports("internet", &ids[1]), [22]);

        let range = format!(
            "GroupId={group}&IpPermissions.1.IpProtocol=tcp&IpPermissions.1.FromPort=8000&IpPermissions.1.ToPort=8100\
             &IpPermissions.1.IpRanges.1.CidrIp=0.0.0.0/0"
        );
        plane.query(ec2::OPERATIONS, "AuthorizeSecurityGroupIngress", &range).unwrap();
        let (_directory, shared) = plane.shared();
        let connections = of(&shared).connections.unwrap();
        let outside = connections.iter().find(|each| each.from == "internet" && each.to == ids[1]).unwrap();
        assert_eq!(outside.ports, [22, 8000, 8100].into());
    }
}
