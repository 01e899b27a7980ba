//! The views as JSON, below `/api`.

use crate::{
    pages::Shared,
    views::{Problem, graph::Graph, network::Network, overview::Overview, resource::Resource},
};
use axum::{
    Json, Router,
    extract::{Path, State},
    response::{IntoResponse, Response},
    routing::get,
};
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
        .route("/resources/{urn}", get(resource))
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

async fn resource(State(shared): State<Shared>, Path(urn): Path<String>) -> Answer<Resource> {
    Ok(Json(Resource::load(&shared.context, &urn).await?))
}
