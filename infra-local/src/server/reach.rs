//! Reachability: whether a connection gets through the declared network, and what blocks it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::party::{Party, PartyError};
use crate::domain::network::{End, Flow, Network, Traffic};
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
    #[error(transparent)]
    Party(#[from] PartyError),
    #[error("`{0}` is an address of nothing in the cloud, so no connection can begin there")]
    Source(String),
    #[error("`internet` is a source only: name an address of the destination")]
    ToInternet,
    #[error("a probe needs network namespaces, but {0}")]
    NoProbe(String),
}

/// Examines a connection by evaluating the declared network, and by opening it if requested.
pub(crate) async fn reach(
    shared: &Shared,
    network: &NetworkHandle,
    request: &ReachRequest,
) -> Result<Reach, ReachError> {
    let (declared, from, to) = shared.read(|cloud| {
        let (from, to) = (Party::named(cloud, &request.from)?, Party::named(cloud, &request.to)?);
        Ok::<_, ReachError>((Network::of(cloud), from, to))
    })?;
    let (source, place) = match &from {
        Party::Internet => (End::Outside, Place::Internet),
        Party::Interface { id, .. } => (End::Interface(id), Place::Interface(id.clone())),
        Party::Address(_) => return Err(ReachError::Source(request.from.clone())),
    };
    let address = match to {
        Party::Internet => return Err(ReachError::ToInternet),
        Party::Address(address) => address,
        // Clients outside of the cloud know the public address only.
        Party::Interface { private, public, .. } if source == End::Outside => public.unwrap_or(private),
        Party::Interface { private, .. } => private,
    };
    let traffic = Traffic::Tcp(request.port, request.port);
    let path = declared.path(Flow::new(source, address, traffic));
    let probed =
        if request.probe { Some(probe(shared, network, place, (address, request.port).into()).await?) } else { None };
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
