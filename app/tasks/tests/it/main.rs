//! Tests of the service over HTTP, on SQLite and on PostgreSQL, and of the two programs.
#![allow(clippy::unwrap_used)]

mod activity;
mod admin;
mod auth;
mod client;
mod contract;
mod migrations;
mod openapi;
mod program;
mod reading;
mod tokens;

use std::time::Duration;

use kit::{
    limits::Limits,
    testing::{Answer, Served},
};
use serde_json::{Value, json};
use tasks::{Migrations, Settings, Tasks};

const LIMITS: Limits = Limits { body_bytes: 64 * 1024, head_bytes: 16 * 1024, time: Duration::from_secs(8) };

/// Starts the service on a database, with public access.
fn serve(database_url: &str) -> Served {
    serve_with(database_url, &[("AUTH", "off")])
}

/// Starts the service on a database with settings.
fn serve_with(database_url: &str, settings: &[(&str, &str)]) -> Served {
    serve_behind("", database_url, settings)
}

/// Starts the service on a database with trusted proxies and settings.
fn serve_behind(proxies: &str, database_url: &str, settings: &[(&str, &str)]) -> Served {
    let settings = settings_of(settings);
    Served::start_behind::<Migrations, _>(proxies, database_url, None, LIMITS, async |context| {
        Tasks::start(settings, &context).await.unwrap()
    })
}

fn settings_of(settings: &[(&str, &str)]) -> Settings {
    let variables = |name: &str| settings.iter().find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned());
    Settings::from(&variables).unwrap()
}

/// A valid password.
const PASSWORD: &str = "correct horse";

/// Registers a user, signs in, and returns the value of the header `Authorization` and the refresh token.
fn sign_in(service: &Served, username: &str) -> (String, String) {
    let credentials = json!({ "username": username, "password": PASSWORD }).to_string();
    let registered = service.send("POST /auth/register", &credentials);
    assert_eq!(registered.status, 201, "{registered:?}");
    tokens(&service.send("POST /auth/token", &credentials))
}

/// Returns the header `Authorization` and the refresh token of a response.
fn tokens(answer: &Answer) -> (String, String) {
    assert_eq!(answer.status, 200, "{answer:?}");
    let tokens: Value = serde_json::from_str(&answer.body).unwrap();
    assert_eq!(tokens["expires_in"], 300, "{tokens}");
    (format!("Bearer {}", tokens["access"].as_str().unwrap()), tokens["refresh"].as_str().unwrap().to_owned())
}

/// Runs a future to completion.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
