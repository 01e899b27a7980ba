//! Timestamps of acts: `DD-MM-YYYY:SS-MM-HH`, with seconds first and hours last.

use chrono::{Datelike, NaiveDate, NaiveDateTime, Timelike};

/// Parses a timestamp. Every number has all its digits; year 0 is not valid.
pub fn parse(text: &str) -> Option<NaiveDateTime> {
    let (date, time) = text.split_once(':')?;
    let [day, month, year] = numbers(date, [2, 2, 4])?;
    let [second, minute, hour] = numbers(time, [2, 2, 2])?;
    let year = i32::try_from(year).ok().filter(|year| *year > 0)?;
    NaiveDate::from_ymd_opt(year, month, day)?.and_hms_opt(hour, minute, second)
}

/// Formats a timestamp.
pub fn format(time: NaiveDateTime) -> String {
    let (day, month, year) = (time.day(), time.month(), time.year());
    let (second, minute, hour) = (time.second(), time.minute(), time.hour());
    format!("{day:02}-{month:02}-{year:04}:{second:02}-{minute:02}-{hour:02}")
}

/// Parses numbers that `-` separates, with these numbers of digits.
fn numbers(text: &str, digits: [usize; 3]) -> Option<[u32; 3]> {
    let mut parts = text.split('-');
    let mut numbers = [0; 3];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next()?;
        let is_number = part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit());
        *number = part.parse().ok().filter(|_| is_number)?;
    }
    parts.next().is_none().then_some(numbers)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn seconds_are_first_and_hours_last() {
        let time = parse("29-02-2024:56-34-12").unwrap();
        assert_eq!(time.to_string(), "2024-02-29 12:34:56");
        assert_eq!(format(time), "29-02-2024:56-34-12");
        assert_eq!(format(parse("01-01-0001:00-00-00").unwrap()), "01-01-0001:00-00-00");
    }

    #[test]
    fn other_formats_and_impossible_times_are_invalid() {
        for wrong in [
            "",
            "29-02-2023:56-34-12",
            "31-04-2024:00-00-00",
            "00-01-2024:00-00-00",
            "01-13-2024:00-00-00",
            "01-01-0000:00-00-00",
            "01-01-2024:60-00-00",
            "01-01-2024:00-60-00",
            "01-01-2024:00-00-24",
            "1-01-2024:00-00-00",
            "01-01-24:00-00-00",
            "01-01-2024:00-00",
            "01-01-2024:00-00-00-00",
            "01-01-2024 00-00-00",
            "01-01-2024:00:00:00",
            "2024-01-01:00-00-00",
            "+1-01-2024:00-00-00",
            "٠١-01-2024:00-00-00",
            " 01-01-2024:00-00-00",
        ] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
