//! Rules, cookies, TLS, and many clients.

use std::collections::BTreeMap;

use hyper::client::conn::http2;
use hyper::header::{COOKIE, SET_COOKIE};
use hyper_util::rt::TokioExecutor;
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;

use super::*;
use crate::model::elbv2::routing;
use crate::model::elbv2::routing::{FixedResponse, Redirect};

/// Starts two servers, each in its own pool, both healthy.
async fn two_pools() -> ([Server; 2], [TargetPool; 2]) {
    let servers = [Server::start("one").await, Server::start("two").await];
    let pools = [pool(), pool()];
    for ((server, pool), id) in servers.iter().zip(&pools).zip(["i-1", "i-2"]) {
        pool.set_targets(&targets([(id, server.address)]));
        until_state(pool, id, HealthState::Healthy).await;
    }
    (servers, pools)
}

fn rule(condition: &routing::Condition, action: Action) -> Rule {
    Rule { priority: 1, conditions: vec![condition.into()], action }
}

fn path(pattern: &str) -> routing::Condition {
    routing::Condition::PathPattern(vec![pattern.to_owned()])
}

/// Returns the name of the server that responded.
fn name(answer: &Answer) -> &str {
    answer.text.split(' ').next().unwrap()
}

#[tokio::test]
async fn the_first_matching_rule_applies() {
    let (_servers, [one, two]) = two_pools().await;
    let forward = |pool: &TargetPool| forwards([(pool, 1)]).default;
    let fixed = FixedResponse { status: 418, content_type: None, body: Some("no coffee".to_owned()) };
    let redirect = Redirect {
        protocol: "HTTPS".to_owned(),
        host: "new.#{host}".to_owned(),
        port: "443".to_owned(),
        path: "/#{path}/there".to_owned(),
        query: "#{query}&more=1".to_owned(),
        status: 302,
    };
    let rules = vec![
        rule(&path("/coffee"), Action::FixedResponse(fixed)),
        rule(&path("/old/*"), Action::Redirect(redirect)),
        rule(&path("/*/two"), forward(&two)),
        rule(&path("/old/*"), forward(&two)),
    ];
    let proxy = listener(Route { rules, ..forwards([(&one, 1)]) }).await;
    assert_eq!(name(&get(&proxy, "/").await), "one");
    assert_eq!(name(&get(&proxy, "/a/two").await), "two");
    let answer = get(&proxy, "/coffee").await;
    assert_eq!((answer.status.as_u16(), answer.text.as_str()), (418, "no coffee"));
    assert_eq!(answer.headers["content-type"], "text/plain; charset=utf-8");
    let answer = get(&proxy, "/old/page?a=b").await;
    assert_eq!(answer.status, StatusCode::FOUND);
    assert_eq!(answer.headers["location"], "https://new.example.org:443/old/page/there?a=b&more=1");
}

#[tokio::test]
async fn invalid_requests_are_answered_without_a_target() {
    let (_servers, [one, _]) = two_pools().await;
    let proxy = listener(forwards([(&one, 1)])).await;
    let request = |method: &str, path: &str| Request::builder().method(method).uri(path).header("host", "h");
    let status = async |request: hyper::http::request::Builder| {
        fetch(proxy.address(), request.body(Full::default()).unwrap()).await.status.as_u16()
    };
    assert_eq!(status(request("TRACE", "/")).await, 405);
    assert_eq!(status(request("GET", &format!("/{}", "x".repeat(17 * 1024)))).await, 414);
    assert_eq!(status(request("GET", "/").header("x-long", "x".repeat(17 * 1024))).await, 400);
    let hops = vec!["192.0.2.1"; 31].join(", ");
    assert_eq!(status(request("GET", "/").header("x-forwarded-for", hops)).await, 463);
    assert_eq!(status(request("HEAD", "/")).await, 200);
}

