//! Declared and existing properties.
//!
//! A service returns more properties than were declared, omits write-only ones, and orders lists in its own way. Only
//! declared properties are compared.

use serde_json::{Map, Value, json};

/// Returns the JSON Patch (RFC 6902) from the existing to the wanted properties. It contains wanted properties that the
/// service does not return, because they would be lost otherwise, except `create_only` ones; it removes recorded properties
/// that are not wanted any more.
pub(super) fn patch(recorded: &Value, wanted: &Value, existing: &Value, create_only: &[String]) -> Vec<Value> {
    let mut steps = Vec::new();
    compare("", recorded, wanted, existing, &mut |path, step| {
        let only_at_create = step["op"] == "add" && existing.pointer(path).is_none() && is_among(path, create_only);
        if !only_at_create {
            steps.push(step);
        }
    });
    steps
}

fn compare(path: &str, recorded: &Value, wanted: &Value, existing: &Value, add: &mut dyn FnMut(&str, Value)) {
    for (name, value) in members(wanted) {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        match existing.get(name) {
            Some(existing) if fits(value, existing) && !is_removed(&recorded[name], value, existing) => {}
            Some(existing) if value.is_object() && existing.is_object() => {
                compare(&path, &recorded[name], value, existing, add);
            }
            _ => add(&path, json!({"op": "add", "path": path, "value": value})),
        }
    }
    for (name, _) in members(recorded).filter(|(name, _)| wanted.get(name).is_none() && existing.get(name).is_some()) {
        let path = format!("{path}/{}", name.replace('~', "~0").replace('/', "~1"));
        add(&path, json!({"op": "remove", "path": path}));
    }
}

/// Returns whether an existing property was recorded and is not wanted any more.
fn is_removed(recorded: &Value, wanted: &Value, existing: &Value) -> bool {
    members(recorded).any(|(name, recorded)| match (wanted.get(name), existing.get(name)) {
        (None, Some(_)) => true,
        (Some(wanted), Some(existing)) => is_removed(recorded, wanted, existing),
        _ => false,
    })
}

/// Returns whether a JSON pointer is one of these paths (`Network.Family`) or below one.
fn is_among(pointer: &str, paths: &[String]) -> bool {
    paths.iter().any(|path| {
        let path = format!("/{}", path.replace('.', "/"));
        pointer == path || pointer.strip_prefix(&path).is_some_and(|rest| rest.starts_with('/'))
    })
}

/// Returns the existing values of the declared properties, in the declared spelling if they are equal. Properties that the
/// service does not return stay as declared, unless it returned them before (`last`): those were removed.
pub(super) fn as_declared(declared: &Value, existing: &Value, last: Option<&Value>) -> Value {
    let was_returned = |name: &str| last.is_some_and(|last| last.get(name).is_some());
    let property = |(name, declared): (&String, &Value)| match existing.get(name) {
        Some(existing) => Some((name.clone(), restricted(declared, existing))),
        None if was_returned(name) => None,
        None => Some((name.clone(), declared.clone())),
    };
    members(declared).filter_map(property).collect::<Map<_, _>>().into()
}

/// Returns the existing value of one property.
fn restricted(declared: &Value, existing: &Value) -> Value {
    if fits(declared, existing) {
        return declared.clone();
    }
    match (declared, existing) {
        (Value::Object(_), Value::Object(_)) => members(declared)
            .filter_map(|(name, declared)| Some((name.clone(), restricted(declared, existing.get(name)?))))
            .collect::<Map<_, _>>()
            .into(),
        _ => existing.clone(),
    }
}

