//! Sources and destinations of connections, by the names that users give them.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::ec2::network_interface::{self, NetworkInterface, Owner};
use crate::model::ec2::instance::Instance;
use crate::model::faults::Side;
use crate::model::{Cloud, Region, Tags};

/// A source or destination.
#[derive(Debug)]
pub(crate) enum Party {
    /// Clients outside of the cloud.
    Internet,
    Interface {
        id: String,
        vpc: String,
        private: Ipv4Addr,
    },
    Address(Ipv4Addr),
}

/// Reasons why a name stands for no source or destination.
#[derive(Debug, thiserror::Error)]
pub enum PartyError {
    #[error("nothing with a network interface is called `{0}`; `stack local status` shows what exists")]
    Unknown(String),
    #[error("no instance is called `{0}`; `stack local status` shows what exists")]
    UnknownInstance(String),
    #[error("`{name}` matches several instances: name one of {}", ids.join(", "))]
    SeveralInstances { name: String, ids: Vec<String> },
    #[error(
        "nothing with a network interface and no zone is called `{0}`; `stack local status` shows what exists, and zones \
         have names such as us-east-1a"
    )]
    NoSide(String),
    #[error("`{name}` matches several network interfaces: name one of {}", ids.join(", "))]
    Ambiguous { name: String, ids: Vec<String> },
}

impl Party {
    /// Finds a party: `internet`, or a resource with a network interface by its id, name, DNS name, tag `Name`
    /// or address.
    pub(crate) fn named(cloud: &Cloud, name: &str) -> Result<Party, PartyError> {
        if name == "internet" {
            return Ok(Party::Internet);
        }
        match (find(cloud, name)?, name.parse::<IpAddr>()) {
            (Some(interface), _) => Ok(Party::Interface {
                id: interface.id.clone(),
                vpc: interface.subnet.vpc_id.clone(),
                private: interface.private,
            }),
            (None, Ok(IpAddr::V4(address))) => Ok(Party::Address(address)),
            (None, _) => Err(PartyError::Unknown(name.to_owned())),
        }
    }
}

/// Finds an instance by its id, tag `Name` or address.
pub(crate) fn instance<'a>(cloud: &'a Cloud, name: &str) -> Result<(&'a Region, &'a Instance), PartyError> {
    let called = called(cloud, name).filter_map(|(region, interface)| match interface.owner {
        Owner::Instance(instance) => Some((region, instance)),
        _ => None,
    });
    let found: Vec<_> = called.collect();
    match found.as_slice() {
        [one] => Ok(*one),
        [] => Err(PartyError::UnknownInstance(name.to_owned())),
        several => {
            let ids = several.iter().map(|(_, instance)| instance.id.clone()).collect();
            Err(PartyError::SeveralInstances { name: name.to_owned(), ids })
        }
    }
}

/// Finds a side of a network fault: `internet`, a zone, or a resource by the names of [`Party::named`].
pub(crate) fn side(cloud: &Cloud, name: &str) -> Result<Side, PartyError> {
    if name == "internet" {
        return Ok(Side::Internet);
    }
    if cloud.regions.values().flat_map(Region::zone_names).any(|zone| zone == name) {
        return Ok(Side::Zone(name.to_owned()));
    }
    let interface = find(cloud, name)?.ok_or_else(|| PartyError::NoSide(name.to_owned()))?;
    Ok(Side::Resource { id: interface.owner.unique_id().to_owned(), name: name.to_owned() })
}

/// Finds the interface of a resource. Of a load balancer or a cluster, any interface stands for all.
fn find<'a>(cloud: &'a Cloud, name: &str) -> Result<Option<NetworkInterface<'a>>, PartyError> {
    let mut found: Vec<NetworkInterface<'_>> = called(cloud, name).map(|(_, interface)| interface).collect();
    found.dedup_by(|one, other| one.owner.unique_id() == other.owner.unique_id());
    if found.len() > 1 {
        let ids = found.iter().map(|interface| owner_id(interface).to_owned()).collect();
        return Err(PartyError::Ambiguous { name: name.to_owned(), ids });
    }
    Ok(found.pop())
}

/// Returns all interfaces of this name.
fn called<'a>(cloud: &'a Cloud, name: &str) -> impl Iterator<Item = (&'a Region, NetworkInterface<'a>)> {
    let of_region =
        |region: &'a Region| network_interface::all(region).into_iter().map(move |interface| (region, interface));
    cloud.regions.values().flat_map(of_region).filter(move |(region, interface)| is_called(region, interface, name))
}

fn owner_id<'a>(interface: &NetworkInterface<'a>) -> &'a str {
    match interface.owner {
        Owner::Instance(instance) => &instance.id,
        Owner::NatGateway(gateway) => &gateway.id,
        Owner::LoadBalancer(balancer) => &balancer.name,
        Owner::Database(database) => &database.id,
        Owner::Endpoint(cluster, _) => &cluster.id,
        Owner::Unattached(interface) | Owner::Attached(_, interface) => &interface.id,
        Owner::VpcEndpoint(endpoint) => &endpoint.id,
    }
}

fn is_called(region: &Region, interface: &NetworkInterface<'_>, name: &str) -> bool {
    let tag = |tags: &Tags| tags.get("Name").is_some_and(|tag| tag == name);
    let named = match interface.owner {
        Owner::Instance(instance) => tag(&instance.tags),
        Owner::NatGateway(gateway) => tag(&gateway.tags),
        Owner::LoadBalancer(balancer) => balancer.arn == name,
        // The name of an instance stands for its primary interface.
        Owner::Unattached(interface) | Owner::Attached(_, interface) => tag(&interface.tags),
        Owner::VpcEndpoint(endpoint) => tag(&endpoint.tags),
        Owner::Database(_) | Owner::Endpoint(..) => false,
    };
    named
        || has_dns_name(region, interface, name)
        || owner_id(interface) == name
        || interface.id == name
        || name.parse().is_ok_and(|address| {
            interface.addresses().any(|(private, public)| private == address || public == Some(address))
        })
}

/// Returns whether one of AWS's names leads to the interface.
fn has_dns_name(region: &Region, interface: &NetworkInterface<'_>, name: &str) -> bool {
    let private = region.private_name(interface.private);
    let public = interface.public.and_then(|public| region.public_name(&interface.subnet.vpc_id, public));
    let of_owner = match interface.owner {
        Owner::LoadBalancer(balancer) => Some(region.balancer_name(balancer)),
        _ => None,
    };
    let mut names = std::iter::once(private).chain(public).chain(of_owner);
    names.any(|known| known.eq_ignore_ascii_case(name))
}
