//! `GET /healthz`: 200 when the service and its database answer, else 503.

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use sea_orm::DatabaseConnection;
use serde_json::json;
use tokio::time::timeout;

/// Time limit of the database: shorter than that of a load balancer's health check (5 s).
const PATIENCE: Duration = Duration::from_secs(2);

/// Answers `{"status":"ok"}`, or 503 with `{"status":"unavailable"}`.
pub async fn check(database: Data<DatabaseConnection>) -> HttpResponse {
    match timeout(PATIENCE, database.ping()).await {
        Ok(Ok(())) => HttpResponse::Ok().json(json!({ "status": "ok" })),
        Ok(Err(error)) => unavailable(&error.to_string()),
        Err(_) => unavailable("no response in time"),
    }
}

fn unavailable(error: &str) -> HttpResponse {
    tracing::warn!(error, "the database is unavailable");
    HttpResponse::ServiceUnavailable().json(json!({ "status": "unavailable" }))
}
