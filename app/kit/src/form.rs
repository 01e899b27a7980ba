//! Sent forms (`application/x-www-form-urlencoded`).

use std::borrow::Cow;

use actix_web::http::header::{self, HeaderMap};
use percent_encoding::percent_decode;

/// Returns whether a body is a form by its content type.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.split(';').next().unwrap_or_default();
    kind.trim().eq_ignore_ascii_case("application/x-www-form-urlencoded")
}

/// Fields of a sent form, in their order.
#[derive(Debug, Clone, Default)]
pub struct Fields(Vec<(String, String)>);

impl Fields {
    /// Parses `application/x-www-form-urlencoded`. Line breaks become `\n`, so that lengths match those of the browser.
    pub fn parse(body: &[u8]) -> Option<Self> {
        // Otherwise replacement characters would be stored.
        percent_decode(body).decode_utf8().ok()?;
        let fields = form_urlencoded::parse(body).map(|(name, value)| (name.into_owned(), unix(value)));
        Some(Self(fields.collect()))
    }

    /// Returns the value of a field, or `""` if it is missing.
    pub fn text(&self, name: &str) -> &str {
        self.all(name).next().unwrap_or_default()
    }

    /// Returns whether a box is ticked.
    pub fn ticked(&self, name: &str) -> bool {
        self.all(name).next().is_some()
    }

    /// Returns all values of a field.
    pub fn all(&self, name: &str) -> impl Iterator<Item = &str> {
        self.0.iter().filter(move |(field, _)| field == name).map(|(_, value)| value.as_str())
    }
}

fn unix(text: Cow<str>) -> String {
    if text.contains('\r') { text.replace("\r\n", "\n").replace('\r', "\n") } else { text.into_owned() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn fields_are_parsed() {
        let fields = Fields::parse(b"a=1&b=x%0D%0Ay+%C3%A9&a=2&c").unwrap();
        assert_eq!((fields.text("a"), fields.text("b"), fields.text("none")), ("1", "x\ny é", ""));
        assert_eq!(fields.all("a").collect::<Vec<_>>(), ["1", "2"]);
        assert!(fields.ticked("c") && !fields.ticked("d"));
    }

    #[test]
    fn forms_that_are_not_utf8_are_refused() {
        assert!(Fields::parse(b"a=%FF").is_none());
        assert!(Fields::parse(b"a=\xff").is_none());
        assert_eq!(Fields::parse(b"a=%EF%BF%BD").unwrap().text("a"), "\u{fffd}");
    }
}
