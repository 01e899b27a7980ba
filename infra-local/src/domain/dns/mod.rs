//! The records of a VPC's DNS resolver.
//!
//! [`Zone::of`] is a pure function of the model and the VPC whose instances ask. AWS's endpoints have names that follow
//! from rules instead of records: see [`is_service_endpoint`].
//!
//! Source: VPC User Guide, "Understanding Amazon DNS"; Route 53 Developer Guide, "Domain names that Resolver creates
//! autodefined system rules for"; VPC Peering Guide, "Enable DNS resolution for a VPC peering connection".

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use crate::domain::ec2::network_interface;
use crate::domain::names;
use crate::domain::network::{ENDPOINTS, METADATA};
use crate::model::ec2::peering::PeeringState;
use crate::model::ec2::vpc::Vpc;
use crate::model::{Cloud, REGIONS, Region};

/// The domain of AWS's endpoints and public names.
const AWS: &str = "amazonaws.com";

/// The domain of reverse lookups.
const REVERSE: &str = ".in-addr.arpa";

/// First label of the metadata service's name.
const INSTANCE_DATA: &str = "instance-data";

/// Services of the local cloud, by the first label of their endpoints' names. It is also the credential scope of requests.
pub(crate) const SERVICES: &[&str] = &[
    "acm",
    "autoscaling",
    "cloudcontrolapi",
    "cloudtrail",
    "ec2",
    "elasticloadbalancing",
    "iam",
    "logs",
    "monitoring",
    "rds",
    "s3",
    "ssm",
    "sts",
];

/// Type of the records that a query asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Question {
    /// Its IPv4 addresses.
    Addresses,
    /// The name that a reverse lookup of an address finds.
    Name,
    /// Records of another type. There are none.
    Other,
}

/// Answer of the zone to a query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Answer {
    Addresses(Vec<Ipv4Addr>),
    Name(String),
    /// The name exists and has no record of the type.
    NoRecord,
    /// The name does not exist.
    NoName,
}

/// The records that instances of a VPC see.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Zone {
    /// By name: in lower case, without a dot at its end.
    addresses: BTreeMap<String, BTreeSet<Ipv4Addr>>,
    /// Of reverse lookups.
    names: BTreeMap<Ipv4Addr, String>,
}

impl Zone {
    /// Derives the records that the resolver of a VPC has.
    pub(crate) fn of(cloud: &Cloud, vpc_id: &str) -> Zone {
        let cloud = cloud.with_private_addresses();
        let mut zone = Zone::default();
        zone.add("localhost", Ipv4Addr::LOCALHOST);
        zone.names.insert(Ipv4Addr::LOCALHOST, "localhost".to_owned());
        let home = cloud.regions.values().find(|region| region.ec2.vpcs.contains_key(vpc_id));
        let data = format!("{INSTANCE_DATA}.{}", names::private_domain("us-east-1"));
        if let Some(region) = home {
            zone.add(&format!("{INSTANCE_DATA}.{}", names::private_domain(&region.name)), METADATA);
        }
        zone.add(&data, METADATA);
        zone.names.insert(METADATA, data);
        let peers = home.map(|region| resolving_peers(region, vpc_id)).unwrap_or_default();
        for region in cloud.regions.values() {
            zone.add_interfaces(region, vpc_id, &peers);
            for balancer in region.elbv2.load_balancers.values().filter(|balancer| balancer.scheme == "internal") {
                let name = region.balancer_name(balancer);
                network_interface::of_balancer(region, balancer)
                    .for_each(|interface| zone.add(&name, interface.private));
            }
        }
        zone
    }

    /// Adds the names of interfaces. Their public names lead to private addresses within the VPC, and from a peered VPC
    /// if the peering connection permits it. Names of private addresses are known within their VPC only.
    fn add_interfaces(&mut self, region: &Region, vpc_id: &str, peers: &BTreeSet<String>) {
        for interface in network_interface::all(region) {
            let owner = &interface.subnet.vpc_id;
            let (is_own, is_peer) = (owner == vpc_id, peers.contains(owner));
            if (is_own || is_peer) && region.ec2.vpcs.get(owner).is_some_and(Vpc::names_hosts) {
                let name = region.private_name(interface.private);
                if is_own {
                    self.add(&name, interface.private);
                }
                self.names.insert(interface.private, name);
            }
            for (private, public) in interface.addresses() {
                if let Some(public) = public
                    && let Some(name) = region.public_name(owner, public)
                {
                    self.add(&name, if is_own || is_peer { private } else { public });
                    self.names.insert(public, name);
                }
            }
        }
    }

