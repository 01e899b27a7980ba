//! The Rust type of each property, with the structs and enums that it needs.

use crate::{
    error::BindingError,
    names::{self, Scope},
    schema::Schema,
};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// The form of a value.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Shape {
    Text,
    Integer,
    Number,
    Boolean,
    /// Any JSON value, with the reason why it has no narrower type.
    Any(&'static str),
    Enum(usize),
    Struct(usize),
    List(Box<Shape>),
    Map(Box<Shape>),
}

/// A struct of a property.
#[derive(Debug)]
pub(crate) struct Struct {
    pub(crate) name: String,
    pub(crate) description: Option<String>,
    pub(crate) fields: Vec<Field>,
    /// True if the schema allows further members.
    pub(crate) is_open: bool,
}

/// A field of a struct.
#[derive(Clone, Debug)]
pub(crate) struct Field {
    /// Name in the schema.
    pub(crate) property: String,
    /// Rust identifier.
    pub(crate) name: String,
    pub(crate) shape: Shape,
    pub(crate) is_required: bool,
    /// True for a struct that contains itself.
    pub(crate) is_boxed: bool,
    /// Description and constraints.
    pub(crate) notes: Vec<String>,
}

/// An enum of texts.
#[derive(Debug)]
pub(crate) struct Enum {
    pub(crate) name: String,
    pub(crate) property: String,
    /// Rust names and values.
    pub(crate) variants: Vec<(String, String)>,
}

/// The structs and enums of a type, collected while its properties are converted.
pub(crate) struct Shapes<'a> {
    schema: &'a Schema,
    pub(crate) structs: Vec<Struct>,
    pub(crate) enums: Vec<Enum>,
    by_pointer: HashMap<String, usize>,
    scope: Scope,
    /// Number of parts that contain the current one.
    depth: usize,
    /// Read-only members of structs, by the pointer of the struct.
    read_only: HashMap<String, BTreeSet<String>>,
}

/// Deepest nesting of a value. A list of itself has no end, while structs are found by their pointers.
const DEEPEST: usize = 100;

const SEVERAL_FORMS: &str = "Any JSON: the schema allows several forms.";
const NO_TYPE: &str = "Any JSON: the schema declares no type.";
const FREE_FORM: &str = "A JSON object of any form.";

impl<'a> Shapes<'a> {
    pub(crate) fn new(schema: &'a Schema) -> Self {
        let mut shapes = Self {
            schema,
            structs: Vec::new(),
            enums: Vec::new(),
            by_pointer: HashMap::new(),
            scope: Scope::default(),
            depth: 0,
            read_only: HashMap::new(),
        };
        shapes.find_read_only();
        shapes
    }

    /// Finds the members of structs that are read-only wherever the struct is used.
    fn find_read_only(&mut self) {
        let mut owners: BTreeMap<(String, String), usize> = BTreeMap::new();
        for path in &self.schema.read_only {
            if let Some((owner, member)) = path.rsplit_once('/')
                && let Some(pointer) = self.pointer_of(owner)
            {
                *owners.entry((pointer, member.to_owned())).or_default() += 1;
            }
        }
        for ((pointer, member), times) in owners {
            if self.schema.references(&pointer) <= times {
                self.read_only.entry(pointer).or_default().insert(member);
            }
        }
    }

    /// Returns the pointer of the part of the schema that describes a path of properties.
    pub(crate) fn pointer_of(&self, path: &str) -> Option<String> {
        let mut pointer = String::new();
        for part in path.split('/') {
            let next = if part == "*" { format!("{pointer}/items") } else { format!("{pointer}/properties/{part}") };
            pointer = self.schema.resolve(&next).ok()?.0;
        }
        Some(pointer)
    }

    /// Converts the part of the schema at a pointer. `name` is the name for a struct or an enum that has none.
    pub(crate) fn shape(&mut self, pointer: &str, name: &str) -> Result<Shape, BindingError> {
        if self.depth >= DEEPEST {
            return Err(self.schema.invalid(format!("the definition {pointer} contains itself without end")));
        }
        self.depth += 1;
        let shape = self.shape_of_part(pointer, name);
        self.depth -= 1;
        shape
    }

