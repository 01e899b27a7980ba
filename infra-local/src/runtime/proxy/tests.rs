//! Tests of the proxy with real clients and small servers.
#![allow(clippy::unwrap_used)]

mod documented;
mod hostile;
mod logs;
mod multiplexed;
mod routing;
mod transport;

use std::collections::{BTreeMap, BTreeSet};
use std::convert::Infallible;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::combinators::BoxBody;
use http_body_util::{BodyExt as _, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::Instant;
use tokio_rustls::TlsAcceptor;

use super::upload::BodyError;
use super::*;
use crate::model::elbv2::ProtocolVersion;
use crate::runtime::network::{NetworkHandle, Place, Site, Unconnected};

/// Response body of the servers in these tests.
type ServerBody = BoxBody<Bytes, BodyError>;

fn text(text: impl Into<Bytes>) -> ServerBody {
    Full::new(text.into()).map_err(|never| match never {}).boxed()
}

const LONG: Duration = Duration::from_secs(20);

fn settings() -> PoolSettings {
    PoolSettings {
        check: HealthCheck {
            port: CheckPort::Traffic,
            transport: Transport::Plain,
            version: ProtocolVersion::Http1,
            path: "/health".to_owned(),
            interval: Duration::from_millis(200),
            timeout: Duration::from_secs(2),
            healthy_threshold: 2,
            unhealthy_threshold: 2,
            matcher: "200".parse().unwrap(),
        },
        transport: Transport::Plain,
        version: ProtocolVersion::Http1,
        deregistration_delay: Duration::from_mins(5),
        algorithm: Algorithm::RoundRobin,
        slow_start: None,
        minimum_healthy: MinimumHealthy { count: 1, percentage: 0 },
        stickiness: None,
        in_use: true,
    }
}

/// Returns a pool with short intervals.
fn pool() -> TargetPool {
    TargetPool::new("arn:targets", settings(), 100.0, watch::Sender::new(0))
}

fn key(id: &str) -> TargetKey {
    TargetKey { id: id.to_owned(), port: 8080 }
}

fn targets<'a>(addresses: impl IntoIterator<Item = (&'a str, SocketAddr)>) -> BTreeMap<TargetKey, Endpoint> {
    let endpoint = |address| Endpoint { from: Site::Host, address, reachable: true };
    addresses.into_iter().map(|(id, address)| (key(id), endpoint(address))).collect()
}

async fn until(what: &str, condition: impl Fn() -> bool) {
    let deadline = Instant::now() + LONG;
    while !condition() {
        assert!(Instant::now() < deadline, "waited in vain until {what}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

async fn until_state(pool: &TargetPool, id: &str, state: HealthState) {
    until(&format!("{id} is {}", state.as_str()), || {
        pool.health().get(&key(id)).is_some_and(|health| health.state == state)
    })
    .await;
}

async fn proxy(pool: &TargetPool, idle_timeout: Duration) -> ProxyListener {
    let settings = Settings { idle_timeout, ..Settings::default() };
    listener(Route { settings, ..forwards([(pool, 1)]) }).await
}

async fn listener(route: Route) -> ProxyListener {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    ProxyListener::new(listener, route, None, &workers()).unwrap()
}

/// Returns the worker threads that all tests share.
fn workers() -> Workers {
    static WORKERS: OnceLock<Workers> = OnceLock::new();
    WORKERS.get_or_init(|| Workers::start().unwrap()).clone()
}

/// Returns a route without rules.
fn forwards<'a>(pools: impl IntoIterator<Item = (&'a TargetPool, u32)>) -> Route {
    let pools = pools.into_iter().map(|(pool, weight)| (pool.clone(), weight)).collect();
    Route {
        rules: Vec::new(),
        default: Action::Forward(Forward { pools, sticky: None }),
        settings: Settings::default(),
    }
}

/// A server that responds with its name and the request; `/health` responds with the status that is set.
struct Server {
    address: SocketAddr,
    health: Arc<AtomicUsize>,
    connections: Arc<AtomicUsize>,
    release: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Server {
    async fn start(name: &'static str) -> Self {
        Self::speaking(name, None).await
    }

    /// Starts a server that uses TLS with this certificate.
    async fn start_tls(name: &'static str, identity: Identity) -> Self {
        let tls = Tls { identities: vec![identity], tls12: true, tls13: true, http2: false };
        Self::speaking(name, Some(tls.config().unwrap().into())).await
    }

    async fn speaking(name: &'static str, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let health = Arc::new(AtomicUsize::new(200));
        let connections = Arc::new(AtomicUsize::new(0));
        let (release, released) = watch::channel(false);
        let (answer, count) = (Arc::clone(&health), Arc::clone(&connections));
        let task = tokio::spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (answer, released) = (Arc::clone(&answer), released.clone());
                let service = service_fn(move |request| {
                    let status = answer.load(Ordering::SeqCst);
                    serve(name, request, status, released.clone())
                });
                let tls = tls.clone();
                served.spawn(async move {
                    let http = http1::Builder::new();
                    match tls {
                        None => http.serve_connection(TokioIo::new(stream), service).await.is_ok(),
                        Some(tls) => match tls.accept(stream).await {
                            Ok(stream) => http.serve_connection(TokioIo::new(stream), service).await.is_ok(),
                            Err(_) => false,
                        },
                    }
                });
            }
        });
        Self { address, health, connections, release, task }
    }
}

