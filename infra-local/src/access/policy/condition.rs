//! Condition operators.
//!
//! Source: AWS IAM User Guide, "IAM JSON policy elements: Condition operators" and "Set operators for multivalued context
//! keys".

use std::net::IpAddr;

use chrono::{DateTime, NaiveDate, NaiveDateTime, Utc};

use super::pattern::{Pattern, Variables};
use crate::access::Context;

/// A condition operator: the comparison of values, and the treatment of several and of missing values.
pub(super) struct Operator {
    comparison: Comparison,
    is_negated: bool,
    if_exists: bool,
    quantifier: Quantifier,
}

/// Number of the request's values that must match.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Quantifier {
    /// The key has one value.
    Single,
    ForAllValues,
    ForAnyValue,
}

/// Comparison of a policy's value with a request's value.
#[derive(Clone, Copy)]
enum Comparison {
    /// Text with variables.
    Text(fn(&str, &str) -> bool),
    /// Pattern with variables.
    Like,
    Arn,
    /// Value without variables.
    Value(fn(&str, &str) -> bool),
    /// Presence of the key.
    Null,
}

impl Operator {
    /// Parses an operator's name, such as `ForAnyValue:StringLikeIfExists`.
    pub(super) fn parse(name: &str) -> Option<Operator> {
        let (quantifier, name) = match name.split_once(':') {
            None => (Quantifier::Single, name),
            Some(("ForAllValues", name)) => (Quantifier::ForAllValues, name),
            Some(("ForAnyValue", name)) => (Quantifier::ForAnyValue, name),
            Some(_) => return None,
        };
        let (name, if_exists) = name.strip_suffix("IfExists").map_or((name, false), |name| (name, true));
        let (comparison, is_negated) = comparison(name)?;
        if matches!(comparison, Comparison::Null) && (if_exists || quantifier != Quantifier::Single) {
            return None;
        }
        Some(Operator { comparison, is_negated, if_exists, quantifier })
    }

    /// Returns whether the operator is true for a key of the request.
    pub(super) fn holds(&self, key: &str, wanted: &[String], variables: Variables<'_>, context: &Context) -> bool {
        let given = context.values(key);
        if let Comparison::Null = self.comparison {
            return wanted.iter().any(|wanted| wanted.eq_ignore_ascii_case("true") == given.is_none());
        }
        let given = given.unwrap_or_default();
        if given.is_empty() {
            return match self.quantifier {
                Quantifier::ForAllValues => true,
                Quantifier::ForAnyValue => self.if_exists,
                Quantifier::Single => self.if_exists || self.is_negated,
            };
        }
        let matches = |given: &String| {
            wanted.iter().any(|wanted| self.comparison.is_true(wanted, given, variables)) != self.is_negated
        };
        match self.quantifier {
            Quantifier::ForAllValues => given.iter().all(matches),
            // A negated operator must exclude all values of the key.
            Quantifier::Single if self.is_negated => given.iter().all(matches),
            Quantifier::ForAnyValue | Quantifier::Single => given.iter().any(matches),
        }
    }

    /// Returns whether variables are replaced in the operator's values.
    pub(super) fn has_variables(&self) -> bool {
        matches!(self.comparison, Comparison::Text(_) | Comparison::Like | Comparison::Arn)
    }
}

impl Comparison {
    fn is_true(self, wanted: &str, given: &str, variables: Variables<'_>) -> bool {
        match self {
            Comparison::Text(equals) => Pattern::literal(wanted, variables).is_some_and(|text| equals(&text, given)),
            Comparison::Like => Pattern::parse(wanted, variables).is_some_and(|pattern| pattern.matches(given)),
            Comparison::Arn => Pattern::parse(wanted, variables).is_some_and(|pattern| pattern.matches_arn(given)),
            Comparison::Value(compare) => compare(wanted, given),
            Comparison::Null => false,
        }
    }
}

