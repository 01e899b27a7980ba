//! `Filter.N` of Describe operations, and pagination.

use std::collections::BTreeMap;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;

use super::error::{ApiError, Outcome};
use super::query::Params;

/// Parameters of filters, for operation tables.
pub(crate) const FILTERS: &[&str] = &["Filter.N.Name", "Filter.N.Value.N"];
/// Parameters of pagination, for operation tables.
pub(crate) const PAGES: &[&str] = &["MaxResults", "NextToken"];

/// A filter of a kind: its name, and the values of an item for it.
pub(crate) type Field<T> = (&'static str, fn(&T) -> Vec<String>);

/// The filters of one request.
pub(crate) struct Filters(Vec<(String, Vec<String>)>);

impl Filters {
    /// Parses `Filter.N.Name` and `Filter.N.Value.N`.
    pub(crate) fn parse(params: &Params) -> Outcome<Filters> {
        let filters = params.structures("Filter").into_iter().map(|filter| {
            let name = filter.required("Name")?.to_owned();
            Ok((name, filter.texts("Value")))
        });
        Ok(Filters(filters.collect::<Outcome<_>>()?))
    }

    /// Returns the items that every filter accepts. A filter accepts an item when one of the item's values matches one
    /// of the filter's, with `*` and `?` as wildcards. A filter that is neither in `fields` nor about tags is an error.
    pub(crate) fn apply<'a, T>(
        &self,
        items: impl Iterator<Item = &'a T>,
        fields: &[Field<T>],
        tags: fn(&T) -> &BTreeMap<String, String>,
    ) -> Outcome<Vec<&'a T>> {
        self.require_known(fields, true)?;
        let accepted = items.filter(|item| {
            self.0.iter().all(|(name, patterns)| {
                let values = if let Some((_, values)) = fields.iter().find(|(field, _)| field == name) {
                    values(item)
                } else if let Some(key) = name.strip_prefix("tag:") {
                    tags(item).get(key).cloned().into_iter().collect()
                } else {
                    tags(item).keys().cloned().collect()
                };
                any_match(patterns, &values)
            })
        });
        Ok(accepted.collect())
    }

    /// Applies the filters to items without tags.
    pub(crate) fn apply_untagged<T>(&self, items: impl Iterator<Item = T>, fields: &[Field<T>]) -> Outcome<Vec<T>> {
        self.require_known(fields, false)?;
        let accepted = items.filter(|item| {
            self.0.iter().all(|(name, patterns)| {
                fields
                    .iter()
                    .find(|(field, _)| field == name)
                    .is_some_and(|(_, values)| any_match(patterns, &values(item)))
            })
        });
        Ok(accepted.collect())
    }

    fn require_known<T>(&self, fields: &[Field<T>], tagged: bool) -> Outcome<()> {
        for (name, _) in &self.0 {
            let of_tags = tagged && (name.starts_with("tag:") || name == "tag-key");
            if !of_tags && !fields.iter().any(|(field, _)| field == name) {
                return Err(ApiError::invalid(format!("The filter '{name}' is invalid")));
            }
        }
        Ok(())
    }
}

fn any_match(patterns: &[String], values: &[String]) -> bool {
    values.iter().any(|value| patterns.iter().any(|pattern| wildcard_match(pattern, value)))
}

/// Matches `*` (anything), `?` (one character) and `\` (the next character itself).
pub(crate) fn wildcard_match(pattern: &str, value: &str) -> bool {
    fn inner(pattern: &[char], value: &[char]) -> bool {
        match (pattern, value) {
            ([], []) => true,
            (['*', rest @ ..], _) => inner(rest, value) || (!value.is_empty() && inner(pattern, &value[1..])),
            (['?', rest @ ..], [_, others @ ..]) => inner(rest, others),
            (['\\', escaped, rest @ ..], [first, others @ ..]) if escaped == first => inner(rest, others),
            ([expected, rest @ ..], [first, others @ ..]) if expected == first && *expected != '\\' => {
                inner(rest, others)
            }
            _ => false,
        }
    }
    let pattern: Vec<char> = pattern.chars().collect();
    let value: Vec<char> = value.chars().collect();
    inner(&pattern, &value)
}

