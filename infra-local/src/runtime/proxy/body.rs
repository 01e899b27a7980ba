//! Response bodies on the way to the client.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use bytes::Bytes;
use hyper::body::{Body, Frame, Incoming, SizeHint};
use tokio::time::Instant;

use super::access_log::Record;
use super::alarm::Alarm;
use super::connection::Connection;
use super::target::InFlight;
use super::upload::BodyError;

/// The body of a response, whose bytes are counted in the entry of a log.
pub(super) struct LoggedBody {
    body: AnswerBody,
    record: Option<Box<Record>>,
}

impl LoggedBody {
    pub(super) fn new(body: AnswerBody, record: Option<Box<Record>>) -> Self {
        Self { body, record }
    }
}

impl Body for LoggedBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        let Self { body, record } = self.get_mut();
        let polled = Pin::new(body).poll_frame(context);
        if let (Some(record), Poll::Ready(Some(Ok(frame)))) = (record, &polled)
            && let Some(data) = frame.data_ref()
        {
            record.sent_bytes += data.len() as u64;
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

/// The content of a response.
pub(super) enum AnswerBody {
    Own(Option<Bytes>),
    Target(Download),
}

impl Body for AnswerBody {
    type Data = Bytes;
    type Error = BodyError;

    fn poll_frame(self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        match self.get_mut() {
            Self::Own(text) => {
                let text = text.take().filter(|text| !text.is_empty());
                Poll::Ready(text.map(|text| Ok(Frame::data(text))))
            }
            Self::Target(download) => download.poll_next(context),
        }
    }

    fn is_end_stream(&self) -> bool {
        match self {
            Self::Own(text) => text.as_ref().is_none_or(Bytes::is_empty),
            Self::Target(download) => download.inner.is_end_stream(),
        }
    }

    fn size_hint(&self) -> SizeHint {
        match self {
            Self::Own(text) => SizeHint::with_exact(text.as_ref().map_or(0, |text| text.len() as u64)),
            Self::Target(download) => download.inner.size_hint(),
        }
    }
}

/// A target's response body. It fails when no data arrives for `limit`.
pub(super) struct Download {
    inner: Incoming,
    /// The connection to drive while the body is read, unless a separate task drives it.
    connection: Option<Box<Connection>>,
    /// Idle timer; `None` unless another task drives the connection.
    alarm: Option<Alarm>,
    limit: Duration,
    in_flight: InFlight,
    /// True when the timer runs for the next piece.
    waits: bool,
}

impl Download {
    /// Returns a body that drives its connection while it is read. The connection is reused after the end of the body.
    pub(super) fn driving(inner: Incoming, connection: Box<Connection>, limit: Duration, in_flight: InFlight) -> Self {
        Self { inner, connection: Some(connection), alarm: None, limit, in_flight, waits: false }
    }

    /// Returns a body whose connection is driven by another task.
    pub(super) fn driven(inner: Incoming, limit: Duration, in_flight: InFlight) -> Self {
        let alarm = Alarm::at(Instant::now() + limit);
        Self { inner, connection: None, alarm: Some(alarm), limit, in_flight, waits: true }
    }

    fn poll_next(&mut self, context: &mut Context<'_>) -> Poll<Option<Result<Frame<Bytes>, BodyError>>> {
        if self.connection.as_ref().is_some_and(|connection| connection.is_closed(context)) {
            self.connection = None;
            return Poll::Ready(Some(Err(BodyError::Deregistered)));
        }
        let mut polled = Pin::new(&mut self.inner).poll_frame(context);
        if let (Poll::Pending, Some(connection)) = (&polled, &mut self.connection) {
            connection.drive(context);
            polled = Pin::new(&mut self.inner).poll_frame(context);
        }
        match polled {
            Poll::Ready(frame) => {
                let through = frame.is_none() || self.inner.is_end_stream();
                self.moved(through, context);
                Poll::Ready(frame.map(|frame| frame.map_err(BodyError::from)))
            }
            Poll::Pending => {
                let alarm = self.connection.as_mut().map(|connection| &mut connection.alarm).or(self.alarm.as_mut());
                let Some(alarm) = alarm else {
                    return Poll::Pending;
                };
                if !self.waits {
                    self.waits = true;
                    alarm.set(Instant::now() + self.limit);
                }
                ready!(alarm.poll_expired(context));
                self.connection = None;
                Poll::Ready(Some(Err(BodyError::Idle(self.limit))))
            }
        }
    }

    fn moved(&mut self, through: bool, context: &mut Context<'_>) {
        self.waits = false;
        if through && let Some(connection) = self.connection.take() {
            self.in_flight.target().keep_idle(connection, context);
        }
    }
}
