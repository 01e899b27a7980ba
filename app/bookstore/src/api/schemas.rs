//! Schemas of the OpenAPI document.

use kit::password::{MAX_CHARACTERS, MIN_CHARACTERS};
use serde_json::{Map, Value, json};

use crate::{
    entity::{
        book::{AUTHOR_CHARACTERS, DESCRIPTION_CHARACTERS, TITLE_CHARACTERS},
        payment::METHOD_CHARACTERS,
        purchase::{PAID, PENDING, TOKEN_CHARACTERS},
        user::{EMAIL_CHARACTERS, NAME_CHARACTERS},
    },
    input::MAX_STOCK,
};

/// Pattern of text that is not blank, without null characters.
const NOT_BLANK: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";

/// Returns all schemas, by name.
pub(super) fn all() -> Value {
    let mut schemas = bodies();
    schemas.extend(answers());
    schemas.into()
}

/// Returns a reference to a schema.
pub(super) fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}

/// Returns the schemas of requests.
fn bodies() -> Map<String, Value> {
    let price = json!({
        "type": ["string", "number"], "pattern": r"^[0-9]{1,8}(\.[0-9]{1,2})?$", "minimum": 0,
        "maximum": 99_999_999.99, "multipleOf": 0.01, "examples": ["12.50", 12.5],
    });
    let stock = json!({ "type": "integer", "minimum": 0, "maximum": MAX_STOCK });
    let quantity = json!({ "type": "integer", "minimum": 1, "maximum": i32::MAX });
    let description = json!({ "type": "string", "maxLength": DESCRIPTION_CHARACTERS, "pattern": r"^[^\u0000]*$" });
    let token = json!({ "type": "string", "pattern": format!("^[A-Za-z0-9_-]{{1,{TOKEN_CHARACTERS}}}$") });
    let password = json!({
        "type": "string", "minLength": MIN_CHARACTERS, "maxLength": MAX_CHARACTERS, "pattern": "[^0-9]",
        "examples": ["correct horse"],
    });
    let email = json!({
        "type": "string", "maxLength": EMAIL_CHARACTERS, "pattern": "^[!-?A-~]+@[!-?A-~]+$",
        "examples": ["ana@example.org"],
    });
    let (title, author) = (text(TITLE_CHARACTERS), text(AUTHOR_CHARACTERS));
    let book = [("title", title), ("author", author), ("price", price), ("stock", stock)];
    let mut new_book = object(&book);
    new_book["properties"]["description"] = or_null(&description);
    let mut change = object(&book.map(|(name, schema)| (name, or_null(&schema))));
    change["properties"]["description"] = or_null(&description);
    change["required"] = json!([]);
    let mut order = object(&[("book_id", id()), ("quantity", quantity)]);
    order["properties"]["token"] = or_null(&token);
    let schemas = [
        ("NewUser", object(&[("name", text(NAME_CHARACTERS)), ("email", email), ("password", password)])),
        ("Credentials", object(&[("email", word()), ("password", word())])),
        ("NewBook", new_book),
        ("BookChange", change),
        ("Order", order),
        ("PaymentOrder", object(&[("purchase_id", id()), ("method", text(METHOD_CHARACTERS))])),
        ("DeliveryOrder", object(&[("purchase_id", id()), ("provider_id", id())])),
    ];
    schemas.map(|(name, schema)| (name.to_owned(), schema)).into_iter().collect()
}

/// Returns the schemas of responses.
fn answers() -> Map<String, Value> {
    let amount = || json!({ "type": "string", "pattern": r"^[0-9]{1,10}\.[0-9]{2}$", "examples": ["12.50"] });
    let number = || json!({ "type": "integer", "minimum": 0 });
    let status = || json!({ "enum": [PENDING, PAID] });
    let list = |schema: &str| json!({ "type": "array", "items": reference(schema) });
    let user = [("id", id()), ("name", word()), ("email", word()), ("is_admin", json!({ "type": "boolean" }))];
    let token = [("token", word()), ("expires_in", json!({ "const": 86400 })), ("user", reference("User"))];
    let book = [
        ("id", id()),
        ("title", word()),
        ("author", word()),
        ("description", word()),
        ("price", amount()),
        ("stock", number()),
        ("seller_id", id()),
    ];
    let purchase =
        [("id", id()), ("book_id", id()), ("quantity", number()), ("total_price", amount()), ("status", status())];
    let payment = [
        ("id", id()),
        ("purchase_id", id()),
        ("amount", amount()),
        ("payment_method", word()),
        ("payment_status", status()),
    ];
    let schemas = [
        ("Error", object(&[("error", word())])),
        ("User", object(&user)),
        ("Token", object(&token)),
        ("Login", object(&[("logged_in", json!({ "const": true })), ("user", reference("User"))])),
        ("Book", object(&book)),
        ("Books", list("Book")),
        ("Purchase", object(&purchase)),
        ("Payment", object(&payment)),
        ("Assignment", object(&[("id", id()), ("purchase_id", id()), ("provider_id", id())])),
        ("Provider", object(&[("id", id()), ("name", word()), ("coverage_area", word()), ("cost", amount())])),
        ("Providers", list("Provider")),
    ];
    schemas.map(|(name, schema)| (name.to_owned(), schema)).into_iter().collect()
}

fn id() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX })
}

fn word() -> Value {
    json!({ "type": "string" })
}

fn text(longest: usize) -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": longest, "pattern": NOT_BLANK })
}

/// Returns a schema that also admits `null`, which is a missing value.
fn or_null(schema: &Value) -> Value {
    let mut schema = schema.clone();
    let mut kinds = schema["type"].as_array().cloned().unwrap_or_else(|| vec![schema["type"].clone()]);
    kinds.push("null".into());
    schema["type"] = kinds.into();
    schema
}

/// Returns the schema of an object whose properties are all required.
fn object(properties: &[(&str, Value)]) -> Value {
    let names: Vec<_> = properties.iter().map(|(name, _)| *name).collect();
    let properties: Map<_, _> = properties.iter().map(|(name, schema)| ((*name).to_owned(), schema.clone())).collect();
    json!({ "type": "object", "properties": properties, "required": names })
}
