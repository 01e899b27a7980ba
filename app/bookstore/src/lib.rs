//! The Bookstore service: users sell and buy books, on pages and through a JSON API.
//!
//! # Layout
//!
//! | module | content |
//! |---|---|
//! | [`app`] | the application |
//! | [`pages`] | pages with forms, for browsers |
//! | [`api`] | JSON API under `/api/` |
//! | [`shop`] | operations: books, purchases, payments, deliveries |
//! | [`users`] | registration and sign-in |
//! | [`input`] | validation of sent values |
//! | [`money`] | amounts of money |
//! | [`entity`] | tables |
//! | [`migration`] | migrations, and the delivery providers |
//!
//! # Settings
//!
//! Environment variables, in addition to those of the kit.
//!
//! | variable | default | meaning |
//! |---|---|---|
//! | `WRITE_ENGINE` | required | URL of the writer; a missing database is created |
//! | `READER_ENGINE` | the writer | URL of the reader |
//! | `SECRET_KEY`, `SESSION_SECONDS`, `COOKIE_SECURE` | see [`kit::session`] | signature and lifetime of sessions |
//! | `AUTH_ATTEMPTS_PER_USER`, `AUTH_ATTEMPTS_PER_CLIENT` | see [`kit::limit`] | rate limits of sign-ins |
//! | `ADMIN_EMAIL`, `ADMIN_PASSWORD` | not set | administrator to create at the start, unless the user exists |
//!
//! [`kit::endpoints`] describes which reads use the writer, and the failover of the writer.

pub mod api;
pub mod app;
pub mod entity;
pub mod input;
pub mod migration;
pub mod money;
pub mod pages;
pub mod shop;
pub mod users;

pub use app::{Bookstore, Settings};
pub use migration::Migrations;
