//! One schema: its properties by their role, and its references.
//!
//! The format is CloudFormation's [resource type schema], JSON Schema draft-07 with lists of read-only, create-only and
//! write-only properties.
//!
//! [resource type schema]: https://docs.aws.amazon.com/cloudformation-cli/latest/userguide/resource-type-schema.html

use crate::error::BindingError;
use serde::Deserialize;
use serde_json::{Map, Value};
use std::collections::BTreeSet;

/// Deepest nesting of a schema. The deepest published one has 30 levels.
const DEEPEST: usize = 100;

/// The schema of a resource type.
#[derive(Clone, Debug)]
pub struct Schema {
    /// `AWS::SQS::Queue`
    pub(crate) type_name: String,
    pub(crate) description: Option<String>,
    pub(crate) required: BTreeSet<String>,
    /// Pointers below `/properties`, with `/` between their parts: `Endpoint/Address`.
    pub(crate) read_only: Vec<String>,
    pub(crate) create_only: Vec<String>,
    pub(crate) write_only: Vec<String>,
    pub(crate) primary_identifier: Vec<String>,
    /// The whole document, in which references are resolved.
    document: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Header {
    type_name: String,
    description: Option<String>,
    #[serde(default)]
    required: BTreeSet<String>,
    #[serde(default)]
    read_only_properties: Vec<String>,
    #[serde(default)]
    create_only_properties: Vec<String>,
    #[serde(default)]
    write_only_properties: Vec<String>,
    #[serde(default)]
    primary_identifier: Vec<String>,
    properties: Map<String, Value>,
}

impl Schema {
    /// Parses a schema. `place` is its file, for errors.
    pub fn parse(text: &str, place: &str) -> Result<Self, BindingError> {
        let invalid = |reason: String| BindingError::Invalid { place: place.to_owned(), reason };
        // serde_json itself refuses documents that are nested deeper than 128 levels.
        let document: Value = serde_json::from_str(text).map_err(|error| invalid(error.to_string()))?;
        if depth(&document) > DEEPEST {
            return Err(invalid(format!("it is nested deeper than {DEEPEST} levels")));
        }
        let header = Header::deserialize(&document).map_err(|error| invalid(error.to_string()))?;
        if !is_type_name(&header.type_name) {
            return Err(BindingError::BadName(header.type_name));
        }
        if header.properties.is_empty() {
            return Err(invalid("it has no properties".to_owned()));
        }
        Ok(Self {
            type_name: header.type_name,
            description: header.description,
            required: header.required,
            read_only: paths(header.read_only_properties),
            create_only: paths(header.create_only_properties),
            write_only: paths(header.write_only_properties),
            primary_identifier: paths(header.primary_identifier),
            document,
        })
    }

    /// Returns the name of the type.
    pub fn type_name(&self) -> &str {
        &self.type_name
    }

    /// Returns the properties, by name.
    pub(crate) fn properties(&self) -> impl Iterator<Item = (&String, &Value)> {
        self.document["properties"].as_object().into_iter().flatten()
    }

    /// Returns the part of the document at a JSON pointer.
    pub(crate) fn at(&self, pointer: &str) -> Option<&Value> {
        self.document.pointer(pointer)
    }

    /// Follows references from the part at a pointer. Returns the final pointer and its part.
    pub(crate) fn resolve(&self, pointer: &str) -> Result<(String, &Value), BindingError> {
        let mut seen = vec![pointer.to_owned()];
        let mut pointer = pointer.to_owned();
        loop {
            let node = self.at(&pointer).ok_or_else(|| self.invalid(format!("it has no part {pointer}")))?;
            let Some(reference) = node.get("$ref") else { return Ok((pointer, node)) };
            let target = reference.as_str().and_then(|text| text.strip_prefix('#'));
            let target = target.ok_or_else(|| self.invalid(format!("{pointer} refers to {reference}")))?;
            target.clone_into(&mut pointer);
            if seen.contains(&pointer) {
                return Err(self.invalid(format!("the definition {pointer} refers to itself")));
            }
            seen.push(pointer.clone());
        }
    }

    /// Returns the number of references to the part at a pointer.
    pub(crate) fn references(&self, pointer: &str) -> usize {
        let wanted = format!("#{pointer}");
        count(&self.document, &wanted)
    }

    pub(crate) fn invalid(&self, reason: String) -> BindingError {
        BindingError::Invalid { place: format!("of {}", self.type_name), reason }
    }
}

/// Returns whether a text has the form of a type name, `AWS::SQS::Queue`.
pub fn is_type_name(text: &str) -> bool {
    let is_part = |part: &&str| (2..=64).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts: Vec<&str> = text.split("::").collect();
    let is_module = parts.len() == 4 && parts[3] == "MODULE";
    (parts.len() == 3 || is_module) && parts.iter().all(is_part)
}

/// Returns the paths below `/properties`; some schemas repeat `properties` between the parts.
fn paths(pointers: Vec<String>) -> Vec<String> {
    let path = |pointer: String| {
        let path = pointer.strip_prefix("/properties/")?;
        Some(path.replace("/properties/", "/").replace("/items/", "/*/"))
    };
    pointers.into_iter().filter_map(path).collect()
}

fn depth(value: &Value) -> usize {
    match value {
        Value::Object(members) => 1 + members.values().map(depth).max().unwrap_or_default(),
        Value::Array(items) => 1 + items.iter().map(depth).max().unwrap_or_default(),
        _ => 0,
    }
}

fn count(value: &Value, wanted: &str) -> usize {
    match value {
        Value::Object(members) => {
            let own = usize::from(members.get("$ref").and_then(Value::as_str) == Some(wanted));
            own + members.values().map(|value| count(value, wanted)).sum::<usize>()
        }
        Value::Array(items) => items.iter().map(|value| count(value, wanted)).sum(),
        _ => 0,
    }
}
