//! Malicious requests, which try to confuse the proxy or the target.

use super::*;

async fn proxied() -> (Server, ProxyListener) {
    let server = Server::start("one").await;
    let pool = pool();
    pool.set_targets(&targets([("i-1", server.address)]));
    let proxy = proxy(&pool, LONG).await;
    (server, proxy)
}

/// Sends bytes, and returns the complete response.
async fn exchange(proxy: &ProxyListener, bytes: &[u8]) -> String {
    let mut stream = TcpStream::connect(proxy.address()).await.unwrap();
    stream.write_all(bytes).await.unwrap();
    let mut text = Vec::new();
    tokio::time::timeout(LONG, stream.read_to_end(&mut text)).await.unwrap().unwrap();
    String::from_utf8_lossy(&text).into_owned()
}

#[tokio::test]
async fn connection_options_cannot_strip_end_to_end_headers() {
    let (_server, proxy) = proxied().await;
    let request = Request::get("/")
        .header("host", "shop.example.org")
        .header("authorization", "Bearer x")
        .header("connection", "host, authorization, x-private")
        .header("x-private", "1")
        .body(Full::default())
        .unwrap();
    let answer = fetch(proxy.address(), request).await;
    assert!(answer.text.contains("host: shop.example.org"), "{}", answer.text);
    assert!(answer.text.contains("authorization: Bearer x"), "{}", answer.text);
    assert!(!answer.text.contains("x-private"), "{}", answer.text);
}

#[tokio::test]
async fn a_malformed_chunk_is_the_client_s_error() {
    let (_server, proxy) = proxied().await;
    let head = "POST /echo HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n";
    for body in ["zz\r\nhello\r\n0\r\n\r\n", "5;\r\nhel", "ffffffffffffffffff\r\nx"] {
        let mut bytes = [head, body].concat().into_bytes();
        if body.starts_with("5;") {
            // The chunk is not followed by a line end.
            bytes.extend(b"loXX0\r\n\r\n");
        }
        let answer = exchange(&proxy, &bytes).await;
        assert!(answer.starts_with("HTTP/1.1 400"), "{body:?}: {answer}");
    }
    let answer = exchange(&proxy, [head, "5\r\nhello\r\n0\r\n\r\n"].concat().as_bytes()).await;
    assert!(answer.starts_with("HTTP/1.1 200") && answer.contains("hello"), "{answer}");
}
