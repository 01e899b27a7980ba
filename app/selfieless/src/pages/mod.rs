//! The web pages: one page at `/`, whose files are below `/static/`. They call the API of their own origin.
//!
//! The content security policy allows no inline scripts and no other origins. Everything that users wrote is shown as text.

use actix_web::{
    HttpResponse,
    http::header::{CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY},
    web::{self, ServiceConfig},
};
use kit::reply::only;

/// Path, type and content of each file.
const FILES: [(&str, &str, &[u8]); 7] = [
    ("/", "text/html; charset=utf-8", include_bytes!("index.html")),
    ("/static/style.css", "text/css; charset=utf-8", include_bytes!("style.css")),
    ("/static/app.js", "text/javascript; charset=utf-8", include_bytes!("app.js")),
    ("/static/api.js", "text/javascript; charset=utf-8", include_bytes!("api.js")),
    ("/static/picture.js", "text/javascript; charset=utf-8", include_bytes!("picture.js")),
    ("/static/sha1.js", "text/javascript; charset=utf-8", include_bytes!("sha1.js")),
    ("/static/icon.svg", "image/svg+xml", include_bytes!("icon.svg")),
];

/// Pictures are shown from data URLs.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'none'; base-uri 'none'; frame-ancestors 'none'";

/// Adds the routes.
pub fn routes(app: &mut ServiceConfig) {
    for (path, kind, content) in FILES {
        let show = move || async move {
            HttpResponse::Ok()
                .insert_header((CONTENT_SECURITY_POLICY, POLICY))
                .insert_header((REFERRER_POLICY, "same-origin"))
                // A page must not use the scripts of another version.
                .insert_header((CACHE_CONTROL, "no-cache"))
                .content_type(kind)
                .body(content)
        };
        app.service(
            web::resource(path)
                .route(web::get().to(show))
                .route(web::head().to(show))
                .default_service(only("GET, HEAD")),
        );
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    /// The policy would block them.
    #[test]
    fn the_page_has_no_inline_scripts_and_styles() {
        let page = str::from_utf8(FILES[0].2).unwrap();
        for forbidden in
            [" style=", "<style", " onclick=", " onsubmit=", " onload=", "javascript:", "http://", "https://"]
        {
            assert!(!page.contains(forbidden), "{forbidden}");
        }
        for script in page.split("<script").skip(1) {
            assert!(script.starts_with(" type=\"module\" src=\"/static/") && script.contains("></script>"), "{script}");
        }
    }

    #[test]
    fn every_file_that_is_used_exists() {
        let paths: Vec<_> = FILES.iter().map(|(path, ..)| *path).collect();
        for (path, kind, content) in FILES.iter().filter(|(_, kind, _)| kind.starts_with("text/")) {
            let text = str::from_utf8(content).unwrap();
            for used in text.split("/static/").skip(1) {
                let name = used.split(['"', '\'', ')']).next().unwrap();
                assert!(paths.contains(&format!("/static/{name}").as_str()), "{path} ({kind}) uses {name}");
            }
            for used in text.split(" from \"./").skip(1) {
                let name = used.split('"').next().unwrap();
                assert!(paths.contains(&format!("/static/{name}").as_str()), "{path} imports {name}");
            }
            // Only text is inserted into the page.
            for sink in ["innerHTML", "outerHTML", "insertAdjacentHTML", "document.write", "eval("] {
                assert!(!text.contains(sink), "{path}: {sink}");
            }
        }
    }
}
