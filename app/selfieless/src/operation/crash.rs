//! `_health`, and `_crash`, which simulates the failure of an instance.

use std::{
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    time::Duration,
};

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::StatusCode,
    middleware::Next,
    web::Data,
};
use kit::reply;
use sea_orm::DatabaseConnection;
use tokio::time::timeout;

use crate::refusal::done;

/// Time limit of the database in a health check: shorter than that of the orchestrator.
const PATIENCE: Duration = Duration::from_secs(1);

/// State of this process: `true` after a simulated crash.
#[derive(Debug, Default)]
pub struct Crash(AtomicBool);

/// Middleware that answers 500 once the process has crashed.
pub(super) async fn middleware(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    if request.app_data::<Data<Crash>>().is_some_and(|crash| crash.has_crashed()) {
        return Ok(request.into_response(crashed()));
    }
    next.call(request).await.map(ServiceResponse::map_into_boxed_body)
}

/// Answers unknown paths: 404, and 500 once the process has crashed.
pub(super) async fn unknown(crash: Data<Crash>) -> HttpResponse {
    if crash.has_crashed() { crashed() } else { reply::detail(StatusCode::NOT_FOUND, "Not found.") }
}

impl Crash {
    pub(super) fn has_crashed(&self) -> bool {
        self.0.load(Relaxed)
    }
}

fn crashed() -> HttpResponse {
    reply::detail(StatusCode::INTERNAL_SERVER_ERROR, "This instance has crashed.")
}

pub(super) async fn crash(crash: Data<Crash>) -> HttpResponse {
    crash.0.store(true, Relaxed);
    tracing::warn!("this instance answers every request with 500 from now on");
    done(StatusCode::OK)
}

pub(super) async fn health(database: Data<DatabaseConnection>) -> HttpResponse {
    let error = match timeout(PATIENCE, database.ping()).await {
        Ok(Ok(())) => return done(StatusCode::OK),
        Ok(Err(error)) => error.to_string(),
        Err(_) => "no response in time".to_owned(),
    };
    tracing::warn!(error, "the database is unavailable");
    reply::detail(StatusCode::INTERNAL_SERVER_ERROR, "The database is unavailable.")
}
