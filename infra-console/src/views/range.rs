//! The time range of plots.

use crate::views::Problem;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use infra_core::diagnostic::Diagnostic;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// Time ranges that end now: name, title, minutes.
pub(crate) const RANGES: &[(&str, &str, i64)] =
    &[("5m", "5 minutes", 5), ("15m", "15 minutes", 15), ("1h", "1 hour", 60), ("3h", "3 hours", 180)];

/// Name of a range with explicit limits.
const CUSTOM: &str = "custom";

/// The longest range: the local cloud keeps metrics for a day.
const LONGEST: TimeDelta = TimeDelta::days(7);

/// Parameters of a time range.
#[derive(Clone, Debug, Default, Deserialize, JsonSchema)]
#[serde(default)]
pub(crate) struct RangeQuery {
    /// Time range that ends now: `5m`, `15m`, `1h`, `3h`; or `custom`. The last 5 minutes if empty.
    pub(crate) range: String,
    /// Start of a custom range: `2026-11-30T09:00` (UTC) or RFC 3339.
    pub(crate) from: String,
    /// End of a custom range; now if empty.
    pub(crate) to: String,
}

/// A time range, in milliseconds since 1970.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, JsonSchema)]
pub(crate) struct Range {
    /// `5m`, `15m`, `1h`, `3h` or `custom`.
    pub(crate) name: &'static str,
    pub(crate) from: i64,
    pub(crate) to: i64,
}

impl RangeQuery {
    /// Returns the range. A range with a start or an end is a custom range.
    pub(crate) fn range(&self, now: DateTime<Utc>) -> Result<Range, Problem> {
        let is_custom = self.range == CUSTOM || self.range.is_empty() && !(self.from.is_empty() && self.to.is_empty());
        if !is_custom {
            let name = if self.range.is_empty() { RANGES[0].0 } else { &self.range };
            let known = RANGES.iter().find(|(known, ..)| *known == name);
            let (name, _, minutes) =
                known.ok_or_else(|| invalid("range", &self.range, "use 5m, 15m, 1h, 3h or custom"))?;
            return Ok(Range::until(name, now, TimeDelta::minutes(*minutes)));
        }
        let to = if self.to.is_empty() { now } else { parse("to", &self.to)? };
        let from = if self.from.is_empty() { to - TimeDelta::hours(1) } else { parse("from", &self.from)? };
        if from >= to || to - from > LONGEST {
            let both = format!("{} to {}", self.from, self.to);
            return Err(invalid("range", &both, "the start must be before the end, and at most 7 days before it"));
        }
        Ok(Range { name: CUSTOM, from: from.timestamp_millis(), to: to.timestamp_millis() })
    }
}

impl Range {
    /// Returns the range of this length that ends at the second of `now`, so that pages within a second are equal.
    fn until(name: &'static str, now: DateTime<Utc>, length: TimeDelta) -> Self {
        let to = now.timestamp() * 1000;
        Self { name, from: to - length.num_milliseconds(), to }
    }

    pub(crate) fn contains(&self, milliseconds: i64) -> bool {
        (self.from..=self.to).contains(&milliseconds)
    }

    pub(crate) fn is_custom(&self) -> bool {
        self.name == CUSTOM
    }

    /// Returns the limits for people.
    pub(crate) fn title(&self) -> String {
        let [from, to] = [self.from, self.to].map(time);
        let end = if from.date_naive() == to.date_naive() { "%H:%M:%S" } else { "%Y-%m-%d %H:%M:%S" };
        format!("{} to {} UTC", from.format("%Y-%m-%d %H:%M:%S"), to.format(end))
    }

    /// Returns the limits as values of `datetime-local` fields.
    pub(crate) fn fields(&self) -> [String; 2] {
        [self.from, self.to].map(|limit| time(limit).format("%Y-%m-%dT%H:%M:%S").to_string())
    }
}

fn time(milliseconds: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_millis(milliseconds).unwrap_or(DateTime::UNIX_EPOCH)
}

fn parse(field: &str, text: &str) -> Result<DateTime<Utc>, Problem> {
    if let Ok(time) = DateTime::parse_from_rfc3339(text) {
        return Ok(time.to_utc());
    }
    let formats = ["%Y-%m-%dT%H:%M:%S%.f", "%Y-%m-%dT%H:%M"];
    let parsed = formats.iter().find_map(|format| NaiveDateTime::parse_from_str(text, format).ok());
    parsed.map(|time| time.and_utc()).ok_or_else(|| invalid(field, text, "write it as `2026-11-30T09:00` (UTC)"))
}

fn invalid(field: &str, text: &str, hint: &str) -> Problem {
    Problem::invalid(Diagnostic::error(format!("`{text}` is not a valid value of `{field}`")).hint(hint))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn range(range: &str, from: &str, to: &str) -> Result<String, String> {
        let query = RangeQuery { range: range.to_owned(), from: from.to_owned(), to: to.to_owned() };
        let now = "2026-11-30T09:00:00.7Z".parse().unwrap();
        let range = query.range(now);
        range.map(|range| range.title()).map_err(|problem| problem.diagnostic.summary)
    }

    #[test]
    fn ranges_end_now_or_have_explicit_limits() {
        assert_eq!(range("", "", "").unwrap(), "2026-11-30 08:55:00 to 09:00:00 UTC");
        assert_eq!(range("3h", "ignored", "").unwrap(), "2026-11-30 06:00:00 to 09:00:00 UTC");
        let day = "2026-11-29 23:00:00 to 2026-11-30 01:00:00 UTC";
        assert_eq!(range("custom", "2026-11-29T23:00", "2026-11-30T02:00:00+01:00").unwrap(), day);
        assert_eq!(range("", "", "2026-11-30T01:00:00").unwrap(), "2026-11-30 00:00:00 to 01:00:00 UTC");
    }

    #[test]
    fn invalid_ranges_are_refused() {
        assert_eq!(range("9h", "", "").unwrap_err(), "`9h` is not a valid value of `range`");
        assert_eq!(range("custom", "soon", "").unwrap_err(), "`soon` is not a valid value of `from`");
        range("custom", "2026-11-30T10:00", "2026-11-30T09:00").unwrap_err();
        range("custom", "1970-01-01T00:00", "").unwrap_err();
    }
}
