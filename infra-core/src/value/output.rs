//! Typed expressions.

use super::{
    capture,
    expression::{Expression, Opaque, Segment},
    value::Value,
};
use serde::{Deserialize, Deserializer, Serialize, Serializer, de::DeserializeOwned};
use serde_json::Value as Json;
use std::{fmt, marker::PhantomData, sync::Arc};

/// A value of type `T` that is known, or becomes known when a resource is created.
///
/// An output contains references to the resources that it is computed from, so a program never declares a dependency:
/// using an output creates it. It can be secret, and unknown in a preview. [`output_format!`](crate::output_format),
/// [`Output::field`], [`Output::index`], [`Output::join`] and [`all`] create expressions that plans can show;
/// [`Output::map`] takes a closure.
pub struct Output<T> {
    expression: Arc<Expression>,
    kind: PhantomData<fn() -> T>,
}

/// The input of a property: a value, or another resource's output. An input is an output from the consumer's point of
/// view, so passing one on needs no conversion; a plain value becomes one with `.into()`.
pub type Input<T> = Output<T>;

/// The error of reading an output whose value is not available.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Unresolved {
    /// The value is known only after a resource has been applied.
    #[error("the value of {0} is not known yet")]
    Unknown(String),
    /// The value is known, but is not a `T`.
    #[error("the value does not have the expected shape: {0}")]
    Shape(String),
}

impl<T> Output<T> {
    /// Creates an output that is computed by `expression`, whose value must have the JSON shape of `T`.
    pub fn from_expression(expression: Expression) -> Self {
        Self { expression: Arc::new(expression), kind: PhantomData }
    }

    /// Returns the expression.
    pub fn expression(&self) -> &Expression {
        &self.expression
    }

    /// Marks the value as secret: encrypted in the state, masked everywhere else.
    pub fn secret(&self) -> Self {
        Self::from_expression(Expression::Secret(Box::new(self.expression().clone())))
    }

    /// Returns the named field of a map or struct.
    pub fn field<U>(&self, name: &str) -> Output<U> {
        self.part(Segment::Field(name.to_owned()))
    }

    /// Returns the same value as another type with the same JSON shape.
    pub fn cast<U>(&self) -> Output<U> {
        Output { expression: self.expression.clone(), kind: PhantomData }
    }

    /// Returns the result of a closure, which is called once the value is known. Plans can show and compare the result,
    /// but not the closure.
    pub fn map<U>(&self, closure: impl Fn(T) -> U + Send + Sync + 'static) -> Output<U>
    where
        T: DeserializeOwned,
        U: Serialize,
    {
        let apply = move |value: Value| {
            let typed = serde_json::from_value(value.to_json()).map_err(|e| e.to_string())?;
            let answer = serde_json::to_value(closure(typed)).map_err(|e| e.to_string())?;
            Ok(Value::from_json(answer))
        };
        Output::from_expression(Expression::Apply(Box::new(self.expression().clone()), Opaque(Arc::new(apply))))
    }

    /// Returns the value if it is known. In `create` and `update` of a handler, every value is known.
    pub fn known(&self) -> Result<T, Unresolved>
    where
        T: DeserializeOwned,
    {
        match self.expression() {
            Expression::Literal(Value::Unknown) => Err(Unresolved::Unknown("an input".into())),
            Expression::Literal(value) if value.has_unknown() => Err(Unresolved::Unknown(value.to_string())),
            Expression::Literal(value) => {
                serde_json::from_value(value.to_json()).map_err(|error| Unresolved::Shape(error.to_string()))
            }
            other => Err(Unresolved::Unknown(other.to_string())),
        }
    }

    fn part<U>(&self, segment: Segment) -> Output<U> {
        Output::from_expression(Expression::Part(Box::new(self.expression().clone()), segment))
    }
}

impl<T> Output<Vec<T>> {
    /// Returns the item at `index`, counted from 0.
    pub fn index(&self, index: usize) -> Output<T> {
        self.part(Segment::Index(index))
    }

    /// Returns those items that exist; see [`Scope::each`](crate::Scope::each).
    pub(crate) fn present(items: impl IntoIterator<Item = Output<T>>) -> Self {
        let items = items.into_iter().map(|item| item.expression().clone());
        Self::from_expression(Expression::Present(items.collect()))
    }

    /// Returns the condition that there are more than `count` items. More than `most` items are an error.
    pub(crate) fn longer(&self, count: usize, most: usize) -> Expression {
        Expression::Longer { list: Box::new(self.expression().clone()), count, most }
    }

    /// Joins the items with a separator.
    pub fn join(&self, separator: &str) -> Output<String> {
        Output::from_expression(Expression::Join(separator.to_owned(), Box::new(self.expression().clone())))
    }

