//! What every service needs around its routes.
//!
//! A service is its migrations, its routes and one call:
//!
//! ```no_run
//! use actix_web::web::{self, ServiceConfig};
//! use sea_orm_migration::{MigrationTrait, MigratorTrait};
//!
//! struct Migrations;
//!
//! impl MigratorTrait for Migrations {
//!     fn migrations() -> Vec<Box<dyn MigrationTrait>> {
//!         Vec::new()
//!     }
//! }
//!
//! fn routes(app: &mut ServiceConfig) {
//!     app.route("/", web::get().to(|| async { "hello" }));
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     kit::exit("hello", kit::run::<Migrations, _>("hello", async |_| Ok(routes)))
//! }
//! ```
//!
//! # Layout
//!
//! | module | what it does | environment |
//! |---|---|---|
//! | [`listen`] | opens the ports | `LISTEN`, `METRICS_LISTEN` |
//! | [`database`] | connects, and waits while the database starts | `DATABASE_*` |
//! | [`batch`] | lets requests of the same moment share a statement | |
//! | [`reader`] | reads lists from a replica, while there is one | `DATABASE_READER_URL` |
//! | [`migrate`] | brings the schema up to date, whoever else is starting | |
//! | [`held`] | keeps a connection while there is much to ask | |
//! | [`limits`] | refuses what is too large or too slow | `LIMIT_*` |
//! | [`log`] | one JSON line per request, with its id | `RUST_LOG` |
//! | [`metrics`] | `GET /metrics` for Prometheus, on a listener of its own | `METRICS_LISTEN` |
//! | [`health`] | `GET /healthz` for load balancers | |
//! | [`client`] | the client's address, also behind proxies | `TRUSTED_PROXIES` |
//! | `connection` | shuts down connections that wait too long for a request | `LIMIT_SECONDS` |
//! | [`reply`] | the answers that all services share | |
//! | [`settings`] | reads a setting, or says what is wrong with it | |
//! | [`application`] | what a service itself is made of | |
//! | [`server`] | puts it all together, and stops gracefully | |
//! | `testing` | with the feature of that name: services and PostgreSQL servers for tests | |

pub mod application;
pub mod batch;
pub mod client;
mod connection;
pub mod database;
pub mod health;
pub mod held;
pub mod limits;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod migrate;
pub mod reader;
pub mod reply;
pub mod server;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;

pub use application::{Application, ApplicationError, Context};
pub use server::{Service, StartError, exit, run};
