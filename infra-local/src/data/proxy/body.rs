//! Streaming bodies that notice when nothing moves any more.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full};
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::{Instant, Sleep};

/// Any body the proxy sends, either way.
pub(super) type ProxyBody = BoxBody<Bytes, BodyError>;

/// Why a body ended before its end.
#[derive(Debug, thiserror::Error)]
pub(super) enum BodyError {
    #[error("the other side broke the transfer off: {0}")]
    Broken(#[from] hyper::Error),
    #[error("nothing was transferred for {} s", .0.as_secs_f64())]
    Idle(Duration),
}

/// A short body of our own.
pub(super) fn text(text: impl Into<Bytes>) -> ProxyBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

/// When something last moved, and whether the upload is through; shared by both directions of one request.
#[derive(Clone)]
pub(super) struct Activity(Arc<Moments>);

struct Moments {
    start: Instant,
    last_millis: AtomicU64,
    uploaded: AtomicBool,
}

impl Activity {
    pub(super) fn begin(uploaded: bool) -> Self {
        Self(Arc::new(Moments {
            start: Instant::now(),
            last_millis: AtomicU64::new(0),
            uploaded: AtomicBool::new(uploaded),
        }))
    }

    pub(super) fn last(&self) -> Instant {
        self.0.start + Duration::from_millis(self.0.last_millis.load(Ordering::Relaxed))
    }

    pub(super) fn uploaded(&self) -> bool {
        self.0.uploaded.load(Ordering::Relaxed)
    }

    fn touch(&self) {
        let millis = u64::try_from(self.0.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.0.last_millis.store(millis, Ordering::Relaxed);
    }
}

/// A client's body on its way to a target.
pub(super) struct Upload {
    pub(super) inner: Incoming,
    pub(super) activity: Activity,
}

impl Body for Upload {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if polled.is_ready() {
            self.activity.touch();
            if matches!(polled, Poll::Ready(None)) || self.inner.is_end_stream() {
                self.activity.0.uploaded.store(true, Ordering::Relaxed);
            }
        }
        polled.map_err(BodyError::from)
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// A target's body on its way to the client; breaks off when nothing moves. Holds `keep` until it is through.
pub(super) struct Download<T> {
    inner: Incoming,
    activity: Activity,
    limit: Duration,
    wake: Pin<Box<Sleep>>,
    _keep: T,
}

impl<T> Download<T> {
    pub(super) fn new(inner: Incoming, activity: Activity, limit: Duration, keep: T) -> Self {
        activity.touch();
        Self { inner, activity, limit, wake: Box::pin(tokio::time::sleep(limit)), _keep: keep }
    }
}

impl<T: Unpin> Body for Download<T> {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let polled = Pin::new(&mut self.inner).poll_frame(context);
        if polled.is_ready() {
            self.activity.touch();
            return polled.map_err(BodyError::from);
        }
        // The alarm is only moved when it rings: an answer of many frames costs no timer work.
        while self.wake.as_mut().poll(context).is_ready() {
            let due = self.activity.last() + self.limit;
            if due <= Instant::now() {
                return Poll::Ready(Some(Err(BodyError::Idle(self.limit))));
            }
            self.wake.as_mut().reset(due);
        }
        Poll::Pending
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}
