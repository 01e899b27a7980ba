//! Tests of the services over HTTP, on SQLite and on PostgreSQL, and of the orchestrator with real instances.
#![allow(clippy::unwrap_used)]

mod contract;
mod counting;
mod directory;
mod failures;
mod migrations;
mod openapi;
mod orchestrator;
mod program;
mod races;

use std::{net::SocketAddr, time::Duration};

use kit::{
    limits::Limits,
    testing::{Answer, Postgres, Served, send, sqlite_url},
};
use selfieless::{acts, settings::Operation, users};

const LIMITS: Limits = Limits { body_bytes: 1024 * 1024, head_bytes: 16 * 1024, time: Duration::from_secs(8) };

/// A SHA-1 in hexadecimal digits.
const PASSWORD: &str = "3d725109c7e7c0bfb9d709836735b56d943d263f";

/// Both services on a database.
struct Services {
    users: Served,
    acts: Served,
}

impl Services {
    /// Starts both services. The service `acts` calls the service `users` directly.
    fn start(database_url: &str) -> Self {
        let users = serve_users(database_url);
        let acts = serve_acts(database_url, "acts-1", &format!("http://{}", users.address));
        Self { users, acts }
    }

    /// Returns the address of the service that the balancer selects for a path.
    fn address(&self, path: &str) -> SocketAddr {
        let is_of_users = path.starts_with("/api/v1/users") || path.starts_with("/api/v1/validate_user");
        if is_of_users { self.users.address } else { self.acts.address }
    }

    /// Sends a request such as `("GET /users", "")`, whose path is below the prefix.
    fn send(&self, request: &str, body: &str) -> Answer {
        let (method, path) = request.split_once(' ').unwrap();
        let path = format!("/api/v1{path}");
        send(self.address(&path), &format!("{method} {path}"), &[], body)
    }

    /// Creates a user.
    fn sign_up(&self, username: &str) {
        let body = format!(r#"{{"username":"{username}","password":"{PASSWORD}"}}"#);
        assert_eq!(self.send("POST /users", &body).status, 201);
    }
}

/// Starts the service `users` on a database.
fn serve_users(database_url: &str) -> Served {
    let settings = Operation { allow_crash: true, instance: "users".into() };
    Served::start::<users::Migrations, _>(database_url, LIMITS, async |context| users::Users::start(settings, &context))
}

/// Starts an instance of the service `acts` on a database.
fn serve_acts(database_url: &str, instance: &str, users_url: &str) -> Served {
    let (listen, users_url) = (instance.to_owned(), users_url.to_owned());
    let variables = move |name: &str| match name {
        "LISTEN" => Some(listen.clone()),
        "USERS_URL" => Some(users_url.clone()),
        "ALLOW_CRASH" => Some("true".to_owned()),
        "ORIGIN" => Some("http://acts.test".to_owned()),
        _ => None,
    };
    let settings = acts::Settings::from(&variables).unwrap();
    Served::start::<acts::Migrations, _>(database_url, LIMITS, async |context| acts::Acts::start(settings, &context))
}

/// Returns the body of a new act.
fn act(id: u64, username: &str, category: &str) -> String {
    format!(
        r#"{{"actId":{id},"username":"{username}","timestamp":"01-02-2026:03-04-05","caption":"c","categoryName":"{category}","imgB64":"QUJD"}}"#
    )
}

/// Runs a test with a database URL: of SQLite, or of PostgreSQL if it is installed.
fn with_sqlite(test: impl FnOnce(&str)) {
    let directory = tempfile::tempdir().unwrap();
    test(&sqlite_url(&directory));
}

fn with_postgres(test: impl FnOnce(&str)) {
    if let Some(postgres) = Postgres::start() {
        test(&postgres.url());
    }
}

/// Runs a future to completion.
fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
