//! For tests: a service in this process, a plain HTTP client, and database servers with replicas.
//!
//! Everything uses a free port and its own directory, and stops when it is dropped. A failure to set up panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod mariadb;
mod postgres;
mod relay;
#[path = "../../../../tests/skip.rs"]
mod skip;
mod user;

use std::{
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    sync::Arc,
    thread::{self, JoinHandle},
    time::{Duration, Instant},
};

use actix_web::rt::System;
use sea_orm::DatabaseConnection;
use sea_orm_migration::MigratorTrait;
use tempfile::TempDir;
use tokio::sync::oneshot;

pub use mariadb::MariaDb;
pub use postgres::Postgres;
pub use relay::Relay;

use crate::{
    Application, Context, Front, Ports, Service, Storage, client::TrustedProxies, database::Database, limits::Limits,
    listen, metrics::Metrics, migrate, reader::Reader,
};

/// A service on a free port.
pub struct Served {
    /// Address for clients.
    pub address: SocketAddr,
    /// Address of the metrics.
    pub metrics_address: SocketAddr,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Served {
    /// Starts a service on a database. Requests queue until it is ready.
    pub fn start<M: MigratorTrait, A: Application>(
        database_url: &str,
        limits: Limits,
        start: impl AsyncFnOnce(Context) -> A + Send + 'static,
    ) -> Self {
        Self::start_with_reader::<M, A>(database_url, None, limits, start)
    }

    /// Starts a service as [`Served::start`] does, with a replica of the database.
    pub fn start_with_reader<M: MigratorTrait, A: Application>(
        database_url: &str,
        reader_url: Option<&str>,
        limits: Limits,
        start: impl AsyncFnOnce(Context) -> A + Send + 'static,
    ) -> Self {
        Self::start_behind::<M, A>("", database_url, reader_url, limits, start)
    }

    /// Starts a service as [`Served::start_with_reader`] does, with the value of `TRUSTED_PROXIES`.
    pub fn start_behind<M: MigratorTrait, A: Application>(
        proxies: &str,
        database_url: &str,
        reader_url: Option<&str>,
        limits: Limits,
        start: impl AsyncFnOnce(Context) -> A + Send + 'static,
    ) -> Self {
        let proxies = Some(proxies.to_owned()).filter(|proxies| !proxies.is_empty());
        let proxies = TrustedProxies::from(&|_| proxies.clone()).unwrap();
        let (database_url, reader_url) = (database_url.to_owned(), reader_url.map(str::to_owned));
        Self::spawn(Front { limits, proxies }, async move |metrics| {
            let database = connect(&database_url).await;
            migrate::up::<M>(&database).await.unwrap();
            let replica = match &reader_url {
                Some(url) => Some(reader(url).await),
                None => None,
            };
            let reader = Reader::new(database.clone(), replica, &metrics);
            let storage = Storage { database: database.clone(), reader: reader.clone() };
            (start(Context { database, reader, metrics }).await, Some(storage))
        })
    }

    /// Starts a service without a database.
    pub fn start_alone<A: Application>(
        limits: Limits,
        start: impl AsyncFnOnce(Arc<Metrics>) -> A + Send + 'static,
    ) -> Self {
        let front = Front { limits, proxies: TrustedProxies::default() };
        Self::spawn(front, async move |metrics| (start(metrics).await, None))
    }

    fn spawn<A: Application>(
        front: Front,
        start: impl AsyncFnOnce(Arc<Metrics>) -> (A, Option<Storage>) + Send + 'static,
    ) -> Self {
        let [listener, metrics_listener] = [(); 2].map(|()| listen::bind("LISTEN", "127.0.0.1:0").unwrap());
        let address = listener.local_addr().unwrap();
        let metrics_address = metrics_listener.local_addr().unwrap();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = thread::spawn(move || {
            System::new().block_on(async {
                let metrics = Arc::new(Metrics::default());
                let (application, storage) = start(Arc::clone(&metrics)).await;
                let ports = Ports { listener, metrics_listener: Some(metrics_listener) };
                let service = Service { ports, front, storage, metrics, application };
                service.run_until(async { drop(stopped.await) }).await.unwrap();
            });
        });
        Self { address, metrics_address, stop: Some(stop), thread: Some(thread) }
    }

    /// Sends a request such as `("GET /tasks/", "")` and returns the response.
    pub fn send(&self, request: &str, body: &str) -> Answer {
        send(self.address, request, &[], body)
    }

    /// Sends a request with more headers and returns the response.
    pub fn send_with(&self, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
        send(self.address, request, headers, body)
    }

    /// Returns the service's metrics.
    pub fn metrics(&self) -> String {
        send(self.metrics_address, "GET /metrics", &[], "").body
    }

    /// Starts to stop the service, without waiting for it.
    pub fn ask_to_stop(&mut self) {
        self.stop.take();
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.ask_to_stop();
        let ended = self.thread.take().unwrap().join();
        // A second panic would hide the first one.
        assert!(ended.is_ok() || thread::panicking(), "the service panicked");
    }
}

/// A parsed response.
#[derive(Debug, PartialEq, Eq)]
pub struct Answer {
    /// Status code.
    pub status: u16,
    /// Header lines, without the status line, in lower case up to the colon.
    pub headers: Vec<(String, String)>,
    /// Body as text.
    pub body: String,
}

impl Answer {
    /// Reads a response until the connection is closed.
    pub fn read(mut stream: &TcpStream) -> Self {
        let mut text = String::new();
        stream.read_to_string(&mut text).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("not an answer: {text:?}"));
        let mut lines = head.lines();
        let status = lines.next().and_then(|line| line.split(' ').nth(1)).unwrap().parse().unwrap();
        let headers = lines.filter_map(|line| line.split_once(": "));
        let headers = headers.map(|(name, value)| (name.to_ascii_lowercase(), value.to_owned())).collect();
        Self { status, headers, body: body.to_owned() }
    }

