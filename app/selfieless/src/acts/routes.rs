//! Routes of acts.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use kit::reply::only;
use sea_orm::DatabaseConnection;

use super::{
    directory::Directory,
    input::NewAct,
    listing::{self, Filter},
    store,
    upvotes::Upvotes,
};
use crate::{
    body,
    path::Segment,
    refusal::{Refusal, done},
};

pub(super) fn routes(app: &mut ServiceConfig) {
    app.service(web::resource("/acts").route(web::post().to(create)).default_service(only("POST")))
        // The names first: they would be IDs.
        .service(web::resource("/acts/upvote").route(web::post().to(upvote)).default_service(only("POST")))
        .service(
            web::resource("/acts/count")
                .route(web::get().to(count))
                .route(web::head().to(count))
                .default_service(only("GET, HEAD")),
        )
        .service(web::resource("/acts/{id}").route(web::delete().to(delete)).default_service(only("DELETE")))
        .service(
            web::resource("/list_act_user/{name}")
                .route(web::get().to(of_user))
                .route(web::head().to(of_user))
                .default_service(only("GET, HEAD")),
        );
}

async fn create(
    database: Data<DatabaseConnection>,
    directory: Data<Directory>,
    body: Bytes,
) -> Result<HttpResponse, Refusal> {
    store::add(&database, &directory, NewAct::parse(&body)?).await?;
    Ok(done(StatusCode::CREATED))
}

async fn upvote(upvotes: Data<Upvotes>, body: Bytes) -> Result<HttpResponse, Refusal> {
    store::upvote(&upvotes, body::one_integer(&body, "the actId of an act")?).await?;
    Ok(done(StatusCode::OK))
}

async fn delete(database: Data<DatabaseConnection>, id: Segment) -> Result<HttpResponse, Refusal> {
    let is_number = !id.0.is_empty() && id.0.bytes().all(|byte| byte.is_ascii_digit());
    let act_id = id.0.parse().ok().filter(|_| is_number);
    let act_id = act_id.ok_or_else(|| Refusal::invalid(format!("There is no act \"{}\".", id.0)))?;
    store::delete(&database, act_id).await?;
    Ok(done(StatusCode::OK))
}

async fn count(database: Data<DatabaseConnection>) -> Result<HttpResponse, Refusal> {
    Ok(HttpResponse::Ok().json([store::count(&database).await?]))
}

async fn of_user(database: Data<DatabaseConnection>, name: Segment) -> Result<HttpResponse, Refusal> {
    listing::list(&database, Filter::User(name.0), 0, u64::MAX).await
}
