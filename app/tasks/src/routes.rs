//! The requests under `/tasks/` and their answers.

use actix_web::{
    HttpResponse, Responder, ResponseError, Route,
    http::{Method, StatusCode, header},
    web::{self, Bytes, Data, Path, ServiceConfig},
};
use kit::reply;
use sea_orm::{
    ActiveModelTrait, ActiveValue::Set, DatabaseConnection, DbErr, EntityTrait, IntoActiveModel, QueryOrder,
};
use serde::Serialize;

use crate::{
    entity::task::{self as entity, Entity},
    input::{FieldErrors, NewTask, TaskChange},
    timestamp,
};

/// Adds the routes to a server whose data holds the `DatabaseConnection`.
pub fn routes(app: &mut ServiceConfig) {
    app.configure(crate::admin::routes)
        .service(
            web::resource("/tasks")
                .route(web::get().to(add_slash))
                .route(web::head().to(add_slash))
                .default_service(only("GET, HEAD")),
        )
        .service(
            web::resource("/tasks/")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create))
                .default_service(only("GET, HEAD, POST")),
        )
        .service(
            web::resource("/tasks/{id}")
                .route(web::get().to(show))
                .route(web::head().to(show))
                .route(web::put().to(change))
                .route(web::delete().to(delete))
                .default_service(only("GET, HEAD, PUT, DELETE")),
        );
}

async fn add_slash() -> impl Responder {
    web::Redirect::to("/tasks/").using_status_code(StatusCode::MOVED_PERMANENTLY)
}

async fn list(database: Data<DatabaseConnection>) -> Result<impl Responder, Refusal> {
    let tasks = Entity::find().order_by_asc(entity::Column::Id).all(database.as_ref()).await?;
    Ok(web::Json(tasks.into_iter().map(Listed::from).collect::<Vec<_>>()))
}

async fn create(database: Data<DatabaseConnection>, body: Bytes) -> Result<impl Responder, Refusal> {
    let NewTask { title, pub_date, description } = NewTask::parse(&serde_json::from_slice(&body)?)?;
    let task = entity::ActiveModel {
        title: Set(title),
        pub_date: Set(pub_date),
        description: Set(description),
        ..Default::default()
    };
    let task = task.insert(database.as_ref()).await?;
    Ok((web::Json(Single::from(task)), StatusCode::CREATED))
}

async fn show(database: Data<DatabaseConnection>, id: Path<String>) -> Result<impl Responder, Refusal> {
    let task = find(&database, &id).await?;
    Ok(web::Json(Single::from(task)))
}

async fn change(database: Data<DatabaseConnection>, id: Path<String>, body: Bytes) -> Result<impl Responder, Refusal> {
    let mut task = find(&database, &id).await?.into_active_model();
    let change = TaskChange::parse(&serde_json::from_slice(&body)?)?;
    if let Some(title) = change.title {
        task.title = Set(title);
    }
    if let Some(pub_date) = change.pub_date {
        task.pub_date = Set(pub_date);
    }
    if let Some(description) = change.description {
        task.description = Set(description);
    }
    let task = task.update(database.as_ref()).await?;
    Ok((web::Json(Single::from(task)), StatusCode::CREATED))
}

async fn delete(database: Data<DatabaseConnection>, id: Path<String>) -> Result<impl Responder, Refusal> {
    let deleted = Entity::delete_by_id(parse_id(&id)?).exec(database.as_ref()).await?;
    if deleted.rows_affected == 0 {
        return Err(Refusal::NotFound);
    }
    Ok("Task successfully deleted!")
}

async fn find(database: &DatabaseConnection, id: &str) -> Result<entity::Model, Refusal> {
    Entity::find_by_id(parse_id(id)?).one(database).await?.ok_or(Refusal::NotFound)
}

/// What cannot be an id is the id of no task.
fn parse_id(text: &str) -> Result<i64, Refusal> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits).ok_or(Refusal::NotFound)
}

/// Answers every other method.
fn only(allowed: &'static str) -> Route {
    web::to(move |method: Method| async move {
        let mut response = reply::detail(StatusCode::METHOD_NOT_ALLOWED, &format!("Method \"{method}\" not allowed."));
        response.headers_mut().insert(header::ALLOW, header::HeaderValue::from_static(allowed));
        response
    })
}

/// A task in the list: the shape of Django's serialiser.
#[derive(Serialize)]
struct Listed {
    model: &'static str,
    pk: i64,
    fields: ListedFields,
}

#[derive(Serialize)]
struct ListedFields {
    title: String,
    pub_date: String,
    description: String,
}

impl From<entity::Model> for Listed {
    fn from(task: entity::Model) -> Self {
        let entity::Model { id, title, pub_date, description } = task;
        let pub_date = timestamp::milliseconds(pub_date);
        Self { model: "tasks.task", pk: id, fields: ListedFields { title, pub_date, description } }
    }
}

/// A task by itself.
#[derive(Serialize)]
struct Single {
    id: i64,
    title: String,
    pub_date: String,
    description: String,
}

impl From<entity::Model> for Single {
    fn from(task: entity::Model) -> Self {
        let entity::Model { id, title, pub_date, description } = task;
        Self { id, title, pub_date: timestamp::microseconds(pub_date), description }
    }
}

/// Why a request is not granted.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("Not found.")]
    NotFound,
    #[error("JSON parse error - {0}")]
    Malformed(#[from] serde_json::Error),
    #[error("invalid fields: {0:?}")]
    Invalid(FieldErrors),
    #[error(transparent)]
    Database(DbErr),
}

impl From<FieldErrors> for Refusal {
    fn from(errors: FieldErrors) -> Self {
        Self::Invalid(errors)
    }
}

impl From<DbErr> for Refusal {
    fn from(error: DbErr) -> Self {
        match error {
            // Deleted between our finding it and our changing it.
            DbErr::RecordNotUpdated => Self::NotFound,
            other => Self::Database(other),
        }
    }
}

impl ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        match self {
            Self::NotFound => reply::detail(StatusCode::NOT_FOUND, &self.to_string()),
            Self::Malformed(_) => reply::detail(StatusCode::BAD_REQUEST, &self.to_string()),
            Self::Invalid(errors) => HttpResponse::BadRequest().json(errors),
            Self::Database(error) => reply::database_failure(error),
        }
    }
}
