//! What all pages share: their frame, their headers, and how one leads to another.

use std::sync::LazyLock;

use actix_web::{
    HttpRequest, HttpResponse,
    http::{StatusCode, header},
    web::Query,
};
use sha2::{Digest, Sha256};

use super::{
    permission::{Permissions, Verb},
    session::Visit,
};

/// The first page.
pub(super) const HOME: &str = "/admin/";
/// Where one signs in.
pub(super) const SIGN_IN: &str = "/admin/sign-in";

/// A model with pages of its own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    /// Behind `/admin/`.
    pub(super) path: &'static str,
    pub(super) title: &'static str,
    /// One of them.
    pub(super) one: &'static str,
    /// Several of them.
    pub(super) many: &'static str,
    /// What can be done with its rows at all; what a user may do is in their permissions.
    pub(super) verbs: &'static [Verb],
}

/// What stands around the content of a page for somebody who is signed in.
pub(super) struct Frame {
    pub(super) title: String,
    /// The section it belongs to, by its path; `""` for none.
    pub(super) section: &'static str,
    /// Those that the user may view.
    pub(super) sections: Vec<Section>,
    pub(super) username: String,
    /// What its forms carry.
    pub(super) form_token: String,
    pub(super) notice: Option<String>,
    pub(super) style: &'static str,
}

impl Frame {
    pub(super) fn new(visit: &Visit, section: &'static str, title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            section,
            sections: sections(&visit.permissions),
            username: visit.user.username.clone(),
            form_token: visit.token.form_token(),
            notice: visit.notice.clone(),
            style: style_version(),
        }
    }
}

/// The sections that a user may view, in the order of the menu.
pub(super) fn sections(permissions: &Permissions) -> Vec<Section> {
    let sections = super::MODELS.iter().map(|model| model.section);
    sections.filter(|section| permissions.allow(*section, Verb::View)).collect()
}

/// A page.
pub(super) fn html(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body)
}

/// Leads on to another page, by GET.
pub(super) fn redirect(to: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish()
}

/// The style sheet. Its address changes with it, so browsers may keep it; but under an address of another version of
/// the service it is only lent, for then both are being served.
pub(super) async fn style(request: HttpRequest) -> HttpResponse {
    let version = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let same = version.is_ok_and(|query| query.iter().any(|(name, value)| name == "v" && value == style_version()));
    let caching = if same { "public, max-age=31536000, immutable" } else { "no-cache" };
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, caching))
        .body(STYLE)
}

/// The icon in a browser's tab.
pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").insert_header((header::CACHE_CONTROL, "max-age=86400")).body(ICON)
}

/// What is behind the question mark in the style sheet's address.
pub(crate) fn style_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| hex::encode(&Sha256::digest(STYLE)[..6]));
    &VERSION
}

/// A number with its thousands apart: `12,345`.
pub(super) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

const STYLE: &str = include_str!("../../templates/admin/style.css");
const ICON: &str = include_str!("../../templates/admin/icon.svg");

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_are_apart() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (100_000, "100,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
