//! Sources and destinations of connections, by the names that users give them.

use std::net::{IpAddr, Ipv4Addr};

use crate::domain::ec2::network_interface::{self, NetworkInterface, Owner};
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
pub(crate) enum PartyError {
    #[error("nothing with a network interface is called `{0}`; `stack local status` shows what exists")]
    Unknown(String),
    #[error("`{name}` stands for several network interfaces: name one of {}", ids.join(", "))]
    Ambiguous { name: String, ids: Vec<String> },
}

impl Party {
    /// Finds a party: `internet`, or a resource with a network interface by its id, name, DNS name, tag `Name`
    /// or address.
    pub(crate) fn named(cloud: &Cloud, name: &str) -> Result<Party, PartyError> {
        if name == "internet" {
            return Ok(Party::Internet);
        }
        let of_region = |region| network_interface::all(region).into_iter().map(move |interface| (region, interface));
        let all = cloud.regions.values().flat_map(of_region);
        let called = all.filter(|(region, interface)| is_called(region, interface, name));
        let mut found: Vec<NetworkInterface<'_>> = called.map(|(_, interface)| interface).collect();
        // Of a load balancer or a cluster, any interface stands for all.
        found.dedup_by(|one, other| owner_id(one) == owner_id(other));
        match found.as_slice() {
            [interface] => Ok(Party::Interface {
                id: interface.id.clone(),
                vpc: interface.subnet.vpc_id.clone(),
                private: interface.private,
            }),
            [] => match name.parse::<IpAddr>() {
                Ok(IpAddr::V4(address)) => Ok(Party::Address(address)),
                _ => Err(PartyError::Unknown(name.to_owned())),
            },
            several => {
                let ids = several.iter().map(|interface| owner_id(interface).to_owned()).collect();
                Err(PartyError::Ambiguous { name: name.to_owned(), ids })
            }
        }
    }
}

fn owner_id<'a>(interface: &NetworkInterface<'a>) -> &'a str {
    match interface.owner {
        Owner::Instance(instance) => &instance.id,
        Owner::NatGateway(gateway) => &gateway.id,
        Owner::LoadBalancer(balancer) => &balancer.name,
        Owner::Database(database) => &database.id,
        Owner::Endpoint(cluster, _) => &cluster.id,
    }
}

fn is_called(region: &Region, interface: &NetworkInterface<'_>, name: &str) -> bool {
    let tag = |tags: &Tags| tags.get("Name").is_some_and(|tag| tag == name);
    let named = match interface.owner {
        Owner::Instance(instance) => tag(&instance.tags),
        Owner::NatGateway(gateway) => tag(&gateway.tags),
        Owner::LoadBalancer(balancer) => balancer.arn == name,
        Owner::Database(_) | Owner::Endpoint(..) => false,
    };
    named
        || has_dns_name(region, interface, name)
        || owner_id(interface) == name
        || interface.id == name
        || name.parse().is_ok_and(|address| interface.private == address || interface.public == Some(address))
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