async fn serve(
    name: &'static str,
    request: Request<Incoming>,
    health: usize,
    mut released: watch::Receiver<bool>,
) -> Result<Response<ServerBody>, Infallible> {
    let path = request.uri().path().to_owned();
    let response: Response<ServerBody> = match path.as_str() {
        "/health" => Response::builder().status(u16::try_from(health).unwrap()).body(text("")).unwrap(),
        "/echo" => Response::new(request.into_body().map_err(BodyError::from).boxed()),
        "/slow" => {
            released.wait_for(|released| *released).await.unwrap();
            Response::new(text(name))
        }
        "/stall" => {
            let frames = async_frames(released);
            Response::new(StreamBody::new(frames).boxed())
        }
        _ => {
            let mut lines: Vec<String> =
                request.headers().iter().map(|(name, value)| format!("{name}: {}", value.to_str().unwrap())).collect();
            lines.sort();
            lines.insert(0, format!("{name} {} {}", request.method(), request.uri()));
            Response::builder()
                .header("connection", "x-secret")
                .header("x-secret", "hop")
                .body(text(lines.join("\n")))
                .unwrap()
        }
    };
    Ok(response)
}

/// Streams one frame, and then nothing until `released`.
fn async_frames(released: watch::Receiver<bool>) -> impl futures::Stream<Item = Result<Frame<Bytes>, BodyError>> {
    futures::stream::unfold((0, released), |(step, mut released)| async move {
        if step == 1 {
            released.wait_for(|released| *released).await.unwrap();
        }
        (step < 2).then(|| (Ok(Frame::data(Bytes::from("part"))), (step + 1, released)))
    })
}

struct Answer {
    status: StatusCode,
    headers: hyper::HeaderMap,
    text: String,
}

async fn fetch(proxy: SocketAddr, request: Request<Full<Bytes>>) -> Answer {
    let stream = TcpStream::connect(proxy).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let response = sender.send_request(request).await.unwrap();
    let (parts, body) = response.into_parts();
    let bytes = body.collect().await.unwrap().to_bytes();
    let text = String::from_utf8(bytes.to_vec()).unwrap();
    Answer { status: parts.status, headers: parts.headers, text }
}

async fn get(proxy: &ProxyListener, path: &str) -> Answer {
    let request = Request::get(path).header("host", "example.org").body(Full::default()).unwrap();
    fetch(proxy.address(), request).await
}

