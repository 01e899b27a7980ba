//! Network interfaces, derived from the resources that have them.

use std::net::Ipv4Addr;

use crate::model::Region;
use crate::model::cidr::Cidr;
use crate::model::ec2::gateway::{Holder, NatGateway};
use crate::model::ec2::instance::{Instance, InstanceState};
use crate::model::ec2::network_interface as model;
use crate::model::ec2::vpc::Subnet;
use crate::model::ec2::vpc_endpoint::VpcEndpoint;
use crate::model::elbv2::LoadBalancer;
use crate::model::ids;
use crate::model::rds::{DbCluster, DbInstance};

/// The resource that an interface belongs to.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Owner<'a> {
    /// An instance, of which this is the primary interface.
    Instance(&'a Instance),
    /// An instance, of which this is another interface.
    Attached(&'a Instance, &'a model::NetworkInterface),
    NatGateway(&'a NatGateway),
    LoadBalancer(&'a LoadBalancer),
    Database(&'a DbInstance),
    /// An endpoint of a cluster: true for the writer's. AWS implements these as names, so it lists no interface.
    Endpoint(&'a DbCluster, bool),
    /// An interface that no instance has, by itself.
    Unattached(&'a model::NetworkInterface),
    /// An interface VPC endpoint, which receives no packets.
    VpcEndpoint(&'a VpcEndpoint),
}

/// An interface of a VPC.
#[derive(Debug, Clone)]
pub(crate) struct NetworkInterface<'a> {
    pub(crate) id: String,
    pub(crate) owner: Owner<'a>,
    pub(crate) subnet: &'a Subnet,
    pub(crate) private: Ipv4Addr,
    pub(crate) public: Option<Ipv4Addr>,
    /// Its secondary private addresses, each with its elastic address.
    pub(crate) secondary: Vec<(Ipv4Addr, Option<Ipv4Addr>)>,
    /// `None` for a NAT gateway, which has no security groups.
    pub(crate) groups: Option<&'a [String]>,
}

impl<'a> Owner<'a> {
    /// Returns an id that no other resource ever has.
    pub(crate) fn unique_id(&self) -> &'a str {
        match self {
            Owner::Instance(instance) | Owner::Attached(instance, _) => &instance.id,
            Owner::NatGateway(gateway) => &gateway.id,
            Owner::LoadBalancer(balancer) => &balancer.arn,
            Owner::Database(database) => &database.resource_id,
            Owner::Endpoint(cluster, _) => &cluster.resource_id,
            Owner::Unattached(interface) => &interface.id,
            Owner::VpcEndpoint(endpoint) => &endpoint.id,
        }
    }
}

impl NetworkInterface<'_> {
    /// Returns its private addresses, each with its public one. The primary address is the first.
    pub(crate) fn addresses(&self) -> impl Iterator<Item = (Ipv4Addr, Option<Ipv4Addr>)> {
        std::iter::once((self.private, self.public)).chain(self.secondary.iter().copied())
    }

    /// Returns whether packets go in and out: it has an owner, which is not stopped.
    pub(crate) fn is_up(&self) -> bool {
        match self.owner {
            Owner::Instance(instance) | Owner::Attached(instance, _) => {
                !matches!(instance.state, InstanceState::Stopped | InstanceState::Terminated)
            }
            Owner::Unattached(_) | Owner::VpcEndpoint(_) => false,
            _ => true,
        }
    }
}

/// Returns the network interfaces of a region.
pub(crate) fn all(region: &Region) -> Vec<NetworkInterface<'_>> {
    let mut all = Vec::new();
    for instance in region.ec2.instances.values().filter(|instance| instance.state != InstanceState::Terminated) {
        let Some(subnet) = region.ec2.subnets.get(&instance.subnet_id) else { continue };
        all.push(NetworkInterface {
            id: instance.network_interface_id.clone(),
            owner: Owner::Instance(instance),
            subnet,
            private: region.private_address(instance.address),
            public: region.public_address_of(instance),
            secondary: secondary(region, region.ec2.network_interfaces.get(&instance.network_interface_id)),
            groups: Some(&instance.security_groups),
        });
    }
    for interface in region.ec2.network_interfaces.values() {
        let owner = match &interface.attachment {
            None => Owner::Unattached(interface),
            Some(held) if held.device_index == 0 => continue,
            Some(held) => match region.ec2.instances.get(&held.instance_id) {
                Some(instance) => Owner::Attached(instance, interface),
                None => continue,
            },
        };
        let Some(subnet) = region.ec2.subnets.get(&interface.subnet_id) else { continue };
        let elastic = region.elastic_address_at(&Holder::NetworkInterface(interface.id.clone()));
        all.push(NetworkInterface {
            id: interface.id.clone(),
            owner,
            subnet,
            private: region.private_address(interface.address),
            public: elastic.map(|elastic| elastic.address),
            secondary: secondary(region, Some(interface)),
            groups: Some(&interface.groups),
        });
    }
    for gateway in region.ec2.nat_gateways.values().filter(|gateway| !gateway.state.is_over()) {
        let Some(subnet) = region.ec2.subnets.get(&gateway.subnet_id) else { continue };
        all.push(NetworkInterface {
            id: gateway.network_interface_id.clone(),
            owner: Owner::NatGateway(gateway),
            subnet,
            private: region.private_address(gateway.private_ip),
            public: gateway.public_ip,
            secondary: Vec::new(),
            groups: None,
        });
    }
    region.elbv2.load_balancers.values().for_each(|balancer| all.extend(of_balancer(region, balancer)));
    for endpoint in region.ec2.vpc_endpoints.values() {
        all.extend(of_vpc_endpoint(region, endpoint));
    }
    for database in region.rds.instances.values() {
        let public = database.public.then_some(database.place.address);
        all.extend(at_address(region, Owner::Database(database), database.place.address, public));
    }
    for cluster in region.rds.clusters.values() {
        all.extend(at_address(region, Owner::Endpoint(cluster, true), cluster.place.address, None));
        all.extend(at_address(region, Owner::Endpoint(cluster, false), cluster.reader_address, None));
    }
    all
}

/// Returns the interfaces of a balancer: one per subnet. The first interface of an internet-facing balancer has its
/// public address.
pub(crate) fn of_balancer<'a>(
    region: &'a Region,
    balancer: &'a LoadBalancer,
) -> impl Iterator<Item = NetworkInterface<'a>> {
    let [_, block, ..] = balancer.address.octets();
    // Of a balancer that has left the subnet of its address, the first interface has the public address.
    let home = region.subnet_of_address(balancer.address).map(|subnet| &subnet.id);
    let home = balancer.subnets.iter().find(|id| Some(*id) == home).or(balancer.subnets.first());
    let subnets = balancer.subnets.iter().filter_map(|id| region.ec2.subnets.get(id));
    subnets.filter_map(move |subnet| {
        let address = Ipv4Addr::new(127, block, subnet.index, subnet.host_of(&balancer.arn)?);
        let public = balancer.scheme != "internal" && home == Some(&subnet.id);
        Some(NetworkInterface {
            id: ids::derived_id("eni", &format!("{} {}", balancer.arn, subnet.id)),
            owner: Owner::LoadBalancer(balancer),
            subnet,
            private: region.private_address(address),
            public: public.then_some(balancer.address),
            secondary: Vec::new(),
            groups: Some(&balancer.security_groups),
        })
    })
}

