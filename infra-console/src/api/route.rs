//! A route of the API: its handler and its documentation.

use super::{Answer, Refusal};
use crate::{
    access::{CSRF_HEADER, Caller},
    pages::{Shared, check_csrf},
    views::{Context, Problem, Query, graph::encoded},
};
use axum::{
    Extension, Json,
    extract::{RawPathParams, RawQuery, State, rejection::JsonRejection},
    http::{HeaderMap, Uri},
    routing::{MethodRouter, get, post},
};
use futures::{FutureExt, future::BoxFuture};
use infra_core::diagnostic::{Diagnostic, did_you_mean};
use schemars::{JsonSchema, Schema, SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value};
use std::sync::Arc;

/// Adds the schema of a type to a generator and returns a reference to it.
pub(crate) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

/// Reads a view with JSON arguments.
pub(crate) type Load = fn(Arc<Context>, Map<String, Value>) -> BoxFuture<'static, Result<Value, Problem>>;

/// A route of the API.
pub(crate) struct Route {
    /// Name of the operation and of the MCP tool.
    pub(crate) name: &'static str,
    pub(crate) method: Method,
    /// Path below `/api`, with `{NAME}` for parameters, and `{*NAME}` for one that may contain slashes.
    pub(crate) path: &'static str,
    /// Description for people and models.
    pub(crate) about: &'static str,
    /// Schema of the parameters: in the path and the query for GET, in the body for POST.
    pub(crate) parameters: Option<SchemaOf>,
    /// Schema of the answer.
    pub(crate) answer: SchemaOf,
    /// `None` if the route is not a view, and so no MCP tool.
    pub(crate) load: Option<Load>,
    handler: fn() -> MethodRouter<Shared>,
}

/// Method of a route.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Method {
    Get,
    Post,
}

impl Method {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Method::Get => "GET",
            Method::Post => "POST",
        }
    }
}

impl Route {
    /// A view with parameters in the path and the query. It is an MCP tool as well.
    pub(crate) const fn view<Q: Query>(name: &'static str, path: &'static str, about: &'static str) -> Self {
        let route = Self::new::<Q::View>(name, Method::Get, path, about, || get(view::<Q>));
        Self { parameters: Some(Q::json_schema), load: Some(load::<Q>), ..route }
    }

    /// A view with parameters in a JSON document, which is requested by POST because it runs the program and may start the
    /// local cloud. It is an MCP tool as well.
    pub(crate) const fn posted_view<Q: Query>(name: &'static str, path: &'static str, about: &'static str) -> Self {
        let route = Self::new::<Q::View>(name, Method::Post, path, about, || post(posted_view::<Q>));
        Self { parameters: Some(Q::json_schema), load: Some(load::<Q>), ..route }
    }

    /// A route that is not a view, with the type of its answer.
    pub(crate) const fn new<A: JsonSchema>(
        name: &'static str,
        method: Method,
        path: &'static str,
        about: &'static str,
        handler: fn() -> MethodRouter<Shared>,
    ) -> Self {
        Self { name, method, path, about, parameters: None, answer: schema::<A>, load: None, handler }
    }

    /// Adds the schema of the document that the route receives.
    pub(crate) const fn with_parameters<T: JsonSchema>(mut self) -> Self {
        self.parameters = Some(schema::<T>);
        self
    }

    /// Returns the path with `{NAME}` for all parameters.
    pub(crate) fn template(&self) -> String {
        format!("/api{}", self.path.replace("{*", "{"))
    }

    /// Returns the handler.
    pub(crate) fn handler(&self) -> MethodRouter<Shared> {
        (self.handler)()
    }
}

/// Adds the schema of a type to a generator.
fn schema<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Returns the schema of received values without references.
pub(crate) fn inlined(schema: SchemaOf) -> Schema {
    let settings = SchemaSettings::draft2020_12().for_deserialize();
    schema(&mut settings.with(|settings| settings.inline_subschemas = true).into_generator())
}

/// Refuses parameters that the view does not have. Types with flattened fields would ignore them.
fn check_names<Q: Query>(mut given: impl Iterator<Item = impl AsRef<str>>) -> Result<(), Problem> {
    let schema = inlined(Q::json_schema);
    let fields = schema.get("properties").and_then(Value::as_object);
    let known: Vec<&str> = fields.into_iter().flatten().map(|(name, _)| name.as_str()).collect();
    let Some(unknown) = given.find(|name| !known.contains(&name.as_ref())) else {
        return Ok(());
    };
    let shown: String = unknown.as_ref().chars().take(100).collect();
    let hint = did_you_mean(&shown, known.iter().copied()).unwrap_or_else(|| match known.as_slice() {
        [] => "omit it: there are no parameters".to_owned(),
        known => format!("the parameters are {}", known.join(", ")),
    });
    Err(Problem::invalid(Diagnostic::error(format!("there is no parameter `{shown}`")).hint(hint)))
}

async fn view<Q: Query>(
    State(shared): State<Shared>,
    path: RawPathParams,
    RawQuery(query): RawQuery,
) -> Answer<Q::View> {
    let parameters: Q = parameters(&path, query.as_deref().unwrap_or_default())?;
    Ok(Json(parameters.load(&shared.context).await?))
}

/// Reads the parameters of the path and of the query together, with the types of the fields.
fn parameters<Q: Query>(path: &RawPathParams, query: &str) -> Result<Q, Problem> {
    check_names::<Q>(form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name))?;
    let path = path.iter().map(|(name, value)| format!("{name}={}", encoded(value)));
    let pairs: Vec<String> = path.chain((!query.is_empty()).then(|| query.to_owned())).collect();
    let uri: Uri = format!("/?{}", pairs.join("&")).parse().map_err(|error| invalid(&error))?;
    let parsed = axum::extract::Query::<Q>::try_from_uri(&uri);
    parsed.map(|axum::extract::Query(parameters)| parameters).map_err(|error| invalid(&error.body_text()))
}

async fn posted_view<Q: Query>(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    parameters: Result<Json<Q>, JsonRejection>,
) -> Answer<Q::View> {
    let csrf = headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok());
    check_csrf(&caller, csrf.unwrap_or_default())?;
    let Json(parameters) = parameters.map_err(|error| Refusal::from(invalid(&error.body_text())))?;
    Ok(Json(parameters.load(&shared.context).await?))
}

fn invalid(reason: &dyn std::fmt::Display) -> Problem {
    let invalid = Diagnostic::error("the parameters of the request are not valid").because(reason.to_string());
    Problem::invalid(invalid.hint("`/api/openapi.json` describes the parameters of each route"))
}

fn load<Q: Query>(context: Arc<Context>, arguments: Map<String, Value>) -> BoxFuture<'static, Result<Value, Problem>> {
    async move {
        check_names::<Q>(arguments.keys())?;
        let parameters: Q = serde_json::from_value(Value::Object(arguments)).map_err(|error| {
            let invalid = Diagnostic::error("the arguments of the tool are not valid").because(error.to_string());
            Problem::invalid(invalid.hint("use the arguments that the input schema of the tool describes"))
        })?;
        let view = parameters.load(&context).await?;
        serde_json::to_value(view).map_err(|error| Diagnostic::error(error.to_string()).into())
    }
    .boxed()
}
