//! Status codes by which a health check recognises a healthy target.

use std::ops::RangeInclusive;
use std::str::FromStr;

/// Status codes as AWS writes them: `200`, `200,302` or `200-399`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Matcher(Vec<RangeInclusive<u16>>);

/// Error for an invalid matcher.
#[derive(Debug, thiserror::Error)]
#[error("'{0}' is not a list of status codes between 200 and 499 like 200, 200,302 or 200-399")]
pub(crate) struct MatcherError(String);

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
        let code = |text: &str| {
            let code = text.parse().ok();
            code.filter(|code| (200..=499).contains(code))
        };
        let ranges = text.split(',').map(|part| {
            let (low, high) = part.split_once('-').unwrap_or((part, part));
            let (low, high) = (code(low)?, code(high)?);
            (low <= high).then_some(low..=high)
        });
        ranges.collect::<Option<_>>().map(Self).ok_or_else(|| MatcherError(text.to_owned()))
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
    }
}