/// Returns the comparison of an operator, and whether the operator negates it.
fn comparison(name: &str) -> Option<(Comparison, bool)> {
    let ordered = |wanted: &str| -> Option<(Comparison, bool)> {
        let (kind, is_date) = match wanted.strip_prefix("Numeric") {
            Some(kind) => (kind, false),
            None => (wanted.strip_prefix("Date")?, true),
        };
        let (compare, is_negated): (fn(&str, &str) -> bool, bool) = match (is_date, kind) {
            (false, "Equals") => (|w, g| numbers(w, g, |w, g| g.total_cmp(&w).is_eq()), false),
            (false, "NotEquals") => (|w, g| numbers(w, g, |w, g| g.total_cmp(&w).is_eq()), true),
            (false, "LessThan") => (|w, g| numbers(w, g, |w, g| g < w), false),
            (false, "LessThanEquals") => (|w, g| numbers(w, g, |w, g| g <= w), false),
            (false, "GreaterThan") => (|w, g| numbers(w, g, |w, g| g > w), false),
            (false, "GreaterThanEquals") => (|w, g| numbers(w, g, |w, g| g >= w), false),
            (true, "Equals") => (|w, g| dates(w, g, |w, g| g == w), false),
            (true, "NotEquals") => (|w, g| dates(w, g, |w, g| g == w), true),
            (true, "LessThan") => (|w, g| dates(w, g, |w, g| g < w), false),
            (true, "LessThanEquals") => (|w, g| dates(w, g, |w, g| g <= w), false),
            (true, "GreaterThan") => (|w, g| dates(w, g, |w, g| g > w), false),
            (true, "GreaterThanEquals") => (|w, g| dates(w, g, |w, g| g >= w), false),
            _ => return None,
        };
        Some((Comparison::Value(compare), is_negated))
    };
    Some(match name {
        "StringEquals" => (Comparison::Text(|wanted, given| wanted == given), false),
        "StringNotEquals" => (Comparison::Text(|wanted, given| wanted == given), true),
        "StringEqualsIgnoreCase" => (Comparison::Text(str::eq_ignore_ascii_case), false),
        "StringNotEqualsIgnoreCase" => (Comparison::Text(str::eq_ignore_ascii_case), true),
        "StringLike" => (Comparison::Like, false),
        "StringNotLike" => (Comparison::Like, true),
        // Both compare each segment with wildcards.
        "ArnEquals" | "ArnLike" => (Comparison::Arn, false),
        "ArnNotEquals" | "ArnNotLike" => (Comparison::Arn, true),
        "Bool" => (Comparison::Value(str::eq_ignore_ascii_case), false),
        "BinaryEquals" => (Comparison::Value(|wanted, given| wanted == given), false),
        "IpAddress" => (Comparison::Value(in_range), false),
        "NotIpAddress" => (Comparison::Value(in_range), true),
        "Null" => (Comparison::Null, false),
        other => return ordered(other),
    })
}

fn numbers(wanted: &str, given: &str, compare: fn(f64, f64) -> bool) -> bool {
    matches!((wanted.parse(), given.parse()), (Ok(wanted), Ok(given)) if compare(wanted, given))
}

fn dates(wanted: &str, given: &str, compare: fn(DateTime<Utc>, DateTime<Utc>) -> bool) -> bool {
    matches!((time(wanted), time(given)), (Some(wanted), Some(given)) if compare(wanted, given))
}

/// Parses a date of ISO 8601 in W3C's forms, or a number of seconds since 1970.
pub(super) fn time(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(seconds) = text.parse::<i64>() {
        return DateTime::from_timestamp(seconds, 0);
    }
    if let Ok(time) = text.parse::<DateTime<Utc>>() {
        return Some(time);
    }
    let minutes = text.strip_suffix('Z').unwrap_or(text);
    if let Ok(time) = NaiveDateTime::parse_from_str(minutes, "%Y-%m-%dT%H:%M") {
        return Some(time.and_utc());
    }
    let date = minutes.parse::<NaiveDate>().ok();
    date.and_then(|date| date.and_hms_opt(0, 0, 0)).map(|time| time.and_utc())
}

/// Returns whether a range contains an address; both may be of either family.
fn in_range(range: &str, address: &str) -> bool {
    let (network, bits) = match range.split_once('/') {
        None => (range, None),
        Some((network, bits)) => match bits.parse::<u32>() {
            Ok(bits) => (network, Some(bits)),
            Err(_) => return false,
        },
    };
    let bits_of = |address: IpAddr| match address {
        IpAddr::V4(address) => (u128::from(address.to_bits()) << 96, 32_u32),
        IpAddr::V6(address) => (address.to_bits(), 128),
    };
    let (Ok(network), Ok(address)) = (network.parse::<IpAddr>(), address.parse::<IpAddr>()) else {
        return false;
    };
    let ((network, width), (address, other)) = (bits_of(network), bits_of(address));
    let bits = bits.unwrap_or(width).min(width);
    width == other && (network ^ address).checked_shr(128 - bits).unwrap_or(0) == 0
}

#[cfg(test)]
mod tests {
    use super::*;

