//! The map inside a value, and inside an expression.

use crate::intern::intern;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::{collections::BTreeMap, sync::Arc};

/// Named values (or expressions), in the order of their names.
///
/// A sorted list instead of a tree: properties are few, stacks are large, and a state lists its properties in order.
/// Clones share the list until one of them is changed, because the program, the journal and the state hold the same
/// inputs. Names are shared by all maps.
#[derive(Debug)]
pub struct Map<V>(Arc<[(Arc<str>, V)]>);

impl<V: Clone> Map<V> {
    /// Creates an empty map.
    pub fn new() -> Self {
        Self::default()
    }

    /// Returns the value of this name.
    pub fn get(&self, name: &str) -> Option<&V> {
        self.position(name).ok().map(|at| &self.0[at].1)
    }

    /// Returns the value of this name for modification.
    pub fn get_mut(&mut self, name: &str) -> Option<&mut V> {
        self.position(name).ok().map(|at| &mut Arc::make_mut(&mut self.0)[at].1)
    }

    /// Sets the value of a name and returns the previous value.
    pub fn insert(&mut self, name: impl AsRef<str>, value: V) -> Option<V> {
        match self.position(name.as_ref()) {
            Ok(at) => Some(std::mem::replace(&mut Arc::make_mut(&mut self.0)[at].1, value)),
            Err(at) => {
                let mut entries = self.0.to_vec();
                entries.insert(at, (intern(name.as_ref()), value));
                self.0 = entries.into();
                None
            }
        }
    }

    /// Removes a name and returns its value.
    pub fn remove(&mut self, name: &str) -> Option<V> {
        let at = self.position(name).ok()?;
        let mut entries = self.0.to_vec();
        let (_, value) = entries.remove(at);
        self.0 = entries.into();
        Some(value)
    }

    /// Returns the names and values.
    pub fn iter(&self) -> MapIter<'_, V> {
        self.0.iter().map(|(name, value)| (name, value))
    }

    /// Returns the names.
    pub fn keys(&self) -> impl Iterator<Item = &Arc<str>> {
        self.iter().map(|(name, _)| name)
    }

    /// Returns the values.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// Returns the number of names.
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns `true` if the map has no names.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Creates a map from entries in any order. The last of several values of one name counts.
    pub(super) fn from_entries(mut entries: Vec<(Arc<str>, V)>) -> Self {
        if !entries.is_sorted_by(|(a, _), (b, _)| a < b) {
            entries.reverse();
            entries.sort_by(|(a, _), (b, _)| a.cmp(b));
            entries.dedup_by(|(a, _), (b, _)| a == b);
        }
        Self(entries.into())
    }

    /// Returns `true` if the two share their entries.
    #[cfg(test)]
    pub(super) fn is_same(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    fn position(&self, name: &str) -> Result<usize, usize> {
        self.0.binary_search_by(|(known, _)| (**known).cmp(name))
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

/// Iterator over the names and values of a map.
pub type MapIter<'a, V> =
    std::iter::Map<std::slice::Iter<'a, (Arc<str>, V)>, fn(&'a (Arc<str>, V)) -> (&'a Arc<str>, &'a V)>;

impl<'a, V: Clone> IntoIterator for &'a Map<V> {
    type Item = (&'a Arc<str>, &'a V);
    type IntoIter = MapIter<'a, V>;

    fn into_iter(self) -> MapIter<'a, V> {
        self.iter()
    }
}

impl<K: Into<Arc<str>>, V: Clone> FromIterator<(K, V)> for Map<V> {
    fn from_iter<I: IntoIterator<Item = (K, V)>>(entries: I) -> Self {
        Self::from_entries(entries.into_iter().map(|(name, value)| (name.into(), value)).collect())
    }
}

impl<K: Into<Arc<str>>, V: Clone, const N: usize> From<[(K, V); N]> for Map<V> {
    fn from(entries: [(K, V); N]) -> Self {
        entries.into_iter().collect()
    }
}

impl<V: Clone> IntoIterator for Map<V> {
    type Item = (Arc<str>, V);
    type IntoIter = std::vec::IntoIter<(Arc<str>, V)>;

    fn into_iter(self) -> Self::IntoIter {
        Vec::from(&*self.0).into_iter()
    }
}

impl<V: Serialize> Serialize for Map<V> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().map(|(name, value)| (&**name, value)))
    }
}

impl<'de, V: Deserialize<'de> + Clone> Deserialize<'de> for Map<V> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let entries = BTreeMap::<String, V>::deserialize(deserializer)?;
        Ok(Self(entries.into_iter().map(|(name, value)| (intern(&name), value)).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_sorted() {
        let mut map: Map<&str> = ["c", "a", "d", "b"].map(|name| (name, name)).into();
        assert_eq!(map.keys().map(|name| &**name).collect::<Vec<_>>(), ["a", "b", "c", "d"]);
        assert_eq!(map.insert("b", "other"), Some("b"));
        assert_eq!(map.insert("aa", "new"), None);
        assert_eq!(map.remove("c"), Some("c"));
        assert_eq!((map.len(), map.get("b"), map.get("c"), map.get("aa")), (4, Some(&"other"), None, Some(&"new")));
        assert_eq!(map, [("d", "d"), ("a", "a"), ("aa", "new"), ("b", "other")].into());
    }

    #[test]
    fn last_value_of_a_name_is_kept() {
        let map: Map<u8> = [("b", 1), ("a", 2), ("b", 3)].into();
        assert_eq!(map, [("a", 2), ("b", 3)].into());
    }

    #[test]
    fn change_of_a_clone_does_not_affect_the_original() {
        let map: Map<u8> = [("a", 1)].into();
        let mut changed = map.clone();
        changed.insert("a", 2);
        assert_eq!((map.get("a"), changed.get("a")), (Some(&1), Some(&2)));
    }
}
