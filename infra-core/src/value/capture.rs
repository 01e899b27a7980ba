//! Conversions between typed structs of inputs and outputs, and expressions and values.
//!
//! A resource is an ordinary serde struct that contains [`Output`](super::Output)s. [`lower`] serialises it: each output
//! leaves a [marker], which is replaced by the output's expression. [`handle`] deserialises a struct of outputs: it learns
//! the field names and answers each with the marker of a reference.

use super::{
    expression::{Expression, Reference},
    lower::Lowering,
    marker::{self, LowerError, MARKER},
    mask::Mask,
    source,
    value::Value,
};
use crate::urn::Urn;
use serde::{
    Deserialize, Deserializer, Serialize, Serializer,
    de::{
        DeserializeOwned, Error as _, IntoDeserializer, MapAccess, Visitor,
        value::{Error as DeError, MapDeserializer},
    },
    forward_to_deserialize_any,
    ser::{Error as _, SerializeMap},
};
use serde_json::Value as Json;
use std::sync::Arc;

/// Converts a struct that may contain outputs to properties.
pub fn lower<T: Serialize + ?Sized>(value: &T) -> Result<Expression, LowerError> {
    let lowered = marker::with_table(|| value.serialize(Lowering));
    Ok(lowered?.unwrap_or(Expression::Literal(Value::Null)))
}

/// Converts the JSON document that `make` returns and that may contain outputs.
pub(super) fn document(make: impl FnOnce() -> Json) -> Result<Expression, LowerError> {
    let lowered = marker::with_table(|| make().serialize(Lowering));
    Ok(lowered?.unwrap_or(Expression::Literal(Value::Null)))
}

/// Returns the typed outputs of a declared resource: every field is a reference.
pub fn handle<O: DeserializeOwned>(
    urn: &Urn,
    describe: impl Fn(&str) -> (bool, Option<String>),
) -> Result<O, LowerError> {
    let outputs = marker::with_table(|| O::deserialize(Handle { urn, describe }));
    outputs.map_err(|error| LowerError::new(error.to_string()))
}

/// Converts resolved properties to a struct for a handler, in which secrets are readable.
pub fn from_value<T: DeserializeOwned>(value: &Value) -> Result<T, LowerError> {
    let typed = serde_json::from_value(mark_unknown(value));
    typed.map_err(|error| LowerError::new(Mask::of([value]).text(&error.to_string())))
}

/// Serialises an output whose values have a type of this name.
pub(super) fn serialize<S: Serializer>(
    expression: &Arc<Expression>,
    type_name: &'static str,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    if source::is_writing()
        && let Expression::Literal(value) = expression.as_ref()
    {
        return serializer
            .serialize_newtype_struct(source::OUTPUT, &source::Typed { type_name, value: value.masked() });
    }
    match (marker::add(expression), expression.as_ref()) {
        (Some(index), _) => {
            let mut map = serializer.serialize_map(Some(1))?;
            map.serialize_entry(MARKER, &index)?;
            map.end()
        }
        (None, Expression::Literal(value)) if !value.has_unknown() => value.to_json().serialize(serializer),
        (None, other) => Err(S::Error::custom(format!("{other} is not known yet"))),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Arc<Expression>, D::Error> {
    let json = Json::deserialize(deserializer)?;
    match json.get(MARKER) {
        Some(Json::Number(index)) => {
            let index = index.as_u64().unwrap_or(u64::MAX) as usize;
            marker::get(index).ok_or_else(|| D::Error::custom("a marker without its expression"))
        }
        _ => Ok(Arc::new(Expression::Literal(unmark(json)))),
    }
}

fn mark_unknown(value: &Value) -> Json {
    match value {
        Value::Unknown => serde_json::json!({ MARKER: "unknown" }),
        Value::Secret(inner) => mark_unknown(inner),
        Value::List(items) => items.iter().map(mark_unknown).collect(),
        Value::Map(map) => map.iter().map(|(key, value)| (key.to_string(), mark_unknown(value))).collect(),
        other => other.to_json(),
    }
}

fn unmark(json: Json) -> Value {
    match json {
        Json::Object(map) if map.contains_key(MARKER) => Value::Unknown,
        Json::Object(map) => Value::Map(
            map.into_iter().filter(|(_, value)| !value.is_null()).map(|(key, value)| (key, unmark(value))).collect(),
        ),
        Json::Array(items) => Value::List(items.into_iter().map(unmark).collect()),
        other => Value::from_json(other),
    }
}

/// A deserializer that sets every field of a struct to a reference to the output of that name.
struct Handle<'a, F> {
    urn: &'a Urn,
    describe: F,
}

impl<'de, F: Fn(&str) -> (bool, Option<String>)> Deserializer<'de> for Handle<'_, F> {
    type Error = DeError;

    fn deserialize_struct<V: Visitor<'de>>(
        self,
        _name: &'static str,
        fields: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, DeError> {
        visitor.visit_map(Fields { handle: self, names: fields.iter(), current: "" })
    }

    fn deserialize_unit_struct<V: Visitor<'de>>(self, _name: &'static str, visitor: V) -> Result<V::Value, DeError> {
        visitor.visit_unit()
    }

    fn deserialize_any<V: Visitor<'de>>(self, _: V) -> Result<V::Value, DeError> {
        Err(serde::de::Error::custom("outputs must be a struct of `Output`s"))
    }

    forward_to_deserialize_any! {
        bool i8 i16 i32 i64 u8 u16 u32 u64 f32 f64 char str string bytes byte_buf option unit newtype_struct
        seq tuple tuple_struct map enum identifier ignored_any
    }
}

