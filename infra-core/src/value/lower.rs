//! A serializer that produces expressions. Programs with many thousand declarations are lowered in every run, so it
//! creates no intermediate values.

use super::{
    expression::Expression,
    map::Map,
    marker::{self, LowerError},
    share::share,
    value::Value,
};
use crate::intern::intern;
use serde::{
    Serialize, Serializer,
    ser::{
        self, Error as _, SerializeMap, SerializeSeq, SerializeStruct, SerializeStructVariant, SerializeTuple,
        SerializeTupleStruct, SerializeTupleVariant,
    },
};
use serde_json::Number;
use std::{fmt, sync::Arc};

/// Represents absent values as nothing.
pub(super) struct Lowering;

type Lowered = Result<Option<Expression>, LowerError>;

fn literal(value: Value) -> Lowered {
    Ok(Some(Expression::Literal(value)))
}

impl ser::Error for LowerError {
    fn custom<T: fmt::Display>(message: T) -> Self {
        Self::new(message.to_string())
    }
}

impl Serializer for Lowering {
    type Ok = Option<Expression>;
    type Error = LowerError;
    type SerializeSeq = Items;
    type SerializeTuple = Items;
    type SerializeTupleStruct = Items;
    type SerializeTupleVariant = Items;
    type SerializeMap = Entries;
    type SerializeStruct = Entries;
    type SerializeStructVariant = Entries;

    fn serialize_bool(self, flag: bool) -> Lowered {
        literal(Value::Bool(flag))
    }

    fn serialize_i8(self, number: i8) -> Lowered {
        self.serialize_i64(number.into())
    }

    fn serialize_i16(self, number: i16) -> Lowered {
        self.serialize_i64(number.into())
    }

    fn serialize_i32(self, number: i32) -> Lowered {
        self.serialize_i64(number.into())
    }

    fn serialize_i64(self, number: i64) -> Lowered {
        literal(Value::Number(number.into()))
    }

    fn serialize_u8(self, number: u8) -> Lowered {
        self.serialize_u64(number.into())
    }

    fn serialize_u16(self, number: u16) -> Lowered {
        self.serialize_u64(number.into())
    }

    fn serialize_u32(self, number: u32) -> Lowered {
        self.serialize_u64(number.into())
    }

    fn serialize_u64(self, number: u64) -> Lowered {
        literal(Value::Number(number.into()))
    }

    fn serialize_f32(self, number: f32) -> Lowered {
        self.serialize_f64(number.into())
    }

    fn serialize_f64(self, number: f64) -> Lowered {
        Ok(Number::from_f64(number).map(|number| Expression::Literal(Value::Number(number))))
    }

    fn serialize_char(self, letter: char) -> Lowered {
        literal(Value::from(letter.to_string()))
    }

    fn serialize_str(self, text: &str) -> Lowered {
        literal(Value::String(intern(text)))
    }

    fn serialize_bytes(self, bytes: &[u8]) -> Lowered {
        literal(Value::List(bytes.iter().map(|&byte| Value::Number(byte.into())).collect()))
    }

    fn serialize_none(self) -> Lowered {
        Ok(None)
    }

    fn serialize_some<T: Serialize + ?Sized>(self, value: &T) -> Lowered {
        value.serialize(self)
    }

    fn serialize_unit(self) -> Lowered {
        Ok(None)
    }

    fn serialize_unit_struct(self, _: &'static str) -> Lowered {
        Ok(None)
    }

    fn serialize_unit_variant(self, _: &'static str, _: u32, variant: &'static str) -> Lowered {
        self.serialize_str(variant)
    }

    fn serialize_newtype_struct<T: Serialize + ?Sized>(self, _: &'static str, value: &T) -> Lowered {
        value.serialize(self)
    }

    fn serialize_newtype_variant<T: Serialize + ?Sized>(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        value: &T,
    ) -> Lowered {
        let mut entries = Entries::default();
        entries.add(intern(variant), value)?;
        entries.finish()
    }

    fn serialize_seq(self, _: Option<usize>) -> Result<Items, LowerError> {
        Ok(Items::default())
    }

    fn serialize_tuple(self, _: usize) -> Result<Items, LowerError> {
        Ok(Items::default())
    }

    fn serialize_tuple_struct(self, _: &'static str, _: usize) -> Result<Items, LowerError> {
        Ok(Items::default())
    }

    fn serialize_tuple_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Items, LowerError> {
        Ok(Items { variant: Some(variant), ..Items::default() })
    }

    fn serialize_map(self, _: Option<usize>) -> Result<Entries, LowerError> {
        Ok(Entries::default())
    }

    fn serialize_struct(self, _: &'static str, _: usize) -> Result<Entries, LowerError> {
        Ok(Entries::default())
    }

    fn serialize_struct_variant(
        self,
        _: &'static str,
        _: u32,
        variant: &'static str,
        _: usize,
    ) -> Result<Entries, LowerError> {
        Ok(Entries { variant: Some(variant), ..Entries::default() })
    }
}

