//! The properties of a resource as rows.

use infra_core::value::Value;
use schemars::JsonSchema;
use serde::Serialize;

/// The longest text that a row shows.
const LONGEST: usize = 4000;

/// A property: the path of a value, and the value as text.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Property {
    /// Names and indices, separated by dots.
    pub(crate) path: String,
    /// The value; a secret is masked.
    pub(crate) value: String,
    /// `true` if the value is a secret.
    pub(crate) secret: bool,
}

/// Lists the values inside of a map, in the order of their paths.
pub(crate) fn properties(value: &Value) -> Vec<Property> {
    let mut rows = Vec::new();
    collect("", value, &mut rows);
    rows
}

/// Returns the secret at a path as text.
pub(crate) fn secret(value: &Value, path: &str) -> Option<String> {
    let mut value = value;
    let mut rest = path;
    loop {
        if let Value::Secret(_) = value {
            return rest.is_empty().then(|| text(&value.revealed()));
        }
        let (first, others) = rest.split_once('.').unwrap_or((rest, ""));
        value = match value {
            Value::List(items) => items.get(first.parse::<usize>().ok()?)?,
            map => map.field(first)?,
        };
        rest = others;
    }
}

fn collect(path: &str, value: &Value, rows: &mut Vec<Property>) {
    let inner = |name: &str| if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") };
    match value {
        Value::Map(map) if !map.is_empty() => {
            value.entries().for_each(|(name, value)| collect(&inner(name), value, rows));
        }
        Value::List(items) if items.iter().any(|item| matches!(item, Value::Map(_) | Value::List(_))) => {
            items.iter().enumerate().for_each(|(index, item)| collect(&inner(&index.to_string()), item, rows));
        }
        Value::Secret(_) => rows.push(Property { path: path.to_owned(), value: "[secret]".to_owned(), secret: true }),
        other => rows.push(Property { path: path.to_owned(), value: text(other), secret: false }),
    }
}

fn text(value: &Value) -> String {
    let text = match value {
        Value::String(text) => text.to_string(),
        other => match other.masked() {
            serde_json::Value::String(text) => text,
            json => json.to_string(),
        },
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
