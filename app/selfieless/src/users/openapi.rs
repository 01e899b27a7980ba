//! The OpenAPI document of the service `users`, at `/api/v1/users/openapi.json`.

use serde_json::{Value, json};

use crate::openapi::{self, Operation, name};

pub(super) fn document() -> Value {
    let credentials = json!({ "$ref": "#/components/schemas/Credentials" });
    let names = json!({ "type": "array", "items": name(), "minItems": 1 });
    let paths = vec![
        (
            "/users",
            vec![
                (
                    "get",
                    Operation::new("list_users", "Returns the names of all users")
                        .answer(200, "The names.", &names)
                        .empty(204, "There is no user."),
                ),
                (
                    "post",
                    Operation::new("create_user", "Creates a user")
                        .body(&credentials)
                        .done(201, "The user exists.")
                        .refusal(400, "The name is taken, or a field is missing or invalid."),
                ),
            ],
        ),
        (
            "/users/{name}",
            vec![(
                "delete",
                Operation::new("delete_user", "Deletes a user")
                    .path("name", &name())
                    .done(200, "The user is deleted.")
                    .refusal(400, "There is no such user."),
            )],
        ),
        (
            "/validate_user",
            vec![(
                "post",
                Operation::new("validate_user", "Checks the password of a user")
                    .body(&credentials)
                    .done(200, "The password is right.")
                    .empty(204, "There is no such user.")
                    .refusal(400, "The password is wrong, or a field is missing or invalid."),
            )],
        ),
    ];
    let password = json!({
        "type": "string",
        "pattern": "^[0-9a-fA-F]{40}$",
        "description": "SHA-1 of the password, in hexadecimal digits.",
    });
    let schemas = json!({
        "Credentials": {
            "type": "object",
            "required": ["username", "password"],
            "properties": { "username": name(), "password": password },
        },
    });
    openapi::document("SelfieLessActs users", "Users of SelfieLessActs. An error is `{\"detail\": …}`.", paths, schemas)
}
