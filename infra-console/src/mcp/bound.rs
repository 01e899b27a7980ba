//! The size limit of answers: models have little memory, and clients refuse large answers.

use infra_core::diagnostic::Diagnostic;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// The largest view, in bytes of JSON.
const LIMIT_BYTES: usize = 64 * 1024;

/// Number of cuts after which a document is refused.
const MOST_CUTS: usize = 100;

/// A list or a text that is shortened.
#[derive(Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(super) struct Cut {
    /// JSON pointer in the data.
    path: String,
    /// Number of returned items or characters, from the first on.
    shown: usize,
    /// Number of all items or characters.
    of: usize,
}

/// Shortens the document to the size limit: halves the list or the text that contains most of it, again and again.
/// Returns the shortened parts.
pub(super) fn cut(document: &mut Json) -> Result<Vec<Cut>, Diagnostic> {
    let mut cuts: BTreeMap<String, (usize, usize)> = BTreeMap::new();
    for _ in 0..MOST_CUTS {
        if document.to_string().len() <= LIMIT_BYTES {
            return Ok(cuts.into_iter().map(|(path, (shown, of))| Cut { path, shown, of }).collect());
        }
        let path = bulk(document, String::new());
        let (shown, before) = match document.pointer_mut(&path) {
            Some(Json::Array(items)) => {
                let before = items.len();
                items.truncate(before / 2);
                (items.len(), before)
            }
            Some(Json::String(text)) if text.len() > 1 => {
                let before = text.chars().count();
                *text = text.chars().take(before / 2).collect();
                (before / 2, before)
            }
            _ => break,
        };
        cuts.entry(path).or_insert((shown, before)).0 = shown;
        // Parts of removed items no longer exist.
        cuts.retain(|path, _| document.pointer(path).is_some());
    }
    Err(too_large())
}

fn too_large() -> Diagnostic {
    let limit = LIMIT_BYTES / 1024;
    Diagnostic::error(format!("the answer is larger than {limit} KiB"))
        .hint("use arguments that select less, or the JSON API of `stack console`")
}

/// Returns the path of the list or text with most of the document: a list whose largest item is less than half of it, or
/// a text.
fn bulk(value: &Json, path: String) -> String {
    let bytes = |value: &Json| value.to_string().len();
    match value {
        Json::Array(items) => {
            let largest = items.iter().enumerate().map(|(index, item)| (bytes(item), index)).max();
            match largest {
                Some((size, index)) if size * 2 > bytes(value) || items.len() == 1 => {
                    bulk(&items[index], format!("{path}/{index}"))
                }
                _ => path,
            }
        }
        Json::Object(fields) => match fields.iter().max_by_key(|(_, field)| bytes(field)) {
            Some((name, field)) => bulk(field, format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"))),
            None => path,
        },
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn small_documents_are_complete() {
        let mut document = json!({ "items": [1, 2, 3], "text": "x".repeat(60_000) });
        let before = document.clone();
        assert_eq!(cut(&mut document).unwrap(), []);
        assert_eq!(document, before);
    }

    #[test]
    fn long_lists_keep_their_first_items() {
        let items: Vec<Json> = (0..10_000).map(|number| json!({ "number": number, "text": "0123456789" })).collect();
        let mut document = json!({ "a/b": items, "few": [1, 2] });
        let cuts = cut(&mut document).unwrap();
        assert_eq!(cuts, [Cut { path: "/a~1b".to_owned(), shown: 1250, of: 10_000 }]);
        assert_eq!(document["a/b"].as_array().unwrap().len(), 1250);
        assert_eq!(document["a/b"][1249]["number"], 1249);
        assert_eq!(document["few"], json!([1, 2]));
        assert!(document.to_string().len() <= LIMIT_BYTES);
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        let mut document = json!({ "list": [{ "text": "é".repeat(100_000) }] });
        let cuts = cut(&mut document).unwrap();
        assert_eq!(cuts, [Cut { path: "/list/0/text".to_owned(), shown: 25_000, of: 100_000 }]);
        assert_eq!(document["list"][0]["text"], "é".repeat(25_000));
    }

    #[test]
    fn the_largest_item_is_cut_and_not_its_list() {
        let rows = |count: usize| vec![json!("0123456789"); count];
        let mut document = json!({ "outer": [{ "rows": rows(10) }, { "rows": rows(20_000) }, { "rows": rows(10) }] });
        let cuts = cut(&mut document).unwrap();
        assert_eq!(cuts, [Cut { path: "/outer/1/rows".to_owned(), shown: 5000, of: 20_000 }]);
        assert_eq!(document["outer"].as_array().unwrap().len(), 3);
    }

    #[test]
    fn cuts_of_removed_items_are_not_reported() {
        let lists = |count: usize| vec![json!(vec!["0123456789"; 100]); count];
        let mut outer = lists(200);
        outer[150] = json!(vec!["0123456789"; 40_000]);
        let mut document = json!({ "outer": outer });
        let cuts = cut(&mut document).unwrap();
        assert_eq!(cuts, [Cut { path: "/outer".to_owned(), shown: 50, of: 200 }]);
    }

    #[test]
    fn documents_without_lists_and_texts_are_refused() {
        let mut document: Json = (0..20_000).map(|number| (format!("{number:05}"), json!(0))).collect();
        let refused = cut(&mut document).unwrap_err();
        assert!(refused.summary.contains("larger than 64 KiB"), "{refused}");
    }
}
