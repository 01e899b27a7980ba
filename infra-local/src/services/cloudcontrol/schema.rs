//! Validation of properties against the schema of their type.

use serde_json::Value;

use super::{invalid, validation};
use crate::services::cloudcontrol::kind::Kind;
use crate::wire::{ApiError, Outcome};

/// Refuses unknown properties, and missing required ones.
pub(super) fn check(kind: &Kind, wanted: &Value) -> Outcome<()> {
    let Value::Object(properties) = wanted else {
        return Err(validation("Model validation failed (#: expected type: JSONObject)"));
    };
    let mut problems = Vec::new();
    for name in properties.keys().map(String::as_str) {
        if kind.only_on_aws.contains(&name) {
            return Err(ApiError::new(
                "UnsupportedParameter",
                format!(
                    "The local cloud does not honour the property {name} of {}; leave it out, or use AWS",
                    kind.name
                ),
            ));
        }
        if !kind.has(name) {
            problems.push(format!("#: extraneous key [{name}] is not permitted"));
        }
    }
    let missing = kind.required.iter().filter(|name| !properties.contains_key(**name));
    problems.extend(missing.map(|name| format!("#: required key [{name}] not found")));
    if problems.is_empty() {
        return Ok(());
    }
    Err(validation(format!("Model validation failed ({})", problems.join("\n"))))
}

/// Refuses read-only properties.
pub(super) fn check_new(kind: &Kind, wanted: &Value) -> Outcome<()> {
    let refused = kind.read_only.iter().filter(|name| wanted.get(**name).is_some());
    let refused: Vec<String> = refused.map(|name| format!("/properties/{name}")).collect();
    if refused.is_empty() {
        return Ok(());
    }
    Err(invalid(format!(
        "Invalid Create: cannot create a resource using ReadOnly properties [{}].",
        refused.join(", ")
    )))
}

/// Checks the result of a patch; create-only properties must not change.
pub(super) fn check_change(kind: &Kind, current: &Value, wanted: &Value) -> Outcome<()> {
    let changed = |names: &[&str]| -> Vec<String> {
        let changed = names.iter().filter(|name| current.get(**name) != wanted.get(**name));
        changed.map(|name| format!("/properties/{name}")).collect()
    };
    for (what, names, code) in [
        ("createOnlyProperties", kind.create_only, "NotUpdatableException"),
        ("readOnlyProperties", kind.read_only, "ValidationException"),
    ] {
        let paths = changed(names);
        if !paths.is_empty() {
            return Err(ApiError::new(
                code,
                format!("Invalid patch update: {what} [{}] cannot be updated", paths.join(", ")),
            ));
        }
    }
    check(kind, wanted)
}
