//! Condition keys of a request with their values.

use std::collections::BTreeMap;

use serde::ser::{Serialize, SerializeMap as _, Serializer};

/// Condition keys of a request on one resource. Names are compared without regard to case, and the spelling of AWS's
/// documentation is kept for reports.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Context(BTreeMap<String, ContextKey>);

/// A condition key of a request.
#[derive(Debug, Clone, PartialEq, Eq)]
struct ContextKey {
    name: String,
    values: Vec<String>,
}

impl Context {
    /// Sets a key with one value.
    pub(crate) fn set(&mut self, name: &str, value: impl Into<String>) {
        self.set_all(name, vec![value.into()]);
    }

    /// Sets a key with one value, if there is a value.
    pub(crate) fn maybe(&mut self, name: &str, value: Option<impl Into<String>>) {
        if let Some(value) = value {
            self.set(name, value);
        }
    }

    /// Sets a key with several values.
    pub(crate) fn set_all(&mut self, name: &str, values: Vec<String>) {
        self.0.insert(name.to_ascii_lowercase(), ContextKey { name: name.to_owned(), values });
    }

    /// Returns the context with an additional key.
    #[must_use]
    pub(crate) fn with(mut self, name: &str, value: impl Into<String>) -> Context {
        self.set(name, value);
        self
    }

    /// Adds a key `prefix/KEY` per tag.
    pub(crate) fn set_tags<'a>(&mut self, prefix: &str, tags: impl IntoIterator<Item = (&'a String, &'a String)>) {
        for (key, value) in tags {
            self.set(&format!("{prefix}/{key}"), value);
        }
    }

    /// Adds the keys of another context, which override equal ones.
    pub(crate) fn merge(&mut self, other: &Context) {
        self.0.extend(other.0.iter().map(|(name, key)| (name.clone(), key.clone())));
    }

    /// Returns the values of a key, or `None` if the request does not have it.
    pub(crate) fn values(&self, name: &str) -> Option<&[String]> {
        self.0.get(&name.to_ascii_lowercase()).map(|key| key.values.as_slice())
    }

    /// Returns the value of a key with exactly one value.
    pub(crate) fn single(&self, name: &str) -> Option<&str> {
        match self.values(name) {
            Some([value]) => Some(value),
            _ => None,
        }
    }

    /// Returns the keys in the spelling of AWS's documentation, with their values.
    pub(crate) fn entries(&self) -> impl Iterator<Item = (&str, &[String])> {
        self.0.values().map(|key| (key.name.as_str(), key.values.as_slice()))
    }

    /// Returns the approximate size in memory, in bytes.
    pub(crate) fn size(&self) -> usize {
        let key = |(lower, key): (&String, &ContextKey)| {
            size_of::<ContextKey>()
                + lower.len()
                + key.name.len()
                + key.values.iter().map(|value| size_of::<String>() + value.len()).sum::<usize>()
        };
        self.0.iter().map(key).sum()
    }
}

impl Serialize for Context {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for key in self.0.values() {
            map.serialize_entry(&key.name, &key.values)?;
        }
        map.end()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_compared_without_regard_to_case_and_reported_as_documented() {
        let mut context = Context::default().with("aws:ResourceTag/Team", "web");
        context.set_all("aws:TagKeys", vec!["a".to_owned(), "b".to_owned()]);
        assert_eq!(context.single("AWS:resourcetag/team"), Some("web"));
        assert_eq!(context.single("aws:TagKeys"), None);
        assert_eq!(context.values("aws:tagkeys").map(<[String]>::len), Some(2));
        let json = serde_json::to_string(&context).unwrap_or_default();
        assert_eq!(json, r#"{"aws:ResourceTag/Team":["web"],"aws:TagKeys":["a","b"]}"#);
    }
}