#[tokio::test]
async fn requests_alternate_between_targets_and_connections_are_reused() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let pool = pool();
    pool.set_targets(&targets([("i-1", one.address), ("i-2", two.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    until_state(&pool, "i-2", HealthState::Healthy).await;
    // Only connections of the checks so far. From here on, no further check is due during the test.
    pool.configure(PoolSettings {
        check: HealthCheck { interval: Duration::from_secs(1_000_000), ..settings().check },
        ..settings()
    });
    let proxy = proxy(&pool, LONG).await;
    let mut seen = Vec::new();
    for _ in 0..6 {
        let answer = get(&proxy, "/").await;
        seen.push(answer.text.split(' ').next().unwrap().to_owned());
    }
    assert!(seen.windows(2).all(|pair| pair[0] != pair[1]), "{seen:?}");
    assert_eq!(pool.counts().requests, 6);
    let before = one.connections.load(Ordering::SeqCst);
    for _ in 0..10 {
        get(&proxy, "/").await;
    }
    assert!(one.connections.load(Ordering::SeqCst) <= before + 2, "connections are kept");
}

#[tokio::test]
async fn headers_are_rewritten_as_aws_does() {
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    let proxy = proxy(&pool, LONG).await;
    let request = Request::get("/a/b?c=d")
        .header("host", "shop.example.org")
        .header("x-forwarded-for", "203.0.113.7")
        .header("x-forwarded-proto", "https")
        .header("connection", "keep-alive, x-private")
        .header("x-private", "1")
        .header("te", "trailers")
        .header("x-amzn-trace-id", "Root=1-5-6")
        .body(Full::default())
        .unwrap();
    let answer = fetch(proxy.address(), request).await;
    let port = proxy.address().port();
    let (own, rest) = answer.text.split_once("x-amzn-trace-id: Self=1-").unwrap();
    let (_, rest) = rest.split_once(';').unwrap();
    assert_eq!(
        format!("{own}x-amzn-trace-id: {rest}"),
        format!(
            "one GET /a/b?c=d\nhost: shop.example.org:{port}\nx-amzn-trace-id: Root=1-5-6\n\
             x-forwarded-for: 203.0.113.7, 127.0.0.1\nx-forwarded-port: {port}\nx-forwarded-proto: http"
        )
    );
    assert!(!answer.headers.contains_key("x-secret") && !answer.headers.contains_key("connection"));
}

#[tokio::test]
async fn requests_are_logged_with_their_ids_and_targets() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("balancers").join("web.log");
    let (logs, _store) = logs::start();
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    let settings = Settings { access_log: Some(logs.of(path.clone())), ..Settings::default() };
    let proxy = listener(Route { settings, ..forwards([(&pool, 1)]) }).await;
    let request = Request::get("/a?b=c").header("host", "h").header("x-request-id", "req-7").body(Full::default());
    assert_eq!(fetch(proxy.address(), request.unwrap()).await.status, StatusCode::OK);
    pool.set_targets(&BTreeMap::new());
    until("no target is left", || pool.health().is_empty()).await;
    assert_eq!(get(&proxy, "/none").await.status, StatusCode::SERVICE_UNAVAILABLE);
    let lines = || std::fs::read_to_string(&path).unwrap_or_default();
    until("both requests are logged", || lines().lines().count() == 2).await;
    let lines: Vec<serde_json::Value> = lines().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let [answered, failed] = &lines[..] else { panic!("{lines:?}") };
    assert_eq!((&answered["path"], &answered["status"]), (&"/a?b=c".into(), &200.into()));
    assert_eq!(answered["target"], server.address.to_string());
    assert_eq!(answered["request_id"], "req-7");
    assert!(answered["trace_id"].as_str().unwrap().starts_with("Root=1-"), "{answered}");
    assert!(answered["target_ms"].as_f64().unwrap() <= answered["duration_ms"].as_f64().unwrap(), "{answered}");
    assert_eq!((&failed["status"], &failed["level"], failed.get("target")), (&503.into(), &"ERROR".into(), None));
}

#[tokio::test]
async fn bodies_stream_both_ways() {
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    let proxy = proxy(&pool, LONG).await;
    let sent = "0123456789abcdef".repeat(1 << 16);
    let request = Request::post("/echo").header("host", "h").body(Full::from(sent.clone())).unwrap();
    let answer = fetch(proxy.address(), request).await;
    assert_eq!((answer.status, answer.text.len()), (StatusCode::OK, sent.len()));
    assert!(answer.text == sent);
}

#[tokio::test]
async fn without_targets_the_service_is_unavailable() {
    let proxy = proxy(&pool(), LONG).await;
    let answer = get(&proxy, "/").await;
    assert_eq!(answer.status, StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(answer.headers["server"], "awselb/2.0");
    assert!(answer.text.contains("503 Service Temporarily Unavailable"));
}

#[tokio::test]
async fn a_dead_target_is_skipped_and_then_unhealthy() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let pool = TargetPool::new("arn:targets", settings(), 10.0, watch::Sender::new(0));
    pool.set_targets(&targets([("i-1", one.address), ("i-2", two.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    until_state(&pool, "i-2", HealthState::Healthy).await;
    let proxy = proxy(&pool, LONG).await;
    drop(one);
    for _ in 0..20 {
        let answer = get(&proxy, "/").await;
        assert_eq!((answer.status, &answer.text[..3]), (StatusCode::OK, "two"));
    }
    until_state(&pool, "i-1", HealthState::Unhealthy).await;
    assert_eq!(pool.health()[&key("i-1")].reason, Some("Target.FailedHealthChecks"));
    assert!(pool.counts().connection_errors > 0);
    drop(two);
    until("both are found dead", || pool.health().values().all(|health| health.state == HealthState::Unhealthy)).await;
    assert_eq!(get(&proxy, "/").await.status, StatusCode::BAD_GATEWAY);
}

#[tokio::test]
async fn a_wrong_status_is_unhealthy_and_if_all_are_unhealthy_all_receive_requests() {
    let server = Server::start("one").await;
    server.health.store(500, Ordering::SeqCst);
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    assert_eq!(pool.health()[&key("i-1")].reason, Some("Elb.RegistrationInProgress"));
    until_state(&pool, "i-1", HealthState::Unhealthy).await;
    let health = pool.health().remove(&key("i-1")).unwrap();
    assert_eq!(health.reason, Some("Target.ResponseCodeMismatch"));
    assert_eq!(health.description.unwrap(), "Health checks failed with these codes: [500]");
    let proxy = proxy(&pool, LONG).await;
    assert_eq!(get(&proxy, "/").await.status, StatusCode::OK, "fails open");
    server.health.store(200, Ordering::SeqCst);
    until_state(&pool, "i-1", HealthState::Healthy).await;
}

#[tokio::test]
async fn a_draining_target_finishes_and_receives_no_new_requests() {
    let server = Server::start("one").await;
    let pool = TargetPool::new("arn:targets", settings(), 1.0, watch::Sender::new(0));
    pool.set_targets(&targets([("i-1", server.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    let proxy = Arc::new(proxy(&pool, LONG).await);
    let slow = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move { get(&proxy, "/slow").await }
    });
    until("the request has reached the server", || server.connections.load(Ordering::SeqCst) >= 2).await;
    pool.set_targets(&BTreeMap::new());
    assert_eq!(pool.health()[&key("i-1")].reason, Some("Target.DeregistrationInProgress"));
    assert_eq!(get(&proxy, "/").await.status, StatusCode::SERVICE_UNAVAILABLE);
    assert!(!pool.is_drained(&key("i-1")));
    server.release.send_replace(true);
    assert_eq!(slow.await.unwrap().text, "one");
    until("the target is drained", || pool.is_drained(&key("i-1"))).await;
}

#[tokio::test]
async fn a_target_that_starts_to_drain_receives_no_request_that_selected_it_before() {
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    let usable = pool.usable();
    let before = usable.target(0).begin();
    assert!(before.is_some());
    pool.set_targets(&BTreeMap::new());
    assert!(!pool.is_drained(&key("i-1")));
    drop(before);
    assert!(pool.is_drained(&key("i-1")));
    assert!(usable.target(0).begin().is_none() && pool.is_drained(&key("i-1")));
}

#[tokio::test]
async fn a_drained_target_is_removed_after_its_delay_and_a_new_registration_stays() {
    let server = Server::start("one").await;
    let pool = pool();
    pool.configure(PoolSettings { deregistration_delay: Duration::from_secs(10), ..settings() });
    let registered = targets([("i-1", server.address)]);
    pool.set_targets(&registered);
    pool.set_targets(&BTreeMap::new());
    pool.set_targets(&registered);
    until_state(&pool, "i-1", HealthState::Healthy).await;
    pool.set_targets(&BTreeMap::new());
    until("the delay is over", || pool.health().is_empty()).await;
}

#[tokio::test]
async fn a_stalled_target_causes_a_timeout_before_the_response_and_an_error_within_it() {
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    let proxy = proxy(&pool, Duration::from_millis(200)).await;
    assert_eq!(get(&proxy, "/slow").await.status, StatusCode::GATEWAY_TIMEOUT);

    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(b"GET /stall HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.unwrap();
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("200 OK") && answer.contains("part"), "{answer}");
    assert!(!answer.ends_with("0\r\n\r\n"), "a broken answer must not look whole");
}

#[tokio::test]
async fn targets_are_not_checked_without_a_listener() {
    let server = Server::start("one").await;
    let pool = pool();
    pool.configure(PoolSettings { in_use: false, ..settings() });
    pool.set_targets(&targets([("i-1", server.address)]));
    assert_eq!(pool.health()[&key("i-1")].reason, Some("Target.NotInUse"));
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
    pool.configure(settings());
    until_state(&pool, "i-1", HealthState::Healthy).await;
    pool.configure(PoolSettings { in_use: false, ..settings() });
    until_state(&pool, "i-1", HealthState::Unused).await;
}

#[tokio::test]
async fn requests_to_unreachable_targets_time_out() {
    let server = Server::start("one").await;
    let pool = pool();
    let endpoint = Endpoint { from: Site::Host, address: server.address, reachable: false };
    pool.set_targets(&BTreeMap::from([(key("i-1"), endpoint)]));
    until_state(&pool, "i-1", HealthState::Unhealthy).await;
    assert_eq!(pool.health()[&key("i-1")].reason, Some("Target.Timeout"));
    let proxy = proxy(&pool, LONG).await;
    assert_eq!(get(&proxy, "/").await.status, StatusCode::GATEWAY_TIMEOUT);
    assert_eq!(server.connections.load(Ordering::SeqCst), 0);
}

#[tokio::test]
async fn connections_to_a_registered_target_come_from_the_current_balancer() {
    let server = Server::start("one").await;
    let pool = pool();
    // No network process responds, as before the target group has a balancer whose interface is connected.
    let unconnected = Site::Inside(NetworkHandle::new(Unconnected), Place::Internet);
    let endpoint = |from| Endpoint { from, address: server.address, reachable: true };
    pool.set_targets(&BTreeMap::from([(key("i-1"), endpoint(unconnected))]));
    until_state(&pool, "i-1", HealthState::Unhealthy).await;
    pool.set_targets(&BTreeMap::from([(key("i-1"), endpoint(Site::Host))]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
}

#[tokio::test]
async fn a_new_route_applies_to_connected_clients() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let (first, second) = (pool(), pool());
    first.set_targets(&targets([("i-1", one.address)]));
    second.set_targets(&targets([("i-2", two.address)]));
    let proxy = proxy(&first, LONG).await;
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let mut seen = Vec::new();
    for route in [&first, &second] {
        proxy.set_route(forwards([(route, 1)]));
        sender.ready().await.unwrap();
        let request = Request::get("/").header("host", "h").body(Full::<Bytes>::default()).unwrap();
        let body = sender.send_request(request).await.unwrap().into_body();
        seen.push(body.collect().await.unwrap().to_bytes().slice(..3));
    }
    assert_eq!(seen, ["one", "two"]);
    let address = proxy.address();
    drop(proxy);
    let deadline = Instant::now() + LONG;
    while TcpStream::connect(address).await.is_ok() {
        assert!(Instant::now() < deadline, "the port stays open");
    }
}

#[tokio::test]
async fn weights_determine_the_share_of_requests() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let (first, second) = (pool(), pool());
    first.set_targets(&targets([("i-1", one.address)]));
    second.set_targets(&targets([("i-2", two.address)]));
    let proxy = proxy(&first, LONG).await;
    proxy.set_route(forwards([(&first, 0), (&second, 3)]));
    let mut seen = BTreeSet::new();
    for _ in 0..8 {
        seen.insert(get(&proxy, "/").await.text[..3].to_owned());
    }
    assert_eq!(seen, BTreeSet::from(["two".to_owned()]));
}

#[tokio::test]
async fn upgraded_connections_are_forwarded() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let target = tokio::spawn(async move {
        // Health checks connect as well: their connections are closed.
        loop {
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            if String::from_utf8(head).unwrap().contains("upgrade: chat") {
                stream
                    .write_all(b"HTTP/1.1 101 Switching Protocols\r\nconnection: upgrade\r\nupgrade: chat\r\n\r\n")
                    .await
                    .unwrap();
                let mut word = [0; 4];
                stream.read_exact(&mut word).await.unwrap();
                stream.write_all(&word.map(|letter| letter.to_ascii_uppercase())).await.unwrap();
                return;
            }
        }
    });
    let pool = pool();
    pool.set_targets(&targets([("i-1", address)]));
    let proxy = proxy(&pool, LONG).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\nconnection: Upgrade\r\nupgrade: chat\r\n\r\n").await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    client.write_all(b"ping").await.unwrap();
    let mut word = [0; 4];
    client.read_exact(&mut word).await.unwrap();
    assert_eq!(&word, b"PING");
    target.await.unwrap();
    assert_eq!(client.read(&mut word).await.unwrap(), 0, "the end of one side is passed on");
}