/// The items of a list. Adjacent literals become one literal, which is cheap to evaluate and equal to the same value as
/// data.
#[derive(Default)]
pub(super) struct Items {
    variant: Option<&'static str>,
    items: Vec<Expression>,
}

impl Items {
    fn add<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), LowerError> {
        let item = item.serialize(Lowering)?;
        self.items.push(item.unwrap_or(Expression::Literal(Value::Null)));
        Ok(())
    }

    fn finish(self) -> Lowered {
        let list = if self.items.iter().all(|item| matches!(item, Expression::Literal(_))) {
            let values = self.items.into_iter().filter_map(|item| match item {
                Expression::Literal(value) => Some(value),
                _ => None,
            });
            let mut values: Vec<Value> = values.collect();
            values.shrink_to_fit();
            Expression::Literal(Value::List(values))
        } else {
            let mut items = self.items;
            items.shrink_to_fit();
            Expression::List(items)
        };
        within(self.variant, list)
    }
}

/// The entries of a map, without absent ones.
#[derive(Default)]
pub(super) struct Entries {
    variant: Option<&'static str>,
    key: Option<Arc<str>>,
    literals: Vec<(Arc<str>, Value)>,
    others: Vec<(Arc<str>, Expression)>,
    /// The captured expression, if the map is a marker.
    captured: Option<Expression>,
}

impl Entries {
    fn add<T: Serialize + ?Sized>(&mut self, key: Arc<str>, value: &T) -> Result<(), LowerError> {
        let value = value.serialize(Lowering)?;
        if *key == *marker::MARKER {
            self.captured = value.and_then(|index| marker::captured(&index));
            return Ok(());
        }
        match value {
            None => {}
            Some(Expression::Literal(value)) => self.literals.push((key, value)),
            Some(other) => self.others.push((key, other)),
        }
        Ok(())
    }

    fn finish(self) -> Lowered {
        if let Some(captured) = self.captured {
            return Ok(Some(captured));
        }
        let map = if self.others.is_empty() {
            Expression::Literal(Value::Map(share(Map::from_entries(self.literals))))
        } else {
            let literals = self.literals.into_iter().map(|(key, value)| (key, Expression::Literal(value)));
            Expression::Map(Map::from_entries(literals.chain(self.others).collect()))
        };
        within(self.variant, map)
    }
}

/// Serialises an enum variant with content as a map of one entry.
fn within(variant: Option<&'static str>, content: Expression) -> Lowered {
    Ok(Some(match (variant, content) {
        (None, content) => content,
        (Some(variant), Expression::Literal(value)) => {
            Expression::Literal(Value::Map([(intern(variant), value)].into()))
        }
        (Some(variant), content) => Expression::Map([(intern(variant), content)].into()),
    }))
}

impl SerializeMap for Entries {
    type Ok = Option<Expression>;
    type Error = LowerError;

    fn serialize_key<T: Serialize + ?Sized>(&mut self, key: &T) -> Result<(), LowerError> {
        self.key = Some(match key.serialize(Lowering)? {
            Some(Expression::Literal(Value::String(text))) => intern(&text),
            Some(Expression::Literal(Value::Number(number))) => number.to_string().into(),
            Some(Expression::Literal(Value::Bool(flag))) => flag.to_string().into(),
            _ => return Err(LowerError::custom("the key of a map must be a text")),
        });
        Ok(())
    }

    fn serialize_value<T: Serialize + ?Sized>(&mut self, value: &T) -> Result<(), LowerError> {
        let key = self.key.take().ok_or_else(|| LowerError::custom("a value of a map has no key"))?;
        self.add(key, value)
    }

    fn end(self) -> Lowered {
        self.finish()
    }
}

macro_rules! sequence {
    ($($kind:ident $method:ident)+) => {$(
        impl $kind for Items {
            type Ok = Option<Expression>;
            type Error = LowerError;

            fn $method<T: Serialize + ?Sized>(&mut self, item: &T) -> Result<(), LowerError> {
                self.add(item)
            }

            fn end(self) -> Lowered {
                self.finish()
            }
        }
    )+};
}
sequence! {
    SerializeSeq serialize_element
    SerializeTuple serialize_element
    SerializeTupleStruct serialize_field
    SerializeTupleVariant serialize_field
}

macro_rules! structure {
    ($($kind:ident)+) => {$(
        impl $kind for Entries {
            type Ok = Option<Expression>;
            type Error = LowerError;

            fn serialize_field<T: Serialize + ?Sized>(&mut self, key: &'static str, value: &T) -> Result<(), LowerError> {
                self.add(intern(key), value)
            }

            fn end(self) -> Lowered {
                self.finish()
            }
        }
    )+};
}
structure! { SerializeStruct SerializeStructVariant }