    /// Returns a list of outputs as one output.
    pub fn list(items: impl IntoIterator<Item = Output<T>>) -> Self {
        let items = items.into_iter().map(|item| item.expression().clone());
        Self::from_expression(Expression::List(items.collect()))
    }
}

/// Combines several outputs into one, for [`Output::map`].
pub fn all<L: Tuple>(outputs: L) -> Output<L::Values> {
    Output::from_expression(Expression::List(outputs.expressions()))
}

/// A tuple of outputs.
pub trait Tuple {
    /// The tuple of their values.
    type Values;
    /// Returns their expressions, in order.
    fn expressions(&self) -> Vec<Expression>;
}

macro_rules! tuple {
    ($($name:ident)+) => {
        impl<$($name),+> Tuple for ($(Output<$name>,)+) {
            type Values = ($($name,)+);
            #[allow(non_snake_case)]
            fn expressions(&self) -> Vec<Expression> {
                let ($($name,)+) = self;
                vec![$($name.expression().clone()),+]
            }
        }
    };
}
tuple!(A B);
tuple!(A B C);
tuple!(A B C D);

impl<T: Serialize> From<T> for Output<T> {
    fn from(value: T) -> Self {
        // A `T` whose serialisation fails cannot be a property. It becomes null, which the provider's check reports
        // with the property's name.
        let expression = capture::lower(&value).unwrap_or(Expression::Literal(Value::Null));
        Self::from_expression(expression)
    }
}

impl From<&str> for Output<String> {
    fn from(text: &str) -> Self {
        Self::from(text.to_owned())
    }
}

impl<T> From<&Output<T>> for Output<T> {
    fn from(output: &Output<T>) -> Self {
        output.clone()
    }
}

impl<T> Clone for Output<T> {
    fn clone(&self) -> Self {
        self.cast()
    }
}

impl<T> fmt::Debug for Output<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.expression, f)
    }
}

impl<T> Serialize for Output<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        capture::serialize(&self.expression, std::any::type_name::<T>(), serializer)
    }
}

impl<'de, T> Deserialize<'de> for Output<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        capture::deserialize(deserializer).map(|expression| Self { expression, kind: PhantomData })
    }
}

/// Formats outputs and values as text: `output_format!("http://{}:{}", balancer.dns_name, port)`.
///
/// Every `{}` takes the next argument, which is any [`Piece`]; `{{` and `}}` are braces. A wrong number of arguments is
/// an error of the declaration that uses the text.
#[macro_export]
macro_rules! output_format {
    ($text:literal $(, $argument:expr)* $(,)?) => {
        $crate::value::Output::<String>::interpolate($text, [
            $($crate::value::Piece::piece(&$argument)),*
        ])
    };
}

/// A JSON document that may contain outputs: `output_json!({"VpcId": network.vpc_id, "Tags": [{"Key": "stage", "Value":
/// stage}]})`.
///
/// It is written like `serde_json::json!`. Any expression in it may be an [`Output`](crate::Output).
#[macro_export]
macro_rules! output_json {
    ($($json:tt)+) => {
        $crate::value::Output::<$crate::value::Json>::document(|| $crate::value::json!($($json)+))
    };
}

/// An argument of [`output_format!`](crate::output_format): an output, a text or a number.
pub trait Piece {
    /// Returns the expression for the text.
    fn piece(&self) -> Expression;
}

impl<T> Piece for Output<T> {
    fn piece(&self) -> Expression {
        self.expression().clone()
    }
}

impl<P: Piece + ?Sized> Piece for &P {
    fn piece(&self) -> Expression {
        (**self).piece()
    }
}

macro_rules! piece {
    ($($kind:ty)+) => {$(
        impl Piece for $kind {
            fn piece(&self) -> Expression {
                Expression::Literal(Value::from(self.to_string()))
            }
        }
    )+};
}
piece!(str String u8 u16 u32 u64 usize i32 i64 bool);

impl Output<Json> {
    /// Converts a JSON document that contains outputs. [`output_json!`](crate::output_json) expands to it.
    #[doc(hidden)]
    pub fn document(make: impl FnOnce() -> Json) -> Self {
        Self::from_expression(capture::document(make).unwrap_or(Expression::Literal(Value::Null)))
    }
}

