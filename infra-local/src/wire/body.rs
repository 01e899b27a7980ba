//! Bodies of requests, which can be drained after a response that did not need them.

use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};
use std::time::Duration;

use http_body_util::BodyExt as _;
use hyper::body::{Body, Bytes, Frame, Incoming, SizeHint};
use hyper::header::{CONNECTION, EXPECT, HeaderValue};
use hyper::{Request, Response};

/// Maximum number of unread bytes that are drained so that the connection can be reused.
const DRAIN_LIMIT_BYTES: usize = 64 * 1024 * 1024;
/// Time limit of draining.
const DRAIN_LIMIT: Duration = Duration::from_secs(5);

/// The body of a request. Clones share it.
#[derive(Clone)]
pub(crate) struct RequestBody(Arc<Mutex<Incoming>>);

impl Body for RequestBody {
    type Data = Bytes;
    type Error = hyper::Error;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, hyper::Error>>> {
        Pin::new(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)).poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).size_hint()
    }
}

/// The unread rest of a request's body.
pub(crate) struct Remains {
    body: RequestBody,
    /// True when the client sends its body only after `100 Continue`.
    waits: bool,
}

/// Wraps the body of a request.
pub(crate) fn share(request: Request<Incoming>) -> (Request<RequestBody>, Remains) {
    let waits = request.headers().contains_key(EXPECT);
    let request = request.map(|body| RequestBody(Arc::new(Mutex::new(body))));
    let remains = Remains { body: request.body().clone(), waits };
    (request, remains)
}

impl Remains {
    /// Drains the rest of the body, or announces the end of the connection to the client: if a server responds early
    /// and closes the connection without notice, the client's next request fails.
    pub(crate) async fn settle<B>(mut self, answer: &mut Response<B>) {
        if self.body.is_end_stream() {
            return;
        }
        let drained = !self.waits && tokio::time::timeout(DRAIN_LIMIT, self.drain()).await == Ok(true);
        if !drained {
            answer.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
        }
    }

    async fn drain(&mut self) -> bool {
        let mut read = 0;
        while let Some(frame) = self.body.frame().await {
            let Ok(frame) = frame else { return false };
            read += frame.data_ref().map_or(0, Bytes::len);
            if read > DRAIN_LIMIT_BYTES {
                return false;
            }
        }
        true
    }
}
