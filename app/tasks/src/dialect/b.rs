//! Dialect B: a path for each operation, such as `/tasks/get_all`.

use actix_web::{
    HttpResponse, Responder, ResponseError,
    http::StatusCode,
    web::{self, Bytes, Data, Path, ServiceConfig},
};
use kit::{batch::Batch, reader::Reader, reply::only};
use sea_orm::DatabaseConnection;

use super::{Single, listed, shared_refusal};
use crate::{
    input::{NewTask, TaskChange},
    store::{self, Refusal, Together},
};

/// Adds the routes with a name, under `/tasks`.
pub(super) fn names(app: &mut ServiceConfig, reader: &Reader) {
    app.app_data(Data::new(List(super::list(reader, Single::from))))
        .service(
            web::resource("/get_all")
                .route(web::get().to(list))
                .route(web::head().to(list))
                .default_service(only("GET, HEAD")),
        )
        .service(web::resource("/post").route(web::post().to(create)).default_service(only("POST")))
        .service(web::resource("/delete_all").route(web::delete().to(delete_all)).default_service(only("DELETE")));
}

/// Adds the routes with a name and an ID, under `/tasks`.
pub(super) fn names_and_ids(app: &mut ServiceConfig) {
    app.service(
        web::resource("/get_single/{id}")
            .route(web::get().to(show))
            .route(web::head().to(show))
            .default_service(only("GET, HEAD")),
    )
    .service(web::resource("/update/{id}").route(web::put().to(change)).default_service(only("PUT")))
    .service(web::resource("/delete/{id}").route(web::delete().to(delete)).default_service(only("DELETE")));
}

struct List(Batch<(), Bytes>);

async fn list(list: Data<List>) -> Result<impl Responder, InB> {
    Ok(listed(&list.0).await?)
}

async fn show(together: Data<Together>, id: Path<String>) -> Result<impl Responder, InB> {
    let task = together.find(&id).await?;
    Ok((web::Json(Single::from(task)), StatusCode::CREATED))
}

async fn create(together: Data<Together>, body: Bytes) -> Result<impl Responder, InB> {
    let task = NewTask::parse(&serde_json::from_slice(&body)?);
    let task = task.map_err(|errors| InB { refusal: errors.into(), invalid: StatusCode::UNAUTHORIZED })?;
    let task = together.create(task).await?;
    Ok((web::Json(Single::from(task)), StatusCode::CREATED))
}

/// Changes a task. All keys are required, as in the original.
async fn change(database: Data<DatabaseConnection>, id: Path<String>, body: Bytes) -> Result<impl Responder, InB> {
    let task = store::find(&database, &id).await?;
    let NewTask { title, pub_date, description } = NewTask::parse(&serde_json::from_slice(&body)?)?;
    let change = TaskChange { title: Some(title), pub_date: Some(pub_date), description: Some(description) };
    store::change(&database, task, change).await?;
    Ok(("Task foi alterada com sucesso!", StatusCode::CREATED))
}

async fn delete(database: Data<DatabaseConnection>, id: Path<String>) -> Result<impl Responder, InB> {
    store::delete(&database, &id).await?;
    Ok(("Deletado com sucesso!", StatusCode::CREATED))
}

async fn delete_all(database: Data<DatabaseConnection>) -> Result<impl Responder, InB> {
    store::delete_all(&database).await?;
    Ok(("Todas as tasks fooram deletadas com sucesso!", StatusCode::CREATED))
}

/// Error in dialect B.
#[derive(Debug, thiserror::Error)]
#[error("{refusal}")]
struct InB {
    refusal: Refusal,
    /// Status for invalid fields: the original responds with 401 to an invalid new task.
    invalid: StatusCode,
}

impl<E: Into<Refusal>> From<E> for InB {
    fn from(refusal: E) -> Self {
        Self { refusal: refusal.into(), invalid: StatusCode::BAD_REQUEST }
    }
}

impl ResponseError for InB {
    fn error_response(&self) -> HttpResponse {
        match &self.refusal {
            Refusal::NotFound => HttpResponse::NotFound()
                .content_type("text/plain; charset=utf-8")
                .body("Não achei a task especificada!"),
            Refusal::Invalid(errors) => HttpResponse::build(self.invalid).json(errors),
            other => shared_refusal(other),
        }
    }
}
