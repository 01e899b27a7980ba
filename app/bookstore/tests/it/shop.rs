//! Fixture: the service, and clients of the API.

use std::time::Duration;

use bookstore::{Bookstore, Migrations, Settings};
use kit::{
    limits::Limits,
    testing::{Answer, Served, connect, send, sqlite_url},
};
use sea_orm::ConnectionTrait;
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::browser::Browser;

pub(crate) const LIMITS: Limits =
    Limits { body_bytes: 64 * 1024, head_bytes: 16 * 1024, time: Duration::from_secs(25) };
pub(crate) const KEY: &str = "0123456789abcdef0123456789abcdef";
pub(crate) const PASSWORD: &str = "correct horse";

/// The service with the administrator `admin@example.org`.
pub(crate) struct Shop {
    pub(crate) service: Served,
    url: String,
    _directory: Option<TempDir>,
}

impl Shop {
    /// Starts the service on a new SQLite file.
    pub(crate) fn on_sqlite() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let shop = Self::on(&sqlite_url(&directory));
        Self { _directory: Some(directory), ..shop }
    }

    /// Starts the service on a database.
    pub(crate) fn on(url: &str) -> Self {
        Self::with(url, None, &[])
    }

    /// Starts the service on a writer and a reader, with further settings.
    pub(crate) fn with(url: &str, reader: Option<&str>, settings: &[(&str, &str)]) -> Self {
        Self { service: serve(url, reader, settings, LIMITS), url: url.to_owned(), _directory: None }
    }

    /// Starts another instance on the same database, with further settings.
    pub(crate) fn other_instance(&self, settings: &[(&str, &str)]) -> Self {
        Self::with(&self.url, None, settings)
    }

    /// Returns the integer that a query selects.
    pub(crate) fn number(&self, sql: &str) -> i64 {
        number_at(&self.url, sql)
    }

    pub(crate) fn browser(&self) -> Browser {
        Browser::of(self.service.address)
    }

    /// Registers a user, and returns the browser in which the user is signed in.
    pub(crate) fn signed_in(&self, name: &str) -> Browser {
        let mut browser = self.browser();
        browser.register(name);
        browser.sign_in(name);
        browser
    }

    /// Registers a user through the API, and returns the user's client.
    pub(crate) fn client(&self, name: &str) -> Client<'_> {
        let email = format!("{name}@example.org");
        let new = json!({ "name": name, "email": email, "password": PASSWORD });
        let registered = self.service.send("POST /api/register", &new.to_string());
        assert_eq!(registered.status, 201, "{registered:?}");
        self.client_of(&email)
    }

    /// Signs in through the API.
    pub(crate) fn client_of(&self, email: &str) -> Client<'_> {
        let credentials = json!({ "email": email, "password": PASSWORD }).to_string();
        let signed_in = self.service.send("POST /api/login", &credentials);
        assert_eq!(signed_in.status, 200, "{signed_in:?}");
        let token: Value = serde_json::from_str(&signed_in.body).unwrap();
        Client { shop: self, authorization: format!("Bearer {}", token["token"].as_str().unwrap()) }
    }
}

/// Starts the service on a writer and a reader.
pub(crate) fn serve(url: &str, reader: Option<&str>, settings: &[(&str, &str)], limits: Limits) -> Served {
    let defaults = [
        ("WRITE_ENGINE", url),
        ("SECRET_KEY", KEY),
        ("ADMIN_EMAIL", "admin@example.org"),
        ("ADMIN_PASSWORD", PASSWORD),
        ("AUTH_ATTEMPTS_PER_USER", "1000"),
        ("AUTH_ATTEMPTS_PER_CLIENT", "1000"),
    ];
    let variables = |name: &str| {
        let mut all = settings.iter().chain(&defaults);
        all.find(|(key, _)| *key == name).map(|(_, value)| (*value).to_owned())
    };
    let settings = Settings::from(&variables).unwrap();
    Served::start_with_reader::<Migrations, _>(url, reader, limits, async move |context| {
        Bookstore::start(settings, &context).await.unwrap()
    })
}

/// Returns the integer that a query of a database selects.
pub(crate) fn number_at(url: &str, sql: &str) -> i64 {
    block_on(async {
        let database = connect(url).await;
        let row = database.query_one_raw(sea_orm::Statement::from_string(database.get_database_backend(), sql));
        row.await.unwrap().unwrap().try_get_by_index(0).unwrap()
    })
}

/// A client of the API with a user.
pub(crate) struct Client<'a> {
    shop: &'a Shop,
    pub(crate) authorization: String,
}

impl Client<'_> {
    pub(crate) fn send(&self, request: &str, body: &str) -> Answer {
        send(self.shop.service.address, request, &[("Authorization", &self.authorization)], body)
    }

    /// Sends a request that must have this status, and returns the JSON response.
    pub(crate) fn json(&self, request: &str, body: &Value, status: u16) -> Value {
        let answer = self.send(request, &body.to_string());
        assert_eq!(answer.status, status, "{request} {body}: {answer:?}");
        serde_json::from_str(&answer.body).unwrap()
    }

    /// Adds a book, and returns its ID.
    pub(crate) fn add_book(&self, title: &str, price: &str, stock: i32) -> i64 {
        let book = json!({ "title": title, "author": "An author", "price": price, "stock": stock });
        self.json("POST /api/books", &book, 201)["id"].as_i64().unwrap()
    }
}

/// Runs a future to completion.
pub(crate) fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}
