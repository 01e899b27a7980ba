//! Tests from outside: the service as its clients see it, on SQLite and on PostgreSQL, and the two programs.
#![allow(clippy::unwrap_used)]

mod client;
mod contract;
mod migrations;
mod program;

use std::time::Duration;

use kit::{limits::Limits, testing::Served};
use tasks::{Migrations, Settings, Tasks};

const LIMITS: Limits = Limits { body_bytes: 64 * 1024, head_bytes: 16 * 1024, time: Duration::from_secs(8) };

/// Starts the service on a database; everybody may do everything.
fn serve(database_url: &str) -> Served {
    serve_with(database_url, &[("AUTH", "off")])
}

/// Starts the service on a database with settings.
fn serve_with(database_url: &str, settings: &[(&str, &str)]) -> Served {
    let settings = settings_of(settings);
    Served::start::<Migrations, _>(database_url, LIMITS, async |context| {
        Tasks::start(settings, &context).await.unwrap()
    })
}

fn settings_of(settings: &[(&str, &str)]) -> Settings {
    let variables = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Settings::from(&variables).unwrap()
}
