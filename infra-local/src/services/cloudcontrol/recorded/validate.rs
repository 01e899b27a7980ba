//! Validation of properties against a schema of JSON Schema draft-07, the dialect of CloudFormation.
//!
//! The messages are those of the validator that CloudFormation uses, as handlers report them in
//! "Model validation failed (#/DelaySeconds: 1000 is not less or equal to 900)".

use std::cell::Cell;

use serde_json::{Map, Value};

use super::{pattern, resolve};

/// Deepest nesting of values and of schemas without values, which a schema that contains itself would exceed.
const DEEPEST: usize = 64;

/// Limit of the checks of one value. The alternatives of a recursive schema multiply at each level.
const MOST_STEPS: u32 = 200_000;

/// Longest list of problems.
const MOST: usize = 50;

/// Returns the violations of a schema.
pub(super) fn problems(schema: &Value, wanted: &Value) -> Vec<String> {
    let steps = Cell::new(0);
    let mut validation = Validation { schema, problems: Vec::new(), depth: 0, steps: &steps };
    validation.check(schema, wanted, "#");
    validation.problems.truncate(MOST);
    validation.problems
}

struct Validation<'a> {
    schema: &'a Value,
    problems: Vec<String>,
    depth: usize,
    steps: &'a Cell<u32>,
}

impl<'a> Validation<'a> {
    fn add(&mut self, place: &str, problem: String) {
        self.problems.push(format!("{place}: {problem}"));
    }

    fn check(&mut self, node: &'a Value, value: &Value, place: &str) {
        let Some(node) = resolve(self.schema, node) else { return };
        self.steps.set(self.steps.get() + 1);
        if self.depth == DEEPEST || self.problems.len() > MOST || self.steps.get() > MOST_STEPS {
            return;
        }
        self.depth += 1;
        if self.has_type(node, value, place) {
            self.allowed_values(node, value, place);
            match value {
                Value::String(text) => self.text(node, text, place),
                Value::Number(number) => self.number(node, number.as_f64().unwrap_or_default(), value, place),
                Value::Array(items) => self.list(node, items, place),
                Value::Object(members) => self.object(node, members, place),
                _ => {}
            }
            self.combinations(node, value, place);
        }
        self.depth -= 1;
    }

    fn has_type(&mut self, node: &Map<String, Value>, value: &Value, place: &str) -> bool {
        let kinds: Vec<&str> = match node.get("type") {
            Some(Value::String(kind)) => vec![kind],
            Some(Value::Array(kinds)) => kinds.iter().filter_map(Value::as_str).collect(),
            _ => return true,
        };
        if kinds.iter().any(|kind| is_of(kind, value)) {
            return true;
        }
        let expected: Vec<&str> = kinds.iter().map(|kind| type_name(kind)).collect();
        match expected.as_slice() {
            [expected] => self.add(place, format!("expected type: {expected}, found: {}", found(value))),
            all => self.add(place, format!("expected one of the types: {}, found: {}", all.join(", "), found(value))),
        }
        false
    }

    fn allowed_values(&mut self, node: &Map<String, Value>, value: &Value, place: &str) {
        let plain = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        if let Some(Value::Array(values)) = node.get("enum")
            && !values.iter().any(|allowed| is_equal(allowed, value))
        {
            self.add(place, format!("{plain} is not a valid enum value"));
        }
        // An extension of cfn-lint's schemas.
        if let Some(Value::Array(values)) = node.get("enumCaseInsensitive") {
            let is_allowed =
                values.iter().filter_map(Value::as_str).any(|allowed| allowed.eq_ignore_ascii_case(&plain));
            if !is_allowed {
                self.add(place, format!("{plain} is not a valid enum value"));
            }
        }
        if let Some(constant) = node.get("const")
            && !is_equal(constant, value)
        {
            self.add(place, format!("{plain} is not equal to the constant {constant}"));
        }
    }

    fn text(&mut self, node: &Map<String, Value>, text: &str, place: &str) {
        let length = text.chars().count() as u64;
        if let Some(least) = node.get("minLength").and_then(Value::as_u64).filter(|least| length < *least) {
            self.add(place, format!("expected minLength: {least}, actual: {length}"));
        }
        if let Some(most) = node.get("maxLength").and_then(Value::as_u64).filter(|most| length > *most) {
            self.add(place, format!("expected maxLength: {most}, actual: {length}"));
        }
        if let Some(pattern) = node.get("pattern").and_then(Value::as_str)
            && pattern::matches(pattern, text) == Some(false)
        {
            self.add(place, format!("string [{text}] does not match pattern {pattern}"));
        }
    }

