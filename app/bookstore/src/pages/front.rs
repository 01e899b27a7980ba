//! The front page, and the style sheet.

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Query,
};
use askama::Template;

use super::{
    error::{Answer, Failure},
    frame::{self, Frame, STYLE, style_version},
    visit::Visit,
};

/// Responds with the front page.
pub(super) async fn front(visit: Visit) -> Answer {
    Ok(frame::html(StatusCode::OK, &FrontPage { frame: visit.frame("/", "Books from reader to reader") })?)
}

#[derive(Template)]
#[template(path = "front.html")]
struct FrontPage {
    frame: Frame,
}

/// Responds with the style sheet. Its address contains its version, so browsers may cache it. At the address of another
/// version, which is requested during a rollout, it must not be cached.
pub(super) async fn style(request: HttpRequest) -> Result<HttpResponse, Failure> {
    let version = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let same = version.is_ok_and(|query| query.iter().any(|(name, value)| name == "v" && value == style_version()));
    let caching = if same { "public, max-age=31536000, immutable" } else { "no-cache" };
    Ok(HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, caching))
        .body(STYLE))
}
