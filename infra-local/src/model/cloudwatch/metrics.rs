//! Metrics: time series, kept in memory with limits, and as text ([`saved`]).

mod saved;

use std::collections::{BTreeMap, VecDeque};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};

/// Limit of the time series. The series without a new sample for the longest time is dropped first.
const SERIES: usize = 1000;

/// Number of recent moments per series whose samples are kept; older samples are merged by minute.
const MOMENTS: usize = 1200;

/// Limit of the recent samples per series. A latency has several samples per moment, one per bucket of its histogram.
const SAMPLES: usize = 12 * MOMENTS;

/// Number of merged minutes per series: a day.
const MINUTES: usize = 1440;

/// Number of distinct values per period that percentiles are computed from.
const VALUES: usize = 4096;

/// A handle on all series. Clones share them, so metrics are part of the state without being written to its file. All
/// handles compare as equal.
#[derive(Debug, Clone, Default)]
pub(crate) struct Metrics(Arc<Mutex<BTreeMap<MetricName, Series>>>);

impl PartialEq for Metrics {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

/// Identity of a series.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct MetricName {
    pub(crate) region: String,
    pub(crate) namespace: String,
    pub(crate) name: String,
    pub(crate) dimensions: BTreeMap<String, String>,
}

/// One or several values that were measured at one time.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Sample {
    pub(crate) time: DateTime<Utc>,
    /// One of [`UNITS`].
    pub(crate) unit: &'static str,
    pub(crate) count: f64,
    pub(crate) sum: f64,
    pub(crate) min: f64,
    pub(crate) max: f64,
}

/// CloudWatch's units.
pub(crate) const UNITS: &[&str] = &[
    "Seconds",
    "Microseconds",
    "Milliseconds",
    "Bytes",
    "Kilobytes",
    "Megabytes",
    "Gigabytes",
    "Terabytes",
    "Bits",
    "Kilobits",
    "Megabits",
    "Gigabits",
    "Terabits",
    "Percent",
    "Count",
    "Bytes/Second",
    "Kilobytes/Second",
    "Megabytes/Second",
    "Gigabytes/Second",
    "Terabytes/Second",
    "Bits/Second",
    "Kilobits/Second",
    "Megabits/Second",
    "Gigabits/Second",
    "Terabits/Second",
    "Count/Second",
    "None",
];

/// A statistic of a period's values.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Statistic {
    SampleCount,
    Average,
    Sum,
    Minimum,
    Maximum,
    /// From 0 to 100.
    Percentile(f64),
}

/// The values of one period.
#[derive(Debug, Clone)]
pub(crate) struct Period {
    pub(crate) start: DateTime<Utc>,
    pub(crate) unit: &'static str,
    count: f64,
    sum: f64,
    min: f64,
    max: f64,
    /// Distinct values and their counts.
    values: Vec<(f64, f64)>,
}

#[derive(Debug, Clone, Default)]
struct Series {
    samples: VecDeque<Sample>,
    /// Number of moments in `samples`. Samples of one moment are adjacent.
    moments: usize,
    minutes: VecDeque<Sample>,
}

impl Sample {
    /// Returns a datum with a single value.
    pub(crate) fn value(time: DateTime<Utc>, unit: &'static str, value: f64) -> Self {
        Self { time, unit, count: 1.0, sum: value, min: value, max: value }
    }

    fn merge(&mut self, other: &Self) {
        self.count += other.count;
        self.sum += other.sum;
        self.min = self.min.min(other.min);
        self.max = self.max.max(other.max);
    }
}

impl Statistic {
    /// Parses a statistic in CloudWatch's form: `Average`, `p99.9`.
    pub(crate) fn parse(word: &str) -> Option<Self> {
        Some(match word {
            "SampleCount" => Self::SampleCount,
            "Average" => Self::Average,
            "Sum" => Self::Sum,
            "Minimum" => Self::Minimum,
            "Maximum" => Self::Maximum,
            _ => {
                let percent: f64 = word.strip_prefix('p')?.parse().ok()?;
                return (0.0..=100.0).contains(&percent).then_some(Self::Percentile(percent));
            }
        })
    }
}

