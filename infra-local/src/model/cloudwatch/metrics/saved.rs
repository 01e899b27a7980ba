//! The series as text, which outlives the process.
//!
//! The first line contains the version and the number of series, and each further line one series. A sample of one value
//! is `[time, unit, value]`, and one of several values `[time, unit, count, sum, minimum, maximum]`, with the time in
//! milliseconds since 1970.

use std::collections::{BTreeMap, VecDeque};

use chrono::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::{MetricName, Metrics, Sample, Series, UNITS};

/// Version of the text.
const VERSION: u32 = 1;

/// Size of the text above which samples are merged by minute, in bytes.
const LIMIT_BYTES: usize = 16 * 1024 * 1024;

/// Reasons why a text contains no series.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SavedError {
    #[error("line {line}: {error}")]
    Line { line: usize, error: serde_json::Error },
    #[error("it is of version {0}")]
    Version(u32),
    #[error("it contains {found} series instead of {expected}")]
    Incomplete { found: usize, expected: usize },
    #[error("line {0} contains a sample of an unknown form")]
    Sample(usize),
}

#[derive(Serialize, Deserialize)]
struct Head {
    metrics: u32,
    series: usize,
}

#[derive(Serialize, Deserialize)]
struct SavedSeries {
    region: String,
    namespace: String,
    name: String,
    dimensions: BTreeMap<String, String>,
    samples: Vec<Value>,
    minutes: Vec<Value>,
}

impl Metrics {
    /// Returns all series as text, without percentiles if it would be too long otherwise.
    pub(crate) fn to_text(&self) -> String {
        let all: Vec<(MetricName, Series)> =
            self.lock().iter().map(|(name, series)| (name.clone(), series.clone())).collect();
        let text = write(&all);
        if text.len() <= LIMIT_BYTES {
            return text;
        }
        let merged: Vec<_> = all.into_iter().map(|(name, series)| (name, series.merged())).collect();
        write(&merged)
    }

    /// Adds the series of a text. Changes nothing if the text is damaged.
    pub(crate) fn restore(&self, text: &str) -> Result<(), SavedError> {
        let mut lines = text.lines().enumerate().map(|(index, line)| (index + 1, line));
        let (_, head) = lines.next().unwrap_or((1, ""));
        let Head { metrics, series } =
            serde_json::from_str(head).map_err(|error| SavedError::Line { line: 1, error })?;
        if metrics != VERSION {
            return Err(SavedError::Version(metrics));
        }
        let read: Vec<_> = lines.map(|(line, text)| parse(line, text)).collect::<Result<_, _>>()?;
        if read.len() != series {
            return Err(SavedError::Incomplete { found: read.len(), expected: series });
        }
        let mut all = self.lock();
        for (name, series) in read {
            all.entry(name).or_insert(series);
        }
        Ok(())
    }
}

impl Series {
    /// Returns the series with all samples merged by minute.
    fn merged(mut self) -> Self {
        while !self.samples.is_empty() {
            self.merge_oldest();
        }
        self
    }
}

fn write(all: &[(MetricName, Series)]) -> String {
    let mut lines = vec![text(&Head { metrics: VERSION, series: all.len() })];
    lines.extend(all.iter().map(|(name, series)| {
        let MetricName { region, namespace, name, dimensions } = name.clone();
        let values = |samples: &VecDeque<Sample>| samples.iter().filter(|it| it.is_finite()).map(value_of).collect();
        let (samples, minutes) = (values(&series.samples), values(&series.minutes));
        text(&SavedSeries { region, namespace, name, dimensions, samples, minutes })
    }));
    lines.concat()
}

/// Returns a line. The values are finite numbers and texts, so they can be serialised.
fn text(value: &impl Serialize) -> String {
    serde_json::to_string(value).map_or_else(|_| String::new(), |text| text + "\n")
}

impl Sample {
    fn is_finite(&self) -> bool {
        [self.count, self.sum, self.min, self.max].iter().all(|value| value.is_finite())
    }

    /// Returns whether the sample is a single value, also if its parts differ by rounding.
    fn is_single(&self) -> bool {
        self.count.to_bits() == 1.0_f64.to_bits()
            && self.sum.to_bits() == self.min.to_bits()
            && self.min.to_bits() == self.max.to_bits()
    }
}

fn value_of(sample: &Sample) -> Value {
    let time = sample.time.timestamp_millis();
    if sample.is_single() {
        return Value::from(vec![Value::from(time), Value::from(sample.unit), Value::from(sample.sum)]);
    }
    let numbers = [sample.count, sample.sum, sample.min, sample.max].map(Value::from);
    [Value::from(time), Value::from(sample.unit)].into_iter().chain(numbers).collect()
}

