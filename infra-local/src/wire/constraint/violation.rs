//! Violations of constraints in a request.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::{Number, Value};

use super::table::{Kind, Shape, Table};

/// A constraint of a model that a request violates.
#[derive(Debug)]
pub(super) enum Constraint<'a> {
    Required,
    /// Minimum length of a text, a list, a map or binary data.
    MinLength(&'a Number),
    MaxLength(&'a Number),
    MinValue(&'a Number),
    MaxValue(&'a Number),
    Values(&'a [String]),
    Pattern(&'a str),
    /// The constraints of the items of a list, at least one of which is violated.
    Items(Vec<Constraint<'a>>),
    Keys(Vec<Constraint<'a>>),
    MapValues(Vec<Constraint<'a>>),
}

/// A step from a request to one of its values.
#[derive(Debug, Clone)]
pub(super) enum Step {
    Member(String),
    /// Number of an item of a list, from 1.
    Item(usize),
    Key(String),
}

#[derive(Debug)]
pub(super) struct Violation<'a> {
    pub(super) path: Vec<Step>,
    /// The value as messages show it; `None` if it is secret or absent.
    pub(super) value: Option<String>,
    pub(super) constraint: Constraint<'a>,
}

impl Violation<'_> {
    /// Returns the name of the last member of the path.
    pub(super) fn member(&self) -> &str {
        let mut members = self.path.iter().rev();
        members
            .find_map(|step| if let Step::Member(name) = step { Some(name.as_str()) } else { None })
            .unwrap_or_default()
    }
}

/// Returns the violations in a request, in the order of the members' names.
pub(super) fn violations<'a>(
    table: &'a Table,
    shape: &'a Shape,
    input: &Value,
    hides: &dyn Fn(&str) -> bool,
) -> Vec<Violation<'a>> {
    let mut walk = Walk { table, hides, path: Vec::new(), hidden: 0, found: Vec::new() };
    walk.value(shape, input);
    walk.found
}

struct Walk<'a, 'h> {
    table: &'a Table,
    /// Returns whether the values of a member are secret.
    hides: &'h dyn Fn(&str) -> bool,
    path: Vec<Step>,
    /// Number of steps of the path that lead to secret values.
    hidden: usize,
    found: Vec<Violation<'a>>,
}

impl<'a> Walk<'a, '_> {
    fn value(&mut self, shape: &'a Shape, value: &Value) {
        self.hidden += usize::from(shape.sensitive);
        for constraint in violated(shape, value) {
            self.add(constraint, Some((shape, value)));
        }
        match value {
            Value::Object(fields) if shape.kind == Kind::Structure => {
                for name in &shape.required {
                    if fields.get(name).is_none_or(Value::is_null) {
                        self.within(Step::Member(name.clone()), |walk| walk.add(Constraint::Required, None));
                    }
                }
                for (name, field) in fields.iter().filter(|(_, field)| !field.is_null()) {
                    if let Some(member) = self.table.member(shape, name) {
                        self.within(Step::Member(name.clone()), |walk| walk.value(member, field));
                    }
                }
            }
            Value::Array(items) if shape.kind == Kind::List => self.items(shape, value, items),
            Value::Object(fields) if shape.kind == Kind::Map => {
                if let Some(key) = self.table.key(shape)
                    && fields.keys().any(|name| !violated(key, &Value::from(name.as_str())).is_empty())
                {
                    self.add(Constraint::Keys(all(key)), Some((shape, value)));
                }
                let Some(item) = self.table.item(shape) else { return };
                if item.kind.is_scalar() {
                    if fields.values().any(|field| !violated(item, field).is_empty()) {
                        self.add(Constraint::MapValues(all(item)), Some((shape, value)));
                    }
                } else {
                    for (name, field) in fields {
                        self.within(Step::Key(name.clone()), |walk| walk.value(item, field));
                    }
                }
            }
            _ => {}
        }
        self.hidden -= usize::from(shape.sensitive);
    }

    fn items(&mut self, shape: &'a Shape, list: &Value, items: &[Value]) {
        let Some(item) = self.table.item(shape) else { return };
        if item.kind.is_scalar() {
            if items.iter().any(|value| !violated(item, value).is_empty()) {
                self.add(Constraint::Items(all(item)), Some((shape, list)));
            }
            return;
        }
        for (number, value) in items.iter().enumerate() {
            self.within(Step::Item(number + 1), |walk| walk.value(item, value));
        }
    }

    fn within(&mut self, step: Step, check: impl FnOnce(&mut Self)) {
        let is_secret = matches!(&step, Step::Member(name) if (self.hides)(name));
        self.hidden += usize::from(is_secret);
        self.path.push(step);
        check(self);
        self.path.pop();
        self.hidden -= usize::from(is_secret);
    }

    fn add(&mut self, constraint: Constraint<'a>, value: Option<(&'a Shape, &Value)>) {
        let shown = value.filter(|_| self.hidden == 0).map(|(shape, value)| self.shown(shape, value));
        self.found.push(Violation { path: self.path.clone(), value: shown, constraint });
    }

    /// Formats a value as messages show it, without its secret parts.
    fn shown(&self, shape: &Shape, value: &Value) -> String {
        match value {
            Value::Array(items) => {
                let item = self.table.item(shape);
                let items = items.iter().map(|value| item.map_or_else(String::new, |item| self.shown(item, value)));
                format!("[{}]", items.collect::<Vec<_>>().join(", "))
            }
            Value::Object(fields) => {
                let fields = fields.iter().filter_map(|(name, field)| {
                    let inner = self.table.member(shape, name).or_else(|| self.table.item(shape))?;
                    let is_secret = inner.sensitive || (self.hides)(name);
                    let field = if is_secret { "***".to_owned() } else { self.shown(inner, field) };
                    Some(format!("{name}={field}"))
                });
                format!("{{{}}}", fields.collect::<Vec<_>>().join(", "))
            }
            _ if shape.sensitive => "***".to_owned(),
            Value::String(text) => text.clone(),
            other => other.to_string(),
        }
    }
}

/// Returns the constraints of a shape itself that a value violates. AWS reports patterns before lengths.
fn violated<'a>(shape: &'a Shape, value: &Value) -> Vec<Constraint<'a>> {
    all(shape).into_iter().filter(|constraint| !is_satisfied(shape, constraint, value)).collect()
}

