//! The service `users`: names and passwords.
//!
//! | route below `/api/v1` | response |
//! |---|---|
//! | `POST /users` | creates a user |
//! | `GET /users` | the names of all users |
//! | `DELETE /users/{name}` | deletes a user |
//! | `POST /validate_user` | checks a password |
//!
//! Settings, besides those of the kit: `ALLOW_CRASH=true` adds `POST /_crash`.

pub mod entity;
mod input;
pub mod migration;
mod openapi;
mod routes;
mod store;

use actix_web::web::ServiceConfig;
use kit::{Application, ApplicationError, Context, log::Answered};

pub use migration::Migrations;

use crate::{operation::Operation, settings};

/// The running service.
#[derive(Clone)]
pub struct Users(Operation);

impl Users {
    /// Starts the service on a migrated database.
    pub fn start(settings: settings::Operation, context: &Context) -> Self {
        let operation =
            Operation::new(settings, &context.database, migration::COUNT, "/users/openapi.json", openapi::document);
        Self(operation)
    }
}

impl Application for Users {
    fn routes(&self, app: &mut ServiceConfig) {
        self.0.routes(app, routes::routes);
    }

    fn answered(&self, answered: &Answered) {
        self.0.answered(answered);
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        self.0.check()
    }

    async fn finish(self) {
        self.0.finish().await;
    }
}
