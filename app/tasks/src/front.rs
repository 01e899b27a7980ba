//! The page at `/`, with links to the parts of the service, and the page for unknown paths.

use actix_web::{
    HttpRequest, HttpResponse, Responder,
    http::{StatusCode, header},
    web::{self, ServiceConfig},
};
use askama::Template;
use kit::reply::{self, only};

use crate::admin;

/// Adds the route, and the response for unknown paths: a page for browsers, JSON for other clients.
pub fn routes(app: &mut ServiceConfig) {
    app.default_service(web::to(unknown));
    app.service(
        web::resource("/").route(web::get().to(show)).route(web::head().to(show)).default_service(only("GET, HEAD")),
    );
}

async fn show() -> impl Responder {
    answer(StatusCode::OK, FrontPage { style: admin::style_version() }.render())
}

async fn unknown(request: HttpRequest) -> HttpResponse {
    let accept = request.headers().get(header::ACCEPT).and_then(|accept| accept.to_str().ok()).unwrap_or_default();
    // Programs accept any type, or JSON.
    if !accept.contains("text/html") {
        return reply::detail(StatusCode::NOT_FOUND, "Not found.");
    }
    answer(StatusCode::NOT_FOUND, UnknownPage { style: admin::style_version() }.render())
}

fn answer(status: StatusCode, page: askama::Result<String>) -> HttpResponse {
    let mut answer = HttpResponse::build(status);
    for header in admin::HEADERS {
        answer.insert_header(header);
    }
    match page {
        Ok(page) => answer.content_type("text/html; charset=utf-8").body(page),
        Err(error) => reply::internal_failure(&error),
    }
}

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage {
    style: &'static str,
}

#[derive(Template)]
#[template(path = "unknown.html")]
struct UnknownPage {
    style: &'static str,
}
