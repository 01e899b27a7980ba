//! For tests: the contract of both dialects, as tables of requests and their exact responses.
//!
//! It applies to any running service with `AUTH=off`. A violation panics.
#![allow(clippy::unwrap_used, reason = "a test that cannot be set up has failed")]

mod a;
mod b;

use std::net::SocketAddr;

use kit::testing::send;
use serde_json::Value;

/// Request, body, status and response. `$1` is the ID of the first created task, and so on.
type Case = (&'static str, &'static str, u16, &'static str);

/// Response of both dialects for an unknown path.
const NOT_FOUND: &str = r#"{"detail":"Not found."}"#;

/// Checks the service at an address against both tables, and its headers. Deletes all its tasks.
///
/// # Panics
/// If a response differs from the contract.
pub fn keeps_its_contract(address: SocketAddr) {
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

/// Checks the service at an address against a table. Deletes all its tasks.
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
