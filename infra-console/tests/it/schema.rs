//! Validation of JSON documents by the part of JSON Schema 2020-12 that the console's schemas use.

use serde_json::Value as Json;

/// Keywords that restrict no value, or only its range.
const ANNOTATIONS: &[&str] = &[
    "$defs",
    "$schema",
    "default",
    "description",
    "format",
    "maxItems",
    "maximum",
    "minItems",
    "minimum",
    "title",
    "uniqueItems",
];

/// Returns the violations of a schema. References are resolved in `root`. Panics if the schema has an unknown keyword.
pub(crate) fn violations(root: &Json, schema: &Json, value: &Json) -> Vec<String> {
    let mut found = Vec::new();
    check(root, schema, value, "", &mut found);
    found
}

/// Returns all references of a document that lead nowhere.
pub(crate) fn dangling(root: &Json) -> Vec<String> {
    let mut found = Vec::new();
    walk(root, &mut |value| {
        if let Some(reference) = value["$ref"].as_str()
            && root.pointer(reference.trim_start_matches('#')).is_none()
        {
            found.push(reference.to_owned());
        }
    });
    found
}

fn walk(value: &Json, visit: &mut impl FnMut(&Json)) {
    visit(value);
    match value {
        Json::Array(items) => items.iter().for_each(|item| walk(item, visit)),
        Json::Object(fields) => fields.values().for_each(|field| walk(field, visit)),
        _ => {}
    }
}

fn check(root: &Json, schema: &Json, value: &Json, path: &str, found: &mut Vec<String>) {
    let Some(keywords) = schema.as_object() else {
        assert!(schema.is_boolean(), "{path}: the schema is {schema}");
        if schema == false {
            found.push(format!("{path}: no value is allowed"));
        }
        return;
    };
    let fits = |schema: &Json| violations(root, schema, value).is_empty();
    for (keyword, rule) in keywords {
        let is_valid = match keyword.as_str() {
            "$ref" => {
                let target = root.pointer(rule.as_str().unwrap().trim_start_matches('#')).unwrap();
                check(root, target, value, path, found);
                true
            }
            "type" => types(rule).any(|name| is_of_type(value, name)),
            "enum" => rule.as_array().unwrap().contains(value),
            "const" => rule == value,
            "anyOf" => rule.as_array().unwrap().iter().any(fits),
            "oneOf" => rule.as_array().unwrap().iter().filter(|schema| fits(schema)).count() == 1,
            "allOf" => rule.as_array().unwrap().iter().all(fits),
            "required" => {
                let names = rule.as_array().unwrap();
                let missing = names.iter().filter(|name| value.get(name.as_str().unwrap()).is_none());
                let missing: Vec<&Json> = missing.filter(|_| value.is_object()).collect();
                found.extend(missing.iter().map(|name| format!("{path}: {name} is missing")));
                true
            }
            "properties" | "additionalProperties" | "items" | "prefixItems" => true,
            other => {
                assert!(ANNOTATIONS.contains(&other), "{path}: unknown keyword {other}");
                true
            }
        };
        if !is_valid {
            found.push(format!("{path}: {value} violates {keyword} {rule}"));
        }
    }
    check_parts(root, schema, value, path, found);
}

fn check_parts(root: &Json, schema: &Json, value: &Json, path: &str, found: &mut Vec<String>) {
    match value {
        Json::Object(fields) => {
            for (name, field) in fields {
                let rule = schema["properties"].get(name).or_else(|| schema.get("additionalProperties"));
                if let Some(rule) = rule {
                    check(root, rule, field, &format!("{path}/{name}"), found);
                }
            }
        }
        Json::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                let rule = schema["prefixItems"].get(index).or_else(|| schema.get("items"));
                if let Some(rule) = rule {
                    check(root, rule, item, &format!("{path}/{index}"), found);
                }
            }
        }
        _ => {}
    }
}

fn types(rule: &Json) -> impl Iterator<Item = &str> {
    let names = rule.as_array().map_or(std::slice::from_ref(rule), Vec::as_slice);
    names.iter().map(|name| name.as_str().unwrap())
}

fn is_of_type(value: &Json, name: &str) -> bool {
    match name {
        "null" => value.is_null(),
        "boolean" => value.is_boolean(),
        "integer" => value.is_i64() || value.is_u64(),
        "number" => value.is_number(),
        "string" => value.is_string(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        other => panic!("unknown type {other}"),
    }
}

#[test]
fn violations_are_found() {
    use serde_json::json;
    let root = json!({ "$defs": { "Name": { "type": "string", "enum": ["a", "b"] } } });
    let schema = json!({
        "type": "object", "required": ["name"], "additionalProperties": false,
        "properties": { "name": { "$ref": "#/$defs/Name" }, "list": { "type": "array", "items": { "type": "integer" } } },
    });
    let count = |value: Json| violations(&root, &schema, &value).len();
    assert_eq!(count(json!({ "name": "a", "list": [1] })), 0);
    assert_eq!(count(json!({ "name": "c" })), 1);
    assert_eq!(count(json!({ "list": [1, 1.5, "x"] })), 3);
    assert_eq!(count(json!({ "name": "a", "other": 1 })), 1);
    assert_eq!(count(json!([])), 1);
    assert_eq!(dangling(&json!({ "x": [{ "$ref": "#/$defs/None" }] })), ["#/$defs/None"]);
}
