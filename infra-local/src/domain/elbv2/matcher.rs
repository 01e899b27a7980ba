//! Status codes by which a health check recognises a healthy target.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Status codes as AWS writes them: `200`, `200,302` or `200-399`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher(Vec<RangeInclusive<u16>>);

/// Error for an invalid matcher.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a list of status codes between {low} and {high} like {low} or {low}-{high}", low = .1.start(), high = .1.end())]
pub(crate) struct MatcherError(String, RangeInclusive<u16>);

impl Default for Matcher {
    fn default() -> Self {
        Self(vec![200..=200])
    }
}

impl Matcher {
    pub(crate) fn admits(&self, status: u16) -> bool {
        self.0.iter().any(|range| range.contains(&status))
    }
}

impl FromStr for Matcher {
    type Err = MatcherError;

    fn from_str(text: &str) -> Result<Self, MatcherError> {
        Self::parse(text, 200..=499)
    }
}

impl Matcher {
    /// Parses codes of gRPC, from 0 to 99.
    pub(crate) fn of_grpc(text: &str) -> Result<Self, MatcherError> {
        Self::parse(text, 0..=99)
    }

    fn parse(text: &str, allowed: RangeInclusive<u16>) -> Result<Self, MatcherError> {
        let code = |text: &str| {
            let code = text.parse().ok();
            code.filter(|code| allowed.contains(code))
        };
        let ranges = text.split(',').map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (code(low)?, code(high)?);
            (low <= high).then_some(low..=high)
        });
        ranges.collect::<Option<_>>().map(Self).ok_or_else(|| MatcherError(text.to_owned(), allowed.clone()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn matchers_are_parsed_in_the_form_of_aws() {
        let matcher: Matcher = "200,301-302".parse().unwrap();
        assert!(matcher.admits(200) && matcher.admits(302) && !matcher.admits(303));
        for wrong in ["", "abc", "399-200", "100", "200-599", "200,"] {
            assert!(wrong.parse::<Matcher>().is_err(), "{wrong}");
        }
        let grpc = Matcher::of_grpc("0,12-14").unwrap();
        assert!(grpc.admits(0) && grpc.admits(13) && !grpc.admits(1) && Matcher::of_grpc("100").is_err());
    }
}
