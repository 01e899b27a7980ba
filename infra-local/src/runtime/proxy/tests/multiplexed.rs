//! Targets of HTTP/2 and gRPC.

use futures::channel::mpsc;
use hyper::HeaderMap;
use hyper::client::conn::http2::{self, SendRequest};
use hyper_util::rt::TokioExecutor;

use super::routing::{connect, identity};
use super::*;

/// A server of HTTP/2 that returns each message as it arrives, and the headers of the request in its trailers.
struct Echo {
    address: SocketAddr,
    connections: Arc<AtomicUsize>,
    /// Code of gRPC that the health check receives.
    health: Arc<AtomicUsize>,
    task: JoinHandle<()>,
}

impl Drop for Echo {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Echo {
    async fn start(tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (connections, health) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(12)));
        let (count, code) = (Arc::clone(&connections), Arc::clone(&health));
        let task = tokio::spawn(async move {
            let mut served = JoinSet::new();
            loop {
                let (stream, _) = listener.accept().await.unwrap();
                count.fetch_add(1, Ordering::SeqCst);
                let (code, tls) = (Arc::clone(&code), tls.clone());
                let service = service_fn(move |request| std::future::ready(echo(request, code.load(Ordering::SeqCst))));
                served.spawn(async move {
                    let http = hyper::server::conn::http2::Builder::new(TokioExecutor::new());
                    match tls {
                        None => http.serve_connection(TokioIo::new(stream), service).await.is_ok(),
                        Some(tls) => {
                            let stream = tls.accept(stream).await.unwrap();
                            assert_eq!(stream.get_ref().1.alpn_protocol(), Some(&b"h2"[..]));
                            http.serve_connection(TokioIo::new(stream), service).await.is_ok()
                        }
                    }
                });
            }
        });
        Self { address, connections, health, task }
    }
}

type EchoBody = BoxBody<Bytes, hyper::Error>;

fn echo(request: Request<Incoming>, health: usize) -> Result<Response<EchoBody>, Infallible> {
    let empty = || Full::default().map_err(|never| match never {}).boxed();
    if request.uri().path() == "/health" {
        let code = health.to_string();
        return Ok(Response::builder().header("grpc-status", code).body(empty()).unwrap());
    }
    let mut trailers = request.headers().clone();
    trailers.insert("seen-authority", request.uri().authority().unwrap().as_str().parse().unwrap());
    trailers.insert("seen-method", request.method().as_str().parse().unwrap());
    trailers.insert("grpc-status", "0".parse().unwrap());
    let body = request.into_body().with_trailers(async { Some(Ok(trailers)) });
    Ok(Response::builder().header("content-type", "application/grpc").body(body.boxed()).unwrap())
}

/// Returns a pool of targets that speak HTTP/2.
fn pool_of(version: ProtocolVersion, transport: Transport) -> TargetPool {
    let initial = settings();
    let matcher = match version {
        ProtocolVersion::Grpc => crate::domain::elbv2::Matcher::of_grpc("0-12").unwrap(),
        _ => initial.check.matcher.clone(),
    };
    let check = HealthCheck { transport, version, matcher, ..initial.check };
    TargetPool::new("arn:targets", PoolSettings { check, transport, version, ..initial }, 100.0, watch::Sender::new(0))
}

/// A listener of HTTPS.
struct Secure {
    proxy: ProxyListener,
    certificate: rustls::pki_types::CertificateDer<'static>,
}

type Messages = mpsc::UnboundedReceiver<Result<Frame<Bytes>, Infallible>>;

impl Secure {
    async fn start(pool: &TargetPool) -> Self {
        let (certificate, identity) = identity("a.example.org");
        let tls = Tls { identities: vec![identity], tls12: true, tls13: true, http2: true };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let proxy = ProxyListener::new(listener, forwards([(pool, 1)]), Some(tls), &workers()).unwrap();
        Self { proxy, certificate }
    }

    async fn client(&self) -> SendRequest<StreamBody<Messages>> {
        let stream = connect(&self.proxy, "a.example.org", &self.certificate, b"h2").await;
        let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
        tokio::spawn(connection);
        sender
    }
}

/// Returns an empty body.
fn nothing() -> Messages {
    mpsc::unbounded().1
}

fn call(messages: Messages) -> Request<StreamBody<Messages>> {
    let request = Request::post("https://a.example.org/shop.Orders/Place").header("te", "trailers");
    request.header("content-type", "application/grpc").body(StreamBody::new(messages)).unwrap()
}

