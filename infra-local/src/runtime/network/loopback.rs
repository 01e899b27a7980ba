//! The fabric of all systems: every address is one of this machine's loopback interface.

use std::io;
use std::net::SocketAddr;

use async_trait::async_trait;
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::watch;

use super::{Fabric, Namespace, Place};
use crate::domain::network::Network;

/// Connects everything over the loopback interface.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Loopback;

#[async_trait]
impl Fabric for Loopback {
    fn is_private(&self) -> bool {
        false
    }

    async fn reconcile(&self, _network: &Network) -> io::Result<()> {
        Ok(())
    }

    async fn listen(&self, _place: &Place, address: SocketAddr) -> io::Result<TcpListener> {
        TcpListener::bind(address).await
    }

    async fn connect(&self, _place: &Place, address: SocketAddr) -> io::Result<TcpStream> {
        TcpStream::connect(address).await
    }

    async fn bind_udp(&self, _place: &Place, address: SocketAddr) -> io::Result<UdpSocket> {
        UdpSocket::bind(address).await
    }

    async fn namespace(&self, _interface: &str) -> io::Result<Option<Namespace>> {
        Ok(None)
    }

    fn generation(&self) -> watch::Receiver<u64> {
        watch::Sender::new(0).subscribe()
    }

    async fn shutdown(&self) -> io::Result<()> {
        Ok(())
    }
}
