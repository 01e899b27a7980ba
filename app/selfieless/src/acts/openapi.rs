//! The OpenAPI document of the service `acts`, at `/api/v1/openapi.json`.

use serde_json::{Value, json};

use super::{input::CAPTION_CHARACTERS, lists::MOST};
use crate::openapi::{self, Operation, Path, id, name, number, one, searched_name};

pub(super) fn document() -> Value {
    let paths = categories().into_iter().chain(acts()).collect();
    let description = "Acts of SelfieLessActs, by category. An error is `{\"detail\": …}`.";
    openapi::document("SelfieLessActs acts", description, paths, schemas())
}

fn categories() -> Vec<Path> {
    let position = json!({ "type": "integer", "minimum": 1 });
    let counted = json!({ "type": "object", "additionalProperties": number(), "minProperties": 1 });
    vec![
        (
            "/categories",
            vec![
                (
                    "get",
                    Operation::new("list_categories", "Returns the categories with their numbers of acts")
                        .answer(200, "The categories.", &counted)
                        .empty(204, "There is no category."),
                ),
                (
                    "post",
                    Operation::new("create_category", "Creates a category")
                        .body(&one(&name()))
                        .done(201, "The category exists.")
                        .refusal(400, "The name is taken or invalid."),
                ),
            ],
        ),
        (
            "/categories/{name}",
            vec![(
                "delete",
                Operation::new("delete_category", "Deletes a category and its acts")
                    .path("name", &name())
                    .done(200, "The category is deleted.")
                    .refusal(400, "There is no such category."),
            )],
        ),
        (
            "/categories/{name}/acts",
            vec![(
                "get",
                Operation::new("list_acts", "Returns the acts of a category, the newest first")
                    .path("name", &name())
                    .query("start", "Position of the first act, from 1.", &position)
                    .query("end", "Position of the last act.", &position)
                    .answer(200, "The acts.", &acts_schema(Some(MOST)))
                    .empty(204, "The category is empty.")
                    .refusal(400, "There is no such category, or the range is not in it.")
                    .refusal(413, "There are more than 100 acts."),
            )],
        ),
        (
            "/categories/{name}/acts/size",
            vec![(
                "get",
                Operation::new("size_of_category", "Returns the number of acts of a category")
                    .path("name", &name())
                    .answer(200, "The number.", &one(&number()))
                    .refusal(400, "There is no such category."),
            )],
        ),
    ]
}

fn acts() -> Vec<Path> {
    vec![
        (
            "/acts",
            vec![(
                "post",
                Operation::new("create_act", "Creates an act")
                    .body(&json!({ "$ref": "#/components/schemas/NewAct" }))
                    .done(201, "The act exists.")
                    .refusal(
                        400,
                        "A field is missing or invalid, the ID is taken, or there is no such user or category.",
                    ),
            )],
        ),
        (
            "/acts/upvote",
            vec![(
                "post",
                Operation::new("upvote_act", "Adds a vote to an act")
                    .body(&one(&id()))
                    .done(200, "The vote is counted.")
                    .refusal(400, "There is no such act."),
            )],
        ),
        (
            "/acts/count",
            vec![(
                "get",
                Operation::new("count_acts", "Returns the number of all acts").answer(
                    200,
                    "The number.",
                    &one(&number()),
                ),
            )],
        ),
        (
            "/acts/{actId}",
            vec![(
                "delete",
                Operation::new("delete_act", "Deletes an act")
                    .path("actId", &id())
                    .done(200, "The act is deleted.")
                    .refusal(400, "There is no such act."),
            )],
        ),
        (
            "/list_act_user/{name}",
            vec![(
                "get",
                Operation::new("list_acts_of_user", "Returns the acts of a user, the newest first")
                    .path("name", &searched_name())
                    .answer(200, "The acts.", &acts_schema(None))
                    .empty(204, "The user has no acts."),
            )],
        ),
    ]
}

fn acts_schema(most: Option<u64>) -> Value {
    let mut schema = json!({ "type": "array", "items": { "$ref": "#/components/schemas/Act" }, "minItems": 1 });
    if let Some(most) = most {
        schema["maxItems"] = most.into();
    }
    schema
}

fn schemas() -> Value {
    let fields = json!({
        "actId": id(),
        "username": name(),
        "timestamp": {
            "type": "string",
            "pattern": "^[0-3][0-9]-[01][0-9]-[0-9]{4}:[0-5][0-9]-[0-5][0-9]-[0-2][0-9]$",
            "description": "DD-MM-YYYY:SS-MM-HH",
        },
        "caption": { "type": "string", "maxLength": CAPTION_CHARACTERS, "pattern": "^[^\\u0000]*$" },
        "categoryName": name(),
        "imgB64": { "type": "string", "contentEncoding": "base64" },
    });
    let required: Vec<_> = fields.as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    let mut act = json!({ "type": "object", "required": required, "properties": fields });
    let mut new = act.clone();
    // The presence of this field is an error.
    new["not"] = json!({ "required": ["upvotes"] });
    act["properties"]["upvotes"] = number();
    act["required"] = act["properties"].as_object().into_iter().flat_map(|fields| fields.keys().cloned()).collect();
    json!({ "Act": act, "NewAct": new })
}