/// Returns the constraints of a shape itself, without those of its members or items.
fn all(shape: &Shape) -> Vec<Constraint<'_>> {
    let mut all = Vec::new();
    if !shape.values.is_empty() {
        all.push(Constraint::Values(&shape.values));
    }
    all.extend(shape.pattern.as_deref().map(Constraint::Pattern));
    if shape.kind.is_number() {
        all.extend(shape.max.as_ref().map(Constraint::MaxValue));
        all.extend(shape.min.as_ref().map(Constraint::MinValue));
    } else {
        all.extend(shape.max.as_ref().map(Constraint::MaxLength));
        all.extend(shape.min.as_ref().map(Constraint::MinLength));
    }
    all
}

fn is_satisfied(shape: &Shape, constraint: &Constraint<'_>, value: &Value) -> bool {
    match constraint {
        Constraint::Values(values) => value.as_str().is_none_or(|text| values.iter().any(|allowed| allowed == text)),
        Constraint::Pattern(_) => value.as_str().is_none_or(|text| shape.matches(text)),
        Constraint::MinLength(least) => length(shape, value).is_none_or(|length| length >= number(least)),
        Constraint::MaxLength(most) => length(shape, value).is_none_or(|length| length <= number(most)),
        Constraint::MinValue(least) => quantity(value).is_none_or(|value| value >= number(least)),
        Constraint::MaxValue(most) => quantity(value).is_none_or(|value| value <= number(most)),
        Constraint::Required | Constraint::Items(_) | Constraint::Keys(_) | Constraint::MapValues(_) => true,
    }
}

fn number(number: &Number) -> f64 {
    number.as_f64().unwrap_or_default()
}

/// Returns a number, which forms contain as a text; `None` for another value, which the operation refuses.
fn quantity(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| value.as_str()?.parse().ok())
}

/// Returns the length of a text in characters, of binary data in bytes, and of a list or a map in entries.
fn length(shape: &Shape, value: &Value) -> Option<f64> {
    let length = match value {
        Value::String(text) if shape.kind == Kind::Blob => STANDARD.decode(text).ok()?.len(),
        Value::String(text) => text.chars().count(),
        Value::Array(items) => items.len(),
        Value::Object(fields) => fields.len(),
        _ => return None,
    };
    Some(length as f64)
}