/// Reads the rest of a response: its data and its trailers.
async fn rest(response: Response<Incoming>) -> (Bytes, HeaderMap) {
    let body = response.into_body().collect().await.unwrap();
    let trailers = body.trailers().cloned().unwrap_or_default();
    (body.to_bytes(), trailers)
}

#[tokio::test]
async fn messages_of_grpc_stream_in_both_directions_and_trailers_arrive() {
    let (target, pool) = (Echo::start(None).await, pool_of(ProtocolVersion::Grpc, Transport::Plain));
    pool.set_targets(&targets([("a", target.address)]));
    until_state(&pool, "a", HealthState::Healthy).await;
    let secure = Secure::start(&pool).await;
    let mut client = secure.client().await;

    let (sender, messages) = mpsc::unbounded();
    let send =
        |text: &'static str| sender.unbounded_send(Ok(Frame::data(Bytes::from_static(text.as_bytes())))).unwrap();
    send("first");
    let mut response = client.send_request(call(messages)).await.unwrap();
    let first = response.body_mut().frame().await.unwrap().unwrap();
    assert_eq!(first.into_data().unwrap(), "first", "the answer arrives before the client has sent everything");
    send("second");
    drop(sender);
    let (second, trailers) = rest(response).await;
    assert_eq!(second, "second");
    let port = secure.proxy.address().port();
    assert_eq!(trailers["seen-authority"], format!("a.example.org:{port}"));
    for (name, expected) in [("grpc-status", "0"), ("te", "trailers"), ("x-forwarded-proto", "https")] {
        assert_eq!(trailers[name], expected, "{name}");
    }
}

#[tokio::test]
async fn requests_share_a_connection_to_a_target() {
    let (_, shown) = identity("somebody.else");
    let tls = Tls { identities: vec![shown], tls12: true, tls13: true, http2: true };
    let target = Echo::start(Some(tls.config().unwrap().into())).await;
    let pool = pool_of(ProtocolVersion::Http2, Transport::Tls);
    pool.set_targets(&targets([("a", target.address)]));
    until_state(&pool, "a", HealthState::Healthy).await;
    let secure = Secure::start(&pool).await;
    let client = secure.client().await;
    // A client's connection belongs to one worker.
    rest(client.clone().send_request(call(nothing())).await.unwrap()).await;
    let before = target.connections.load(Ordering::SeqCst);
    let calls = (0..50).map(|_| {
        let mut client = client.clone();
        async move { rest(client.send_request(call(nothing())).await.unwrap()).await.1 }
    });
    for trailers in futures::future::join_all(calls).await {
        assert_eq!(trailers["seen-method"], "POST");
    }
    let checks = 5;
    assert!(target.connections.load(Ordering::SeqCst) - before <= checks, "only health checks open connections");
}

#[tokio::test]
async fn codes_of_grpc_decide_on_the_health() {
    let (target, pool) = (Echo::start(None).await, pool_of(ProtocolVersion::Grpc, Transport::Plain));
    pool.set_targets(&targets([("a", target.address)]));
    until_state(&pool, "a", HealthState::Healthy).await;
    target.health.store(14, Ordering::SeqCst);
    until_state(&pool, "a", HealthState::Unhealthy).await;
    let health = pool.health()[&key("a")].clone();
    assert_eq!(health.description.as_deref(), Some("Health checks failed with these codes: [14]"));
}

#[tokio::test]
async fn requests_of_another_protocol_than_the_targets_are_refused_with_464() {
    let echo = Echo::start(None).await;
    let plain = Server::start("one").await;
    let (grpc, http1) = (pool_of(ProtocolVersion::Grpc, Transport::Plain), pool());
    grpc.set_targets(&targets([("a", echo.address)]));
    http1.set_targets(&targets([("a", plain.address)]));
    until_state(&grpc, "a", HealthState::Healthy).await;
    until_state(&http1, "a", HealthState::Healthy).await;

    let of_grpc = Secure::start(&grpc).await;
    let get = Request::get("https://a.example.org/").body(StreamBody::new(nothing())).unwrap();
    assert_eq!(of_grpc.client().await.send_request(get).await.unwrap().status().as_u16(), 464);
    let stream = connect(&of_grpc.proxy, "a.example.org", &of_grpc.certificate, b"http/1.1").await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let post = Request::post("/").header("host", "a.example.org").body(Full::<Bytes>::default()).unwrap();
    assert_eq!(sender.send_request(post).await.unwrap().status().as_u16(), 464);

    let of_http1 = Secure::start(&http1).await;
    let refused = of_http1.client().await.send_request(call(nothing())).await.unwrap();
    assert_eq!(refused.status().as_u16(), 464);
}
