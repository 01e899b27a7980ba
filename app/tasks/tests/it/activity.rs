//! The activity log.

use kit::testing::{Postgres, Served, connect, sqlite_url, wait_until};
use sea_orm::{EntityTrait, QueryOrder};
use serde_json::{Value, json};
use tasks::{activity::retention, entity::activity};

use crate::{block_on, serve, serve_behind, sign_in};

fn rows(url: &str) -> Vec<activity::Model> {
    block_on(async {
        let rows = activity::Entity::find().order_by_asc(activity::Column::Id);
        rows.all(&connect(url).await).await.unwrap()
    })
}

fn one_row_per_request(url: &str) {
    let service = serve_behind("127.0.0.0/8", url, &[("AUTH", "writes"), ("INSTANCE", "one")]);
    let (authorization, _) = sign_in(&service, "ana");
    let ana = ("Authorization", authorization.as_str());
    let task = r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#;
    service.send("GET /tasks/?secret=s3cret", "");
    service.send("POST /tasks/", task);
    service.send_with("POST /tasks/", &[ana, ("X-Forwarded-For", "203.0.113.7")], task);
    service.send_with("BREWINGTEAISMETHODTOO /tasks/%3Cb%3E", &[ana], "");
    service.send("GET /nowhere", "");
    service.send("GET /healthz", "");
    for file in ["/admin/style.css?v=1", "/admin/icon.svg", "/docs/swagger-ui.css", "/docs/start.js", "/favicon.ico"] {
        service.send(&format!("GET {file}"), "");
    }
    service.send("POST /tasks/", &"x".repeat(70_000));
    drop(service);

    // A graceful stop writes all rows.
    let rows = rows(url);
    let seen: Vec<_> = rows
        .iter()
        .map(|row| (row.username.as_deref(), row.method.as_str(), row.path.as_str(), row.status, row.client.as_str()))
        .collect();
    assert_eq!(
        seen,
        [
            (Some("ana"), "POST", "/auth/register", 201, "127.0.0.1"),
            (Some("ana"), "POST", "/auth/token", 200, "127.0.0.1"),
            (None, "GET", "/tasks/", 200, "127.0.0.1"),
            (None, "POST", "/tasks/", 401, "127.0.0.1"),
            (Some("ana"), "POST", "/tasks/", 201, "203.0.113.7"),
            (Some("ana"), "BREWINGTEAISMETH", "/tasks/%3Cb%3E", 405, "127.0.0.1"),
            (None, "GET", "/nowhere", 404, "127.0.0.1"),
            (None, "POST", "/tasks/", 413, "127.0.0.1"),
        ]
    );
    assert!(rows.iter().all(|row| row.instance == "one" && row.duration_us > 0), "{rows:?}");
    assert!(rows.is_sorted_by_key(|row| row.time));
}

#[test]
fn every_request_is_recorded_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    one_row_per_request(&sqlite_url(&directory));
}

#[test]
fn every_request_is_recorded_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        one_row_per_request(&postgres.url());
    }
}

fn old_rows_go(url: &str) {
    let service = serve(url);
    for _ in 0..3 {
        service.send("GET /tasks/", "");
    }
    let moment = chrono::Utc::now();
    service.send("GET /tasks/1", "");
    drop(service);
    let delete = |before| block_on(async { retention::delete(&connect(url).await, before).await.unwrap() });
    assert_eq!(delete(moment - chrono::TimeDelta::days(1)), 0);
    assert_eq!(delete(moment), 3);
    assert_eq!(delete(moment), 0);
    assert_eq!(rows(url).iter().map(|row| row.path.as_str()).collect::<Vec<_>>(), ["/tasks/1"]);
}

#[test]
fn old_rows_are_deleted_on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    old_rows_go(&sqlite_url(&directory));
}

#[test]
fn old_rows_are_deleted_on_postgres() {
    if let Some(postgres) = Postgres::start() {
        old_rows_go(&postgres.url());
    }
}

fn shown(service: &Served, authorization: &str, query: &str) -> Vec<Value> {
    let answer = service.send_with(&format!("GET /activity/{query}"), &[("Authorization", authorization)], "");
    assert_eq!(answer.status, 200, "{query}: {answer:?}");
    serde_json::from_str(&answer.body).unwrap()
}

#[test]
fn rows_are_filtered_and_limited() {
    let directory = tempfile::tempdir().unwrap();
    let service = serve(&sqlite_url(&directory));
    let (ana, _) = sign_in(&service, "ana");
    let (eva, _) = sign_in(&service, "eva");
    service.send_with("GET /tasks/1", &[("Authorization", &eva)], "");
    service.send("GET /tasks_/", "");
    wait_until("all is written", || shown(&service, &ana, "?path=/tasks_").len() == 1);

    let paths = |query: &str| {
        let rows = shown(&service, &ana, query);
        rows.iter().map(|row| row["path"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(paths("?user=eva"), ["/tasks/1", "/auth/token", "/auth/register"], "the latest first");
    assert_eq!(paths("?user=eva&limit=1"), ["/tasks/1"]);
    assert_eq!(paths("?user=eva&path=/auth/"), ["/auth/token", "/auth/register"]);
    assert_eq!(paths("?user=nobody"), [""; 0]);
    assert_eq!(paths("?path=/tasks_"), ["/tasks_/"], "no wildcards");
    assert_eq!(paths("?path=%25"), [""; 0]);
    assert_eq!(paths("?since=9999-01-01T00:00:00Z"), [""; 0]);
    let first = &shown(&service, &ana, "?user=ana&path=/auth/register")[0];
    let since = first["time"].as_str().unwrap();
    assert!(paths(&format!("?limit=1000&since={since}")).contains(&"/auth/register".to_owned()));
    let keys: Vec<_> = first.as_object().unwrap().keys().cloned().collect();
    assert_eq!(keys, ["client", "duration_ms", "instance", "method", "path", "status", "time", "user"]);

    for (query, fault) in [
        ("?limit=0", json!({ "limit": ["A whole number from 1 to 1000 is required."] })),
        ("?limit=1001", json!({ "limit": ["A whole number from 1 to 1000 is required."] })),
        ("?limit=many", json!({ "limit": ["A whole number from 1 to 1000 is required."] })),
        ("?since=yesterday", json!({ "since": [tasks::timestamp::WRONG] })),
        ("?user=%00", json!({ "user": ["Null characters are not allowed."] })),
    ] {
        let answer = service.send_with(&format!("GET /activity/{query}"), &[("Authorization", &ana)], "");
        assert_eq!((answer.status, answer.body), (400, fault.to_string()), "{query}");
    }
    // Reading tasks is public here, but the activity log needs a user.
    assert_eq!(service.send("GET /activity/", "").status, 401);
}

#[test]
fn rows_are_written_after_an_outage_of_the_database() {
    let Some(postgres) = Postgres::start() else {
        return;
    };
    let service = serve(&postgres.url());
    service.send("GET /tasks/1", "");
    postgres.suspend();
    for _ in 0..3 {
        assert_eq!(service.send("GET /tasks/2", "").status, 503);
    }
    postgres.resume();
    wait_until("all is written", || rows(&postgres.url()).len() == 4);
    let metrics = service.metrics();
    assert!(metrics.contains("\nactivity_dropped_total 0\n"), "{metrics}");
    assert!(metrics.contains("\nactivity_written_total 4\n"), "{metrics}");
}
