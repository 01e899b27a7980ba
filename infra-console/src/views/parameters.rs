//! The parameters of a request, checked.

use super::Problem;
use axum::http::StatusCode;
use chrono::{DateTime, NaiveDateTime, NaiveTime, Utc};
use infra_core::diagnostic::{Diagnostic, did_you_mean};
use serde::{Deserialize, Deserializer, de::Error as _};
use std::collections::BTreeMap;

/// The longest value, in bytes.
const LONGEST: usize = 1000;

/// The parameters in the query of a URL. A parameter without a value counts as omitted, because forms send all fields.
#[derive(Clone, Debug, Default)]
pub(crate) struct Parameters(BTreeMap<&'static str, String>);

impl Parameters {
    /// Parses a query. Refuses parameters that the page does not have.
    pub(crate) fn parse(query: &str, known: &[&'static str]) -> Result<Self, Problem> {
        let mut given = BTreeMap::new();
        for (name, value) in form_urlencoded::parse(query.as_bytes()) {
            let Some(name) = known.iter().find(|known| **known == name) else {
                let unknown = Diagnostic::error(format!("this page has no parameter `{}`", cut(&name)));
                let hint = did_you_mean(&name, known.iter().copied());
                return Err(bad_request(
                    unknown.hint(hint.unwrap_or_else(|| format!("the parameters are {}", known.join(", ")))),
                ));
            };
            if let Some(value) = checked(name, &value)? {
                given.insert(*name, value);
            }
        }
        Ok(Self(given))
    }

    /// Returns the parameters of a program's request.
    pub(crate) fn of(all: impl IntoIterator<Item = (&'static str, Option<String>)>) -> Result<Self, Problem> {
        let mut given = BTreeMap::new();
        for (name, value) in all {
            if let Some(value) = checked(name, value.as_deref().unwrap_or_default())? {
                given.insert(name, value);
            }
        }
        Ok(Self(given))
    }

    /// Returns a value, or the empty text.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.0.get(name).map_or("", String::as_str)
    }

    /// Returns whether a check box is checked.
    pub(crate) fn flag(&self, name: &str) -> Result<bool, Problem> {
        match self.text(name) {
            "" | "off" => Ok(false),
            "on" => Ok(true),
            other => Err(invalid(name, other, "use `on` or `off`")),
        }
    }

    /// Returns a whole number within limits.
    pub(crate) fn number(&self, name: &str, limits: std::ops::RangeInclusive<u64>) -> Result<Option<u64>, Problem> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let number = text.parse().ok().filter(|number| limits.contains(number));
        let hint = || format!("use a whole number from {} to {}", limits.start(), limits.end());
        number.map(Some).ok_or_else(|| invalid(name, text, hint()))
    }

    /// Returns a time: RFC 3339, a date and a time of day in UTC, or a time of today in UTC.
    pub(crate) fn time(&self, name: &str) -> Result<Option<DateTime<Utc>>, Problem> {
        let text = self.text(name);
        if text.is_empty() {
            return Ok(None);
        }
        let hint = "use a time of today in UTC such as `09:15` or `09:15:30`, or a date and a time such as \
                    `2026-11-30 09:15`";
        parse_time(text).map(Some).ok_or_else(|| invalid(name, text, hint))
    }

    /// Returns the parameters with another value of one.
    pub(crate) fn with(&self, name: &'static str, value: String) -> Self {
        let mut changed = self.clone();
        changed.0.insert(name, value);
        changed
    }

    /// Returns a URL with these parameters and some changes; an empty text removes a parameter.
    pub(crate) fn link(&self, path: &str, changes: &[(&str, &str)]) -> String {
        let changed = |name: &str| changes.iter().any(|(changed, _)| *changed == name);
        let kept = self.0.iter().map(|(name, value)| (*name, value.as_str())).filter(|(name, _)| !changed(name));
        let pairs = kept.chain(changes.iter().copied()).filter(|(_, value)| !value.is_empty());
        let query = form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish();
        if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
    }
}

/// Returns a value without spaces around it; `None` if it is empty.
fn checked(name: &str, value: &str) -> Result<Option<String>, Problem> {
    if value.len() > LONGEST {
        let long = Diagnostic::error(format!("the parameter `{name}` is longer than {LONGEST} bytes"));
        return Err(bad_request(long.hint("use a shorter text")));
    }
    Ok(Some(value.trim()).filter(|value| !value.is_empty()).map(str::to_owned))
}

/// Deserialises a truth value of JSON or of a URL, where check boxes of forms send `on`.
pub(crate) fn flag<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Flag {
        Bool(bool),
        Text(String),
    }
    match Flag::deserialize(deserializer)? {
        Flag::Bool(flag) => Ok(flag),
        Flag::Text(text) => match text.as_str() {
            "on" | "true" => Ok(true),
            "" | "off" | "false" => Ok(false),
            _ => Err(D::Error::custom("expected `true` or `false`")),
        },
    }
}

