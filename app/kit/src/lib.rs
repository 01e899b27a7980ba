//! The parts that all services share, apart from their routes.
//!
//! A service consists of its migrations, its routes and one call:
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
//! A service without a database calls [`serve`] instead of [`run`].
//!
//! # Layout
//!
//! | module | what it does | environment |
//! |---|---|---|
//! | [`listen`] | opens the ports | `LISTEN`, `METRICS_LISTEN` |
//! | [`database`] | connects, and waits for the database to start | `DATABASE_*` |
//! | [`batch`] | shares a statement among concurrent requests | |
//! | [`combine`] | shares a read among concurrent requests for the same data | |
//! | [`reader`] | reads from a replica | `DATABASE_READER_URL` |
//! | [`endpoints`] | distributes a request's reads and writes, and survives a failover of the writer | |
//! | [`migrate`] | applies the migrations, under a lock | |
//! | [`held`] | holds a connection between statements | |
//! | `labels` | labels connections with the ID of their request | `DATABASE_REQUEST_IDS` |
//! | [`limits`] | refuses requests that are too large or too slow | `LIMIT_*` |
//! | [`log`] | one JSON line per request, with its id | `RUST_LOG` |
//! | [`metrics`] | `GET /metrics` for Prometheus, on a separate listener | `METRICS_LISTEN` |
//! | [`health`] | `GET /healthz` for load balancers | |
//! | [`client`] | the client's address, directly or behind proxies | `TRUSTED_PROXIES` |
//! | [`limit`] | rate limits of sign-ins | `AUTH_ATTEMPTS_*` |
//! | [`password`] | hashes and verifies passwords | |
//! | [`signed`] | signs cookies and tokens | `SECRET_KEY` |
//! | [`session`] | sessions in a signed cookie | `SESSION_SECONDS`, `COOKIE_SECURE` |
//! | [`form`], [`csrf`] | sent forms, and their tokens | |
//! | `connection` | shuts down connections whose next request takes too long | `LIMIT_SECONDS` |
//! | [`reply`] | responses that all services share | |
//! | [`settings`] | reads and checks settings | |
//! | [`application`] | the interface between the kit and a service | |
//! | [`server`] | runs a service, and stops it gracefully | |
//! | `testing` | with the feature `testing`: services and database servers for tests | |

pub mod application;
pub mod batch;
pub mod client;
pub mod combine;
mod connection;
pub mod csrf;
pub mod database;
pub mod endpoints;
pub mod form;
pub mod health;
pub mod held;
mod labels;
pub mod limit;
pub mod limits;
pub mod listen;
pub mod log;
pub mod metrics;
pub mod migrate;
pub mod password;
pub mod reader;
pub mod reply;
pub mod server;
pub mod session;
pub mod settings;
pub mod signed;
#[cfg(feature = "testing")]
pub mod testing;

pub use application::{Application, ApplicationError, Context};
pub use server::{Front, Ports, Service, StartError, Storage, exit, run, run_with, serve};
