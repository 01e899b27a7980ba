//! Request bodies, parsed into what may be stored, or every fault in them at once.
//!
//! The rules and the words are those of Django REST framework: text is trimmed, numbers count as text, unknown
//! fields are ignored.

use std::{error::Error, fmt};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::timestamp;

/// Longest title, in characters.
pub const TITLE_CHARACTERS: usize = 200;
/// Longest description, in characters.
pub const DESCRIPTION_CHARACTERS: usize = 500;

/// A task that can be stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Title, not blank.
    pub title: String,
    /// Publication, to the microsecond.
    pub pub_date: DateTime<Utc>,
    /// Description, not blank.
    pub description: String,
}

/// What is to be different about a task; what is `None` stays.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// Title, not blank.
    pub title: Option<String>,
    /// Publication, to the microsecond.
    pub pub_date: Option<DateTime<Utc>>,
    /// Description, not blank.
    pub description: Option<String>,
}

/// A name and a password, as given.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The name.
    pub username: String,
    /// The password: not trimmed.
    pub password: String,
}

/// A refresh token, as given.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(pub String);

/// What is wrong, by field, in the fields' order. Serialises as `{"title": ["This field is required."]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<(&'static str, Vec<String>)>);

impl NewTask {
    /// Reads a task; every field is required.
    ///
    /// # Errors
    /// [`FieldErrors`] with every fault in the body.
    pub fn parse(body: &Value) -> Result<Self, FieldErrors> {
        let mut fields = Fields::of(body)?;
        let title = fields.required("title", title);
        let pub_date = fields.required("pub_date", moment);
        let description = fields.required("description", description);
        match (title, pub_date, description) {
            (Some(title), Some(pub_date), Some(description)) => Ok(Self { title, pub_date, description }),
            _ => Err(fields.errors),
        }
    }
}

impl TaskChange {
    /// Reads a change; every field may be missing.
    ///
    /// # Errors
    /// [`FieldErrors`] with every fault in the body.
    pub fn parse(body: &Value) -> Result<Self, FieldErrors> {
        let mut fields = Fields::of(body)?;
        let change = Self {
            title: fields.optional("title", title),
            pub_date: fields.optional("pub_date", moment),
            description: fields.optional("description", description),
        };
        fields.errors.or(change)
    }
}

impl Credentials {
    /// Reads a name and a password; both are required.
    ///
    /// # Errors
    /// [`FieldErrors`] with every fault in the body.
    pub fn parse(body: &Value) -> Result<Self, FieldErrors> {
        let mut fields = Fields::of(body)?;
        match (fields.required("username", exact), fields.required("password", exact)) {
            (Some(username), Some(password)) => Ok(Self { username, password }),
            _ => Err(fields.errors),
        }
    }
}

impl RefreshToken {
    /// Reads `{"refresh": …}`.
    ///
    /// # Errors
    /// As [`Credentials::parse`].
    pub fn parse(body: &Value) -> Result<Self, FieldErrors> {
        let mut fields = Fields::of(body)?;
        fields.required("refresh", exact).map(Self).ok_or(fields.errors)
    }
}

impl FieldErrors {
    /// Adds the faults of a field, if there are any.
    pub fn add(&mut self, field: &'static str, faults: Vec<String>) {
        if !faults.is_empty() {
            self.0.push((field, faults));
        }
    }

    /// The value when nothing is wrong.
    ///
    /// # Errors
    /// Itself, when something is.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// The fields and what is wrong with each.
    pub fn iter(&self) -> impl Iterator<Item = (&'static str, &[String])> {
        self.0.iter().map(|(field, faults)| (*field, &faults[..]))
    }
}

impl fmt::Display for FieldErrors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let fields: Vec<_> = self.iter().map(|(field, faults)| format!("{field}: {}", faults.join(" "))).collect();
        f.write_str(&fields.join("; "))
    }
}

impl Error for FieldErrors {}

impl Serialize for FieldErrors {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(field, faults)| (field, faults)))
    }
}

/// The fields of a body, and what was found wrong with them so far.
struct Fields<'a> {
    given: &'a Map<String, Value>,
    errors: FieldErrors,
}

type Faults = Vec<String>;

impl<'a> Fields<'a> {
    fn of(body: &'a Value) -> Result<Self, FieldErrors> {
        let kind = match body {
            Value::Object(given) => {
                return Ok(Self { given, errors: FieldErrors::default() });
            }
            Value::Null => {
                return Err(FieldErrors(vec![("non_field_errors", vec!["No data provided".into()])]));
            }
            Value::Bool(_) => "bool",
            Value::Number(number) if number.is_f64() => "float",
            Value::Number(_) => "int",
            Value::String(_) => "str",
            Value::Array(_) => "list",
        };
        let fault = format!("Invalid data. Expected a dictionary, but got {kind}.");
        Err(FieldErrors(vec![("non_field_errors", vec![fault])]))
    }

