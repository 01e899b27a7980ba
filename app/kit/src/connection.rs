//! Shuts down connections whose next request takes too long.
//!
//! actix-web limits the time for the first request head of a connection only. A client that sends the head of a later
//! request byte by byte would keep its connection forever: the first byte ends the keep-alive time, and no other timer
//! starts. So a connection without a request in progress is shut down if the next head is not complete in time.

use std::{
    any::Any,
    cell::Cell,
    net::{Shutdown, TcpStream},
    os::fd::AsFd,
    pin::Pin,
    rc::{Rc, Weak},
    task::{Context, Poll},
    time::Duration,
};

use actix_web::{
    Error,
    body::{BodySize, MessageBody},
    dev::{Extensions, ServiceRequest, ServiceResponse},
    middleware::Next,
    rt,
    web::Bytes,
};
use tokio::time::{Instant, sleep_until};

/// Keep-alive time of an idle connection: the default of actix-web, passed explicitly because [`watch`] adds to it.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(5);

/// Connection of a client.
struct Connection {
    /// Duplicate of the socket, to shut it down. Closed with the connection.
    socket: TcpStream,
    /// Number of requests without a complete response.
    requests: Cell<u32>,
    /// Start of the connection, or end of its last response.
    idle_since: Cell<Instant>,
}

/// Watches a new connection. `patience` is the time limit of a request head.
pub(crate) fn watch(stream: &dyn Any, data: &mut Extensions, patience: Duration) {
    let Some(stream) = stream.downcast_ref::<rt::net::TcpStream>() else {
        return;
    };
    let socket = match stream.as_fd().try_clone_to_owned() {
        Ok(socket) => TcpStream::from(socket),
        Err(error) => {
            tracing::warn!(%error, "a connection is not watched for slow requests");
            return;
        }
    };
    let connection = Connection { socket, requests: Cell::new(0), idle_since: Cell::new(Instant::now()) };
    let connection = Rc::new(connection);
    rt::spawn(cut_when_slow(Rc::downgrade(&connection), KEEP_ALIVE + patience));
    data.insert(connection);
}

async fn cut_when_slow(connection: Weak<Connection>, patience: Duration) {
    let mut deadline = Instant::now() + patience;
    loop {
        sleep_until(deadline).await;
        let Some(connection) = connection.upgrade() else {
            return;
        };
        let now = Instant::now();
        deadline = match connection.requests.get() {
            0 => connection.idle_since.get() + patience,
            _ => now + patience,
        };
        if deadline <= now {
            // The connection may already be closed.
            let _ = connection.socket.shutdown(Shutdown::Both);
            return;
        }
    }
}

/// Middleware that marks a connection as busy until the response is sent.
pub(crate) async fn track(
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let busy = request.conn_data::<Rc<Connection>>().map(Busy::new);
    let answer = next.call(request).await?;
    Ok(answer.map_body(|_, body| Tracked { body: Box::pin(body), _busy: busy }))
}

/// A request in progress on a connection.
struct Busy(Rc<Connection>);

impl Busy {
    fn new(connection: &Rc<Connection>) -> Self {
        connection.requests.set(connection.requests.get() + 1);
        Self(Rc::clone(connection))
    }
}

impl Drop for Busy {
    fn drop(&mut self) {
        self.0.requests.set(self.0.requests.get() - 1);
        self.0.idle_since.set(Instant::now());
    }
}

/// A body that keeps its connection marked as busy.
struct Tracked<B> {
    body: Pin<Box<B>>,
    _busy: Option<Busy>,
}

impl<B: MessageBody> MessageBody for Tracked<B> {
    type Error = B::Error;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, B::Error>>> {
        self.get_mut().body.as_mut().poll_next(context)
    }
}