impl Period {
    fn new(start: DateTime<Utc>, unit: &'static str) -> Self {
        Self { start, unit, count: 0.0, sum: 0.0, min: f64::INFINITY, max: f64::NEG_INFINITY, values: Vec::new() }
    }

    fn add(&mut self, sample: &Sample) {
        self.count += sample.count;
        self.sum += sample.sum;
        self.min = self.min.min(sample.min);
        self.max = self.max.max(sample.max);
        if sample.min >= sample.max && self.values.len() < VALUES {
            self.values.push((sample.min, sample.count));
        }
    }

    /// Returns a statistic of the period, or `None` for a percentile of a period without single values.
    pub(crate) fn statistic(&self, statistic: Statistic) -> Option<f64> {
        Some(match statistic {
            Statistic::SampleCount => self.count,
            Statistic::Average => self.sum / self.count,
            Statistic::Sum => self.sum,
            Statistic::Minimum => self.min,
            Statistic::Maximum => self.max,
            Statistic::Percentile(percent) => {
                let mut values = self.values.clone();
                values.sort_by(|one, other| one.0.total_cmp(&other.0));
                let wanted = values.iter().map(|(_, count)| count).sum::<f64>() * percent / 100.0;
                let mut seen = 0.0;
                let reached = values.iter().find(|(_, count)| {
                    seen += count;
                    seen >= wanted
                });
                reached.or(values.last())?.0
            }
        })
    }
}

impl Metrics {
    /// Adds a sample to a series.
    pub(crate) fn record(&self, name: &MetricName, sample: Sample) {
        let mut all = self.lock();
        if !all.contains_key(name) && all.len() >= SERIES {
            let stalest = all.iter().min_by_key(|(_, series)| series.latest()).map(|(name, _)| name.clone());
            if let Some(stalest) = stalest {
                all.remove(&stalest);
            }
        }
        all.entry(name.clone()).or_default().push(sample);
    }

    /// Returns the periods from `from` to `to` that have values, oldest first. Periods begin at multiples of their
    /// length.
    pub(crate) fn periods(
        &self,
        name: &MetricName,
        unit: Option<&str>,
        from: DateTime<Utc>,
        to: DateTime<Utc>,
        length: TimeDelta,
    ) -> Vec<Period> {
        let all = self.lock();
        let Some(series) = all.get(name) else { return Vec::new() };
        let length = length.num_milliseconds().max(1);
        let mut periods: BTreeMap<i64, Period> = BTreeMap::new();
        let wanted = |sample: &&Sample| {
            sample.time >= from && sample.time < to && unit.is_none_or(|unit| unit == sample.unit) && sample.count > 0.0
        };
        for sample in series.minutes.iter().chain(&series.samples).filter(wanted) {
            let start = sample.time.timestamp_millis().div_euclid(length) * length;
            let moment = DateTime::from_timestamp_millis(start).unwrap_or(sample.time);
            periods.entry(start).or_insert_with(|| Period::new(moment, sample.unit)).add(sample);
        }
        periods.into_values().collect()
    }

    /// Returns the values of a series since a time, by the moment at which they were measured.
    pub(crate) fn moments(&self, name: &MetricName, since: DateTime<Utc>) -> Vec<Period> {
        self.periods(name, None, since, DateTime::<Utc>::MAX_UTC, TimeDelta::milliseconds(1))
    }

    /// Returns the names that `wanted` accepts, each with the time of its last sample.
    pub(crate) fn names(&self, wanted: impl Fn(&MetricName) -> bool) -> Vec<(MetricName, DateTime<Utc>)> {
        let all = self.lock();
        let named = all.iter().filter(|(name, _)| wanted(name));
        named.filter_map(|(name, series)| Some((name.clone(), series.latest()?))).collect()
    }

    fn lock(&self) -> MutexGuard<'_, BTreeMap<MetricName, Series>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Series {
    fn push(&mut self, sample: Sample) {
        if self.samples.back().is_none_or(|last| last.time != sample.time) {
            self.moments += 1;
        }
        self.samples.push_back(sample);
        while self.moments > MOMENTS || self.samples.len() > SAMPLES {
            self.merge_oldest();
        }
    }

