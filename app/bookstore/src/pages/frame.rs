//! Frame of all pages, redirects, and the style sheet.

use std::sync::LazyLock;

use actix_web::{
    HttpResponse,
    body::MessageBody,
    http::{StatusCode, header},
};
use askama::Template;
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use sha2::{Digest, Sha256};

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
    /// Returns the frame of a page for an unknown user.
    pub(super) fn plain(title: &str) -> Self {
        Self { title: title.to_owned(), section: "", user: None, is_admin: false, style: style_version() }
    }
}

/// Returns a page.
pub(super) fn html(status: StatusCode, page: &impl Template) -> askama::Result<HttpResponse> {
    Ok(html_of(status, page.render()?))
}

/// Returns a rendered page.
pub(super) fn html_of(status: StatusCode, page: impl MessageBody + 'static) -> HttpResponse {
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(page)
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

/// Returns the version in the address of the style sheet.
pub(super) fn style_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| hex::encode(&Sha256::digest(STYLE)[..6]));
    &VERSION
}

/// Style sheet of all pages.
pub(super) const STYLE: &str = include_str!("../../templates/style.css");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_target_of_a_sign_in_is_encoded() {
        assert_eq!(sign_in_for("/book/my_books?page=2&x=é"), "/login?next=%2Fbook%2Fmy_books%3Fpage%3D2%26x%3D%C3%A9");
    }
}
