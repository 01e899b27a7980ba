//! Tests of connections to the endpoint.
#![allow(clippy::unwrap_used)]

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::*;
use crate::model::Account;
use crate::runtime::background::{Background, Phase};
use crate::runtime::network::Loopback;
use crate::state::address::AddressBlock;

#[tokio::test]
async fn a_connection_that_does_not_finish_its_head_is_closed() {
    let directory = tempfile::tempdir().unwrap();
    let addresses = AddressBlock::claim(directory.path()).unwrap();
    let shared = Shared::load(directory.path(), Account::default(), addresses).unwrap();
    let listener = bind(None, None).await.unwrap();
    let address = listener.local_addr().unwrap();
    shared.bound(address);
    let access =
        Access { root: RootKeys::default(), token: Token::new("token".to_owned()), enforce_iam: false, delegate: None };
    let mut server = Server::new(shared, NetworkHandle::new(Loopback), access, Arc::new(Notify::new()));
    server.head_limit = Duration::from_millis(50);
    let mut background = Background::new();
    background.spawn(|phase| Arc::new(server).run(listener, phase));

    let mut stream = TcpStream::connect(address).await.unwrap();
    stream.write_all(b"GET /_infra/status HTTP/1.1\r\nHost: localhost\r\nX-Slow: ").await.unwrap();
    let mut rest = Vec::new();
    let closed = tokio::time::timeout(Duration::from_secs(30), stream.read_to_end(&mut rest)).await;
    closed.expect("the connection is closed").unwrap();
    assert!(!rest.starts_with(b"HTTP/1.1 200"));
    background.end(Phase::Stopping).await;
}
