//! Conversion of samples to the points of a plot.
//!
//! The local cloud measures at one interval, and a counter has samples only where something happened. A rate therefore
//! needs the times of all measurements: those at which any series of the region has a sample.

use super::document::{Point, Series};
use crate::views::range::Range;
use std::collections::BTreeSet;

/// The largest number of points of a series in a plot.
const POINTS: i64 = 240;

/// Interval of measurements, if there are not enough of them to derive it, in milliseconds.
const INTERVAL: i64 = 15_000;

/// Number of missing measurements that interrupt a line.
const MISSING: i64 = 4;

/// Points of a plot.
pub(super) type Points = Vec<(i64, Option<f64>)>;

/// The times of the measurements.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Timeline {
    times: Vec<i64>,
    /// Median of the distances of the times.
    interval: i64,
}

impl Timeline {
    /// Returns the times at which a series has samples.
    pub(super) fn of<'s>(series: impl Iterator<Item = &'s Series>) -> Self {
        let times: BTreeSet<i64> = series.flat_map(|series| series.points.iter().map(|point| point.0)).collect();
        let times: Vec<i64> = times.into_iter().collect();
        let mut distances: Vec<i64> = times.windows(2).map(|pair| pair[1] - pair[0]).collect();
        distances.sort_unstable();
        let interval = distances.get(distances.len() / 2).copied().unwrap_or(INTERVAL).max(1);
        Self { times, interval }
    }

    /// Returns a counter as a rate per second, from the time `since` on: 0 where the counter has no samples.
    pub(super) fn rate(&self, counter: Option<&Series>, since: i64, range: &Range) -> Points {
        let mut buckets = Buckets::new(range, self.interval);
        let mut samples = counter.map(|series| series.points.as_slice()).unwrap_or_default().iter().peekable();
        let mut previous = None;
        for time in &self.times {
            let mut sum = 0.0;
            while let Some(point) = samples.next_if(|point| point.0 <= *time) {
                sum += point.2.max(0.0);
            }
            let elapsed = previous.map_or(self.interval, |previous: i64| time - previous);
            let elapsed = if elapsed > MISSING * self.interval { self.interval } else { elapsed };
            previous = Some(*time);
            if *time >= since && range.contains(*time) {
                buckets.add(*time, (sum, elapsed as f64 / 1000.0));
            }
        }
        buckets.finish(|values| {
            let (sum, seconds) = values.iter().fold((0.0, 0.0), |total, value| (total.0 + value.0, total.1 + value.1));
            sum / seconds
        })
    }

    /// Returns the averages of a measured quantity. Negative values mean that there is none, as for the lag of a replica
    /// that does not replicate.
    pub(super) fn average(&self, series: &Series, factor: f64, range: &Range) -> Points {
        let mut buckets = Buckets::new(range, self.interval);
        let within = series.points.iter().filter(|point| range.contains(point.0) && point.1 > 0.0 && point.2 >= 0.0);
        within.for_each(|Point(time, samples, sum, ..)| buckets.add(*time, (*sum * factor, *samples)));
        buckets.finish(|values| {
            let (sum, samples) = values.iter().fold((0.0, 0.0), |total, value| (total.0 + value.0, total.1 + value.1));
            sum / samples
        })
    }

    /// Returns the last values of a count.
    pub(super) fn count(&self, series: &Series, range: &Range) -> Points {
        let mut buckets = Buckets::new(range, self.interval);
        let within = series.points.iter().filter(|point| range.contains(point.0) && point.1 > 0.0);
        within.for_each(|Point(time, samples, sum, ..)| buckets.add(*time, (*sum, *samples)));
        buckets.finish(|values| values.last().map_or(0.0, |(sum, samples)| sum / samples))
    }

    /// Returns the largest of values that cannot be averaged: maxima and percentiles.
    pub(super) fn largest(&self, values: impl Iterator<Item = (i64, f64)>, factor: f64, range: &Range) -> Points {
        let mut buckets = Buckets::new(range, self.interval);
        let within = values.filter(|(time, value)| range.contains(*time) && *value >= 0.0);
        within.for_each(|(time, value)| buckets.add(time, (value * factor, 1.0)));
        buckets.finish(|values| values.iter().fold(0.0, |largest, value| value.0.max(largest)))
    }
}

