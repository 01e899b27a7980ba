//! Expressions over the outputs of resources.

use super::{map::Map, mask::Mask, value::Value};
use crate::urn::Urn;
use serde::{Deserialize, Serialize};
use std::{fmt, sync::Arc};

/// The computation of a property. Everything but [`Expression::Apply`] is data that can be printed and compared.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Expression {
    /// A value that is known while declaring.
    Literal(Value),
    /// An output of another resource.
    Reference(Box<Reference>),
    /// A list of expressions.
    List(Vec<Expression>),
    /// Named expressions.
    Map(Map<Expression>),
    /// Texts and values that are concatenated.
    Format(Vec<Expression>),
    /// The items of a list, joined with a separator.
    Join(String, Box<Expression>),
    /// A part of a value.
    Part(Box<Expression>, Segment),
    /// `true` if a list has more than `count` items. More than `most` items are an error.
    Longer {
        /// The list.
        list: Box<Expression>,
        /// Lower bound, exclusive.
        count: usize,
        /// Maximum number of items.
        most: usize,
    },
    /// The existing items of a list. Values of absent declarations are omitted.
    Present(Vec<Expression>),
    /// The value marked as secret.
    #[serde(with = "super::sealed::expression")]
    Secret(Box<Expression>),
    /// The result of a closure, which cannot be compared or printed.
    #[serde(skip)]
    Apply(Box<Expression>, Opaque),
    /// The result of a closure of an earlier program. It is valid as long as the argument has the same value.
    Answered(Box<Answered>),
}

/// The result of a closure of an earlier program.
#[derive(Clone, Serialize, Deserialize)]
pub struct Answered {
    /// The expression of the closure's argument.
    pub of: Expression,
    /// The value of the argument at that time.
    pub given: Value,
    /// The result of the closure.
    pub answer: Value,
}

/// An output of a resource, as an expression.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reference {
    /// The resource.
    pub urn: Urn,
    /// Name of the output.
    pub property: String,
    /// `true` if the kind declares the output secret.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub secret: bool,
    /// The region outside of which the output is invalid, if there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
}

/// A step into a value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Segment {
    /// The field of a map.
    Field(String),
    /// The item of a list, counted from 0.
    Index(usize),
}

/// A closure inside an expression.
#[derive(Clone)]
pub struct Opaque(pub(super) Arc<Closure>);

type Closure = dyn Fn(Value) -> Result<Value, String> + Send + Sync;

/// An error of the evaluation of an expression.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EvaluateError {
    /// The resource has no such output.
    #[error("`{}` has no output `{property}`", urn.short())]
    NoOutput {
        /// The resource.
        urn: Urn,
        /// The requested name.
        property: String,
    },
    /// The value has no such part.
    #[error("{value} has no part `{segment}`")]
    NoPart {
        /// The value, masked.
        value: String,
        /// The field or index.
        segment: String,
    },
    /// A value has the wrong type, for example where a text is expected.
    #[error("expected {expected}, found {found}")]
    Kind {
        /// The expected kind of value.
        expected: &'static str,
        /// The actual value, masked.
        found: String,
    },
    /// A set has more items than the program allows.
    #[error("there are {found} items, and the program allows {most}: raise the bound given to `each`")]
    TooMany {
        /// Number of items.
        found: usize,
        /// Maximum number of items.
        most: usize,
    },
    /// A closure of an earlier program would have to be called again.
    #[error(
        "its value was computed by a closure of the earlier program from {0}, whose value has changed since: it \
         cannot be computed again"
    )]
    Unrepeatable(String),
    /// A closure given to `map` failed.
    #[error("a mapped value could not be computed: {0}")]
    Closure(String),
}

impl Expression {
    /// Returns the expression of an output.
    pub fn reference(reference: Reference) -> Self {
        Self::Reference(Box::new(reference))
    }

    /// Calls `visit` for every reference. The second argument is `true` if the reference is the whole value and not
    /// part of a text or closure.
    pub fn references<'a>(&'a self, visit: &mut dyn FnMut(&'a Reference, bool)) {
        self.walk(true, visit);
    }

