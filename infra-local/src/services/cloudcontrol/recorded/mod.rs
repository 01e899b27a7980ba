//! Types that the local cloud knows by their schema alone. Their resources are recorded: validated, stored and returned, but
//! nothing runs.
//!
//! - [`validate`]: properties against a schema; [`pattern`]: regular expressions of schemas
//! - [`synthesis`]: values of read-only properties

mod pattern;
mod synthesis;
#[cfg(test)]
mod tests;
mod validate;

use std::collections::BTreeSet;
use std::sync::Arc;

use chrono::{DateTime, Utc};
use serde_json::{Map, Value};

use super::{invalid, validation};
use crate::model::Cloud;
use crate::model::cloudcontrol::RecordedResource;
use crate::wire::{ApiError, Outcome};

/// A type with a schema.
pub(super) struct RecordedType {
    schema: Arc<Value>,
}

/// Limit of the properties of one resource, in bytes. Cloud Control accepts 262,144 characters.
/// <https://docs.aws.amazon.com/cloudcontrolapi/latest/APIReference/API_CreateResource.html>
const LARGEST: usize = 262_144;

impl RecordedType {
    pub(super) fn new(schema: Arc<Value>) -> Self {
        Self { schema }
    }

    pub(super) fn name(&self) -> &str {
        self.schema["typeName"].as_str().unwrap_or_default()
    }

    /// Returns the paths of a list of the schema, such as `Endpoint/Address`.
    fn paths(&self, list: &str) -> Vec<&str> {
        let pointers = self.schema[list].as_array().into_iter().flatten().filter_map(Value::as_str);
        pointers.filter_map(|pointer| pointer.strip_prefix("/properties/")).collect()
    }

    /// Returns the IAM actions of the handlers that an operation calls; none if the schema does not list them. A change
    /// begins with a read.
    pub(super) fn needed_actions(&self, operation: &str) -> Vec<String> {
        let handlers: &[&str] = match operation {
            "CreateResource" => &["create"],
            "GetResource" => &["read"],
            "UpdateResource" => &["read", "update"],
            "DeleteResource" => &["delete"],
            "ListResources" => &["list"],
            _ => &[],
        };
        let permissions = |handler: &&str| self.schema["handlers"][*handler]["permissions"].as_array();
        let actions: BTreeSet<&str> =
            handlers.iter().filter_map(permissions).flatten().filter_map(Value::as_str).collect();
        actions.into_iter().map(str::to_owned).collect()
    }

    /// Refuses properties that do not conform to the schema. Updates may omit write-only properties, which reads do not
    /// return.
    pub(super) fn check(&self, wanted: &Value, is_update: bool) -> Outcome<()> {
        if !wanted.is_object() {
            return Err(validation("Model validation failed (#: expected type: JSONObject)"));
        }
        if wanted.to_string().len() > LARGEST {
            return Err(validation(format!("The properties exceed {LARGEST} characters")));
        }
        let mut problems = validate::problems(&self.schema, wanted);
        if is_update {
            let write_only = self.paths("writeOnlyProperties");
            let is_omitted = |problem: &String| {
                write_only.iter().any(|name| *problem == format!("#: required key [{name}] not found"))
            };
            problems.retain(|problem| !is_omitted(problem));
        }
        // Read-only properties may be required: they are synthesised after this check.
        let read_only = self.paths("readOnlyProperties");
        problems
            .retain(|problem| !read_only.iter().any(|name| *problem == format!("#: required key [{name}] not found")));
        if problems.is_empty() {
            return Ok(());
        }
        Err(validation(format!("Model validation failed ({})", problems.join("\n"))))
    }

    /// Refuses read-only properties.
    pub(super) fn check_new(&self, wanted: &Value) -> Outcome<()> {
        let paths = self.paths("readOnlyProperties");
        let refused: Vec<String> = paths
            .into_iter()
            .filter(|path| at(wanted, path).is_some())
            .map(|path| format!("/properties/{path}"))
            .collect();
        if refused.is_empty() {
            return Ok(());
        }
        let list = refused.join(", ");
        Err(invalid(format!("Invalid Create: cannot create a resource using ReadOnly properties [{list}].")))
    }

    /// Checks the result of a patch; create-only and read-only properties must not change.
    pub(super) fn check_change(&self, current: &Value, wanted: &Value) -> Outcome<()> {
        let write_only = self.paths("writeOnlyProperties");
        for (list, code) in
            [("createOnlyProperties", "NotUpdatableException"), ("readOnlyProperties", "ValidationException")]
        {
            let is_changed = |path: &&str| !write_only.contains(path) && at(current, path) != at(wanted, path);
            let changed: Vec<String> =
                self.paths(list).into_iter().filter(is_changed).map(|path| format!("/properties/{path}")).collect();
            if !changed.is_empty() {
                let message = format!("Invalid patch update: {list} [{}] cannot be updated", changed.join(", "));
                return Err(ApiError::new(code, message));
            }
        }
        self.check(wanted, true)
    }

