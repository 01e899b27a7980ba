//! SelfieLessActs: users share pictures of their good deeds, by category.
//!
//! Three programs: the service `users`, the service `acts`, and the `orchestrator`, which starts as many instances of `acts`
//! as the requests of the last minutes need, and forwards requests to them.
//!
//! # Layout
//!
//! | module | content |
//! |---|---|
//! | [`refusal`] | errors of both services, and their responses |
//! | [`body`] | parsing of JSON bodies |
//! | [`path`] | names in paths |
//! | [`settings`] | settings that both services share, and their defaults |
//! | [`openapi`] | parts of the OpenAPI documents |
//! | [`operation`] | routes of both services: `_count`, `_health` and `_crash` |
//! | [`users`] | the service `users` |
//! | [`acts`] | the service `acts` |
//! | [`pages`] | the web pages |
//! | [`orchestrator`] | the orchestrator |
//!
//! # Decisions
//!
//! - Both services share a database. Each has its own tables and its own table of applied migrations.
//! - `_count` is exact behind any number of instances: a request is counted in the database before its response is sent.
//!   `_count`, `_health`, `_crash` and the OpenAPI document are not counted.
//! - A password arrives as the SHA-1 of the real one. The service hashes it again with argon2id, and ignores the case of
//!   its hexadecimal digits.

pub mod acts;
pub mod body;
pub mod openapi;
pub mod operation;
pub mod orchestrator;
pub mod pages;
pub mod path;
pub mod refusal;
pub mod settings;
pub mod users;
