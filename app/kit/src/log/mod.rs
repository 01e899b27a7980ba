//! The log: JSON lines on stderr, one per request, each with the request's id.
//!
//! The id is taken from the header `x-request-id` (or made), stands in every line that is logged on the request's
//! behalf, and goes back in the answer. `RUST_LOG` chooses what is logged; the default is `info`.

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
    settings::Variables,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// The libraries below us report what we report ourselves; sqlx's warnings may even quote a part of the URL.
const DEFAULT_FILTER: &str = "info,actix_server=warn,sea_orm_migration=warn,sqlx=error";

/// Starts logging. Later calls in the same process change nothing.
pub fn start(variables: Variables) {
    let filter = variables("RUST_LOG").unwrap_or_else(|| DEFAULT_FILTER.to_owned());
    // The only failure is that a logger is there already, and then it stays.
    let _ = tracing_subscriber::fmt()
        .event_format(json::Json)
        .fmt_fields(json::Json)
        .with_env_filter(EnvFilter::new(filter))
        .with_writer(writer::Lines)
        .try_init();
}

/// A request that was answered, whoever answered it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Answered<'a> {
    /// When it came.
    pub time: SystemTime,
    /// `GET`, `POST`, … or what the client has invented.
    pub method: &'a str,
    /// The path, without the query.
    pub path: &'a str,
    /// The status code of the answer.
    pub status: u16,
    /// Time from the request's head to the answer's head.
    pub duration: Duration,
    /// The client's address.
    pub client: Option<IpAddr>,
    /// Who was signed in, if [`identify`] was called.
    pub user: Option<&'a str>,
}

/// Says whom a request comes from, for the log. The first word counts.
pub fn identify(request: &HttpRequest, user: &str) {
    if let Some(Identity(identity)) = request.extensions().get::<Identity>() {
        // Set already.
        let _ = identity.set(user.to_owned());
    }
}

/// Where a request's user will be found, when it is answered.
#[derive(Clone, Default)]
struct Identity(Rc<OnceCell<String>>);

/// Whom answered requests are told to, besides the log.
pub(crate) struct Observer(pub(crate) Box<dyn Fn(&Answered)>);

/// Middleware that logs a request when it is answered, and gives the answer its id.
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
    let method = request.method().clone();
    let path = request.path().to_owned();
    let client = client::identify(&request, &proxies);
    let span = tracing::error_span!("request", request_id = id);

    let mut answer = next.call(request).instrument(span.clone()).await;
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
        let duration_ms = duration.as_secs_f64() * 1000.0;
        tracing::info!(%method, path, status, duration_ms, client, user, "request");
    });
    observer.0(&Answered { time, method: method.as_str(), path: &path, status, duration, client, user });
    answer
}

/// The client's id, if it is short and plain enough to stand in a log; else a new one.
fn request_id(headers: &HeaderMap) -> String {
    let is_plain = |id: &&str| {
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.:".contains(&byte);
        (1..=128).contains(&id.len()) && id.bytes().all(plain)
    };
    let given = headers.get(REQUEST_ID).and_then(|id| id.to_str().ok()).filter(is_plain);
    given.map_or_else(|| new_id().to_string(), str::to_owned)
}

/// An id that nobody else has. Random numbers come from the operating system, so a thread takes one and counts on from it.
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
    fn anything_else_is_replaced() {
        for wrong in ["", "two words", "{\"a\":1}", &"x".repeat(129)] {
            let id = id_for(wrong);
            assert!(Uuid::parse_str(&id).is_ok(), "{wrong} gave {id}");
        }
    }

    #[test]
    fn no_two_new_ids_are_the_same() {
        let ids: std::collections::BTreeSet<_> = (0..200_000).map(|_| new_id()).collect();
        assert_eq!(ids.len(), 200_000);
    }
}
