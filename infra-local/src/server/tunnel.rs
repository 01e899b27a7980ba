//! Connections of users to ports in the network that are not public. The cloud opens the connection, and the HTTP
//! connection of the request is upgraded to transfer its data.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};

use hyper::body::Incoming;
use hyper::{Request, Response, StatusCode, header};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

use super::party::{Party, PartyError};
use crate::runtime::network::{NetworkHandle, Place, Site};
use crate::state::Shared;

/// Protocol name of the HTTP upgrade.
pub(crate) const PROTOCOL: &str = "tcp";

/// A port to connect to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TunnelRequest {
    /// An instance, load balancer, database or network interface by its id, name, tag `Name` or address.
    pub(crate) to: String,
    /// TCP port.
    pub(crate) port: u16,
}

impl TunnelRequest {
    /// Parses the query of a request, such as `to=web&port=80`. A request for an upgrade has no body.
    pub(crate) fn from_query(query: &str) -> TunnelRequest {
        let value = |name: &str| {
            let mut pairs = form_urlencoded::parse(query.as_bytes());
            pairs.find(|(key, _)| key == name).map(|(_, value)| value.into_owned()).unwrap_or_default()
        };
        TunnelRequest { to: value("to"), port: value("port").parse().unwrap_or(0) }
    }

    pub(crate) fn to_query(&self) -> String {
        let port = self.port.to_string();
        let pairs = [("to", self.to.as_str()), ("port", &port)];
        form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
    }
}

/// Reasons why no connection was opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum TunnelError {
    #[error(transparent)]
    Party(#[from] PartyError),
    #[error("`{0}` is no resource of the cloud with a port")]
    NoPort(String),
    #[error("{to} port {port} cannot be connected to: {source}")]
    Connect { to: String, port: u16, source: io::Error },
    #[error("the request does not ask for the protocol `tcp`")]
    NoUpgrade,
}

/// Connects to a port. Within the network, the connection comes from the router of the VPC, so security groups do not
/// apply to it.
pub(crate) async fn connect(
    shared: &Shared,
    network: &NetworkHandle,
    request: &TunnelRequest,
) -> Result<TcpStream, TunnelError> {
    let party = shared.read(|cloud| Party::named(cloud, &request.to))?;
    let Party::Interface { vpc, private, .. } = party else {
        return Err(TunnelError::NoPort(request.to.clone()));
    };
    let site = network.site(Place::Router(vpc));
    let failed = |source| TunnelError::Connect { to: request.to.clone(), port: request.port, source };
    dial(&site, private, request.port).await.map_err(failed)
}

async fn dial(site: &Site, address: Ipv4Addr, port: u16) -> io::Result<TcpStream> {
    let late = |_| io::Error::new(io::ErrorKind::TimedOut, "nothing answers within 10 s");
    let connected = site.connect(SocketAddr::from((address, port)));
    tokio::time::timeout(std::time::Duration::from_secs(10), connected).await.map_err(late)?
}

/// Returns the response that upgrades the connection, after which the bytes of the HTTP connection and of `stream` are
/// copied.
pub(crate) fn upgrade<B: Default>(request: Request<Incoming>, mut stream: TcpStream) -> Response<B> {
    tokio::spawn(async move {
        match hyper::upgrade::on(request).await {
            Ok(client) => {
                // An error of the copy concerns only its two sides.
                let _ = tokio::io::copy_bidirectional(&mut TokioIo::new(client), &mut stream).await;
            }
            Err(error) => tracing::debug!(%error, "a connection did not become a tunnel"),
        }
    });
    let mut response = Response::new(B::default());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    response.headers_mut().insert(header::UPGRADE, header::HeaderValue::from_static(PROTOCOL));
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("upgrade"));
    response
}
