//! The OpenAPI document at `/openapi.json`, and the page at `/docs`.
//!
//! The document describes this instance: `AUTH` determines which operations need a user.

mod around;
mod page;
mod schemas;
mod tasks;

use actix_web::{
    HttpResponse,
    web::{self, Data, ServiceConfig},
};
use kit::reply::only;
use serde_json::{Map, Value, json};

use crate::auth::{Authority, Mode};

/// Adds the routes.
pub fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/openapi.json")
            .route(web::get().to(show))
            .route(web::head().to(show))
            .default_service(only("GET, HEAD")),
    )
    .configure(page::routes);
}

async fn show(authority: Data<Authority>) -> HttpResponse {
    HttpResponse::Ok().json(document(authority.mode))
}

/// Returns the OpenAPI 3.1 document of a service with this `AUTH`.
pub fn document(mode: Mode) -> Value {
    let mut paths = Map::new();
    for (path, methods) in tasks::paths(mode).into_iter().chain(around::paths()) {
        let methods: Map<String, Value> =
            methods.into_iter().map(|(method, operation)| (method.to_owned(), operation.document())).collect();
        paths.insert(path.to_owned(), methods.into());
    }
    json!({
        "openapi": "3.1.0",
        "info": {
            "title": "Tasks",
            "version": env!("CARGO_PKG_VERSION"),
            "description": "A table of tasks, with an API in two dialects. An error is `{\"detail\": …}`, or an \
                            object with the errors of each field.",
            "license": { "name": "MIT OR Apache-2.0", "identifier": "MIT OR Apache-2.0" },
        },
        "servers": [{ "url": "/" }],
        "tags": [
            { "name": "dialect A", "description": "Resources and methods." },
            { "name": "dialect B", "description": "A path for each operation. Creates, changes, deletes and reads \
                                                   of a single task respond with 201." },
            { "name": "auth", "description": "Users and their tokens." },
            { "name": "activity", "description": "The log of requests." },
            { "name": "operation", "description": "For operators." },
        ],
        "paths": paths,
        "components": {
            "schemas": schemas::all(),
            "securitySchemes": {
                "bearer": { "type": "http", "scheme": "bearer", "bearerFormat": "JWT", "description": "The `access` token of `/auth/token`." },
            },
        },
    })
}

/// A path and its operations, by method in lower case.
type Path = (&'static str, Vec<(&'static str, Operation)>);

/// Description of an operation.
struct Operation {
    tag: &'static str,
    id: &'static str,
    summary: &'static str,
    parameters: Vec<Value>,
    body: Option<&'static str>,
    answers: Map<String, Value>,
    needs_user: bool,
}

impl Operation {
    fn new(tag: &'static str, id: &'static str, summary: &'static str) -> Self {
        let operation =
            Self { tag, id, summary, parameters: Vec::new(), body: None, answers: Map::new(), needs_user: false };
        operation
            .refusal(408, "The body did not arrive in time.")
            .refusal(413, "The body is too long.")
            .refusal(431, "The head is too long.")
            .refusal(503, "The database is unavailable, or the response took too long. Try again shortly.")
    }

    /// Adds the path parameter `id` of a task, and the response 404.
    fn id(mut self) -> Self {
        let schema = json!({ "type": "integer", "format": "int64", "minimum": 1 });
        self.parameters.push(json!({ "name": "id", "in": "path", "required": true, "schema": schema }));
        self.refusal(404, "The task does not exist.")
    }

    fn query(mut self, name: &str, description: &str, schema: Value) -> Self {
        self.parameters.push(json!({ "name": name, "in": "query", "description": description, "schema": schema }));
        self
    }

    /// Adds a body with a schema, and the response 400. The service ignores the content type.
    fn body(mut self, schema: &'static str) -> Self {
        self.body = Some(schema);
        self.answer_with(400, "The body is not JSON, or some of its fields are invalid.", &reference("Fault"))
    }

    fn user(mut self, needed: bool) -> Self {
        self.needs_user = needed;
        if needed && !self.answers.contains_key("401") {
            self.unauthorized("The request has no valid access token.")
        } else {
            self
        }
    }

    fn answer(self, status: u16, description: &str, schema: &str) -> Self {
        self.answer_with(status, description, &reference(schema))
    }

    fn answer_with(mut self, status: u16, description: &str, schema: &Value) -> Self {
        let content = json!({ "application/json": { "schema": schema } });
        self.answers.insert(status.to_string(), json!({ "description": description, "content": content }));
        self
    }

    /// Adds a response with a constant text.
    fn text(mut self, status: u16, description: &str, text: &str) -> Self {
        let content = json!({ "text/plain": { "schema": { "type": "string", "const": text } } });
        self.answers.insert(status.to_string(), json!({ "description": description, "content": content }));
        self
    }

    fn refusal(self, status: u16, description: &str) -> Self {
        self.answer(status, description, "Refusal")
    }

    fn unauthorized(self, description: &str) -> Self {
        let challenge =
            json!({ "schema": { "type": "string" }, "description": "The authentication challenge (RFC 6750)." });
        self.refusal(401, description).header(401, "WWW-Authenticate", &challenge)
    }

    fn header(mut self, status: u16, name: &str, header: &Value) -> Self {
        if let Some(answer) = self.answers.get_mut(&status.to_string()) {
            answer["headers"][name] = header.clone();
        }
        self
    }

    fn document(self) -> Value {
        let Self { tag, id, summary, parameters, body, answers, needs_user } = self;
        let mut operation =
            json!({ "tags": [tag], "operationId": id, "summary": summary, "responses": Value::from(answers) });
        if !parameters.is_empty() {
            operation["parameters"] = parameters.into();
        }
        if let Some(schema) = body {
            let content = json!({ "application/json": { "schema": reference(schema) } });
            operation["requestBody"] = json!({ "required": true, "content": content });
        }
        operation["security"] = if needs_user { json!([{ "bearer": [] }]) } else { json!([]) };
        operation
    }
}

fn reference(schema: &str) -> Value {
    json!({ "$ref": format!("#/components/schemas/{schema}") })
}