    fn holds(operator: &str, wanted: &[&str], given: Option<&[&str]>) -> bool {
        let owned = |values: &[&str]| values.iter().map(|value| (*value).to_owned()).collect::<Vec<_>>();
        let mut context = Context::default();
        if let Some(given) = given {
            context.set_all("k", owned(given));
        }
        let parsed = Operator::parse(operator);
        parsed.is_some_and(|it| it.holds("K", &owned(wanted), Variables::Of(&context), &context))
    }

    #[test]
    fn every_operator_compares_as_documented() {
        for (operator, wanted, given, expected) in [
            ("StringEquals", "a", "a", true),
            ("StringEquals", "a", "A", false),
            ("StringEquals", "a*", "ab", false),
            ("StringNotEquals", "a", "b", true),
            ("StringEqualsIgnoreCase", "a", "A", true),
            ("StringNotEqualsIgnoreCase", "a", "A", false),
            ("StringLike", "a*", "ab", true),
            ("StringNotLike", "a?", "ab", false),
            ("ArnLike", "arn:aws:iam::*:role/*", "arn:aws:iam::0:role/a/b", true),
            ("ArnEquals", "arn:aws:*:role/a", "arn:aws:iam::0:role/a", false),
            ("ArnNotLike", "arn:aws:iam::0:role/a", "arn:aws:iam::0:role/b", true),
            ("ArnNotEquals", "arn:aws:iam::0:role/a", "arn:aws:iam::0:role/a", false),
            ("NumericEquals", "10", "10.0", true),
            ("NumericNotEquals", "10", "10", false),
            ("NumericLessThan", "10", "9", true),
            ("NumericLessThanEquals", "10", "10", true),
            ("NumericGreaterThan", "10", "10", false),
            ("NumericGreaterThanEquals", "10", "10", true),
            ("NumericEquals", "x", "x", false),
            ("DateEquals", "2026-01-01T00:00:00Z", "2026-01-01T01:00:00+01:00", true),
            ("DateNotEquals", "2026-01-01", "2026-01-01T00:00:00Z", false),
            ("DateLessThan", "1767225601", "2026-01-01T00:00Z", true),
            ("DateLessThanEquals", "2026-01-01", "1767225600", true),
            ("DateGreaterThan", "2026-01-01", "2026-01-02T00:00:00Z", true),
            ("DateGreaterThanEquals", "2026-01-03", "2026-01-02T00:00:00Z", false),
            ("Bool", "true", "True", true),
            ("Bool", "false", "true", false),
            ("BinaryEquals", "QmluYXJ5", "QmluYXJ5", true),
            ("IpAddress", "127.0.0.0/8", "127.3.4.5", true),
            ("IpAddress", "2001:db8::/32", "2001:db8::1", true),
            ("IpAddress", "0.0.0.0/0", "::1", false),
            ("NotIpAddress", "10.0.0.1", "10.0.0.1", false),
        ] {
            assert_eq!(holds(operator, &[wanted], Some(&[given])), expected, "{operator} {wanted} {given}");
        }
        for unknown in ["Sounds", "NullIfExists", "StringNotNotEquals", "ForSomeValues:Bool", "NumericLike", "NotBool"]
        {
            assert!(Operator::parse(unknown).is_none(), "{unknown}");
        }
    }

    #[test]
    fn missing_keys_match_negated_operators_and_those_with_if_exists() {
        for (operator, expected) in [
            ("StringEquals", false),
            ("StringNotEquals", true),
            ("StringEqualsIfExists", true),
            ("StringNotEqualsIfExists", true),
            ("NumericLessThan", false),
            ("ForAllValues:StringEquals", true),
            ("ForAllValues:StringNotEquals", true),
            ("ForAnyValue:StringEquals", false),
            ("ForAnyValue:StringNotEquals", false),
            ("ForAnyValue:StringEqualsIfExists", true),
        ] {
            assert_eq!(holds(operator, &["a"], None), expected, "{operator}");
        }
        assert!(holds("Null", &["true"], None) && !holds("Null", &["false"], None));
        assert!(holds("Null", &["false"], Some(&["x"])) && !holds("Null", &["true"], Some(&["x"])));
    }

    #[test]
    fn set_operators_quantify_over_the_values_of_the_request() {
        let given: Option<&[&str]> = Some(&["a", "b"]);
        assert!(holds("ForAllValues:StringEquals", &["a", "b", "c"], given));
        assert!(!holds("ForAllValues:StringEquals", &["a"], given));
        assert!(holds("ForAnyValue:StringEquals", &["a"], given));
        assert!(!holds("ForAnyValue:StringLike", &["c*"], given));
        assert!(holds("ForAnyValue:StringNotEquals", &["a"], given));
        assert!(!holds("ForAllValues:StringNotEquals", &["a"], given));
    }
}
