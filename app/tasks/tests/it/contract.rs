//! The contract: requests and their exact answers, in order, starting from an empty database.

use kit::testing::{Postgres, exchange, sqlite_url, wait_until};

use crate::serve;

/// Request, body, status, answer.
type Case = (&'static str, &'static str, u16, &'static str);

const CASES: &[Case] = &[
    ("GET /healthz", "", 200, r#"{"status":"ok"}"#),
    ("GET /tasks/", "", 200, "[]"),
    ("GET /tasks", "", 301, ""),
    // Adding.
    (
        "POST /tasks/",
        r#"{"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
        201,
        r#"{"id":1,"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
    ),
    (
        "POST /tasks/",
        r#"{"title":"Ação \"ü\" 牛","pub_date":"2026-01-02 03:04:05","description":"a\nb"}"#,
        201,
        r#"{"id":2,"title":"Ação \"ü\" 牛","pub_date":"2026-01-02T03:04:05.000000Z","description":"a\nb"}"#,
    ),
    (
        "POST /tasks/",
        r#"{"title":" trimmed ","pub_date":"2026-01-02T03:04:05.999999+02:00","description":5,"id":99,"other":[]}"#,
        201,
        r#"{"id":3,"title":"trimmed","pub_date":"2026-01-02T01:04:05.999999Z","description":"5"}"#,
    ),
    // Reading.
    (
        "GET /tasks/",
        "",
        200,
        concat!(
            r#"[{"model":"tasks.task","pk":1,"fields":{"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123Z","description":"Two bottles"}},"#,
            r#"{"model":"tasks.task","pk":2,"fields":{"title":"Ação \"ü\" 牛","pub_date":"2026-01-02T03:04:05.000Z","description":"a\nb"}},"#,
            r#"{"model":"tasks.task","pk":3,"fields":{"title":"trimmed","pub_date":"2026-01-02T01:04:05.999Z","description":"5"}}]"#
        ),
    ),
    (
        "GET /tasks/1",
        "",
        200,
        r#"{"id":1,"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
    ),
    ("HEAD /tasks/1", "", 200, ""),
    // What is not there.
    ("GET /tasks/4", "", 404, NOT_FOUND),
    ("GET /tasks/0", "", 404, NOT_FOUND),
    ("GET /tasks/-1", "", 404, NOT_FOUND),
    ("GET /tasks/+1", "", 404, NOT_FOUND),
    ("GET /tasks/one", "", 404, NOT_FOUND),
    ("GET /tasks/9223372036854775807", "", 404, NOT_FOUND),
    ("GET /tasks/9223372036854775808", "", 404, NOT_FOUND),
    ("GET /tasks/%00", "", 404, NOT_FOUND),
    ("GET /tasks/%FF", "", 404, NOT_FOUND),
    ("GET /tasks/1/", "", 404, NOT_FOUND),
    ("GET /nowhere", "", 404, NOT_FOUND),
    ("PUT /tasks/4", "{}", 404, NOT_FOUND),
    ("PUT /tasks/one", "{}", 404, NOT_FOUND),
    ("DELETE /tasks/4", "", 404, NOT_FOUND),
    ("DELETE /tasks/one", "", 404, NOT_FOUND),
    // What cannot be added.
    (
        "POST /tasks/",
        "{}",
        400,
        r#"{"title":["This field is required."],"pub_date":["This field is required."],"description":["This field is required."]}"#,
    ),
    ("POST /tasks/", r#"{"title":"t","description":"d"}"#, 400, r#"{"pub_date":["This field is required."]}"#),
    (
        "POST /tasks/",
        r#"{"title":" ","pub_date":"yesterday","description":null}"#,
        400,
        concat!(
            r#"{"title":["This field may not be blank."],"#,
            r#""pub_date":["Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z]."],"#,
            r#""description":["This field may not be null."]}"#
        ),
    ),
    (
        "POST /tasks/",
        r#"{"title":["t"],"pub_date":"2026-01-02T03:04Z","description":"\u0000"}"#,
        400,
        r#"{"title":["Not a valid string."],"description":["Null characters are not allowed."]}"#,
    ),
    ("POST /tasks/", "[1]", 400, r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#),
    ("POST /tasks/", "{", 400, r#"{"detail":"JSON parse error - EOF while parsing an object at line 1 column 1"}"#),
    ("POST /tasks/", "", 400, r#"{"detail":"JSON parse error - EOF while parsing a value at line 1 column 0"}"#),
    ("POST /tasks/", "title=t", 400, r#"{"detail":"JSON parse error - expected ident at line 1 column 2"}"#),
    // Altering.
    (
        "PUT /tasks/1",
        r#"{"title":"Buy oats"}"#,
        201,
        r#"{"id":1,"title":"Buy oats","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
    ),
    (
        "PUT /tasks/1",
        r#"{"pub_date":"2027-01-01T00:00:00Z","description":"One bag"}"#,
        201,
        r#"{"id":1,"title":"Buy oats","pub_date":"2027-01-01T00:00:00.000000Z","description":"One bag"}"#,
    ),
    (
        "PUT /tasks/1",
        "{}",
        201,
        r#"{"id":1,"title":"Buy oats","pub_date":"2027-01-01T00:00:00.000000Z","description":"One bag"}"#,
    ),
    (
        "PUT /tasks/1",
        r#"{"title":"","description":null}"#,
        400,
        r#"{"title":["This field may not be blank."],"description":["This field may not be null."]}"#,
    ),
    ("PUT /tasks/1", "nonsense", 400, r#"{"detail":"JSON parse error - expected ident at line 1 column 2"}"#),
    // Removing.
    ("DELETE /tasks/1", "", 200, "Task successfully deleted!"),
    ("DELETE /tasks/1", "", 404, NOT_FOUND),
    ("GET /tasks/1", "", 404, NOT_FOUND),
    // Other methods.
    ("PATCH /tasks/2", "{}", 405, r#"{"detail":"Method \"PATCH\" not allowed."}"#),
    ("POST /tasks/2", "{}", 405, r#"{"detail":"Method \"POST\" not allowed."}"#),
    ("DELETE /tasks/", "", 405, r#"{"detail":"Method \"DELETE\" not allowed."}"#),
    ("OPTIONS /tasks/", "", 405, r#"{"detail":"Method \"OPTIONS\" not allowed."}"#),
    ("BREW /tasks/", "", 405, r#"{"detail":"Method \"BREW\" not allowed."}"#),
    ("POST /tasks", "{}", 405, r#"{"detail":"Method \"POST\" not allowed."}"#),
    // An id is not given twice.
    (
        "POST /tasks/",
        r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#,
        201,
        r#"{"id":4,"title":"t","pub_date":"2026-01-02T03:04:00.000000Z","description":"d"}"#,
    ),
];

const NOT_FOUND: &str = r#"{"detail":"Not found."}"#;

fn check(database_url: &str) {
    let service = serve(database_url);
    for (request, body, status, expected) in CASES {
        let answer = service.send(request, body);
        assert_eq!((answer.status, answer.body.as_str()), (*status, *expected), "{request} {body}");
        let kind = match expected.chars().next() {
            Some('[' | '{') => Some("application/json"),
            Some(_) => Some("text/plain; charset=utf-8"),
            None => answer.header("content-type"),
        };
        assert_eq!(answer.header("content-type"), kind, "{request} {body}");
    }
    assert_eq!(service.send("GET /tasks", "").header("location"), Some("/tasks/"));
    assert_eq!(service.send("PATCH /tasks", "").header("allow"), Some("GET, HEAD"));
    assert_eq!(service.send("PATCH /tasks/", "").header("allow"), Some("GET, HEAD, POST"));
    assert_eq!(service.send("PATCH /tasks/2", "").header("allow"), Some("GET, HEAD, PUT, DELETE"));
}

#[test]
fn on_sqlite() {
    let directory = tempfile::tempdir().unwrap();
    check(&sqlite_url(&directory));
}

#[test]
fn on_postgres() {
    if let Some(postgres) = Postgres::start() {
        check(&postgres.url());
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
