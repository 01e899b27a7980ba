//! The Tasks service: a table of tasks behind an HTTP interface, the Django application's equal.
//!
//! # Layout
//!
//! | module | what it does |
//! |---|---|
//! | [`app`] | the service put together |
//! | [`dialect`] | the requests under `/tasks/` and their answers, in two dialects |
//! | [`store`] | what can be done with tasks |
//! | [`input`] | request bodies, parsed into what may be stored, or every fault in them |
//! | [`timestamp`] | dates and times as clients write and read them |
//! | [`entity`] | the tables |
//! | [`migration`] | how they come into being, and go |
//! | [`users`] | users, and how they come to be |
//! | [`password`] | passwords, hashed and verified |
//! | [`auth`] | who may do what: `AUTH`, tokens, `/auth/` |
//! | [`activity`] | one row per request, and `/activity/` |
//! | [`admin`] | the admin site: `/admin/` |
//! | [`front`] | the page at `/` |
//! | [`openapi`] | all of it described, and a page to try it out |
//! | `testing` | with the feature of that name: the contract, to be put to a service |
//!
//! # Settings
//!
//! Environment variables alone, besides those of the kit. `DATABASE_URL` is required; a variable that is set and empty
//! is refused, because its value got lost.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `AUTH`, `AUTH_*` | `AUTH=writes` | who may do what; see [`auth`] |
//! | `ADMIN_USERNAME`, `ADMIN_PASSWORD` | not set | a superuser that is created at the start, unless there is a user of that name |
//! | `ACTIVITY_DAYS` | 90 | how long the activity log is kept |
//! | `INSTANCE` | host name and `LISTEN` | the name of this instance in the activity log |
//!
//! `tasks create-user [--staff | --superuser] NAME` creates a user, `tasks rotate-keys` a new signing key.
//!
//! The program `tasks` serves; the program `client` calls it. Everything that is not about tasks is in `kit`.

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
pub mod password;
pub mod store;
#[cfg(feature = "testing")]
pub mod testing;
pub mod timestamp;
pub mod users;

pub use app::{Settings, Tasks};
pub use migration::Migrations;
