//! What a service is made of besides the kit: its routes, and what it finishes before it ends.

use std::{error::Error, future::Future, sync::Arc};

use actix_web::web::ServiceConfig;
use sea_orm::DatabaseConnection;

use crate::{log::Answered, metrics::Metrics, reader::Reader};

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
