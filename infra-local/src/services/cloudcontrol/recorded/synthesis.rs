//! Values of read-only properties, in the form that their names and schemas suggest.
//!
//! They are generated once, when a resource is recorded. No service has assigned them, so they are plausible and not those of
//! AWS.

use chrono::{DateTime, SecondsFormat, Utc};
use serde_json::{Map, Value, json};
use uuid::Uuid;

use super::{pattern, resolve};
use crate::model::{Account, ids};

/// Deepest nesting of a generated object.
const DEEPEST: usize = 4;

/// Place and time of a resource.
pub(super) struct Place<'a> {
    pub(super) region: &'a str,
    pub(super) account: Account,
    pub(super) now: DateTime<Utc>,
}

/// Adds the read-only properties and the missing parts of the primary identifier.
pub(super) fn complete(schema: &Value, properties: &mut Value, place: &Place<'_>) {
    let paths = |list: &str| -> Vec<String> {
        let pointers = schema[list].as_array().into_iter().flatten().filter_map(Value::as_str);
        pointers.filter_map(|pointer| pointer.strip_prefix("/properties/").map(str::to_owned)).collect()
    };
    let mut generator = Generator { schema, place, name: None };
    // First the identifier, so that ARNs can contain it.
    for path in paths("primaryIdentifier").into_iter().chain(paths("readOnlyProperties")) {
        generator.name = name_of(schema, properties);
        generator.add(properties, &path);
    }
}

struct Generator<'a> {
    schema: &'a Value,
    place: &'a Place<'a>,
    /// Name of the resource, if it has one.
    name: Option<String>,
}