    fn required<T>(&mut self, name: &'static str, parse: fn(&Value) -> Result<T, Faults>) -> Option<T> {
        if !self.given.contains_key(name) {
            self.errors.0.push((name, vec!["This field is required.".into()]));
        }
        self.optional(name, parse)
    }

    fn optional<T>(&mut self, name: &'static str, parse: fn(&Value) -> Result<T, Faults>) -> Option<T> {
        let parsed = match self.given.get(name)? {
            Value::Null => Err(vec!["This field may not be null.".into()]),
            value => parse(value),
        };
        parsed.map_err(|faults| self.errors.0.push((name, faults))).ok()
    }
}

fn title(value: &Value) -> Result<String, Faults> {
    text(value, TITLE_CHARACTERS)
}

fn description(value: &Value) -> Result<String, Faults> {
    text(value, DESCRIPTION_CHARACTERS)
}

fn text(value: &Value, limit: usize) -> Result<String, Faults> {
    let text = match value {
        Value::String(text) => text.trim().to_owned(),
        Value::Number(number) => number.to_string(),
        _ => return Err(vec!["Not a valid string.".into()]),
    };
    if text.is_empty() {
        return Err(vec!["This field may not be blank.".into()]);
    }
    let mut faults = Faults::new();
    if text.chars().count() > limit {
        faults.push(format!("Ensure this field has no more than {limit} characters."));
    }
    if text.contains('\0') {
        faults.push("Null characters are not allowed.".into());
    }
    if faults.is_empty() { Ok(text) } else { Err(faults) }
}

/// A text that is taken as it is.
fn exact(value: &Value) -> Result<String, Faults> {
    match value {
        Value::String(text) if text.is_empty() => Err(vec!["This field may not be blank.".into()]),
        Value::String(text) => Ok(text.clone()),
        _ => Err(vec!["Not a valid string.".into()]),
    }
}

fn moment(value: &Value) -> Result<DateTime<Utc>, Faults> {
    value.as_str().and_then(|text| timestamp::parse(text.trim())).ok_or_else(|| vec![timestamp::WRONG.into()])
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use serde_json::json;

    use super::*;

    fn faults(body: &Value) -> String {
        serde_json::to_string(&NewTask::parse(body).unwrap_err()).unwrap()
    }

    fn fault_of_title(title: impl Into<Value>) -> String {
        let errors = TaskChange::parse(&json!({ "title": title.into() })).unwrap_err();
        let [(field, faults)] = &errors.0[..] else { panic!("{errors:?}") };
        assert_eq!(*field, "title");
        faults.join(" ")
    }

    #[test]
    fn a_whole_task() {
        let task = NewTask::parse(&json!({
            "id": 7, "title": " Buy milk\n", "pub_date": "2026-01-02 03:04:05.5", "description": 12, "more": null
        }));
        let pub_date = timestamp::parse("2026-01-02T03:04:05.500Z").unwrap();
        assert_eq!(task, Ok(NewTask { title: "Buy milk".into(), pub_date, description: "12".into() }));
    }

    #[test]
    fn every_fault_is_reported_in_the_fields_order() {
        assert_eq!(
            faults(&json!({ "description": null, "title": "" })),
            r#"{"title":["This field may not be blank."],"pub_date":["This field is required."],"description":["This field may not be null."]}"#
        );
    }

    #[test]
    fn a_change_needs_nothing() {
        let nothing = TaskChange { title: None, pub_date: None, description: None };
        assert_eq!(TaskChange::parse(&json!({})), Ok(nothing.clone()));
        let change = TaskChange::parse(&json!({ "title": "new" }));
        assert_eq!(change, Ok(TaskChange { title: Some("new".into()), ..nothing }));
    }

    #[test]
    fn text() {
        assert_eq!(fault_of_title(" \t\n"), "This field may not be blank.");
        assert_eq!(fault_of_title(true), "Not a valid string.");
        assert_eq!(fault_of_title(vec!["a"]), "Not a valid string.");
        assert_eq!(fault_of_title("a\0b"), "Null characters are not allowed.");
        assert_eq!(fault_of_title("é".repeat(201)), "Ensure this field has no more than 200 characters.");
        let longest = format!(" {} ", "é".repeat(200));
        assert!(TaskChange::parse(&json!({ "title": longest })).is_ok());
    }

    #[test]
    fn the_body_is_an_object() {
        for (body, kind) in
            [(json!([]), "list"), (json!("x"), "str"), (json!(1), "int"), (json!(1.5), "float"), (json!(true), "bool")]
        {
            let expected =
                format!(r#"{{"non_field_errors":["Invalid data. Expected a dictionary, but got {kind}."]}}"#);
            assert_eq!(faults(&body), expected);
        }
        assert_eq!(faults(&Value::Null), r#"{"non_field_errors":["No data provided"]}"#);
    }
}
