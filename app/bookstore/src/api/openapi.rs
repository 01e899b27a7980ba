//! The OpenAPI document at `/api/openapi.json`.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use super::{
    books::{LAST_PAGE, SIZES},
    error::Answer,
    schemas::{self, reference},
};

pub(super) async fn show() -> Answer {
    Ok(HttpResponse::Ok().json(document()))
}

/// Returns the OpenAPI 3.1 document of the API.
pub fn document() -> Value {
    let mut paths = Map::new();
    for Operation { path, method, summary, body, answer: (status, schema), needs_user, refusals } in OPERATIONS {
        let mut answers = Map::new();
        let success = match schema {
            Some(schema) => json!({ "description": "Success.", "content": content(schema) }),
            None => json!({ "description": "Success, without a body." }),
        };
        answers.insert(status.to_string(), success);
        let always: &[u16] = if *needs_user { &[401, 503] } else { &[503] };
        for refusal in refusals.iter().chain(always) {
            let refused = json!({ "description": reason(*refusal), "content": content("Error") });
            answers.insert(refusal.to_string(), refused);
        }
        let security = if *needs_user { json!([{ "bearer": [] }]) } else { json!([]) };
        let mut operation = json!({ "summary": summary, "responses": answers, "security": security });
        if let Some(body) = body {
            operation["requestBody"] = json!({ "required": true, "content": content(body) });
        }
        let parameters = parameters(path, method);
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        let methods = paths.entry((*path).to_owned()).or_insert_with(|| json!({}));
        methods[*method] = operation;
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Bookstore",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Users sell and buy books. Amounts are texts with two decimals. Limits of the size and the \
                            time of a request are answered with 408, 413, 431 or 503 and `{\"detail\": …}`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token of `POST /api/login`, valid for 24 hours." },
            },
        },
    })
}

/// Returns the parameters of the path and of the query.
fn parameters(path: &str, method: &str) -> Vec<Value> {
    let integer =
        |most: u64, default: u64| json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default });
    if path.ends_with("{id}") {
        let schema = json!({ "type": "integer", "format": "int64", "minimum": 1 });
        vec![json!({ "name": "id", "in": "path", "required": true, "schema": schema })]
    } else if path == "/api/books" && method == "get" {
        vec![
            json!({ "name": "page", "in": "query", "schema": integer(LAST_PAGE, 1) }),
            json!({ "name": "size", "in": "query", "schema": integer(SIZES.0, SIZES.1) }),
        ]
    } else {
        Vec::new()
    }
}

/// Description of an operation.
struct Operation {
    path: &'static str,
    method: &'static str,
    summary: &'static str,
    /// Schema of the body.
    body: Option<&'static str>,
    /// Status and schema of a success.
    answer: (u16, Option<&'static str>),
    needs_user: bool,
    refusals: &'static [u16],
}

const fn operation(
    method: &'static str,
    path: &'static str,
    summary: &'static str,
    body: Option<&'static str>,
    answer: (u16, Option<&'static str>),
) -> Operation {
    Operation { path, method, summary, body, answer, needs_user: false, refusals: &[] }
}

impl Operation {
    const fn user(self) -> Self {
        Self { needs_user: true, ..self }
    }

    const fn refusals(self, refusals: &'static [u16]) -> Self {
        Self { refusals, ..self }
    }
}

const OPERATIONS: &[Operation] = &[
    operation("post", "/api/register", "Register a user.", Some("NewUser"), (201, Some("User")))
        .refusals(&[400, 409, 429]),
    operation("post", "/api/login", "Sign in.", Some("Credentials"), (200, Some("Token"))).refusals(&[400, 401, 429]),
    operation("get", "/api/check_login", "Show the user of the token.", None, (200, Some("Login"))).user(),
    operation("get", "/api/books", "List the books, the newest first.", None, (200, Some("Books"))).refusals(&[400]),
    operation("post", "/api/books", "Sell a book.", Some("NewBook"), (201, Some("Book"))).user().refusals(&[400]),
    operation("get", "/api/books/{id}", "Show a book.", None, (200, Some("Book"))).refusals(&[404]),
    operation(
        "put",
        "/api/books/{id}",
        "Change a book of the caller. Missing values are not changed.",
        Some("BookChange"),
        (200, Some("Book")),
    )
    .user()
    .refusals(&[400, 403, 404]),
    operation("delete", "/api/books/{id}", "Delete a book of the caller.", None, (204, None))
        .user()
        .refusals(&[403, 404]),
    operation("post", "/api/my-books", "List the books of the caller.", None, (200, Some("Books"))).user(),
    operation(
        "post",
        "/api/buy",
        "Buy copies of a book at its price. A request with an earlier token responds with that purchase.",
        Some("Order"),
        (201, Some("Purchase")),
    )
    .user()
    .refusals(&[400, 404, 409]),
    operation(
        "post",
        "/api/payment",
        "Pay the total of a purchase, once.",
        Some("PaymentOrder"),
        (201, Some("Payment")),
    )
    .user()
    .refusals(&[400, 403, 404, 409]),
    operation(
        "post",
        "/api/delivery/assignment",
        "Assign a provider to a paid purchase, once.",
        Some("DeliveryOrder"),
        (201, Some("Assignment")),
    )
    .user()
    .refusals(&[400, 403, 404, 409]),
    operation("get", "/api/delivery/providers", "List the delivery providers.", None, (200, Some("Providers"))),
];

fn reason(status: u16) -> &'static str {
    match status {
        400 => "The body is not a JSON object, a value is invalid, or there are not enough copies.",
        401 => "The token is missing or invalid, or the credentials are wrong.",
        403 => "The object belongs to another user.",
        404 => "The object does not exist.",
        409 => "The state of the object does not permit the operation.",
        429 => "There were too many attempts.",
        _ => "The database is unavailable. Try again shortly.",
    }
}

fn content(schema: &str) -> Value {
    json!({ "application/json": { "schema": reference(schema) } })
}