impl Generator<'_> {
    /// Adds the property at a path, unless it exists. Items of lists get none.
    fn add(&self, properties: &mut Value, path: &str) {
        let names: Vec<&str> = path.split('/').collect();
        if names.contains(&"*") {
            return;
        }
        let mut node = self.schema;
        let mut target = properties;
        for (position, name) in names.iter().enumerate() {
            let Some(part) = resolve(self.schema, node).and_then(|node| node.get("properties")?.get(*name)) else {
                return;
            };
            node = part;
            let Value::Object(members) = target else { return };
            let is_last = position + 1 == names.len();
            if is_last && members.contains_key(*name) {
                return;
            }
            let make = || if is_last { self.value(part, name, 0) } else { json!({}) };
            target = members.entry((*name).to_owned()).or_insert_with(make);
        }
    }

    fn value(&self, node: &Value, name: &str, depth: usize) -> Value {
        let Some(node) = resolve(self.schema, node) else { return Value::Null };
        if let Some(Value::Array(values)) = node.get("enum")
            && let Some(value) = values.iter().find(|value| is_settled(value)).or(values.first())
        {
            return value.clone();
        }
        let kind = match node.get("type") {
            Some(Value::String(kind)) => kind.as_str(),
            Some(Value::Array(kinds)) => kinds.first().and_then(Value::as_str).unwrap_or("string"),
            _ if node.contains_key("properties") => "object",
            _ => "string",
        };
        match kind {
            "integer" | "number" => node.get("minimum").filter(|least| least.is_number()).cloned().unwrap_or(json!(0)),
            "boolean" => json!(false),
            "array" => json!([]),
            "object" => self.object(node, depth),
            _ => self.text(node, name).into(),
        }
    }

    fn object(&self, node: &Map<String, Value>, depth: usize) -> Value {
        let members = node.get("properties").and_then(Value::as_object).into_iter().flatten();
        let members = members.filter(|_| depth < DEEPEST);
        members.map(|(name, node)| (name.clone(), self.value(node, name, depth + 1))).collect::<Map<_, _>>().into()
    }

    /// Returns the first candidate that conforms to the pattern and the lengths of the schema.
    fn text(&self, node: &Map<String, Value>, name: &str) -> String {
        let length =
            |limit: &str| node.get(limit).and_then(Value::as_u64).and_then(|limit| usize::try_from(limit).ok());
        let (least, most) = (length("minLength").unwrap_or(0), length("maxLength").unwrap_or(usize::MAX));
        let pattern = node.get("pattern").and_then(Value::as_str);
        let fits = |text: &String| {
            (least..=most).contains(&text.len()) && pattern.is_none_or(|it| pattern::matches(it, text) != Some(false))
        };
        let candidates = self.candidates(name, node);
        let found = candidates.iter().find(|text| fits(text));
        found.or(candidates.first()).map(|text| text.chars().take(most).collect()).unwrap_or_default()
    }

    fn candidates(&self, property: &str, node: &Map<String, Value>) -> Vec<String> {
        let Place { region, account, now } = self.place;
        let (service, kind) = names(self.schema);
        let unique = ids::random_hex(12);
        let name = self.name.clone().unwrap_or_else(|| format!("{kind}-{unique}"));
        let host = format!("{service}.{region}.amazonaws.com");
        let lower = property.to_ascii_lowercase();
        let format = node.get("format").and_then(Value::as_str).unwrap_or_default().to_ascii_lowercase();
        let mut candidates = Vec::new();
        if lower.ends_with("arn") || format.ends_with("arn") {
            candidates.push(format!("arn:aws:{service}:{region}:{account}:{kind}/{name}"));
            candidates.push(format!("arn:aws:{service}:{region}:{account}:{name}"));
            candidates.push(format!("arn:aws:{service}:{region}:{account}:{kind}:{name}"));
        } else if lower.ends_with("url") || lower.ends_with("uri") {
            candidates.push(format!("https://{host}/{account}/{name}"));
        } else if lower.contains("endpoint") || lower.contains("domain") || lower.ends_with("address") {
            candidates.push(format!("{name}.{host}"));
        } else if lower.ends_with("time") || lower.ends_with("date") || lower.ends_with("at") || format.contains("date")
        {
            candidates.push(now.to_rfc3339_opts(SecondsFormat::Millis, true));
        } else if lower.ends_with("status") || lower.ends_with("state") {
            candidates.push("ACTIVE".to_owned());
        } else if lower.contains("account") || lower.contains("owner") {
            candidates.push(account.to_string());
        } else if lower.ends_with("version") || lower.ends_with("number") {
            candidates.push("1".to_owned());
        } else if lower.ends_with("name") {
            candidates.push(name.clone());
            candidates.push(format!("{kind}-{unique}"));
        }
        let digits = u128::from_str_radix(&ids::random_hex(20), 16).unwrap_or(1).to_string();
        candidates.push(format!("{kind}-{unique}"));
        candidates.push(Uuid::new_v4().to_string());
        candidates.extend([8, 10, 12, 17, 32, 40, 64].map(ids::random_hex));
        candidates.extend([10, 12, 13, 19].map(|length| digits.chars().take(length).collect()));
        candidates.extend([10, 14, 21].map(|length| ids::random_hex(length).to_ascii_uppercase()));
        candidates
    }
}

/// Returns the service and the type in lower case.
fn names(schema: &Value) -> (String, String) {
    let mut parts = schema["typeName"].as_str().unwrap_or_default().split("::").skip(1).map(str::to_ascii_lowercase);
    (parts.next().unwrap_or_default(), parts.next().unwrap_or_default())
}

/// Returns the name of a resource: the property `Name`, or that of the type, as `QueueName` of a queue.
fn name_of(schema: &Value, properties: &Value) -> Option<String> {
    let (_, kind) = names(schema);
    let members = properties.as_object().into_iter().flatten();
    let mut named = members.filter(|(property, _)| {
        let property = property.to_ascii_lowercase();
        matches!(property.strip_prefix(&kind).unwrap_or(&property), "name" | "id" | "identifier")
    });
    named.find_map(|(_, value)| value.as_str().filter(|name| !name.is_empty())).map(str::to_owned)
}

/// Returns whether a status is one of a resource that is ready.
fn is_settled(value: &Value) -> bool {
    let ready =
        ["active", "available", "enabled", "ready", "running", "created", "completed", "inservice", "succeeded"];
    value.as_str().is_some_and(|text| ready.contains(&text.to_ascii_lowercase().replace('_', "").as_str()))
}
