//! Attributes of balancers and target groups.

use infra_core::provider::Problem;
use std::collections::BTreeMap;

/// Attributes: name → value.
pub(super) type Attributes = BTreeMap<String, String>;

/// Attributes that can be declared, with their defaults, to which they are reset when they are not declared any more.
pub(super) type Known = &'static [(&'static str, &'static str)];

/// Returns the problems of attributes that cannot be declared.
pub(super) fn problems(attributes: &Attributes, known: Known) -> Vec<Problem> {
    let unknown = attributes.keys().filter(|name| !known.iter().any(|(other, _)| other == name));
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    unknown
        .map(|name| {
            Problem::new("attributes", format!("there is no attribute `{name}`"))
                .hint(format!("use one of {}", names()))
        })
        .collect()
}

/// Returns the attributes to set so that the `existing` ones become the wanted ones.
pub(super) fn changes(existing: &Attributes, wanted: &Attributes, known: Known) -> Vec<(String, String)> {
    let wanted = known.iter().map(|(name, default)| (*name, wanted.get(*name).map_or(*default, String::as_str)));
    wanted
        // An attribute that the description does not contain does not exist, and cannot be set to its default.
        .filter(|(name, value)| existing.get(*name).is_some_and(|existing| existing != value))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// Returns the existing attributes that a declaration contains: the recorded ones, and those that differ from their
/// defaults.
pub(super) fn declared(existing: &Attributes, recorded: Option<&Attributes>, known: Known) -> Attributes {
    let declared = known.iter().filter_map(|(name, default)| {
        let value = existing.get(*name)?;
        let recorded = recorded.is_some_and(|recorded| recorded.contains_key(*name));
        (recorded || value != default).then(|| ((*name).to_owned(), value.clone()))
    });
    declared.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = &[("a", "1"), ("b", "2"), ("c", "")];

    fn map(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn attribute_that_is_not_declared_any_more_is_reset_to_its_default() {
        let existing = map(&[("a", "5"), ("b", "2")]);
        assert_eq!(changes(&existing, &map(&[]), KNOWN), [("a".to_owned(), "1".to_owned())]);
        assert_eq!(changes(&existing, &map(&[("a", "5"), ("c", "x")]), KNOWN), []);
        assert_eq!(declared(&existing, Some(&map(&[("b", "9")])), KNOWN), existing);
        assert_eq!(declared(&map(&[("a", "1")]), None, KNOWN), map(&[]));
        assert_eq!(problems(&map(&[("d", "1")]), KNOWN).len(), 1);
    }
}
