//! Requests of the service `acts` to the service `users`.

use std::{
    io::{BufRead, BufReader, Write},
    net::TcpListener,
    thread::{self, JoinHandle},
};

use kit::testing::{Served, send, sqlite_url};

use crate::{act, serve_acts};

/// Accepts one connection, sends a raw response, and returns the head of the request.
fn respond_once(listener: TcpListener, response: &'static str) -> JoinHandle<String> {
    thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let mut lines = BufReader::new(stream.try_clone().unwrap()).lines().map(Result::unwrap);
        let head: Vec<_> = lines.by_ref().take_while(|line| !line.is_empty()).collect();
        stream.write_all(response.as_bytes()).unwrap();
        head.join("\n")
    })
}

/// Starts the service `acts` with a category, and a listener in the place of the balancer.
fn serve(directory: &tempfile::TempDir) -> (Served, TcpListener) {
    let balancer = TcpListener::bind("127.0.0.1:0").unwrap();
    let acts = serve_acts(&sqlite_url(directory), "acts", &format!("http://{}", balancer.local_addr().unwrap()));
    assert_eq!(acts.send("POST /api/v1/categories", r#"["trees"]"#).status, 201);
    (acts, balancer)
}

#[test]
fn the_request_contains_the_origin() {
    let directory = tempfile::tempdir().unwrap();
    let (acts, balancer) = serve(&directory);
    let host = balancer.local_addr().unwrap();
    let request = respond_once(balancer, "HTTP/1.1 200 OK\r\ncontent-length: 7\r\n\r\n[\"ana\"]");
    assert_eq!(acts.send("POST /api/v1/acts", &act(1, "ana", "trees")).status, 201);
    let request = request.join().unwrap();
    assert!(request.starts_with("GET /api/v1/users HTTP/1.1\n"), "{request}");
    assert!(request.lines().any(|line| line == "origin: http://acts.test"), "{request}");
    assert!(request.lines().any(|line| line == format!("host: {host}")), "{request}");
}

#[test]
fn nothing_is_stored_while_the_users_are_unavailable() {
    for response in [
        "",
        "HTTP/1.1 503 Service Unavailable\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}",
        "HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\n[\"a\"",
        "nonsense\r\n\r\n",
    ] {
        let directory = tempfile::tempdir().unwrap();
        let (acts, balancer) = serve(&directory);
        let served = respond_once(balancer, response);
        let refused = acts.send("POST /api/v1/acts", &act(1, "ana", "trees"));
        assert_eq!(refused.status, 503, "{response}: {refused:?}");
        assert!(refused.body.contains("The service users is unavailable"), "{refused:?}");
        assert_eq!(acts.send("GET /api/v1/acts/count", "").body, "[0]");
        served.join().unwrap();
    }
}

#[test]
fn a_missing_service_is_503() {
    let directory = tempfile::tempdir().unwrap();
    let (acts, balancer) = serve(&directory);
    drop(balancer);
    assert_eq!(acts.send("POST /api/v1/acts", &act(1, "ana", "trees")).status, 503);
}

#[test]
fn a_service_that_does_not_respond_is_503() {
    let directory = tempfile::tempdir().unwrap();
    // The connection is accepted by the operating system only.
    let (acts, _balancer) = serve(&directory);
    assert_eq!(acts.send("POST /api/v1/acts", &act(1, "ana", "trees")).status, 503);
    assert_eq!(acts.send("GET /api/v1/acts/count", "").body, "[0]");
}

#[test]
fn no_users_means_an_unknown_user() {
    let directory = tempfile::tempdir().unwrap();
    let (acts, balancer) = serve(&directory);
    let served = respond_once(balancer, "HTTP/1.1 204 No Content\r\n\r\n");
    let refused = send(acts.address, "POST /api/v1/acts", &[], &act(1, "ana", "trees"));
    assert_eq!((refused.status, refused.body.as_str()), (400, r#"{"detail":"There is no user \"ana\"."}"#));
    served.join().unwrap();
}
