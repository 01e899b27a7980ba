//! Operations on JSON values for all protocols: JSON, CBOR and Query.
//!
//! A form contains only texts. [`read`] converts each text to the type of the member.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use chrono::{DateTime, SecondsFormat, Utc};
use quick_xml::escape::escape;
use serde::de::value::{MapDeserializer, SeqDeserializer};
use serde::de::{DeserializeOwned, Deserializer, Error as _, IntoDeserializer, Visitor};
use serde::forward_to_deserialize_any;
use serde_json::{Error, Map, Value};

use super::error::{ApiError, Outcome};
use super::query::Params;

/// Parses a request into its type. Texts are converted to numbers and booleans where the type requires them, and an
/// empty text to an empty list.
pub(crate) fn read<T: DeserializeOwned>(input: &Value) -> Result<T, Error> {
    T::deserialize(Loose(input))
}

/// Returns whether a member of a response is a time, by its name in AWS's models.
pub(super) fn is_timestamp(member: &str) -> bool {
    member.ends_with("Timestamp") || member.ends_with("Timestamps") || member == "LastModified"
}

/// Converts a time to seconds since 1970.
pub(crate) fn timestamp(time: DateTime<Utc>) -> Value {
    Value::from(time.timestamp_millis() as f64 / 1000.0)
}

/// Maximum depth of a form's names. AWS's deepest request has about ten levels.
const DEPTH_LIMIT: usize = 32;

/// Converts the dotted names of a form to a tree.
pub(crate) fn from_form(params: &Params) -> Outcome<Value> {
    if let Some(name) = params.names().find(|name| name.split('.').count() > DEPTH_LIMIT) {
        let start: String = name.chars().take(40).collect();
        let message = format!("the parameter {start}… has more than {DEPTH_LIMIT} levels");
        return Err(ApiError::new("MalformedQueryString", message));
    }
    let mut root = Map::new();
    for name in params.names().filter(|name| !["Action", "Version"].contains(name)) {
        let mut place = &mut root;
        let mut parts = name.split('.').peekable();
        while let Some(part) = parts.next() {
            if parts.peek().is_none() {
                place.insert(part.to_owned(), Value::from(params.optional(name).unwrap_or_default()));
                break;
            }
            let next = place.entry(part).or_insert_with(|| Value::Object(Map::new()));
            if !next.is_object() {
                *next = Value::Object(Map::new());
            }
            let Value::Object(inner) = next else { break };
            place = inner;
        }
    }
    Ok(gather(Value::Object(root)))
}

/// Converts `{"member": {"1": …, "2": …}}` to a list.
fn gather(value: Value) -> Value {
    let Value::Object(mut fields) = value else { return value };
    if fields.len() == 1
        && let Some(Value::Object(members)) = fields.get_mut("member")
    {
        let numbers: BTreeMap<u32, String> =
            members.keys().filter_map(|number| Some((number.parse().ok()?, number.clone()))).collect();
        if numbers.len() == members.len() {
            return numbers.into_values().filter_map(|number| members.remove(&number)).map(gather).collect();
        }
    }
    for field in fields.values_mut() {
        *field = gather(field.take());
    }
    Value::Object(fields)
}

/// Members of responses that are maps, not structures: Query renders them entry by entry.
const MAPS: &[&str] = &["ExtendedStatistics"];

/// Renders the members of a response as the Query protocol does.
pub(super) fn to_xml(value: &Value) -> String {
    let mut out = String::new();
    content(&mut out, "", value);
    out
}

fn content(out: &mut String, member: &str, value: &Value) {
    match value {
        Value::Null => {}
        Value::String(text) => out.push_str(&escape(text.as_str())),
        Value::Number(number) if is_timestamp(member) => {
            let milliseconds = number.as_f64().unwrap_or_default() * 1000.0;
            let time = DateTime::from_timestamp_millis(milliseconds as i64).unwrap_or_default();
            out.push_str(&time.to_rfc3339_opts(SecondsFormat::Millis, true));
        }
        Value::Bool(_) | Value::Number(_) => {
            let _ = write!(out, "{value}");
        }
        Value::Array(items) => {
            for item in items {
                out.push_str("<member>");
                content(out, member, item);
                out.push_str("</member>");
            }
        }
        Value::Object(fields) => {
            for (name, field) in fields.iter().filter(|(_, field)| !field.is_null()) {
                if MAPS.contains(&member) {
                    let _ = write!(out, "<entry><key>{}</key><value>", escape(name.as_str()));
                    content(out, name, field);
                    out.push_str("</value></entry>");
                } else {
                    let _ = write!(out, "<{name}>");
                    content(out, name, field);
                    let _ = write!(out, "</{name}>");
                }
            }
        }
    }
}

/// Deserializer that converts a text to the requested type.
#[derive(Clone, Copy)]
struct Loose<'de>(&'de Value);

