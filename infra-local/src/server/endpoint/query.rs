//! Queries of the administration paths.

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::str::FromStr;

use hyper::Uri;

/// The parameters of a URL.
pub(super) struct Query(BTreeMap<String, String>);

/// Reasons why a query is refused.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub(super) enum QueryError {
    #[error("the path has no parameter `{name}`; it has {}", known.join(", "))]
    Unknown { name: String, known: &'static [&'static str] },
    #[error("the parameter `{name}` is `{text}`: it must be a number")]
    NoNumber { name: &'static str, text: String },
    #[error("the parameter `{name}` is {number}: it must be between {least} and {most}")]
    Outside { name: &'static str, number: usize, least: usize, most: usize },
}

impl Query {
    pub(super) fn of(uri: &Uri) -> Query {
        Query(form_urlencoded::parse(uri.query().unwrap_or_default().as_bytes()).into_owned().collect())
    }

    /// Refuses parameters that the path does not have.
    pub(super) fn check(&self, known: &'static [&'static str]) -> Result<(), QueryError> {
        match self.0.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => Err(QueryError::Unknown { name: name.clone(), known }),
            None => Ok(()),
        }
    }

    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    pub(super) fn number<N: FromStr>(&self, name: &'static str) -> Result<Option<N>, QueryError> {
        let parse = |text: &String| text.parse().map_err(|_| QueryError::NoNumber { name, text: text.clone() });
        self.0.get(name).map(parse).transpose()
    }

    pub(super) fn number_within(
        &self,
        name: &'static str,
        range: RangeInclusive<usize>,
    ) -> Result<Option<usize>, QueryError> {
        let (least, most) = (*range.start(), *range.end());
        match self.number(name)? {
            Some(number) if !range.contains(&number) => Err(QueryError::Outside { name, number, least, most }),
            number => Ok(number),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wrong_parameters_are_refused_by_name() {
        let of = |text: &'static str| Query::of(&Uri::from_static(text));
        let error = |text: &'static str| {
            let query = of(text);
            let checked = query.check(&["after", "limit"]).and_then(|()| query.number::<u64>("after"));
            let checked = checked.and_then(|_| query.number_within("limit", 1..=50));
            checked.map_or_else(|error| error.to_string(), |number| format!("{number:?}"))
        };
        insta::assert_snapshot!(error("/calls?before=2"), @"the path has no parameter `before`; it has after, limit");
        insta::assert_snapshot!(error("/calls?after=-1"), @"the parameter `after` is `-1`: it must be a number");
        insta::assert_snapshot!(error("/calls?limit=51"), @"the parameter `limit` is 51: it must be between 1 and 50");
        insta::assert_snapshot!(error("/calls?after=7&limit=50"), @"Some(50)");
        insta::assert_snapshot!(error("/calls"), @"None");
    }
}