#[tokio::test]
async fn settings_change_requests_and_responses() {
    let (_servers, [one, _]) = two_pools().await;
    let settings = Settings {
        drop_invalid_headers: true,
        preserve_host: true,
        forwarded_for: ForwardedFor::Remove,
        server_header: false,
        keep_alive: Duration::ZERO,
        response_headers: vec![("x-frame-options".parse().unwrap(), "DENY".parse().unwrap())],
        ..Settings::default()
    };
    let rules = vec![rule(
        &path("/none"),
        Action::FixedResponse(FixedResponse { status: 404, content_type: None, body: None }),
    )];
    let proxy = listener(Route { rules, settings, ..forwards([(&one, 1)]) }).await;
    let request = Request::get("/").header("host", "h:1").header("x_bad", "1").header("x-forwarded-for", "192.0.2.1");
    let answer = fetch(proxy.address(), request.body(Full::default()).unwrap()).await;
    assert!(answer.text.contains("host: h:1\n"), "{}", answer.text);
    assert!(!answer.text.contains("x_bad") && !answer.text.contains("x-forwarded-for"), "{}", answer.text);
    assert_eq!(answer.headers["x-frame-options"], "DENY");
    assert_eq!(answer.headers["connection"], "close", "it has stayed too long");
    let own = get(&proxy, "/none").await;
    assert_eq!(own.status, StatusCode::NOT_FOUND);
    assert!(!own.headers.contains_key("server") && own.headers.contains_key("date"));
}

/// Sends a request with the cookies of an earlier response.
async fn get_with(proxy: &ProxyListener, earlier: &Answer) -> Answer {
    let set = earlier.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap());
    let cookies: Vec<&str> = set.map(|cookie| cookie.split(';').next().unwrap()).collect();
    let request = Request::get("/").header("host", "h").header(COOKIE, cookies.join("; "));
    fetch(proxy.address(), request.body(Full::default()).unwrap()).await
}

#[tokio::test]
async fn clients_with_cookies_stay_with_their_target_while_it_is_usable() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let pool = pool();
    pool.configure(PoolSettings { stickiness: Some(Stickiness::Duration(LONG)), ..settings() });
    let both = targets([("i-1", one.address), ("i-2", two.address)]);
    pool.set_targets(&both);
    until_state(&pool, "i-1", HealthState::Healthy).await;
    until_state(&pool, "i-2", HealthState::Healthy).await;
    let proxy = proxy(&pool, LONG).await;
    let first = get(&proxy, "/").await;
    let set: Vec<&str> = first.headers.get_all(SET_COOKIE).iter().map(|cookie| cookie.to_str().unwrap()).collect();
    assert!(set[0].starts_with("AWSALB=") && set[0].contains("; Path=/"), "{set:?}");
    assert!(set[1].starts_with("AWSALBCORS=") && set[1].ends_with("SameSite=None; Secure"), "{set:?}");
    for _ in 0..5 {
        assert_eq!(name(&get_with(&proxy, &first).await), name(&first));
    }
    let left = if name(&first) == "one" { ("i-2", two.address) } else { ("i-1", one.address) };
    pool.set_targets(&targets([left]));
    let moved = get_with(&proxy, &first).await;
    assert_ne!(name(&moved), name(&first), "its target takes nothing new");
    assert_eq!(name(&get_with(&proxy, &moved).await), name(&moved));
}

#[tokio::test]
async fn clients_stay_with_their_target_group() {
    let (servers, [one, _]) = two_pools().await;
    // Two target groups have different marks.
    let other = TargetPool::new("arn:other", settings(), 100.0, watch::Sender::new(0));
    other.set_targets(&targets([("i-2", servers[1].address)]));
    until_state(&other, "i-2", HealthState::Healthy).await;
    let route = |weights: [u32; 2]| {
        let pools = vec![(one.clone(), weights[0]), (other.clone(), weights[1])];
        Route { default: Action::Forward(Forward { pools, sticky: Some(LONG) }), ..forwards([]) }
    };
    let proxy = listener(route([1, 0])).await;
    let first = get(&proxy, "/").await;
    assert_eq!(name(&first), "one");
    assert!(first.headers[SET_COOKIE].to_str().unwrap().starts_with("AWSALBTG="));
    proxy.set_route(route([0, 1]));
    assert_eq!(name(&get_with(&proxy, &first).await), "one");
    assert_eq!(name(&get(&proxy, "/").await), "two");
}