fn parse(line: usize, text: &str) -> Result<(MetricName, Series), SavedError> {
    let saved: SavedSeries = serde_json::from_str(text).map_err(|error| SavedError::Line { line, error })?;
    let samples = |values: &[Value]| -> Option<VecDeque<Sample>> { values.iter().map(sample_of).collect() };
    let unknown = || SavedError::Sample(line);
    let mut series = Series { minutes: samples(&saved.minutes).ok_or_else(unknown)?, ..Series::default() };
    samples(&saved.samples).ok_or_else(unknown)?.into_iter().for_each(|sample| series.push(sample));
    let SavedSeries { region, namespace, name, dimensions, .. } = saved;
    Ok((MetricName { region, namespace, name, dimensions }, series))
}

fn sample_of(value: &Value) -> Option<Sample> {
    let [time, unit, numbers @ ..] = value.as_array()?.as_slice() else { return None };
    let time = DateTime::from_timestamp_millis(time.as_i64()?)?;
    let unit = UNITS.iter().find(|known| Some(**known) == unit.as_str())?;
    let number = |index: usize| numbers.get(index).and_then(Value::as_f64);
    match numbers.len() {
        1 => Some(Sample::value(time, unit, number(0)?)),
        4 => Some(Sample { time, unit, count: number(0)?, sum: number(1)?, min: number(2)?, max: number(3)? }),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::Statistic;
    use super::*;

    fn name(metric: &str) -> MetricName {
        let dimensions = BTreeMap::from([("InstanceId".to_owned(), "i-1".to_owned())]);
        MetricName { region: "us-east-1".into(), namespace: "AWS/EC2".into(), name: metric.into(), dimensions }
    }

    fn metrics() -> Metrics {
        let metrics = Metrics::default();
        let at = |second: i64| DateTime::from_timestamp(1_800_000_000 + second, 500_000_000).unwrap();
        for (second, value) in [(0, 0.1), (1, 2.5), (1, 3.5)] {
            metrics.record(&name("latency"), Sample::value(at(second), "Seconds", value));
        }
        let several = Sample { time: at(2), unit: "Count", count: 3.0, sum: 9.0, min: 1.0, max: 5.0 };
        metrics.record(&name("requests"), several);
        metrics
    }

    #[test]
    fn series_are_restored_with_their_percentiles() {
        let (before, after) = (metrics(), Metrics::default());
        let text = before.to_text();
        insta::assert_snapshot!(text, @r#"
        {"metrics":1,"series":2}
        {"region":"us-east-1","namespace":"AWS/EC2","name":"latency","dimensions":{"InstanceId":"i-1"},"samples":[[1800000000500,"Seconds",0.1],[1800000001500,"Seconds",2.5],[1800000001500,"Seconds",3.5]],"minutes":[]}
        {"region":"us-east-1","namespace":"AWS/EC2","name":"requests","dimensions":{"InstanceId":"i-1"},"samples":[[1800000002500,"Count",3.0,9.0,1.0,5.0]],"minutes":[]}
        "#);
        after.restore(&text).unwrap();
        assert_eq!(after.to_text(), text);
        let moments = after.moments(&name("latency"), DateTime::UNIX_EPOCH);
        assert_eq!(moments[1].statistic(Statistic::Percentile(99.0)), Some(3.5));
    }

    #[test]
    fn new_samples_are_not_replaced_by_saved_ones() {
        let metrics = metrics();
        let text = metrics.to_text();
        metrics.record(&name("requests"), Sample::value(DateTime::UNIX_EPOCH, "Count", 1.0));
        let newest = metrics.to_text();
        metrics.restore(&text).unwrap();
        assert_eq!(metrics.to_text(), newest);
    }

    #[test]
    fn damaged_texts_are_refused_as_a_whole() {
        let text = metrics().to_text();
        let refused = |text: &str| {
            let metrics = Metrics::default();
            let error = metrics.restore(text).unwrap_err().to_string();
            assert!(metrics.names(|_| true).is_empty());
            error
        };
        assert!(refused("").starts_with("line 1: EOF"));
        assert!(refused(&text[..text.len() - 5]).starts_with("line 3: EOF"));
        assert_eq!(refused(text.trim_end().rsplit_once('\n').unwrap().0), "it contains 1 series instead of 2");
        assert_eq!(
            refused(&text.replace("\"Seconds\",2.5", "\"Parsecs\",2.5")),
            "line 2 contains a sample of an unknown form"
        );
        assert_eq!(refused(&text.replace("\"metrics\":1", "\"metrics\":9")), "it is of version 9");
    }

    #[test]
    fn long_texts_have_samples_by_minute() {
        let metrics = Metrics::default();
        for series in 0..40 {
            for second in 0..1200 {
                for value in 0..9 {
                    let time = DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
                    let sample = Sample::value(time, "Milliseconds", f64::from(value) + 0.123_456_789);
                    metrics.record(&name(&format!("latency-{series}")), sample);
                }
            }
        }
        let text = metrics.to_text();
        assert!(text.len() < 1024 * 1024, "{}", text.len());
        let restored = Metrics::default();
        restored.restore(&text).unwrap();
        let moments = restored.moments(&name("latency-7"), DateTime::UNIX_EPOCH);
        let count: f64 = moments.iter().filter_map(|it| it.statistic(Statistic::SampleCount)).sum();
        assert!((count - 10_800.0).abs() < 0.1, "{count}");
    }
}
