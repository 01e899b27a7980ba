//! The DNS resolver of each VPC, at its router: at the address 169.254.169.253 and at the VPC's base address plus two, over
//! UDP and TCP.
//!
//! The records are those of [`Zone`], and nothing else: the cloud has no way to the real internet, so a name outside of it
//! does not exist. A VPC whose attribute `enableDnsSupport` is false has no resolver. On the loopback fabric there is none
//! either.
//!
//! - [`message`]: parses a query and encodes the response

mod message;
#[cfg(test)]
mod tests;

use std::collections::{BTreeSet, HashMap};
use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::{Semaphore, watch};
use tokio::task::JoinSet;

use self::message::Transport;
use super::background::PhaseWatch;
use super::network::{NetworkHandle, Place};
use crate::domain::dns::Zone;
use crate::domain::network::{RESOLVER, Vpc};
use crate::model::REGIONS;
use crate::state::Shared;

/// Port of the protocol.
const PORT: u16 = 53;

/// Interval of attempts to listen on an unavailable address.
const RETRY: Duration = Duration::from_secs(1);

/// Limit for the next query of a connection, and for the response to it.
const IDLE_LIMIT: Duration = Duration::from_secs(10);

/// Number of connections to the resolver of a VPC. Further ones are closed.
const CONNECTIONS: usize = 128;

/// Longest query that is read over UDP. Longer ones are cut off and therefore invalid.
const LONGEST_DATAGRAM: usize = 4096;

/// Answers in all VPCs until the cloud ends.
pub(crate) async fn run(shared: Shared, network: NetworkHandle, mut phase: PhaseWatch) {
    if !network.is_private() {
        return;
    }
    let mut changes = network.changes();
    // By the ids of VPCs, in the generation that they were opened in.
    let mut routers: HashMap<(String, u64), JoinSet<()>> = HashMap::new();
    loop {
        let current = Arc::clone(&changes.borrow_and_update());
        let (generation, vpcs) = (current.generation, &current.network.vpcs);
        let answers = |vpc: &Vpc| vpc.has_resolver && !vpc.interfaces.is_empty();
        routers.retain(|(vpc, opened), _| *opened == generation && vpcs.get(vpc).is_some_and(answers));
        let mut missing = false;
        for (id, vpc) in vpcs.iter().filter(|(_, vpc)| answers(vpc)) {
            let key = (id.clone(), generation);
            if routers.contains_key(&key) {
                continue;
            }
            match open(&shared, &network, id, vpc).await {
                Ok(tasks) => _ = routers.insert(key, tasks),
                Err(error) => {
                    missing = true;
                    tracing::debug!(%error, vpc = id, "the DNS resolver cannot listen in a VPC");
                }
            }
        }
        let pause = if missing { RETRY } else { Duration::from_hours(1) };
        tokio::select! {
            _ = changes.changed() => {}
            () = tokio::time::sleep(pause) => {}
            _ = phase.ended() => return,
        }
    }
}

/// Opens the sockets of a VPC's resolver. It ends when the tasks are dropped.
async fn open(shared: &Shared, network: &NetworkHandle, id: &str, vpc: &Vpc) -> io::Result<JoinSet<()>> {
    let site = network.site(Place::Router(id.to_owned()));
    let records = Arc::new(Records::new(shared.clone(), id.to_owned()));
    let connections = Arc::new(Semaphore::new(CONNECTIONS));
    let mut tasks = JoinSet::new();
    for address in BTreeSet::<Ipv4Addr>::from([vpc.resolver(), RESOLVER]) {
        let address = SocketAddr::from((address, PORT));
        let (socket, listener) = (site.bind_udp(address).await?, site.listen(address).await?);
        tasks.spawn(answer_datagrams(socket, Arc::clone(&records)));
        tasks.spawn(accept(listener, Arc::clone(&records), Arc::clone(&connections)));
    }
    Ok(tasks)
}

/// The records of a VPC, which are derived again after a change of the model.
struct Records {
    shared: Shared,
    vpc: String,
    current: Mutex<Current>,
}

struct Current {
    changes: watch::Receiver<u64>,
    zone: Arc<Zone>,
}

impl Records {
    fn new(shared: Shared, vpc: String) -> Records {
        let places: Vec<[&str; 3]> = REGIONS
            .iter()
            .flat_map(|(region, _)| ["ec2", "elbv2", "rds"].map(|part| ["regions", region, part]))
            .collect();
        let changes = shared.changes_below(&places.iter().map(<[&str; 3]>::as_slice).collect::<Vec<_>>());
        let zone = Arc::new(shared.read(|cloud| Zone::of(cloud, &vpc)));
        Records { shared, vpc, current: Mutex::new(Current { changes, zone }) }
    }

    fn zone(&self) -> Arc<Zone> {
        let mut current = self.current.lock().unwrap_or_else(PoisonError::into_inner);
        if current.changes.has_changed().unwrap_or(true) {
            current.changes.mark_unchanged();
            current.zone = Arc::new(self.shared.read(|cloud| Zone::of(cloud, &self.vpc)));
        }
        Arc::clone(&current.zone)
    }
}

async fn answer_datagrams(socket: UdpSocket, records: Arc<Records>) {
    let mut query = vec![0; LONGEST_DATAGRAM];
    loop {
        let Ok((length, client)) = socket.recv_from(&mut query).await else {
            tokio::time::sleep(RETRY).await;
            continue;
        };
        if let Some(response) = message::respond(&query[..length], &records.zone(), Transport::Udp)
            && let Err(error) = socket.send_to(&response, client).await
        {
            tracing::debug!(%error, %client, "a response to a DNS query was not sent");
        }
    }
}

async fn accept(listener: TcpListener, records: Arc<Records>, connections: Arc<Semaphore>) {
    let mut tasks = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((stream, client)) = accepted else {
                    tokio::time::sleep(RETRY).await;
                    continue;
                };
                let Ok(permit) = Arc::clone(&connections).try_acquire_owned() else { continue };
                let records = Arc::clone(&records);
                tasks.spawn(async move {
                    if let Err(error) = converse(stream, &records).await {
                        tracing::debug!(%error, %client, "a connection to the DNS resolver ended early");
                    }
                    drop(permit);
                });
            }
            Some(_) = tasks.join_next() => {}
        }
    }
}

/// Answers the queries of one connection, each of which follows its length in two bytes.
async fn converse(mut stream: TcpStream, records: &Records) -> io::Result<()> {
    loop {
        let query = tokio::time::timeout(IDLE_LIMIT, read(&mut stream)).await?;
        let Some(query) = query? else { return Ok(()) };
        let Some(response) = message::respond(&query, &records.zone(), Transport::Tcp) else { return Ok(()) };
        let length = u16::try_from(response.len()).map_err(io::Error::other)?;
        let framed = [&length.to_be_bytes()[..], &response].concat();
        tokio::time::timeout(IDLE_LIMIT, stream.write_all(&framed)).await??;
    }
}

/// Reads a query. `None` when the client has closed the connection.
async fn read(stream: &mut TcpStream) -> io::Result<Option<Vec<u8>>> {
    let length = match stream.read_u16().await {
        Ok(length) => length,
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await?;
    Ok(Some(query))
}
