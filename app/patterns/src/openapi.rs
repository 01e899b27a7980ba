//! The OpenAPI document at `/openapi.json`.
//!
//! All tiers have the same paths. The proxy's operations also need the headers of a signature.

use serde_json::{Map, Value, json};

use crate::{
    operation::{Mode, Operation, Table},
    signature::{NONCE, SIGNATURE, TIME},
};

/// Path of the document.
pub const PATH: &str = "/openapi.json";

/// Returns the OpenAPI 3.1 document of a tier with this name. `is_signed` adds the signature of the requests.
pub fn document(tier: &str, is_signed: bool) -> Value {
    let mut paths = Map::new();
    for operation in Operation::ALL {
        paths.insert(operation.path().to_owned(), json!({ "post": described(operation, is_signed) }));
    }
    for (path, id, summary, content) in [
        ("/health_check", "healthCheck", "Names the tier", "text/html"),
        (PATH, "describe", "This document", "application/json"),
    ] {
        let content = json!({ content: {} });
        let responses = json!({ "200": { "description": summary, "content": content } });
        paths.insert(
            path.to_owned(),
            json!({ "get": { "operationId": id, "summary": summary, "responses": responses } }),
        );
    }
    let health = json!({
        "operationId": "health",
        "summary": "Checks the tier and everything behind it",
        "responses": {
            "200": answer("Everything answers.", &reference("Health")),
            "503": answer("A tier behind or the database does not answer.", &reference("Health")),
        },
    });
    paths.insert("/healthz".to_owned(), json!({ "get": health }));
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": format!("Database patterns: {tier}"),
            "version": env!("CARGO_PKG_VERSION"),
            "description": "Gatekeeper, trusted host and proxy answer on the same paths. An error is `{\"error\": reason}`; \
                            the limits of requests answer `{\"detail\": reason}`.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": paths,
        "components": { "schemas": schemas() },
    })
}

fn described(operation: Operation, is_signed: bool) -> Value {
    let (id, summary, schema, success) = match operation {
        Operation::Populate => ("populate", "Inserts rows on the manager", "Insertion", reference("Message")),
        Operation::Fetch(Mode::Direct) => ("fetchDirect", "Reads from the manager", "Query", reference("Rows")),
        Operation::Fetch(Mode::Random) => ("fetchRandom", "Reads from a random worker", "Query", reference("Rows")),
        Operation::Fetch(Mode::Customized) => {
            ("fetchCustomized", "Reads from the node with the lowest latency", "Query", reference("Rows"))
        }
    };
    let mut responses = Map::new();
    let mut ok = answer("The statement was executed.", &success);
    ok["headers"]["X-Db-Node"] =
        json!({ "description": "Node that ran the statement.", "schema": { "type": "string" } });
    responses.insert("200".to_owned(), ok);
    let mut errors = vec![
        ("400", "The body or the statement is refused, or the result is too large."),
        ("500", "The database refuses the statement."),
        ("502", "A tier behind or the database does not answer; the reason names it."),
    ];
    if is_signed {
        errors
            .extend([("401", "The request is not signed."), ("403", "The signature is wrong, stale or already used.")]);
    }
    for (status, description) in errors {
        responses.insert(status.to_owned(), answer(description, &reference("Error")));
    }
    for (status, description) in [
        ("408", "The body did not arrive in time."),
        ("413", "The body is too long."),
        ("431", "The head is too long."),
        ("503", "The response took too long."),
    ] {
        responses.insert(status.to_owned(), answer(description, &reference("Detail")));
    }
    let content = json!({ "application/json": { "schema": reference(schema) } });
    let mut described = json!({
        "operationId": id,
        "summary": summary,
        "requestBody": { "required": true, "content": content },
        "responses": responses,
    });
    if is_signed {
        let header = |(name, description): (&str, &str)| json!({ "name": name, "in": "header", "required": true, "description": description, "schema": { "type": "string" } });
        let headers = [
            (TIME, "Time of the signature, in milliseconds since 1970."),
            (NONCE, "Random number of 16 bytes, in hexadecimal digits."),
            (SIGNATURE, "HMAC-SHA256 of the request, in hexadecimal digits."),
        ];
        described["parameters"] = headers.into_iter().map(header).collect();
    }
    described
}

fn schemas() -> Value {
    let text =
        |name: &str| json!({ "type": "object", "required": [name], "properties": { name: { "type": "string" } } });
    let tables = Table::ALL.map(Table::name);
    let insert = "An INSERT of literal rows. {table} is replaced by the name of the table.";
    let value = json!({ "type": ["integer", "number", "string", "boolean", "null"] });
    json!({
        "Query": {
            "type": "object",
            "required": ["sql"],
            "properties": { "sql": { "type": "string", "description": "A SELECT." } },
        },
        "Insertion": {
            "type": "object",
            "required": ["sql"],
            "properties": {
                "sql": { "type": "string", "description": insert },
                "table": { "type": ["string", "null"], "enum": [tables[0], tables[1], tables[2], null], "default": tables[0] },
            },
        },
        "Rows": { "type": "array", "items": { "type": "array", "items": value } },
        "Message": text("message"),
        "Error": text("error"),
        "Detail": text("detail"),
        "Health": text("status"),
    })
}

fn answer(description: &str, schema: &Value) -> Value {
    json!({ "description": description, "content": { "application/json": { "schema": schema } } })
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
