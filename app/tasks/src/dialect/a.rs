//! Dialect A: resources and methods, `/tasks/` and `/tasks/{id}`.

use actix_web::{
    HttpResponse, Responder, ResponseError,
    http::StatusCode,
    web::{self, Bytes, Data, Path, ServiceConfig},
};
use kit::{batch::Batch, reader::Reader, reply::only};
use sea_orm::DatabaseConnection;
use serde::Serialize;

use super::{Single, listed, shared_refusal};
use crate::{
    entity::task,
    input::{NewTask, TaskChange},
    store::{self, Refusal, Together},
    timestamp,
};

/// Adds the routes, under `/tasks`.
pub(super) fn routes(app: &mut ServiceConfig, reader: &Reader) {
    app.app_data(Data::new(List(super::list(reader, Listed::from))))
        .service(
            web::resource("")
                .route(web::get().to(add_slash))
                .route(web::head().to(add_slash))
                .default_service(only("GET, HEAD")),
        )
        .service(
            web::resource("/")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .route(web::post().to(create))
                .default_service(only("GET, HEAD, POST")),
        )
        .service(
            web::resource("/{id}")
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

struct List(Batch<(), Bytes>);

async fn list(list: Data<List>) -> Result<impl Responder, Refusal> {
    Ok(listed(&list.0).await?)
}

async fn create(together: Data<Together>, body: Bytes) -> Result<impl Responder, Refusal> {
    let task = together.create(NewTask::parse(&serde_json::from_slice(&body)?)?).await?;
    Ok((web::Json(Single::from(task)), StatusCode::CREATED))
}

async fn show(together: Data<Together>, id: Path<String>) -> Result<impl Responder, Refusal> {
    Ok(web::Json(Single::from(together.find(&id).await?)))
}

async fn change(database: Data<DatabaseConnection>, id: Path<String>, body: Bytes) -> Result<impl Responder, Refusal> {
    let task = store::find(&database, &id).await?;
    let change = TaskChange::parse(&serde_json::from_slice(&body)?)?;
    let task = store::change(&database, task, change).await?;
    Ok((web::Json(Single::from(task)), StatusCode::CREATED))
}

async fn delete(database: Data<DatabaseConnection>, id: Path<String>) -> Result<impl Responder, Refusal> {
    store::delete(&database, &id).await?;
    Ok("Task successfully deleted!")
}

/// A task in the list, in the format of Django's serialiser.
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

impl From<task::Model> for Listed {
    fn from(task: task::Model) -> Self {
        let task::Model { id, title, pub_date, description } = task;
        let pub_date = timestamp::milliseconds(pub_date);
        Self { model: "tasks.task", pk: id, fields: ListedFields { title, pub_date, description } }
    }
}

impl ResponseError for Refusal {
    fn error_response(&self) -> HttpResponse {
        shared_refusal(self)
    }
}
