//! Names of the members of a request type, from its implementation of `Deserialize`.

use std::collections::BTreeSet;

use serde::de::value::{Error, MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;

/// Maximum depth of structures in a request. AWS's deepest request has about ten levels.
const DEPTH_LIMIT: usize = 16;

/// Returns the members of a structure.
pub(crate) fn members<T: DeserializeOwned>() -> &'static [&'static str] {
    members_at::<T>(&[])
}

/// Returns the members of a structure and, after a dot, those of the structures in it: `Tags`, `Tags.Key`.
pub(crate) fn all_members<T: DeserializeOwned>() -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    let mut pending = vec![Vec::new()];
    while let Some(path) = pending.pop() {
        for name in members_at::<T>(&path) {
            let inner = [path.as_slice(), &[*name]].concat();
            found.insert(inner.join("."));
            if inner.len() < DEPTH_LIMIT {
                pending.push(inner);
            }
        }
    }
    found
}

/// Returns the members of the structure at a path; none if there is another type.
fn members_at<T: DeserializeOwned>(path: &[&'static str]) -> &'static [&'static str] {
    let mut found: &[&str] = &[];
    // The result is always an error, because a probe contains no values.
    let _ = T::deserialize(Probe { path, found: &mut found });
    found
}

/// A value that contains only the members of a path, and records the members of the structure at its end.
struct Probe<'a> {
    path: &'a [&'static str],
    found: &'a mut &'static [&'static str],
}

impl IntoDeserializer<'_> for Probe<'_> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

impl<'de> Deserializer<'de> for Probe<'_> {
    type Error = Error;

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, Error> {
        Err(Error::custom("a probe has no values"))
    }

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        match self.path.split_first() {
            Some((name, path)) => {
                visitor.visit_map(MapDeserializer::new(std::iter::once((*name, Probe { path, found: self.found }))))
            }
            None => {
                *self.found = fields;
                self.deserialize_any(visitor)
            }
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_some(self)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_seq(SeqDeserializer::new(std::iter::once(self)))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf unit unit_struct tuple tuple_struct map
        enum identifier ignored_any
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde::Deserialize;

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    #[allow(dead_code)]
    struct Request {
        #[serde(rename = "ResourceARN")]
        arn: String,
        #[serde(default)]
        tags: Vec<Tag>,
        filter: Option<Filter>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "PascalCase")]
    #[allow(dead_code)]
    struct Tag {
        key: String,
        value: Option<String>,
    }

    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    #[allow(dead_code)]
    struct Filter {
        key_types: Vec<String>,
    }

    #[test]
    fn members_of_all_structures_have_their_names_in_requests() {
        assert_eq!(members::<Request>(), ["ResourceARN", "Tags", "Filter"]);
        let all = all_members::<Request>();
        let all: Vec<&str> = all.iter().map(String::as_str).collect();
        assert_eq!(all, ["Filter", "Filter.keyTypes", "ResourceARN", "Tags", "Tags.Key", "Tags.Value"]);
    }
}
