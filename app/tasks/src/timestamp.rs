//! Formats of dates and times, which are UTC with microseconds.

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, SecondsFormat, TimeDelta, Utc};

/// Message for an invalid date.
pub const WRONG: &str =
    "Datetime has wrong format. Use one of these formats instead: YYYY-MM-DDThh:mm[:ss[.uuuuuu]][+HH:MM|-HH:MM|Z].";

/// Formats a time with milliseconds: `2026-01-02T03:04:05.123Z`.
pub fn milliseconds(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Millis, true)
}

/// Formats a time with microseconds: `2026-01-02T03:04:05.123456Z`.
pub fn microseconds(moment: DateTime<Utc>) -> String {
    moment.to_rfc3339_opts(SecondsFormat::Micros, true)
}

/// Parses `YYYY-MM-DD hh:mm[:ss[.uuuuuu]]`, with `T` or a space between date and time, and the offset `Z`, `+hh:mm`,
/// `+hhmm`, `+hh` or none (UTC). Further digits of the fraction are dropped. Valid years are 1 to 9999.
pub fn parse(text: &str) -> Option<DateTime<Utc>> {
    let (date, time) = text.split_once(['T', 't', ' '])?;
    let (clock, offset) = match time.find(['Z', 'z', '+', '-']) {
        Some(at) => (time[..at].trim_end(), parse_offset(&time[at..])?),
        None => (time, TimeDelta::zero()),
    };
    let local = NaiveDateTime::new(parse_date(date)?, parse_clock(clock)?);
    let moment = local.checked_sub_signed(offset)?.and_utc();
    (MIN..=MAX).contains(&moment.naive_utc().date()).then_some(moment)
}

const MIN: NaiveDate = NaiveDate::from_ymd_opt(1, 1, 1).expect("a date");
const MAX: NaiveDate = NaiveDate::from_ymd_opt(9999, 12, 31).expect("a date");

fn parse_date(text: &str) -> Option<NaiveDate> {
    let mut parts = text.split('-');
    let (year, month, day) = (parts.next()?, parts.next()?, parts.next()?);
    let date = NaiveDate::from_ymd_opt(digits(year, 4)?.cast_signed(), digits(month, 2)?, digits(day, 2)?);
    date.filter(|_| parts.next().is_none())
}

fn parse_clock(text: &str) -> Option<NaiveTime> {
    let (whole, micros) = match text.split_once(['.', ',']) {
        Some((whole, fraction)) => (whole, parse_fraction(fraction)?),
        None => (text, 0),
    };
    let mut parts = whole.split(':');
    let (hour, minute, second) = (parts.next()?, parts.next()?, parts.next());
    let second = match second {
        Some(second) => digits(second, 2)?,
        None if whole == text => 0,
        None => return None,
    };
    let time = NaiveTime::from_hms_micro_opt(digits(hour, 2)?, digits(minute, 2)?, second, micros);
    time.filter(|_| parts.next().is_none())
}

/// Parses the fraction of a second, in microseconds.
fn parse_fraction(text: &str) -> Option<u32> {
    let all_digits = (1..=12).contains(&text.len()) && text.bytes().all(|byte| byte.is_ascii_digit());
    let micros = all_digits.then(|| format!("{text:0<6}"))?;
    micros[..6].parse().ok()
}

fn parse_offset(text: &str) -> Option<TimeDelta> {
    if matches!(text, "Z" | "z") {
        return Some(TimeDelta::zero());
    }
    let (sign, text) = text.split_at(1);
    let (hours, minutes) = match text.len() {
        2 => (text, "00"),
        4 => text.split_at_checked(2)?,
        5 => text.split_once(':')?,
        _ => return None,
    };
    let (hours, minutes) = (digits(hours, 2)?, digits(minutes, 2)?);
    let offset = TimeDelta::minutes(i64::from(hours * 60 + minutes));
    (hours < 24 && minutes < 60).then_some(if sign == "-" { -offset } else { offset })
}

/// Parses exactly this many decimal digits.
fn digits(text: &str, count: usize) -> Option<u32> {
    let right = text.len() == count && text.bytes().all(|byte| byte.is_ascii_digit());
    right.then(|| text.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_formats_are_parsed() {
        for (written, read) in [
            ("2026-01-02T03:04:05.123456Z", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02 03:04:05.123456", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02T03:04:05Z", "2026-01-02T03:04:05.000000Z"),
            ("2026-01-02T03:04", "2026-01-02T03:04:00.000000Z"),
            ("2026-01-02t03:04:05.1z", "2026-01-02T03:04:05.100000Z"),
            ("2026-01-02T03:04:05.1234569Z", "2026-01-02T03:04:05.123456Z"),
            ("2026-01-02T03:04:05+02:30", "2026-01-02T00:34:05.000000Z"),
            ("2026-01-02T03:04:05 -0500", "2026-01-02T08:04:05.000000Z"),
            ("2026-12-31T23:30:00-01", "2027-01-01T00:30:00.000000Z"),
            ("2024-02-29T00:00:00Z", "2024-02-29T00:00:00.000000Z"),
            ("0001-01-01T00:00:00Z", "0001-01-01T00:00:00.000000Z"),
            ("9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(parse(written).map(microseconds).as_deref(), Some(read), "{written}");
        }
    }

    #[test]
    fn invalid_times_are_refused() {
        for wrong in [
            "",
            "tomorrow",
            "2026-01-02",
            "2026-01-02T",
            "2026-01-02T03",
            "2026-1-2T03:04:05",
            "2026-02-29T00:00:00Z",
            "2026-13-01T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T03:60:00Z",
            "2026-01-02T03:04:60Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04.5Z",
            "2026-01-02T03:04:05.1234567890123Z",
            "2026-01-02T03:04:05+24:00",
            "2026-01-02T03:04:05+1",
            "2026-01-02T03:04:05ZZ",
            "2026-01-02T03:04:05:06Z",
            "2026-01-02-03T03:04:05Z",
            "+2026-01-02T03:04:05Z",
            "0000-01-01T00:00:00Z",
            "12026-01-01T00:00:00Z",
            "0001-01-01T00:00:00+01:00",
            "9999-12-31T23:59:59-01:00",
            "２０２６-01-02T03:04:05Z",
            "2026-01-02T03:04:05+é0",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn milliseconds_are_truncated() {
        let moment = parse("2026-01-02T03:04:05.999999Z").expect("a moment");
        assert_eq!(milliseconds(moment), "2026-01-02T03:04:05.999Z");
    }
}
