//! Policy documents.

use infra_core::{Input, provider::Problem};
use serde_json::Value as Json;

/// Returns the problem of an input that is no policy document.
pub(super) fn document_problem(property: &str, document: &Input<String>) -> Option<Problem> {
    document.known().is_ok_and(|text| !is_policy(&text)).then(|| {
        Problem::new(property, "this is no policy document: write JSON with a `Statement`")
            .hint("`serde_json::json!({\"Version\": \"2012-10-17\", \"Statement\": […]}).to_string()`")
    })
}

/// Returns whether a document as IAM returns it, percent-encoded, has the same content as this text.
pub(super) fn same_document(existing: Option<&str>, text: &str) -> bool {
    let parse = |text: &str| serde_json::from_str::<Json>(text).ok();
    let existing = existing.map(decoded).unwrap_or_default();
    existing == text || parse(&existing).is_some_and(|existing| Some(existing) == parse(text))
}

/// Decodes the percent-encoding (RFC 3986) in which IAM returns documents.
pub(super) fn decoded(text: &str) -> String {
    if text.trim_start().starts_with('{') {
        return text.to_owned();
    }
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, tail)) = rest.split_first() {
        let escaped = tail.get(..2).filter(|_| first == b'%').and_then(|hex| hex::decode(hex).ok());
        rest = if escaped.is_some() { &tail[2..] } else { tail };
        bytes.extend(escaped.unwrap_or_else(|| vec![first]));
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

/// Returns whether a text is JSON with at least one statement.
fn is_policy(text: &str) -> bool {
    let json: Json = serde_json::from_str(text).unwrap_or_default();
    json.get("Statement").is_some_and(|statement| statement.as_array().is_none_or(|several| !several.is_empty()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_compared_by_content() {
        let text = r#"{"Version": "2012-10-17", "Statement": []}"#;
        let encoded = text.replace('{', "%7B").replace('"', "%22");
        assert!(same_document(Some(&encoded), text));
        assert!(same_document(Some("{\"a\": 1}"), "{\"a\":1}"));
        assert!(!same_document(Some("{\"a\": 1}"), "{\"a\":2}"));
        assert!(!same_document(None, "{}"));
        assert_eq!(decoded("a%zz%4"), "a%zz%4");
    }
}
