//! The log: JSON lines on standard error, one per request.
//!
//! Every line of a request contains its ID, which is the header `x-request-id` of the request or a new one, and which the
//! response contains as well. `RUST_LOG` is the filter; its default is `info`.

mod json;
mod writer;

use std::{
    cell::{Cell, OnceCell},
    net::IpAddr,
    rc::Rc,
    time::{Duration, Instant, SystemTime},
};

use actix_web::{
    Error, HttpMessage, HttpRequest,
    body::MessageBody,
    dev::{ServiceRequest, ServiceResponse},
    http::header::{HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use tracing::Instrument;
use tracing_subscriber::EnvFilter;
use uuid::Uuid;

pub use writer::flush;

use crate::{
    client::{self, TrustedProxies},
    labels,
    settings::Variables,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// Filters of libraries whose messages repeat those of the kit. Warnings of sqlx may contain a part of the URL.
const DEFAULT_FILTER: &str = "info,actix_server=warn,sea_orm_migration=warn,sqlx=error";

/// Starts the log. Later calls in the same process have no effect.
pub fn start(variables: Variables) {
    let filter = variables("RUST_LOG").unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    // It fails only if a logger is already set, which then remains.
    let _ = tracing_subscriber::fmt()
        .event_format(json::Json)
        .fmt_fields(json::Json)
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(writer::Lines)
        .try_init();
}

/// A request with a response, by a handler or by the kit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered<'a> {
    /// Time of arrival.
    pub time: SystemTime,
    /// Method, which may be unknown.
    pub method: &'a str,
    /// Path, without the query.
    pub path: &'a str,
    /// Status code of the response.
    pub status: u16,
    /// Time from the head of the request to the head of the response.
    pub duration: Duration,
    /// Address of the client.
    pub client: Option<IpAddr>,
    /// Name of the signed-in user, if [`identify`] was called.
    pub user: Option<&'a str>,
}

/// Sets the user of a request for the log. Only the first call has an effect.
pub fn identify(request: &HttpRequest, user: &str) {
    if let Some(Identity(identity)) = request.extensions().get::<Identity>() {
        // Already set.
        let _ = identity.set(user.to_owned());
    }
}

/// Returns the ID of a request, so that a proxy can forward it. `None` outside of a service.
pub fn id(request: &HttpRequest) -> Option<HeaderValue> {
    request.extensions().get::<RequestId>().map(|RequestId(id)| id.clone())
}

/// ID of a request, in its extensions.
struct RequestId(HeaderValue);

/// User of a request, in its extensions.
#[derive(Clone, Default)]
struct Identity(Rc<OnceCell<String>>);

/// Receiver of answered requests, besides the log.
pub(crate) struct Observer(pub(crate) Box<dyn Fn(&Answered)>);

/// Middleware that logs a request when its response is ready, and adds the ID to the response.
pub(crate) async fn request(
    observer: Data<Observer>,
    proxies: Data<TrustedProxies>,
    request: ServiceRequest,
    next: Next<impl MessageBody>,
) -> Result<ServiceResponse<impl MessageBody>, Error> {
    let (start, time) = (Instant::now(), SystemTime::now());
    let identity = Identity::default();
    request.extensions_mut().insert(identity.clone());
    let id = request_id(request.headers());
    let header = HeaderValue::from_str(&id).map_err(actix_web::error::ErrorInternalServerError)?;
    request.extensions_mut().insert(RequestId(header.clone()));
    let method = request.method().clone();
    let path = request.path().to_owned();
    let client = client::identify(&request, &proxies);
    let span = tracing::error_span!("request", request_id = id);

    let mut answer = labels::serving(id.into(), next.call(request)).instrument(span.clone()).await;
    let status = match &mut answer {
        Ok(response) => {
            response.headers_mut().insert(REQUEST_ID, header);
            response.status()
        }
        Err(error) => {
            error.add_response_mapper(move |mut response| {
                response.headers_mut().insert(REQUEST_ID, header.clone());
                response
            });
            error.as_response_error().status_code()
        }
    };
    let (status, duration) = (status.as_u16(), start.elapsed());
    let user = identity.0.get().map(String::as_str);
    span.in_scope(|| {
        let client = client.map(|address| address.to_string()).unwrap_or_default();
        let duration_ms = duration.as_micros() as f64 / 1000.0;
        tracing::info!(%method, path, status, duration_ms, client, user, "request");
    });
    observer.0(&Answered { time, method: method.as_str(), path: &path, status, duration, client, user });
    answer
}

/// Returns the ID of the client if it is short and printable, else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(plain)
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_plain);
    given.map_or_else(|| new_id().to_string(), str::to_owned)
}

/// Returns a unique ID. Random numbers of the operating system are slow, so a thread uses one and increments it.
fn new_id() -> Uuid {
    thread_local!(static NEXT: Cell<(Uuid, u16)> = const { Cell::new((Uuid::nil(), 0)) });
    let (base, count) = match NEXT.get() {
        (_, 0) => (Uuid::new_v4(), 0),
        next => next,
    };
    NEXT.set((base, count.wrapping_add(1)));
    Uuid::from_u128(base.as_u128() ^ u128::from(count))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn id_for(given: &str) -> String {
        let mut headers = HeaderMap::new();
        headers.insert(REQUEST_ID, HeaderValue::from_str(given).unwrap());
        request_id(&headers)
    }

    #[test]
    fn a_plain_id_is_kept() {
        assert_eq!(id_for("1-67891233-abcdef012345678912345678"), "1-67891233-abcdef012345678912345678");
    }

    #[test]
    fn another_id_is_replaced() {
        for wrong in ["", "two words", "{\"a\":1}", &"x".repeat(129)] {
            let id = id_for(wrong);
            assert!(Uuid::parse_str(&id).is_ok(), "{wrong} gave {id}");
        }
    }

    #[test]
    fn new_ids_are_unique() {
        let ids: std::collections::BTreeSet<_> = (0..200_000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 200_000);
    }
}
