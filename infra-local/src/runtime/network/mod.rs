//! Where packets go: the fabric that connects instances, load balancers and databases.
//!
//! - [`loopback`]: everything shares this machine's loopback interface. Portable. Nothing enforces security groups between
//!   two hosts.
//! - [`name_files`]: the files by which programs in a namespace resolve names
//! - `namespaces`: every interface is in a network namespace of its own, and the kernel enforces routes and rules.
//!   Linux only.

mod loopback;
mod name_files;
#[cfg(target_os = "linux")]
pub(crate) mod namespaces;

use std::io;
use std::net::SocketAddr;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Mutex, watch};

pub(crate) use loopback::Loopback;
pub(crate) use name_files::NameFiles;

use super::background::PhaseWatch;
use crate::domain::network::Network;
use crate::model::ec2::instance::ServiceState;
use crate::model::{Cloud, REGIONS};
use crate::state::Shared;

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
    /// The files by which a confined program resolves names. This machine's when absent.
    pub(crate) names: Option<NameFiles>,
}

/// Connects the interfaces of a network.
#[async_trait]
pub(crate) trait Fabric: Send + Sync {
    /// Returns whether interfaces have private addresses. Otherwise all have addresses of the loopback interface.
    fn is_private(&self) -> bool;

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

    /// Returns a number that identifies the current set of namespaces, also after a restart of the cloud. A program that
    /// was started under another number has no network any more and must be started again, and listeners must be opened
    /// again. The number is 0 while there are no namespaces; the next [`Fabric::reconcile`] creates them.
    fn generation(&self) -> watch::Receiver<u64>;

    /// Deletes the network. Programs in it lose their connections.
    async fn shutdown(&self) -> io::Result<()>;
}

/// The network that the packets are in line with.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Connected {
    /// See [`Fabric::generation`].
    pub(crate) generation: u64,
    pub(crate) network: Network,
}

impl Connected {
    /// Returns a port of an interface, by which listeners are known: those of another generation are opened again.
    pub(crate) fn port(&self, interface: &str) -> Option<InterfacePort> {
        self.network.interface(interface)?;
        Some(InterfacePort { interface: interface.to_owned(), generation: self.generation })
    }
}

/// An interface in one generation of the network.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InterfacePort {
    pub(crate) interface: String,
    generation: u64,
}

/// A handle on the fabric. Clones refer to the same one.
#[derive(Clone)]
pub(crate) struct NetworkHandle {
    fabric: Arc<dyn Fabric>,
    /// The network that the fabric was last brought in line with.
    connected: watch::Sender<Arc<Connected>>,
    /// Held during a reconciliation, so that a later network never precedes an earlier one.
    order: Arc<Mutex<()>>,
}

/// Pause after a failed reconciliation.
const RETRY: Duration = Duration::from_secs(1);

impl NetworkHandle {
    pub(crate) fn new(fabric: impl Fabric + 'static) -> NetworkHandle {
        NetworkHandle { fabric: Arc::new(fabric), connected: watch::Sender::new(Arc::default()), order: Arc::default() }
    }

    /// Returns whether interfaces have private addresses. Otherwise all have addresses of the loopback interface.
    pub(crate) fn is_private(&self) -> bool {
        self.fabric.is_private()
    }

    /// The network that the packets are in line with.
    pub(crate) fn current(&self) -> Arc<Connected> {
        Arc::clone(&self.connected.borrow())
    }

    /// See [`Fabric::generation`].
    pub(crate) fn generation(&self) -> watch::Receiver<u64> {
        self.fabric.generation()
    }

    /// Becomes ready after every change of the network.
    pub(crate) fn changes(&self) -> watch::Receiver<Arc<Connected>> {
        self.connected.subscribe()
    }

    /// Waits until an interface is connected.
    pub(crate) async fn wait_until_connected(&self, interface: &str) {
        let mut changes = self.connected.subscribe();
        // The sender is this handle's own, so it is not closed.
        let _ = changes.wait_for(|connected| connected.port(interface).is_some()).await;
    }

    /// Deletes the network, once nothing runs in it any more.
    pub(crate) async fn shutdown(&self) {
        if let Err(error) = self.fabric.shutdown().await {
            tracing::warn!(%error, "the network could not be deleted");
        }
    }

    /// Returns a place as a site. Without private addresses, all places are in the network of this machine.
    pub(crate) fn site(&self, place: Place) -> Site {
        if self.is_private() { Site::Inside(self.clone(), place) } else { Site::Host }
    }

    /// Brings the packets in line with the model, and returns when they are. Otherwise this happens soon after each
    /// change.
    pub(crate) async fn apply(&self, shared: &Shared) -> io::Result<()> {
        self.reconcile(shared, true).await
    }

