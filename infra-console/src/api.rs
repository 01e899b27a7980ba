//! The views as JSON, below `/api`.

use crate::{
    pages::Shared,
    views::{
        Problem,
        calls::{self, Call, CallList},
        logs::{self, Logs},
        overview::Overview,
        parameters::Parameters,
        resource::Resource,
    },
};
use axum::{
    Json, Router,
    extract::{Path, RawQuery, State},
    response::{IntoResponse, Response},
    routing::get,
};

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
        .route("/resources/{urn}", get(resource))
        .route("/logs", get(logs))
        .route("/calls", get(calls))
        .route("/calls/{number}", get(call))
}

async fn overview(State(shared): State<Shared>) -> Answer<Overview> {
    Ok(Json(Overview::load(&shared.context).await?))
}

async fn resource(State(shared): State<Shared>, Path(urn): Path<String>) -> Answer<Resource> {
    Ok(Json(Resource::load(&shared.context, &urn).await?))
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
