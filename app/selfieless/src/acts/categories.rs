//! Routes of categories, and of the acts in them.

use actix_web::{
    HttpRequest, HttpResponse,
    http::StatusCode,
    web::{self, Bytes, Data, ServiceConfig},
};
use kit::reply::only;
use sea_orm::DatabaseConnection;
use serde::{Serialize, Serializer};

use super::{
    input::Range,
    listing::{self, Filter},
    lists::Lists,
    store,
};
use crate::{
    body,
    path::Segment,
    refusal::{Refusal, done},
};

pub(super) fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/categories")
            .route(web::get().to(list))
            .route(web::head().to(list))
            .route(web::post().to(create))
            .default_service(only("GET, HEAD, POST")),
    )
    .service(web::resource("/categories/{name}").route(web::delete().to(delete)).default_service(only("DELETE")))
    .service(
        web::resource("/categories/{name}/acts")
            .route(web::get().to(acts))
            .route(web::head().to(acts))
            .default_service(only("GET, HEAD")),
    )
    .service(
        web::resource("/categories/{name}/acts/size")
            .route(web::get().to(size))
            .route(web::head().to(size))
            .default_service(only("GET, HEAD")),
    );
}

async fn list(database: Data<DatabaseConnection>) -> Result<HttpResponse, Refusal> {
    let categories = store::categories(&database).await?;
    Ok(if categories.is_empty() {
        HttpResponse::NoContent().finish()
    } else {
        HttpResponse::Ok().json(Counted(&categories))
    })
}

async fn create(database: Data<DatabaseConnection>, body: Bytes) -> Result<HttpResponse, Refusal> {
    store::add_category(&database, body::one_name(&body, "the name of a category")?).await?;
    Ok(done(StatusCode::CREATED))
}

async fn delete(database: Data<DatabaseConnection>, name: Segment) -> Result<HttpResponse, Refusal> {
    store::delete_category(&database, &name.0).await?;
    Ok(done(StatusCode::OK))
}

async fn acts(
    database: Data<DatabaseConnection>,
    lists: Data<Lists>,
    name: Segment,
    request: HttpRequest,
) -> Result<HttpResponse, Refusal> {
    let range = Range::parse(request.query_string())?;
    let found = lists.read(&database, name.0.clone(), range).await?;
    let list = found.ok_or_else(|| store::unknown_category(&name.0))?;
    let (offset, limit) = list.section(range)?;
    match list.acts {
        Some(acts) => Ok(listing::response(acts)),
        None => listing::list(&database, Filter::Category(list.category), offset, limit).await,
    }
}

async fn size(database: Data<DatabaseConnection>, name: Segment) -> Result<HttpResponse, Refusal> {
    let category = store::category(&database, &name.0).await?;
    Ok(HttpResponse::Ok().json([store::size(&database, category).await?]))
}

/// Names and numbers, as an object.
struct Counted<'a>(&'a [(String, i64)]);

impl Serialize for Counted<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, acts)| (name, acts)))
    }
}
