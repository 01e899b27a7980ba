//! The two dialects in which tasks are spoken of. Both are under `/tasks`; what they share is here.

mod a;
mod b;

use actix_web::{
    HttpResponse,
    http::StatusCode,
    middleware::from_fn,
    web::{self, ServiceConfig},
};
use kit::reply;
use serde::Serialize;

use crate::{auth::guard, entity::task, store::Refusal, timestamp};

/// Adds the routes of both. What `AUTH` says is asked here, once for all of them.
pub fn routes(app: &mut ServiceConfig) {
    // B first: its paths would be ids in A.
    app.service(web::scope("/tasks").wrap(from_fn(guard::by_mode)).configure(b::routes).configure(a::routes));
}

/// A task on its own: the same in both dialects.
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

/// What both dialects answer to what is not their own affair.
fn shared_refusal(refusal: &Refusal) -> HttpResponse {
    match refusal {
        Refusal::NotFound => reply::detail(StatusCode::NOT_FOUND, &refusal.to_string()),
        Refusal::Malformed(_) => reply::detail(StatusCode::BAD_REQUEST, &refusal.to_string()),
        Refusal::Invalid(errors) => HttpResponse::BadRequest().json(errors),
        Refusal::Database(error) => reply::database_failure(error),
    }
}
