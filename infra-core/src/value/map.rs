//! The map inside a value, and inside an expression.

use super::value::Value;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, sync::Arc};

/// Named values (or expressions), in order of their names.
///
/// Properties are few and stacks are large: a sorted list takes a third of the room of a tree, and what is read from a
/// state comes in order. Copies share it until one is changed, for what a resource was made with stands in the program,
/// the journal and the state.
#[derive(Debug)]
pub struct Map<V = Value>(Arc<Vec<(String, V)>>);

impl<V: Clone> Map<V> {
    /// An empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of this name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.position(name).ok().map(|at| &self.0[at].1)
    }

    /// The value of this name, to be changed.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.position(name).ok().map(|at| &mut Arc::make_mut(&mut self.0)[at].1)
    }

    /// Names a value; the answer is what had the name before.
    pub fn insert(&mut self, name: String, value: V) -> Option<V> {
        let position = match self.0.last() {
            Some((last, _)) if *last >= name => self.position(&name),
            _ => Err(self.0.len()),
        };
        let entries = Arc::make_mut(&mut self.0);
        match position {
            Ok(at) => Some(std::mem::replace(&mut entries[at].1, value)),
            Err(at) => {
                entries.insert(at, (name, value));
                None
            }
        }
    }

    /// Removes the value of this name.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        self.position(name).ok().map(|at| Arc::make_mut(&mut self.0).remove(at).1)
    }

    /// Every name and value.
    pub fn iter(&self) -> MapIter<'_, V> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// The names.
    pub fn keys(&self) -> impl Iterator<Item = &String> {
        self.iter().map(|(name, _)| name)
    }

    /// The values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is nothing.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| known.as_str().cmp(name))
    }
}

impl<V> Clone for Map<V> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<V> Default for Map<V> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<V: PartialEq> PartialEq for Map<V> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.0 == other.0
    }
}

/// Every name and value of a map.
pub type MapIter<'a, V = Value> =
    std::iter::Map<std::slice::Iter<'a, (String, V)>, fn(&'a (String, V)) -> (&'a String, &'a V)>;

impl<'a, V: Clone> IntoIterator for &'a Map<V> {
    type Item = (&'a String, &'a V);
    type IntoIter = MapIter<'a, V>;

    fn into_iter(self) -> MapIter<'a, V> {
        self.iter()
    }
}

impl<V: Clone> FromIterator<(String, V)> for Map<V> {
    fn from_iter<I: IntoIterator<Item = (String, V)>>(entries: I) -> Self {
        let mut map = Self::new();
        for (name, value) in entries {
            map.insert(name, value);
        }
        map
    }
}

impl<V: Clone, const N: usize> From<[(String, V); N]> for Map<V> {
    fn from(entries: [(String, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<V: Clone> IntoIterator for Map<V> {
    type Item = (String, V);
    type IntoIter = std::vec::IntoIter<(String, V)>;

    fn into_iter(self) -> Self::IntoIter {
        Arc::unwrap_or_clone(self.0).into_iter()
    }
}

impl<V: Serialize> Serialize for Map<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (name, value)))
    }
}

impl<'de, V: Deserialize<'de> + Clone> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_in_order_however_it_was_filled() {
        let named = |name: &str| (name.to_owned(), Value::from(name));
        let mut map: Map = ["c", "a", "d", "b"].map(named).into();
        assert_eq!(map.keys().collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(map.insert("b".into(), Value::from("other")), Some(Value::from("b")));
        assert_eq!(map.remove("c"), Some(Value::from("c")));
        assert_eq!((map.len(), map.get("b"), map.get("c")), (3, Some(&Value::from("other")), None));
        assert_eq!(map, [("d".into(), "d".into()), ("a".into(), "a".into()), ("b".into(), "other".into())].into());
    }
}
