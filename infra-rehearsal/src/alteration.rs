//! Other values for the inputs of resources, for updates of single properties.

use infra_core::value::{Map, Value};
use serde_json::Number;
use std::{collections::BTreeSet, sync::Arc};

/// Text that is appended to a text to change it.
const SUFFIX: &str = "-rehearsal";

/// Inputs that differ from others in one property.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Altered {
    /// Path of the property, such as `rules[0].port`.
    pub(crate) path: String,
    /// All inputs.
    pub(crate) inputs: Value,
}

/// Returns the inputs with another value for all of these properties whose types have one that is always valid.
pub(crate) fn alter_all(inputs: &Value, changes: &dyn Fn(&str) -> bool) -> Value {
    let Value::Map(members) = inputs else { return inputs.clone() };
    let altered = members.iter().map(|(name, value)| {
        let other = if changes(name) { valid_other(name, value) } else { None };
        (name.clone(), other.unwrap_or_else(|| value.clone()))
    });
    Value::Map(altered.collect())
}

/// Returns another value of the same type, or `None` if any other one might not be valid.
fn valid_other(name: &str, value: &Value) -> Option<Value> {
    match value {
        Value::Bool(value) => Some(Value::Bool(!value)),
        Value::List(items) if !items.is_empty() => Some(Value::List(Vec::new())),
        Value::Map(_) if name == "tags" => Some(Value::from_json(serde_json::json!({"rehearsal": "before"}))),
        _ => None,
    }
}

/// Returns the inputs with another value for one text, number or boolean each, at any depth of these properties. Another
/// text may not be valid, so the result is only meant as the recorded inputs of an update to the declared ones.
pub(crate) fn other_values(inputs: &Value, changes: &dyn Fn(&str) -> bool) -> Vec<Altered> {
    variants(inputs, changes, &|value| match value {
        Value::Bool(value) => Some(Value::Bool(!value)),
        Value::Number(number) => Some(Value::Number(other_number(number))),
        Value::String(text) => Some(format!("{text}{SUFFIX}").into()),
        _ => None,
    })
}

/// Returns the inputs with the opposite of one boolean or without the items of one list each, at any depth of these
/// properties, and without one of these properties each.
pub(crate) fn opposites(inputs: &Value, changes: &dyn Fn(&str) -> bool) -> Vec<Altered> {
    let mut opposites = variants(inputs, changes, &|value| match value {
        Value::Bool(value) => Some(Value::Bool(!value)),
        Value::List(items) if !items.is_empty() => Some(Value::List(Vec::new())),
        _ => None,
    });
    if let Value::Map(members) = inputs {
        for name in members.keys().filter(|name| changes(name)) {
            let mut rest = members.clone();
            rest.remove(name);
            opposites.push(Altered { path: name.to_string(), inputs: Value::Map(rest) });
        }
    }
    opposites
}

/// Returns the inputs with this value in place of a text at the path of an alteration.
pub(crate) fn with_other(inputs: &Value, path: &str, other: &Value) -> Option<Value> {
    let replace = |value: &Value| matches!(value, Value::String(_)).then(|| other.clone());
    variants(inputs, &|_| true, &replace).into_iter().find(|it| it.path == path).map(|it| it.inputs)
}

/// Returns an integer that is also valid where the other one is the limit of its type.
fn other_number(number: &Number) -> Number {
    match (number.as_u64(), number.as_i64()) {
        (Some(0), _) => 1.into(),
        (Some(value), _) => (value - 1).into(),
        (None, Some(value)) => (value + 1).into(),
        (None, None) => {
            let other = number.as_f64().map(|value| value / 2.0 + 1.0);
            other.and_then(Number::from_f64).unwrap_or_else(|| number.clone())
        }
    }
}

/// Returns the inputs with one value replaced each, for all values that `replace` has a replacement for.
fn variants(inputs: &Value, changes: &dyn Fn(&str) -> bool, replace: &dyn Fn(&Value) -> Option<Value>) -> Vec<Altered> {
    let Value::Map(members) = inputs else { return Vec::new() };
    let mut found = Vec::new();
    for (name, value) in members.iter().filter(|(name, _)| changes(name)) {
        for Altered { path, inputs } in variants_of(value, replace) {
            found.push(Altered { path: format!("{name}{path}"), inputs: with_member(members, name, inputs) });
        }
    }
    found
}

