//! Differences between two states, as a record that converts the earlier one into the later one.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;
use serde_json::{Map, Value};

use super::{Table, earlier};

/// A place in the state: the path of field names and keys.
pub(crate) type Place = Vec<String>;

/// New values of a number of places. Applying a record twice has the same effect as applying it once.
#[derive(Default)]
pub(crate) struct Record {
    at: Place,
    places: Vec<Place>,
    /// JSON array of pairs of a place and its new value; a place without a value has been removed.
    text: Vec<u8>,
    failure: Option<serde_json::Error>,
}

/// A part of the state whose changes are recorded piece by piece.
pub(crate) trait Changes {
    /// Adds the changes from `before` to `self` to a record.
    fn changes(&self, before: &Self, record: &mut Record);
}

/// Implements [`Changes`] for a struct. Each field is recorded as a `whole` value, entry by entry of a `map`, by the
/// implementation of the `part` or of the `children`, or not at all (`apart`).
macro_rules! record_by_field {
    ($kind:ty {
        whole: [$($whole:ident),*], maps: [$($map:ident),*], parts: [$($part:ident),*],
        children: [$($children:ident),*], apart: [$($apart:ident),*] $(,)?
    }) => {
        impl $crate::model::changes::Changes for $kind {
            fn changes(&self, before: &Self, record: &mut $crate::model::changes::Record) {
                let Self { $($whole,)* $($map,)* $($part,)* $($children,)* $($apart: _,)* } = self;
                $(record.whole(stringify!($whole), $whole, &before.$whole);)*
                $(record.entries(stringify!($map), $map, &before.$map);)*
                $(record.part(stringify!($part), $part, &before.$part);)*
                $(record.children(stringify!($children), $children, &before.$children);)*
            }
        }
    };
}
pub(crate) use record_by_field;

impl Record {
    /// Returns the differences between two states.
    pub(crate) fn of<T: Changes>(now: &T, before: &T) -> Self {
        let mut record = Self::default();
        now.changes(before, &mut record);
        record
    }

    /// Returns the places that changed.
    pub(crate) fn places(&self) -> &[Place] {
        &self.places
    }

    /// Serialises the record as one line of text.
    pub(crate) fn line(&self) -> std::io::Result<Vec<u8>> {
        if let Some(error) = &self.failure {
            return Err(std::io::Error::other(error.to_string()));
        }
        Ok([b"[", self.text.as_slice(), b"]\n"].concat())
    }

    pub(crate) fn whole<T: PartialEq + Serialize>(&mut self, name: &str, now: &T, before: &T) {
        if now != before {
            self.below(name, |record| record.put(now));
        }
    }

    pub(crate) fn entries<M: Entries>(&mut self, name: &str, now: &M, before: &M) {
        self.below(name, |record| now.differing(before, |key, value| record.below(key, |record| record.settle(value))));
    }

    pub(crate) fn part<T: Changes>(&mut self, name: &str, now: &T, before: &T) {
        self.below(name, |record| now.changes(before, record));
    }

    pub(crate) fn children<T: Changes + PartialEq + Serialize>(
        &mut self,
        name: &str,
        now: &BTreeMap<String, T>,
        before: &BTreeMap<String, T>,
    ) {
        self.below(name, |record| {
            for (key, child) in now {
                match before.get(key) {
                    Some(earlier) => record.part(key, child, earlier),
                    None => record.below(key, |record| record.put(child)),
                }
            }
            for key in before.keys().filter(|key| !now.contains_key(*key)) {
                record.below(key, |record| record.settle(None::<&T>));
            }
        });
    }

    fn below(&mut self, name: &str, look: impl FnOnce(&mut Self)) {
        self.at.push(name.to_owned());
        look(self);
        self.at.pop();
    }

    fn put<T: Serialize>(&mut self, value: &T) {
        self.settle(Some(value));
    }

    fn settle<T: Serialize>(&mut self, value: Option<&T>) {
        if !self.places.is_empty() {
            self.text.push(b',');
        }
        let written = match value {
            Some(value) => serde_json::to_writer(&mut self.text, &(&self.at, value)),
            None => serde_json::to_writer(&mut self.text, &(&self.at,)),
        };
        self.failure = self.failure.take().or(written.err());
        self.places.push(self.at.clone());
    }
}

