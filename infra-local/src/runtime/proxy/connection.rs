//! A connection to a target. It makes progress only while the request that uses it is polled, so no additional task is
//! between the sockets of client and target.

use std::future::poll_fn;
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use futures::task::AtomicWaker;
use hyper::body::Incoming;
use hyper::client::conn::http1::{self, SendRequest};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::time::Instant;

use super::alarm::Alarm;
use super::stream::Stream;
use super::upload::{Activity, Upload};

/// AWS's limit for the size of a response's head.
pub(super) const HEAD_BYTES: usize = 32 * 1024;

/// Future of hyper that does the connection's I/O.
type Driver = http1::Connection<TokioIo<Stream>, Upload>;

/// An open connection.
pub(super) struct Connection {
    closer: Arc<Closer>,
    sender: SendRequest<Upload>,
    driver: Driver,
    ended: bool,
    pub(super) alarm: Alarm,
    /// Time of its last use.
    pub(super) used: Instant,
}

/// Ends the exchanges of a connection, when the deregistration delay of its target is over.
#[derive(Debug, Default)]
pub(super) struct Closer {
    closed: AtomicBool,
    waker: AtomicWaker,
}

impl Closer {
    pub(super) fn close(&self) {
        self.closed.store(true, Ordering::SeqCst);
        self.waker.wake();
    }

    pub(super) fn poll_closed(&self, context: &Context<'_>) -> bool {
        self.waker.register(context.waker());
        self.closed.load(Ordering::SeqCst)
    }
}

/// Reasons for a missing response.
pub(super) enum Unanswered {
    /// Nothing was sent, so another target can receive the request.
    Unsent(Box<Request<Upload>>),
    /// The request was sent, at least in part.
    Failed(StatusCode),
}

/// Returns the reason for a missing response after the connection has broken.
pub(super) fn broken_off(activity: Option<&Activity>) -> Unanswered {
    match activity {
        Some(activity) if activity.broken() => Unanswered::Failed(StatusCode::BAD_REQUEST),
        _ => Unanswered::Failed(StatusCode::BAD_GATEWAY),
    }
}

/// Returns the next deadline when the limit of the response is over: data of the client postpones it. The error is the
/// status of the missing response.
pub(super) fn extended(activity: Option<&Activity>, limit: Duration) -> Result<Instant, StatusCode> {
    match activity {
        Some(activity) if activity.last() + limit > Instant::now() => Ok(activity.last() + limit),
        Some(activity) if !activity.uploaded() => Err(StatusCode::REQUEST_TIMEOUT),
        _ => Err(StatusCode::GATEWAY_TIMEOUT),
    }
}

impl Connection {
    pub(super) async fn open(stream: Stream, closer: Arc<Closer>) -> hyper::Result<Self> {
        let mut builder = http1::Builder::new();
        let (sender, driver) = builder.max_buf_size(HEAD_BYTES).handshake(TokioIo::new(stream)).await?;
        let now = Instant::now();
        Ok(Self { closer, sender, driver, ended: false, alarm: Alarm::at(now + Duration::from_hours(1)), used: now })
    }

    /// Polls the connection's I/O.
    pub(super) fn drive(&mut self, context: &mut Context<'_>) {
        if !self.ended {
            self.ended = Pin::new(&mut self.driver).poll(context).is_ready();
        }
    }

    /// Returns whether the connection was closed because its target is deregistered.
    pub(super) fn is_closed(&self, context: &Context<'_>) -> bool {
        self.closer.poll_closed(context)
    }

    /// Returns whether another request can be sent.
    pub(super) fn is_free(&mut self, context: &mut Context<'_>) -> bool {
        self.drive(context);
        !self.ended && self.sender.is_ready()
    }

    /// Sends a request and waits for the head of the response, as long as data is transferred within the limit.
    pub(super) async fn exchange(
        &mut self,
        request: Request<Upload>,
        activity: Option<&Activity>,
        limit: Duration,
    ) -> Result<Response<Incoming>, Unanswered> {
        // The target's response time excludes the time to connect.
        self.used = Instant::now();
        self.alarm.set(self.used + limit);
        let mut answer = pin!(self.sender.try_send_request(request));
        let (closer, driver, ended, alarm) = (&self.closer, &mut self.driver, &mut self.ended, &mut self.alarm);
        poll_fn(|context| {
            if closer.poll_closed(context) {
                return Poll::Ready(Err(Unanswered::Failed(StatusCode::BAD_GATEWAY)));
            }
            if !*ended {
                *ended = Pin::new(&mut *driver).poll(context).is_ready();
            }
            match answer.as_mut().poll(context) {
                Poll::Ready(Ok(response)) => return Poll::Ready(Ok(response)),
                Poll::Ready(Err(mut error)) => {
                    return Poll::Ready(Err(match error.take_message() {
                        Some(request) => Unanswered::Unsent(Box::new(request)),
                        None => broken_off(activity),
                    }));
                }
                Poll::Pending if *ended => return Poll::Ready(Err(broken_off(activity))),
                Poll::Pending => {}
            }
            while alarm.poll_expired(context).is_ready() {
                match extended(activity, limit) {
                    Ok(deadline) => alarm.set(deadline),
                    Err(status) => return Poll::Ready(Err(Unanswered::Failed(status))),
                }
            }
            Poll::Pending
        })
        .await
    }

    /// Moves the connection to a task of its own, until the current exchange, or the upgraded connection, has finished.
    pub(super) fn into_task(self) -> SendRequest<Upload> {
        let Self { sender, driver, ended, .. } = self;
        if !ended {
            tokio::spawn(async move {
                if let Err(error) = driver.with_upgrades().await {
                    tracing::debug!(%error, "a connection to a target broke");
                }
            });
        }
        sender
    }
}
