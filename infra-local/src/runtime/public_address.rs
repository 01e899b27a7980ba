//! Public addresses: connections from this machine are forwarded to the instance with the address, if routes and
//! security groups permit clients on the internet.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinSet;

use super::background::PhaseWatch;
use super::network::{NetworkHandle, Place, Site};
use crate::domain::network::{End, Network};
use crate::model::Cloud;
use crate::state::Shared;

/// Interval of attempts to listen on an occupied port.
const RETRY: Duration = Duration::from_secs(1);

/// Time limit for opening a connection to an instance.
const CONNECT: Duration = Duration::from_secs(10);

/// Ports of elastic addresses, with the addresses to which they are forwarded.
type Forwards = BTreeMap<SocketAddr, SocketAddr>;

/// A forwarded port; dropping it closes the port and its connections.
struct Forward {
    target: SocketAddr,
    _task: JoinSet<()>,
}

/// Runs until the cloud stops; then the ports are closed.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, mut phase: PhaseWatch) {
    let (mut changes, mut connected) = (shared.changes(), network.changes());
    let from = network.site(Place::Internet);
    let mut running: BTreeMap<SocketAddr, Forward> = BTreeMap::new();
    loop {
        changes.borrow_and_update();
        connected.borrow_and_update();
        let wanted = shared.read(|cloud| wanted(cloud, &network.current().network, from.is_inside()));
        running.retain(|port, forward| wanted.get(port) == Some(&forward.target));
        let mut complete = true;
        for (port, target) in wanted {
            if running.contains_key(&port) {
                continue;
            }
            match Forward::open(port, from.clone(), target).await {
                Ok(forward) => {
                    running.insert(port, forward);
                }
                Err(error) => {
                    complete = false;
                    tracing::warn!(%error, "the public address {port} cannot be listened on; stop what uses it");
                }
            }
        }
        tokio::select! {
            _ = changes.changed() => {}
            _ = connected.changed() => {}
            () = tokio::time::sleep(RETRY), if !complete => {}
            _ = phase.ended() => return,
        }
    }
}

/// The ports of services that clients outside reach. `is_inside` forwards connections to the same address on the internet of
/// the cloud; otherwise they lead to the instance, whose own address may be its public one.
fn wanted(cloud: &Cloud, network: &Network, is_inside: bool) -> Forwards {
    let interfaces = network.vpcs.values().flat_map(|vpc| vpc.interfaces.values());
    let public = interfaces.flat_map(|it| it.translations().map(move |(_, public)| (&it.owner, public)));
    let ports = public.flat_map(|(owner, address)| {
        let mut regions = cloud.regions.values();
        let instance = regions.find_map(|region| region.ec2.instances.get(owner));
        let ports = instance.into_iter().flat_map(move |instance| {
            let target = if is_inside { address } else { instance.address };
            instance.runtime.services.values().filter_map(move |service| Some((target, service.port?)))
        });
        ports.map(move |(target, port)| (address, target, port))
    });
    let forwarded = ports.filter(|(address, target, port)| {
        (is_inside || address != target) && network.reaches(End::Outside, *address, *port)
    });
    forwarded.map(|(address, target, port)| ((address, port).into(), (target, port).into())).collect()
}

impl Forward {
    async fn open(port: SocketAddr, from: Site, target: SocketAddr) -> io::Result<Forward> {
        let listener = TcpListener::bind(port).await?;
        let mut task = JoinSet::new();
        task.spawn(async move {
            let mut connections = JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => match accepted {
                        Ok((client, _)) => {
                            connections.spawn(forward(client, from.clone(), target));
                        }
                        Err(error) => {
                            tracing::debug!(%error, "a connection to {port} could not be accepted");
                            tokio::task::yield_now().await;
                        }
                    },
                    Some(_) = connections.join_next() => {}
                }
            }
        });
        Ok(Forward { target, _task: task })
    }
}

/// Forwards a connection until a side closes it. If no process listens at the target, the connection is closed.
async fn forward(mut client: TcpStream, from: Site, target: SocketAddr) {
    let Ok(Ok(mut server)) = tokio::time::timeout(CONNECT, from.connect(target)).await else { return };
    let _ = client.set_nodelay(true);
    let _ = server.set_nodelay(true);
    let _ = tokio::io::copy_bidirectional(&mut client, &mut server).await;
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    #[tokio::test]
    async fn bytes_are_forwarded_in_both_directions() {
        let behind = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let free = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
        let forward = Forward::open(free, Site::Host, behind.local_addr().unwrap()).await.unwrap();
        let (client, server) = tokio::join!(TcpStream::connect(free), behind.accept());
        let (mut client, mut server) = (client.unwrap(), server.unwrap().0);
        client.write_all(b"ping").await.unwrap();
        let mut received = [0; 4];
        server.read_exact(&mut received).await.unwrap();
        assert_eq!(&received, b"ping");
        drop(forward);
        assert_eq!(client.read(&mut received).await.unwrap_or(0), 0, "its end closes what is open");
    }
}
