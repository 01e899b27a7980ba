//! Frame, headers and redirects of all pages.

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

/// Address of the first page.
pub(super) const HOME: &str = "/admin/";
/// Address of the sign-in.
pub(super) const SIGN_IN: &str = "/admin/sign-in";

/// Names and permissions of a model.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Section {
    /// Path below `/admin/`.
    pub(super) path: &'static str,
    pub(super) title: &'static str,
    /// Singular.
    pub(super) one: &'static str,
    /// Plural.
    pub(super) many: &'static str,
    /// Operations on its rows, which users may perform according to their permissions.
    pub(super) verbs: &'static [Verb],
}

/// Frame of a page for a signed-in user.
pub(super) struct Frame {
    pub(super) title: String,
    /// Path of the section, or `""`.
    pub(super) section: &'static str,
    /// Sections that the user may view.
    pub(super) sections: Vec<Section>,
    pub(super) username: String,
    /// Token of its forms.
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

/// Returns the sections that a user may view, in the order of the menu.
pub(super) fn sections(permissions: &Permissions) -> Vec<Section> {
    let sections = super::MODELS.iter().map(|model| model.section);
    sections.filter(|section| permissions.allow(*section, Verb::View)).collect()
}

/// Returns a page.
pub(super) fn html(status: StatusCode, body: String) -> HttpResponse {
    HttpResponse::build(status).content_type("text/html; charset=utf-8").body(body)
}

/// Redirects to another page with GET.
pub(super) fn redirect(to: &str) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, to)).finish()
}

/// Responds with the style sheet. Its address contains its version, so browsers may cache it. At the address of another
/// version, which is requested during a rollout, it must not be cached.
pub(super) async fn style(request: HttpRequest) -> HttpResponse {
    let version = Query::<Vec<(String, String)>>::from_query(request.query_string());
    let same = version.is_ok_and(|query| query.iter().any(|(name, value)| name == "v" && value == style_version()));
    let caching = if same { "public, max-age=31536000, immutable" } else { "no-cache" };
    HttpResponse::Ok()
        .content_type("text/css; charset=utf-8")
        .insert_header((header::CACHE_CONTROL, caching))
        .body(STYLE)
}

/// Responds with the icon.
pub(super) async fn icon() -> HttpResponse {
    HttpResponse::Ok().content_type("image/svg+xml").insert_header((header::CACHE_CONTROL, "max-age=86400")).body(ICON)
}

/// Returns the version in the address of the style sheet.
pub(crate) fn style_version() -> &'static str {
    static VERSION: LazyLock<String> = LazyLock::new(|| hex::encode(&Sha256::digest(STYLE)[..6]));
    &VERSION
}

/// Formats a number with separators: `12,345`.
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
    fn thousands_are_separated() {
        for (number, text) in [(0, "0"), (999, "999"), (1000, "1,000"), (100_000, "100,000"), (1_234_567, "1,234,567")]
        {
            assert_eq!(grouped(number), text);
        }
    }
}