/// Returns the interfaces of a VPC endpoint: one per subnet.
pub(crate) fn of_vpc_endpoint<'a>(
    region: &'a Region,
    endpoint: &'a VpcEndpoint,
) -> impl Iterator<Item = NetworkInterface<'a>> {
    let subnets = endpoint.subnets.iter().filter_map(|id| region.ec2.subnets.get(id));
    subnets.filter_map(move |subnet| {
        let host = subnet.host_of(&endpoint.id)?;
        let range = Cidr::parse(&subnet.cidr)?;
        Some(NetworkInterface {
            id: ids::derived_id("eni", &format!("{} {}", endpoint.id, subnet.id)),
            owner: Owner::VpcEndpoint(endpoint),
            subnet,
            private: range.address(u32::from(host)),
            public: None,
            secondary: Vec::new(),
            groups: Some(&endpoint.security_groups),
        })
    })
}

/// Returns the interface of a database or an endpoint, whose address identifies the subnet.
pub(crate) fn at_address<'a>(
    region: &'a Region,
    owner: Owner<'a>,
    address: Ipv4Addr,
    public: Option<Ipv4Addr>,
) -> Option<NetworkInterface<'a>> {
    let (id, groups) = match owner {
        Owner::Database(database) => (database.resource_id.clone(), &database.place.security_groups),
        Owner::Endpoint(cluster, true) => (cluster.resource_id.clone(), &cluster.place.security_groups),
        Owner::Endpoint(cluster, false) => (format!("{} ro", cluster.resource_id), &cluster.place.security_groups),
        _ => return None,
    };
    let subnet = region.subnet_of_address(address)?;
    let private = region.private_address(address);
    let (id, secondary) = (ids::derived_id("eni", &id), Vec::new());
    Some(NetworkInterface { id, owner, subnet, private, public, secondary, groups: Some(groups) })
}

fn secondary(region: &Region, interface: Option<&model::NetworkInterface>) -> Vec<(Ipv4Addr, Option<Ipv4Addr>)> {
    let addresses = interface.into_iter().flat_map(|interface| &interface.secondary);
    let elastic = |address: Ipv4Addr| region.elastic_address_of_secondary(address).map(|elastic| elastic.address);
    addresses.map(|address| (region.private_address(*address), elastic(*address))).collect()
}
