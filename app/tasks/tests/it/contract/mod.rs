//! The contract of both dialects: one table each of requests and their exact answers, starting from no tasks.
//!
//! The tables are run against the service on SQLite and on PostgreSQL, and against any that is deployed with `AUTH=off`:
//! `TASKS_CONTRACT_URL=http://HOST:PORT cargo test -p tasks --test it -- --ignored at_a_url`. That deletes its tasks.

mod a;
mod b;

use std::net::{SocketAddr, ToSocketAddrs};

use kit::testing::{Postgres, exchange, send, sqlite_url, wait_until};
use serde_json::Value;

use crate::serve;

/// Request, body, status, answer. `$1` is the id of the first task that was added, and so on.
type Case = (&'static str, &'static str, u16, &'static str);

/// What both dialects say of a path that is none.
const NOT_FOUND: &str = r#"{"detail":"Not found."}"#;

/// Runs a table against the service at an address, which loses all its tasks.
fn check(address: SocketAddr, cases: &[Case]) {
    assert_eq!(send(address, "DELETE /tasks/delete_all", &[], "").status, 201);
    let mut ids: Vec<i64> = Vec::new();
    let fill = |text: &str, ids: &[i64]| {
        let numbered = ids.iter().enumerate();
        numbered.fold(text.to_owned(), |text, (at, id)| text.replace(&format!("${}", at + 1), &id.to_string()))
    };
    for (request, body, status, expected) in cases {
        let answer = send(address, &fill(request, &ids), &[], body);
        if request.starts_with("POST") && answer.status == 201 {
            let id = serde_json::from_str::<Value>(&answer.body).unwrap()["id"].as_i64().unwrap();
            assert!(ids.iter().all(|known| *known < id), "{request} {body} gave {id} after {ids:?}");
            ids.push(id);
        }
        let expected = fill(expected, &ids);
        assert_eq!((answer.status, answer.body.as_str()), (*status, expected.as_str()), "{request} {body}");
        let kind = match expected.chars().next() {
            Some('[' | '{') => Some("application/json"),
            Some(_) => Some("text/plain; charset=utf-8"),
            None => answer.header("content-type"),
        };
        assert_eq!(answer.header("content-type"), kind, "{request} {body}");
    }
}

/// Runs both tables, and what stands in headers.
fn check_both(address: SocketAddr) {
    check(address, a::CASES);
    check(address, b::CASES);
    assert_eq!(send(address, "GET /tasks", &[], "").header("location"), Some("/tasks/"));
    for (path, allowed) in [
        ("/tasks", "GET, HEAD"),
        ("/tasks/", "GET, HEAD, POST"),
        ("/tasks/2", "GET, HEAD, PUT, DELETE"),
        ("/tasks/get_all", "GET, HEAD"),
        ("/tasks/get_single/2", "GET, HEAD"),
        ("/tasks/post", "POST"),
        ("/tasks/update/2", "PUT"),
        ("/tasks/delete/2", "DELETE"),
        ("/tasks/delete_all", "DELETE"),
    ] {
        assert_eq!(send(address, &format!("PATCH {path}"), &[], "").header("allow"), Some(allowed), "{path}");
    }
}

#[test]
#[ignore = "needs TASKS_CONTRACT_URL, and deletes the tasks there"]
fn at_a_url() {
    let url = std::env::var("TASKS_CONTRACT_URL").expect("TASKS_CONTRACT_URL=http://HOST:PORT");
    let host = url.strip_prefix("http://").expect("a URL that starts with http://").trim_end_matches('/');
    check_both(host.to_socket_addrs().unwrap().next().unwrap());
}

#[test]
fn on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    check_both(serve(&sqlite_url(&directory)).address);
}

#[test]
fn on_postgres() {
    if let Some(postgres) = Postgres::start() {
        check_both(serve(&postgres.url()).address);
    }
}

#[test]
fn the_limits_count_characters() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let task = |title: usize, description: usize| {
        let (title, description) = ("é".repeat(title), "牛".repeat(description));
        format!(r#"{{"title":"{title}","pub_date":"2026-01-02T03:04Z","description":"{description}"}}"#)
    };
    assert_eq!(service.send("POST /tasks/", &task(200, 500)).status, 201);
    let refused = service.send("POST /tasks/", &task(201, 501));
    let faults = r#"{"title":["Ensure this field has no more than 200 characters."],"description":["Ensure this field has no more than 500 characters."]}"#;
    assert_eq!((refused.status, refused.body.as_str()), (400, faults));
}

#[test]
fn the_content_type_does_not_matter() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let body = r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#;
    for kind in ["", "Content-Type: text/plain\r\n", "Content-Type: nonsense\r\n"] {
        let length = body.len();
        let head = format!("POST /tasks/ HTTP/1.1\r\nHost: x\r\nConnection: close\r\n{kind}Content-Length: {length}");
        assert_eq!(exchange(service.address, &format!("{head}\r\n\r\n{body}")).status, 201, "{kind}");
    }
}

#[test]
fn a_lost_database_is_503_until_it_is_back() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let service = serve(&postgres.url());
    let body = r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#;
    assert_eq!(service.send("POST /tasks/", body).status, 201);

    postgres.suspend();
    let detail = r#"{"detail":"The database does not answer. Try again shortly."}"#;
    for request in ["GET /tasks/", "GET /tasks/1", "POST /tasks/", "PUT /tasks/1", "DELETE /tasks/1"] {
        let answer = service.send(request, body);
        assert_eq!((answer.status, answer.body.as_str()), (503, detail), "{request}");
    }
    let health = service.send("GET /healthz", "");
    assert_eq!((health.status, health.body.as_str()), (503, r#"{"status":"unavailable"}"#));

    postgres.resume();
    wait_until("the service has healed", || service.send("GET /healthz", "").status == 200);
    assert_eq!(service.send("GET /tasks/1", "").status, 200);
}
