//! Accepts clients on one port.

use std::convert::Infallible;
use std::io;
use std::net::SocketAddr;
use std::pin::pin;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{Semaphore, watch};

use super::forward;
use super::pool::{TargetPool, lock};

/// Clients served at the same time; more wait to be accepted.
const CONNECTIONS: usize = 4096;

/// AWS's limit for all headers of a request.
const HEADER_BYTES: usize = 64 * 1024;

/// Where the requests of a listener go.
#[derive(Clone)]
pub(crate) struct Route {
    /// Target groups with their weights.
    pub(crate) pools: Vec<(TargetPool, u32)>,
    /// How long nothing may move before a request is given up; AWS's default is 60 s.
    pub(crate) idle_timeout: Duration,
}

/// A listening port. Dropping it frees the port; requests under way are finished.
pub(crate) struct ProxyListener {
    address: SocketAddr,
    route: Arc<Mutex<Arc<Route>>>,
    stop: watch::Sender<bool>,
    places: Arc<Semaphore>,
}

impl ProxyListener {
    /// Listens and begins to serve.
    pub(crate) async fn bind(address: SocketAddr, route: Route) -> io::Result<Self> {
        let listener = TcpListener::bind(address).await?;
        let address = listener.local_addr()?;
        let route = Arc::new(Mutex::new(Arc::new(route)));
        let (stop, stopped) = watch::channel(false);
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        tokio::spawn(accept(listener, address, Arc::clone(&route), Arc::clone(&places), stopped));
        Ok(Self { address, route, stop, places })
    }

    /// Sends requests that begin from now on elsewhere; clients stay connected.
    pub(crate) fn set_route(&self, route: Route) {
        *lock(&self.route) = Arc::new(route);
    }

    /// How many clients are connected. The place that waits for the next one is not taken yet.
    pub(crate) fn connections(&self) -> u64 {
        (CONNECTIONS - self.places.available_permits()).saturating_sub(1) as u64
    }

    /// Where it listens.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

impl Drop for ProxyListener {
    fn drop(&mut self) {
        self.stop.send_replace(true);
    }
}

async fn accept(
    listener: TcpListener,
    address: SocketAddr,
    route: Arc<Mutex<Arc<Route>>>,
    places: Arc<Semaphore>,
    mut stopped: watch::Receiver<bool>,
) {
    loop {
        let accepted = tokio::select! {
            () = stops(&mut stopped) => return,
            accepted = async {
                let place = Arc::clone(&places).acquire_owned().await;
                (listener.accept().await, place)
            } => accepted,
        };
        match accepted {
            (Ok((stream, peer)), place) => {
                let served = serve(stream, peer, address, Arc::clone(&route), stopped.clone());
                tokio::spawn(async move {
                    served.await;
                    drop(place);
                });
            }
            (Err(error), _) => {
                // Too many open files, or a client that left at once: the next one may work.
                tracing::warn!(%address, %error, "a client could not be accepted");
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
        }
    }
}

async fn serve(
    stream: TcpStream,
    peer: SocketAddr,
    address: SocketAddr,
    route: Arc<Mutex<Arc<Route>>>,
    mut stopped: watch::Receiver<bool>,
) {
    let _best_effort = stream.set_nodelay(true);
    let idle_timeout = lock(&route).idle_timeout;
    let service = service_fn(move |request| {
        let route = Arc::clone(&lock(&route));
        async move { Ok::<_, Infallible>(forward::forward(request, &route, peer, address).await) }
    });
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(idle_timeout)
        .max_buf_size(HEADER_BYTES)
        .serve_connection(TokioIo::new(stream), service)
        .with_upgrades();
    let mut connection = pin!(connection);
    let served = tokio::select! {
        ended = connection.as_mut() => Some(ended),
        () = stops(&mut stopped) => None,
    };
    let ended = if let Some(ended) = served {
        ended
    } else {
        connection.as_mut().graceful_shutdown();
        connection.await
    };
    if let Err(error) = ended {
        tracing::debug!(%peer, %error, "a client's connection broke");
    }
}

/// Ends when the listener is dropped.
async fn stops(stopped: &mut watch::Receiver<bool>) {
    let _stopped_or_gone = stopped.wait_for(|stopped| *stopped).await;
}