/// Returns the problem of a parameter's value.
pub(crate) fn invalid(name: &str, value: &str, hint: impl Into<String>) -> Problem {
    bad_request(Diagnostic::error(format!("the parameter `{name}` cannot be `{}`", cut(value))).hint(hint))
}

fn bad_request(diagnostic: Diagnostic) -> Problem {
    Problem { status: StatusCode::BAD_REQUEST, diagnostic }
}

fn cut(text: &str) -> String {
    text.chars().take(100).collect()
}

fn parse_time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Some(time.to_utc());
    }
    let text = text.replacen(' ', "T", 1);
    let dates = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    if let Some(time) = dates.iter().find_map(|format| NaiveDateTime::parse_from_str(&text, format).ok()) {
        return Some(time.and_utc());
    }
    let time = ["%H:%M:%S%.f", "%H:%M"].iter().find_map(|format| NaiveTime::parse_from_str(&text, format).ok())?;
    Some(Utc::now().date_naive().and_time(time).and_utc())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn problem(result: Result<impl std::fmt::Debug, Problem>) -> String {
        result.unwrap_err().diagnostic.to_string()
    }

    #[test]
    fn links_keep_and_change_parameters() {
        let given = Parameters::parse("q=a%20b%26c&of=&level=warn", &["q", "of", "level"]).unwrap();
        assert_eq!(given.text("q"), "a b&c");
        assert_eq!(given.link("/logs", &[]), "/logs?level=warn&q=a+b%26c");
        assert_eq!(given.link("/logs", &[("q", ""), ("of", "i-1")]), "/logs?level=warn&of=i-1");
        assert_eq!(given.link("/logs", &[("q", ""), ("level", "")]), "/logs");
    }

    #[test]
    fn wrong_values_are_refused_with_a_hint() {
        let known = ["limit", "from", "errors"];
        let parse = |query: &str| Parameters::parse(query, &known).unwrap();
        insta::assert_snapshot!(problem(Parameters::parse("limits=3", &known)), @"
        error: this page has no parameter `limits`
          hint: did you mean `limit`?
        ");
        insta::assert_snapshot!(problem(parse("limit=0").number("limit", 1..=9)), @"
        error: the parameter `limit` cannot be `0`
          hint: use a whole number from 1 to 9
        ");
        insta::assert_snapshot!(problem(parse("from=yesterday").time("from")), @"
        error: the parameter `from` cannot be `yesterday`
          hint: use a time of today in UTC such as `09:15` or `09:15:30`, or a date and a time such as `2026-11-30 09:15`
        ");
        insta::assert_snapshot!(problem(parse("errors=1").flag("errors")), @"
        error: the parameter `errors` cannot be `1`
          hint: use `on` or `off`
        ");
        let long = format!("from={}", "9".repeat(LONGEST + 1));
        insta::assert_snapshot!(problem(Parameters::parse(&long, &known)), @"
        error: the parameter `from` is longer than 1000 bytes
          hint: use a shorter text
        ");
    }

    #[test]
    fn times_have_several_spellings() {
        let time = |text: &str| parse_time(text).unwrap().to_rfc3339();
        assert_eq!(time("2026-11-30T10:15:30.5+01:00"), "2026-11-30T09:15:30.500+00:00");
        assert_eq!(time("2026-11-30 09:15"), "2026-11-30T09:15:00+00:00");
        assert_eq!(time("2026-11-30T09:15:01"), "2026-11-30T09:15:01+00:00");
        assert!(time("09:15").ends_with("T09:15:00+00:00"));
        assert_eq!(parse_time("25:00"), None);
    }
}
