//! The supported resource types, with the properties of CloudFormation's registry.

mod alarm;
mod log_group;
mod parameter;
mod role;
mod security_group;
mod subnet;
mod vpc;

use serde_json::{Value, json};

use super::{invalid, validation};
use crate::model::Cloud;
use crate::model::{Tags, ids};
use crate::services::cloudcontrol::caller::{Caller, Of};
use crate::services::cloudcontrol::kind::Kind;
use crate::services::{cloudwatch, ec2, iam, logs, ssm};
use crate::wire::{ApiError, Node, Outcome, Params};

const KINDS: &[Kind] =
    &[alarm::KIND, log_group::KIND, parameter::KIND, role::KIND, security_group::KIND, subnet::KIND, vpc::KIND];

const EC2: Of<Params, Node> = Of { name: "ec2", operations: ec2::OPERATIONS };
const IAM: Of<Params, Node> = Of { name: "iam", operations: iam::OPERATIONS };
const LOGS: Of<Value, Value> = Of { name: "logs", operations: logs::OPERATIONS };
const SSM: Of<Value, Value> = Of { name: "ssm", operations: ssm::OPERATIONS };
const CLOUDWATCH: Of<Value, Value> = Of { name: "cloudwatch", operations: cloudwatch::OPERATIONS };

/// Returns the type with this name.
pub(super) fn named(name: &str) -> Outcome<&'static Kind> {
    if let Some(kind) = KINDS.iter().find(|kind| kind.name == name) {
        return Ok(kind);
    }
    let proper = |part: &str| (2..=64).contains(&part.len()) && part.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let parts: Vec<&str> = name.split("::").collect();
    if parts.len() != 3 || !parts.iter().all(|part| proper(part)) {
        return Err(validation(format!(
            "Value '{name}' at 'typeName' failed to satisfy constraint: Member must satisfy regular expression pattern: [A-Za-z0-9]{{2,64}}::[A-Za-z0-9]{{2,64}}::[A-Za-z0-9]{{2,64}}(::MODULE){{0,1}}"
        )));
    }
    if parts[0] != "AWS" {
        return Err(ApiError::new("TypeNotFoundException", format!("The type '{name}' cannot be found.")));
    }
    let known: Vec<&str> = KINDS.iter().map(|kind| kind.name).collect();
    Err(ApiError::new(
        "UnsupportedActionException",
        format!(
            "Resource type {name} does not support any action in the local cloud: use AWS, give the cloud its schema (`stack local start --schemas PATH`), or use one of {}",
            known.join(", ")
        ),
    ))
}

/// Returns the text of a property, if it is set.
fn text(properties: &Value, name: &str) -> Outcome<Option<String>> {
    match properties.get(name) {
        None => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(Value::Number(number)) => Ok(Some(number.to_string())),
        Some(Value::Bool(flag)) => Ok(Some(flag.to_string())),
        Some(_) => Err(invalid(format!("Model validation failed (#/{name}: expected type: String)"))),
    }
}

/// Returns the items of a property; none if it is not set.
fn items<'a>(properties: &'a Value, name: &str) -> Outcome<&'a [Value]> {
    match properties.get(name) {
        None => Ok(&[]),
        Some(Value::Array(items)) => Ok(items),
        Some(_) => Err(invalid(format!("Model validation failed (#/{name}: expected type: JSONArray)"))),
    }
}

/// Refuses members of a list's item that are not in `known`, instead of ignoring them.
fn only(item: &Value, list: &str, known: &[&str]) -> Outcome<()> {
    let Value::Object(members) = item else {
        return Err(invalid(format!("Model validation failed (#/{list}: expected type: JSONObject)")));
    };
    match members.keys().find(|name| !known.contains(&name.as_str())) {
        Some(other) => {
            Err(invalid(format!("Model validation failed (#/{list}: extraneous key [{other}] is not permitted)")))
        }
        None => Ok(()),
    }
}

/// Returns the tags of the property `Tags`.
fn tags(properties: &Value) -> Outcome<Tags> {
    let mut all = Tags::new();
    for tag in items(properties, "Tags")? {
        only(tag, "Tags", &["Key", "Value"])?;
        let (key, value) = (text(tag, "Key")?, text(tag, "Value")?);
        let key = key.ok_or_else(|| invalid("Model validation failed (#/Tags: required key [Key] not found)"))?;
        all.insert(key, value.unwrap_or_default());
    }
    Ok(all)
}

/// Returns tags in the form of properties.
fn tag_list(tags: &Tags) -> Value {
    tags.iter().map(|(key, value)| json!({"Key": key, "Value": value})).collect()
}

/// Returns the tags to set and the keys to remove, so that `old` becomes `new`.
fn tag_changes(old: &Tags, new: &Tags) -> (Tags, Vec<String>) {
    let set = new.iter().filter(|(key, value)| old.get(*key) != Some(value));
    let removed = old.keys().filter(|key| !new.contains_key(*key));
    (set.map(|(key, value)| (key.clone(), value.clone())).collect(), removed.cloned().collect())
}

/// Returns the properties without those that are null or empty lists.
fn known(properties: Value) -> Value {
    match properties {
        Value::Object(properties) => properties
            .into_iter()
            .filter(|(_, value)| !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty()))
            .collect(),
        other => other,
    }
}

/// Generates a name for a resource that is declared without one.
fn generated_name(prefix: &str) -> String {
    format!("{prefix}-{}", ids::random_hex(12))
}

/// A request in the form of the Query protocols.
#[derive(Default)]
struct Form(Vec<(String, String)>);

impl Form {
    fn new() -> Self {
        Self::default()
    }

    fn with(mut self, name: impl Into<String>, value: impl ToString) -> Self {
        self.0.push((name.into(), value.to_string()));
        self
    }

    fn maybe(self, name: &str, value: Option<impl ToString>) -> Self {
        match value {
            Some(value) => self.with(name, value),
            None => self,
        }
    }

    /// Adds tags as `name.1.Key`, `name.1.Value`…
    fn tags(mut self, name: &str, tags: &Tags) -> Self {
        for (number, (key, value)) in (1..).zip(tags) {
            self = self.with(format!("{name}.{number}.Key"), key).with(format!("{name}.{number}.Value"), value);
        }
        self
    }
}

/// Replaces the tags of an EC2 resource.
fn retag_ec2(cloud: &mut Cloud, caller: &Caller<'_>, id: &str, old: &Value, new: &Value) -> Outcome<()> {
    let (set, removed) = tag_changes(&tags(old)?, &tags(new)?);
    if !set.is_empty() {
        let form = Form::new().with("ResourceId.1", id).tags("Tag", &set);
        caller.query(cloud, &EC2, "CreateTags", &form.0)?;
    }
    if !removed.is_empty() {
        let keys = (1..).zip(&removed).map(|(number, key)| (format!("Tag.{number}.Key"), key.clone()));
        let form = Form(std::iter::once(("ResourceId.1".to_owned(), id.to_owned())).chain(keys).collect());
        caller.query(cloud, &EC2, "DeleteTags", &form.0)?;
    }
    Ok(())
}
