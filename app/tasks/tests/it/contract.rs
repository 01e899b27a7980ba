//! The contract of both dialects, and further properties of the API.
//!
//! `tasks::testing` contains the tables. They apply to the service on SQLite and on PostgreSQL, and to any service that is
//! deployed with `AUTH=off`: `TASKS_CONTRACT_URL=http://HOST:PORT cargo test -p tasks --test it -- --ignored at_a_url`.

use std::{collections::BTreeSet, net::ToSocketAddrs, thread};

use kit::testing::{Answer, Postgres, send, sqlite_url, wait_until};
use serde_json::{Value, json};
use tasks::testing::keeps_its_contract;

use crate::serve;

#[test]
#[ignore = "needs TASKS_CONTRACT_URL, and deletes the tasks there"]
fn at_a_url() {
    let url = std::env::var("TASKS_CONTRACT_URL").expect("TASKS_CONTRACT_URL=http://HOST:PORT");
    let host = url.strip_prefix("http://").expect("a URL that starts with http://").trim_end_matches('/');
    keeps_its_contract(host.to_socket_addrs().unwrap().next().unwrap());
}

#[test]
fn on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    keeps_its_contract(serve(&sqlite_url(&directory)).address);
}

#[test]
fn on_postgres() {
    if let Some(postgres) = Postgres::start() {
        keeps_its_contract(serve(&postgres.url()).address);
    }
}

/// Concurrent requests share statements, and each receives its own task.
fn each_gets_its_own(url: &str) {
    let service = serve(url);
    let address = service.address;
    let parsed = |answer: &Answer| serde_json::from_str::<Value>(&answer.body).unwrap();
    thread::scope(|scope| {
        for client in 0..16 {
            scope.spawn(move || {
                for turn in 0..8 {
                    // Some tasks are equal.
                    let title = format!("task {}", (client * 8 + turn) % 100);
                    let body = json!({ "title": title, "pub_date": "2026-01-02T03:04Z", "description": "d" });
                    let created = send(address, "POST /tasks/", &[], &body.to_string());
                    assert_eq!((created.status, &parsed(&created)["title"]), (201, &json!(title)));
                    let found = send(address, &format!("GET /tasks/{}", parsed(&created)["id"]), &[], "");
                    assert_eq!((found.status, parsed(&found)), (200, parsed(&created)));
                    assert_eq!(send(address, &format!("GET /tasks/{}", 1_000_000 + client), &[], "").status, 404);
                }
            });
        }
    });
    let listed = parsed(&service.send("GET /tasks/", ""));
    let ids: BTreeSet<_> = listed.as_array().unwrap().iter().map(|task| task["pk"].as_i64().unwrap()).collect();
    assert_eq!(ids.len(), 16 * 8);
}

#[test]
fn concurrent_requests_receive_their_own_tasks_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    each_gets_its_own(&sqlite_url(&directory));
}

#[test]
fn concurrent_requests_receive_their_own_tasks_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        each_gets_its_own(&postgres.url());
    }
}

#[test]
fn length_limits_count_characters() {
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
    for path in ["/tasks/", "/tasks/post"] {
        for kind in [&[][..], &[("Content-Type", "text/plain")], &[("Content-Type", "nonsense")]] {
            assert_eq!(service.send_with(&format!("POST {path}"), kind, body).status, 201, "{path} {kind:?}");
        }
    }
}

#[test]
fn a_lost_database_is_503_until_it_is_back() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let service = serve(&postgres.url());
    let body = concat!(
        r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d","#,
        r#""username":"ana","password":"correct horse","refresh":"r"}"#
    );
    assert_eq!(service.send("POST /tasks/", body).status, 201);

    postgres.suspend();
    let detail = r#"{"detail":"The database is unavailable. Try again shortly."}"#;
    for request in [
        "GET /tasks/",
        "GET /tasks/1",
        "POST /tasks/",
        "PUT /tasks/1",
        "DELETE /tasks/1",
        "GET /tasks/get_all",
        "GET /tasks/get_single/1",
        "POST /tasks/post",
        "PUT /tasks/update/1",
        "DELETE /tasks/delete/1",
        "DELETE /tasks/delete_all",
        "POST /auth/register",
        "POST /auth/token",
        "POST /auth/refresh",
    ] {
        let answer = service.send(request, body);
        assert_eq!((answer.status, answer.body.as_str()), (503, detail), "{request}");
    }
    let health = service.send("GET /healthz", "");
    assert_eq!((health.status, health.body.as_str()), (503, r#"{"status":"unavailable"}"#));

    postgres.resume();
    wait_until("the service has healed", || service.send("GET /healthz", "").status == 200);
    assert_eq!(service.send("GET /tasks/1", "").status, 200);
}
