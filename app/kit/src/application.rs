//! What a service is made of besides the kit: its routes, and what it finishes before it ends.

use std::{error::Error, future::Future, sync::Arc};

use actix_web::{
    http::StatusCode,
    web::{self, ServiceConfig},
};
use sea_orm::DatabaseConnection;

use crate::{health, log::Answered, metrics::Metrics, reader::Reader, reply};

/// A service's own part. A function that adds routes is one that has nothing to finish.
pub trait Application: Clone + Send + 'static {
    /// Adds the routes. Called once in every worker thread.
    ///
    /// The handlers find `Data<DatabaseConnection>` (the writer), `Data<Reader>` and `Data<Metrics>`.
    fn routes(&self, app: &mut ServiceConfig);

    /// Is told of every request that was answered, also of those that the kit has refused. Must not wait.
    fn answered(&self, _: &Answered) {}

    /// Finishes what requests have left to do. Called once, when the last request is answered; may take 1.5 s.
    fn finish(self) -> impl Future<Output = ()>;
}

impl<F: Fn(&mut ServiceConfig) + Clone + Send + 'static> Application for F {
    fn routes(&self, app: &mut ServiceConfig) {
        self(app);
    }

    async fn finish(self) {}
}

/// Adds all routes of a service: the application's, and those that every service has.
pub fn configure(app: &mut ServiceConfig, application: &impl Application) {
    app.service(
        web::resource("/healthz")
            .route(web::get().to(health::check))
            .route(web::head().to(health::check))
            .default_service(reply::only("GET, HEAD")),
    )
    .default_service(web::to(|| async { reply::detail(StatusCode::NOT_FOUND, "Not found.") }))
    .configure(|app| application.routes(app));
}

/// What an application may build on.
#[derive(Clone)]
pub struct Context {
    /// The database, migrated.
    pub database: DatabaseConnection,
    /// Where lists are read.
    pub reader: Reader,
    /// What `/metrics` shows.
    pub metrics: Arc<Metrics>,
}

/// Why an application does not start: said to who started it.
pub type ApplicationError = Box<dyn Error + Send + Sync>;
