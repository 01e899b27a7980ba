//! Maps with structural sharing between copies.

use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::collections::btree_map;
use std::fmt;
use std::ops::Index;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// A map by id or name. A copy costs nothing; the first change of a copy copies the keys, and each change copies one
/// entry. A comparison of two copies skips the entries that they share.
pub(crate) struct Table<T>(Arc<BTreeMap<String, Arc<T>>>);

/// The entries in the order of their keys.
type Iter<'a, T> = std::iter::Map<btree_map::Iter<'a, String, Arc<T>>, fn(Entry<'a, T>) -> (&'a String, &'a T)>;

type Entry<'a, T> = (&'a String, &'a Arc<T>);

impl<T> Table<T> {
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn contains_key(&self, key: &str) -> bool {
        self.0.contains_key(key)
    }

    pub(crate) fn get(&self, key: &str) -> Option<&T> {
        self.0.get(key).map(Arc::as_ref)
    }

    /// Returns a shared reference to the entry. Later changes copy the entry and leave this one unchanged.
    pub(crate) fn share(&self, key: &str) -> Option<Arc<T>> {
        self.0.get(key).cloned()
    }

    pub(crate) fn keys(&self) -> btree_map::Keys<'_, String, Arc<T>> {
        self.0.keys()
    }

    pub(crate) fn values(&self) -> impl DoubleEndedIterator<Item = &T> + Clone {
        self.0.values().map(Arc::as_ref)
    }

    pub(crate) fn iter(&self) -> Iter<'_, T> {
        self.0.iter().map(|(key, value)| (key, value))
    }

    /// Returns whether this is an unchanged copy of `other`.
    pub(super) fn is_copy_of(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }

    /// Returns the entries with their allocations, which identify an entry among copies of the table.
    pub(super) fn entries(&self) -> btree_map::Iter<'_, String, Arc<T>> {
        self.0.iter()
    }
}

impl<T: Clone> Table<T> {
    pub(crate) fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        if !self.contains_key(key) {
            return None;
        }
        Arc::make_mut(&mut self.0).get_mut(key).map(Arc::make_mut)
    }

    pub(crate) fn insert(&mut self, key: impl Into<String>, value: T) {
        Arc::make_mut(&mut self.0).insert(key.into(), Arc::new(value));
    }

    pub(crate) fn remove(&mut self, key: &str) -> Option<T> {
        if !self.contains_key(key) {
            return None;
        }
        Arc::make_mut(&mut self.0).remove(key).map(Arc::unwrap_or_clone)
    }

    /// Returns all entries for modification, which copies each of them. A change of a few entries should find their
    /// keys first.
    pub(crate) fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        Arc::make_mut(&mut self.0).values_mut().map(Arc::make_mut)
    }

    /// Keeps the entries for which `keeps` returns true.
    pub(crate) fn retain(&mut self, mut keeps: impl FnMut(&String, &T) -> bool) {
        if self.iter().all(|(key, value)| keeps(key, value)) {
            return;
        }
        Arc::make_mut(&mut self.0).retain(|key, value| keeps(key, value));
    }
}

impl<'a, T> IntoIterator for &'a Table<T> {
    type Item = (&'a String, &'a T);
    type IntoIter = Iter<'a, T>;

    fn into_iter(self) -> Iter<'a, T> {
        self.iter()
    }
}

impl<T> Clone for Table<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: PartialEq> PartialEq for Table<T> {
    fn eq(&self, other: &Self) -> bool {
        let same = |(one, another): (Entry<'_, T>, Entry<'_, T>)| {
            one.0 == another.0 && (Arc::ptr_eq(one.1, another.1) || one.1 == another.1)
        };
        self.is_copy_of(other) || (self.len() == other.len() && self.entries().zip(other.entries()).all(same))
    }
}

impl<T: fmt::Debug> fmt::Debug for Table<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(formatter)
    }
}

impl<T, Q: Borrow<str> + ?Sized> Index<&Q> for Table<T> {
    type Output = T;

    fn index(&self, key: &Q) -> &T {
        &self.0[key.borrow()]
    }
}

impl<K: Into<String>, T> FromIterator<(K, T)> for Table<T> {
    fn from_iter<I: IntoIterator<Item = (K, T)>>(entries: I) -> Self {
        Self(Arc::new(entries.into_iter().map(|(key, value)| (key.into(), Arc::new(value))).collect()))
    }
}

impl<T: Serialize> Serialize for Table<T> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.iter())
    }
}

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Table<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Ok(BTreeMap::<String, T>::deserialize(deserializer)?.into_iter().collect())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_copy_shares_unchanged_entries() {
        let before: Table<u32> = [("a", 1), ("b", 2)].into_iter().collect();
        let mut after = before.clone();
        assert!(after.is_copy_of(&before));
        if let Some(value) = after.get_mut("b") {
            *value = 3;
        }
        assert_eq!((before["b"], after["b"]), (2, 3));
        assert!(Arc::ptr_eq(&before.0["a"], &after.0["a"]));
        assert!(before != after);
    }

    #[test]
    fn a_change_without_effect_copies_nothing() {
        let before: Table<u32> = [("a", 1)].into_iter().collect();
        let mut after = before.clone();
        after.retain(|_, value| *value == 1);
        assert!(after.get_mut("b").is_none() && after.remove("b").is_none());
        assert!(after.is_copy_of(&before));
    }
}
