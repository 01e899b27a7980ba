//! Responses that all services share. A refusal is `{"detail": "what and why"}`.

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

const INTERNAL: &str = "Internal error. The log contains the cause, with the ID of this request.";

/// Returns the response `{"detail": …}` with this status.
pub fn detail(status: StatusCode, detail: &str) -> HttpResponse {
    HttpResponse::build(status).json(json!({ "detail": detail }))
}

/// Returns the route for all other methods of a resource: 405 with the allowed methods, such as `"GET, HEAD"`.
pub fn only(allowed: &'static str) -> Route {
    web::to(move |method: Method| async move {
        let mut response = detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."));
        response.headers_mut().insert(ALLOW, HeaderValue::from_static(allowed));
        response
    })
}

/// Returns 500. The error is logged, and not part of the response.
pub fn internal_failure(error: &dyn Error) -> HttpResponse {
    tracing::error!(error = %error, "internal");
    detail(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
}

/// Returns the response to a database error: 503 if the database is unavailable, else 500.
///
/// The error is logged, and not part of the response.
pub fn database_failure(error: &DbErr) -> HttpResponse {
    tracing::error!(%error, "database");
    if is_unavailable(error) {
        detail(StatusCode::SERVICE_UNAVAILABLE, "The database is unavailable. Try again shortly.")
    } else {
        detail(StatusCode::INTERNAL_SERVER_ERROR, INTERNAL)
    }
}

/// Returns whether the database is unavailable, full or busy, so that a retry may succeed.
pub fn is_unavailable(error: &DbErr) -> bool {
    match error {
        DbErr::ConnectionAcquire(_) | DbErr::Conn(_) => true,
        DbErr::Exec(RuntimeErr::SqlxError(error)) | DbErr::Query(RuntimeErr::SqlxError(error)) => match &**error {
            sqlx::Error::Database(refusal) => refusal.code().is_some_and(|code| is_unavailable_code(&code)),
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

/// Returns whether the database has refused a statement, which so had no effect.
pub fn is_refusal(error: &DbErr) -> bool {
    let (DbErr::Exec(RuntimeErr::SqlxError(source)) | DbErr::Query(RuntimeErr::SqlxError(source))) = error else {
        return false;
    };
    matches!(**source, sqlx::Error::Database(_)) && !is_unavailable(error)
}

/// Returns whether the database is temporarily unavailable. PostgreSQL: connection (08), resources (53), operator
/// intervention (57), read-only replica (25006). SQLite: busy, locked, read-only, input/output, full, cannot open.
fn is_unavailable_code(code: &str) -> bool {
    if code.len() == 5 {
        return ["08", "53", "57", "25006"].iter().any(|class| code.starts_with(class));
    }
    code.parse::<u32>().is_ok_and(|code| matches!(code & 0xff, 5 | 6 | 8 | 10 | 13 | 14))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn unavailable_databases_are_not_internal_errors() {
        for unavailable in ["57P01", "08006", "53300", "25006", "5", "517", "14"] {
            assert!(is_unavailable_code(unavailable), "{unavailable}");
        }
        for broken in ["42P01", "22001", "23505", "1", "19", "2067"] {
            assert!(!is_unavailable_code(broken), "{broken}");
        }
        assert!(!is_unavailable(&DbErr::RecordNotUpdated));
    }
}
