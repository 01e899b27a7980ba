//! The page at `/docs`: Swagger UI, all of it from this program.

use actix_web::{
    HttpResponse,
    http::{
        StatusCode,
        header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE},
    },
    web::{self, Path, ServiceConfig},
};
use kit::reply::{self, only};

/// The page loads nothing from elsewhere, and may not.
const POLICY: &str =
    "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'";

/// A file as the build script has unpacked it.
macro_rules! swagger {
    ($name:literal) => {
        include_bytes!(concat!(env!("OUT_DIR"), "/swagger-ui/", $name))
    };
}

/// The files below `/docs`: name, content type, content.
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
