//! Regular expressions of AWS's models.

use std::borrow::Cow;

use regex_lite::Regex;

/// Representatives of Unicode's categories in the generated patterns.
const LETTER: char = '\u{e000}';
const NUMBER: char = '\u{e001}';
const SEPARATOR: char = '\u{e002}';
/// Marks, punctuation and symbols.
const OTHER: char = '\u{e003}';

/// A pattern that a whole text must match, as in Java's `matches`.
///
/// regex-lite has no categories of Unicode. A generated pattern contains a representative in place of a category, and
/// the characters of a text beyond ASCII are replaced by theirs before the match.
#[derive(Debug)]
pub(super) struct Pattern {
    /// `None` for a pattern that regex-lite does not compile. A test excludes it for all tables.
    regex: Option<Regex>,
    has_categories: bool,
}

impl Pattern {
    pub(super) fn new(pattern: &str) -> Pattern {
        let (flags, pattern) = match pattern.strip_prefix("(?i)") {
            Some(pattern) => ("(?i)", pattern),
            None => ("", pattern),
        };
        let has_categories = pattern.contains([LETTER, NUMBER, SEPARATOR, OTHER]);
        Pattern { regex: Regex::new(&format!("{flags}^(?:{pattern})$")).ok(), has_categories }
    }

    pub(super) fn matches(&self, text: &str) -> bool {
        let text = if self.has_categories && !text.is_ascii() {
            Cow::from(text.chars().map(representative).collect::<String>())
        } else {
            Cow::from(text)
        };
        self.regex.as_ref().is_none_or(|regex| regex.is_match(&text))
    }

    #[cfg(test)]
    pub(super) fn is_compiled(&self) -> bool {
        self.regex.is_some()
    }
}

fn representative(character: char) -> char {
    match character {
        _ if character.is_ascii() || character.is_control() => character,
        _ if character.is_alphabetic() => LETTER,
        _ if character.is_numeric() => NUMBER,
        _ if character.is_whitespace() => SEPARATOR,
        _ => OTHER,
    }
}