    fn number(&mut self, node: &Map<String, Value>, number: f64, value: &Value, place: &str) {
        let limit = |name: &str| node.get(name).and_then(Value::as_f64);
        if let Some(least) = limit("minimum").filter(|least| number < *least) {
            self.add(place, format!("{value} is not greater or equal to {least}"));
        }
        if let Some(most) = limit("maximum").filter(|most| number > *most) {
            self.add(place, format!("{value} is not less or equal to {most}"));
        }
        if let Some(least) = limit("exclusiveMinimum").filter(|least| number <= *least) {
            self.add(place, format!("{value} is not greater than {least}"));
        }
        if let Some(most) = limit("exclusiveMaximum").filter(|most| number >= *most) {
            self.add(place, format!("{value} is not less than {most}"));
        }
        let is_multiple = |step: &f64| *step == 0.0 || (number / step).fract().abs() < 1e-9;
        if let Some(step) = limit("multipleOf").filter(|step| !is_multiple(step)) {
            self.add(place, format!("{value} is not a multiple of {step}"));
        }
    }

    fn list(&mut self, node: &'a Map<String, Value>, items: &[Value], place: &str) {
        let count = items.len() as u64;
        if let Some(least) = node.get("minItems").and_then(Value::as_u64).filter(|least| count < *least) {
            self.add(place, format!("expected minimum item count: {least}, found: {count}"));
        }
        if let Some(most) = node.get("maxItems").and_then(Value::as_u64).filter(|most| count > *most) {
            self.add(place, format!("expected maximum item count: {most}, found: {count}"));
        }
        if node.get("uniqueItems") == Some(&Value::Bool(true)) {
            let mut texts: Vec<String> = items.iter().map(ToString::to_string).collect();
            texts.sort();
            if texts.windows(2).any(|pair| pair[0] == pair[1]) {
                self.add(place, "array items are not unique".to_owned());
            }
        }
        if let Some(schema) = node.get("items").filter(|schema| schema.is_object()) {
            for (index, item) in items.iter().enumerate() {
                self.check(schema, item, &format!("{place}/{index}"));
            }
        }
    }

    fn object(&mut self, node: &'a Map<String, Value>, members: &Map<String, Value>, place: &str) {
        let required = node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str);
        for name in required.filter(|name| !members.contains_key(*name)) {
            self.add(place, format!("required key [{name}] not found"));
        }
        let count = members.len() as u64;
        if let Some(least) = node.get("minProperties").and_then(Value::as_u64).filter(|least| count < *least) {
            self.add(place, format!("minimum size: [{least}], found: [{count}]"));
        }
        if let Some(most) = node.get("maxProperties").and_then(Value::as_u64).filter(|most| count > *most) {
            self.add(place, format!("maximum size: [{most}], found: [{count}]"));
        }
        for (name, value) in members {
            self.member(node, name, value, place);
        }
        let dependencies = node.get("dependencies").and_then(Value::as_object).into_iter().flatten();
        for (name, dependency) in dependencies.filter(|(name, _)| members.contains_key(*name)) {
            let needed = dependency.as_array().into_iter().flatten().filter_map(Value::as_str);
            for needed in needed.filter(|needed| !members.contains_key(*needed)) {
                self.add(place, format!("property [{needed}] is required, because [{name}] is present"));
            }
        }
    }

    /// Checks a member by the schemas of its name and of matching patterns, else by that of additional members.
    fn member(&mut self, node: &'a Map<String, Value>, name: &str, value: &Value, place: &str) {
        let inside = format!("{place}/{name}");
        let own = node.get("properties").and_then(|properties| properties.get(name));
        if let Some(schema) = own {
            self.check(schema, value, &inside);
        }
        let mut is_known = own.is_some();
        for (pattern, schema) in node.get("patternProperties").and_then(Value::as_object).into_iter().flatten() {
            if pattern::matches(pattern, name) != Some(false) {
                is_known = true;
                self.check(schema, value, &inside);
            }
        }
        match node.get("additionalProperties") {
            Some(Value::Bool(false)) if !is_known => {
                self.add(place, format!("extraneous key [{name}] is not permitted"));
            }
            Some(schema @ Value::Object(_)) if !is_known => self.check(schema, value, &inside),
            _ => {}
        }
    }

    fn combinations(&mut self, node: &'a Map<String, Value>, value: &Value, place: &str) {
        let schemas = |name: &str| node.get(name).and_then(Value::as_array).map(Vec::as_slice).unwrap_or_default();
        for schema in schemas("allOf") {
            self.check(schema, value, place);
        }
        let any = schemas("anyOf");
        if !any.is_empty() && !any.iter().any(|schema| self.fits(schema, value)) {
            self.add(place, format!("no subschema matched out of the total {} subschemas", any.len()));
        }
        let one = schemas("oneOf");
        let matching = one.iter().filter(|schema| self.fits(schema, value)).count();
        if !one.is_empty() && matching != 1 {
            self.add(place, format!("{matching} subschemas matched instead of one"));
        }
        if let Some(not) = node.get("not")
            && self.fits(not, value)
        {
            self.add(place, "subject must not be valid against the schema of \"not\"".to_owned());
        }
    }

    fn fits(&self, node: &'a Value, value: &Value) -> bool {
        let mut attempt =
            Validation { schema: self.schema, problems: Vec::new(), depth: self.depth, steps: self.steps };
        attempt.check(node, value, "#");
        attempt.problems.is_empty()
    }
}