    fn shape_of_part(&mut self, pointer: &str, name: &str) -> Result<Shape, BindingError> {
        let (pointer, node) = self.schema.resolve(pointer)?;
        let name = pointer.strip_prefix("/definitions/").filter(|name| !name.contains('/')).unwrap_or(name);
        let Value::Object(node) = node else { return Ok(Shape::Any(NO_TYPE)) };
        let kind = match kind(node) {
            Kind::One(kind) => kind,
            Kind::Several => return Ok(Shape::Any(SEVERAL_FORMS)),
            Kind::None => return self.alternatives(&pointer, node, name),
        };
        match kind {
            "string" => Ok(self.text(node, name)),
            "integer" => Ok(Shape::Integer),
            "number" => Ok(Shape::Number),
            "boolean" => Ok(Shape::Boolean),
            "array" => match node.get("items") {
                Some(Value::Object(_)) => {
                    let item = self.shape(&format!("{pointer}/items"), &singular(name))?;
                    Ok(Shape::List(Box::new(item)))
                }
                _ => Ok(Shape::List(Box::new(Shape::Any(NO_TYPE)))),
            },
            "object" => self.object(&pointer, node, name),
            _ => Ok(Shape::Any(NO_TYPE)),
        }
    }

    /// Returns the only alternative that is not a JSON document of any form, if there is such a document.
    fn structured(&self, pointer: &str, all: usize) -> Result<Option<String>, BindingError> {
        let mut structured = Vec::new();
        for index in 0..all {
            let pointer = format!("{pointer}/{index}");
            let (_, node) = self.schema.resolve(&pointer)?;
            let is_document = node.as_object().is_some_and(|node| match kind(node) {
                Kind::Several => true,
                Kind::One("object") => !["properties", "patternProperties", "additionalProperties"]
                    .iter()
                    .any(|members| node.get(*members).is_some_and(Value::is_object)),
                _ => false,
            });
            if !is_document {
                structured.push(pointer);
            }
        }
        Ok(if structured.len() == 1 && all > 1 { structured.pop() } else { None })
    }

    /// Converts a node without a type: alternatives of the same scalar type are that type.
    fn alternatives(&mut self, pointer: &str, node: &Map<String, Value>, name: &str) -> Result<Shape, BindingError> {
        for key in ["oneOf", "anyOf", "allOf"] {
            let Some(Value::Array(all)) = node.get(key) else { continue };
            if key != "allOf"
                && let Some(only) = self.structured(&format!("{pointer}/{key}"), all.len())?
            {
                return self.shape(&only, name);
            }
            let mut scalars = Vec::new();
            for index in 0..all.len() {
                let (_, node) = self.schema.resolve(&format!("{pointer}/{key}/{index}"))?;
                scalars.push(match node.as_object().map(kind) {
                    Some(Kind::One("string")) => Shape::Text,
                    Some(Kind::One("integer")) => Shape::Integer,
                    Some(Kind::One("boolean")) => Shape::Boolean,
                    _ if all.len() == 1 => return self.shape(&format!("{pointer}/{key}/{index}"), name),
                    _ => return Ok(Shape::Any(SEVERAL_FORMS)),
                });
            }
            let first = scalars.first().cloned().unwrap_or(Shape::Any(NO_TYPE));
            return Ok(if scalars.iter().all(|shape| *shape == first) { first } else { Shape::Any(SEVERAL_FORMS) });
        }
        Ok(if node.contains_key("enum") { self.text(node, name) } else { Shape::Any(NO_TYPE) })
    }

    fn text(&mut self, node: &Map<String, Value>, name: &str) -> Shape {
        let Some(Value::Array(values)) = node.get("enum") else { return Shape::Text };
        let texts: Vec<&str> = values.iter().filter_map(Value::as_str).collect();
        let is_open = node.get("enumCaseInsensitive").is_some();
        if texts.is_empty() || texts.len() < values.len() || is_open {
            return Shape::Text;
        }
        let mut scope = Scope::default();
        let variants: Vec<(String, String)> =
            texts.into_iter().map(|text| (scope.unique(names::variant(text)), text.to_owned())).collect();
        let known = self.enums.iter().position(|known| known.property == name && known.variants == variants);
        Shape::Enum(known.unwrap_or_else(|| {
            let property = name.to_owned();
            self.enums.push(Enum { name: self.scope.unique(names::type_name(name)), property, variants });
            self.enums.len() - 1
        }))
    }

    fn object(&mut self, pointer: &str, node: &Map<String, Value>, name: &str) -> Result<Shape, BindingError> {
        if has_members(node) {
            return self.structure(pointer, node, name);
        }
        let values: Vec<String> = match (node.get("patternProperties"), node.get("additionalProperties")) {
            (Some(Value::Object(patterns)), _) => {
                patterns.keys().map(|pattern| format!("{pointer}/patternProperties/{}", escaped(pattern))).collect()
            }
            (_, Some(Value::Object(_))) => vec![format!("{pointer}/additionalProperties")],
            _ => Vec::new(),
        };
        let [value] = values.as_slice() else { return Ok(Shape::Any(FREE_FORM)) };
        let shape = self.shape(value, &format!("{}Value", singular(name)))?;
        Ok(Shape::Map(Box::new(shape)))
    }