    fn add(&mut self, name: &str, address: Ipv4Addr) {
        self.addresses.entry(name.to_ascii_lowercase()).or_default().insert(address);
    }

    /// Answers a question about a name, whose case does not matter.
    pub(crate) fn answer(&self, name: &str, question: Question) -> Answer {
        let name = name.strip_suffix('.').unwrap_or(name).to_ascii_lowercase();
        let pointer = name.strip_suffix(REVERSE).and_then(reversed).and_then(|address| self.names.get(&address));
        let addresses = self.addresses.get(&name).map(|addresses| addresses.iter().copied().collect());
        let addresses: Option<Vec<Ipv4Addr>> = addresses.or_else(|| is_endpoint(&name).then(|| vec![ENDPOINTS]));
        match (question, addresses, pointer) {
            (Question::Addresses, Some(addresses), _) => Answer::Addresses(addresses),
            (Question::Name, _, Some(pointer)) => Answer::Name(pointer.clone()),
            (_, None, None) if !self.is_above_names(&name) => Answer::NoName,
            _ => Answer::NoRecord,
        }
    }

    /// Returns whether names below this one exist, so that it exists without records (RFC 8020).
    fn is_above_names(&self, name: &str) -> bool {
        let is_below = |known: &str| known.strip_suffix(name).is_some_and(|rest| rest.ends_with('.'));
        let of_region = name.strip_suffix(AWS).and_then(|rest| rest.strip_suffix('.'));
        name.is_empty()
            || name == AWS
            || is_below(AWS)
            || of_region.is_some_and(is_region)
            || self.addresses.keys().any(|known| is_below(known))
    }
}

/// The VPCs that let a peered one resolve their public names to private addresses.
fn resolving_peers(region: &Region, vpc_id: &str) -> BTreeSet<String> {
    let active = region.ec2.peerings.values().filter(|peering| peering.state == PeeringState::Active);
    let others = active.filter_map(|peering| peering.other_side(vpc_id));
    others.filter(|side| side.dns_resolution).map(|side| side.vpc_id.clone()).collect()
}

/// Returns the address of a reverse lookup: its four numbers in reverse order.
fn reversed(numbers: &str) -> Option<Ipv4Addr> {
    let mut numbers: Vec<&str> = numbers.split('.').collect();
    numbers.reverse();
    numbers.join(".").parse().ok()
}

fn is_region(name: &str) -> bool {
    REGIONS.iter().any(|(known, _)| *known == name)
}

/// Returns whether a name in lower case is one of AWS's endpoints: of a service, or of a bucket's virtual host.
fn is_endpoint(name: &str) -> bool {
    service_part(name).is_some_and(|service| SERVICES.contains(&service) || is_bucket(service))
}

/// Returns whether a name in lower case is that of a service: `SERVICE.REGION.amazonaws.com` or `SERVICE.amazonaws.com`.
/// Services that the local cloud does not have are no endpoints.
pub(crate) fn is_service_endpoint(name: &str) -> bool {
    service_part(name).is_some_and(|service| SERVICES.contains(&service))
}

/// Returns whether a name in lower case is that of the instance metadata service.
pub(crate) fn is_metadata_service(name: &str) -> bool {
    let domain = name.strip_prefix(INSTANCE_DATA).map(|rest| rest.strip_prefix('.').unwrap_or(rest));
    domain.is_some_and(|domain| {
        domain.is_empty() || REGIONS.iter().any(|(region, _)| names::private_domain(region) == domain)
    })
}

/// Returns the part of an AWS name before the region.
fn service_part(name: &str) -> Option<&str> {
    let name = name.strip_suffix(AWS)?.strip_suffix('.')?;
    Some(match name.rsplit_once('.') {
        Some((service, region)) if is_region(region) => service.strip_suffix(".dualstack").unwrap_or(service),
        _ => name,
    })
}

fn is_bucket(name: &str) -> bool {
    name.strip_suffix(".s3").is_some_and(|bucket| bucket.split('.').all(|label| !label.is_empty()))
}