/// A page of `items`, and the token of the next page if there is one.
pub(crate) struct Page<T> {
    pub(crate) items: Vec<T>,
    pub(crate) next: Option<String>,
}

impl<T> Page<T> {
    /// Cuts a page out of items that are sorted by `key`. The token contains the last key, so that items which are
    /// created or deleted between two pages neither repeat nor hide others.
    pub(crate) fn cut(
        items: Vec<T>,
        limit: Option<usize>,
        token: Option<&str>,
        key: impl Fn(&T) -> &str,
    ) -> Outcome<Page<T>> {
        let after = token.filter(|token| !token.is_empty()).map(decode_token).transpose()?;
        let mut items = items;
        items.sort_by(|left, right| key(left).cmp(key(right)));
        if let Some(after) = after {
            items.retain(|item| key(item) > after.as_str());
        }
        let Some(limit) = limit.filter(|limit| *limit < items.len()) else {
            return Ok(Page { items, next: None });
        };
        items.truncate(limit);
        let next = items.last().map(|last| URL_SAFE_NO_PAD.encode(key(last)));
        Ok(Page { items, next })
    }

    /// Returns a page of EC2's form: `MaxResults` (5 to 1000) and `NextToken`.
    pub(crate) fn of(items: Vec<T>, params: &Params, key: impl Fn(&T) -> &str) -> Outcome<Page<T>> {
        let limit: Option<usize> = params.parsed("MaxResults")?;
        if let Some(limit) = limit
            && !(5..=1000).contains(&limit)
        {
            return Err(ApiError::invalid(format!(
                "Value ( {limit} ) for parameter maxResults is invalid. Expecting a value between 5 and 1000."
            )));
        }
        Page::cut(items, limit, params.optional("NextToken"), key)
    }
}

fn decode_token(token: &str) -> Outcome<String> {
    URL_SAFE_NO_PAD
        .decode(token)
        .ok()
        .and_then(|bytes| String::from_utf8(bytes).ok())
        .ok_or_else(|| ApiError::new("InvalidNextToken", "the NextToken is not one that this operation gave"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn wildcards() {
        assert!(wildcard_match("debian-12-*", "debian-12-amd64"));
        assert!(wildcard_match("a?c", "abc"));
        assert!(wildcard_match(r"a\*", "a*"));
        assert!(!wildcard_match(r"a\*", "ab"));
        assert!(!wildcard_match("ab", "abc"));
    }

    #[test]
    fn pages_continue_after_the_last_key_shown() {
        let all: Vec<String> = (0..12).map(|number| format!("k{number:02}")).collect();
        let first = Page::of(all.clone(), &Params::parse(b"MaxResults=5"), String::as_str).unwrap();
        assert_eq!(first.items, all[..5]);
        let query = format!("MaxResults=10&NextToken={}", first.next.unwrap());
        let rest = Page::of(all.clone(), &Params::parse(query.as_bytes()), String::as_str).unwrap();
        assert_eq!(rest.items, all[5..]);
        assert_eq!(rest.next, None);
        assert!(Page::of(all, &Params::parse(b"MaxResults=5&NextToken=%2F"), String::as_str).is_err());
    }

    #[test]
    fn unknown_filters_are_refused_even_without_items() {
        let filters = Filters::parse(&Params::parse(b"Filter.1.Name=no-such&Filter.1.Value.1=x")).unwrap();
        let fields: &[Field<String>] = &[("name", |item| vec![item.clone()])];
        assert!(filters.apply_untagged(std::iter::empty::<String>(), fields).is_err());
    }
}