    /// Calls `visit` for every reference with the path to the part of the output that the expression uses, such as a field
    /// of a document.
    pub fn parts<'a>(&'a self, visit: &mut dyn FnMut(&'a Reference, &[&'a Segment])) {
        let (mut whole, mut path) = (self, Vec::new());
        while let Self::Part(inner, segment) = whole {
            path.insert(0, segment);
            whole = inner;
        }
        match whole {
            Self::Reference(reference) => visit(reference, &path),
            other => other.children().for_each(|child| child.parts(visit)),
        }
    }

    /// Returns `true` if the value is secret, as far as that is known while declaring.
    pub fn is_secret(&self) -> bool {
        match self {
            Self::Secret(_) => true,
            Self::Literal(value) => value.has_secret(),
            _ => {
                let mut secret = false;
                self.references(&mut |reference, _| secret |= reference.secret);
                secret || self.children().any(Self::is_secret)
            }
        }
    }

    /// Computes the value. `outputs` returns the known outputs of a resource; `None` if none are known.
    pub fn evaluate<'a>(&self, outputs: &dyn Fn(&Urn) -> Option<&'a Value>) -> Result<Value, EvaluateError> {
        let evaluate = |inner: &Expression| inner.evaluate(outputs);
        Ok(match self {
            Self::Literal(value) => value.clone(),
            Self::Reference(reference) => resolve(reference, outputs(&reference.urn))?,
            Self::List(items) => Value::List(items.iter().map(evaluate).collect::<Result<_, _>>()?),
            Self::Map(map) => Value::Map(
                map.iter()
                    .map(|(key, item)| Ok((key.clone(), evaluate(item)?)))
                    .filter(|entry| !matches!(entry, Ok((_, Value::Null))))
                    .collect::<Result<_, EvaluateError>>()?,
            ),
            Self::Format(items) => {
                let values = items.iter().map(evaluate).collect::<Result<Vec<_>, _>>()?;
                concatenate(&values, "")?
            }
            Self::Join(separator, items) => match evaluate(items)? {
                Value::List(values) => concatenate(&values, separator)?,
                Value::Unknown => Value::Unknown,
                other => {
                    return Err(EvaluateError::Kind { expected: "a list", found: other.to_string() });
                }
            },
            Self::Part(inner, segment) => part(evaluate(inner)?, segment)?,
            Self::Longer { list, count, most } => longer(&evaluate(list)?, *count, *most)?,
            Self::Present(items) => {
                let values = items.iter().map(evaluate).collect::<Result<Vec<_>, _>>()?;
                if values.iter().any(|value| matches!(value, Value::Unknown)) {
                    // The number of items is unknown as well.
                    return Ok(Value::Unknown);
                }
                Value::List(values.into_iter().filter(|value| !matches!(value, Value::Null)).collect())
            }
            Self::Secret(inner) => evaluate(inner)?.into_secret(),
            Self::Apply(inner, Opaque(closure)) => {
                let value = evaluate(inner)?;
                if value.has_unknown() {
                    return Ok(Value::Unknown);
                }
                let secret = value.has_secret();
                let answer = closure(value.revealed());
                let answer = answer.map_err(|error| EvaluateError::Closure(Mask::of([&value]).text(&error)))?;
                if secret { answer.into_secret() } else { answer }
            }
            Self::Answered(answered) => {
                if evaluate(&answered.of)? != answered.given {
                    return Err(EvaluateError::Unrepeatable(answered.of.to_string()));
                }
                answered.answer.clone()
            }
        })
    }

    /// Returns `true` if the value is certainly equal to `known`. It does not construct the value, because most
    /// resources of a stack are unchanged.
    pub fn yields<'a>(&self, known: &Value, outputs: &dyn Fn(&Urn) -> Option<&'a Value>) -> bool {
        let same = |value: &Value| value == known && !value.has_unknown();
        match (self, known) {
            (_, Value::Secret(known)) => self.yields(known, outputs),
            (Self::Literal(value), _) => same(value),
            (Self::Reference(reference), _) => {
                let Reference { urn, property, .. } = &**reference;
                outputs(urn).and_then(|outputs| outputs.field(property)).is_some_and(same)
            }
            (Self::List(items), Value::List(known)) => {
                items.len() == known.len() && items.iter().zip(known).all(|(item, known)| item.yields(known, outputs))
            }
            (Self::Map(map), Value::Map(known)) => {
                let mut pairs = map.iter().zip(known.iter());
                map.len() == known.len()
                    && pairs
                        .all(|((name, item), (known_name, known))| name == known_name && item.yields(known, outputs))
            }
            (Self::Secret(inner), _) => inner.yields(known, outputs),
            _ => self.evaluate(outputs).is_ok_and(|value| same(&value)),
        }
    }

    /// Converts the expression to data: closures are replaced by their results for these outputs.
    pub fn answered<'a>(&self, outputs: &dyn Fn(&Urn) -> Option<&'a Value>) -> Result<Self, EvaluateError> {
        let inner = |inner: &Expression| inner.answered(outputs).map(Box::new);
        let all = |items: &[Expression]| items.iter().map(|item| item.answered(outputs)).collect::<Result<_, _>>();
        Ok(match self {
            Self::Literal(_) | Self::Reference(_) | Self::Answered(_) => self.clone(),
            Self::List(items) => Self::List(all(items)?),
            Self::Format(items) => Self::Format(all(items)?),
            Self::Present(items) => Self::Present(all(items)?),
            Self::Map(map) => {
                let entries = map.iter().map(|(key, item)| Ok((key.clone(), item.answered(outputs)?)));
                Self::Map(entries.collect::<Result<_, EvaluateError>>()?)
            }
            Self::Join(separator, items) => Self::Join(separator.clone(), inner(items)?),
            Self::Part(whole, segment) => Self::Part(inner(whole)?, segment.clone()),
            Self::Longer { list, count, most } => Self::Longer { list: inner(list)?, count: *count, most: *most },
            Self::Secret(plain) => Self::Secret(inner(plain)?),
            Self::Apply(argument, _) => {
                let (given, answer) = (argument.evaluate(outputs)?, self.evaluate(outputs)?);
                Self::Answered(Box::new(Answered { of: argument.answered(outputs)?, given, answer }))
            }
        })
    }

    fn walk<'a>(&'a self, plain: bool, visit: &mut dyn FnMut(&'a Reference, bool)) {
        if let Self::Reference(reference) = self {
            visit(reference, plain);
        }
        let plain = plain
            && !matches!(
                self,
                Self::Format(_) | Self::Join(..) | Self::Longer { .. } | Self::Apply(..) | Self::Answered(_)
            );
        for child in self.children() {
            child.walk(plain, visit);
        }
    }

    fn children(&self) -> Box<dyn Iterator<Item = &Expression> + '_> {
        match self {
            Self::Literal(_) | Self::Reference(_) => Box::new(std::iter::empty()),
            Self::List(items) | Self::Format(items) | Self::Present(items) => Box::new(items.iter()),
            Self::Map(map) => Box::new(map.values()),
            Self::Join(_, inner)
            | Self::Part(inner, _)
            | Self::Longer { list: inner, .. }
            | Self::Secret(inner)
            | Self::Apply(inner, _) => Box::new(std::iter::once(inner.as_ref())),
            Self::Answered(answered) => Box::new(std::iter::once(&answered.of)),
        }
    }
}

