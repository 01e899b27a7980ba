//! Parts of the OpenAPI documents of both services.

use serde_json::{Map, Value, json};

use crate::body::{MAX_INTEGER, NAME_CHARACTERS};

/// A path below `/api/v1` and its operations, by method in lower case.
pub type Path = (&'static str, Vec<(&'static str, Operation)>);

/// Description of an operation.
pub struct Operation {
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<Value>,
    answers: Map<String, Value>,
}

impl Operation {
    /// Returns an operation with the responses that all operations have.
    pub fn new(id: &'static str, summary: &'static str) -> Self {
        let operation = Self { id, summary, parameters: Vec::new(), body: None, answers: Map::new() };
        operation
            .refusal(408, "The body did not arrive in time.")
            .refusal(413, "The body is too long.")
            .refusal(431, "The head is too long.")
            .refusal(503, "The database or another service is unavailable. Try again shortly.")
    }

    /// Adds a parameter of the path.
    pub fn path(mut self, name: &str, schema: &Value) -> Self {
        self.parameters.push(json!({ "name": name, "in": "path", "required": true, "schema": schema }));
        self
    }

    /// Adds a parameter of the query.
    pub fn query(mut self, name: &str, description: &str, schema: &Value) -> Self {
        self.parameters.push(json!({ "name": name, "in": "query", "description": description, "schema": schema }));
        self
    }

    /// Adds a body. The service ignores the content type.
    pub fn body(mut self, schema: &Value) -> Self {
        let content = json!({ "application/json": { "schema": schema } });
        self.body = Some(json!({ "required": true, "content": content }));
        self
    }

    /// Adds a response with a body.
    pub fn answer(mut self, status: u16, description: &str, schema: &Value) -> Self {
        let content = json!({ "application/json": { "schema": schema } });
        self.answers.insert(status.to_string(), json!({ "description": description, "content": content }));
        self
    }

    /// Adds the response to a successful write, `{}`.
    pub fn done(self, status: u16, description: &str) -> Self {
        self.answer(status, description, &json!({ "type": "object", "maxProperties": 0 }))
    }

    /// Adds a response without a body.
    pub fn empty(mut self, status: u16, description: &str) -> Self {
        self.answers.insert(status.to_string(), json!({ "description": description }));
        self
    }

    /// Adds a response with an error.
    pub fn refusal(self, status: u16, description: &str) -> Self {
        self.answer(status, description, &json!({ "$ref": "#/components/schemas/Refusal" }))
    }

    fn document(self) -> Value {
        let Self { id, summary, parameters, body, answers } = self;
        let mut operation = json!({ "operationId": id, "summary": summary, "responses": answers });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(body) = body {
            operation["requestBody"] = body;
        }
        operation
    }
}

/// Returns the OpenAPI 3.1 document of a service with these paths, and those that both services have.
pub fn document(title: &str, description: &str, paths: Vec<Path>, schemas: Value) -> Value {
    let mut described = Map::new();
    for (path, methods) in paths.into_iter().chain(operation()) {
        let methods = methods.into_iter().map(|(method, operation)| (method.to_owned(), operation.document()));
        described.insert(format!("/api/v1{path}"), methods.collect::<Map<_, _>>().into());
    }
    let mut schemas = schemas;
    schemas["Refusal"] = json!({
        "type": "object",
        "required": ["detail"],
        "properties": { "detail": { "type": "string" } },
        "additionalProperties": false,
    });
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": title,
            "version": env!("CARGO_PKG_VERSION"),
            "description": description,
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "paths": described,
        "components": { "schemas": schemas },
    })
}

fn operation() -> Vec<Path> {
    vec![
        (
            "/_count",
            vec![
                (
                    "get",
                    Operation::new("count_requests", "Returns the number of API requests to all instances").answer(
                        200,
                        "The number.",
                        &one(&number()),
                    ),
                ),
                (
                    "delete",
                    Operation::new("reset_requests", "Sets the number of API requests to 0")
                        .done(200, "The number is 0."),
                ),
            ],
        ),
        (
            "/_health",
            vec![(
                "get",
                Operation::new("health", "Checks this instance and its database")
                    .done(200, "Both answer.")
                    .refusal(500, "The instance has crashed, or the database does not answer."),
            )],
        ),
    ]
}

/// Returns the schema of an array with one item.
pub fn one(items: &Value) -> Value {
    json!({ "type": "array", "items": items, "minItems": 1, "maxItems": 1 })
}

/// Returns the schema of a number of things.
pub fn number() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0 })
}

/// Returns the schema of an ID that a client chooses.
pub fn id() -> Value {
    json!({ "type": "integer", "format": "int64", "minimum": 0, "maximum": MAX_INTEGER })
}

/// Returns the schema of a name of a user or a category.
pub fn name() -> Value {
    json!({ "type": "string", "minLength": 1, "maxLength": NAME_CHARACTERS, "pattern": "^[^\\u0000]*[^\\s\\u0000][^\\u0000]*$" })
}

/// Returns the schema of a name to search for, which may belong to no user.
pub fn searched_name() -> Value {
    json!({ "type": "string", "minLength": 1, "pattern": "^[^\\u0000]*$" })
}
