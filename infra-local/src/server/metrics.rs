//! Time series of the cloud's metrics, for `GET /_infra/metrics`.
//!
//! The resolution is that of the store (`model/cloudwatch/metrics`): the cloud measures every 15 seconds of AWS's time,
//! at most every half second. The last 1200 moments of a series are kept as they were measured, and before them a day of
//! values merged by minute. Merged values have no percentiles.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, Utc};
use serde::Serialize;

use crate::model::cloudwatch::metrics::{MetricName, Metrics, Period, Statistic};
use crate::state::Shared;

/// Units of series with percentiles.
const LATENCIES: &[&str] = &["Seconds", "Milliseconds", "Microseconds"];

/// The percentiles of latencies.
const PERCENTILES: &[(&str, f64)] = &[("p50", 50.0), ("p95", 95.0), ("p99", 99.0)];

/// The metrics of CloudWatch, and the sizes of groups that have not enabled their metrics.
#[derive(Debug, Serialize)]
pub(crate) struct MetricsDocument {
    /// Current time in milliseconds since 1970.
    now: i64,
    series: Vec<SeriesDocument>,
}

/// One metric with one set of dimensions.
#[derive(Debug, Serialize)]
struct SeriesDocument {
    region: String,
    namespace: String,
    metric: String,
    dimensions: BTreeMap<String, String>,
    unit: Option<&'static str>,
    /// Time in milliseconds since 1970, number of samples, sum, minimum and maximum.
    points: Vec<(i64, f64, f64, f64, f64)>,
    /// Percentiles of latencies, by name: time in milliseconds since 1970, and value.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    percentiles: BTreeMap<&'static str, Vec<(i64, f64)>>,
}

/// Returns the series with values since a time, of one region or of all.
pub(crate) fn of(shared: &Shared, since: DateTime<Utc>, region: Option<&str>) -> MetricsDocument {
    let (published, always) = shared.read(|cloud| (cloud.metrics.clone(), cloud.always_recorded_metrics.clone()));
    let mut series = of_store(&always, since, region);
    // A published series of the same name begins when the group enabled it.
    let complete: BTreeSet<_> = series.iter().map(SeriesDocument::identity).collect();
    let mut others = of_store(&published, since, region);
    others.retain(|series| !complete.contains(&series.identity()));
    series.append(&mut others);
    MetricsDocument { now: Utc::now().timestamp_millis(), series }
}

fn of_store(store: &Metrics, since: DateTime<Utc>, region: Option<&str>) -> Vec<SeriesDocument> {
    let mut names = store.names(|name| region.is_none_or(|region| region == name.region));
    names.retain(|(_, latest)| *latest >= since);
    let series = names.into_iter().map(|(name, _)| {
        let moments = store.moments(&name, since);
        SeriesDocument::new(name, &moments)
    });
    series.collect()
}

impl SeriesDocument {
    fn identity(&self) -> MetricName {
        MetricName {
            region: self.region.clone(),
            namespace: self.namespace.clone(),
            name: self.metric.clone(),
            dimensions: self.dimensions.clone(),
        }
    }

    fn new(name: MetricName, moments: &[Period]) -> Self {
        let MetricName { region, namespace, name: metric, dimensions } = name;
        let unit = moments.last().map(|moment| moment.unit).filter(|unit| *unit != "None");
        let value = |moment: &Period, statistic| moment.statistic(statistic).unwrap_or_default();
        let points = moments.iter().map(|moment| {
            let [count, sum, min, max] =
                [Statistic::SampleCount, Statistic::Sum, Statistic::Minimum, Statistic::Maximum]
                    .map(|statistic| value(moment, statistic));
            (moment.start.timestamp_millis(), count, sum, min, max)
        });
        let points = points.collect();
        let is_latency = unit.is_some_and(|unit| LATENCIES.contains(&unit));
        let percentiles = PERCENTILES.iter().filter(|_| is_latency).filter_map(|(name, percent)| {
            let known = moments.iter().filter_map(|moment| {
                let value = moment.statistic(Statistic::Percentile(*percent))?;
                Some((moment.start.timestamp_millis(), value))
            });
            let known: Vec<_> = known.collect();
            (!known.is_empty()).then_some((*name, known))
        });
        let percentiles = percentiles.collect();
        SeriesDocument { region, namespace, metric, dimensions, unit, points, percentiles }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::model::cloudwatch::metrics::Sample;

    #[test]
    fn series_contain_points_by_moment_and_percentiles_of_latencies() {
        let store = Metrics::default();
        let at = |second: i64| DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap();
        let name = |region: &str, name: &str| MetricName {
            region: region.to_owned(),
            namespace: "N".to_owned(),
            name: name.to_owned(),
            dimensions: [("D".to_owned(), "d".to_owned())].into(),
        };
        for (second, value) in [(0, 9.0), (1, 1.0), (1, 2.0), (1, 6.0), (2, 4.0)] {
            store.record(&name("us-east-1", "latency"), Sample::value(at(second), "Seconds", value));
        }
        store.record(&name("us-east-1", "size"), Sample::value(at(1), "None", 3.0));
        store.record(&name("us-east-2", "size"), Sample::value(at(1), "None", 3.0));
        store.record(&name("us-east-1", "old"), Sample::value(at(0), "None", 3.0));
        let series = of_store(&store, at(1), Some("us-east-1"));
        insta::assert_snapshot!(serde_json::to_string_pretty(&series).unwrap(), @r#"
        [
          {
            "region": "us-east-1",
            "namespace": "N",
            "metric": "latency",
            "dimensions": {
              "D": "d"
            },
            "unit": "Seconds",
            "points": [
              [
                1800000001000,
                3.0,
                9.0,
                1.0,
                6.0
              ],
              [
                1800000002000,
                1.0,
                4.0,
                4.0,
                4.0
              ]
            ],
            "percentiles": {
              "p50": [
                [
                  1800000001000,
                  2.0
                ],
                [
                  1800000002000,
                  4.0
                ]
              ],
              "p95": [
                [
                  1800000001000,
                  6.0
                ],
                [
                  1800000002000,
                  4.0
                ]
              ],
              "p99": [
                [
                  1800000001000,
                  6.0
                ],
                [
                  1800000002000,
                  4.0
                ]
              ]
            }
          },
          {
            "region": "us-east-1",
            "namespace": "N",
            "metric": "size",
            "dimensions": {
              "D": "d"
            },
            "unit": null,
            "points": [
              [
                1800000001000,
                1.0,
                3.0,
                3.0,
                3.0
              ]
            ]
          }
        ]
        "#);
    }
}