/// Returns the variants of a value with paths below it. Of several items of a list that have the same members, only the
/// first one is replaced, because the handler treats them alike.
fn variants_of(value: &Value, replace: &dyn Fn(&Value) -> Option<Value>) -> Vec<Altered> {
    let own = replace(value).map(|inputs| Altered { path: String::new(), inputs });
    let mut found: Vec<Altered> = own.into_iter().collect();
    match value {
        Value::Secret(inner) => {
            let secret = |it: Altered| Altered { inputs: it.inputs.into_secret(), ..it };
            found.extend(variants_of(inner, replace).into_iter().map(secret));
        }
        Value::Map(members) => {
            for (name, member) in members {
                for Altered { path, inputs } in variants_of(member, replace) {
                    found.push(Altered { path: format!(".{name}{path}"), inputs: with_member(members, name, inputs) });
                }
            }
        }
        Value::List(items) => {
            let mut known = BTreeSet::new();
            for (index, item) in items.iter().enumerate() {
                let members: Vec<&Arc<str>> = item.entries().map(|(name, _)| name).collect();
                if !known.insert(members) {
                    continue;
                }
                for Altered { path, inputs } in variants_of(item, replace) {
                    let mut items = items.clone();
                    items[index] = inputs;
                    found.push(Altered { path: format!("[{index}]{path}"), inputs: Value::List(items) });
                }
            }
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) | Value::Unknown => {}
    }
    found
}

fn with_member(members: &Map<Value>, name: &Arc<str>, value: Value) -> Value {
    let mut members = members.clone();
    members.insert(name, value);
    Value::Map(members)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    fn inputs() -> Value {
        Value::from_json(json!({
            "fixed": "x",
            "name": "web",
            "port": 80,
            "ratio": 0.5,
            "on": true,
            "tags": {"team": "a"},
            "rules": [{"from": 1}, {"from": 2}, {"to": "b"}],
            "names": ["a", "b"],
        }))
    }

    fn is_updated(name: &str) -> bool {
        name != "fixed"
    }

    fn lines(altered: &[Altered]) -> String {
        let line = |it: &Altered| {
            let top = it.path.split(['.', '[']).next().unwrap_or_default();
            format!("{} => {}", it.path, it.inputs.field(top).map_or("absent".to_owned(), ToString::to_string))
        };
        altered.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn other_values_differ_in_one_leaf_each() {
        insta::assert_snapshot!(lines(&other_values(&inputs(), &is_updated)), @r#"
        name => "web-rehearsal"
        names[0] => ["a-rehearsal","b"]
        on => false
        port => 79
        ratio => 1.25
        rules[0].from => [{"from":0},{"from":2},{"to":"b"}]
        rules[2].to => [{"from":1},{"from":2},{"to":"b-rehearsal"}]
        tags.team => {"team":"a-rehearsal"}
        "#);
    }

    #[test]
    fn opposites_differ_in_a_boolean_a_list_or_an_absent_property() {
        insta::assert_snapshot!(lines(&opposites(&inputs(), &is_updated)), @r"
        names => []
        on => false
        rules => []
        name => absent
        names => absent
        on => absent
        port => absent
        ratio => absent
        rules => absent
        tags => absent
        ");
    }

    #[test]
    fn all_changes_keep_the_types_of_values() {
        insta::assert_snapshot!(alter_all(&inputs(), &is_updated), @r#"{"fixed":"x","name":"web","names":[],"on":false,"port":80,"ratio":0.5,"rules":[],"tags":{"rehearsal":"before"}}"#);
    }

    #[test]
    fn secrets_stay_secret() {
        let members = [("password", Value::from("p").into_secret())];
        let inputs = Value::Map(members.into_iter().map(|(name, value)| (Arc::from(name), value)).collect());
        let altered = other_values(&inputs, &|_| true);
        assert_eq!(altered.len(), 1);
        assert!(matches!(altered[0].inputs.field("password"), Some(Value::Secret(_))));
        let text = with_other(&inputs, "password", &"q".into()).unwrap();
        assert_eq!(text.field("password").and_then(Value::as_str), Some("q"));
    }

    #[test]
    fn numbers_stay_within_the_limits_of_their_types() {
        for (number, other) in [(json!(0), "1"), (json!(65535), "65534"), (json!(-128), "-127"), (json!(1.5), "1.75")] {
            assert_eq!(other_number(&serde_json::from_value(number).unwrap()).to_string(), other);
        }
    }
}
