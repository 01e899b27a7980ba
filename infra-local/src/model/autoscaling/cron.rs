//! Cron expressions of recurrences: `minute hour day-of-month month day-of-week`, in UTC.

use chrono::{DateTime, Datelike as _, Days, NaiveDate, TimeDelta, Timelike as _, Utc};

const MONTHS: &[&str] = &["JAN", "FEB", "MAR", "APR", "MAY", "JUN", "JUL", "AUG", "SEP", "OCT", "NOV", "DEC"];
const DAYS: &[&str] = &["SUN", "MON", "TUE", "WED", "THU", "FRI", "SAT"];

/// Search limit for the next time. A leap day on a given day of the week recurs within 28 years.
const HORIZON_DAYS: u64 = 366 * 28;

/// A recurrence; each field is a set of numbers, as bits.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Cron {
    minutes: u64,
    hours: u64,
    days: u64,
    months: u64,
    weekdays: u64,
    /// True when both day of month and day of week are restricted: then either one matches, as in cron.
    either: bool,
}

impl Cron {
    /// Parses five fields. The error describes the invalid one.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let fields: Vec<&str> = text.split_whitespace().collect();
        let [minutes, hours, days, months, weekdays] = fields.as_slice() else {
            return Err(format!("'{text}' must have five fields: minute, hour, day of month, month, day of week"));
        };
        let mut weekday_bits = set(weekdays, 0, 7, DAYS, 0)?;
        if weekday_bits & (1 << 7) != 0 {
            weekday_bits |= 1;
        }
        Ok(Self {
            minutes: set(minutes, 0, 59, &[], 0)?,
            hours: set(hours, 0, 23, &[], 0)?,
            days: set(days, 1, 31, &[], 0)?,
            months: set(months, 1, 12, MONTHS, 1)?,
            weekdays: weekday_bits,
            either: !days.starts_with('*') && !weekdays.starts_with('*'),
        })
    }

    /// Returns the first matching time after `after`, or `None` if no day matches.
    pub(crate) fn next(&self, after: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let first = after + TimeDelta::minutes(1);
        let mut day = first.date_naive();
        let mut from = first.hour() * 60 + first.minute();
        for _ in 0..HORIZON_DAYS {
            if self.has_day(day)
                && let Some(minute) = (from..24 * 60).find(|minute| self.has_minute(*minute))
            {
                return Some(day.and_hms_opt(minute / 60, minute % 60, 0)?.and_utc());
            }
            day = day.checked_add_days(Days::new(1))?;
            from = 0;
        }
        None
    }

    fn has_minute(&self, minute: u32) -> bool {
        has(self.hours, minute / 60) && has(self.minutes, minute % 60)
    }

    fn has_day(&self, day: NaiveDate) -> bool {
        let of_month = has(self.days, day.day());
        let of_week = has(self.weekdays, day.weekday().num_days_from_sunday());
        has(self.months, day.month()) && if self.either { of_month || of_week } else { of_month && of_week }
    }
}

fn has(bits: u64, number: u32) -> bool {
    bits & (1 << number) != 0
}

/// Parses a field: `*`, `5`, `1-5`, `*/15`, `MON-FRI`, and lists of these.
fn set(field: &str, low: u32, high: u32, names: &[&str], first_name: u32) -> Result<u64, String> {
    let wrong = || format!("'{field}' must consist of numbers from {low} to {high}, `*`, `-`, `/` and `,`");
    let number = |text: &str| -> Result<u32, String> {
        let named = names.iter().zip(first_name..).find(|(name, _)| name.eq_ignore_ascii_case(text));
        let number = named.map(|(_, number)| number).or_else(|| text.parse().ok()).ok_or_else(wrong)?;
        if (low..=high).contains(&number) { Ok(number) } else { Err(wrong()) }
    };
    let mut bits = 0;
    for part in field.split(',') {
        let (range, step) = match part.split_once('/') {
            Some((range, step)) => (range, step.parse::<u32>().ok().filter(|step| *step > 0).ok_or_else(wrong)?),
            None => (part, 1),
        };
        let (from, to) = match range.split_once('-') {
            _ if range == "*" => (low, high),
            Some((from, to)) => (number(from)?, number(to)?),
            None if part.contains('/') => (number(range)?, high),
            None => (number(range)?, number(range)?),
        };
        if from > to {
            return Err(wrong());
        }
        for number in (from..=to).step_by(step as usize) {
            bits |= 1 << number;
        }
    }
    Ok(bits)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn next(cron: &str, after: &str) -> String {
        let after: DateTime<Utc> = after.parse().unwrap();
        Cron::parse(cron)
            .unwrap()
            .next(after)
            .map_or_else(String::new, |time| time.format("%Y-%m-%dT%H:%M").to_string())
    }

    #[test]
    fn a_recurrence_returns_its_next_time() {
        for (cron, after, expected) in [
            ("* * * * *", "2026-11-21T12:00:30Z", "2026-11-21T12:01"),
            ("0 9 * * *", "2026-11-21T09:00:00Z", "2026-11-22T09:00"),
            ("*/15 8-17 * * MON-FRI", "2026-11-20T17:45:00Z", "2026-11-23T08:00"),
            ("30 0 1 1,6 *", "2026-11-21T00:00:00Z", "2027-01-01T00:30"),
            ("0 0 29 2 *", "2026-11-21T00:00:00Z", "2028-02-29T00:00"),
            ("0 0 13 * FRI", "2026-11-21T00:00:00Z", "2026-11-27T00:00"),
            ("0 0 * * 7", "2026-11-21T00:00:00Z", "2026-11-22T00:00"),
            ("5/20 * * * *", "2026-11-21T12:06:00Z", "2026-11-21T12:25"),
            ("0 0 31 2 *", "2026-11-21T00:00:00Z", ""),
        ] {
            assert_eq!(next(cron, after), expected, "{cron} after {after}");
        }
    }

    #[test]
    fn invalid_recurrences_are_refused() {
        for bad in [
            "",
            "* * * *",
            "60 * * * *",
            "* 24 * * *",
            "* * 0 * *",
            "a * * * *",
            "*/0 * * * *",
            "5-1 * * * *",
            "* * * * * *",
        ] {
            assert!(Cron::parse(bad).is_err(), "{bad}");
        }
    }
}
