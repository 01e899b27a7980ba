//! Resolved property values.

use super::map::Map;
use crate::intern::intern;
use serde_json::{Number, Value as Json};
use std::{fmt, sync::Arc};

/// The resolved value of a property.
///
/// In addition to JSON, a value can be unknown or secret. `Debug` and `Display` never reveal a secret.
#[derive(Clone, Default)]
pub enum Value {
    /// Absent.
    #[default]
    Null,
    /// True or false.
    Bool(bool),
    /// A number.
    Number(Number),
    /// A text.
    String(Arc<str>),
    /// A list.
    List(Vec<Value>),
    /// Named values.
    Map(Map<Value>),
    /// A value that is kept encrypted and shown masked.
    Secret(Box<Value>),
    /// A value that is known only after another resource has been created or changed.
    Unknown,
}

/// Encrypts and decrypts secrets in stored values.
pub trait Seal: Send + Sync {
    /// Encrypts a text. The result is printable.
    fn seal(&self, plain: &str) -> Result<String, SealError>;
    /// Decrypts the result of [`Seal::seal`].
    fn unseal(&self, sealed: &str) -> Result<String, SealError>;
}

/// A secret cannot be decrypted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a secret cannot be decrypted: it was encrypted with another key, or the text was changed")]
pub struct SealError;

impl Value {
    /// Returns an empty map.
    pub fn empty() -> Self {
        Self::Map(Map::new())
    }

    /// Marks the value as secret. A second mark has no effect.
    pub fn into_secret(self) -> Self {
        match self {
            Self::Secret(_) | Self::Null => self,
            plain => Self::Secret(Box::new(plain)),
        }
    }

    /// Returns the value without secret marks at any depth.
    pub fn revealed(&self) -> Self {
        match self {
            Self::Secret(inner) => inner.revealed(),
            Self::List(items) => Self::List(items.iter().map(Self::revealed).collect()),
            Self::Map(map) => Self::Map(map.iter().map(|(k, v)| (k.clone(), v.revealed())).collect()),
            other => other.clone(),
        }
    }

    /// Returns `true` if the value or any part of it is unknown.
    pub fn has_unknown(&self) -> bool {
        match self {
            Self::Unknown => true,
            Self::Secret(inner) => inner.has_unknown(),
            Self::List(items) => items.iter().any(Self::has_unknown),
            Self::Map(map) => map.values().any(Self::has_unknown),
            _ => false,
        }
    }

    /// Returns `true` if the value or any part of it is secret.
    pub fn has_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::List(items) => items.iter().any(Self::has_secret),
            Self::Map(map) => map.values().any(Self::has_secret),
            _ => false,
        }
    }

    /// Returns the text, secret or not, if the value is one.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            Self::Secret(inner) => inner.as_str(),
            _ => None,
        }
    }

    /// Returns the named value of a map, secret or not.
    pub fn field(&self, name: &str) -> Option<&Value> {
        match self {
            Self::Map(map) => map.get(name),
            Self::Secret(inner) => inner.field(name),
            _ => None,
        }
    }

    /// Returns the entries of a map; none for other values.
    pub fn entries(&self) -> impl Iterator<Item = (&Arc<str>, &Value)> {
        let map = match self {
            Self::Map(map) => Some(map),
            _ => None,
        };
        map.into_iter().flat_map(Map::iter)
    }

    /// Converts JSON to a value. Nulls in maps are dropped, so that absent values have one representation.
    pub fn from_json(json: Json) -> Self {
        match json {
            Json::Null => Self::Null,
            Json::Bool(flag) => Self::Bool(flag),
            Json::Number(number) => Self::Number(number),
            Json::String(text) => Self::String(text.into()),
            Json::Array(items) => Self::List(items.into_iter().map(Self::from_json).collect()),
            Json::Object(map) => Self::Map(
                map.into_iter()
                    .filter(|(_, value)| !value.is_null())
                    .map(|(key, value)| (intern(&key), Self::from_json(value)))
                    .collect(),
            ),
        }
    }

    /// Converts the value to JSON with readable secrets and unknown values as `null`. For providers, never for display.
    pub fn to_json(&self) -> Json {
        self.render(&|secret| secret.to_json(), &|| Json::Null)
    }

    /// Returns the value with markers in place of secret and unknown values. Parts without them are shared.
    pub(crate) fn marked(&self) -> Self {
        match self {
            Self::Secret(_) => "[secret]".into(),
            Self::Unknown => "(known after apply)".into(),
            Self::List(items) => Self::List(items.iter().map(Self::marked).collect()),
            Self::Map(map) if self.has_secret() || self.has_unknown() => {
                Self::Map(map.iter().map(|(key, value)| (key.clone(), value.marked())).collect())
            }
            other => other.clone(),
        }
    }

    /// Converts the value to JSON for people and readers of events: secrets are `"[secret]"`, unknown values `"(known
    /// after apply)"`.
    pub fn masked(&self) -> Json {
        self.render(&|_| Json::from("[secret]"), &|| Json::from("(known after apply)"))
    }

    fn render(&self, secret: &dyn Fn(&Value) -> Json, unknown: &dyn Fn() -> Json) -> Json {
        match self {
            Self::Null => Json::Null,
            Self::Bool(flag) => Json::Bool(*flag),
            Self::Number(number) => Json::Number(number.clone()),
            Self::String(text) => Json::String(text.as_ref().to_owned()),
            Self::List(items) => items.iter().map(|v| v.render(secret, unknown)).collect(),
            Self::Map(map) => map.iter().map(|(key, value)| (key.to_string(), value.render(secret, unknown))).collect(),
            Self::Secret(inner) => secret(inner),
            Self::Unknown => unknown(),
        }
    }
}

/// Secrecy is not part of the comparison: a secret equals the same value that is not secret. Unknown equals only
/// unknown.
impl PartialEq for Value {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Secret(a), b) => **a == *b,
            (a, Self::Secret(b)) => *a == **b,
            (Self::Null, Self::Null) | (Self::Unknown, Self::Unknown) => true,
            (Self::Bool(a), Self::Bool(b)) => a == b,
            // 1 equals 1.0, but two large integers that convert to the same float are different.
            (Self::Number(a), Self::Number(b)) => a == b || (a.is_f64() != b.is_f64() && a.as_f64() == b.as_f64()),
            (Self::String(a), Self::String(b)) => a == b,
            (Self::List(a), Self::List(b)) => a == b,
            (Self::Map(a), Self::Map(b)) => a == b,
            _ => false,
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::String(text.into())
    }
}

impl From<String> for Value {
    fn from(text: String) -> Self {
        Self::String(text.into())
    }
}

impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Secret(_) => f.write_str("[secret]"),
            Self::Unknown => f.write_str("(known after apply)"),
            other => write!(f, "{}", other.masked()),
        }
    }
}

impl fmt::Debug for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn numbers_compare_by_value() {
        assert_eq!(Value::from_json(json!(50)), Value::from_json(json!(50.0)));
        assert_ne!(Value::Unknown, Value::Null);
    }
}
