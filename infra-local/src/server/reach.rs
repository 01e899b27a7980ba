//! Reachability: whether a connection gets through the declared network, and what blocks it.

use std::net::SocketAddr;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::party::{Party, PartyError};
use crate::domain::network::{self, End, Flow, Traffic};
use crate::runtime::network::{NetworkHandle, Place};
use crate::state::Shared;

/// Limit for the connection of a probe. The network drops forbidden packets without a reply.
const PROBE_LIMIT: Duration = Duration::from_secs(2);

/// A connection to analyse. The response is a [`Reach`].
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
    #[error("a probe needs network namespaces, but {0}: `stack local start --network namespaces`")]
    NoProbe(String),
}

/// Analyses a connection by evaluating the declared network, and by opening it if requested.
pub(crate) async fn reach(
    shared: &Shared,
    network: &NetworkHandle,
    request: &ReachRequest,
) -> Result<Reach, ReachError> {
    let (declared, from, to) = shared.read(|cloud| {
        let (from, to) = (Party::named(cloud, &request.from)?, Party::named(cloud, &request.to)?);
        Ok::<_, ReachError>((network::of(cloud), from, to))
    })?;
    let (source, place) = match &from {
        Party::Internet => (End::Outside, Place::Internet),
        Party::Interface { id, .. } => (End::Interface(id), Place::Interface(id.clone())),
        Party::Address(_) => return Err(ReachError::Source(request.from.clone())),
    };
    let address = match to {
        Party::Internet => return Err(ReachError::ToInternet),
        Party::Address(address) => address,
        Party::Interface { id, private, .. } => match declared.interface(&id) {
            // Clients outside of the cloud know the public address only.
            Some((_, interface)) if source == End::Outside => interface.public.unwrap_or(interface.address),
            Some((_, interface)) => interface.address,
            // Its instance is stopped.
            None => private,
        },
    };
    let traffic = Traffic::Tcp(request.port, request.port);
    let path = declared.path(Flow::new(source, address, traffic));
    let probed =
        if request.probe { Some(probe(shared, network, place, (address, request.port).into()).await?) } else { None };
    let hops = path.hops.into_iter().map(|hop| Component { id: hop.component, effect: hop.action });
    let blocked = path.blocked.map(|blocked| Component { id: blocked.component, effect: blocked.reason });
    Ok(Reach { hops: hops.collect(), blocked, probed })
}

/// Opens a connection. A refusal comes from a host, so it proves that packets reach it and return.
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

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::runtime::network::Loopback;
    use crate::testing::ControlPlane;

    #[tokio::test]
    async fn paths_have_private_addresses_on_the_loopback_interface_too() {
        let mut plane = ControlPlane::new();
        let ids = plane.launch_two("app");
        let (_directory, shared) = plane.shared();
        let network = NetworkHandle::new(Loopback);
        let request =
            |from: &str, to: &str, probe| ReachRequest { from: from.to_owned(), to: to.to_owned(), port: 22, probe };
        // The members of the default security group reach each other, and clients outside do not reach them.
        let within = reach(&shared, &network, &request(&ids[0], &ids[1], false)).await.unwrap();
        assert_eq!(within.blocked, None, "{within:?}");
        assert!(within.hops.iter().any(|hop| hop.effect.starts_with("172.31.")), "{within:?}");
        let outside = reach(&shared, &network, &request("internet", &ids[1], false)).await.unwrap();
        assert!(outside.blocked.unwrap().effect.contains("no ingress rule permits TCP port 22 with 192.0.2.1"));
        let probe = reach(&shared, &network, &request(&ids[0], &ids[1], true)).await.unwrap_err();
        assert!(probe.to_string().contains("--network namespaces"), "{probe}");
        let unknown = reach(&shared, &network, &request(&ids[0], "nothing", false)).await.unwrap_err();
        assert!(unknown.to_string().starts_with("nothing with a network interface is called `nothing`"));
    }
}