    /// Moves the oldest recent sample to the merged ones.
    fn merge_oldest(&mut self) {
        let Some(oldest) = self.samples.pop_front() else { return };
        if self.samples.front().is_none_or(|next| next.time != oldest.time) {
            self.moments -= 1;
        }
        let minute = |time: DateTime<Utc>| time.timestamp().div_euclid(60);
        match self.minutes.back_mut() {
            Some(last) if minute(last.time) == minute(oldest.time) && last.unit == oldest.unit => last.merge(&oldest),
            _ => self.minutes.push_back(oldest),
        }
        if self.minutes.len() > MINUTES {
            self.minutes.pop_front();
        }
    }

    fn latest(&self) -> Option<DateTime<Utc>> {
        self.samples.iter().map(|sample| sample.time).max()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn name(name: &str) -> MetricName {
        MetricName { region: "r".into(), namespace: "n".into(), name: name.into(), dimensions: BTreeMap::new() }
    }

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_699_999_980 + second, 0).unwrap()
    }

    #[test]
    fn periods_begin_at_multiples_and_have_all_statistics() {
        let metrics = Metrics::default();
        for (second, value) in [(1, 1.0), (30, 3.0), (59, 8.0), (61, 10.0)] {
            metrics.record(&name("m"), Sample::value(at(second), "Count", value));
        }
        let periods = metrics.periods(&name("m"), None, at(0), at(120), TimeDelta::seconds(60));
        assert_eq!(periods.iter().map(|period| period.start).collect::<Vec<_>>(), [at(0), at(60)]);
        let statistic = |word: &str| periods[0].statistic(Statistic::parse(word).unwrap());
        let words = ["SampleCount", "Average", "Sum", "Minimum", "Maximum", "p50", "p100"];
        let formatted = words.map(|word| statistic(word).unwrap().to_string());
        assert_eq!(formatted, ["3", "4", "12", "1", "8", "3", "8"]);
        assert!(metrics.periods(&name("m"), Some("Percent"), at(0), at(120), TimeDelta::seconds(60)).is_empty());
        assert_eq!(Statistic::parse("p101"), None);
        assert_eq!(Statistic::parse("Median"), None);
    }

    #[test]
    fn the_samples_of_recent_moments_are_kept_and_older_ones_are_merged() {
        let metrics = Metrics::default();
        for second in (0..).take(MOMENTS + 61) {
            for value in [1.0, 2.0, 3.0] {
                metrics.record(&name("latency"), Sample::value(at(second), "Seconds", value));
            }
        }
        let moments = metrics.moments(&name("latency"), at(0));
        assert_eq!(moments.len(), MOMENTS + 2, "two minutes are merged");
        let counts: Vec<_> = moments.iter().map(|it| it.statistic(Statistic::SampleCount)).collect();
        assert_eq!(counts[..3], [Some(180.0), Some(3.0), Some(3.0)]);
        assert_eq!(moments[0].statistic(Statistic::Percentile(50.0)), None);
        assert_eq!(moments.last().unwrap().statistic(Statistic::Percentile(50.0)), Some(2.0));
        for value in 0..2 * SAMPLES {
            metrics.record(&name("latency"), Sample::value(at(5000), "Seconds", value as f64));
        }
        let last = metrics.moments(&name("latency"), at(5000));
        let count: f64 = last.iter().filter_map(|it| it.statistic(Statistic::SampleCount)).sum();
        assert!((count - 2.0 * SAMPLES as f64).abs() < 0.1, "{count}");
    }

    #[test]
    fn series_are_limited_and_the_stalest_one_is_dropped() {
        let metrics = Metrics::default();
        for (number, second) in (0..=SERIES).zip(0..) {
            metrics.record(&name(&format!("m{number}")), Sample::value(at(second), "None", 1.0));
        }
        let left = metrics.names(|_| true);
        assert_eq!(left.len(), SERIES);
        assert!(left.iter().all(|(left, _)| left.name != "m0"));

        for second in (0..).take(MOMENTS + 600) {
            metrics.record(&name("long"), Sample::value(at(second), "None", 1.0));
        }
        let all = metrics.periods(&name("long"), None, at(0), at(10_000), TimeDelta::days(1));
        let count: f64 = all.iter().filter_map(|period| period.statistic(Statistic::SampleCount)).sum();
        assert!((count - (MOMENTS as f64 + 600.0)).abs() < 0.1, "what is merged still counts: {count}");
    }
}