fn resolve(reference: &Reference, outputs: Option<&Value>) -> Result<Value, EvaluateError> {
    match outputs {
        None | Some(Value::Unknown) => Ok(Value::Unknown),
        // The declaration is absent.
        Some(Value::Null) => Ok(Value::Null),
        Some(outputs) => outputs.field(&reference.property).cloned().ok_or_else(|| EvaluateError::NoOutput {
            urn: reference.urn.clone(),
            property: reference.property.clone(),
        }),
    }
}

fn part(value: Value, segment: &Segment) -> Result<Value, EvaluateError> {
    let found = match (&value, segment) {
        (Value::Unknown, _) => return Ok(Value::Unknown),
        (Value::Secret(inner), _) => {
            return part((**inner).clone(), segment).map(Value::into_secret);
        }
        (Value::Map(map), Segment::Field(name)) => map.get(name),
        (Value::List(items), Segment::Index(index)) => items.get(*index),
        _ => None,
    };
    found.cloned().ok_or_else(|| EvaluateError::NoPart { value: value.to_string(), segment: segment.to_string() })
}

fn longer(value: &Value, count: usize, most: usize) -> Result<Value, EvaluateError> {
    match value {
        Value::Unknown => Ok(Value::Unknown),
        Value::Secret(inner) => longer(inner, count, most),
        Value::Null => Ok(Value::Bool(false)),
        Value::List(items) if items.len() > most => Err(EvaluateError::TooMany { found: items.len(), most }),
        Value::List(items) => Ok(Value::Bool(items.len() > count)),
        other => Err(EvaluateError::Kind { expected: "a list", found: other.to_string() }),
    }
}

fn concatenate(values: &[Value], separator: &str) -> Result<Value, EvaluateError> {
    if values.iter().any(Value::has_unknown) {
        return Ok(Value::Unknown);
    }
    let texts: Vec<String> = values
        .iter()
        .map(|value| match value.revealed() {
            Value::String(text) => Ok(text.as_ref().to_owned()),
            Value::Number(number) => Ok(number.to_string()),
            Value::Bool(flag) => Ok(flag.to_string()),
            other => Err(EvaluateError::Kind { expected: "a text, number or flag", found: other.to_string() }),
        })
        .collect::<Result<_, _>>()?;
    let text = Value::from(texts.join(separator));
    let secret = values.iter().any(Value::has_secret);
    Ok(if secret { text.into_secret() } else { text })
}

impl fmt::Display for Segment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Field(name) => f.write_str(name),
            Self::Index(index) => write!(f, "{index}"),
        }
    }
}

impl fmt::Display for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(value) => write!(f, "{value}"),
            Self::Reference(reference) => {
                let Reference { urn, property, .. } = &**reference;
                write!(f, "${{{}.{property}}}", urn.name())
            }
            Self::List(items) | Self::Present(items) => f.debug_list().entries(items).finish(),
            Self::Map(map) => f.debug_map().entries(map).finish(),
            Self::Format(items) => items.iter().try_for_each(|item| match item {
                Self::Literal(Value::String(text)) => f.write_str(text),
                other => write!(f, "{other}"),
            }),
            Self::Join(separator, items) => write!(f, "join({separator:?}, {items})"),
            Self::Part(inner, segment) => write!(f, "{inner}.{segment}"),
            Self::Longer { list, count, .. } => write!(f, "{list} has more than {count}"),
            Self::Secret(_) => f.write_str("[secret]"),
            Self::Apply(inner, _) => write!(f, "map({inner})"),
            Self::Answered(answered) => write!(f, "map({})", answered.of),
        }
    }
}

impl fmt::Debug for Expression {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}