/// Values of neighbouring measurements, which become one point. The limits of buckets are multiples of their length, so
/// that the points of a range that moves with the time stay where they are.
struct Buckets {
    length: i64,
    interval: i64,
    /// Last time and values of each bucket.
    values: Vec<(i64, Vec<(f64, f64)>)>,
}

impl Buckets {
    fn new(range: &Range, interval: i64) -> Self {
        let length = ((range.to - range.from) / POINTS).max(1);
        Self { length, interval: interval.max(length), values: Vec::new() }
    }

    fn add(&mut self, time: i64, value: (f64, f64)) {
        match self.values.last_mut() {
            Some((last, values)) if last.div_euclid(self.length) == time.div_euclid(self.length) => {
                *last = time;
                values.push(value);
            }
            _ => self.values.push((time, vec![value])),
        }
    }

    /// Returns a point for each bucket, and `None` where measurements are missing.
    fn finish(self, value: impl Fn(&[(f64, f64)]) -> f64) -> Points {
        let mut points = Points::new();
        for (time, values) in &self.values {
            if let Some((last, _)) = points.last()
                && time - last > MISSING * self.interval
            {
                points.push((last + self.interval, None));
            }
            points.push((*time, Some(value(values)).filter(|value| value.is_finite())));
        }
        points
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(points: &[(i64, f64, f64)]) -> Series {
        let points = points.iter().map(|(time, samples, sum)| Point(*time, *samples, *sum, 0.0, *sum));
        Series {
            region: String::new(),
            namespace: "AWS/Test".to_owned(),
            metric: String::new(),
            dimensions: [].into(),
            unit: None,
            points: points.collect(),
            percentiles: [].into(),
        }
    }

    const RANGE: Range = Range { name: "5m", from: 0, to: 300_000 };

    #[test]
    fn a_rate_is_zero_where_a_counter_has_no_samples() {
        let gauge = series(&[(10_000, 1.0, 2.0), (20_000, 1.0, 2.0), (30_000, 1.0, 2.0), (35_000, 1.0, 2.0)]);
        let counter = series(&[(20_000, 50.0, 50.0), (35_000, 10.0, 10.0)]);
        let timeline = Timeline::of([&gauge, &counter].into_iter());
        let rate = timeline.rate(Some(&counter), 0, &RANGE);
        assert_eq!(rate, [(10_000, Some(0.0)), (20_000, Some(5.0)), (30_000, Some(0.0)), (35_000, Some(2.0))]);
        assert_eq!(timeline.rate(None, 30_000, &RANGE), [(30_000, Some(0.0)), (35_000, Some(0.0))]);
    }

    #[test]
    fn missing_measurements_interrupt_a_line() {
        let gauge = series(&[(10_000, 1.0, 2.0), (20_000, 2.0, 8.0), (30_000, 1.0, -1.0), (90_000, 1.0, 6.0)]);
        let timeline = Timeline::of([&gauge].into_iter());
        let averages = timeline.average(&gauge, 10.0, &RANGE);
        let expected = [(10_000, Some(20.0)), (20_000, Some(40.0)), (30_000, None), (90_000, Some(60.0))];
        assert_eq!(averages, expected);
    }

    #[test]
    fn neighbouring_measurements_of_a_long_range_become_one_point() {
        let range = Range { name: "3h", from: 0, to: 240 * 45_000 };
        let all: Vec<(i64, f64, f64)> = (0..720).map(|index| (index * 15_000, 3.0, 3.0)).collect();
        let counter = series(&all);
        let timeline = Timeline::of([&counter].into_iter());
        let rate = timeline.rate(Some(&counter), 0, &range);
        assert_eq!(rate.len(), 240);
        assert!(rate.iter().all(|(_, value)| value.is_some_and(|value| (value - 0.2).abs() < 1e-9)));
        let largest = timeline.largest([(0, 1.0), (15_000, 7.0), (45_000, 2.0)].into_iter(), 2.0, &range);
        assert_eq!(largest, [(15_000, Some(14.0)), (45_000, Some(4.0))]);
    }
}
