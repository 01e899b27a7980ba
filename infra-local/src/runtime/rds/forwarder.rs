//! An endpoint: accepts TCP connections and forwards them to a server.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::AbortHandle;
use tokio::time::Instant;

use crate::state::databases::{Databases, OpenConnection};

/// Time limit for opening a connection to a server.
const CONNECT: Duration = Duration::from_secs(2);

/// Maximum time that a client waits for a server, for example during a failover.
const PATIENCE: Duration = Duration::from_secs(5);

/// Interval of attempts to connect a client.
const RETRY: Duration = Duration::from_millis(50);

/// Servers to which connections are forwarded.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Targets {
    /// In turn.
    pub(super) turn: Vec<SocketAddr>,
    /// Server for connections that no other one accepts.
    pub(super) fallback: Option<SocketAddr>,
}

/// A listening port, which is closed when this is dropped; open connections continue.
pub(super) struct Forwarder {
    targets: watch::Sender<Targets>,
    listening: AbortHandle,
}

impl Forwarder {
    /// Forwards the connections of a listener, and counts them by server.
    pub(super) fn new(listener: TcpListener, targets: Targets, databases: Databases) -> Forwarder {
        let targets = watch::Sender::new(targets);
        let listening = tokio::spawn(listen(listener, targets.subscribe(), databases)).abort_handle();
        Forwarder { targets, listening }
    }

    /// Sets the targets of future connections.
    pub(super) fn set_targets(&self, targets: Targets) {
        self.targets.send_if_modified(|current| {
            let changes = *current != targets;
            *current = targets;
            changes
        });
    }
}

impl Drop for Forwarder {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(listener: TcpListener, targets: watch::Receiver<Targets>, databases: Databases) {
    let turn = Arc::new(AtomicUsize::new(0));
    loop {
        let client = match listener.accept().await {
            Ok((client, _)) => client,
            Err(error) => {
                tracing::warn!(%error, "a connection to a database could not be accepted");
                tokio::task::yield_now().await;
                continue;
            }
        };
        let turn = turn.fetch_add(1, Ordering::Relaxed);
        tokio::spawn(pass_on(client, targets.clone(), turn, databases.clone()));
    }
}

/// Forwards a connection. A client that no server accepts in time is disconnected, as by a host that is shutting down.
async fn pass_on(mut client: TcpStream, mut targets: watch::Receiver<Targets>, turn: usize, databases: Databases) {
    let deadline = Instant::now() + PATIENCE;
    while Instant::now() < deadline {
        let now = targets.borrow_and_update().clone();
        if let Some((mut server, _counted)) = connect(&now, turn, &databases).await {
            let _ = (client.set_nodelay(true), server.set_nodelay(true));
            // An error of the copy concerns only client and server.
            let _ended = tokio::io::copy_bidirectional(&mut client, &mut server).await;
            return;
        }
        let changed = tokio::time::timeout(RETRY, targets.changed()).await;
        if changed.is_ok_and(|changed| changed.is_err()) {
            return;
        }
    }
}

/// Connects to the first server that accepts, and counts the connection.
async fn connect(targets: &Targets, turn: usize, databases: &Databases) -> Option<(TcpStream, OpenConnection)> {
    let count = targets.turn.len();
    let in_turn = (0..count).map(|step| targets.turn[(turn + step) % count]);
    for address in in_turn.chain(targets.fallback) {
        if let Ok(Ok(server)) = tokio::time::timeout(CONNECT, TcpStream::connect(address)).await {
            return Some((server, databases.connect(address)));
        }
    }
    None
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    use super::*;

    /// Starts a server that sends its name to every client; it stops with the runtime.
    async fn echo_name(name: &'static str) -> SocketAddr {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                let _ = stream.write_all(name.as_bytes()).await;
            }
        });
        address
    }

    async fn read_name(address: SocketAddr) -> String {
        let mut text = String::new();
        TcpStream::connect(address).await.unwrap().read_to_string(&mut text).await.unwrap();
        text
    }

    fn free() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    #[tokio::test]
    async fn connections_alternate_between_targets_and_use_the_fallback() {
        let (one, two, last) = (echo_name("one").await, echo_name("two").await, echo_name("last").await);
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let forwarder =
            Forwarder::new(listener, Targets { turn: vec![one, two], fallback: Some(last) }, Databases::default());
        assert_eq!(
            [read_name(address).await, read_name(address).await, read_name(address).await],
            ["one", "two", "one"]
        );
        forwarder.set_targets(Targets { turn: vec![free()], fallback: Some(last) });
        assert_eq!(read_name(address).await, "last");
        forwarder.set_targets(Targets::default());
        let pending = tokio::spawn(read_name(address));
        forwarder.set_targets(Targets { turn: vec![two], fallback: None });
        assert_eq!(pending.await.unwrap(), "two", "a client waits for a server");
    }
    #[tokio::test]
    async fn connections_are_counted_by_server_until_they_end() {
        let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let SocketAddr::V4(address) = server.local_addr().unwrap() else { unreachable!("it listens on IPv4") };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let endpoint = listener.local_addr().unwrap();
        let databases = Databases::default();
        let targets = Targets { turn: vec![address.into()], fallback: None };
        let _forwarder = Forwarder::new(listener, targets, databases.clone());
        let count = || databases.connections((*address.ip(), address.port()));
        let mut clients = Vec::new();
        for connected in 1..=2 {
            let mut client = TcpStream::connect(endpoint).await.unwrap();
            let (mut accepted, _) = server.accept().await.unwrap();
            accepted.write_all(b"x").await.unwrap();
            client.read_exact(&mut [0]).await.unwrap();
            assert_eq!(count(), connected);
            clients.push((client, accepted));
        }
        clients.clear();
        while count() > 0 {
            tokio::task::yield_now().await;
        }
    }
}
