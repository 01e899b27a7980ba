//! Requests and responses pass the orchestrator intact.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::{TcpListener, TcpStream},
    sync::{Arc, Mutex},
    thread,
};

use kit::testing::{Postgres, exchange, wait_until};
use serde_json::json;

use super::{
    Kind, System,
    system::{FIRST_PORT, free_host, script},
    with_both_runtimes,
};

/// A raw HTTP server in the place of an instance. It is healthy, and records all other requests.
struct Recorder(Arc<Mutex<Vec<String>>>);

impl Recorder {
    fn start(listener: TcpListener, response: &'static str) -> Self {
        let requests = Arc::new(Mutex::new(Vec::new()));
        let recorded = Arc::clone(&requests);
        thread::spawn(move || {
            for stream in listener.incoming() {
                let recorded = Arc::clone(&recorded);
                thread::spawn(move || serve(&stream.unwrap(), response, &recorded));
            }
        });
        Self(requests)
    }

    fn last(&self) -> String {
        self.0.lock().unwrap().last().cloned().unwrap_or_default()
    }
}

fn serve(mut stream: &TcpStream, response: &str, recorded: &Mutex<Vec<String>>) {
    let mut reader = BufReader::new(stream);
    loop {
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            // The orchestrator has closed the connection, or was killed.
            if !matches!(reader.read_line(&mut head), Ok(1..)) {
                return;
            }
        }
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: "));
        let mut body = vec![0; length.map_or(0, |length| length.parse().unwrap())];
        reader.read_exact(&mut body).unwrap();
        let is_health = head.starts_with("GET /api/v1/_health ");
        if !is_health {
            recorded.lock().unwrap().push(head + &String::from_utf8(body).unwrap());
        }
        let answer = if is_health { "HTTP/1.1 200 OK\r\ncontent-length: 2\r\n\r\n{}" } else { response };
        if stream.write_all(answer.as_bytes()).is_err() {
            return;
        }
    }
}

/// Starts an orchestrator whose instance is a recorder with this response.
fn recorded(response: &'static str, settings: &[(&str, &str)]) -> (System, Recorder) {
    let host = free_host();
    let recorder = Recorder::start(TcpListener::bind((host, FIRST_PORT)).unwrap(), response);
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), "exec sleep 600");
    let settings: Vec<_> = settings.iter().copied().chain([("PROGRAM", &program[..])]).collect();
    let system = System::start_at(host, Kind::Processes, &settings);
    system.wait_for(1);
    (system, recorder)
}

#[test]
fn requests_are_forwarded_intact() {
    let (system, recorder) = recorded("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", &[]);
    let request = concat!(
        "POST /api/v1/a%2Fb/..%20/?x=1&x=%26&y HTTP/1.1\r\n",
        "Host: selfieless.example.org\r\n",
        "Origin: http://acts.example.org\r\n",
        "Content-Type: application/json\r\n",
        "X-Twice: 1\r\nX-Twice: 2\r\n",
        "X-Private: secret\r\n",
        "X-Request-Id: abc\r\n",
        "Connection: close, x-private\r\n",
        "Content-Length: 9\r\n\r\n{\"a\":\"é\"}"
    );
    let request = request.replace("Content-Length: 9", "Content-Length: 10");
    let answer = exchange(system.address, &request);
    assert_eq!(answer.status, 200);
    assert_eq!(answer.header("x-request-id"), Some("abc"));
    let received = recorder.last();
    let (head, body) = received.split_once("\r\n\r\n").unwrap();
    assert_eq!(body, "{\"a\":\"é\"}");
    let mut lines = head.lines();
    assert_eq!(lines.next(), Some("POST /api/v1/a%2Fb/..%20/?x=1&x=%26&y HTTP/1.1"));
    let mut lines: Vec<_> = lines.collect();
    lines.sort_unstable();
    assert_eq!(
        lines,
        [
            "content-length: 10",
            "content-type: application/json",
            "host: selfieless.example.org",
            "origin: http://acts.example.org",
            "via: 1.1 orchestrator",
            "x-forwarded-for: 127.0.0.1",
            "x-request-id: abc",
            "x-twice: 1",
            "x-twice: 2",
        ]
    );
}

#[test]
fn responses_are_forwarded_intact() {
    let response = concat!(
        "HTTP/1.1 418 I'm a teapot\r\n",
        "Content-Type: text/x-tea\r\nX-Twice: 1\r\nX-Twice: 2\r\nX-Private: 1\r\nConnection: keep-alive, x-private\r\n",
        "Content-Length: 4\r\n\r\ntea\n"
    );
    let (system, recorder) = recorded(response, &[]);
    for method in ["GET", "POST", "DELETE", "OPTIONS", "BREW"] {
        let answer = system.send(&format!("{method} /api/v1/pot"), "");
        assert_eq!((answer.status, answer.body.as_str()), (418, "tea\n"), "{method}");
        assert_eq!(answer.header("content-type"), Some("text/x-tea"));
        assert_eq!(answer.header("content-length"), Some("4"));
        assert_eq!(answer.headers.iter().filter(|(name, _)| name == "x-twice").count(), 2);
        assert_eq!(answer.header("x-private"), None);
        assert!(recorder.last().starts_with(&format!("{method} /api/v1/pot HTTP/1.1\r\n")));
    }
}

#[test]
fn chunked_responses_and_heads_are_forwarded() {
    let (system, _recorder) =
        recorded("HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n2\r\nde\r\n0\r\n\r\n", &[]);
    let answer = system.send("GET /api/v1/x", "");
    assert_eq!(answer.header("transfer-encoding"), Some("chunked"));
    assert!(answer.body.replace("\r\n", "").contains("abc"), "{answer:?}");
    drop(system);

    let (system, _recorder) = recorded("HTTP/1.1 200 OK\r\nContent-Length: 1234\r\n\r\n", &[]);
    let answer = system.send("HEAD /api/v1/x", "");
    assert_eq!((answer.status, answer.header("content-length"), answer.body.as_str()), (200, Some("1234"), ""));
}

