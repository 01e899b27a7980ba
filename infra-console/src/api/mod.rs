//! The views as JSON, below `/api`.
//!
//! - `route`: handler and documentation of a route
//! - `openapi`: the OpenAPI document of the routes
//! - `page`: the list of the routes for people

mod openapi;
mod page;
mod route;

pub(crate) use route::{Route, SchemaOf, inlined};

use crate::{
    access::{CSRF_HEADER, Caller},
    pages::{Shared, check_csrf},
    views::{
        Problem,
        calls::{CallQuery, CallsQuery},
        controls::ControlRequest,
        events::EventsQuery,
        faults::{Fault, FaultsQuery, invalid},
        graph::GraphQuery,
        logs::LogsQuery,
        metrics,
        network::NetworkQuery,
        overview::OverviewQuery,
        preview::PreviewQuery,
        resource::ResourceQuery,
        runs::{ComparisonQuery, RunQuery, RunsQuery},
    },
};
use axum::{
    Extension, Json, Router,
    extract::{State, rejection::JsonRejection},
    http::{HeaderMap, Uri},
    response::{IntoResponse, Response},
    routing::{get, post},
};
use infra_core::diagnostic::Diagnostic;
use route::Method;
use schemars::JsonSchema;
use serde::Serialize;

/// All routes. The router, the OpenAPI document, the page of the API and the MCP tools are derived from this table.
pub(crate) static ROUTES: &[Route] = &[
    Route::view::<OverviewQuery>(
        "overview",
        "/overview",
        "The stack at a glance: number of resources by status, outputs, and the status of the local cloud.",
    ),
    Route::view::<GraphQuery>(
        "graph",
        "/graph",
        "The declared and recorded resources with their status and their dependencies.",
    ),
    Route::view::<ResourceQuery>(
        "resource",
        "/resources/{*urn}",
        "One resource: recorded inputs and outputs with masked secrets, related resources, and operations without a \
         known outcome.",
    ),
    Route::view::<NetworkQuery>(
        "network",
        "/network",
        "The network of the local cloud: VPCs, subnets, interfaces, and the TCP connections that are permitted.",
    ),
    Route::posted_view::<PreviewQuery>(
        "preview",
        "/preview",
        "Plans the changes that `stack up` would make, and changes no resource. It may start the local cloud, and \
         stops it afterwards. A person applies the changes.",
    ),
    Route::view::<RunsQuery>("runs", "/runs", "The recorded runs of the stack, the newest first."),
    Route::view::<RunQuery>(
        "run",
        "/runs/{id}",
        "One run: its steps with times, outcomes and the critical path, its messages and errors.",
    ),
    Route::view::<ComparisonQuery>(
        "compare_runs",
        "/comparison",
        "Two runs side by side: action and duration of each resource in both.",
    ),
    Route::view::<LogsQuery>(
        "logs",
        "/logs",
        "Lines of the logs of the local cloud, its services and its databases, the newest ones that match.",
    ),
    Route::view::<CallsQuery>(
        "calls",
        "/calls",
        "API calls to the local cloud, the newest first, with parameters, answers, and the decisions of policies.",
    ),
    Route::view::<CallQuery>("call", "/calls/{number}", "One API call to the local cloud."),
    Route::view::<metrics::Query>(
        "metrics",
        "/metrics",
        "Metrics of balancers, groups, instances and databases of the local cloud, and the events of the time range.",
    ),
    Route::view::<EventsQuery>(
        "events",
        "/events",
        "Faults, scaling, alarms, failovers and changes of instances in a time range, by default the last 5 minutes.",
    ),
    Route::view::<FaultsQuery>(
        "faults",
        "/faults",
        "Active and past faults of the local cloud, and the resources that a fault may concern.",
    ),
    Route::new::<Changed>(
        "control_resource",
        Method::Post,
        "/controls",
        "Starts, stops or restarts an instance, a database or the instances of an Auto Scaling group of the local cloud, \
         if the console was started with `--allow-changes`.",
        || post(control),
    )
    .with_parameters::<ControlRequest>(),
    Route::new::<Changed>(
        "inject_fault",
        Method::Post,
        "/faults",
        "Injects or ends a fault, if the console was started with `--allow-changes`.",
        || post(inject),
    )
    .with_parameters::<Fault>(),
    Route::new::<SignIn>(
        "sign_in",
        Method::Post,
        "/sign-in",
        "A URL with which another browser signs in to the console, once. Only for the token of programs.",
        || post(sign_in),
    ),
    Route::new::<serde_json::Map<String, serde_json::Value>>(
        "openapi",
        Method::Get,
        "/openapi.json",
        "This description of the API.",
        || get(openapi),
    ),
];

/// Result of a handler.
type Answer<T> = Result<Json<T>, Refusal>;

/// A problem as a JSON document.
pub(crate) struct Refusal(Problem);

impl<P: Into<Problem>> From<P> for Refusal {
    fn from(problem: P) -> Self {
        Self(problem.into())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        (self.0.status, Json(self.0)).into_response()
    }
}

/// Returns the page of the API and its routes.
pub(crate) fn routes() -> Router<Shared> {
    let api = ROUTES.iter().fold(Router::new(), |router, route| router.route(route.path, route.handler()));
    Router::new().route("/api", get(page::page)).nest("/api", api.fallback(unknown))
}

/// A sign-in URL.
#[derive(Serialize, JsonSchema)]
struct SignIn {
    /// The URL. It is valid for one browser.
    url: String,
}

async fn sign_in(State(shared): State<Shared>, Extension(caller): Extension<Caller>) -> Answer<SignIn> {
    if !caller.is_program() {
        let refused = Diagnostic::error("only programs with the console's token invite another browser");
        return Err(Problem::refused(refused.hint("run `stack console` in a terminal")).into());
    }
    let url = shared.access.invite().map_err(|error| Diagnostic::error(error.to_string()))?;
    Ok(Json(SignIn { url }))
}

/// The effect of a change.
#[derive(Serialize, JsonSchema)]
struct Changed {
    /// Description of the effect.
    done: String,
}

/// Injects or ends a fault.
async fn inject(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Answer<Changed> {
    check_csrf(&caller, csrf(&headers))?;
    let Json(fault) = fault.map_err(|error| invalid("the document is no fault", &error.body_text()))?;
    Ok(Json(Changed { done: fault.inject(&shared.context).await? }))
}

/// Starts, stops or restarts a resource.
async fn control(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    request: Result<Json<ControlRequest>, JsonRejection>,
) -> Answer<Changed> {
    check_csrf(&caller, csrf(&headers))?;
    let Json(request) = request.map_err(|error| invalid("the document names no control", &error.body_text()))?;
    Ok(Json(Changed { done: request.execute(&shared.context).await? }))
}

/// Returns the CSRF token, which scripts of browsers send as a header.
fn csrf(headers: &HeaderMap) -> &str {
    headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok()).unwrap_or_default()
}

async fn openapi() -> Json<serde_json::Value> {
    Json(openapi::document(ROUTES))
}

async fn unknown(uri: Uri) -> Refusal {
    let missing = Diagnostic::error(format!("the API has no route `{}`", uri.path()));
    Problem::not_found(missing.hint("`/api/openapi.json` describes the routes")).into()
}