    fn structure(&mut self, pointer: &str, node: &Map<String, Value>, name: &str) -> Result<Shape, BindingError> {
        if let Some(&index) = self.by_pointer.get(pointer) {
            return Ok(Shape::Struct(index));
        }
        // Before its fields, which may contain it.
        let index = self.structs.len();
        self.by_pointer.insert(pointer.to_owned(), index);
        let is_open = node.contains_key("patternProperties")
            || matches!(node.get("additionalProperties"), Some(Value::Bool(true) | Value::Object(_)));
        let description = node.get("description").and_then(Value::as_str).map(str::to_owned);
        let name = self.scope.unique(names::type_name(name));
        self.structs.push(Struct { name, description, fields: Vec::new(), is_open });
        let required: BTreeSet<&str> =
            node.get("required").and_then(Value::as_array).into_iter().flatten().filter_map(Value::as_str).collect();
        let read_only = self.read_only.get(pointer).cloned().unwrap_or_default();
        let members: Vec<&String> =
            node.get("properties").and_then(Value::as_object).into_iter().flatten().map(|(name, _)| name).collect();
        let mut scope = Scope::default();
        if is_open {
            scope.unique("other".to_owned());
        }
        let mut fields = Vec::new();
        for property in members.into_iter().filter(|member| !read_only.contains(*member)) {
            let pointer = format!("{pointer}/properties/{}", escaped(property));
            fields.push(self.field(&pointer, property, required.contains(property.as_str()), &mut scope)?);
        }
        self.structs[index].fields = fields;
        Ok(Shape::Struct(index))
    }

    /// Converts a property to a field.
    pub(crate) fn field(
        &mut self,
        pointer: &str,
        property: &str,
        is_required: bool,
        scope: &mut Scope,
    ) -> Result<Field, BindingError> {
        let shape = self.shape(pointer, property)?;
        let notes = notes(self.schema, pointer, property, &shape)?;
        let name = scope.unique(names::identifier(property));
        Ok(Field { property: property.to_owned(), name, shape, is_required, is_boxed: false, notes })
    }

    /// Converts the part of the schema at a pointer to the shape of an output, without new structs and enums.
    pub(crate) fn shape_of_output(&self, pointer: &str, depth: usize) -> Result<Shape, BindingError> {
        let (pointer, node) = self.schema.resolve(pointer)?;
        Ok(match node.as_object().map(kind) {
            Some(Kind::One("string")) => Shape::Text,
            Some(Kind::One("integer")) => Shape::Integer,
            Some(Kind::One("number")) => Shape::Number,
            Some(Kind::One("boolean")) => Shape::Boolean,
            Some(Kind::One("array")) if node["items"].is_object() && depth < DEEPEST => {
                Shape::List(Box::new(self.shape_of_output(&format!("{pointer}/items"), depth + 1)?))
            }
            _ => Shape::Any(NO_TYPE),
        })
    }

    /// Returns whether a value of this shape is a struct whose every member is read-only.
    pub(crate) fn is_empty(&self, shape: &Shape) -> bool {
        struct_of(shape).is_some_and(|index| self.structs[index].fields.is_empty() && !self.structs[index].is_open)
    }

    /// Completes the structs: removes members without any property that can be set, and boxes recursive ones.
    pub(crate) fn finish(&mut self) {
        loop {
            let empty: Vec<bool> = self.structs.iter().map(|it| it.fields.is_empty() && !it.is_open).collect();
            let is_empty = |field: &Field| struct_of(&field.shape).is_some_and(|index| empty[index]);
            let has_empty = |it: &Struct| it.fields.iter().any(is_empty);
            if !self.structs.iter().any(has_empty) {
                break;
            }
            // A struct that only contained empty ones is empty now.
            for it in &mut self.structs {
                it.fields.retain(|field| !is_empty(field));
            }
        }
        self.box_recursive();
    }

    /// Boxes the fields through which a struct directly contains itself. Lists and maps need no box.
    fn box_recursive(&mut self) {
        let direct: Vec<Vec<usize>> = self
            .structs
            .iter()
            .map(|it| it.fields.iter().filter_map(|field| struct_of(&field.shape)).collect())
            .collect();
        let reaches = |from: usize, to: usize| {
            let (mut seen, mut next) = (BTreeSet::new(), vec![from]);
            while let Some(at) = next.pop() {
                if at == to {
                    return true;
                }
                if seen.insert(at) {
                    next.extend(&direct[at]);
                }
            }
            false
        };
        for index in 0..self.structs.len() {
            for at in 0..self.structs[index].fields.len() {
                let field = &self.structs[index].fields[at];
                let is_boxed = struct_of(&field.shape).is_some_and(|inner| reaches(inner, index));
                self.structs[index].fields[at].is_boxed = is_boxed;
            }
        }
    }