impl<'de> IntoDeserializer<'de, Error> for Loose<'de> {
    type Deserializer = Self;

    fn into_deserializer(self) -> Self {
        self
    }
}

macro_rules! parsed {
    ($($method:ident $visit:ident $kind:literal)+) => {$(
        fn $method<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
            match self.0 {
                Value::String(text) => match text.parse() {
                    Ok(value) => visitor.$visit(value),
                    Err(_) => Err(Error::custom(format!("'{text}' is not {}", $kind))),
                },
                other => other.$method(visitor),
            }
        }
    )+};
}

impl<'de> Deserializer<'de> for Loose<'de> {
    type Error = Error;

    parsed! {
        deserialize_bool visit_bool "true or false"
        deserialize_u32 visit_u32 "a whole number"
        deserialize_u64 visit_u64 "a whole number"
        deserialize_i32 visit_i32 "a whole number"
        deserialize_i64 visit_i64 "a whole number"
        deserialize_f64 visit_f64 "a number"
    }

    fn deserialize_any<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::Array(items) => visitor.visit_seq(SeqDeserializer::new(items.iter().map(Loose))),
            Value::Object(fields) => {
                let fields = fields.iter().map(|(name, field)| (name.as_str(), Loose(field)));
                visitor.visit_map(MapDeserializer::new(fields))
            }
            other => other.deserialize_any(visitor),
        }
    }

    fn deserialize_option<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        if self.0.is_null() { visitor.visit_none() } else { visitor.visit_some(self) }
    }

    fn deserialize_seq<V: Visitor<'de>>(self, visitor: V) -> Result<V::Value, Error> {
        match self.0 {
            Value::String(text) if text.is_empty() => {
                visitor.visit_seq(SeqDeserializer::new(std::iter::empty::<Loose<'de>>()))
            }
            _ => self.deserialize_any(visitor),
        }
    }

    fn deserialize_enum<V: Visitor<'de>>(
        self,
        name: &'static str,
        variants: &'static [&'static str],
        visitor: V,
    ) -> Result<V::Value, Error> {
        self.0.deserialize_enum(name, variants, visitor)
    }

    fn deserialize_newtype_struct<V: Visitor<'de>>(self, _: &'static str, visitor: V) -> Result<V::Value, Error> {
        visitor.visit_newtype_struct(self)
    }

    forward_to_deserialize_any! {
        i8 i16 u8 u16 f32 char str string bytes byte_buf unit unit_struct tuple tuple_struct map struct identifier
        ignored_any
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde::Deserialize;
    use serde_json::json;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Request {
        name: String,
        period: u32,
        threshold: Option<f64>,
        enabled: bool,
        actions: Vec<String>,
        dimensions: Vec<Dimension>,
    }

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(rename_all = "PascalCase", deny_unknown_fields)]
    struct Dimension {
        name: String,
    }

    #[test]
    fn a_form_is_equivalent_to_json() {
        let form = Params::parse(
            b"Action=Put&Name=12&Period=60&Threshold=1.5&Enabled=true&Actions=&Dimensions.member.2.Name=b&Dimensions.member.1.Name=a",
        );
        let json = json!({
            "Name": "12", "Period": 60, "Threshold": 1.5, "Enabled": true, "Actions": [],
            "Dimensions": [{"Name": "a"}, {"Name": "b"}],
        });
        let request: Request = read(&from_form(&form).unwrap()).unwrap();
        assert_eq!(request, read(&json).unwrap());
        assert_eq!(request.dimensions[1].name, "b");
    }

    #[test]
    fn a_form_nested_too_deeply_is_refused() {
        let nested = |levels: usize| Params::parse(format!("{}Name=x", "member.1.".repeat(levels)).as_bytes());
        assert!(from_form(&nested(10)).is_ok());
        let error = from_form(&nested(100_000)).unwrap_err();
        assert_eq!(error.code, "MalformedQueryString");
    }

    #[test]
    fn invalid_numbers_are_refused_by_name() {
        let wrong = json!({"Name": "n", "Period": "often", "Enabled": true, "Actions": [], "Dimensions": []});
        assert_eq!(read::<Request>(&wrong).unwrap_err().to_string(), "'often' is not a whole number");
    }

    #[test]
    fn responses_are_rendered_in_the_form_of_query() {
        let value = json!({"Alarms": [{"Name": "a<b", "StateUpdatedTimestamp": 0.5, "Absent": null}], "Count": 2.0});
        assert_eq!(
            to_xml(&value),
            "<Alarms><member><Name>a&lt;b</Name><StateUpdatedTimestamp>1970-01-01T00:00:00.500Z</StateUpdatedTimestamp></member></Alarms><Count>2.0</Count>"
        );
        let map = json!({"ExtendedStatistics": {"p90": 1.0}});
        assert_eq!(
            to_xml(&map),
            "<ExtendedStatistics><entry><key>p90</key><value>1.0</value></entry></ExtendedStatistics>"
        );
    }
}
