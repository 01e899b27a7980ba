//! Rows of a result, as JSON.

use actix_web::web::Bytes;
use serde::Serialize;
use serde_json::{Number, Value};

/// Maximum number of rows of a result.
pub const MAX_ROWS: usize = 10_000;

/// Maximum size of a result: the texts of all values, in bytes.
pub const MAX_BYTES: usize = 8 * 1024 * 1024;

/// Error for a result that is too large.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("The result has more than {MAX_ROWS} rows or {MAX_BYTES} bytes; add a LIMIT")]
pub struct TooLarge;

/// Rows of a result.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Rows {
    rows: Vec<Vec<Value>>,
    #[serde(skip)]
    bytes: usize,
}

/// Representation of a column in JSON.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Boolean,
    Integer,
    Float,
    Text,
}

impl Rows {
    /// Adds a row of texts, with the kinds of their columns.
    pub(super) fn push<'a>(&mut self, row: impl Iterator<Item = (Kind, Option<&'a str>)>) -> Result<(), TooLarge> {
        if self.rows.len() >= MAX_ROWS {
            return Err(TooLarge);
        }
        let mut values = Vec::new();
        for (kind, text) in row {
            // A null takes space as well.
            self.bytes += text.map_or(0, str::len) + 1;
            values.push(text.map_or(Value::Null, |text| kind.value(text)));
        }
        self.rows.push(values);
        if self.bytes > MAX_BYTES { Err(TooLarge) } else { Ok(()) }
    }

    /// Returns an array of arrays.
    pub(super) fn json(&self) -> serde_json::Result<Bytes> {
        serde_json::to_vec(self).map(Bytes::from)
    }

    /// Returns the number of rows.
    pub fn len(&self) -> usize {
        self.rows.len()
    }

    /// Returns whether there are no rows.
    pub fn is_empty(&self) -> bool {
        self.rows.is_empty()
    }
}

impl Kind {
    /// Returns the JSON value of a text. A text that JSON cannot represent as this kind, such as `NaN`, remains a text.
    fn value(self, text: &str) -> Value {
        let number = match self {
            Self::Boolean => match text {
                "t" | "1" => return Value::Bool(true),
                "f" | "0" => return Value::Bool(false),
                _ => text.parse::<i64>().ok().map(Number::from),
            },
            Self::Integer => {
                text.parse::<i64>().map(Number::from).or_else(|_| text.parse::<u64>().map(Number::from)).ok()
            }
            Self::Float => text.parse().ok().and_then(Number::from_f64),
            Self::Text => None,
        };
        number.map_or_else(|| text.into(), Value::Number)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn values_have_the_types_of_json() {
        let mut rows = Rows::default();
        let row = [
            (Kind::Integer, Some("-7")),
            (Kind::Integer, Some("18446744073709551615")),
            (Kind::Boolean, Some("t")),
            (Kind::Boolean, Some("0")),
            (Kind::Boolean, Some("5")),
            (Kind::Float, Some("1.5")),
            (Kind::Float, Some("1e300")),
            (Kind::Float, Some("NaN")),
            (Kind::Float, Some("-Infinity")),
            (Kind::Text, Some("1.50")),
            (Kind::Text, None),
        ];
        rows.push(row.into_iter()).unwrap();
        let json = serde_json::to_string(&rows).unwrap();
        assert_eq!(json, r#"[[-7,18446744073709551615,true,false,5,1.5,1e+300,"NaN","-Infinity","1.50",null]]"#);
    }

    #[test]
    fn a_large_result_is_refused() {
        let mut rows = Rows::default();
        for _ in 0..MAX_ROWS {
            rows.push([(Kind::Integer, Some("1"))].into_iter()).unwrap();
        }
        assert_eq!(rows.push([(Kind::Integer, Some("1"))].into_iter()), Err(TooLarge));
        let large = "x".repeat(MAX_BYTES);
        assert_eq!(Rows::default().push([(Kind::Text, Some(large.as_str()))].into_iter()), Err(TooLarge));
    }
}
