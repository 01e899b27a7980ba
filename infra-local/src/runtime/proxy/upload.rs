//! Request bodies on the way to a target.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

/// Reasons why a transfer failed.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the other side broke the transfer off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("nothing was transferred for {} s", .0.as_secs_f64())]
    Idle(Duration),
    #[error("the deregistration delay of the target is over")]
    Deregistered,
}

/// The time of an upload's last progress, and whether the upload is complete.
#[derive(Clone)]
pub(super) struct Activity(Arc<Moments>);

struct Moments {
    start: Instant,
    last_millis: AtomicU64,
    received: AtomicU64,
    uploaded: AtomicBool,
    broken: AtomicBool,
}

impl Activity {
    pub(super) fn begin() -> Self {
        let start = Instant::now();
        let (uploaded, broken) = (AtomicBool::new(false), AtomicBool::new(false));
        let (last_millis, received) = (AtomicU64::new(0), AtomicU64::new(0));
        Self(Arc::new(Moments { start, last_millis, received, uploaded, broken }))
    }

    pub(super) fn last(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.last_millis.load(Ordering::Relaxed))
    }

    /// Returns the number of received bytes.
    pub(super) fn received(&self) -> u64 {
        self.0.received.load(Ordering::Relaxed)
    }

    pub(super) fn uploaded(&self) -> bool {
        self.0.uploaded.load(Ordering::Relaxed)
    }

    /// Returns whether the client's body cannot be read: it is malformed, or the client has disconnected.
    pub(super) fn broken(&self) -> bool {
        self.0.broken.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        let millis = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_millis.store(millis, Ordering::Relaxed);
    }
}

/// A client's request body.
pub(super) enum Upload {
    Empty,
    Client(Incoming, Activity),
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self::Client(inner, activity) = self.get_mut() else {
            return Poll::Ready(None);
        };
        let polled = Pin::new(&mut *inner).poll_frame(context);
        if polled.is_ready() {
            activity.touch();
            if let Poll::Ready(Some(Ok(frame))) = &polled
                && let Some(data) = frame.data_ref()
            {
                activity.0.received.fetch_add(data.len() as u64, Ordering::Relaxed);
            }
            if matches!(polled, Poll::Ready(None)) || inner.is_end_stream() {
                activity.0.uploaded.store(true, Ordering::Relaxed);
            }
            if matches!(polled, Poll::Ready(Some(Err(_)))) {
                activity.0.broken.store(true, Ordering::Relaxed);
            }
        }
        polled.map_err(BodyError::from)
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Empty => true,
            Self::Client(inner, _) => inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Empty => SizeHint::with_exact(0),
            Self::Client(inner, _) => inner.size_hint(),
        }
    }
}
