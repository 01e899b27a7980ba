//! Parses request bodies, and reports all their faults at once.
//!
//! The rules and the messages are those of Django REST framework: text is trimmed, numbers are valid text, unknown fields
//! are ignored.

use std::{error::Error, fmt};

use chrono::{DateTime, Utc};
use serde::{Serialize, Serializer};
use serde_json::{Map, Value};

use crate::timestamp;

/// Maximum length of a title, in characters.
pub const TITLE_CHARACTERS: usize = 200;
/// Maximum length of a description, in characters.
pub const DESCRIPTION_CHARACTERS: usize = 500;

/// A valid new task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTask {
    /// Title, not blank.
    pub title: String,
    /// Publication, to the microsecond.
    pub pub_date: DateTime<Utc>,
    /// Description, not blank.
    pub description: String,
}

/// A valid change of a task. A field that is `None` is unchanged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TaskChange {
    /// Title, not blank.
    pub title: Option<String>,
    /// Publication, to the microsecond.
    pub pub_date: Option<DateTime<Utc>>,
    /// Description, not blank.
    pub description: Option<String>,
}

/// A name and a password, not validated.
#[derive(Clone, PartialEq, Eq)]
pub struct Credentials {
    /// Name.
    pub username: String,
    /// Password, not trimmed.
    pub password: String,
}

/// A refresh token, not validated.
#[derive(Clone, PartialEq, Eq)]
pub struct RefreshToken(pub String);

/// Faults by field, in the order of the fields. Serialises as `{"title": ["This field is required."]}`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct FieldErrors(Vec<(&'static str, Vec<String>)>);

impl NewTask {
    /// Parses a task, whose fields are all required.
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
    /// Parses a change, whose fields are all optional.
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
    /// Parses a name and a password, which are required.
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
    /// Parses `{"refresh": …}`.
    ///
    /// # Errors
    /// As [`Credentials::parse`].
    pub fn parse(body: &Value) -> Result<Self, FieldErrors> {
        let mut fields = Fields::of(body)?;
        fields.required("refresh", exact).map(Self).ok_or(fields.errors)
    }
}

impl FieldErrors {
    /// Adds the faults of a field.
    pub fn add(&mut self, field: &'static str, faults: Vec<String>) {
        if !faults.is_empty() {
            self.0.push((field, faults));
        }
    }

    /// Returns the value if there is no fault.
    ///
    /// # Errors
    /// The faults.
    pub fn or<T>(self, value: T) -> Result<T, Self> {
        if self.0.is_empty() { Ok(value) } else { Err(self) }
    }

    /// Returns the fields with their faults.
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

/// Fields of a body, and the faults found in them so far.
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

/// Parses a text without changes.
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
    fn a_complete_task_is_parsed() {
        let task = NewTask::parse(&json!({
            "id": 7, "title": " Buy milk\n", "pub_date": "2026-01-02 03:04:05.5", "description": 12, "more": null
        }));
        let pub_date = timestamp::parse("2026-01-02T03:04:05.500Z").unwrap();
        assert_eq!(task, Ok(NewTask { title: "Buy milk".into(), pub_date, description: "12".into() }));
    }

    #[test]
    fn all_faults_are_reported_in_the_order_of_the_fields() {
        assert_eq!(
            faults(&json!({ "description": null, "title": "" })),
            r#"{"title":["This field may not be blank."],"pub_date":["This field is required."],"description":["This field may not be null."]}"#
        );
    }

    #[test]
    fn all_fields_of_a_change_are_optional() {
        let nothing = TaskChange { title: None, pub_date: None, description: None };
        assert_eq!(TaskChange::parse(&json!({})), Ok(nothing.clone()));
        let change = TaskChange::parse(&json!({ "title": "new" }));
        assert_eq!(change, Ok(TaskChange { title: Some("new".into()), ..nothing }));
    }

    #[test]
    fn text_is_trimmed_and_validated() {
        assert_eq!(fault_of_title(" \t\n"), "This field may not be blank.");
        assert_eq!(fault_of_title(true), "Not a valid string.");
        assert_eq!(fault_of_title(vec!["a"]), "Not a valid string.");
        assert_eq!(fault_of_title("a\0b"), "Null characters are not allowed.");
        assert_eq!(fault_of_title("é".repeat(201)), "Ensure this field has no more than 200 characters.");
        let longest = format!(" {} ", "é".repeat(200));
        assert!(TaskChange::parse(&json!({ "title": longest })).is_ok());
    }

    #[test]
    fn a_body_must_be_an_object() {
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