/// Returns whether values are equal; numbers with and without a fraction are.
fn is_equal(a: &Value, b: &Value) -> bool {
    match (a.as_f64(), b.as_f64()) {
        (Some(a), Some(b)) => (a - b).abs() < f64::EPSILON,
        _ => a == b,
    }
}

fn is_of(kind: &str, value: &Value) -> bool {
    match kind {
        "string" => value.is_string(),
        "integer" => value.is_i64() || value.is_u64() || value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}

fn type_name(kind: &str) -> &str {
    match kind {
        "string" => "String",
        "integer" => "Integer",
        "number" => "Number",
        "boolean" => "Boolean",
        "array" => "JSONArray",
        "object" => "JSONObject",
        other => other,
    }
}

fn found(value: &Value) -> &'static str {
    match value {
        Value::Null => "Null",
        Value::Bool(_) => "Boolean",
        Value::Number(number) if number.is_f64() => "Double",
        Value::Number(_) => "Integer",
        Value::String(_) => "String",
        Value::Array(_) => "JSONArray",
        Value::Object(_) => "JSONObject",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn every_violation_is_named_with_its_place() {
        let schema = json!({
            "definitions": {
                "Item": {"type": "object", "properties": {"Id": {"type": "string"}, "Inner": {"$ref": "#/definitions/Item"}},
                         "required": ["Id"], "additionalProperties": false},
                "Loop": {"$ref": "#/definitions/Loop"},
            },
            "properties": {
                "Name": {"type": "string", "minLength": 2, "maxLength": 3, "pattern": "^[a-z]*$"},
                "Mode": {"type": "string", "enum": ["ON", "OFF"]},
                "Size": {"type": "integer", "minimum": 1, "maximum": 9, "multipleOf": 2},
                "Items": {"type": "array", "items": {"$ref": "#/definitions/Item"}, "minItems": 1, "maxItems": 2, "uniqueItems": true},
                "Labels": {"type": "object", "patternProperties": {"^[a-z]+$": {"type": "string"}}, "additionalProperties": false},
                "Either": {"oneOf": [{"required": ["A"]}, {"required": ["B"]}]},
                "Any": {"anyOf": [{"type": "string"}, {"type": "boolean"}]},
                "Loop": {"$ref": "#/definitions/Loop"},
                "Policy": {"type": ["object", "string"]},
                "None": {"$ref": "#/definitions/None"},
            },
            "required": ["Name", "Mode"],
            "additionalProperties": false,
        });
        let valid = json!({
            "Name": "ab", "Mode": "ON", "Size": 4.0, "Items": [{"Id": "a", "Inner": {"Id": "b"}}], "Labels": {"a": "b"},
            "Either": {"A": 1}, "Any": true, "Loop": 1, "Policy": {}, "None": 1,
        });
        assert_eq!(problems(&schema, &valid), Vec::<String>::new());
        let invalid = json!({
            "Name": "ABCD", "Size": 11, "Items": [{"Id": 1}, {"Id": 1}, {"Inner": {"Id": "x", "No": 1}}],
            "Labels": {"A": "b", "b": 1}, "Either": {"A": 1, "B": 1}, "Any": 1, "Policy": 1, "Extra": 1,
        });
        insta::assert_snapshot!(problems(&schema, &invalid).join("\n"), @r"
        #: required key [Mode] not found
        #/Any: no subschema matched out of the total 2 subschemas
        #/Either: 2 subschemas matched instead of one
        #: extraneous key [Extra] is not permitted
        #/Items: expected maximum item count: 2, found: 3
        #/Items: array items are not unique
        #/Items/0/Id: expected type: String, found: Integer
        #/Items/1/Id: expected type: String, found: Integer
        #/Items/2: required key [Id] not found
        #/Items/2/Inner: extraneous key [No] is not permitted
        #/Labels: extraneous key [A] is not permitted
        #/Labels/b: expected type: String, found: Integer
        #/Name: expected maxLength: 3, actual: 4
        #/Name: string [ABCD] does not match pattern ^[a-z]*$
        #/Policy: expected one of the types: JSONObject, String, found: Integer
        #/Size: 11 is not less or equal to 9
        #/Size: 11 is not a multiple of 2
        ");
    }

    #[test]
    fn values_that_are_nested_deeper_than_a_recursive_schema_are_bounded() {
        let schema = json!({
            "definitions": {"Tree": {"anyOf": [{"type": "object", "properties": {"Left": {"$ref": "#/definitions/Tree"}}}]}},
            "properties": {"Tree": {"$ref": "#/definitions/Tree"}},
        });
        let tree = (0..100).fold(json!({}), |inner, _| json!({"Left": inner}));
        assert_eq!(problems(&schema, &json!({"Tree": tree})), Vec::<String>::new());
    }
}
