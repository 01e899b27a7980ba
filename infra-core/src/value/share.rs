//! Shared maps: the same tags, ports and options repeat in many resources of a stack.

use super::{map::Map, value::Value};
use crate::intern::{Slots, mix};
use std::{cell::RefCell, sync::Arc};

thread_local! {
    static MAPS: RefCell<Slots<Map<Value>>> = RefCell::new(Slots::new());
}

/// Returns a map that is shared with equal maps of interned texts, numbers and flags. Other maps stay as they are.
pub(super) fn share(map: Map<Value>) -> Map<Value> {
    let Some(hash) = fingerprint(&map) else {
        return map;
    };
    MAPS.with_borrow_mut(|maps| maps.get_or_insert(hash, |known| is_same(known, &map), || map.clone()))
}

/// Hashes a map without nested values. Texts are hashed by their address.
fn fingerprint(map: &Map<Value>) -> Option<u64> {
    map.iter().try_fold(0, |sum, (name, value)| {
        let value = match value {
            Value::String(text) => address(text),
            Value::Number(number) => number.as_f64()?.to_bits(),
            Value::Bool(flag) => u64::from(*flag),
            _ => return None,
        };
        Some(mix(mix(sum, address(name)), value))
    })
}

/// Returns `true` if two maps without nested values consist of the same texts, and equal numbers of one type.
fn is_same(one: &Map<Value>, other: &Map<Value>) -> bool {
    one.len() == other.len()
        && one.iter().zip(other).all(|((name, value), (other_name, other))| {
            let values = match (value, other) {
                (Value::String(value), Value::String(other)) => Arc::ptr_eq(value, other),
                (Value::Number(value), Value::Number(other)) => value == other,
                (Value::Bool(value), Value::Bool(other)) => value == other,
                _ => false,
            };
            values && Arc::ptr_eq(name, other_name)
        })
}

fn address(text: &Arc<str>) -> u64 {
    text.as_ptr() as u64
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::intern::intern;

    fn map(entries: &[(&str, Value)]) -> Map<Value> {
        Map::from_entries(entries.iter().map(|(name, value)| (intern(name), value.clone())).collect())
    }

    #[test]
    fn flat_maps_are_shared_and_all_maps_stay_equal() {
        let tags = || map(&[("team", Value::String(intern("storage"))), ("port", Value::Number(80.into()))]);
        let (one, two) = (share(tags()), share(tags()));
        assert!(one.is_same(&two));
        assert_eq!(one, tags());
        let other = share(map(&[("team", Value::String(intern("network"))), ("port", Value::Number(80.into()))]));
        assert!(other.get("team") == Some(&Value::from("network")) && !other.is_same(&one));
        let nested = || map(&[("list", Value::List(Vec::new()))]);
        assert!(!share(nested()).is_same(&share(nested())));
    }
}