    /// Brings the packets in line with the model. `is_retry` repeats an attempt that failed in part.
    async fn reconcile(&self, shared: &Shared, is_retry: bool) -> io::Result<()> {
        let _ordered = self.order.lock().await;
        let network = shared.read(crate::domain::network::of);
        let generation = *self.fabric.generation().borrow();
        let current = self.current();
        let is_current = network == current.network && generation == current.generation;
        if is_current && !is_retry {
            return Ok(());
        }
        let outcome = self.fabric.reconcile(&network).await;
        let generation = *self.fabric.generation().borrow();
        if self.is_private() && generation == 0 {
            return outcome;
        }
        if shared.read(|cloud| cloud.network_generation != generation) {
            shared.update(|cloud| disconnect(cloud, generation));
        }
        // After a partial failure, the interfaces that were connected are used.
        self.connected.send_replace(Arc::new(Connected { generation, network }));
        outcome
    }
}

/// Ends the programs of instances, whose network no longer exists. Their hosts start them again in the new one.
fn disconnect(cloud: &mut Cloud, generation: u64) {
    cloud.network_generation = generation;
    for region in cloud.regions.values_mut() {
        let running: Vec<String> = region
            .ec2
            .instances
            .values()
            .filter(|instance| instance.runtime.services.values().any(|service| service.process.is_some()))
            .map(|instance| instance.id.clone())
            .collect();
        for id in running {
            let Some(instance) = region.ec2.instances.get_mut(&id) else { continue };
            for service in instance.runtime.services.values_mut() {
                if let Some(process) = service.process.take() {
                    process.kill();
                    service.state = ServiceState::Restarting;
                }
            }
        }
    }
}

/// Where sockets are opened and programs run: in the network of this machine, or at a place inside.
#[derive(Clone)]
pub(crate) enum Site {
    Host,
    Inside(NetworkHandle, Place),
}

impl Site {
    pub(crate) async fn listen(&self, address: SocketAddr) -> io::Result<TcpListener> {
        match self {
            Site::Host => TcpListener::bind(address).await,
            Site::Inside(network, place) => network.fabric.listen(place, address).await,
        }
    }

    pub(crate) async fn bind_udp(&self, address: SocketAddr) -> io::Result<UdpSocket> {
        match self {
            Site::Host => UdpSocket::bind(address).await,
            Site::Inside(network, place) => network.fabric.bind_udp(place, address).await,
        }
    }

    pub(crate) async fn connect(&self, address: SocketAddr) -> io::Result<TcpStream> {
        match self {
            Site::Host => TcpStream::connect(address).await,
            Site::Inside(network, place) => network.fabric.connect(place, address).await,
        }
    }

    /// Returns the namespace that programs of this site run in. `None` for the network of this machine.
    pub(crate) async fn namespace(&self) -> io::Result<Option<Namespace>> {
        match self {
            Site::Inside(network, Place::Interface(interface)) => {
                let namespace = network.fabric.namespace(interface).await?;
                let names = NameFiles::of(&network.current().network, interface);
                Ok(namespace.map(|namespace| Namespace { names, ..namespace }))
            }
            Site::Host | Site::Inside(..) => Ok(None),
        }
    }

    pub(crate) fn is_inside(&self) -> bool {
        matches!(self, Site::Inside(..))
    }
}

/// Keeps the packets in line with the model until the cloud ends.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, mut phase: PhaseWatch) {
    let services = ["ec2", "elbv2", "rds"];
    let places = REGIONS.iter().flat_map(|(region, _)| services.map(|service| ["regions", region, service]));
    let places: Vec<[&str; 3]> = places.collect();
    let places = places.iter().map(<[&str; 3]>::as_slice).chain([&["faults"][..]]);
    let mut changes = shared.changes_below(&places.collect::<Vec<_>>());
    let mut generation = network.fabric.generation();
    let mut failed = None;
    loop {
        changes.borrow_and_update();
        generation.borrow_and_update();
        failed = network.reconcile(&shared, failed.is_some()).await.err();
        if let Some(error) = &failed {
            tracing::warn!(%error, "the network is not in line with the declared one");
        }
        tokio::select! {
            _ = changes.changed() => {}
            Ok(()) = generation.changed() => {}
            () = tokio::time::sleep(RETRY), if failed.is_some() => {}
            _ = phase.ended() => return,
        }
    }
}

/// A fabric of tests, in which nothing is connected.
#[cfg(test)]
pub(crate) struct Unconnected;

#[cfg(test)]
#[async_trait]
impl Fabric for Unconnected {
    fn is_private(&self) -> bool {
        true
    }

    async fn reconcile(&self, _: &Network) -> io::Result<()> {
        Err(io::ErrorKind::NotConnected.into())
    }

    async fn listen(&self, _: &Place, _: SocketAddr) -> io::Result<TcpListener> {
        Err(io::ErrorKind::NotConnected.into())
    }

    async fn connect(&self, _: &Place, _: SocketAddr) -> io::Result<TcpStream> {
        Err(io::ErrorKind::NotConnected.into())
    }

    async fn bind_udp(&self, _: &Place, _: SocketAddr) -> io::Result<UdpSocket> {
        Err(io::ErrorKind::NotConnected.into())
    }

    async fn namespace(&self, _: &str) -> io::Result<Option<Namespace>> {
        Err(io::ErrorKind::NotConnected.into())
    }

    fn generation(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    async fn shutdown(&self) -> io::Result<()> {
        Ok(())
    }
}
