//! Parses JSON bodies. The content type does not matter; unknown fields are ignored.

use serde_json::{Map, Value};

use crate::refusal::Refusal;

/// Maximum length of a name of a user or a category, in characters.
pub const NAME_CHARACTERS: usize = 150;
/// Largest integer that every JSON parser reads exactly (RFC 8259, section 6).
pub const MAX_INTEGER: i64 = (1 << 53) - 1;

/// A body that is a JSON object.
#[derive(Debug)]
pub struct Object(Map<String, Value>);

impl Object {
    /// Parses a body.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if it is not a JSON object.
    pub fn parse(body: &[u8]) -> Result<Self, Refusal> {
        match json(body)? {
            Value::Object(fields) => Ok(Self(fields)),
            _ => Err(Refusal::invalid("The body is not a JSON object.")),
        }
    }

    /// Returns whether the object has a field.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// Removes and returns a text of at most `characters`, which may be empty.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if it is missing, another type, too long, or contains a null character.
    pub fn text(&mut self, name: &str, characters: usize) -> Result<String, Refusal> {
        match self.take(name)? {
            Value::String(text) => checked(text, name, characters),
            _ => Err(Refusal::invalid(format!("{name} is not a string."))),
        }
    }

    /// Removes and returns a name of a user or a category.
    ///
    /// # Errors
    /// [`Refusal::Invalid`] as for a text, and if it is blank.
    pub fn name(&mut self, name: &str) -> Result<String, Refusal> {
        not_blank(self.text(name, NAME_CHARACTERS)?, name)
    }

    /// Removes and returns an integer from 0 to [`MAX_INTEGER`].
    ///
    /// # Errors
    /// [`Refusal::Invalid`] if it is missing, another type, or out of range.
    pub fn integer(&mut self, name: &str) -> Result<i64, Refusal> {
        integer(&self.take(name)?, name)
    }

    fn take(&mut self, name: &str) -> Result<Value, Refusal> {
        self.0.remove(name).ok_or_else(|| Refusal::invalid(format!("{name} is missing.")))
    }
}

/// Parses a body such as `["name"]`. `what` names the value in errors.
///
/// # Errors
/// [`Refusal::Invalid`] if it is not an array with one name.
pub fn one_name(body: &[u8], what: &str) -> Result<String, Refusal> {
    match one(body, what)? {
        Value::String(text) => not_blank(checked(text, what, NAME_CHARACTERS)?, what),
        _ => Err(Refusal::invalid(format!("{what} is not a string."))),
    }
}

/// Parses a body such as `[1234]`. `what` names the value in errors.
///
/// # Errors
/// [`Refusal::Invalid`] if it is not an array with one integer from 0 to [`MAX_INTEGER`].
pub fn one_integer(body: &[u8], what: &str) -> Result<i64, Refusal> {
    integer(&one(body, what)?, what)
}

fn one(body: &[u8], what: &str) -> Result<Value, Refusal> {
    match json(body)? {
        Value::Array(mut values) if values.len() == 1 => Ok(values.remove(0)),
        _ => Err(Refusal::invalid(format!("The body is not a JSON array that contains only {what}."))),
    }
}

fn json(body: &[u8]) -> Result<Value, Refusal> {
    serde_json::from_slice(body).map_err(|error| Refusal::invalid(format!("The body is not JSON: {error}.")))
}

fn integer(value: &Value, name: &str) -> Result<i64, Refusal> {
    // JSON has one type of numbers: 1234.0 is an integer.
    let whole = |number: f64| (number.fract() == 0.0 && number.abs() <= MAX_INTEGER as f64).then_some(number as i64);
    let integer = value.as_i64().or_else(|| value.as_f64().and_then(whole));
    integer
        .filter(|integer| (0..=MAX_INTEGER).contains(integer))
        .ok_or_else(|| Refusal::invalid(format!("{name} is not an integer from 0 to {MAX_INTEGER}.")))
}

fn checked(text: String, name: &str, characters: usize) -> Result<String, Refusal> {
    if text.contains('\0') {
        return Err(Refusal::invalid(format!("{name} contains a null character.")));
    }
    if text.chars().count() > characters {
        return Err(Refusal::invalid(format!("{name} has more than {characters} characters.")));
    }
    Ok(text)
}

fn not_blank(text: String, name: &str) -> Result<String, Refusal> {
    if text.trim().is_empty() { Err(Refusal::invalid(format!("{name} is empty."))) } else { Ok(text) }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn message<T: std::fmt::Debug>(result: Result<T, Refusal>) -> String {
        result.unwrap_err().to_string()
    }

    #[test]
    fn fields_are_removed_and_checked() {
        let mut object = Object::parse(br#"{"a":" x ","b":7.0,"c":"","d":1.5,"e":null,"f":"\u0000"}"#).unwrap();
        assert_eq!(object.name("a").unwrap(), " x ");
        assert_eq!(message(object.name("a")), "a is missing.");
        assert_eq!(object.integer("b").unwrap(), 7);
        assert_eq!(message(object.name("c")), "c is empty.");
        assert_eq!(message(object.integer("d")), "d is not an integer from 0 to 9007199254740991.");
        assert_eq!(message(object.text("e", 3)), "e is not a string.");
        assert_eq!(message(object.text("f", 3)), "f contains a null character.");
    }

    #[test]
    fn other_bodies_are_invalid() {
        assert_eq!(message(Object::parse(b"[]")), "The body is not a JSON object.");
        assert!(message(Object::parse(b"")).starts_with("The body is not JSON: EOF"));
        assert!(message(Object::parse(&[b'['; 10_000])).starts_with("The body is not JSON: recursion limit"));
        for wrong in ["{}", "[]", r#"["a","b"]"#, "7"] {
            assert_eq!(
                message(one_name(wrong.as_bytes(), "a category")),
                "The body is not a JSON array that contains only a category.",
                "{wrong}"
            );
        }
        for wrong in ["[-1]", "[9007199254740992]", "[1e300]", r#"["1"]"#, "[null]"] {
            assert!(one_integer(wrong.as_bytes(), "actId").is_err(), "{wrong}");
        }
        assert_eq!(one_integer(b"[9007199254740991]", "actId").unwrap(), MAX_INTEGER);
        assert_eq!(
            message(one_name(format!("[\"{}\"]", "é".repeat(151)).as_bytes(), "n")),
            "n has more than 150 characters."
        );
    }
}