#[tokio::test]
async fn a_late_target_starts_slowly() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let pool = TargetPool::new("arn:targets", settings(), 1.0, watch::Sender::new(0));
    pool.configure(PoolSettings { slow_start: Some(Duration::from_hours(10)), ..settings() });
    pool.set_targets(&targets([("i-1", one.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    pool.set_targets(&targets([("i-1", one.address), ("i-2", two.address)]));
    until_state(&pool, "i-2", HealthState::Healthy).await;
    let proxy = proxy(&pool, LONG).await;
    let count = async || {
        let mut late = 0;
        for _ in 0..20 {
            late += usize::from(name(&get(&proxy, "/").await) == "two");
        }
        late
    };
    assert!(count().await < 5, "ten hours have not passed");
    pool.configure(settings());
    assert_eq!(count().await, 10, "without a slow start both have the same share");
}

/// Returns a certificate for a name, and the identity that presents it.
pub(super) fn identity(name: &str) -> (CertificateDer<'static>, Identity) {
    let generated = rcgen::generate_simple_self_signed([name.to_owned()]).unwrap();
    let (chain, private_key) = (generated.cert.pem(), generated.signing_key.serialize_pem());
    (
        generated.cert.der().clone(),
        Identity { arn: format!("arn:{name}"), names: vec![name.to_owned()], chain, private_key },
    )
}

pub(super) async fn connect(
    proxy: &ProxyListener,
    name: &str,
    trusted: &CertificateDer<'static>,
    alpn: &[u8],
) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(trusted.clone()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = vec![alpn.to_vec()];
    let stream = TcpStream::connect(proxy.address()).await.unwrap();
    let name = ServerName::try_from(name.to_owned()).unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, stream).await.unwrap()
}

#[tokio::test]
async fn tls_selects_the_certificate_by_name_and_negotiates_http2() {
    let (_servers, [one, _]) = two_pools().await;
    let ((first, first_identity), (second, second_identity)) = (identity("a.example.org"), identity("*.b.example.org"));
    let tls = Tls { identities: vec![first_identity, second_identity], tls12: true, tls13: true, http2: true };
    let headers = ("x-amzn-tls-version".parse().unwrap(), "x-amzn-tls-cipher-suite".parse().unwrap());
    let settings = Settings { tls_headers: Some(headers), ..Settings::default() };
    let route = Route { settings, ..forwards([(&one, 1)]) };
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let mut proxy = ProxyListener::new(listener, route, Some(tls.clone()), &workers()).unwrap();

    // A client that requests a name receives its certificate; the client would not trust another one.
    let stream = connect(&proxy, "x.b.example.org", &second, b"http/1.1").await;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("/").header("host", "x.b.example.org").body(Full::<Bytes>::default()).unwrap();
    let body = sender.send_request(request).await.unwrap().into_body().collect().await.unwrap().to_bytes();
    let body_text = String::from_utf8(body.to_vec()).unwrap();
    assert!(
        body_text.contains("x-forwarded-proto: https") && body_text.contains("x-amzn-tls-version: TLSv1.3\n"),
        "{body_text}"
    );

    let stream = connect(&proxy, "a.example.org", &first, b"h2").await;
    let (sender, connection) = http2::handshake(TokioExecutor::new(), TokioIo::new(stream)).await.unwrap();
    tokio::spawn(connection);
    let requests = (0..20).map(|_| {
        let mut sender = sender.clone();
        async move {
            let request = Request::get("https://a.example.org/a").header(COOKIE, "a=1").header(COOKIE, "b=2");
            let response = sender.send_request(request.body(Full::<Bytes>::default()).unwrap()).await.unwrap();
            response.into_body().collect().await.unwrap().to_bytes()
        }
    });
    for body in futures::future::join_all(requests).await {
        let body_text = String::from_utf8(body.to_vec()).unwrap();
        assert!(body_text.starts_with("one GET /a\n") && body_text.contains("cookie: a=1; b=2\n"), "{body_text}");
    }

    let (third, third_identity) = identity("a.example.org");
    proxy.set_tls(Some(Tls { identities: vec![third_identity], ..tls })).unwrap();
    connect(&proxy, "a.example.org", &third, b"h2").await;
}

#[tokio::test]
async fn a_target_that_hangs_does_not_delay_the_others() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let (stuck, fast) = (pool(), pool());
    stuck.set_targets(&targets([("i-1", one.address)]));
    fast.set_targets(&targets([("i-2", two.address)]));
    until_state(&stuck, "i-1", HealthState::Healthy).await;
    until_state(&fast, "i-2", HealthState::Healthy).await;
    let rules = vec![rule(&path("/slow"), forwards([(&stuck, 1)]).default)];
    let settings = Settings { idle_timeout: Duration::from_secs(1), ..Settings::default() };
    let proxy = Arc::new(listener(Route { rules, settings, ..forwards([(&fast, 1)]) }).await);
    let mut waiting = JoinSet::new();
    for _ in 0..100 {
        let proxy = Arc::clone(&proxy);
        waiting.spawn(async move { get(&proxy, "/slow").await.status });
    }
    for _ in 0..100 {
        assert_eq!(name(&get(&proxy, "/").await), "two");
    }
    while let Some(status) = waiting.join_next().await {
        assert_eq!(status.unwrap(), StatusCode::GATEWAY_TIMEOUT);
    }
}

#[tokio::test]
async fn thousands_of_clients_stay_connected() {
    crate::runtime::descriptors::raise();
    let (_servers, [one, _]) = two_pools().await;
    let proxy = listener(forwards([(&one, 1)])).await;
    // This process has both ends of every connection, besides the other tests.
    let open = rustix::process::getrlimit(rustix::process::Resource::Nofile).current.unwrap_or(u64::MAX);
    let count = usize::try_from(open.saturating_sub(4096) / 2).unwrap().min(10_000);
    let mut clients = Vec::new();
    for _ in 0..count {
        clients.push(TcpStream::connect(proxy.address()).await.unwrap());
    }
    assert_eq!(name(&get(&proxy, "/").await), "one");
    let last = clients.len() - 1;
    for place in [0, last / 2, last] {
        let client = &mut clients[place];
        client.write_all(b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
        let mut head = [0; 12];
        client.read_exact(&mut head).await.unwrap();
        assert_eq!(&head, b"HTTP/1.1 200");
    }
}

#[tokio::test]
async fn an_early_response_does_not_stop_the_upload() {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let target = tokio::spawn(async move {
        loop {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap());
            }
            if head.starts_with(b"GET /health") {
                stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").await.unwrap();
                continue;
            }
            // The response begins before the body is read, and its end contains the length of the body.
            stream.write_all(b"HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n").await.unwrap();
            let mut body = vec![0; 1 << 20];
            stream.read_exact(&mut body).await.unwrap();
            stream.write_all(body.len().to_string().as_bytes()).await.unwrap();
            return;
        }
    });
    let pool = pool();
    pool.set_targets(&BTreeMap::from([(key("i-1"), Endpoint { from: Site::Host, address, reachable: true })]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    pool.configure(PoolSettings {
        in_use: true,
        check: HealthCheck { interval: Duration::from_secs(1_000_000), ..settings().check },
        ..settings()
    });
    let proxy = proxy(&pool, LONG).await;
    let request = Request::post("/").header("host", "h").body(Full::from(vec![b'x'; 1 << 20])).unwrap();
    assert_eq!(fetch(proxy.address(), request).await.text, (1 << 20).to_string());
    target.await.unwrap();
}
