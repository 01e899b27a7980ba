//! Types of the values in JSON and CBOR requests.

use serde_json::Value;

use super::table::{Kind, Shape, Table};
use crate::wire::error::{ApiError, Outcome};

/// Refuses the first value of another type than its shape. The messages are those of the parser of AWS's JSON services,
/// which stops at the first error; see for example <https://github.com/aws/aws-cdk/pull/27087>.
pub(super) fn check(table: &Table, shape: &Shape, value: &Value) -> Outcome<()> {
    match (shape.kind, value) {
        (_, Value::Null) => Ok(()),
        (Kind::Structure, Value::Object(fields)) => fields.iter().try_for_each(|(name, field)| {
            table.member(shape, name).map_or(Ok(()), |member| check(table, member, field))
        }),
        (Kind::List, Value::Array(items)) => {
            items.iter().try_for_each(|value| table.item(shape).map_or(Ok(()), |item| check(table, item, value)))
        }
        (Kind::Map, Value::Object(fields)) => {
            fields.values().try_for_each(|value| table.item(shape).map_or(Ok(()), |item| check(table, item, value)))
        }
        (_, Value::Object(_)) => Err(wrong("Start of structure or map found where not expected.")),
        (_, Value::Array(_)) => Err(wrong("Start of list found where not expected")),
        (Kind::List, _) => Err(wrong("Expected list or null")),
        (Kind::Structure | Kind::Map, _) => Err(wrong("Expected map or null")),
        // Times are numbers in JSON, and texts in the clients of some services.
        (Kind::String | Kind::Blob, Value::String(_)) | (Kind::Timestamp, _) | (Kind::Boolean, Value::Bool(_)) => {
            Ok(())
        }
        (kind, Value::Number(_)) if kind.is_number() => Ok(()),
        (kind, value) => Err(wrong(&format!("{} can not be converted to {}", token(value), name(kind)))),
    }
}

fn wrong(message: &str) -> ApiError {
    ApiError::new("SerializationException", message)
}

fn token(value: &Value) -> &'static str {
    match value {
        Value::String(_) => "STRING_VALUE",
        Value::Bool(true) => "TRUE_VALUE",
        Value::Bool(false) => "FALSE_VALUE",
        _ => "NUMBER_VALUE",
    }
}

fn name(kind: Kind) -> &'static str {
    match kind {
        Kind::Integer => "an Integer",
        Kind::Long => "a Long",
        Kind::Float => "a Float",
        Kind::Double => "a Double",
        Kind::Boolean => "a Boolean",
        Kind::Blob => "a ByteBuffer",
        _ => "a String",
    }
}
