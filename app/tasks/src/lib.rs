//! The Tasks service: a table of tasks with an HTTP API and an admin site, equivalent to a Django application.
//!
//! # Layout
//!
//! | module | content |
//! |---|---|
//! | [`app`] | the application |
//! | [`dialect`] | the API under `/tasks/`, in two dialects |
//! | [`store`] | operations on tasks |
//! | [`input`] | parsing and validation of request bodies |
//! | [`timestamp`] | formats of dates and times |
//! | [`entity`] | tables |
//! | [`migration`] | migrations |
//! | [`users`] | creation of users |
//! | [`auth`] | authentication: `AUTH`, tokens, `/auth/` |
//! | [`activity`] | activity log: one row per request, and `/activity/` |
//! | [`admin`] | admin site: `/admin/` |
//! | [`front`] | page at `/` |
//! | [`openapi`] | OpenAPI document, and a page to try the API |
//! | `testing` | with the feature `testing`: the contract, to check a service with |
//!
//! # Settings
//!
//! Environment variables, in addition to those of the kit. `DATABASE_URL` is required. An empty variable is refused,
//! because its value was lost.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `AUTH`, `AUTH_*` | `AUTH=writes` | see [`auth`] |
//! | `ADMIN_USERNAME`, `ADMIN_PASSWORD` | not set | superuser to create at the start, unless the user exists |
//! | `ACTIVITY_DAYS` | 90 | retention of the activity log, in days |
//! | `INSTANCE` | host name and `LISTEN` | name of this instance in the activity log |
//!
//! `tasks create-user [--staff | --superuser] NAME` creates a user, `tasks rotate-keys` a new signing key.
//!
//! The program `tasks` is the service, the program `client` calls it. Everything that is not specific to tasks is in `kit`.

pub mod activity;
pub mod admin;
pub mod app;
pub mod auth;
pub mod dialect;
pub mod entity;
pub mod front;
pub mod input;
pub mod migration;
pub mod openapi;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timestamp;
pub mod users;

pub use app::{Settings, Tasks};
pub use migration::Migrations;
