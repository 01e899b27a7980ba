//! The views as JSON, below `/api`.

use crate::{
    access::{CSRF_HEADER, Caller},
    pages::{Shared, check_csrf, metrics::parameters},
    views::{
        Problem,
        calls::{self, Call, CallList},
        events::Events,
        faults::{Fault, Faults, invalid},
        graph::Graph,
        logs::{self, Logs},
        metrics::{self, Metrics},
        network::Network,
        overview::Overview,
        parameters::Parameters,
        range::RangeQuery,
        resource::Resource,
        runs::{Run, Runs},
    },
};
use axum::{
    Extension, Json, Router,
    extract::{
        Path, Query, RawQuery, State,
        rejection::{JsonRejection, QueryRejection},
    },
    http::HeaderMap,
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::Utc;
use serde::Serialize;
use std::collections::BTreeSet;

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

pub(crate) fn routes() -> Router<Shared> {
    Router::new()
        .route("/overview", get(overview))
        .route("/graph", get(graph))
        .route("/network", get(network))
        .route("/resources/{*urn}", get(resource))
        .route("/metrics", get(metrics))
        .route("/events", get(events))
        .route("/faults", get(faults).post(inject))
        .route("/runs", get(runs))
        .route("/runs/{id}", get(run))
        .route("/logs", get(logs))
        .route("/calls", get(calls))
        .route("/calls/{number}", get(call))
}

async fn overview(State(shared): State<Shared>) -> Answer<Overview> {
    Ok(Json(Overview::load(&shared.context).await?))
}

async fn graph(State(shared): State<Shared>) -> Answer<Graph> {
    Ok(Json(Graph::load(&shared.context, &BTreeSet::new()).await?))
}

async fn network(State(shared): State<Shared>) -> Answer<Network> {
    Ok(Json(Network::load(&shared.context).await?))
}

async fn runs(State(shared): State<Shared>) -> Json<Runs> {
    Json(Runs::load(&shared.context))
}

async fn run(State(shared): State<Shared>, Path(id): Path<String>) -> Answer<Run> {
    Ok(Json(Run::load(&shared.context, &id)?))
}

async fn resource(State(shared): State<Shared>, Path(urn): Path<String>) -> Answer<Resource> {
    Ok(Json(Resource::load(&shared.context, &urn).await?))
}

async fn metrics(
    State(shared): State<Shared>,
    wanted: Result<Query<metrics::Query>, QueryRejection>,
) -> Answer<Metrics> {
    Ok(Json(Metrics::load(&shared.context, &parameters(wanted)?).await?))
}

/// Returns the events of a time range, by default of the last five minutes.
async fn events(State(shared): State<Shared>, wanted: Result<Query<RangeQuery>, QueryRejection>) -> Answer<Events> {
    let range = parameters(wanted)?.range(Utc::now())?;
    metrics::only_local(&shared.context)?;
    Ok(Json(Events::load(&shared.context).await?.within(&range)))
}

async fn faults(State(shared): State<Shared>) -> Answer<Faults> {
    Ok(Json(Faults::load(&shared.context).await?))
}

/// The effect of a fault.
#[derive(Serialize)]
struct Injected {
    done: String,
}

/// Injects or ends a fault. Scripts of browsers send their CSRF token as a header.
async fn inject(
    State(shared): State<Shared>,
    Extension(caller): Extension<Caller>,
    headers: HeaderMap,
    fault: Result<Json<Fault>, JsonRejection>,
) -> Answer<Injected> {
    check_csrf(&caller, headers.get(CSRF_HEADER).and_then(|token| token.to_str().ok()).unwrap_or_default())?;
    let Json(fault) = fault.map_err(|error| invalid("the document is no fault", &error.body_text()))?;
    Ok(Json(Injected { done: fault.inject(&shared.context).await? }))
}

async fn logs(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer<Logs> {
    let parameters = Parameters::parse(&query.unwrap_or_default(), logs::PARAMETERS)?;
    Ok(Json(Logs::load(&shared.context, &parameters).await?))
}

async fn calls(State(shared): State<Shared>, RawQuery(query): RawQuery) -> Answer<CallList> {
    let parameters = Parameters::parse(&query.unwrap_or_default(), calls::PARAMETERS)?;
    Ok(Json(CallList::load(&shared.context, &parameters).await?))
}

async fn call(State(shared): State<Shared>, Path(number): Path<String>) -> Answer<Call> {
    Ok(Json(Call::load(&shared.context, &number).await?))
}
