//! Frame of all pages, redirects, the front page and the style sheet.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Query,
};
use askama::Template;
use kit::form::Fields;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

use super::{
    error::{Answer, Failure},
    visit::Visit,
};

/// Path of the catalog.
pub(super) const CATALOG: &str = "/book/catalog";
/// Path of the sign-in.
pub(super) const LOGIN: &str = "/login";

/// Frame of a page.
pub(super) struct Frame {
    pub(super) title: String,
    /// Path of the page in the menu, or `""`.
    pub(super) section: &'static str,
    /// Name of the signed-in user.
    pub(super) user: Option<String>,
    pub(super) is_admin: bool,
    pub(super) style: &'static str,
}

impl Frame {
    pub(super) fn new(visit: &Visit, section: &'static str, title: impl Into<String>) -> Self {
        let user = visit.user.as_ref();
        Self {
            title: title.into(),
            section,
            user: user.map(|user| user.name.clone()),
            is_admin: user.is_some_and(|user| user.is_admin),
            style: style_version(),
        }
    }

    /// Returns the frame of a page for an unknown user.
    pub(super) fn plain(title: &str) -> Self {
        Self { title: title.to_owned(), section: "", user: None, is_admin: false, style: style_version() }
    }
}

/// Returns a page.
pub(super) fn html(status: StatusCode, page: &impl Template) -> Answer {
    Ok(HttpResponse::build(status).content_type("text/html; charset=utf-8").body(page.render()?))
}

/// Redirects with the status of the contract.
pub(super) fn redirect(to: &str) -> HttpResponse {
    HttpResponse::Found().insert_header((header::LOCATION, to)).finish()
}

/// Returns the path of the sign-in, which leads to the target afterwards.
pub(super) fn sign_in_for(target: &str) -> String {
    /// Characters besides letters and digits that need no encoding.
    const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'_').remove(b'-').remove(b'.').remove(b'~');
    format!("{LOGIN}?next={}", utf8_percent_encode(target, ENCODED))
}

/// Returns the requested target if it is a path of this site, else the catalog. Browsers treat `//` and `/\` as the start of
/// another site.
pub(super) fn next(fields: &Fields) -> String {
    let next = fields.text("next");
    let is_path = next.starts_with('/') && !next.starts_with("//") && !next.contains('\\');
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic());
    if is_path && is_plain { next } else { CATALOG }.to_owned()
}

/// A page of a list.
pub(super) struct Pager {
    /// Number of the page, from 1.
    pub(super) number: u64,
    /// Whether there is a next page.
    pub(super) has_next: bool,
}

/// Maximum number of a page.
const LAST_PAGE: u64 = 100_000;

impl Pager {
    /// Parses the number in the query. Another value is the first page.
    pub(super) fn from(request: &HttpRequest) -> Self {
        let query = Fields::parse(request.query_string().as_bytes()).unwrap_or_default();
        let number = query.text("page").parse().ok().filter(|number| (1..=LAST_PAGE).contains(number));
        Self { number: number.unwrap_or(1), has_next: false }
    }

    /// Returns the number of rows before the page.
    pub(super) fn offset(&self, size: u64) -> u64 {
        (self.number - 1) * size
    }

    /// Removes the row after the page, which shows that there is a next page.
    pub(super) fn cut<T>(&mut self, rows: &mut Vec<T>, size: u64) {
        let size = usize::try_from(size).unwrap_or(usize::MAX);
        self.has_next = rows.len() > size;
        rows.truncate(size);
    }
}

/// Responds with the front page.
pub(super) async fn front(visit: Visit) -> Answer {
    html(StatusCode::OK, &FrontPage { frame: Frame::new(&visit, "/", "Books from reader to reader") })
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

/// Returns the version in the address of the style sheet.
fn style_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| hex::encode(&Sha256::digest(STYLE)[..6]));
    &VERSION
}

const STYLE: &str = include_str!("../../templates/style.css");

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn the_next_page_is_in_the_site() {
        let next = |next: &str| super::next(&Fields::parse(format!("next={next}").as_bytes()).unwrap());
        assert_eq!(next("/book/my_books%3Fpage%3D2"), "/book/my_books?page=2");
        for outside in [
            "",
            "book",
            "//evil.example/",
            "/%5Cevil.example",
            "/%09/evil.example",
            "https://evil.example",
            "javascript:alert(1)",
            "/%0d%0aX: y",
            "/é",
        ] {
            assert_eq!(next(outside), CATALOG, "{outside}");
        }
    }

    #[test]
    fn the_target_of_a_sign_in_is_encoded() {
        assert_eq!(sign_in_for("/book/my_books?page=2&x=é"), "/login?next=%2Fbook%2Fmy_books%3Fpage%3D2%26x%3D%C3%A9");
    }
}
