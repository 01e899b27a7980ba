//! `GET /healthz`: 200 when the service, its database and its other dependencies answer, else 503.

use std::{error::Error, time::Duration};

use actix_web::{HttpResponse, web::Data};
use sea_orm::DatabaseConnection;
use serde_json::json;
use tokio::time::timeout;

/// Time limit of all checks: shorter than that of a load balancer's health check (5 s).
pub const PATIENCE: Duration = Duration::from_secs(2);

/// Answers `{"status":"ok"}` if the database, if there is one, and the other dependencies answer, else 503 with
/// `{"status":"unavailable"}`.
pub(crate) async fn check(
    database: Option<Data<DatabaseConnection>>,
    others: impl Future<Output = Result<(), Box<dyn Error + Send + Sync>>>,
) -> HttpResponse {
    let checks = async {
        if let Some(database) = database {
            database.ping().await?;
        }
        others.await
    };
    match timeout(PATIENCE, checks).await {
        Ok(Ok(())) => HttpResponse::Ok().json(json!({ "status": "ok" })),
        Ok(Err(error)) => unavailable(&error.to_string()),
        Err(_) => unavailable("no response in time"),
    }
}

fn unavailable(error: &str) -> HttpResponse {
    tracing::warn!(error, "the database or another dependency is unavailable");
    HttpResponse::ServiceUnavailable().json(json!({ "status": "unavailable" }))
}
