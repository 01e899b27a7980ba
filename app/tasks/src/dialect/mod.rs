//! The two dialects of the API under `/tasks`, and their shared code.

mod a;
mod b;

use actix_web::{
    HttpResponse,
    http::{StatusCode, header::ContentType},
    middleware::from_fn,
    web::{self, Bytes, Data, ServiceConfig},
};
use kit::{batch::Batch, reader::Reader, reply};
use sea_orm::{DatabaseConnection, DbErr};
use serde::Serialize;

use crate::{
    auth::guard,
    entity::task,
    store::{self, Refusal, Together},
    timestamp,
};

/// Adds the routes of both dialects, with the middleware that enforces `AUTH`.
pub fn routes(app: &mut ServiceConfig, database: &DatabaseConnection, reader: &Reader) {
    let tasks = web::scope("/tasks").wrap(from_fn(guard::by_mode)).app_data(Data::new(Together::at(database)));
    // The names of B first: they would be IDs in A. Routes are matched in this order, so the rarest are last.
    let tasks = tasks.configure(|app| b::names(app, reader)).configure(|app| a::routes(app, reader));
    app.service(tasks.configure(b::names_and_ids));
}

/// Returns the batch that lists all tasks in the format of a dialect. Concurrent requests share the bytes.
fn list<T: Serialize + 'static>(reader: &Reader, shown: fn(task::Model) -> T) -> Batch<(), Bytes> {
    let reader = reader.clone();
    let run = move |queries: Vec<()>| {
        let reader = reader.clone();
        async move {
            let tasks: Vec<T> = store::list(&reader).await?.into_iter().map(shown).collect();
            let body = serde_json::to_vec(&tasks).map_err(|error| DbErr::Json(error.to_string()))?;
            Ok(vec![Bytes::from(body); queries.len()])
        }
    };
    Batch::new(run, || ())
}

/// Responds with a list.
async fn listed(list: &Batch<(), Bytes>) -> Result<HttpResponse, DbErr> {
    Ok(HttpResponse::Ok().content_type(ContentType::json()).body(list.run(()).await?))
}

/// A single task, in the format of both dialects.
#[derive(Serialize)]
struct Single {
    id: i64,
    title: String,
    pub_date: String,
    description: String,
}

impl From<task::Model> for Single {
    fn from(task: task::Model) -> Self {
        let task::Model { id, title, pub_date, description } = task;
        Self { id, title, pub_date: timestamp::microseconds(pub_date), description }
    }
}

/// Returns the response to an error that both dialects share.
fn shared_refusal(refusal: &Refusal) -> HttpResponse {
    match refusal {
        Refusal::NotFound => reply::detail(StatusCode::NOT_FOUND, &refusal.to_string()),
        Refusal::Malformed(_) => reply::detail(StatusCode::BAD_REQUEST, &refusal.to_string()),
        Refusal::Invalid(errors) => HttpResponse::BadRequest().json(errors),
        Refusal::Database(error) => reply::database_failure(error),
    }
}
