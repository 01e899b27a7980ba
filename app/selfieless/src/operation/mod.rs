//! Routes that both services have besides their own: `_count`, `_health` and `_crash`.

mod count;
mod crash;
mod migration;

use actix_web::{
    HttpResponse, Responder, guard,
    http::{Method, StatusCode},
    middleware::from_fn,
    web::{self, Data, ServiceConfig},
};
use kit::{ApplicationError, log::Answered, reply::only};
use sea_orm::DatabaseConnection;

pub use count::Counter;
pub use crash::Crash;
pub use migration::CreateCount;

use crate::{
    refusal::{Refusal, done},
    settings,
};

/// Prefix of all routes of the API.
pub const PREFIX: &str = "/api/v1";
/// Paths that are not counted.
const UNCOUNTED: [&str; 5] =
    ["/api/v1/_count", "/api/v1/_health", "/api/v1/_crash", "/api/v1/openapi.json", "/api/v1/users/openapi.json"];

/// State of a service that its routes do not contain.
#[derive(Clone)]
pub struct Operation {
    counter: Data<Counter>,
    crash: Data<Crash>,
    allow_crash: bool,
    document: &'static str,
    openapi: fn() -> serde_json::Value,
}

impl Operation {
    /// Returns the state of a service whose counts are in `table`, and whose OpenAPI document is at `document`, below
    /// [`PREFIX`].
    pub fn new(
        settings: settings::Operation,
        database: &DatabaseConnection,
        table: &'static str,
        document: &'static str,
        openapi: fn() -> serde_json::Value,
    ) -> Self {
        let settings::Operation { allow_crash, instance } = settings;
        let counter = Data::new(Counter::new(database.clone(), table, instance));
        Self { counter, crash: Data::new(Crash::default()), allow_crash, document, openapi }
    }

    /// Adds the routes of a service below [`PREFIX`], and those of this module.
    pub fn routes(&self, app: &mut ServiceConfig, routes: impl FnOnce(&mut ServiceConfig)) {
        let openapi = self.openapi;
        let show = move || async move { HttpResponse::Ok().json(openapi()) };
        let scope = web::scope(PREFIX)
            .wrap(from_fn(count::middleware))
            .wrap(from_fn(crash::middleware))
            .service(
                // A user may have the name of the document, and be deleted.
                web::resource(self.document).guard(guard::Any(guard::Get()).or(guard::Head())).to(show),
            )
            .service(
                web::resource("/_count")
                    .route(web::get().to(count))
                    .route(web::head().to(count))
                    .route(web::delete().to(reset))
                    .default_service(only("GET, HEAD, DELETE")),
            )
            .service(
                web::resource("/_health")
                    .route(web::get().to(crash::health))
                    .route(web::head().to(crash::health))
                    .default_service(only("GET, HEAD")),
            );
        let scope = if self.allow_crash {
            scope.service(web::resource("/_crash").route(web::post().to(crash::crash)).default_service(only("POST")))
        } else {
            scope
        };
        app.app_data(self.counter.clone())
            .app_data(self.crash.clone())
            .service(scope.configure(routes).service(web::resource(self.document).default_service(only("GET, HEAD"))))
            .default_service(web::to(crash::unknown));
    }

    /// Fails the check of `/healthz` once the process has crashed.
    ///
    /// # Errors
    /// The simulated crash.
    pub fn check(&self) -> Result<(), ApplicationError> {
        if self.crash.has_crashed() { Err("this instance has crashed".into()) } else { Ok(()) }
    }

    /// Counts a request that the limits of the kit have refused, so that it reached no route.
    pub fn answered(&self, answered: &Answered) {
        let by_limits = match answered.status {
            408 | 431 => true,
            // The response to a GET has too many acts.
            413 => answered.method != Method::GET.as_str(),
            _ => false,
        };
        if by_limits && is_counted(answered.path) {
            self.counter.count_later();
        }
    }

    /// Completes the count of requests, before the exit of the service.
    pub async fn finish(self) {
        // The error is logged.
        let _ = self.counter.write().await;
    }
}

fn is_counted(path: &str) -> bool {
    path.strip_prefix(PREFIX).is_some_and(|rest| rest.starts_with('/')) && !UNCOUNTED.contains(&path)
}

async fn count(counter: Data<Counter>) -> Result<impl Responder, Refusal> {
    Ok(web::Json([counter.total().await?]))
}

async fn reset(counter: Data<Counter>) -> Result<impl Responder, Refusal> {
    counter.reset().await?;
    Ok(done(StatusCode::OK))
}
