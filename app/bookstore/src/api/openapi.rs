//! The OpenAPI document at `/api/openapi.json`.

use actix_web::HttpResponse;
use serde_json::{Map, Value, json};

use super::{books::SIZES, error::Answer};
use crate::{
    entity::{
        book::{AUTHOR_CHARACTERS, DESCRIPTION_CHARACTERS, TITLE_CHARACTERS},
        payment::METHOD_CHARACTERS,
        purchase::{PAID, PENDING, TOKEN_CHARACTERS},
        user::{EMAIL_CHARACTERS, NAME_CHARACTERS},
    },
    input::MAX_STOCK,
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
        if path.ends_with("{id}") {
            let id = json!({ "type": "integer", "format": "int64", "minimum": 1 });
            operation["parameters"] = json!([{ "name": "id", "in": "path", "required": true, "schema": id }]);
        }
        if *path == "/api/books" && *method == "get" {
            let (most, default) = SIZES;
            let (page, size) = (
                json!({ "type": "integer", "minimum": 1 }),
                json!({ "type": "integer", "minimum": 1, "maximum": most, "default": default }),
            );
            operation["parameters"] = json!([
                { "name": "page", "in": "query", "schema": page },
                { "name": "size", "in": "query", "schema": size },
            ]);
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
            "schemas": schemas(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "description": "A token of `POST /api/login`, valid for 24 hours." },
            },
        },
    })
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

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

fn schemas() -> Value {
    let id = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    let amount = json!({ "type": "string", "pattern": "^[0-9]{1,10}\\.[0-9]{2}$", "examples": ["12.50"] });
    let price = json!({ "type": ["string", "number"], "examples": ["12.50", 12.5] });
    let stock = json!({ "type": "integer", "minimum": 0, "maximum": MAX_STOCK });
    let quantity = json!({ "type": "integer", "minimum": 1 });
    let text = |longest: usize| json!({ "type": "string", "minLength": 1, "maxLength": longest });
    let password = json!({ "type": "string", "minLength": 8, "maxLength": 128 });
    let (title, author) = (text(TITLE_CHARACTERS), text(AUTHOR_CHARACTERS));
    let description = json!({ "type": "string", "maxLength": DESCRIPTION_CHARACTERS });
    let token = json!({ "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{1,{TOKEN_CHARACTERS}}}$") });
    let status = json!({ "enum": [PENDING, PAID] });
    let (name, email) = (text(NAME_CHARACTERS), text(EMAIL_CHARACTERS));
    let boolean = json!({ "type": "boolean" });
    let word = json!({ "type": "string" });
    let book = [("title", &title), ("author", &author), ("description", &description)];
    let new_book = [&book[..], &[("price", &price), ("stock", &stock)]].concat();
    let stored = [&[("id", &id)], &book[..], &[("price", &amount), ("stock", &stock), ("seller_id", &id)]].concat();
    let user = [("id", &id), ("name", &name), ("email", &email), ("is_admin", &boolean)];
    let some = |names: &[&str], properties: &[(&str, &Value)]| {
        let properties: Map<String, Value> =
            properties.iter().map(|(name, schema)| ((*name).to_owned(), (*schema).clone())).collect();
        json!({ "type": "object", "properties": properties, "required": names })
    };
    let all =
        |properties: &[(&str, &Value)]| some(&properties.iter().map(|(name, _)| *name).collect::<Vec<_>>(), properties);
    let list = |schema: &str| json!({ "type": "array", "items": reference(schema) });
    json!({
        "Error": all(&[("error", &word)]),
        "NewUser": all(&[("name", &name), ("email", &email), ("password", &password)]),
        "Credentials": all(&[("email", &email), ("password", &word)]),
        "User": all(&user),
        "Token": all(&[("token", &word), ("expires_in", &json!({ "const": 86400 })), ("user", &reference("User"))]),
        "Login": all(&[("logged_in", &json!({ "const": true })), ("user", &reference("User"))]),
        "NewBook": some(&["title", "author", "price", "stock"], &new_book),
        "BookChange": some(&[], &new_book),
        "Book": all(&stored),
        "Books": list("Book"),
        "Order": some(&["book_id", "quantity"], &[("book_id", &id), ("quantity", &quantity), ("token", &token)]),
        "Purchase": all(&[("id", &id), ("book_id", &id), ("quantity", &quantity), ("total_price", &amount), ("status", &status)]),
        "PaymentOrder": all(&[("purchase_id", &id), ("method", &text(METHOD_CHARACTERS))]),
        "Payment": all(&[("id", &id), ("purchase_id", &id), ("amount", &amount), ("payment_method", &word), ("payment_status", &status)]),
        "DeliveryOrder": all(&[("purchase_id", &id), ("provider_id", &id)]),
        "Assignment": all(&[("id", &id), ("purchase_id", &id), ("provider_id", &id)]),
        "Provider": all(&[("id", &id), ("name", &word), ("coverage_area", &word), ("cost", &amount)]),
        "Providers": list("Provider"),
    })
}
