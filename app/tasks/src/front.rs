//! The page at `/`: what this is, and where to go on.

use actix_web::{
    HttpResponse, Responder,
    web::{self, ServiceConfig},
};
use askama::Template;
use kit::reply::only;

use crate::admin;

/// Adds the route.
pub fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/").route(web::get().to(show)).route(web::head().to(show)).default_service(only("GET, HEAD")),
    );
}

async fn show() -> impl Responder {
    let page = FrontPage { style: admin::style_version() };
    let mut answer = HttpResponse::Ok();
    for header in admin::HEADERS {
        answer.insert_header(header);
    }
    match page.render() {
        Ok(page) => answer.content_type("text/html; charset=utf-8").body(page),
        Err(error) => kit::reply::internal_failure(&error),
    }
}

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage {
    style: &'static str,
}
