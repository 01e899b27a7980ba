//! Routes and errors that all tiers share, and the three tiers.

mod error;
pub mod gatekeeper;
pub mod proxy;
pub mod trusted_host;

use std::future::{Future, ready};

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header::ContentType},
    web::{self, Bytes, Data, ServiceConfig},
};
use kit::{Application, ApplicationError, log, reply::only};

pub use error::TierError;
pub use gatekeeper::Gatekeeper;
pub use proxy::Proxy;
pub use trusted_host::TrustedHost;

use crate::{
    forward::{Answer, NODE},
    openapi,
    operation::Operation,
    signature::{NONCE, SIGNATURE, Signature, TIME},
};

/// Path of the page that names the tier.
pub const HEALTH_CHECK: &str = "/health_check";

/// The part of a tier that differs from the others.
pub trait Tier: Clone + Send + 'static {
    /// Name of the tier, such as `trusted host`.
    const NAME: &'static str;

    /// Whether requests must be signed.
    const IS_SIGNED: bool;

    /// Returns the tier for one thread of the server.
    fn for_thread(&self) -> Self;

    /// Answers a request.
    fn answer(&self, request: TierRequest) -> impl Future<Output = Result<Answer, TierError>>;

    /// Checks what is behind the tier.
    fn check(&self) -> impl Future<Output = Result<(), ApplicationError>>;

    /// Closes connections. Called once, after the last response.
    fn close(self) -> impl Future<Output = ()> {
        ready(())
    }
}

/// A request for an operation.
#[derive(Debug, Clone)]
pub struct TierRequest {
    /// Operation of the path.
    pub operation: Operation,
    /// Path, with the query if there is one.
    pub path: String,
    /// Body.
    pub body: Bytes,
    /// Signature, if all its headers are present.
    pub signature: Option<Signature>,
    /// Headers that are passed on.
    pub headers: Vec<(&'static str, String)>,
}

/// A tier as a service.
#[derive(Debug, Clone)]
pub struct TierService<T>(pub T);

impl<T: Tier> Application for TierService<T> {
    fn routes(&self, app: &mut ServiceConfig) {
        app.app_data(Data::new(self.0.for_thread()));
        for operation in Operation::ALL {
            let answer = move |tier: Data<T>, request: HttpRequest, body: Bytes| answer(tier, operation, request, body);
            app.service(web::resource(operation.path()).route(web::post().to(answer)).default_service(only("POST")));
        }
        page(app, HEALTH_CHECK, health_check::<T>);
        page(app, openapi::PATH, describe::<T>);
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        self.0.check().await
    }

    async fn finish(self) {
        self.0.close().await;
    }
}

/// Adds a resource that can only be read.
fn page(app: &mut ServiceConfig, path: &str, show: fn() -> HttpResponse) {
    let show = move || async move { show() };
    app.service(
        web::resource(path).route(web::get().to(show)).route(web::head().to(show)).default_service(only("GET, HEAD")),
    );
}

fn health_check<T: Tier>() -> HttpResponse {
    let page = format!("<!doctype html><title>{0}</title><p>The {0} is running.</p>\n", T::NAME);
    HttpResponse::Ok().content_type(ContentType::html()).body(page)
}

fn describe<T: Tier>() -> HttpResponse {
    HttpResponse::Ok().json(openapi::document(T::NAME, T::IS_SIGNED))
}

async fn answer<T: Tier>(tier: Data<T>, operation: Operation, request: HttpRequest, body: Bytes) -> HttpResponse {
    let id = log::id(&request).and_then(|id| Some(("x-request-id", id.to_str().ok()?.to_owned())));
    let path = request.uri().path_and_query().map_or(operation.path(), |path| path.as_str()).to_owned();
    let signature = signature(&request);
    let request = TierRequest { operation, path, body, signature, headers: id.into_iter().collect() };
    match tier.answer(request).await {
        Ok(Answer { status, node, body }) => {
            let status = StatusCode::from_u16(status).unwrap_or(StatusCode::BAD_GATEWAY);
            let mut response = HttpResponse::build(status);
            if let Some(node) = node {
                response.insert_header((NODE, node));
            }
            response.content_type(ContentType::json()).body(body)
        }
        Err(error) => error.response(),
    }
}

fn signature(request: &HttpRequest) -> Option<Signature> {
    let header = |name| Some(request.headers().get(name)?.to_str().ok()?.to_owned());
    Some(Signature { time: header(TIME)?, nonce: header(NONCE)?, signature: header(SIGNATURE)? })
}
