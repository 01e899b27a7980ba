//! Dialect B: requests and their exact responses, in order.

use super::{Case, NOT_FOUND};

/// Response of dialect B for a missing task.
const MISSING: &str = "Não achei a task especificada!";

pub(super) const CASES: &[Case] = &[
    ("GET /tasks/get_all", "", 200, "[]"),
    // Create.
    (
        "POST /tasks/post",
        r#"{"title":"Comprar pão","pub_date":"2026-01-02T03:04:05.123456Z","description":"Dois"}"#,
        201,
        r#"{"id":$1,"title":"Comprar pão","pub_date":"2026-01-02T03:04:05.123456Z","description":"Dois"}"#,
    ),
    (
        "POST /tasks/post",
        r#"{"title":" trimmed ","pub_date":"2026-01-02 03:04:05","description":5,"id":99,"other":[]}"#,
        201,
        r#"{"id":$2,"title":"trimmed","pub_date":"2026-01-02T03:04:05.000000Z","description":"5"}"#,
    ),
    // Read, with the status 201.
    (
        "GET /tasks/get_all",
        "",
        200,
        concat!(
            r#"[{"id":$1,"title":"Comprar pão","pub_date":"2026-01-02T03:04:05.123456Z","description":"Dois"},"#,
            r#"{"id":$2,"title":"trimmed","pub_date":"2026-01-02T03:04:05.000000Z","description":"5"}]"#
        ),
    ),
    (
        "GET /tasks/get_single/$1",
        "",
        201,
        r#"{"id":$1,"title":"Comprar pão","pub_date":"2026-01-02T03:04:05.123456Z","description":"Dois"}"#,
    ),
    ("HEAD /tasks/get_single/$1", "", 201, ""),
    // Missing tasks.
    ("GET /tasks/get_single/9999999999", "", 404, MISSING),
    ("GET /tasks/get_single/0", "", 404, MISSING),
    ("GET /tasks/get_single/one", "", 404, MISSING),
    ("GET /tasks/get_single/9223372036854775808", "", 404, MISSING),
    ("GET /tasks/get_single/%00", "", 404, MISSING),
    ("GET /tasks/get_single/%FF", "", 404, MISSING),
    ("GET /tasks/get_single/", "", 404, NOT_FOUND),
    ("GET /tasks/get_all/", "", 404, NOT_FOUND),
    ("PUT /tasks/update/9999999999", "{}", 404, MISSING),
    ("PUT /tasks/update/one", "{}", 404, MISSING),
    ("DELETE /tasks/delete/9999999999", "", 404, MISSING),
    ("DELETE /tasks/delete/one", "", 404, MISSING),
    // Invalid new tasks.
    (
        "POST /tasks/post",
        "{}",
        401,
        r#"{"title":["This field is required."],"pub_date":["This field is required."],"description":["This field is required."]}"#,
    ),
    (
        "POST /tasks/post",
        r#"{"title":" ","pub_date":"2026-01-02T03:04Z","description":null}"#,
        401,
        r#"{"title":["This field may not be blank."],"description":["This field may not be null."]}"#,
    ),
    ("POST /tasks/post", "[1]", 401, r#"{"non_field_errors":["Invalid data. Expected a dictionary, but got list."]}"#),
    ("POST /tasks/post", "{", 400, r#"{"detail":"JSON parse error - EOF while parsing an object at line 1 column 1"}"#),
    ("POST /tasks/post", "", 400, r#"{"detail":"JSON parse error - EOF while parsing a value at line 1 column 0"}"#),
    ("POST /tasks/post", "title=t", 400, r#"{"detail":"JSON parse error - expected ident at line 1 column 2"}"#),
    // Change.
    (
        "PUT /tasks/update/$1",
        r#"{"title":"Comprar bolo","pub_date":"2027-01-01T00:00:00Z","description":"Um"}"#,
        201,
        "Task foi alterada com sucesso!",
    ),
    (
        "GET /tasks/get_single/$1",
        "",
        201,
        r#"{"id":$1,"title":"Comprar bolo","pub_date":"2027-01-01T00:00:00.000000Z","description":"Um"}"#,
    ),
    (
        "PUT /tasks/update/$1",
        r#"{"title":"Comprar bolo"}"#,
        400,
        r#"{"pub_date":["This field is required."],"description":["This field is required."]}"#,
    ),
    (
        "PUT /tasks/update/$1",
        r#"{"title":"","pub_date":"2027-01-01T00:00:00Z","description":"Um"}"#,
        400,
        r#"{"title":["This field may not be blank."]}"#,
    ),
    ("PUT /tasks/update/$1", "nonsense", 400, r#"{"detail":"JSON parse error - expected ident at line 1 column 2"}"#),
    // Both dialects have the same tasks.
    (
        "GET /tasks/$1",
        "",
        200,
        r#"{"id":$1,"title":"Comprar bolo","pub_date":"2027-01-01T00:00:00.000000Z","description":"Um"}"#,
    ),
    // Delete.
    ("DELETE /tasks/delete/$1", "", 201, "Deletado com sucesso!"),
    ("DELETE /tasks/delete/$1", "", 404, MISSING),
    ("GET /tasks/get_single/$1", "", 404, MISSING),
    ("DELETE /tasks/delete_all", "", 201, "Todas as tasks fooram deletadas com sucesso!"),
    ("DELETE /tasks/delete_all", "", 201, "Todas as tasks fooram deletadas com sucesso!"),
    ("GET /tasks/get_all", "", 200, "[]"),
    // Other methods.
    ("POST /tasks/get_all", "{}", 405, r#"{"detail":"Method \"POST\" not allowed."}"#),
    ("DELETE /tasks/get_single/1", "", 405, r#"{"detail":"Method \"DELETE\" not allowed."}"#),
    ("GET /tasks/post", "", 405, r#"{"detail":"Method \"GET\" not allowed."}"#),
    ("POST /tasks/update/1", "{}", 405, r#"{"detail":"Method \"POST\" not allowed."}"#),
    ("GET /tasks/delete/1", "", 405, r#"{"detail":"Method \"GET\" not allowed."}"#),
    ("GET /tasks/delete_all", "", 405, r#"{"detail":"Method \"GET\" not allowed."}"#),
    ("BREW /tasks/post", "", 405, r#"{"detail":"Method \"BREW\" not allowed."}"#),
    // IDs are not reused, even after all tasks are deleted.
    (
        "POST /tasks/post",
        r#"{"title":"t","pub_date":"2026-01-02T03:04Z","description":"d"}"#,
        201,
        r#"{"id":$3,"title":"t","pub_date":"2026-01-02T03:04:00.000000Z","description":"d"}"#,
    ),
];
