//! Behaviour of every service, independent of its routes.
#![allow(clippy::unwrap_used)]

use std::{
    convert::Infallible,
    future::{pending, ready},
    io::{Read, Write},
    net::TcpStream,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    thread,
    time::{Duration, Instant},
};

use actix_web::{
    HttpRequest, HttpResponse,
    web::{self, Bytes, Data, ServiceConfig},
};
use futures::{StreamExt, stream};
use kit::{
    Application, ApplicationError,
    limits::Limits,
    testing::{Answer, Served, exchange, send, wait_until},
};
use sea_orm::DatabaseConnection;
use sea_orm_migration::{MigrationTrait, MigratorTrait};
use tokio::sync::Notify;

struct NoMigrations;

impl MigratorTrait for NoMigrations {
    fn migrations() -> Vec<Box<dyn MigrationTrait>> {
        Vec::new()
    }
}

fn routes(app: &mut ServiceConfig) {
    app.route("/echo/{name}", web::post().to(|body: String| async { body }))
        .route("/never", web::get().to(pending::<String>));
}

const LIMITS: Limits = Limits { body_bytes: 1000, head_bytes: 2000, time: Duration::from_secs(20) };

fn serve(limits: Limits) -> Served {
    Served::start::<NoMigrations, _>("sqlite::memory:", limits, async |_| routes)
}

