//! Accepts clients on one port.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::{Pin, pin};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::{http1, http2};
use hyper::service::service_fn;
use hyper_util::rt::{TokioExecutor, TokioIo};
use rustls::server::ServerConfig;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::access_log::connection_line;
use super::alarm::Alarms;
use super::client::{Client, OwnErrors};
use super::forward;
use super::route::Route;
use super::target::lock;
use super::tls::{self, Identity, Tls, TlsError};
use super::workers::Workers;
use crate::runtime::descriptors;

/// Limit for the head of a request. It exceeds AWS's limit for all headers, so that the balancer itself refuses longer
/// ones.
const HEAD_BYTES: usize = 128 * 1024;

/// AWS's limit for the concurrent requests of an HTTP/2 client.
const STREAMS: u32 = 128;

/// Time limit for a client's TLS handshake.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// A listening port. Dropping it closes the port; requests in progress are finished.
pub(crate) struct ProxyListener {
    address: SocketAddr,
    declared: Option<Tls>,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
}

/// The settings that connections read.
struct Shared {
    address: SocketAddr,
    route: Mutex<Arc<Route>>,
    tls: Mutex<Option<ServedTls>>,
    /// Limit of concurrent clients.
    most: usize,
    places: Arc<Semaphore>,
    errors: Arc<OwnErrors>,
}

/// TLS settings of new connections.
#[derive(Clone)]
struct ServedTls {
    config: Arc<ServerConfig>,
    identities: Arc<[Identity]>,
}

impl ServedTls {
    fn new(tls: &Tls) -> Result<Self, TlsError> {
        Ok(Self { config: tls.config()?, identities: tls.identities.as_slice().into() })
    }
}

