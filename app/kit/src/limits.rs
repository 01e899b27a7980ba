//! Limits of the size and the duration of requests.
//!
//! | variable | default | response if exceeded |
//! |---|---|---|
//! | `LIMIT_BODY_BYTES` | 65536 | 413 |
//! | `LIMIT_HEAD_BYTES` | 16384 | 431 |
//! | `LIMIT_SECONDS` | 8 | 408 for a slow request, 503 for a slow response |
//!
//! A connection whose first request head is incomplete after `LIMIT_SECONDS` receives 408. After a response, a connection
//! may be idle for 5 seconds in addition, and is then closed without a response.

use std::time::Duration;

use actix_web::{
    Error, HttpMessage,
    body::{BoxBody, MessageBody},
    dev::{Payload, ServiceRequest, ServiceResponse},
    error::{InternalError, PayloadError},
    http::StatusCode,
    middleware::Next,
    web::{Bytes, BytesMut, Data},
};
use futures::{Stream, StreamExt};
use tokio::time::{Instant, timeout_at};

use crate::{
    reply,
    settings::{self, SettingError, Variables},
};

/// Limits of a request.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Maximum size of a body, in bytes.
    pub body_bytes: usize,
    /// Maximum size of a head (request line and headers), in bytes.
    pub head_bytes: usize,
    /// Maximum time from the head of a request to its response. Shorter than a graceful shutdown, which so completes every
    /// request.
    pub time: Duration,
}

impl Limits {
    /// Reads the settings.
    ///
    /// # Errors
    /// [`SettingError`] if a value is not a positive number.
    pub fn from(variables: Variables) -> Result<Self, SettingError> {
        Ok(Self {
            body_bytes: settings::positive(variables, "LIMIT_BODY_BYTES", 64 * 1024)?,
            head_bytes: settings::positive(variables, "LIMIT_HEAD_BYTES", 16 * 1024)?,
            time: settings::seconds(variables, "LIMIT_SECONDS", 8)?,
        })
    }
}

/// Middleware that enforces the limits. Handlers receive the complete body.
pub(crate) async fn enforce(
    limits: Data<Limits>,
    mut request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let deadline = Instant::now() + limits.time;
    if head_bytes(&request) > limits.head_bytes {
        let why = format!("The request's head is longer than {} bytes.", limits.head_bytes);
        return Ok(refuse(request, StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE, &why));
    }
    match timeout_at(deadline, collect(request.take_payload(), limits.body_bytes)).await {
        Ok(Ok(body)) => request.set_payload(Payload::from(body)),
        Ok(Err(PayloadError::Overflow)) => {
            let why = format!("The body is longer than {} bytes.", limits.body_bytes);
            return Ok(refuse(request, StatusCode::PAYLOAD_TOO_LARGE, &why));
        }
        Ok(Err(error)) => {
            return Ok(refuse(request, StatusCode::BAD_REQUEST, &format!("The body cannot be read: {error}.")));
        }
        Err(_) => {
            let why = format!("The body did not arrive within {:?}.", limits.time);
            return Ok(refuse(request, StatusCode::REQUEST_TIMEOUT, &why));
        }
    }
    match timeout_at(deadline, next.call(request)).await {
        Ok(answer) => answer.map(ServiceResponse::map_into_boxed_body),
        Err(late) => {
            let why = format!("No answer within {:?}. Try again shortly.", limits.time);
            Err(InternalError::from_response(late, reply::detail(StatusCode::SERVICE_UNAVAILABLE, &why)).into())
        }
    }
}

fn refuse(request: ServiceRequest, status: StatusCode, why: &str) -> ServiceResponse {
    request.into_response(reply::detail(status, why))
}

fn head_bytes(request: &ServiceRequest) -> usize {
    let headers = request.headers().iter().map(|(name, value)| name.as_str().len() + value.len());
    request.uri().path_and_query().map_or(0, |target| target.as_str().len()) + headers.sum::<usize>()
}

async fn collect<S>(mut parts: S, limit: usize) -> Result<Bytes, PayloadError>
where
    S: Stream<Item = Result<Bytes, PayloadError>> + Unpin,
{
    let mut body = BytesMut::new();
    while let Some(part) = parts.next().await {
        let part = part?;
        if body.len() + part.len() > limit {
            return Err(PayloadError::Overflow);
        }
        body.extend_from_slice(&part);
    }
    Ok(body.freeze())
}
