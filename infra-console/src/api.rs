//! The views as JSON, below `/api`.

use crate::{
    pages::Shared,
    pages::metrics::parameters,
    views::{
        Problem,
        events::Events,
        metrics::{self, Metrics},
        overview::Overview,
        range::RangeQuery,
        resource::Resource,
    },
};
use axum::{
    Json, Router,
    extract::{Path, Query, State, rejection::QueryRejection},
    response::{IntoResponse, Response},
    routing::get,
};
use chrono::Utc;

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
        .route("/metrics", get(metrics))
        .route("/events", get(events))
}

async fn overview(State(shared): State<Shared>) -> Answer<Overview> {
    Ok(Json(Overview::load(&shared.context).await?))
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
