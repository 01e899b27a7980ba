//! Tests from outside: the service as its clients see it, on SQLite and on PostgreSQL, and the two programs.
#![allow(clippy::unwrap_used)]

mod admin;
mod client;
mod contract;
mod migrations;
mod program;

use std::time::Duration;

use kit::{limits::Limits, testing::Served};
use tasks::Migrations;

/// Starts the service on a database.
fn serve(database_url: &str) -> Served {
    let limits = Limits { body_bytes: 64 * 1024, head_bytes: 16 * 1024, time: Duration::from_secs(8) };
    Served::start::<Migrations>(database_url, limits, tasks::routes)
}