    /// Returns the identifier in the requested properties, if they contain all of its parts.
    pub(super) fn identifier(&self, properties: &Value) -> Option<String> {
        let parts = self.paths("primaryIdentifier").into_iter().map(|path| match at(properties, path)? {
            Value::String(text) if !text.is_empty() => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            Value::Bool(flag) => Some(flag.to_string()),
            _ => None,
        });
        let parts: Vec<String> = parts.collect::<Option<_>>()?;
        (!parts.is_empty()).then(|| parts.join("|"))
    }

    /// Records a resource and returns its identifier.
    pub(super) fn create(
        &self,
        cloud: &mut Cloud,
        region: &str,
        wanted: &Value,
        now: DateTime<Utc>,
    ) -> Outcome<String> {
        let mut properties = self.without_write_only(wanted);
        synthesis::complete(&self.schema, &mut properties, &synthesis::Place { region, account: cloud.account, now });
        let identifier = self.identifier(&properties).ok_or_else(|| {
            ApiError::internal(format!("the schema of {} has no primary identifier with a simple value", self.name()))
        })?;
        let resources = &mut cloud.region_mut(region)?.cloudcontrol.recorded;
        let key = key(self.name(), &identifier);
        if resources.contains_key(&key) {
            return Err(ApiError::new(
                "AlreadyExistsException",
                format!("Resource of type '{}' with identifier '{identifier}' already exists.", self.name()),
            ));
        }
        let type_name = self.name().to_owned();
        tracing::info!(r#type = type_name, identifier, region, "recorded a resource that nothing runs");
        resources.insert(key, RecordedResource { type_name, identifier: identifier.clone(), properties, created: now });
        Ok(identifier)
    }

    pub(super) fn update(&self, cloud: &mut Cloud, region: &str, identifier: &str, wanted: &Value) -> Outcome<()> {
        let properties = self.without_write_only(wanted);
        let resources = &mut cloud.region_mut(region)?.cloudcontrol.recorded;
        let resource = resources.get_mut(&key(self.name(), identifier));
        let resource = resource.ok_or_else(|| super::not_found(self.name(), identifier))?;
        resource.properties = properties;
        Ok(())
    }

    pub(super) fn delete(&self, cloud: &mut Cloud, region: &str, identifier: &str) -> Outcome<()> {
        let resources = &mut cloud.region_mut(region)?.cloudcontrol.recorded;
        let removed = resources.remove(&key(self.name(), identifier));
        removed.map(drop).ok_or_else(|| super::not_found(self.name(), identifier))
    }

    pub(super) fn read(&self, cloud: &Cloud, region: &str, identifier: &str) -> Outcome<Option<Value>> {
        let resource = cloud.region(region)?.cloudcontrol.recorded.get(&key(self.name(), identifier));
        Ok(resource.map(|resource| resource.properties.clone()))
    }

    pub(super) fn list(&self, cloud: &Cloud, region: &str) -> Outcome<Vec<String>> {
        let resources = cloud.region(region)?.cloudcontrol.recorded.values();
        let own = resources.filter(|resource| resource.type_name == self.name());
        Ok(own.map(|resource| resource.identifier.clone()).collect())
    }

    /// Returns the properties that reads return. Write-only ones, such as passwords, are not stored.
    fn without_write_only(&self, wanted: &Value) -> Value {
        let mut properties = wanted.clone();
        for path in self.paths("writeOnlyProperties") {
            let (parent, member) = path.rsplit_once('/').map_or(("", path), |(parent, member)| (parent, member));
            for parent in all_at(&mut properties, parent) {
                if let Value::Object(members) = parent {
                    members.remove(member);
                }
            }
        }
        properties
    }
}

/// Returns the key of a resource in the model. Names of types contain no `|`.
fn key(type_name: &str, identifier: &str) -> String {
    format!("{type_name}|{identifier}")
}

/// Returns the value at a path without items of lists.
fn at<'a>(properties: &'a Value, path: &str) -> Option<&'a Value> {
    path.split('/').try_fold(properties, |value, name| value.get(name))
}

/// Returns the values at a path; `*` stands for the items of a list or the values of a map.
fn all_at<'a>(properties: &'a mut Value, path: &str) -> Vec<&'a mut Value> {
    let mut found = vec![properties];
    for name in path.split('/').filter(|name| !name.is_empty() && *name != "properties" && *name != "items") {
        found = found
            .into_iter()
            .flat_map(|value| match (value, name) {
                (Value::Array(items), "*") => items.iter_mut().collect(),
                (Value::Object(members), "*") => members.values_mut().collect(),
                (Value::Object(members), name) => members.get_mut(name).into_iter().collect::<Vec<_>>(),
                _ => Vec::new(),
            })
            .collect();
    }
    found
}

/// Follows references in a schema. `None` for a missing definition, or one that refers to itself.
fn resolve<'a>(schema: &'a Value, node: &'a Value) -> Option<&'a Map<String, Value>> {
    let mut node = node;
    for _ in 0..32 {
        match node.get("$ref").and_then(Value::as_str) {
            Some(reference) => node = schema.pointer(reference.strip_prefix('#')?)?,
            None => return node.as_object(),
        }
    }
    None
}
