//! Reachability: whether a connection gets through the declared network, and what blocks it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::domain::ec2::network_interface::{self, NetworkInterface, Owner};
use crate::domain::network::{End, Flow, Network, Traffic};
use crate::model::Cloud;
use crate::model::Tags;
use crate::runtime::network::{NetworkHandle, Place};
use crate::state::Shared;

/// Limit for the connection of a probe. The network drops forbidden packets without a reply.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// A connection to be examined. The answer is a [`Reach`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReachRequest {
    /// The source: `internet`, or an instance, load balancer, database, NAT gateway or network interface by its id, name,
    /// tag `Name` or address.
    pub from: String,
    /// The destination: the same, except `internet`.
    pub to: String,
    /// TCP port of the destination.
    pub port: u16,
    /// Also opens the connection.
    #[serde(default)]
    pub probe: bool,
}

/// The path of a connection through the network, as the Reachability Analyzer of AWS shows it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reach {
    /// The components that the connection passes.
    pub hops: Vec<Component>,
    /// The component that blocks it, and the reason. `None` when it gets through.
    pub blocked: Option<Component>,
    /// `true` if the probe connected or was refused by a host, `false` if its packets were lost. `None` without a probe.
    pub probed: Option<bool>,
}

/// A component of the network.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// Its id.
    pub id: String,
    /// Its effect on the connection.
    pub effect: String,
}

/// Reasons why a connection cannot be examined.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ReachError {
    #[error("nothing with a network interface is called `{0}`")]
    Unknown(String),
    #[error("`{name}` stands for several network interfaces: name one of {}", ids.join(", "))]
    Ambiguous { name: String, ids: Vec<String> },
    #[error("`internet` is a source only: name an address of the destination")]
    ToInternet,
    #[error("a probe needs network namespaces, but {0}")]
    NoProbe(String),
}

/// A source or destination.
enum Party {
    Internet,
    /// An interface: its id, private and public address.
    Interface(String, Ipv4Addr, Option<Ipv4Addr>),
    Address(Ipv4Addr),
}

/// Examines a connection by evaluating the declared network, and by opening it if requested.
pub(crate) async fn reach(
    shared: &Shared,
    network: &NetworkHandle,
    request: &ReachRequest,
) -> Result<Reach, ReachError> {
    let (declared, from, to) = shared.read(|cloud| {
        let (from, to) = (party(cloud, &request.from)?, party(cloud, &request.to)?);
        Ok::<_, ReachError>((Network::of(cloud), from, to))
    })?;
    let (source, place) = match &from {
        Party::Internet => (End::Outside, Place::Internet),
        Party::Interface(id, ..) => (End::Interface(id), Place::Interface(id.clone())),
        Party::Address(_) => return Err(ReachError::Unknown(request.from.clone())),
    };
    let address = match to {
        Party::Internet => return Err(ReachError::ToInternet),
        Party::Address(address) => address,
        // Clients outside of the cloud know the public address only.
        Party::Interface(_, private, public) if source == End::Outside => public.unwrap_or(private),
        Party::Interface(_, private, _) => private,
    };
    let traffic = Traffic::Tcp(request.port, request.port);
    let path = declared.path(Flow::new(source, address, traffic));
    let probed = match request.probe {
        true => Some(probe(shared, network, place, (address, request.port).into()).await?),
        false => None,
    };
    let hops = path.hops.into_iter().map(|hop| Component { id: hop.component, effect: hop.action });
    let blocked = path.blocked.map(|blocked| Component { id: blocked.component, effect: blocked.reason });
    Ok(Reach { hops: hops.collect(), blocked, probed })
}

/// Opens a connection. A refusal is a host's answer, so it proves that packets get there and back.
async fn probe(shared: &Shared, network: &NetworkHandle, from: Place, to: SocketAddr) -> Result<bool, ReachError> {
    if !network.is_private() {
        return Err(ReachError::NoProbe(shared.loopback_reason().unwrap_or_default().to_owned()));
    }
    let site = network.site(from);
    match tokio::time::timeout(PROBE_LIMIT, site.connect(to)).await {
        Ok(Ok(_)) => Ok(true),
        Ok(Err(error)) => Ok(error.kind() == std::io::ErrorKind::ConnectionRefused),
        Err(_) => Ok(false),
    }
}

fn party(cloud: &Cloud, name: &str) -> Result<Party, ReachError> {
    if name == "internet" {
        return Ok(Party::Internet);
    }
    let all = cloud.regions.values().flat_map(network_interface::all);
    let mut found: Vec<NetworkInterface<'_>> = all.filter(|interface| is_called(interface, name)).collect();
    // Of a load balancer or a cluster, any interface stands for all.
    found.dedup_by(|one, other| owner_id(one) == owner_id(other));
    match found.as_slice() {
        [interface] => Ok(Party::Interface(interface.id.clone(), interface.private, interface.public)),
        [] => match name.parse::<IpAddr>() {
            Ok(IpAddr::V4(address)) => Ok(Party::Address(address)),
            _ => Err(ReachError::Unknown(name.to_owned())),
        },
        several => {
            let ids = several.iter().map(|interface| owner_id(interface).to_owned()).collect();
            Err(ReachError::Ambiguous { name: name.to_owned(), ids })
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

fn is_called(interface: &NetworkInterface<'_>, name: &str) -> bool {
    let tag = |tags: &Tags| tags.get("Name").is_some_and(|tag| tag == name);
    let named = match interface.owner {
        Owner::Instance(instance) => tag(&instance.tags),
        Owner::NatGateway(gateway) => tag(&gateway.tags),
        Owner::LoadBalancer(balancer) => balancer.arn == name,
        Owner::Database(_) | Owner::Endpoint(..) => false,
    };
    named
        || owner_id(interface) == name
        || interface.id == name
        || name.parse().is_ok_and(|address| interface.private == address || interface.public == Some(address))
}
