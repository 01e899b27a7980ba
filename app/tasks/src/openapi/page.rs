//! The page at `/docs`: Swagger UI, with all its files in this program.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    web::{self, Path, ServiceConfig},
};
use kit::reply::{self, only};

/// Content security policy: the page loads files of this origin only.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/// Content of a file that the build script has unpacked.
macro_rules! swagger {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui/", $name))
    };
}

/// Files below `/docs`: name, content type, content.
const FILES: &[(&str, &str, &[u8])] = &[
    ("swagger-ui.css", "text/css; charset=utf-8", swagger!("swagger-ui.css")),
    ("swagger-ui-bundle.js", "text/javascript; charset=utf-8", swagger!("swagger-ui-bundle.js")),
    ("favicon-32x32.png", "image/png", swagger!("favicon-32x32.png")),
    ("LICENSE", "text/plain; charset=utf-8", swagger!("LICENSE")),
    ("NOTICE", "text/plain; charset=utf-8", swagger!("NOTICE")),
    ("start.js", "text/javascript; charset=utf-8", include_bytes!("start.js")),
];

/// Adds the routes.
pub(super) fn routes(app: &mut ServiceConfig) {
    app.service(
        web::resource("/docs")
            .route(web::get().to(page))
            .route(web::head().to(page))
            .default_service(only("GET, HEAD")),
    )
    .service(
        web::resource("/docs/{file}")
            .route(web::get().to(file))
            .route(web::head().to(file))
            .default_service(only("GET, HEAD")),
    );
}

async fn page() -> HttpResponse {
    HttpResponse::Ok()
        .insert_header((CONTENT_TYPE, "text/html; charset=utf-8"))
        .insert_header((CONTENT_SECURITY_POLICY, POLICY))
        .body(include_str!("page.html"))
}

async fn file(name: Path<String>) -> HttpResponse {
    match FILES.iter().find(|(known, ..)| *known == *name) {
        Some((_, kind, content)) => HttpResponse::Ok()
            .insert_header((CONTENT_TYPE, *kind))
            .insert_header((CACHE_CONTROL, "public, max-age=3600"))
            .body(*content),
        None => reply::detail(StatusCode::NOT_FOUND, "Not found."),
    }
}
