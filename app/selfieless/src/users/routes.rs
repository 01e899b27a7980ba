//! Routes of the service `users`.

use actix_web::{
    HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use kit::{password, reply::only};
use sea_orm::DatabaseConnection;

use super::{input::Credentials, store};
use crate::{
    path::Segment,
    refusal::{Refusal, done},
};

pub(super) fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/users")
            .route(web::get().to(list))
            .route(web::head().to(list))
            .route(web::post().to(create))
            .default_service(only("GET, HEAD, POST")),
    )
    .service(web::resource("/users/{name}").route(web::delete().to(delete)).default_service(only("DELETE")))
    .service(web::resource("/validate_user").route(web::post().to(validate)).default_service(only("POST")));
}

async fn create(database: Data<DatabaseConnection>, body: Bytes) -> Result<HttpResponse, Refusal> {
    store::create(&database, Credentials::parse(&body)?).await?;
    Ok(done(StatusCode::CREATED))
}

async fn list(database: Data<DatabaseConnection>) -> Result<HttpResponse, Refusal> {
    let names = store::names(&database).await?;
    Ok(if names.is_empty() { HttpResponse::NoContent().finish() } else { HttpResponse::Ok().json(names) })
}

async fn delete(database: Data<DatabaseConnection>, name: Segment) -> Result<HttpResponse, Refusal> {
    store::delete(&database, &name.0).await?;
    Ok(done(StatusCode::OK))
}

async fn validate(database: Data<DatabaseConnection>, body: Bytes) -> Result<HttpResponse, Refusal> {
    let Credentials { username, password } = Credentials::parse(&body)?;
    let Some(user) = store::find(&database, &username).await? else {
        return Ok(HttpResponse::NoContent().finish());
    };
    if password::verify(password, Some(user.password_hash)).await? {
        Ok(done(StatusCode::OK))
    } else {
        Err(Refusal::invalid("The password is wrong."))
    }
}
