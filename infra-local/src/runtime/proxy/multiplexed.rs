//! HTTP/2 connections to targets, for target groups of the protocol versions HTTP2 and GRPC. A connection carries many
//! requests at a time, and a task of its own drives it.

use std::future::poll_fn;
use std::pin::pin;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use hyper::body::Incoming;
use hyper::client::conn::http2::{self, SendRequest};
use hyper::header::{self, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::http::uri::{PathAndQuery, Scheme};
use hyper::{Method, Request, Response, StatusCode, Uri, Version};
use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio::time::Instant;

use super::connection::{Closer, HEAD_BYTES, Unanswered, broken_off, extended};
use super::stream::{Stream, Transport};
use super::upload::{Activity, Upload};
use crate::model::elbv2::ProtocolVersion;

/// Sends requests over an open connection.
pub(super) type Sender = SendRequest<Upload>;

/// Opens a connection, which is closed when its target is deregistered.
pub(super) async fn open(stream: Stream, closer: Arc<Closer>) -> hyper::Result<Sender> {
    let mut builder = http2::Builder::new(TokioExecutor::new());
    builder.max_header_list_size(HEAD_BYTES as u32);
    let (sender, driver) = builder.handshake(TokioIo::new(stream)).await?;
    tokio::spawn(async move {
        let closed = poll_fn(|context| if closer.poll_closed(context) { Poll::Ready(()) } else { Poll::Pending });
        tokio::select! {
            ended = driver => if let Err(error) = ended {
                tracing::debug!(%error, "a connection to a target broke");
            },
            () = closed => {}
        }
    });
    Ok(sender)
}

/// Sends a request and waits for the head of the response, as long as data is transferred within the limit.
pub(super) async fn exchange(
    sender: &mut Sender,
    request: Request<Upload>,
    activity: Option<&Activity>,
    limit: Duration,
) -> Result<Response<Incoming>, Unanswered> {
    let mut deadline = Instant::now() + limit;
    let mut answer = pin!(sender.try_send_request(request));
    loop {
        match tokio::time::timeout_at(deadline, answer.as_mut()).await {
            Ok(Ok(response)) => return Ok(response),
            Ok(Err(mut error)) => {
                return Err(match error.take_message() {
                    Some(request) => Unanswered::Unsent(Box::new(request)),
                    None => broken_off(activity),
                });
            }
            Err(_) => deadline = extended(activity, limit).map_err(Unanswered::Failed)?,
        }
    }
}

/// Returns AWS's status 464 if targets of this version cannot answer the request.
///
/// Source: "HTTP 464" in the User Guide for Application Load Balancers, section "Troubleshoot".
pub(super) fn incompatibility(version: ProtocolVersion, request: &Parts) -> Option<StatusCode> {
    let is_http2 = request.version == Version::HTTP_2;
    let incompatible = match version {
        ProtocolVersion::Http1 => is_http2 && is_grpc(&request.headers),
        ProtocolVersion::Http2 => !is_http2,
        ProtocolVersion::Grpc => !is_http2 || request.method != Method::POST,
    };
    incompatible.then(|| StatusCode::from_u16(464).unwrap_or(StatusCode::BAD_REQUEST))
}

pub(super) fn is_grpc(headers: &HeaderMap) -> bool {
    headers.get(header::CONTENT_TYPE).is_some_and(|kind| kind.as_bytes().starts_with(b"application/grpc"))
}

/// Returns whether the client accepts trailers, as all clients of gRPC do.
pub(super) fn accepts_trailers(headers: &HeaderMap) -> bool {
    headers.get(header::TE).is_some_and(|value| value == "trailers")
}

/// Converts a request for a target of HTTP/1.1 to one of HTTP/2: the header Host becomes the authority.
pub(super) fn convert(request: &mut Parts, transport: Transport, accepts_trailers: bool) {
    let authority = request.headers.remove(header::HOST);
    let path = request.uri.path_and_query().cloned().unwrap_or(PathAndQuery::from_static("/"));
    let scheme = match transport {
        Transport::Plain => Scheme::HTTP,
        Transport::Tls => Scheme::HTTPS,
    };
    let uri = Uri::builder().scheme(scheme).path_and_query(path);
    if let Some(Ok(uri)) = authority.map(|authority| uri.authority(authority.as_bytes()).build()) {
        request.uri = uri;
    }
    request.version = Version::HTTP_2;
    if accepts_trailers {
        request.headers.insert(header::TE, HeaderValue::from_static("trailers"));
    }
}
