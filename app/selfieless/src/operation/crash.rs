//! `_health`, and `_crash`, which simulates the failure of an instance.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use actix_web::{
    HttpResponse, Resource,
    guard::fn_guard,
    http::StatusCode,
    web::{self, Data},
};
use kit::reply;
use sea_orm::DatabaseConnection;
use tokio::time::timeout;

use crate::refusal::done;

/// Time limit of the database in a health check: shorter than that of the orchestrator.
const PATIENCE: Duration = Duration::from_secs(1);

/// Whether this process has crashed.
#[derive(Debug, Clone, Default)]
pub struct Crash(Arc<AtomicBool>);

impl Crash {
    /// Returns the resource of all paths, which answers 500 and exists only after a crash.
    pub(super) fn answers_everything(&self) -> Resource {
        let crashed = Arc::clone(&self.0);
        web::resource("/{path:.*}")
            .guard(fn_guard(move |_| crashed.load(Relaxed)))
            .to(|| async { reply::detail(StatusCode::INTERNAL_SERVER_ERROR, "This instance has crashed.") })
    }
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