#[test]
fn bodies_above_the_limit_are_refused() {
    let (system, recorder) = recorded("HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n", &[("LIMIT_BODY_BYTES", "1000")]);
    assert_eq!(system.send("POST /api/v1/acts", &"x".repeat(1000)).status, 200);
    assert!(recorder.last().ends_with(&"x".repeat(1000)));
    assert_eq!(system.send("POST /api/v1/acts", &"x".repeat(1001)).status, 413);
    assert!(recorder.last().ends_with(&format!("\r\n\r\n{}", "x".repeat(1000))), "it is not forwarded");
}

#[test]
fn a_lost_response_is_502_unless_the_request_is_idempotent() {
    let host = free_host();
    let listener = TcpListener::bind((host, FIRST_PORT)).unwrap();
    let received = Arc::new(Mutex::new(Vec::new()));
    let recorded = Arc::clone(&received);
    thread::spawn(move || {
        for stream in listener.incoming() {
            let stream = stream.unwrap();
            let recorded = Arc::clone(&recorded);
            // Closes the connection after the head of any request but a health check.
            thread::spawn(move || {
                let mut line = String::new();
                BufReader::new(&stream).read_line(&mut line).unwrap();
                if line.starts_with("GET /api/v1/_health ") {
                    let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\n{}";
                    let _ = (&stream).write_all(answer);
                } else {
                    recorded.lock().unwrap().push(line);
                }
            });
        }
    });
    let directory = tempfile::tempdir().unwrap();
    let program = script(directory.path(), "exec sleep 600");
    let system = System::start_at(host, Kind::Processes, &[("PROGRAM", &program)]);
    system.wait_for(1);
    let answer = system.send("POST /api/v1/acts", "{}");
    assert_eq!(answer.status, 502, "{answer:?}");
    assert_eq!(received.lock().unwrap().len(), 1, "a write is not repeated");
    system.wait_for(1);
    // Its next health check succeeds, so the instance is not replaced.
    assert_eq!(system.count("replaced"), 0);
    assert_eq!(system.send("GET /api/v1/categories", "").status, 503);
}

fn healthy_instances_take_strict_turns(kind: Kind) {
    take_strict_turns(kind, &[]);
}

#[test]
fn processes_take_strict_turns_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        take_strict_turns(Kind::Processes, &[("DATABASE_URL", &postgres.url())]);
    }
}

fn take_strict_turns(kind: Kind, settings: &[(&str, &str)]) {
    let settings: Vec<_> = settings.iter().copied().chain([("MINIMUM", "3"), ("MAX_INSTANCES", "3")]).collect();
    let system = System::start(kind, &settings);
    system.wait_for(3);
    for turn in 1..=4 {
        for _ in 0..3 {
            assert_eq!(system.send("GET /api/v1/acts/count", "").body, "[0]");
        }
        wait_until("all responses are complete", || {
            system.instances().iter().all(|instance| instance["served"] == turn && instance["in_flight"] == 0)
        });
    }
    // A health check of a client is forwarded, and is no request of the window.
    assert_eq!(system.send("GET /api/v1/_health", "").body, "{}");
    let status = system.status();
    assert_eq!(status["window"]["requests"], 12);
    assert_eq!(status["window"]["seconds"], 3600.0);
    assert!(status["window"]["ends"].as_str().is_some_and(|end| end.ends_with('Z')), "{status}");
    assert_eq!(status["counts"]["forwarded"], 13);
    assert_eq!(status["instances"][2]["port"], FIRST_PORT + 2);
    // All instances share the database.
    assert_eq!(system.send("GET /api/v1/_count", "").body, "[12]");
    assert_eq!(system.send("POST /api/v1/categories", r#"["a/b é"]"#).status, 201);
    for _ in 0..3 {
        assert_eq!(system.send("GET /api/v1/categories/a%2Fb%20%C3%A9/acts/size?x=1", "").body, "[0]");
        assert_eq!(system.send("GET /api/v1/categories", "").body, json!({ "a/b é": 0 }).to_string());
    }
}

with_both_runtimes! {
    healthy_instances_take_strict_turns, processes_take_strict_turns, containers_take_strict_turns;
}

#[test]
fn the_orchestrator_answers_its_own_paths() {
    let system = System::start(Kind::Processes, &[]);
    system.wait_for(1);
    let page = system.send("GET /", "");
    assert!(page.body.starts_with("<!doctype html>"), "{page:?}");
    let policy = page.header("content-security-policy").unwrap();
    assert!(policy.starts_with("default-src 'none'; script-src 'self';"), "{policy}");
    for (path, kind) in [("app.js", "text/javascript; charset=utf-8"), ("style.css", "text/css; charset=utf-8")] {
        assert_eq!(system.send(&format!("GET /static/{path}"), "").header("content-type"), Some(kind));
    }
    assert_eq!(system.send("POST /", "").status, 405);
    assert_eq!(system.send("DELETE /_orchestrator", "").status, 405);
    assert_eq!(system.send("GET /healthz", "").status, 200);
    for path in ["/static/../Cargo.toml", "/static/none", "/nowhere", "/api/v2/acts"] {
        assert_eq!(system.send(&format!("GET {path}"), "").status, 404, "{path}");
    }
    assert_eq!(system.status()["window"]["requests"], 0);
    assert_eq!(system.status()["window"]["ends"], serde_json::Value::Null);
}