impl Output<String> {
    /// Joins texts and outputs. [`output_format!`](crate::output_format) expands to it.
    #[doc(hidden)]
    pub fn interpolate(text: &str, arguments: impl IntoIterator<Item = Expression>) -> Self {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut arguments = arguments.into_iter();
        let mut rest = text;
        while let Some(at) = rest.find(['{', '}']) {
            literal.push_str(&rest[..at]);
            let brace = &rest[at..];
            let taken = if brace.starts_with("{}") {
                pieces.push(Expression::Literal(std::mem::take(&mut literal).into()));
                pieces.push(arguments.next().unwrap_or_else(|| missing(text)));
                2
            } else if brace.starts_with("{{") || brace.starts_with("}}") {
                literal.push_str(&brace[..1]);
                2
            } else {
                literal.push_str(&brace[..1]);
                1
            };
            rest = &brace[taken..];
        }
        literal.push_str(rest);
        pieces.push(Expression::Literal(literal.into()));
        if arguments.next().is_some() {
            pieces.push(missing(text));
        }
        pieces.retain(|piece| !matches!(piece, Expression::Literal(Value::String(s)) if s.is_empty()));
        Self::from_expression(Expression::Format(pieces))
    }
}

/// Returns an expression whose evaluation fails with this text.
fn missing(text: &str) -> Expression {
    let message = format!("the text {text:?} does not have as many `{{}}` as arguments");
    Expression::Apply(Box::new(Expression::Literal(Value::Null)), Opaque(Arc::new(move |_| Err(message.clone()))))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::{urn::Urn, value::Reference};
    use serde_json::json;

    fn reference<T>(property: &str) -> Output<T> {
        Output::from_expression(Expression::reference(Reference {
            urn: Urn::new("dev", "p", "t:T", "a").unwrap(),
            property: property.into(),
            secret: property == "password",
            region: None,
        }))
    }

    fn evaluate<T>(output: &Output<T>, outputs: Option<serde_json::Value>) -> Value {
        let outputs = outputs.map(|json| {
            let mut value = Value::from_json(json);
            if let Value::Map(map) = &mut value
                && let Some(password) = map.remove("password")
            {
                map.insert("password", password.into_secret());
            }
            value
        });
        output.expression().evaluate(&|_| outputs.as_ref()).unwrap()
    }

    #[test]
    fn formatted_text_is_unknown_or_secret_like_its_arguments() {
        let host: Output<String> = reference("host");
        let password: Output<String> = reference("password");
        let url = output_format!("postgres://cloud:{}@{}:{}/{{x}}", password, host, 5432);
        assert!(url.expression().is_secret());
        assert_eq!(evaluate(&url, None), Value::Unknown);
        let value = evaluate(&url, Some(json!({"host": "h", "password": "pw"})));
        assert_eq!(value.as_str(), Some("postgres://cloud:pw@h:5432/{x}"));
        assert_eq!(value.to_string(), "[secret]");
        insta::assert_snapshot!(url.expression(), @"postgres://cloud:${a.password}@${a.host}:5432/{x}");
    }

    #[test]
    fn lists_fields_and_closures_are_evaluated() {
        let list: Output<Vec<String>> = reference("list");
        let both = all((list.index(1), list.join("+"))).map(|(a, b)| format!("{a}={b}"));
        assert_eq!(evaluate(&both, Some(json!({"list": ["x", "y"]}))).as_str(), Some("y=x+y"));
        assert_eq!(evaluate(&both, None), Value::Unknown);
        let inner: Output<u16> = reference::<serde_json::Value>("map").field("port");
        assert_eq!(evaluate(&inner, Some(json!({"map": {"port": 80}}))), Value::from_json(json!(80)));
    }

    #[test]
    fn documents_may_contain_outputs_at_any_depth() {
        let (host, password): (Output<String>, Output<String>) = (reference("host"), reference("password"));
        let document = crate::output_json!({
            "Host": host, "Port": 5432, "Tags": [{"Key": "of", "Value": &host}], "Account": {"Password": password},
        });
        assert!(document.expression().is_secret());
        let value = evaluate(&document, Some(json!({"host": "h", "password": "pw"})));
        assert_eq!(
            value.to_json(),
            json!({"Host": "h", "Port": 5432, "Tags": [{"Key": "of", "Value": "h"}], "Account": {"Password": "pw"}})
        );
        assert_eq!(value.field("Account").unwrap().to_string(), r#"{"Password":"[secret]"}"#);
        let unknown = evaluate(&document, None);
        assert_eq!(unknown.field("Host"), Some(&Value::Unknown));
        assert_eq!(unknown.field("Port"), Some(&Value::from_json(json!(5432))));
    }

    #[test]
    fn wrong_number_of_arguments_is_an_error() {
        let text = output_format!("{} {}", "a");
        let error = text.expression().evaluate(&|_| None).unwrap_err();
        assert!(error.to_string().contains("as many"), "{error}");
    }
}