struct Fields<'a, F> {
    handle: Handle<'a, F>,
    names: std::slice::Iter<'static, &'static str>,
    current: &'static str,
}

impl<'de, F: Fn(&str) -> (bool, Option<String>)> MapAccess<'de> for Fields<'_, F> {
    type Error = DeError;

    fn next_key_seed<K: serde::de::DeserializeSeed<'de>>(&mut self, seed: K) -> Result<Option<K::Value>, DeError> {
        match self.names.next() {
            None => Ok(None),
            Some(name) => {
                self.current = name;
                seed.deserialize((*name).into_deserializer()).map(Some)
            }
        }
    }

    fn next_value_seed<V: serde::de::DeserializeSeed<'de>>(&mut self, seed: V) -> Result<V::Value, DeError> {
        let (secret, region) = (self.handle.describe)(self.current);
        let expression = Arc::new(Expression::reference(Reference {
            urn: self.handle.urn.clone(),
            property: self.current.to_owned(),
            secret,
            region,
        }));
        let index = marker::add(&expression)
            .ok_or_else(|| <DeError as serde::de::Error>::custom("an output outside of a declaration"))?;
        seed.deserialize(MapDeserializer::new(std::iter::once((MARKER, index))))
            .map_err(|_: DeError| serde::de::Error::custom("every field of the outputs must be an `Output`"))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::value::Output;

    #[derive(Serialize, Deserialize, Clone)]
    struct Rule {
        port: u16,
        source: Option<Output<String>>,
    }

    #[derive(Serialize, Deserialize)]
    struct Group {
        vpc: Output<String>,
        rules: Vec<Rule>,
        note: Option<String>,
    }

    #[derive(Serialize, Deserialize, Clone)]
    struct Outputs {
        id: Output<String>,
        arn: Output<String>,
    }

    #[test]
    fn structs_of_outputs_and_values_round_trip() {
        let urn = Urn::new("dev", "p", "t:Vpc", "net").unwrap();
        let vpc: Outputs = handle(&urn, |name| (name == "arn", None)).unwrap();
        let group = Group {
            vpc: vpc.id.clone(),
            rules: vec![Rule { port: 80, source: Some(vpc.arn.clone()) }, Rule { port: 443, source: None }],
            note: None,
        };
        let expression = lower(&group).unwrap();
        assert!(expression.is_secret());
        let known = Value::from_json(serde_json::json!({"id": "vpc-1", "arn": "arn:1"}));
        let value = expression.evaluate(&|_| Some(&known)).unwrap();
        insta::assert_snapshot!(value, @r#"{"rules":[{"port":80,"source":"arn:1"},{"port":443}],"vpc":"vpc-1"}"#);
        let back: Group = from_value(&value).unwrap();
        assert_eq!(back.vpc.known().unwrap(), "vpc-1");
        let unknown = expression.evaluate(&|_| None).unwrap();
        let back: Group = from_value(&unknown).unwrap();
        assert!(back.vpc.known().is_err());
        assert_eq!(back.rules[0].port, 80);
    }
}
