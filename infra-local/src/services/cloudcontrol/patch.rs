//! JSON Patch (RFC 6902), the form of updates.

use serde::Deserialize;
use serde_json::Value;

use super::invalid;
use crate::wire::{ApiError, Outcome};

#[derive(Deserialize)]
#[serde(tag = "op", rename_all = "lowercase", deny_unknown_fields)]
enum Step {
    Add { path: String, value: Value },
    Remove { path: String },
    Replace { path: String, value: Value },
    Move { from: String, path: String },
    Copy { from: String, path: String },
    Test { path: String, value: Value },
}

/// Applies a complete patch to a document, or returns an error.
pub(super) fn apply(document: &Value, patch: &str) -> Outcome<Value> {
    let steps: Vec<Step> = serde_json::from_str(patch)
        .map_err(|error| invalid(format!("The patch document is not one of RFC 6902: {error}")))?;
    let mut patched = document.clone();
    for step in steps {
        match step {
            Step::Add { path, value } => add(&mut patched, &path, value)?,
            Step::Remove { path } => drop(remove(&mut patched, &path)?),
            Step::Replace { path, value } => *at(&mut patched, &path)? = value,
            Step::Move { from, path } => {
                let value = remove(&mut patched, &from)?;
                add(&mut patched, &path, value)?;
            }
            Step::Copy { from, path } => {
                let value = at(&mut patched, &from)?.clone();
                add(&mut patched, &path, value)?;
            }
            Step::Test { path, value } => {
                if *at(&mut patched, &path)? != value {
                    return Err(invalid(format!("The patch's test of {path} failed")));
                }
            }
        }
    }
    Ok(patched)
}

fn at<'a>(document: &'a mut Value, path: &str) -> Outcome<&'a mut Value> {
    document.pointer_mut(path).ok_or_else(|| no_value(path))
}

fn add(document: &mut Value, path: &str, value: Value) -> Outcome<()> {
    if path.is_empty() {
        *document = value;
        return Ok(());
    }
    let (parent, last) = split(path)?;
    match at(document, parent)? {
        Value::Object(fields) => drop(fields.insert(last, value)),
        Value::Array(items) if last == "-" => items.push(value),
        Value::Array(items) => {
            let index = index(&last).filter(|index| *index <= items.len()).ok_or_else(|| no_value(path))?;
            items.insert(index, value);
        }
        _ => return Err(no_value(path)),
    }
    Ok(())
}

fn remove(document: &mut Value, path: &str) -> Outcome<Value> {
    let (parent, last) = split(path)?;
    let removed = match at(document, parent)? {
        Value::Object(fields) => fields.remove(&last),
        Value::Array(items) => index(&last).filter(|index| *index < items.len()).map(|index| items.remove(index)),
        _ => None,
    };
    removed.ok_or_else(|| no_value(path))
}

/// Splits a pointer into the pointer to the parent and the last name.
fn split(path: &str) -> Outcome<(&str, String)> {
    let (parent, last) = path.rsplit_once('/').ok_or_else(|| no_value(path))?;
    Ok((parent, last.replace("~1", "/").replace("~0", "~")))
}

/// Parses an index. RFC 6901 writes indexes without leading zeros.
fn index(text: &str) -> Option<usize> {
    let plain = text == "0" || (!text.starts_with('0') && text.bytes().all(|byte| byte.is_ascii_digit()));
    text.parse().ok().filter(|_| plain)
}

fn no_value(path: &str) -> ApiError {
    invalid(format!("The patch document is not applicable: there is nothing at {path:?}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn patched(steps: Value) -> Result<Value, String> {
        let document = json!({"a": {"b/c": 1}, "list": [1, 2]});
        apply(&document, &steps.to_string()).map_err(|error| error.message)
    }

    #[test]
    fn every_operation_conforms_to_rfc_6902() {
        let steps = json!([
            {"op": "test", "path": "/a/b~1c", "value": 1},
            {"op": "replace", "path": "/a/b~1c", "value": 2},
            {"op": "add", "path": "/list/1", "value": 9},
            {"op": "add", "path": "/list/-", "value": 3},
            {"op": "copy", "from": "/list/0", "path": "/first"},
            {"op": "move", "from": "/a", "path": "/moved"},
            {"op": "remove", "path": "/list/0"},
        ]);
        assert_eq!(patched(steps).unwrap(), json!({"moved": {"b/c": 2}, "list": [9, 2, 3], "first": 1}));
    }

    #[test]
    fn patches_that_do_not_apply_are_refused() {
        for step in [
            json!({"op": "remove", "path": "/none"}),
            json!({"op": "replace", "path": "/none", "value": 1}),
            json!({"op": "add", "path": "/list/7", "value": 1}),
            json!({"op": "add", "path": "/list/01", "value": 1}),
            json!({"op": "remove", "path": ""}),
            json!({"op": "test", "path": "/list/0", "value": 7}),
            json!({"op": "turn", "path": "/a"}),
        ] {
            assert!(patched(json!([step])).is_err(), "{step}");
        }
        assert!(apply(&json!({}), "{").is_err());
    }
}
