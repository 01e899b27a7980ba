//! Paths of properties, as plans show them and options name them.

use crate::value::{Map, Value};
use serde::{Deserialize, Serialize};
use std::fmt;

/// The path of a property: `rules[0].port`; `[*]` matches every item of a list.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(from = "String", into = "String")]
pub struct PropertyPath(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Field(String),
    Item(usize),
    EveryItem,
}

impl PropertyPath {
    /// Returns `true` if one of the paths is a prefix of the other.
    pub fn overlaps(&self, other: &Self) -> bool {
        self.0.iter().zip(&other.0).all(|pair| match pair {
            (Step::EveryItem, Step::Item(_) | Step::EveryItem) | (Step::Item(_), Step::EveryItem) => true,
            (a, b) => a == b,
        })
    }

    /// Returns `true` if this path is a prefix of the other.
    pub fn covers(&self, other: &Self) -> bool {
        self.0.len() <= other.0.len() && self.overlaps(other)
    }

    /// Sets the value at the path in `new` to that in `old`, or removes it if `old` has none.
    pub fn restore(&self, old: &Value, new: &mut Value) {
        restore(&self.0, Some(old), new);
    }
}

fn restore(path: &[Step], old: Option<&Value>, new: &mut Value) {
    let Some((step, rest)) = path.split_first() else {
        return;
    };
    match (step, new) {
        (_, Value::Secret(inner)) => restore(path, old, inner),
        (Step::Field(name), Value::Map(map)) => restore_field(name, rest, old.and_then(|old| old.field(name)), map),
        (Step::Item(index), Value::List(items)) => {
            if let (Some(item), Some(old)) = (items.get_mut(*index), item_of(old, *index)) {
                restore_item(rest, old, item);
            }
        }
        (Step::EveryItem, Value::List(items)) => {
            for (index, item) in items.iter_mut().enumerate() {
                if let Some(old) = item_of(old, index) {
                    restore_item(rest, old, item);
                }
            }
        }
        _ => {}
    }
}

fn restore_field(name: &str, rest: &[Step], old: Option<&Value>, map: &mut Map<Value>) {
    match (rest.is_empty(), old) {
        (true, Some(old)) => drop(map.insert(name, old.clone())),
        (true, None) => drop(map.remove(name)),
        (false, old) => {
            if let Some(new) = map.get_mut(name) {
                restore(rest, old, new);
            }
        }
    }
}

/// Restores the item at a path. An item without a counterpart in `old` is new as a whole.
fn restore_item(rest: &[Step], old: &Value, item: &mut Value) {
    if rest.is_empty() {
        item.clone_from(old);
    } else {
        restore(rest, Some(old), item);
    }
}

fn item_of(value: Option<&Value>, index: usize) -> Option<&Value> {
    match value? {
        Value::List(items) => items.get(index),
        Value::Secret(inner) => item_of(Some(inner), index),
        _ => None,
    }
}

impl From<String> for PropertyPath {
    fn from(text: String) -> Self {
        Self::from(text.as_str())
    }
}

impl From<PropertyPath> for String {
    fn from(path: PropertyPath) -> Self {
        path.to_string()
    }
}

impl From<&str> for PropertyPath {
    fn from(text: &str) -> Self {
        let mut steps = Vec::new();
        for part in text.split('.') {
            let (name, items) = part.split_at(part.find('[').unwrap_or(part.len()));
            if !name.is_empty() {
                steps.push(Step::Field(name.to_owned()));
            }
            for item in items.split(['[', ']']).filter(|item| !item.is_empty()) {
                steps.push(item.parse().map_or(Step::EveryItem, Step::Item));
            }
        }
        Self(steps)
    }
}

impl fmt::Display for PropertyPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (at, step) in self.0.iter().enumerate() {
            match step {
                Step::Field(name) if at == 0 => f.write_str(name)?,
                Step::Field(name) => write!(f, ".{name}")?,
                Step::Item(index) => write!(f, "[{index}]")?,
                Step::EveryItem => f.write_str("[*]")?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn restored(path: &str, old: serde_json::Value, new: serde_json::Value) -> String {
        let mut new = Value::from_json(new);
        PropertyPath::from(path).restore(&Value::from_json(old), &mut new);
        new.to_string()
    }

    #[test]
    fn ignored_property_keeps_its_recorded_value() {
        let old = json!({"tags": {"a": 1, "b": 2}, "rules": [{"port": 80, "note": "x"}]});
        let new = json!({"tags": {"a": 9, "c": 3}, "rules": [{"port": 81, "note": "y"}, {"port": 82, "note": "z"}]});
        let kept = |path| restored(path, old.clone(), new.clone());
        insta::assert_snapshot!(kept("tags.a"), @r#"{"rules":[{"note":"y","port":81},{"note":"z","port":82}],"tags":{"a":1,"c":3}}"#);
        insta::assert_snapshot!(kept("tags"), @r#"{"rules":[{"note":"y","port":81},{"note":"z","port":82}],"tags":{"a":1,"b":2}}"#);
        insta::assert_snapshot!(kept("tags.c"), @r#"{"rules":[{"note":"y","port":81},{"note":"z","port":82}],"tags":{"a":9}}"#);
        insta::assert_snapshot!(kept("rules[*].note"), @r#"{"rules":[{"note":"x","port":81},{"note":"z","port":82}],"tags":{"a":9,"c":3}}"#);
        insta::assert_snapshot!(kept("absent[3].x"), @r#"{"rules":[{"note":"y","port":81},{"note":"z","port":82}],"tags":{"a":9,"c":3}}"#);
    }

    #[test]
    fn paths_overlap_if_one_is_a_prefix_of_the_other() {
        let overlaps = |a: &str, b: &str| PropertyPath::from(a).overlaps(&PropertyPath::from(b));
        assert!(overlaps("tags", "tags.Name") && overlaps("tags.Name", "tags") && overlaps("a[*].b", "a[3].b.c"));
        assert!(!overlaps("tags", "tag") && !overlaps("a[1]", "a[2]"));
        assert_eq!(PropertyPath::from("a[*].b[2].c").to_string(), "a[*].b[2].c");
    }
}
