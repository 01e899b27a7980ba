//! Where packets go: the fabric that connects instances, load balancers and databases.
//!
//! - [`loopback`]: everything shares this machine's loopback interface. Portable. Nothing enforces security groups between
//!   two hosts.
//! - [`namespaces`]: every interface is in a network namespace of its own, and the kernel enforces routes and rules.
//!   Linux only.

mod loopback;
#[cfg(target_os = "linux")]
pub(crate) mod namespaces;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

pub(crate) use loopback::Loopback;

use crate::domain::network::Network;

/// A place in the network: sockets are opened and programs run in it.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Place {
    /// A network interface, by id.
    Interface(String),
    /// The router of a VPC, by the VPC's id. Its addresses are the metadata service's and the resolver's.
    Router(String),
    /// The internet of the cloud: clients from outside, and AWS's endpoints.
    Internet,
}

/// A network namespace for a program. The program's launcher enters it before it executes the program.
#[derive(Debug)]
pub(crate) struct Namespace {
    /// A file of the namespace.
    pub(crate) file: OwnedFd,
    /// The process whose user namespace owns it. `None` when that is this process's own.
    pub(crate) owner: Option<u32>,
}

/// Connects the interfaces of a network.
#[async_trait]
pub(crate) trait Fabric: Send + Sync {
    /// Brings the packets in line with a network. Keeps what is unchanged, open connections included.
    async fn reconcile(&self, network: &Network) -> io::Result<()>;

    /// Listens on an address of a place, which must exist.
    async fn listen(&self, place: &Place, address: SocketAddr) -> io::Result<TcpListener>;

    /// Opens a connection from a place.
    async fn connect(&self, place: &Place, address: SocketAddr) -> io::Result<TcpStream>;

    /// Opens a UDP socket on an address of a place, which must exist.
    async fn bind_udp(&self, place: &Place, address: SocketAddr) -> io::Result<UdpSocket>;

    /// Returns the namespace of an interface. `None` where programs run in the network of this machine.
    async fn namespace(&self, interface: &str) -> io::Result<Option<Namespace>>;

    /// Returns a number that identifies the current set of namespaces, also after a restart of the cloud. A program that was
    /// started under another number has no network any more and must be started again, and listeners must be opened
    /// again. The number is 0 while there are no namespaces; the next [`Fabric::reconcile`] creates them.
    fn generation(&self) -> watch::Receiver<u64>;
}
