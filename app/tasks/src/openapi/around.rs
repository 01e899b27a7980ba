//! Descriptions of the operations on users, activity and the service.

use serde_json::json;

use super::{Operation, Path, reference};
use crate::activity::routes::{DEFAULT_LIMIT, MAX_LIMIT};

pub(super) fn paths() -> Vec<Path> {
    let auth = |id, summary| Operation::new("auth", id, summary);
    let operation = |id, summary| Operation::new("operation", id, summary);
    vec![
        (
            "/auth/register",
            vec![(
                "post",
                auth("register", "Makes a user")
                    .body("NewUser")
                    .answer(201, "The user.", "User")
                    .answer(409, "The name is taken.", "Fault")
                    .too_many(),
            )],
        ),
        (
            "/auth/token",
            vec![(
                "post",
                auth("token", "Creates tokens for a name and a password")
                    .body("Credentials")
                    .tokens()
                    .unauthorized("There is no active user with this name and password.")
                    .too_many(),
            )],
        ),
        (
            "/auth/refresh",
            vec![(
                "post",
                auth("refresh", "Creates new tokens for a refresh token, which is valid for one use")
                    .body("RefreshToken")
                    .tokens()
                    .unauthorized("The refresh token is unknown, expired or used."),
            )],
        ),
        ("/activity/", vec![("get", activity())]),
        (
            "/healthz",
            vec![(
                "get",
                operation("health", "Checks the service and its database")
                    .answer(200, "Both are available.", "Health")
                    .answer(503, "The database is unavailable.", "Unavailable"),
            )],
        ),
        (
            "/openapi.json",
            vec![(
                "get",
                operation("describe", "This document").answer_with(
                    200,
                    "OpenAPI 3.1.",
                    &json!({ "type": "object", "required": ["openapi"] }),
                ),
            )],
        ),
    ]
}

fn activity() -> Operation {
    let rows = json!({ "type": "array", "items": reference("Activity"), "maxItems": MAX_LIMIT });
    let text = json!({ "type": "string", "pattern": "^[^\\u0000]*$" });
    Operation::new("activity", "activity", "Lists the activity log, the latest request first")
        .query("user", "Only requests of this user.", text.clone())
        .query("path", "Only paths with this prefix.", text)
        .query("since", "Only requests since this time.", json!({ "type": "string", "format": "date-time" }))
        .query(
            "limit",
            "Maximum number of rows.",
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }),
        )
        .answer_with(200, "The rows.", &rows)
        .answer(400, "Some parameters are invalid.", "Fault")
        .user(true)
}

impl Operation {
    fn tokens(self) -> Self {
        let header = json!({ "schema": { "type": "string", "const": "no-store" } });
        self.answer(200, "The tokens.", "Tokens").header(200, "Cache-Control", &header)
    }

    fn too_many(self) -> Self {
        let header = json!({ "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } });
        self.refusal(429, "Too many attempts.").header(429, "Retry-After", &header)
    }
}
