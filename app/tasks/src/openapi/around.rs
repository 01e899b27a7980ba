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
                auth("token", "Gives tokens for a name and a password")
                    .body("Credentials")
                    .tokens()
                    .unauthorized("There is no active user of that name and password.")
                    .too_many(),
            )],
        ),
        (
            "/auth/refresh",
            vec![(
                "post",
                auth("refresh", "Gives new tokens for a refresh token, which is good for one use")
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
                operation("health", "Tells whether the service and its database answer")
                    .answer(200, "They do.", "Health")
                    .answer(503, "The database does not.", "Unavailable"),
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
    Operation::new("activity", "activity", "Shows who asked for what, the latest first")
        .query("user", "Only this user's.", text.clone())
        .query("path", "Only paths that start like this.", text)
        .query("since", "Only from this moment on.", json!({ "type": "string", "format": "date-time" }))
        .query(
            "limit",
            "At most so many.",
            json!({ "type": "integer", "minimum": 1, "maximum": MAX_LIMIT, "default": DEFAULT_LIMIT }),
        )
        .answer_with(200, "The rows.", &rows)
        .answer(400, "Some parameters are wrong.", "Fault")
        .user(true)
}

impl Operation {
    fn tokens(self) -> Self {
        let header = json!({ "schema": { "type": "string", "const": "no-store" } });
        self.answer(200, "The tokens.", "Tokens").header(200, "Cache-Control", &header)
    }

    fn too_many(self) -> Self {
        let header = json!({ "description": "Seconds to wait.", "schema": { "type": "integer", "minimum": 1 } });
        self.refusal(429, "It was tried too often.").header(429, "Retry-After", &header)
    }
}
