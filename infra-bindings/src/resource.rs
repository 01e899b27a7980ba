//! The inputs and outputs of a type.

use crate::{
    error::BindingError,
    names::{self, Scope},
    schema::Schema,
    shape::{Enum, Field, Shape, Shapes, Struct, escaped},
};

/// A resource type, ready to be written.
pub(crate) struct Resource {
    pub(crate) type_name: String,
    /// The type token of the resource, `aws:cfn-sqs:Queue`.
    pub(crate) token: String,
    /// Module of the service, `sqs`.
    pub(crate) service: String,
    /// Module of the property types, `queue`.
    pub(crate) module: String,
    /// The struct, `Queue`.
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) inputs: Vec<Field>,
    pub(crate) outputs: Vec<OutputField>,
    /// Paths of properties whose change replaces the resource: `Network.Family`.
    pub(crate) replace_on: Vec<String>,
    /// Properties that are encrypted in the state.
    pub(crate) secret: Vec<String>,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
}

/// An output of a type.
pub(crate) struct OutputField {
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) source: Source,
    pub(crate) notes: Vec<String>,
}

/// Place of an output's value in the outputs of the untyped resource.
pub(crate) enum Source {
    /// The primary identifier.
    Identifier,
    /// A property that only a replacement changes.
    Identity(String),
    /// A property, possibly inside of others.
    Properties(Vec<String>),
}

impl Resource {
    pub(crate) fn of(schema: &Schema) -> Result<Self, BindingError> {
        let parts: Vec<&str> = schema.type_name.split("::").collect();
        let [organisation, service, kind, ..] = parts.as_slice() else {
            return Err(BindingError::BadName(schema.type_name.clone()));
        };
        let service = match *organisation {
            "AWS" => service.to_lowercase(),
            other => format!("{}-{}", other.to_lowercase(), service.to_lowercase()),
        };
        let mut shapes = Shapes::new(schema);
        let mut inputs = inputs(schema, &mut shapes)?;
        let outputs = outputs(schema, &shapes, kind)?;
        shapes.finish();
        inputs.retain(|field| !shapes.is_empty(&field.shape));
        Ok(Self {
            type_name: schema.type_name.clone(),
            token: format!("aws:cfn-{service}:{kind}"),
            service: names::identifier(&service),
            module: names::identifier(kind),
            name: names::type_name(kind),
            description: schema.description.clone(),
            inputs,
            outputs,
            replace_on: schema
                .create_only
                .iter()
                .filter(|path| !is_read_only(schema, path))
                .map(|path| dotted(path))
                .collect(),
            secret: secret(schema),
            structs: shapes.structs,
            enums: shapes.enums,
        })
    }
}

fn is_read_only(schema: &Schema, path: &str) -> bool {
    schema.read_only.iter().any(|read_only| read_only == path)
}

/// Writes a path as plans do: `Rules/*/Port` → `Rules[*].Port`.
fn dotted(path: &str) -> String {
    path.replace("/*", "[*]").replace('/', ".")
}

/// Returns the properties that can be set, required ones first.
fn inputs(schema: &Schema, shapes: &mut Shapes<'_>) -> Result<Vec<Field>, BindingError> {
    let mut scope = Scope::default();
    let mut fields = Vec::new();
    for (property, _) in schema.properties().filter(|(property, _)| !is_read_only(schema, property)) {
        let pointer = format!("/properties/{}", escaped(property));
        let mut field = shapes.field(&pointer, property, schema.required.contains(property), &mut scope)?;
        if schema.create_only.contains(property) {
            field.notes.push("A change replaces the resource.".to_owned());
        }
        if is_secret(schema, property) {
            field.notes.push("The API does not return the value; it is encrypted in the state.".to_owned());
        }
        fields.push(field);
    }
    fields.sort_by_key(|field| !field.is_required);
    Ok(fields)
}

/// Returns whether a property contains a write-only value. A change of an encrypted property cannot be distinguished from
/// a change of another one, so properties that replace the resource are not encrypted, unless a program declares a secret.
fn is_secret(schema: &Schema, property: &str) -> bool {
    let is_below =
        |path: &String| path == property || path.strip_prefix(property).is_some_and(|rest| rest.starts_with('/'));
    schema.write_only.iter().any(is_below) && !schema.create_only.iter().any(is_below)
}

fn secret(schema: &Schema) -> Vec<String> {
    schema
        .properties()
        .map(|(name, _)| name)
        .filter(|name| !is_read_only(schema, name) && is_secret(schema, name))
        .cloned()
        .collect()
}

/// Returns the read-only properties and the parts of the primary identifier.
fn outputs(schema: &Schema, shapes: &Shapes<'_>, kind: &str) -> Result<Vec<OutputField>, BindingError> {
    let mut scope = Scope::default();
    for reserved in ["identifier", "properties"] {
        scope.unique(reserved.to_owned());
    }
    let identifier = match schema.primary_identifier.as_slice() {
        [only] => Some(only),
        _ => None,
    };
    let mut paths: Vec<&String> = schema.primary_identifier.iter().chain(&schema.read_only).collect();
    paths.sort();
    paths.dedup();
    let mut outputs = Vec::new();
    for path in paths {
        // The items of lists have no names of their own.
        let Some(pointer) = shapes.pointer_of(path).filter(|_| !path.contains('*')) else { continue };
        let shape = shapes.shape_of_output(&pointer, 0)?;
        let source = match path.as_str() {
            path if identifier.is_some_and(|only| only == path) && shape == Shape::Text => Source::Identifier,
            path if is_identity(path, kind) && shape == Shape::Text => Source::Identity(path.to_owned()),
            path => Source::Properties(path.split('/').map(str::to_owned).collect()),
        };
        let description = schema.at(&pointer).and_then(|node| node.get("description")?.as_str()).map(str::trim);
        let described = description.filter(|text| !text.is_empty()).map(str::to_owned);
        let notes = vec![described.unwrap_or_else(|| format!("The property `{}`.", path.replace('/', ".")))];
        let name = scope.unique(names::identifier(&path.replace('/', "_")));
        outputs.push(OutputField { name, shape, source, notes });
    }
    Ok(outputs)
}

/// Returns whether a property identifies the resource, so that only a replacement changes it: `Arn`, `Id`, and the same
/// names after that of the type, as `TopicArn` of a `Topic`. infra-aws has the same rule (`cloudcontrol/identity`).
fn is_identity(property: &str, kind: &str) -> bool {
    let property = property.to_ascii_lowercase();
    let rest = property.strip_prefix(&kind.to_ascii_lowercase()).unwrap_or(&property);
    matches!(rest, "arn" | "id")
}