/// Reasons why a listener cannot run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListenError {
    #[error("{0}")]
    Port(#[from] io::Error),
    #[error("{0}")]
    Tls(#[from] TlsError),
}

impl ProxyListener {
    /// Starts to serve the clients of a port, with TLS if there are settings for it.
    pub(crate) fn new(
        listener: TcpListener,
        route: Route,
        tls: Option<Tls>,
        workers: &Workers,
    ) -> Result<Self, ListenError> {
        let config = tls.as_ref().map(ServedTls::new).transpose()?;
        let address = listener.local_addr()?;
        let most = descriptors::for_clients();
        let places = Arc::new(Semaphore::new(most));
        let (route, tls_config) = (Mutex::new(Arc::new(route)), Mutex::new(config));
        let errors = Arc::default();
        let shared = Arc::new(Shared { address, route, tls: tls_config, most, places, errors });
        let (stop, stopped) = watch::channel(false);
        tokio::spawn(accept(listener, Arc::clone(&shared), workers.clone(), stopped));
        Ok(Self { address, declared: tls, shared, stop })
    }

    /// Sets the route of future requests; clients stay connected.
    pub(crate) fn set_route(&self, route: Route) {
        *lock(&self.shared.route) = Arc::new(route);
    }

    /// Sets the TLS settings of future connections.
    pub(crate) fn set_tls(&mut self, tls: Option<Tls>) -> Result<(), TlsError> {
        if self.declared != tls {
            let config = tls.as_ref().map(ServedTls::new).transpose()?;
            *lock(&self.shared.tls) = config;
            self.declared = tls;
        }
        Ok(())
    }

    /// Returns the number of connected clients.
    pub(crate) fn connections(&self) -> u64 {
        (self.shared.most - self.shared.places.available_permits()).saturating_sub(1) as u64
    }

    /// Returns the counts of errors that the listener itself returned, with a status of 4xx and 5xx.
    pub(crate) fn own_errors(&self) -> [u64; 2] {
        self.shared.errors.counts()
    }

    /// Returns the listener's address.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ProxyListener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn accept(listener: TcpListener, shared: Arc<Shared>, workers: Workers, stopped: watch::Receiver<bool>) {
    let mut end = pin!(stops(stopped.clone()));
    loop {
        let accepted = tokio::select! {
            () = &mut end => return,
            accepted = async {
                let place = Arc::clone(&shared.places).acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        match accepted {
            (Ok((stream, peer)), place) => {
                // Another thread's reactor registers the stream.
                let Ok(stream) = stream.into_std() else { continue };
                let (shared, stopped) = (Arc::clone(&shared), stopped.clone());
                workers.spawn(async move {
                    if let Ok(stream) = TcpStream::from_std(stream) {
                        serve_client(stream, peer, shared, stopped).await;
                    }
                    drop(place);
                });
            }
            (Err(error), _) => {
                // Too many open files, or a client that disconnected at once: the next accept may succeed.
                tracing::warn!(address = %shared.address, %error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

/// Does the TLS handshake if necessary, and serves the client.
async fn serve_client(stream: TcpStream, peer: SocketAddr, shared: Arc<Shared>, stopped: watch::Receiver<bool>) {
    let _best_effort = stream.set_nodelay(true);
    let tls = lock(&shared.tls).clone();
    let log = lock(&shared.route).settings.delivered_connections.clone();
    let client = |info| Client::new(peer, shared.address, info, Arc::clone(&shared.errors));
    let record = |client: &Client, handshake, is_tls| {
        if let Some(log) = &log {
            log.write(connection_line(client, handshake, is_tls));
        }
    };
    let Some(ServedTls { config, identities }) = tls else {
        let client = client(None);
        record(&client, None, false);
        return serve_http1(stream, client, shared, stopped).await;
    };
    let began = Instant::now();
    match tokio::time::timeout(HANDSHAKE, TlsAcceptor::from(config).accept(stream)).await {
        Ok(Ok(stream)) => {
            let connection = stream.get_ref().1;
            let http2 = tls::uses_http2(connection);
            let client = client(Some(tls::negotiated(connection, &identities)));
            record(&client, Some(began.elapsed()), true);
            if http2 {
                serve_http2(stream, client, shared, stopped).await;
            } else {
                serve_http1(stream, client, shared, stopped).await;
            }
        }
        Ok(Err(error)) => {
            record(&client(None), None, true);
            tracing::debug!(%peer, %error, "a client's TLS handshake failed");
        }
        Err(_) => {
            record(&client(None), None, true);
            tracing::debug!(%peer, "a client's TLS handshake took too long");
        }
    }
}

async fn serve_http1<S>(stream: S, client: Client, shared: Arc<Shared>, stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = lock(&shared.route).settings.clone();
    let client = Arc::new(client);
    let peer = client.peer;
    let service = service_fn(move |request| {
        let (route, client) = (Arc::clone(&lock(&shared.route)), Arc::clone(&client));
        async move { Ok::<_, Infallible>(forward::respond(request, route, client).await) }
    });
    let connection = http1::Builder::new()
        .timer(Alarms)
        .header_read_timeout(settings.idle_timeout)
        .max_buf_size(HEAD_BYTES)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let ends = stops(stopped);
    until_end(connection, http1::UpgradeableConnection::graceful_shutdown, ends, peer).await;
}

async fn serve_http2<S>(stream: S, client: Client, shared: Arc<Shared>, stopped: watch::Receiver<bool>)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let settings = lock(&shared.route).settings.clone();
    let client = Arc::new(client);
    let peer = client.peer;
    let service = service_fn(move |request| {
        let (route, client) = (Arc::clone(&lock(&shared.route)), Arc::clone(&client));
        async move { Ok::<_, Infallible>(forward::respond(request, route, client).await) }
    });
    let connection = http2::Builder::new(TokioExecutor::new())
        .timer(Alarms)
        .max_concurrent_streams(STREAMS)
        .max_header_list_size(HEAD_BYTES as u32)
        .auto_date_header(false)
        .serve_connection(TokioIo::new(stream), service);
    let ends = async {
        tokio::select! {
            () = stops(stopped) => {}
            () = tokio::time::sleep(settings.keep_alive) => {}
        }
    };
    until_end(connection, http2::Connection::graceful_shutdown, ends, peer).await;
}

/// Serves until the client disconnects. At the end of the connection's maximum age or of the listener, finishes the
/// current request.
async fn until_end<C>(
    connection: C,
    say_goodbye: impl FnOnce(Pin<&mut C>),
    ends: impl Future<Output = ()>,
    peer: SocketAddr,
) where
    C: Future<Output = hyper::Result<()>>,
{
    let mut connection = pin!(connection);
    let served = tokio::select! {
        biased;
        ended = connection.as_mut() => Some(ended),
        () = ends => None,
    };
    let ended = if let Some(ended) = served {
        ended
    } else {
        say_goodbye(connection.as_mut());
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a client's connection broke");
    }
}

/// Waits until the listener is dropped.
async fn stops(mut stopped: watch::Receiver<bool>) {
    let _stopped_or_gone = stopped.wait_for(|stopped| *stopped).await;
}
