//! Differences between a recorded and a declared resource.

mod path;

pub use path::PropertyPath;

use crate::{resource::Schema, value::Value};
use serde::{Deserialize, Serialize};
use std::{
    collections::BTreeSet,
    fmt::{self, Write},
    sync::Arc,
};

/// The action of a plan on a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// The resource matches its declaration.
    Same,
    /// The lookup is read.
    Read,
    /// The resource is created.
    Create,
    /// The resource is updated in place.
    Update,
    /// A new generation is created and the previous one is deleted.
    Replace,
    /// The resource is deleted.
    Delete,
    /// An existing resource is imported.
    Import,
    /// The resource is removed from the state and not deleted.
    Forget,
}

impl fmt::Display for Action {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Same => "same",
            Self::Read => "read",
            Self::Create => "create",
            Self::Update => "update",
            Self::Replace => "replace",
            Self::Delete => "delete",
            Self::Import => "import",
            Self::Forget => "forget",
        })
    }
}

/// The properties in which two resources differ.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Diff {
    /// Every difference, in order of path.
    pub properties: Vec<PropertyDiff>,
}

/// One differing property.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PropertyDiff {
    /// Path of the property: `ingress[0].port`.
    pub path: String,
    /// The previous value, secrets masked; `null` if it was absent.
    #[serde(with = "as_json")]
    pub old: Value,
    /// The new value, secrets masked; `null` if it is absent.
    #[serde(with = "as_json")]
    pub new: Value,
    /// `true` if the change requires a replacement.
    pub replaces: bool,
}

impl Diff {
    /// Compares resolved properties. Untracked inputs are left out.
    pub fn between(schema: &Schema, old: &Value, new: &Value) -> Self {
        let mut diff = Self::default();
        let names: BTreeSet<&Arc<str>> = old.entries().chain(new.entries()).map(|(name, _)| name).collect();
        for name in names.into_iter().filter(|name| schema.is_tracked(name)) {
            let null = Value::Null;
            let (old, new) = (old.field(name).unwrap_or(&null), new.field(name).unwrap_or(&null));
            diff.compare(name.to_string(), schema.replaces_from(name, old), old, new);
        }
        diff
    }

    /// Marks differences at these paths as requiring a replacement.
    pub fn replace_on(&mut self, paths: &[PropertyPath]) {
        for property in &mut self.properties {
            let path = PropertyPath::from(property.path.as_str());
            property.replaces |= paths.iter().any(|replacing| replacing.overlaps(&path));
        }
    }

    /// Returns `true` if nothing differs.
    pub fn is_empty(&self) -> bool {
        self.properties.is_empty()
    }

    /// Returns `true` if a difference requires a replacement.
    pub fn replaces(&self) -> bool {
        self.properties.iter().any(|property| property.replaces)
    }

    fn compare(&mut self, path: String, replaces: bool, old: &Value, new: &Value) {
        match (old, new) {
            (old, new) if old == new && !new.has_unknown() => {}
            (Value::Map(old), Value::Map(new)) => {
                let names: BTreeSet<&Arc<str>> = old.keys().chain(new.keys()).collect();
                for name in names {
                    let (old, new) = (old.get(name), new.get(name));
                    let null = Value::Null;
                    self.compare(format!("{path}.{name}"), replaces, old.unwrap_or(&null), new.unwrap_or(&null));
                }
            }
            (Value::List(old), Value::List(new)) if !old.is_empty() && !new.is_empty() => {
                for index in 0..old.len().max(new.len()) {
                    let null = Value::Null;
                    self.compare(
                        format!("{path}[{index}]"),
                        replaces,
                        old.get(index).unwrap_or(&null),
                        new.get(index).unwrap_or(&null),
                    );
                }
            }
            (old, new) => self.properties.push(PropertyDiff { path, old: old.marked(), new: new.marked(), replaces }),
        }
    }
}

