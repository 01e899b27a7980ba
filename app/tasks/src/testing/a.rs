//! Dialect A: requests and their exact responses, in order.

use super::{Case, NOT_FOUND};

pub(super) const CASES: &[Case] = &[
    ("GET /tasks/", "", 200, "[]"),
    ("GET /tasks", "", 301, ""),
    // Create.
    (
        "POST /tasks/",
        r#"{"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
        201,
        r#"{"id":$1,"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
    ),
    (
        "POST /tasks/",
        r#"{"title":"Ação \"ü\" 牛","pub_date":"2026-01-02 03:04:05","description":"a\nb"}"#,
        201,
        r#"{"id":$2,"title":"Ação \"ü\" 牛","pub_date":"2026-01-02T03:04:05.000000Z","description":"a\nb"}"#,
    ),
    (
        "POST /tasks/",
        r#"{"title":" trimmed ","pub_date":"2026-01-02T03:04:05.999999+02:00","description":5,"id":99,"other":[]}"#,
        201,
        r#"{"id":$3,"title":"trimmed","pub_date":"2026-01-02T01:04:05.999999Z","description":"5"}"#,
    ),
    // Read.
    (
        "GET /tasks/",
        "",
        200,
        concat!(
            r#"[{"model":"tasks.task","pk":$1,"fields":{"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123Z","description":"Two bottles"}},"#,
            r#"{"model":"tasks.task","pk":$2,"fields":{"title":"Ação \"ü\" 牛","pub_date":"2026-01-02T03:04:05.000Z","description":"a\nb"}},"#,
            r#"{"model":"tasks.task","pk":$3,"fields":{"title":"trimmed","pub_date":"2026-01-02T01:04:05.999Z","description":"5"}}]"#
        ),
    ),
    (
        "GET /tasks/$1",
        "",
        200,
        r#"{"id":$1,"title":"Buy milk","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
    ),
    ("HEAD /tasks/$1", "", 200, ""),
    // Missing tasks.
    ("GET /tasks/9999999999", "", 404, NOT_FOUND),
    ("GET /tasks/0", "", 404, NOT_FOUND),
    ("GET /tasks/-1", "", 404, NOT_FOUND),
    ("GET /tasks/+1", "", 404, NOT_FOUND),
    ("GET /tasks/one", "", 404, NOT_FOUND),
    ("GET /tasks/9223372036854775807", "", 404, NOT_FOUND),
    ("GET /tasks/9223372036854775808", "", 404, NOT_FOUND),
    ("GET /tasks/%00", "", 404, NOT_FOUND),
    ("GET /tasks/%FF", "", 404, NOT_FOUND),
    ("GET /tasks/$1/", "", 404, NOT_FOUND),
    ("GET /nowhere", "", 404, NOT_FOUND),
    ("PUT /tasks/9999999999", "{}", 404, NOT_FOUND),
    ("PUT /tasks/one", "{}", 404, NOT_FOUND),
    ("DELETE /tasks/9999999999", "", 404, NOT_FOUND),
    ("DELETE /tasks/one", "", 404, NOT_FOUND),
    // Invalid new tasks.
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
    // Change.
    (
        "PUT /tasks/$1",
        r#"{"title":"Buy oats"}"#,
        201,
        r#"{"id":$1,"title":"Buy oats","pub_date":"2026-01-02T03:04:05.123456Z","description":"Two bottles"}"#,
    ),
    (
        "PUT /tasks/$1",
        r#"{"pub_date":"2027-01-01T00:00:00Z","description":"One bag"}"#,
        201,
        r#"{"id":$1,"title":"Buy oats","pub_date":"2027-01-01T00:00:00.000000Z","description":"One bag"}"#,
    ),
    (
        "PUT /tasks/$1",
        "{}",
        201,
        r#"{"id":$1,"title":"Buy oats","pub_date":"2027-01-01T00:00:00.000000Z","description":"One bag"}"#,
    ),
    (
        "PUT /tasks/$1",
        r#"{"title":"","description":null}"#,
        400,
        r#"{"title":["This field may not be blank."],"description":["This field may not be null."]}"#,
    ),
    ("PUT /tasks/$1", "nonsense", 400, r#"{"detail":"JSON parse error - expected ident at line 1 column 2"}"#),
    // Delete.
    ("DELETE /tasks/$1", "", 200, "Task successfully deleted!"),
    ("DELETE /tasks/$1", "", 404, NOT_FOUND),
    ("GET /tasks/$1", "", 404, NOT_FOUND),
    // Other methods.
    ("PATCH /tasks/$2", "{}", 405, r#"{"detail":"Method \"PATCH\" not allowed."}"#),
    ("POST /tasks/$2", "{}", 405, r#"{"detail":"Method \"POST\" not allowed."}"#),
    ("DELETE /tasks/", "", 405, r#"{"detail":"Method \"DELETE\" not allowed."}"#),
    ("OPTIONS /tasks/", "", 405, r#"{"detail":"Method \"OPTIONS\" not allowed."}"#),
    ("BREW /tasks/", "", 405, r#"{"detail":"Method \"BREW\" not allowed."}"#),
    ("POST /tasks", "{}", 405, r#"{"detail":"Method \"POST\" not allowed."}"#),
    // IDs are not reused.
    (
        "POST /tasks/",
        r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#,
        201,
        r#"{"id":$4,"title":"t","pub_date":"2026-01-02T03:04:00.000000Z","description":"d"}"#,
    ),
];