/// Applies a line to a state in its general form; returns false for an incomplete record.
pub(crate) fn apply(state: &mut Value, line: &[u8]) -> bool {
    let Ok(changes) = serde_json::from_slice::<Vec<Vec<Value>>>(line) else { return false };
    changes.into_iter().all(|change| {
        let mut change = change.into_iter();
        let Some(place) = change.next().and_then(|place| serde_json::from_value::<Place>(place).ok()) else {
            return false;
        };
        let place = earlier::current_place(place);
        let Some((name, way)) = place.split_last() else { return false };
        let mut at = &mut *state;
        for step in way {
            let Value::Object(fields) = at else { return false };
            at = fields.entry(step.as_str()).or_insert_with(|| Value::Object(Map::new()));
        }
        let Value::Object(fields) = at else { return false };
        match change.next() {
            Some(mut value) => {
                if let [regions, _] = place.as_slice()
                    && regions == "regions"
                {
                    earlier::migrate_region(&mut value);
                }
                fields.insert(name.clone(), value)
            }
            None => fields.remove(name),
        };
        true
    })
}

/// A map whose entries are recorded one by one.
pub(crate) trait Entries {
    type Value: PartialEq + Serialize;

    /// Calls `tell` for each entry that differs from `before`, with its current value.
    fn differing(&self, before: &Self, tell: impl FnMut(&str, Option<&Self::Value>));
}

impl<T: PartialEq + Serialize> Entries for BTreeMap<String, T> {
    type Value = T;

    fn differing(&self, before: &Self, tell: impl FnMut(&str, Option<&T>)) {
        merge(self.iter(), before.iter(), |_, _| false, tell);
    }
}

impl<T: PartialEq + Serialize> Entries for Table<T> {
    type Value = T;

    fn differing(&self, before: &Self, mut tell: impl FnMut(&str, Option<&T>)) {
        if !self.is_copy_of(before) {
            merge(self.entries(), before.entries(), Arc::ptr_eq, |key, value| tell(key, value.map(Arc::as_ref)));
        }
    }
}

/// Merges two sorted maps; `shared` values have the same key in both.
fn merge<'a, V: PartialEq + 'a>(
    mut now: impl Iterator<Item = (&'a String, &'a V)>,
    mut before: impl Iterator<Item = (&'a String, &'a V)>,
    shared: impl Fn(&V, &V) -> bool,
    mut tell: impl FnMut(&str, Option<&V>),
) {
    let (mut one, mut other) = (now.next(), before.next());
    loop {
        let order = match (one, other) {
            (None, None) => return,
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (Some((_, value)), Some((_, earlier))) if shared(value, earlier) => Ordering::Equal,
            (Some((key, value)), Some((other, earlier))) => {
                let order = key.cmp(other);
                if order.is_eq() && value != earlier {
                    tell(key, Some(value));
                }
                order
            }
        };
        match (order, one, other) {
            (Ordering::Less, Some((key, value)), _) => tell(key, Some(value)),
            (Ordering::Greater, _, Some((removed, _))) => tell(removed, None),
            _ => {}
        }
        if order.is_le() {
            one = now.next();
        }
        if order.is_ge() {
            other = before.next();
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::Cloud;
    use crate::model::ec2::vpc::Vpc;

    fn cloud() -> Cloud {
        let mut cloud = Cloud::default();
        cloud.complete();
        cloud
    }

    #[test]
    fn a_record_converts_the_earlier_state_into_the_later_one() {
        let before = cloud();
        let mut now = before.clone();
        let region = now.regions.get_mut("us-east-1").unwrap();
        let subnet = region.ec2.subnets.keys().next().unwrap().clone();
        region.ec2.subnets.get_mut(&subnet).unwrap().tags.insert("a".to_owned(), "line\nand \"more\"".to_owned());
        let removed = region.ec2.security_groups.keys().next().unwrap().clone();
        region.ec2.security_groups.remove(&removed);
        let vpc = Vpc::new("10.0.0.0/16");
        region.ec2.vpcs.insert(vpc.id.clone(), vpc);
        region.lost_zones.insert("us-east-1a".to_owned());
        now.port = Some(1);
        now.regions.remove("us-east-2");

        let record = Record::of(&now, &before);
        assert_eq!(record.places().len(), 6);
        let line = record.line().unwrap();
        let mut state = serde_json::to_value(&before).unwrap();
        // Applying a record that the state includes changes nothing.
        for _ in 0..2 {
            assert!(apply(&mut state, &line));
            assert_eq!(serde_json::from_value::<Cloud>(state.clone()).unwrap(), now);
        }
        assert!(!apply(&mut state, &line[..line.len() / 2]), "half a record is none");
        assert!(Record::of(&now, &now.clone()).places().is_empty());
    }
}