/// Returns whether an existing value is equal to a declared one. It may have more members, another order of lists, and
/// texts for numbers and booleans.
fn fits(declared: &Value, existing: &Value) -> bool {
    match (declared, existing) {
        (Value::Object(_), Value::Object(_)) => {
            members(declared).all(|(name, value)| existing.get(name).is_some_and(|existing| fits(value, existing)))
        }
        (Value::Array(declared), Value::Array(existing)) => {
            let mut left: Vec<&Value> = existing.iter().collect();
            declared.len() == existing.len()
                && declared.iter().all(|item| {
                    let found = left.iter().position(|existing| fits(item, existing));
                    found.map(|at| left.swap_remove(at)).is_some()
                })
        }
        (Value::Number(a), Value::Number(b)) => a == b || a.as_f64() == b.as_f64(),
        (Value::String(text), plain @ (Value::Number(_) | Value::Bool(_)))
        | (plain @ (Value::Number(_) | Value::Bool(_)), Value::String(text)) => {
            text.parse::<Value>().is_ok_and(|parsed| !parsed.is_string() && fits(&parsed, plain))
        }
        (declared, existing) => declared == existing,
    }
}

/// Returns the members of an object, except null ones.
fn members(value: &Value) -> impl Iterator<Item = (&String, &Value)> {
    value.as_object().into_iter().flatten().filter(|(_, value)| !value.is_null())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn equal_values_show_no_drift() {
        let declared = json!({
            "Days": 7, "Port": "80", "On": true, "Tags": [{"Key": "a", "Value": "1"}, {"Key": "b", "Value": "2"}],
            "Network": {"Family": "ipv4"}, "Password": "p",
        });
        let existing = json!({
            "Days": "7", "Port": 80.0, "On": "true", "Tags": [{"Key": "b", "Value": "2"}, {"Key": "a", "Value": "1"}],
            "Network": {"Family": "ipv4", "Range": "10.0.0.0/16"}, "Arn": "arn",
        });
        assert_eq!(as_declared(&declared, &existing, Some(&existing)), declared);
        // An update would remove a property that the service does not return.
        let patched = json!([{"op": "add", "path": "/Password", "value": "p"}]);
        assert_eq!(Value::from(patch(&declared, &declared, &existing, &[])), patched);
    }

    #[test]
    fn changes_outside_of_infra_are_drift() {
        let declared = json!({"Days": 7, "Network": {"Family": "ipv4", "Range": "a"}, "Gone": 1, "Tags": [1, 2]});
        let last = json!({"Days": 7, "Network": {}, "Gone": 1});
        let existing = json!({"Days": 14, "Network": {"Family": "ipv6", "Other": 1}, "Tags": [1]});
        assert_eq!(
            as_declared(&declared, &existing, Some(&last)),
            json!({"Days": 14, "Network": {"Family": "ipv6"}, "Tags": [1]})
        );
    }

    #[test]
    fn patch_contains_only_differences() {
        let recorded = json!({"Name": "n", "Days": 7, "Old": 1, "Network": {"Family": "ipv4", "Range": "a", "Old": 1}});
        let wanted =
            json!({"Name": "n", "Days": 14, "New": 1, "Network": {"Family": "ipv4", "Range": "b"}, "Password": "p"});
        let existing = json!({
            "Name": "n", "Days": 7, "Old": 1, "Network": {"Family": "ipv4", "Range": "a", "Old": 1, "Told": 1},
        });
        assert_eq!(
            Value::from(patch(&recorded, &wanted, &existing, &[])),
            json!([
                {"op": "add", "path": "/Days", "value": 14},
                {"op": "add", "path": "/Network/Range", "value": "b"},
                {"op": "remove", "path": "/Network/Old"},
                {"op": "add", "path": "/New", "value": 1},
                {"op": "add", "path": "/Password", "value": "p"},
                {"op": "remove", "path": "/Old"},
            ])
        );
    }

    #[test]
    fn create_only_properties_that_are_not_returned_are_not_sent_again() {
        let properties = json!({"Days": 14, "Certificate": {"Key": "k"}, "a/b": 1});
        let existing = json!({"Days": 7});
        let steps = patch(&properties, &properties, &existing, &["Certificate".to_owned()]);
        assert_eq!(
            Value::from(steps),
            json!([
                {"op": "add", "path": "/Days", "value": 14},
                {"op": "add", "path": "/a~1b", "value": 1},
            ])
        );
    }
}