    /// Returns the value of a header, by its name in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(header, _)| header == name).map(|(_, value)| value.as_str())
    }
}

/// Sends a request such as `("GET /tasks/", [("Accept", "text/html")], "")` and returns the response.
pub fn send(address: SocketAddr, request: &str, headers: &[(&str, &str)], body: &str) -> Answer {
    let headers = headers.iter().fold(String::new(), |lines, (name, value)| lines + name + ": " + value + "\r\n");
    let length = body.len();
    let head = format!("{request} HTTP/1.1\r\nHost: test\r\nConnection: close\r\nContent-Length: {length}\r\n");
    exchange(address, &(head + &headers + "\r\n" + body))
}

/// Sends a raw request, which should contain `Connection: close`, and returns the response.
pub fn exchange(address: SocketAddr, request: &str) -> Answer {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    Answer::read(&stream)
}

/// Connects to the database with a URL.
pub async fn connect(url: &str) -> DatabaseConnection {
    let variables = |name: &str| (name == "DATABASE_URL").then(|| url.to_owned());
    Database::from(&variables).unwrap().connect().await.unwrap()
}

/// Opens the replica with a URL, even if it does not answer.
async fn reader(url: &str) -> DatabaseConnection {
    let variables = |name: &str| (name == "DATABASE_READER_URL").then(|| url.to_owned());
    Database::reader_from(&variables).unwrap().unwrap().open().await.unwrap()
}

/// Returns the URL of a SQLite file in a directory, which is created if it is missing.
pub fn sqlite_url(directory: &TempDir) -> String {
    format!("sqlite:{}/test.sqlite?mode=rwc", directory.path().display())
}

/// Waits until a condition holds.
///
/// # Panics
/// If it does not hold within 30 seconds.
pub fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let start = Instant::now();
    while !holds() {
        assert!(start.elapsed() < PATIENCE, "waited too long until {what}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// Time limit of a test's wait.
const PATIENCE: Duration = Duration::from_secs(30);
