//! Conversion between CBOR bodies of RPC v2 and JSON values.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use ciborium::Value as Cbor;
use serde_json::{Map, Number, Value};

use super::error::{ApiError, Outcome};
use super::shape::is_timestamp;

/// The tag of a time in seconds since 1970.
const EPOCH_SECONDS: u64 = 1;

/// Decodes a body; an empty one has no members. Times become seconds since 1970.
pub(super) fn decode(body: &[u8]) -> Outcome<Value> {
    if body.is_empty() {
        return Ok(Value::Object(Map::new()));
    }
    let value: Cbor = ciborium::from_reader(body).map_err(|error| malformed(&error.to_string()))?;
    from_cbor(value)
}

/// Encodes a body.
pub(super) fn encode(value: &Value) -> Vec<u8> {
    let mut out = Vec::new();
    // Writing into memory cannot fail.
    let _ = ciborium::into_writer(&to_cbor("", value), &mut out);
    out
}

fn from_cbor(value: Cbor) -> Outcome<Value> {
    Ok(match value {
        Cbor::Null => Value::Null,
        Cbor::Bool(flag) => Value::Bool(flag),
        Cbor::Text(text) => Value::String(text),
        Cbor::Bytes(bytes) => Value::String(STANDARD.encode(bytes)),
        Cbor::Integer(number) => {
            let number = i64::try_from(number).map_err(|_| malformed("an integer has more than 64 bits"))?;
            Value::from(number)
        }
        Cbor::Float(number) => {
            Value::Number(Number::from_f64(number).ok_or_else(|| malformed("a number is not finite"))?)
        }
        Cbor::Tag(EPOCH_SECONDS, inner) => from_cbor(*inner)?,
        Cbor::Array(items) => Value::Array(items.into_iter().map(from_cbor).collect::<Outcome<_>>()?),
        Cbor::Map(fields) => {
            let fields = fields.into_iter().map(|(name, value)| match name {
                Cbor::Text(name) => Ok((name, from_cbor(value)?)),
                _ => Err(malformed("a member's name is not a text")),
            });
            Value::Object(fields.collect::<Outcome<_>>()?)
        }
        _ => return Err(malformed("a value is of no kind that services take")),
    })
}

/// Converts a value; `member` is its name in the structure.
fn to_cbor(member: &str, value: &Value) -> Cbor {
    match value {
        Value::Null => Cbor::Null,
        Value::Bool(flag) => Cbor::Bool(*flag),
        Value::String(text) => Cbor::Text(text.clone()),
        Value::Number(number) => {
            let plain = match (number.as_i64(), number.as_f64()) {
                (Some(integer), _) => Cbor::Integer(integer.into()),
                (None, float) => Cbor::Float(float.unwrap_or_default()),
            };
            if is_timestamp(member) { Cbor::Tag(EPOCH_SECONDS, Box::new(plain)) } else { plain }
        }
        Value::Array(items) => Cbor::Array(items.iter().map(|item| to_cbor(member, item)).collect()),
        Value::Object(fields) => Cbor::Map(
            fields
                .iter()
                .filter(|(_, value)| !value.is_null())
                .map(|(name, value)| (Cbor::Text(name.clone()), to_cbor(name, value)))
                .collect(),
        ),
    }
}

fn malformed(detail: &str) -> ApiError {
    ApiError::new("SerializationException", format!("the request is not CBOR of a service: {detail}"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use serde_json::json;

    #[test]
    fn values_are_read_back_and_times_are_tagged() {
        let value = json!({"Names": ["a"], "Period": 60, "Threshold": 2.0, "Timestamp": 1.5, "Timestamps": [1.0]});
        let bytes = encode(&value);
        assert_eq!(decode(&bytes).unwrap(), value);
        let Cbor::Map(fields) = ciborium::from_reader(bytes.as_slice()).unwrap() else { panic!("no map") };
        let member = |name: &str| fields.iter().find(|(key, _)| key.as_text() == Some(name)).unwrap().1.clone();
        assert_eq!(member("Timestamp"), Cbor::Tag(1, Box::new(Cbor::Float(1.5))));
        assert_eq!(member("Threshold"), Cbor::Float(2.0));
        assert!(matches!(&member("Timestamps"), Cbor::Array(items) if matches!(items[0], Cbor::Tag(1, _))));
    }

    #[test]
    fn other_bytes_are_refused() {
        assert_eq!(decode(b"").unwrap(), json!({}));
        for bad in [&b"\xff"[..], b"\xa1\x01\x02", b"\xf9\x7e\x00"] {
            assert_eq!(decode(bad).unwrap_err().code, "SerializationException");
        }
    }
}
