//! Schemas of bodies.

use kit::password::{MAX_CHARACTERS, MIN_CHARACTERS};
use serde_json::{Value, json};

use crate::{
    entity::user::USERNAME_CHARACTERS,
    input::{DESCRIPTION_CHARACTERS, TITLE_CHARACTERS},
};

/// Pattern of text that is not blank, without null characters.
const NOT_BLANK: &str = r"^[^\u0000]*[^\s\u0000][^\u0000]*$";

pub(super) fn all() -> Value {
    let id = json!({ "type": "integer", "format": "int64", "minimum": 1 });
    let moment = json!({ "type": "string", "format": "date-time", "examples": ["2026-01-02T03:04:05.123456Z"] });
    let given = |characters: usize, example: &str| {
        json!({
            "type": ["string", "number"], "minLength": 1, "maxLength": characters, "pattern": NOT_BLANK,
            "description": "Trimmed; a number counts as text.", "examples": [example],
        })
    };
    let stored = |characters: usize| json!({ "type": "string", "minLength": 1, "maxLength": characters });
    let fields = json!({
        "title": given(TITLE_CHARACTERS, "Buy milk"),
        "pub_date": {
            "type": "string", "format": "date-time", "examples": ["2026-01-02T03:04:05.123456Z"],
            "description": "RFC 3339, or `YYYY-MM-DD hh:mm[:ss[.uuuuuu]]` in UTC; in the years 1 to 9999 (UTC).",
        },
        "description": given(DESCRIPTION_CHARACTERS, "Two bottles"),
    });
    let task = json!({
        "id": id, "title": stored(TITLE_CHARACTERS), "pub_date": moment, "description": stored(DESCRIPTION_CHARACTERS),
    });
    let listed = json!({
        "title": stored(TITLE_CHARACTERS), "pub_date": moment, "description": stored(DESCRIPTION_CHARACTERS),
    });
    let username = json!({
        "type": "string", "minLength": 1, "maxLength": USERNAME_CHARACTERS, "pattern": "^[A-Za-z0-9@.+_-]+$",
        "examples": ["ana"],
    });
    let text = json!({ "type": "string" });
    let not_empty = json!({ "type": "string", "minLength": 1 });
    json!({
        "NewTask": { "type": "object", "required": ["title", "pub_date", "description"], "properties": fields },
        "TaskChange": { "type": "object", "properties": fields, "description": "Omitted fields stay unchanged." },
        "Task": closed(&task),
        "ListedTask": closed(&json!({ "model": { "const": "tasks.task" }, "pk": id, "fields": closed(&listed) })),
        "NewUser": {
            "type": "object", "required": ["username", "password"],
            "properties": {
                "username": username,
                "password": {
                    "type": "string", "format": "password", "minLength": MIN_CHARACTERS, "maxLength": MAX_CHARACTERS,
                    "description": "Not only digits.", "pattern": r"[^\d]",
                },
            },
        },
        "User": closed(&json!({ "id": id, "username": username })),
        "Credentials": {
            "type": "object", "required": ["username", "password"],
            "properties": { "username": not_empty, "password": { "type": "string", "format": "password", "minLength": 1 } },
        },
        "RefreshToken": { "type": "object", "required": ["refresh"], "properties": { "refresh": not_empty } },
        "Tokens": closed(&json!({ "access": text, "refresh": text, "expires_in": { "type": "integer", "minimum": 1, "description": "Seconds." } })),
        "Activity": closed(&json!({
            "time": moment, "user": { "type": ["string", "null"] }, "method": text, "path": text,
            "status": { "type": "integer", "minimum": 100, "maximum": 599 }, "duration_ms": { "type": "number", "minimum": 0 },
            "client": text, "instance": text,
        })),
        "Health": closed(&json!({ "status": { "const": "ok" } })),
        "Unavailable": closed(&json!({ "status": { "const": "unavailable" } })),
        "Refusal": closed(&json!({ "detail": text })),
        "Fault": {
            "anyOf": [
                { "$ref": "#/components/schemas/Refusal" },
                {
                    "type": "object", "minProperties": 1, "description": "The errors, by field.",
                    "additionalProperties": { "type": "array", "minItems": 1, "items": text },
                },
            ],
        },
    })
}

/// Returns the schema of an object with exactly these properties.
fn closed(properties: &Value) -> Value {
    let required: Vec<&String> = properties.as_object().into_iter().flat_map(|properties| properties.keys()).collect();
    json!({ "type": "object", "required": required, "properties": properties, "additionalProperties": false })
}
