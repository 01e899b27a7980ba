//! The service `acts`: categories, and acts with a picture.
//!
//! | route below `/api/v1` | response |
//! |---|---|
//! | `GET`, `POST /categories` | the categories with their number of acts; creates a category |
//! | `DELETE /categories/{name}` | deletes a category and its acts |
//! | `GET /categories/{name}/acts` | at most 100 acts, the newest first; with `start` and `end` a range of them |
//! | `GET /categories/{name}/acts/size` | the number of acts |
//! | `POST /acts`, `DELETE /acts/{id}` | creates an act; deletes it |
//! | `POST /acts/upvote` | adds a vote |
//! | `GET /acts/count` | the number of all acts |
//! | `GET /list_act_user/{name}` | the acts of a user, the newest first |
//!
//! # Settings
//!
//! Environment variables, in addition to those of the kit:
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `USERS_URL` | required | base URL of the service `users`, through the balancer |
//! | `ORIGIN` | `http://<LISTEN>` | header `Origin` of requests to that service |
//! | `ALLOW_CRASH` | false | true adds `POST /_crash` |
//! | `EXIT_WITH_PARENT` | not set | ID of the parent process, with which this one terminates (Linux) |

mod categories;
pub mod directory;
pub mod entity;
mod input;
mod listing;
mod lists;
pub mod migration;
mod openapi;
pub mod parent;
mod routes;
pub mod settings;
mod store;
pub mod timestamp;
mod upvotes;

use actix_web::web::{Data, ServiceConfig};
use kit::{Application, ApplicationError, Context, log::Answered};

pub use directory::Directory;
pub use migration::Migrations;
pub use settings::Settings;

use lists::Lists;
use upvotes::Upvotes;

use crate::operation::Operation;

/// The running service.
#[derive(Clone)]
pub struct Acts {
    operation: Operation,
    directory: Data<Directory>,
    lists: Data<Lists>,
    upvotes: Data<Upvotes>,
}

impl Acts {
    /// Starts the service on a migrated database.
    pub fn start(settings: Settings, context: &Context) -> Self {
        let Settings { operation, directory } = settings;
        let operation =
            Operation::new(operation, &context.database, migration::COUNT, "/openapi.json", openapi::document);
        Self {
            operation,
            directory: Data::new(Directory::new(directory)),
            lists: Data::new(Lists::default()),
            upvotes: Data::new(Upvotes::at(&context.database)),
        }
    }
}

impl Application for Acts {
    fn routes(&self, app: &mut ServiceConfig) {
        app.app_data(self.directory.clone()).app_data(self.lists.clone()).app_data(self.upvotes.clone());
        self.operation.routes(app, |app| {
            app.configure(categories::routes).configure(routes::routes);
        });
    }

    fn answered(&self, answered: &Answered) {
        self.operation.answered(answered);
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        self.operation.check()
    }

    async fn finish(self) {
        self.operation.finish().await;
    }
}
