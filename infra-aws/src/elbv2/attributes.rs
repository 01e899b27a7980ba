//! Attributes of balancers and target groups, by AWS's names.

use infra_core::provider::Problem;
use std::collections::BTreeMap;

/// Names and values.
pub(super) type Attributes = BTreeMap<String, String>;

/// Every attribute that can be set, with AWS's default, which it gets back once it is not set any more.
pub(super) type Known = &'static [(&'static str, &'static str)];

/// What cannot be set.
pub(super) fn problems(attributes: &Attributes, known: Known) -> Vec<Problem> {
    let unknown = attributes.keys().filter(|name| !known.iter().any(|(other, _)| other == name));
    let names = || known.iter().map(|(name, _)| *name).collect::<Vec<_>>().join(", ");
    unknown
        .map(|name| {
            Problem::new("attributes", format!("there is no attribute `{name}`"))
                .hint(format!("take one of {}", names()))
        })
        .collect()
}

/// What has to be changed for `living` to be as it is wanted.
pub(super) fn changes(living: &Attributes, wanted: &Attributes, known: Known) -> Vec<(String, String)> {
    let wanted = known.iter().map(|(name, default)| (*name, wanted.get(*name).map_or(*default, String::as_str)));
    wanted
        // What is not shown is not there, and cannot be set to its default.
        .filter(|(name, value)| living.get(*name).is_some_and(|living| living != value))
        .map(|(name, value)| (name.to_owned(), value.to_owned()))
        .collect()
}

/// What lives, in the words of what is recorded: what was left to AWS and is as AWS has it stays unsaid.
pub(super) fn recorded(living: &Attributes, recorded: &Attributes, known: Known) -> Attributes {
    let said = known.iter().filter_map(|(name, default)| {
        let value = living.get(*name)?;
        (recorded.contains_key(*name) || value != default).then(|| ((*name).to_owned(), value.clone()))
    });
    said.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KNOWN: Known = &[("a", "1"), ("b", "2"), ("c", "")];

    fn map(pairs: &[(&str, &str)]) -> Attributes {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn what_is_no_longer_said_gets_its_default_back() {
        let living = map(&[("a", "5"), ("b", "2")]);
        assert_eq!(changes(&living, &map(&[]), KNOWN), [("a".to_owned(), "1".to_owned())]);
        assert_eq!(changes(&living, &map(&[("a", "5"), ("c", "x")]), KNOWN), []);
        assert_eq!(recorded(&living, &map(&[("b", "9")]), KNOWN), living);
        assert_eq!(recorded(&map(&[("a", "1")]), &map(&[]), KNOWN), map(&[]));
        assert_eq!(problems(&map(&[("d", "1")]), KNOWN).len(), 1);
    }
}
