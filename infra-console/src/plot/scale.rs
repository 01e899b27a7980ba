//! Scales of the axes: evenly spaced round ticks.

use chrono::{DateTime, TimeDelta};
use plotters::coord::ranged1d::{DefaultFormatting, KeyPointHint, Ranged};
use std::ops::Range;

/// Steps between the ticks of a time axis, in milliseconds.
const TIME_STEPS: &[f64] = &[
    1e3, 2e3, 5e3, 10e3, 15e3, 30e3, 60e3, 120e3, 300e3, 600e3, 900e3, 1800e3, 3600e3, 7200e3, 10800e3, 21600e3,
    43200e3, 86400e3,
];

/// Round numbers between 1 and 10.
const ROUND: &[f64] = &[1.0, 2.0, 2.5, 5.0, 10.0];

/// The largest value of an axis.
const LARGEST: f64 = 1e15;

/// Number of steps of a value axis.
const VALUE_STEPS: f64 = 4.0;

/// A linear scale with ticks at the multiples of a step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Scale {
    pub(super) from: f64,
    pub(super) to: f64,
    step: f64,
}

impl Scale {
    /// Returns the scale of a time range in milliseconds since 1970, with at most `ticks` ticks.
    pub(super) fn time(from: i64, to: i64, ticks: f64) -> Self {
        let length = (to - from).max(1) as f64;
        let longest = TIME_STEPS.last().copied().unwrap_or(1.0);
        let days = (length / ticks / longest).ceil() * longest;
        let step = TIME_STEPS.iter().copied().find(|step| length / step <= ticks).unwrap_or(days);
        Self { from: from as f64, to: from as f64 + length, step }
    }

    /// Returns the scale from 0 to a round number above the largest value. `whole` excludes ticks at fractions.
    pub(super) fn value(largest: f64, whole: bool) -> Self {
        let largest = largest.clamp(if whole { VALUE_STEPS } else { 1e-3 }, LARGEST);
        let exact = largest / VALUE_STEPS;
        let power = 10_f64.powf(exact.log10().floor());
        // The tolerance absorbs errors of rounding, such as 0.30000000000000004.
        let fits = |round: &&f64| **round * power >= exact * 0.999_999 && !(whole && (**round * power) % 1.0 != 0.0);
        let step = ROUND.iter().find(fits).unwrap_or(&10.0) * power;
        Self { from: 0.0, to: (largest / step - 1e-6).ceil() * step, step }
    }

    /// Formats a tick of a time axis.
    pub(super) fn format_time(&self, milliseconds: f64) -> String {
        let format = match self.step {
            step if step < 60e3 => "%H:%M:%S",
            step if step < 86400e3 && self.to - self.from <= 86400e3 => "%H:%M",
            step if step < 86400e3 => "%d %b %H:%M",
            _ => "%d %b",
        };
        let time = DateTime::UNIX_EPOCH + TimeDelta::milliseconds(milliseconds as i64);
        time.format(format).to_string()
    }
}

impl Ranged for Scale {
    type FormatOption = DefaultFormatting;
    type ValueType = f64;

    fn map(&self, value: &f64, (low, high): (i32, i32)) -> i32 {
        let share = (value - self.from) / (self.to - self.from);
        low + (f64::from(high - low) * share.clamp(-1.0, 2.0)).round() as i32
    }

    fn key_points<Hint: KeyPointHint>(&self, _: Hint) -> Vec<f64> {
        let first = (self.from / self.step).ceil();
        let last = (self.to / self.step + 1e-6).floor();
        (0..=(last - first).max(0.0) as u32).map(|index| (first + f64::from(index)) * self.step).collect()
    }

    fn range(&self) -> Range<f64> {
        self.from..self.to
    }
}

/// Formats a value with three significant digits.
pub(crate) fn format_value(value: f64) -> String {
    let (scaled, suffix) = match value.abs() {
        large if large >= 1e12 => (value / 1e12, "T"),
        large if large >= 1e9 => (value / 1e9, "G"),
        large if large >= 1e6 => (value / 1e6, "M"),
        large if large >= 1e4 => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = match scaled.abs() {
        size if size >= 100.0 => format!("{scaled:.0}"),
        size if size >= 10.0 => format!("{scaled:.1}"),
        size if size >= 0.01 || size == 0.0 => format!("{scaled:.2}"),
        _ => format!("{scaled:.4}"),
    };
    let text = if text.contains('.') { text.trim_end_matches('0').trim_end_matches('.') } else { &text };
    format!("{text}{suffix}")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticks(scale: Scale) -> Vec<f64> {
        scale.key_points(8)
    }

    #[test]
    fn time_ticks_are_at_round_times() {
        let scale = Scale::time(1_000_000_007_000, 1_000_000_307_000, 6.0);
        let texts: Vec<String> = ticks(scale).into_iter().map(|tick| scale.format_time(tick)).collect();
        assert_eq!(texts, ["01:47", "01:48", "01:49", "01:50", "01:51"]);
        let days = Scale::time(0, 40 * 86_400_000, 6.0);
        assert_eq!(ticks(days).len(), 6);
        assert_eq!(days.format_time(7.0 * 86_400_000.0), "08 Jan");
    }

    #[test]
    fn value_scales_end_at_a_round_number_above_the_largest_value() {
        assert_eq!(ticks(Scale::value(87.0, false)), [0.0, 25.0, 50.0, 75.0, 100.0]);
        assert_eq!(ticks(Scale::value(0.3, false)).len(), 4);
        assert_eq!(ticks(Scale::value(1.0, true)), [0.0, 1.0, 2.0, 3.0, 4.0]);
        assert_eq!(ticks(Scale::value(9.0, true)), [0.0, 5.0, 10.0]);
        assert!(Scale::value(f64::MAX, false).to.is_finite());
        assert!(Scale::value(0.0, false).to > 0.0);
    }

    #[test]
    fn values_have_three_significant_digits() {
        let texts = [0.0, 0.0012, 0.5, 12.345, 100.4, 2500.0, 12_345.0, 7.6e6].map(format_value);
        assert_eq!(texts, ["0", "0.0012", "0.5", "12.3", "100", "2500", "12.3k", "7.6M"]);
    }
}
