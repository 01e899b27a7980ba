//! Filter patterns: terms that a message must contain.

use super::invalid;
use crate::wire::Outcome;

/// `error "not found" -debug ?warn ?fatal`: all plain terms, none with `-`, and one of those with `?`.
#[derive(Debug, Default)]
pub(super) struct Pattern {
    all: Vec<String>,
    none: Vec<String>,
    any: Vec<String>,
}

impl Pattern {
    /// Parses a pattern; patterns of JSON, columns and regular expressions are refused.
    pub(super) fn parse(text: &str) -> Outcome<Self> {
        let text = text.trim();
        if text.starts_with(['{', '[', '%']) {
            return Err(invalid(format!(
                "The local cloud has filter patterns of terms alone, not of JSON, columns or regular expressions: {text}"
            )));
        }
        let mut pattern = Self::default();
        let mut rest = text;
        while !rest.is_empty() {
            let (list, after) = match rest.as_bytes()[0] {
                b'-' => (&mut pattern.none, &rest[1..]),
                b'?' => (&mut pattern.any, &rest[1..]),
                _ => (&mut pattern.all, rest),
            };
            let (term, after) = match after.strip_prefix('"') {
                Some(quoted) => quoted
                    .split_once('"')
                    .ok_or_else(|| invalid(format!("Invalid filter pattern: a quotation mark is open in {text}")))?,
                None => after.split_once(char::is_whitespace).unwrap_or((after, "")),
            };
            if term.is_empty() {
                return Err(invalid(format!("Invalid filter pattern: a term is empty in {text}")));
            }
            list.push(term.to_owned());
            rest = after.trim_start();
        }
        Ok(pattern)
    }

    /// Returns whether a message matches; case matters.
    pub(super) fn matches(&self, message: &str) -> bool {
        let contains = |term: &String| message.contains(term.as_str());
        self.all.iter().all(contains)
            && !self.none.iter().any(contains)
            && (self.any.is_empty() || self.any.iter().any(contains))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn terms_are_required_excluded_or_optional() {
        for (pattern, message, fits) in [
            ("", "anything", true),
            ("ERROR", "an ERROR", true),
            ("ERROR", "an error", false),
            ("a \"b c\"", "b c a", true),
            ("a \"b c\"", "a b", false),
            ("a -b", "a b", false),
            ("?x ?y", "only y", true),
            ("?x ?y", "none", false),
        ] {
            assert_eq!(Pattern::parse(pattern).unwrap().matches(message), fits, "{pattern} on {message}");
        }
    }

    #[test]
    fn other_patterns_are_refused() {
        for bad in ["{ $.level = \"error\" }", "[ip, user]", "%e.r%", "\"open", "-"] {
            assert_eq!(Pattern::parse(bad).unwrap_err().code, "InvalidParameterException", "{bad}");
        }
    }
}