    /// Returns whether a value of this shape contains no struct and no map, so that it can be one input.
    pub(crate) fn is_plain(shape: &Shape) -> bool {
        match shape {
            Shape::Struct(_) | Shape::Map(_) => false,
            Shape::List(item) => Self::is_plain(item),
            _ => true,
        }
    }
}

fn struct_of(shape: &Shape) -> Option<usize> {
    match shape {
        Shape::Struct(index) => Some(*index),
        _ => None,
    }
}

/// The type that a node declares.
enum Kind<'a> {
    One(&'a str),
    Several,
    None,
}

fn kind(node: &Map<String, Value>) -> Kind<'_> {
    match node.get("type") {
        Some(Value::String(kind)) => Kind::One(kind),
        Some(Value::Array(kinds)) => {
            let kinds: Vec<&str> = kinds.iter().filter_map(Value::as_str).filter(|kind| *kind != "null").collect();
            match kinds.as_slice() {
                [kind] => Kind::One(kind),
                ["integer", "number"] | ["number", "integer"] => Kind::One("number"),
                // A text is another form of the same document.
                ["object", "string"] | ["string", "object"] if has_members(node) => Kind::One("object"),
                _ => Kind::Several,
            }
        }
        _ if node.contains_key("properties") || node.contains_key("patternProperties") => Kind::One("object"),
        _ if node.contains_key("items") => Kind::One("array"),
        _ => Kind::None,
    }
}

fn has_members(node: &Map<String, Value>) -> bool {
    node.get("properties").and_then(Value::as_object).is_some_and(|members| !members.is_empty())
}

/// Returns the description of a property and its constraints, as paragraphs.
fn notes(schema: &Schema, pointer: &str, property: &str, shape: &Shape) -> Result<Vec<String>, BindingError> {
    let (_, target) = schema.resolve(pointer)?;
    let own = schema.at(pointer).unwrap_or(target);
    let description = [own, target].into_iter().filter_map(|node| node.get("description")?.as_str());
    let described = description.map(str::trim).find(|text| !text.is_empty()).map(str::to_owned);
    let mut notes = vec![described.unwrap_or_else(|| format!("The property `{property}`."))];
    let mut limits = Vec::new();
    for (least, most, noun) in [
        ("minLength", "maxLength", "characters"),
        ("minimum", "maximum", ""),
        ("minItems", "maxItems", "items"),
        ("minProperties", "maxProperties", "entries"),
    ] {
        let noun = if noun.is_empty() { String::new() } else { format!(" {noun}") };
        let singular = |limit: &str| {
            if limit == "1" { noun.replace("entries", "entry").trim_end_matches('s').to_owned() } else { noun.clone() }
        };
        match (number(target.get(least)), number(target.get(most))) {
            (Some(least), Some(most)) => limits.push(format!("{least} to {most}{noun}")),
            (Some(least), None) => limits.push(format!("at least {least}{}", singular(&least))),
            (None, Some(most)) => limits.push(format!("at most {most}{}", singular(&most))),
            (None, None) => {}
        }
    }
    if let Some(pattern) =
        target.get("pattern").and_then(Value::as_str).filter(|it| it.len() <= 80 && !it.contains(['`', '\n']))
    {
        limits.push(format!("pattern `{pattern}`"));
    }
    if !limits.is_empty() {
        notes.push(format!("Allowed: {}.", limits.join(", ")));
    }
    let has_alternatives = match target.get("type") {
        Some(kind) => kind.is_array(),
        None => ["oneOf", "anyOf"].iter().any(|key| target.get(*key).is_some()),
    };
    match shape {
        Shape::Any(reason) => notes.push((*reason).to_owned()),
        Shape::List(_) | Shape::Map(_) | Shape::Struct(_) if has_alternatives => {
            notes.push("The schema also allows a JSON document, which this type cannot contain.".to_owned());
        }
        _ => {}
    }
    Ok(notes)
}

fn number(value: Option<&Value>) -> Option<String> {
    value.filter(|value| value.is_number()).map(ToString::to_string)
}

/// Returns the name of an item of a list: `Tags` → `Tag`.
fn singular(name: &str) -> String {
    match name.strip_suffix("ies") {
        Some(stem) => format!("{stem}y"),
        None => name.strip_suffix('s').filter(|stem| !stem.ends_with('s') && stem.len() > 1).unwrap_or(name).to_owned(),
    }
}

/// Escapes a name as a part of a JSON pointer.
pub(crate) fn escaped(name: &str) -> String {
    name.replace('~', "~0").replace('/', "~1")
}
