//! `GET /activity/`: the activity log, for signed-in users.

use actix_web::{
    HttpRequest, HttpResponse, ResponseError,
    middleware::from_fn,
    web::{self, Data, Query, ServiceConfig},
};
use chrono::{DateTime, Utc};
use kit::{
    reader::Reader,
    reply::{self, only},
};
use sea_orm::{
    ColumnTrait, DbErr, EntityTrait, QueryFilter, QueryOrder, QuerySelect,
    sea_query::{Expr, ExprTrait, LikeExpr},
};
use serde::Serialize;

use crate::{
    auth::guard,
    entity::activity::{Column, Entity, Model},
    input::FieldErrors,
    timestamp,
};

/// Default number of rows.
pub const DEFAULT_LIMIT: u64 = 100;
/// Maximum number of rows.
pub const MAX_LIMIT: u64 = 1000;

/// Adds the route.
pub fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/activity/")
            .wrap(from_fn(guard::always))
            .route(web::get().to(list))
            .route(web::head().to(list))
            .default_service(only("GET, HEAD")),
    );
}

/// Query of the URL, not validated.
#[derive(Default)]
struct Parameters {
    user: Option<String>,
    path: Option<String>,
    since: Option<String>,
    limit: Option<String>,
}

/// A valid query.
struct ValidQuery {
    user: Option<String>,
    path: Option<String>,
    since: Option<DateTime<Utc>>,
    limit: u64,
}

/// A row of the response.
#[derive(Serialize)]
struct ActivityRow {
    time: String,
    user: Option<String>,
    method: String,
    path: String,
    status: i16,
    duration_ms: f64,
    client: String,
    instance: String,
}

/// Responds with rows, the latest first.
async fn list(reader: Data<Reader>, request: HttpRequest) -> Result<HttpResponse, Refusal> {
    let ValidQuery { user, path, since, limit } = ValidQuery::parse(Parameters::read(request.query_string())?)?;
    let mut rows = Entity::find().order_by_desc(Column::Time).order_by_desc(Column::Id).limit(limit);
    if let Some(user) = user {
        rows = rows.filter(Column::Username.eq(user));
    }
    if let Some(path) = path {
        rows = rows.filter(Expr::col(Column::Path).like(starts_with(&path)));
    }
    if let Some(since) = since {
        rows = rows.filter(Column::Time.gte(since));
    }
    let rows = reader.read(async |database| rows.clone().all(database).await).await?;
    Ok(HttpResponse::Ok().json(rows.into_iter().map(ActivityRow::from).collect::<Vec<_>>()))
}

impl Parameters {
    /// Parses the query. Unknown and repeated parameters are faults, since they would have no effect.
    fn read(query: &str) -> Result<Self, FieldErrors> {
        let fault = |why: String| {
            let mut errors = FieldErrors::default();
            errors.add("non_field_errors", vec![why]);
            errors
        };
        let pairs = Query::<Vec<(String, String)>>::from_query(query).map_err(|error| fault(format!("{error}.")))?;
        let mut parameters = Self::default();
        for (name, value) in pairs.into_inner() {
            let slot = match name.as_str() {
                "user" => &mut parameters.user,
                "path" => &mut parameters.path,
                "since" => &mut parameters.since,
                "limit" => &mut parameters.limit,
                _ => {
                    return Err(fault(format!(
                        "Unknown parameter {name:?}; the parameters are user, path, since and limit."
                    )));
                }
            };
            if slot.replace(value).is_some() {
                return Err(fault(format!("The parameter {name} is repeated.")));
            }
        }
        Ok(parameters)
    }
}

impl ValidQuery {
    fn parse(Parameters { user, path, since, limit }: Parameters) -> Result<Self, FieldErrors> {
        let mut errors = FieldErrors::default();
        for (name, text) in [("user", &user), ("path", &path)] {
            if text.as_ref().is_some_and(|text| text.contains('\0')) {
                errors.add(name, vec!["Null characters are not allowed.".into()]);
            }
        }
        let since = since.and_then(|text| {
            let moment = timestamp::parse(&text);
            if moment.is_none() {
                errors.add("since", vec![timestamp::WRONG.into()]);
            }
            moment
        });
        let limit = limit.map_or(Some(DEFAULT_LIMIT), |text| text.parse().ok());
        let limit = limit.filter(|limit| (1..=MAX_LIMIT).contains(limit)).unwrap_or_else(|| {
            errors.add("limit", vec![format!("A whole number from 1 to {MAX_LIMIT} is required.")]);
            DEFAULT_LIMIT
        });
        errors.or(Self { user, path, since, limit })
    }
}

/// Returns the pattern of texts with a prefix, whose characters are no wildcards.
fn starts_with(text: &str) -> LikeExpr {
    let mut pattern = String::new();
    for character in text.chars() {
        if "\\%_".contains(character) {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    LikeExpr::new(pattern + "%").escape('\\')
}

impl From<Model> for ActivityRow {
    fn from(row: Model) -> Self {
        let Model { time, username, method, path, status, duration_us, client, instance, .. } = row;
        let duration_ms = duration_us as f64 / 1000.0;
        Self {
            time: timestamp::microseconds(time),
            user: username,
            method,
            path,
            status,
            duration_ms,
            client,
            instance,
        }
    }
}

/// Error of the request.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("{0}")]
    Invalid(FieldErrors),
    #[error(transparent)]
    Database(#[from] DbErr),
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::Invalid(errors) => HttpResponse::BadRequest().json(errors),
            Self::Database(error) => reply::database_failure(error),
        }
    }
}