#[test]
fn health_is_ok() {
    let answer = serve(LIMITS).send("GET /healthz", "");
    assert_eq!((answer.status, answer.body.as_str()), (200, r#"{"status":"ok"}"#));
}

/// An application that depends on another service.
#[derive(Clone)]
struct Dependent {
    is_there: Arc<AtomicBool>,
}

impl Application for Dependent {
    fn routes(&self, app: &mut ServiceConfig) {
        routes(app);
        app.route("/database", web::get().to(async |_: Data<DatabaseConnection>| "available"));
    }

    async fn check(&self) -> Result<(), ApplicationError> {
        if self.is_there.load(Relaxed) { Ok(()) } else { Err("the other service is away".into()) }
    }

    async fn finish(self) {}
}

#[test]
fn health_includes_the_check_of_the_application() {
    let is_there = Arc::new(AtomicBool::new(true));
    let dependent = Dependent { is_there: Arc::clone(&is_there) };
    let with_database = dependent.clone();
    let alone = Served::start_alone(LIMITS, async |_| dependent);
    let stored = Served::start::<NoMigrations, _>("sqlite::memory:", LIMITS, async |_| with_database);
    for service in [&alone, &stored] {
        is_there.store(true, Relaxed);
        assert_eq!(service.send("GET /healthz", "").status, 200);
        is_there.store(false, Relaxed);
        let answer = service.send("GET /healthz", "");
        assert_eq!((answer.status, answer.body.as_str()), (503, r#"{"status":"unavailable"}"#));
        assert_eq!(service.send("POST /echo/a", "b").body, "b", "other requests are served");
    }
    assert_eq!(alone.send("GET /database", "").status, 500, "a service without a database has none");
    assert_eq!(stored.send("GET /database", "").status, 200);
}

#[test]
fn handlers_know_the_request_id() {
    let show = |app: &mut ServiceConfig| {
        let id = |request: HttpRequest| async move { kit::log::id(&request).unwrap().to_str().unwrap().to_owned() };
        app.route("/", web::get().to(id));
    };
    let service = Served::start::<NoMigrations, _>("sqlite::memory:", LIMITS, async move |_| show);
    assert_eq!(service.send_with("GET /", &[("X-Request-Id", "abc")], "").body, "abc");
    let answer = service.send("GET /", "");
    assert_eq!(answer.header("x-request-id"), Some(&answer.body[..]));
}

#[test]
fn metrics_count_by_pattern() {
    let service = serve(LIMITS);
    service.send("POST /echo/a", "");
    service.send("POST /echo/b", "");
    service.send("GET /no/such/path", "");
    let metrics = service.metrics();
    for line in [
        r#"http_requests_total{method="POST",route="/echo/{name}",status="200"} 2"#,
        r#"http_requests_total{method="GET",route="unmatched",status="404"} 1"#,
        r#"http_request_duration_seconds_bucket{method="POST",route="/echo/{name}",status="200",le="+Inf"} 2"#,
    ] {
        assert!(metrics.lines().any(|shown| shown == line), "{line}\nis not in\n{metrics}");
    }
}

#[test]
fn metrics_are_on_their_own_listener_only() {
    let service = serve(LIMITS);
    let answer = service.send("GET /metrics", "");
    assert_eq!((answer.status, answer.body.as_str()), (404, r#"{"detail":"Not found."}"#));
    for (request, status) in [
        ("GET /metrics", 200),
        ("HEAD /metrics", 200),
        ("POST /metrics", 405),
        ("GET /", 404),
        ("POST /echo/a", 404),
        ("GET /healthz", 404),
    ] {
        assert_eq!(send(service.metrics_address, request, &[], "").status, status, "{request}");
    }
    let counted = service.metrics();
    assert!(counted.contains(r#"route="unmatched",status="404"} 1"#), "{counted}");
    assert!(!counted.contains("405"), "requests for metrics are not counted: {counted}");
}

/// Reads until these words have arrived.
fn read_until(mut connection: &TcpStream, words: &str) {
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let (mut bytes, mut byte) = (Vec::new(), [0]);
    while !bytes.ends_with(words.as_bytes()) {
        connection.read_exact(&mut byte).unwrap();
        bytes.extend(byte);
    }
}

/// Reads until the service closes the connection.
fn rest_of(mut connection: &TcpStream) -> String {
    connection.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let mut rest = String::new();
    connection.read_to_string(&mut rest).unwrap();
    rest
}

/// Sends the bytes of an endless head until the service refuses them.
fn drip(mut connection: &TcpStream) {
    let start = Instant::now();
    while connection.write_all(b"x").is_ok() {
        assert!(start.elapsed() < Duration::from_secs(30), "the service accepts an endless head");
        thread::sleep(Duration::from_millis(50));
    }
}

#[test]
fn a_slow_first_head_is_cut() {
    let service = serve(Limits { time: Duration::from_secs(1), ..LIMITS });
    let mut connection = TcpStream::connect(service.address).unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    let answer = rest_of(&connection);
    assert!(answer.starts_with("HTTP/1.1 408 "), "{answer}");

    let mut connection = TcpStream::connect(service.address).unwrap();
    connection.write_all(b"GET /healthz HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    drip(&connection);
}

#[test]
fn a_slow_later_head_is_cut() {
    let service = serve(Limits { time: Duration::from_secs(1), ..LIMITS });
    for address in [service.address, service.metrics_address] {
        let mut connection = TcpStream::connect(address).unwrap();
        connection.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut start = [0; 12];
        connection.read_exact(&mut start).unwrap();
        assert_eq!(&start, b"HTTP/1.1 404");
        connection.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
        drip(&connection);
    }
}

#[test]
fn a_long_answer_keeps_its_connection() {
    let end = Arc::new(Notify::new());
    let ended = Arc::clone(&end);
    let routes = move |app: &mut ServiceConfig| {
        let ended = Arc::clone(&ended);
        app.route("/long", web::get().to(move || ready(long_answer(Arc::clone(&ended)))));
    };
    let limits = Limits { time: Duration::from_secs(1), ..LIMITS };
    let service = Served::start::<NoMigrations, _>("sqlite::memory:", limits, async move |_| routes);
    let mut long = TcpStream::connect(service.address).unwrap();
    long.write_all(b"GET /long HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n").unwrap();
    read_until(&long, "begun");

    // The service cuts a connection that has been idle for a shorter time than the answer takes.
    let mut idle = TcpStream::connect(service.address).unwrap();
    idle.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
    read_until(&idle, "Not found.");
    idle.write_all(b"GET /nothing HTTP/1.1\r\nHost: x\r\nX-Slow: ").unwrap();
    rest_of(&idle);

    end.notify_one();
    let rest = rest_of(&long);
    assert!(rest.contains("ended") && rest.ends_with("\r\n0\r\n\r\n"), "the answer is complete: {rest}");
}

/// Answers with a word at once, and with another one after the notification.
fn long_answer(end: Arc<Notify>) -> HttpResponse {
    let begin = stream::once(async { Ok::<_, Infallible>(Bytes::from_static(b"begun")) });
    let end = stream::once(async move {
        end.notified().await;
        Ok(Bytes::from_static(b"ended"))
    });
    HttpResponse::Ok().streaming(begin.chain(end))
}

#[test]
fn a_response_contains_the_request_id() {
    let service = serve(LIMITS);
    let given = "GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Request-Id: abc-1\r\n\r\n";
    assert_eq!(exchange(service.address, given).header("x-request-id"), Some("abc-1"));
    let made = service.send("GET /no/such/path", "").header("x-request-id").unwrap().to_owned();
    assert_eq!(made.len(), 36, "{made}");
}

#[test]
fn body_up_to_the_limit_is_accepted() {
    let body = "x".repeat(LIMITS.body_bytes);
    assert_eq!(serve(LIMITS).send("POST /echo/a", &body).body, body);
}

#[test]
fn a_longer_body_is_413() {
    let service = serve(LIMITS);
    let expected = (413, r#"{"detail":"The body is longer than 1000 bytes."}"#);
    for length in [LIMITS.body_bytes + 1, 1_000_000] {
        let answer = service.send("POST /echo/a", &"x".repeat(length));
        assert_eq!((answer.status, answer.body.as_str()), expected, "{length}");
    }
    let head = "POST /echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nTransfer-Encoding: chunked\r\n\r\n";
    let chunked = format!("{head}3e9\r\n{}\r\n0\r\n\r\n", "x".repeat(0x3e9));
    let answer = exchange(service.address, &chunked);
    assert_eq!((answer.status, answer.body.as_str()), expected);
}

#[test]
fn a_long_head_is_431() {
    let service = serve(LIMITS);
    let answer = service.send(&format!("GET /{}", "x".repeat(LIMITS.head_bytes)), "");
    assert_eq!(
        (answer.status, answer.body.as_str()),
        (431, r#"{"detail":"The request's head is longer than 2000 bytes."}"#)
    );
}

#[test]
fn a_slow_body_is_408() {
    let service = serve(Limits { time: Duration::from_secs(1), ..LIMITS });
    let answer = exchange(service.address, "POST /echo/a HTTP/1.1\r\nHost: x\r\nContent-Length: 5\r\n\r\nhel");
    assert_eq!((answer.status, answer.body.as_str()), (408, r#"{"detail":"The body did not arrive within 1s."}"#));
}

#[test]
fn a_slow_answer_is_503_and_counted() {
    let service = serve(Limits { time: Duration::from_secs(1), ..LIMITS });
    let answer = service.send("GET /never", "");
    assert_eq!((answer.status, answer.body.as_str()), (503, r#"{"detail":"No answer within 1s. Try again shortly."}"#));
    assert!(answer.header("x-request-id").is_some(), "{answer:?}");
    let metrics = service.metrics();
    assert!(metrics.contains(r#"http_requests_total{method="GET",route="/never",status="503"} 1"#), "{metrics}");
}

#[test]
fn a_stop_completes_running_requests_and_refuses_new_connections() {
    let mut service = serve(LIMITS);
    let address = service.address;
    let mut running = TcpStream::connect(address).unwrap();
    let head =
        "POST /echo/a HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 5\r\nExpect: 100-continue\r\n\r\n";
    running.write_all(head.as_bytes()).unwrap();
    // The service reads the body, so the request is running.
    let mut interim = [0; 25];
    running.read_exact(&mut interim).unwrap();
    assert_eq!(&interim, b"HTTP/1.1 100 Continue\r\n\r\n");

    service.ask_to_stop();
    wait_until("new connections are refused", || TcpStream::connect(address).is_err());
    running.write_all(b"hello").unwrap();
    let answer = Answer::read(&running);
    assert_eq!((answer.status, answer.body.as_str()), (200, "hello"));
}
