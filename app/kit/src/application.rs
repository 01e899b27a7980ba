//! The interface between the kit and a service: its routes, and its work before the exit.

use std::{
    error::Error,
    future::{Future, ready},
    sync::Arc,
};

use actix_web::{
    http::StatusCode,
    web::{self, Data, ServiceConfig},
};
use sea_orm::DatabaseConnection;

use crate::{health, log::Answered, metrics::Metrics, reader::Reader, reply};

/// The part of a service that is not in the kit. A function that adds routes is an application without further work.
pub trait Application: Clone + Send + 'static {
    /// Adds the routes. Called once for each worker thread.
    ///
    /// Handlers can extract `Data<DatabaseConnection>` (the writer), `Data<Reader>` and `Data<Metrics>`; without a
    /// database ([`crate::serve`]), the metrics alone.
    fn routes(&self, app: &mut ServiceConfig);

    /// Receives every answered request, including those that the kit has refused. Must not block.
    fn answered(&self, _: &Answered) {}

    /// Checks the dependencies of the service besides its database, for `/healthz`. Its time limit includes that of the
    /// database.
    fn check(&self) -> impl Future<Output = Result<(), ApplicationError>> {
        ready(Ok(()))
    }

    /// Finishes the background work of requests. Called once, after the last response; limited to 1.5 s.
    fn finish(self) -> impl Future<Output = ()>;
}

impl<F: Fn(&mut ServiceConfig) + Clone + Send + 'static> Application for F {
    fn routes(&self, app: &mut ServiceConfig) {
        self(app);
    }

    async fn finish(self) {}
}

/// Adds all routes of a service: `/healthz`, and the application's.
pub fn configure(app: &mut ServiceConfig, application: &impl Application) {
    let checked = application.clone();
    let health = move |database: Option<Data<DatabaseConnection>>| {
        let application = checked.clone();
        async move { health::check(database, application.check()).await }
    };
    app.service(
        web::resource("/healthz")
            .route(web::get().to(health.clone()))
            .route(web::head().to(health))
            .default_service(reply::only("GET, HEAD")),
    )
    .default_service(web::to(|| async { reply::detail(StatusCode::NOT_FOUND, "Not found.") }))
    .configure(|app| application.routes(app));
}

/// Resources that the kit provides to an application.
#[derive(Clone)]
pub struct Context {
    /// Database with an up-to-date schema.
    pub database: DatabaseConnection,
    /// Reader of lists.
    pub reader: Reader,
    /// Metrics of `/metrics`.
    pub metrics: Arc<Metrics>,
}

/// Error of an application's start, which is printed to standard error.
pub type ApplicationError = Box<dyn Error + Send + Sync>;
