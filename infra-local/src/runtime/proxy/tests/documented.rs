//! Behaviour that AWS's documentation of Application Load Balancers promises, beside that of the other tests.

use super::*;

async fn proxied(settings: Settings) -> (Server, TargetPool, ProxyListener) {
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    let proxy = listener(Route { settings, ..forwards([(&pool, 1)]) }).await;
    (server, pool, proxy)
}

/// Sends bytes, and returns everything up to the end of the connection.
async fn exchange(proxy: &ProxyListener, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut text = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

/// Starts a server that responds to everything but health checks with these bytes and closes the connection.
async fn raw_server(response: Vec<u8>) -> (SocketAddr, JoinHandle<()>) {
    let server = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = server.local_addr().unwrap();
    let task = tokio::spawn(async move {
        loop {
            let (mut stream, _) = server.accept().await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                let Ok(byte) = stream.read_u8().await else { break };
                head.push(byte);
            }
            let checked = head.starts_with(b"GET /health");
            let text = if checked { b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n" } else { response.as_slice() };
            let _ = stream.write_all(text).await;
        }
    });
    (address, task)
}

#[tokio::test]
async fn headers_of_more_than_64_kilobytes_are_a_bad_request() {
    let (_server, _pool, proxy) = proxied(Settings::default()).await;
    let headers = |count: usize| {
        let line = format!("x-long: {}\r\n", "v".repeat(10_000));
        format!("GET / HTTP/1.1\r\nhost: h\r\nconnection: close\r\n{}\r\n", line.repeat(count))
    };
    assert!(exchange(&proxy, headers(6).as_bytes()).await.starts_with("HTTP/1.1 200"));
    assert!(exchange(&proxy, headers(7).as_bytes()).await.starts_with("HTTP/1.1 400"));
}

#[tokio::test]
async fn an_unsupported_transfer_coding_is_not_implemented() {
    let (_server, _pool, proxy) = proxied(Settings::default()).await;
    let head = "POST / HTTP/1.1\r\nhost: h\r\nconnection: close\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n";
    assert!(exchange(&proxy, head.as_bytes()).await.starts_with("HTTP/1.1 501"));
}

#[tokio::test]
async fn addresses_of_clients_are_appended_preserved_or_removed() {
    for (forwarded_for, client_port, expected) in [
        (ForwardedFor::Append, false, Some("x-forwarded-for: 203.0.113.7, 127.0.0.1\n")),
        (ForwardedFor::Append, true, Some("x-forwarded-for: 203.0.113.7, 127.0.0.1:")),
        (ForwardedFor::Preserve, true, Some("x-forwarded-for: 203.0.113.7\n")),
        (ForwardedFor::Remove, true, None),
    ] {
        let settings = Settings { forwarded_for, client_port, ..Settings::default() };
        let (_server, _pool, proxy) = proxied(settings).await;
        let request = Request::get("/").header("host", "h").header("x-forwarded-for", "203.0.113.7");
        let text = fetch(proxy.address(), request.body(Full::default()).unwrap()).await.text;
        match expected {
            Some(expected) => assert!(text.contains(expected), "{forwarded_for:?} {text}"),
            None => assert!(!text.contains("x-forwarded-for"), "{text}"),
        }
        assert!(text.contains("x-forwarded-proto: http") && text.contains("x-forwarded-port: "), "{text}");
    }
}

#[tokio::test]
async fn ambiguous_requests_are_forwarded_closed_or_blocked_by_mode() {
    let ambiguous = b"GET / HTTP/1.1\r\nhost: h\r\ncontent-length: 2\r\n\r\nab";
    for (desync, status, closes) in [
        (DesyncMode::Monitor, "HTTP/1.1 200", false),
        (DesyncMode::Defensive, "HTTP/1.1 200", true),
        (DesyncMode::Strictest, "HTTP/1.1 400", false),
    ] {
        // The connection ends by the idle timeout, unless it is closed after the response.
        let settings = Settings { desync, idle_timeout: Duration::from_millis(300), ..Settings::default() };
        let (server, _pool, proxy) = proxied(settings).await;
        let answer = exchange(&proxy, ambiguous).await;
        assert!(answer.starts_with(status), "{desync:?} {answer}");
        assert_eq!(answer.contains("connection: close"), closes, "{desync:?} {answer}");
        if closes {
            // The connection to the target is not reused either.
            let before = server.connections.load(Ordering::SeqCst);
            assert_eq!(get(&proxy, "/").await.status, StatusCode::OK);
            assert!(server.connections.load(Ordering::SeqCst) > before);
        }
    }
}

#[tokio::test]
async fn an_idle_client_is_disconnected() {
    let settings = Settings { idle_timeout: Duration::from_millis(100), ..Settings::default() };
    let (_server, _pool, proxy) = proxied(settings).await;
    let answer = exchange(&proxy, b"GET / HTTP/1.1\r\nhost: h\r\n\r\n").await;
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}

#[tokio::test]
async fn a_client_that_stops_sending_its_body_times_out() {
    let settings = Settings { idle_timeout: Duration::from_millis(200), ..Settings::default() };
    let (_server, _pool, proxy) = proxied(settings).await;
    // The target does not respond before the end of the body.
    let answer = exchange(&proxy, b"POST /slow HTTP/1.1\r\nhost: h\r\ncontent-length: 10\r\n\r\nabc").await;
    assert!(answer.starts_with("HTTP/1.1 408"), "{answer}");
}

#[tokio::test]
async fn invalid_responses_of_targets_are_a_bad_gateway() {
    let long = format!("HTTP/1.1 200 OK\r\nx-long: {}\r\ncontent-length: 0\r\n\r\n", "v".repeat(40_000));
    for response in [&b"nonsense\r\n\r\n"[..], b"", long.as_bytes()] {
        let (address, task) = raw_server(response.to_vec()).await;
        let pool = pool();
        pool.set_targets(&targets([("i-1", address)]));
        until_state(&pool, "i-1", HealthState::Healthy).await;
        let proxy = proxy(&pool, LONG).await;
        assert_eq!(get(&proxy, "/").await.status, StatusCode::BAD_GATEWAY);
        task.abort();
    }
}

#[tokio::test]
async fn a_request_that_outlasts_the_deregistration_delay_is_a_bad_gateway() {
    let server = Server::start("one").await;
    let pool = TargetPool::new("arn:targets", settings(), 1.0, watch::Sender::new(0));
    pool.set_targets(&targets([("i-1", server.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    let proxy = Arc::new(proxy(&pool, LONG).await);
    let slow = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move { get(&proxy, "/slow").await.status }
    });
    until("the request has reached the target", || pool.usable().outstanding() == 1).await;
    let mut client = TcpStream::connect(proxy.address()).await.unwrap();
    client.write_all(b"GET /stall HTTP/1.1\r\nhost: h\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    while !answer.ends_with(b"part\r\n") {
        answer.push(client.read_u8().await.unwrap());
    }
    pool.configure(PoolSettings { deregistration_delay: Duration::from_millis(100), ..settings() });
    pool.set_targets(&BTreeMap::new());
    assert_eq!(slow.await.unwrap(), StatusCode::BAD_GATEWAY);
    // The body of a response that has begun ends early.
    client.read_to_end(&mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200") && !answer.ends_with(b"0\r\n\r\n"));
}

#[tokio::test]
async fn requests_go_to_the_target_with_the_fewest_outstanding_requests() {
    let (one, two) = (Server::start("one").await, Server::start("two").await);
    let pool = pool();
    pool.configure(PoolSettings { algorithm: Algorithm::LeastOutstanding, ..settings() });
    pool.set_targets(&targets([("i-1", one.address), ("i-2", two.address)]));
    until_state(&pool, "i-1", HealthState::Healthy).await;
    until_state(&pool, "i-2", HealthState::Healthy).await;
    let proxy = Arc::new(proxy(&pool, LONG).await);
    let slow = tokio::spawn({
        let proxy = Arc::clone(&proxy);
        async move { get(&proxy, "/slow").await.text }
    });
    let busy = || pool.usable().busy();
    until("one target is busy", || busy() == 1).await;
    let mut seen = BTreeSet::new();
    for _ in 0..6 {
        seen.insert(get(&proxy, "/").await.text[..3].to_owned());
    }
    assert_eq!(seen.len(), 1, "{seen:?}");
    one.release.send_replace(true);
    two.release.send_replace(true);
    assert!(!seen.contains(&slow.await.unwrap()));
}
