//! Conversion of forms to values, by the shape of the request.

use serde_json::{Map, Value};

use super::table::{Kind, Shape, Table};
use crate::wire::query::Params;

/// Converts a form to an object of texts, lists and objects. Names that the shape does not have are left out.
pub(super) fn to_value(table: &Table, shape: &Shape, params: &Params) -> Value {
    let members = table.members(shape);
    let members = members.filter_map(|(name, member)| Some((name.to_owned(), value(table, member, params, name)?)));
    Value::Object(members.collect())
}

/// Returns the value of a parameter; `None` if the form does not contain it.
fn value(table: &Table, shape: &Shape, params: &Params, name: &str) -> Option<Value> {
    match shape.kind {
        Kind::Structure => params.structure(name).map(|inner| to_value(table, shape, &inner)),
        Kind::List => {
            let named = shape.element.as_ref().map(|element| params.structures(&format!("{name}.{element}")));
            let entries = named.filter(|entries| !entries.is_empty()).unwrap_or_else(|| params.structures(name));
            let item = table.item(shape)?;
            let items: Vec<Value> = entries.iter().map(|entry| element(table, item, entry)).collect();
            // Clients send an empty list as its bare name.
            (!items.is_empty() || params.optional(name) == Some("")).then_some(Value::Array(items))
        }
        Kind::Map => {
            let nested = params.structures(&format!("{name}.entry"));
            let entries = if nested.is_empty() { params.structures(name) } else { nested };
            let item = table.item(shape)?;
            let pairs = entries
                .iter()
                .filter_map(|entry| Some((entry.optional("key")?.to_owned(), value(table, item, entry, "value")?)));
            let pairs: Map<String, Value> = pairs.collect();
            (!pairs.is_empty()).then_some(Value::Object(pairs))
        }
        _ => params.optional(name).map(Value::from),
    }
}

fn element(table: &Table, item: &Shape, entry: &Params) -> Value {
    match item.kind {
        Kind::Structure => to_value(table, item, entry),
        _ => value(table, item, entry, "").unwrap_or(Value::Null),
    }
}