/// Masked values as plain JSON, without sealing and escaping.
mod as_json {
    use crate::value::Value;
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &Value, serializer: S) -> Result<S::Ok, S::Error> {
        value.masked().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Value, D::Error> {
        serde_json::Value::deserialize(deserializer).map(Value::from_json)
    }
}

/// A precision limits the length of a value: `{:.30}`. The default is 100 characters.
impl fmt::Display for PropertyDiff {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { path, old, new, .. } = self;
        let longest = f.precision().unwrap_or(LONGEST);
        match (old, new) {
            (Value::Null, _) => write!(f, "+ {path}: {:.longest$}", Shown(new))?,
            (_, Value::Null) => write!(f, "- {path}: {:.longest$}", Shown(old))?,
            _ => write!(f, "~ {path}: {:.longest$} => {:.longest$}", Shown(old), Shown(new))?,
        }
        if self.replaces {
            f.write_str("  (forces replacement)")?;
        }
        Ok(())
    }
}

/// A masked value for people: markers have no quotes, and long texts are cut in the middle, because ids and ARNs differ
/// at their ends.
pub(crate) struct Shown<'a>(pub(crate) &'a Value);

/// Maximum length of a value, in characters.
const LONGEST: usize = 100;

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let longest = f.precision().unwrap_or(LONGEST);
        let text = match self.0.as_str() {
            Some(marker @ ("[secret]" | "(known after apply)")) => return f.write_str(marker),
            _ => self.0.to_string(),
        };
        let text = text.replace("\"(known after apply)\"", "(known after apply)").replace("\"[secret]\"", "[secret]");
        let length = text.chars().count();
        if length <= longest {
            return f.write_str(&text);
        }
        let end = longest.saturating_sub(1) / 2;
        let start = longest.saturating_sub(1) - end;
        text.chars().take(start).try_for_each(|character| f.write_char(character))?;
        f.write_char('…')?;
        text.chars().skip(length - end).try_for_each(|character| f.write_char(character))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn text(old: serde_json::Value, new: serde_json::Value) -> String {
        let schema = Schema::new().replace_on(["vpc"]).untracked(["source"]);
        let diff = Diff::between(&schema, &Value::from_json(old), &Value::from_json(new));
        let lines: Vec<String> = diff.properties.iter().map(ToString::to_string).collect();
        lines.join("\n")
    }

    #[test]
    fn every_difference_has_its_path() {
        let old = json!({"vpc": "a", "rules": [{"port": 80}], "gone": true, "source": "x"});
        let new = json!({"vpc": "b", "rules": [{"port": 81}, {"port": 82}], "source": "y"});
        insta::assert_snapshot!(text(old, new), @r#"
        - gone: true
        ~ rules[0].port: 80 => 81
        + rules[1]: {"port":82}
        ~ vpc: "a" => "b"  (forces replacement)
        "#);
    }

    #[test]
    fn an_input_that_can_be_set_in_place_replaces_once_it_has_a_value() {
        let schema = Schema::new().replace_on(["vpc"]).set_in_place(["vpc"]);
        for (old, replaces) in [("", false), ("vpc-1", true)] {
            let [old, new] = [old, "vpc-2"].map(|vpc| Value::from_json(json!({ "vpc": vpc })));
            let diff = Diff::between(&schema, &old, &new);
            assert!(!diff.is_empty());
            assert_eq!(diff.replaces(), replaces, "{old:?}");
        }
    }

    #[test]
    fn long_values_are_cut_in_the_middle() {
        let (old, new) = (Value::from("arn:aws:iam::123456789012:role/one"), Value::Unknown);
        let property = PropertyDiff { path: "role".into(), old, new: new.marked(), replaces: false };
        insta::assert_snapshot!(format!("{property:.15}"), @r#"~ role: "arn:aw…le/one" => (known after apply)"#);
        insta::assert_snapshot!(property, @r#"~ role: "arn:aws:iam::123456789012:role/one" => (known after apply)"#);
    }
}
