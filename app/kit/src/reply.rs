//! Answers that all services share. A refusal is `{"detail": "what and why"}`.

use std::error::Error;

use actix_web::{
    HttpResponse, Route,
    http::{
        Method, StatusCode,
        header::{ALLOW, HeaderValue},
    },
    web,
};
use sea_orm::{DbErr, RuntimeErr, sqlx};
use serde_json::json;

const INTERNAL: &str = "Internal error. The log tells more under this request's id.";

/// Answers `{"detail": …}` with the given status.
pub fn detail(status: StatusCode, detail: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "detail": detail }))
}

/// The route for every other method of a resource: 405 with the methods it has, such as `"GET, HEAD"`.
pub fn only(allowed: &'static str) -> Route {
    web::to(move |method: Method| async move {
        let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    })
}

/// Answers 500 for a fault of ours. The error itself goes to the log, never to the client.
pub fn internal_failure(error: &dyn Error) -> HttpResponse {
    tracing::error!(error = %error, "internal");
    detail(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
}

/// Answers for a database error: 503 when the database is away, else 500.
///
/// The error itself goes to the log, never to the client.
pub fn database_failure(error: &DbErr) -> HttpResponse {
    tracing::error!(%error, "database");
    if is_away(error) {
        detail(StatusCode::SERVICE_UNAVAILABLE, "The database does not answer. Try again shortly.")
    } else {
        detail(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }
}

/// Tells whether an error means that the database is away, full or busy, so that trying again later may help.
pub fn is_away(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| code_means_away(&code)),
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed => true,
            _ => false,
        },
        _ => false,
    }
}

/// Tells whether the database has refused a statement, so that nothing of it is done.
pub fn is_refusal(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    matches!(**source, sqlx::Error::Database(_)) && !is_away(error)
}

/// PostgreSQL: connection (08), resources (53), operator intervention (57), read-only replica (25006).
/// SQLite: busy, locked, read-only, input/output, full, cannot open.
fn code_means_away(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "25006"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn away_is_not_broken() {
        for away in ["57P01", "08006", "53300", "25006", "5", "517", "14"] {
            assert!(code_means_away(away), "{away}");
        }
        for broken in ["42P01", "22001", "23505", "1", "19", "2067"] {
            assert!(!code_means_away(broken), "{broken}");
        }
        assert!(!is_away(&DbErr::RecordNotUpdated));
    }
}
