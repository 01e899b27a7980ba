//! Metrics: put and list.

use serde::Deserialize;
use serde_json::{Value, json};

use super::{Dimension, Time, WatchOperation, dimensions, input, invalid, render_dimensions};
use crate::model::Cloud;
use crate::model::cloudwatch::metrics::{MetricName, Sample, UNITS};
use crate::services::{Call, typed};
use crate::wire::{ApiError, Outcome, Page};

pub(super) const OPERATIONS: &[WatchOperation] = &[
    // Metrics are not part of the state that operations change.
    typed!(Reads, "PutMetricData", put)
        .on_any()
        // It concerns entities alone, which are refused.
        .ignoring(&[&["StrictEntityValidation"]]),
    typed!(Reads, "ListMetrics", list).on_any(),
];

/// AWS's limits of metrics per request, and per page of a list.
const DATA: usize = 1000;
const PAGE: usize = 500;
/// Exponent of the largest absolute value of a metric, to the base 2. See
/// [MetricDatum](https://docs.aws.amazon.com/AmazonCloudWatch/latest/APIReference/API_MetricDatum.html).
const RANGE: i32 = 360;

/// AWS's limit of values per metric of a request.
const VALUES: usize = 150;

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Put {
    namespace: String,
    #[serde(default)]
    metric_data: Vec<Datum>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct Datum {
    metric_name: String,
    #[serde(default)]
    dimensions: Vec<Dimension>,
    timestamp: Option<Time>,
    value: Option<f64>,
    statistic_values: Option<StatisticSet>,
    #[serde(default)]
    values: Vec<f64>,
    #[serde(default)]
    counts: Vec<f64>,
    unit: Option<String>,
    storage_resolution: Option<u32>,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct StatisticSet {
    sample_count: f64,
    sum: f64,
    minimum: f64,
    maximum: f64,
}

fn put(cloud: &Cloud, call: &Call<'_, Value>, request: Put) -> Outcome<Value> {
    if request.namespace.is_empty() || request.namespace.starts_with(':') {
        return Err(invalid("The parameter Namespace must have characters and not begin with ':'."));
    }
    if request.namespace.starts_with("AWS/") {
        return Err(invalid("The value AWS/ for parameter Namespace is invalid: AWS's own namespaces are reserved."));
    }
    if request.metric_data.is_empty() {
        return Err(ApiError::new("MissingParameter", "The parameter MetricData is required."));
    }
    if request.metric_data.len() > DATA {
        return Err(invalid(format!("The collection MetricData must not have a size greater than {DATA}.")));
    }
    let mut all = Vec::new();
    for (index, datum) in request.metric_data.into_iter().enumerate() {
        let samples = datum.samples(&format!("MetricData.member.{}", index + 1), call)?;
        let name = MetricName {
            region: call.region.to_owned(),
            namespace: request.namespace.clone(),
            name: datum.metric_name,
            dimensions: dimensions(datum.dimensions)?,
        };
        all.push((name, samples));
    }
    for (name, samples) in all {
        samples.into_iter().for_each(|sample| cloud.metrics.record(&name, sample));
    }
    Ok(json!({}))
}

impl Datum {
    fn samples(&self, path: &str, call: &Call<'_, Value>) -> Outcome<Vec<Sample>> {
        let time = self.timestamp.map_or(call.now, |time| time.0);
        if call.now - time > chrono::TimeDelta::weeks(2) || time - call.now > chrono::TimeDelta::hours(2) {
            return Err(invalid(
                "The value for parameter Timestamp must be at most two weeks past and two hours ahead.",
            ));
        }
        if self.storage_resolution.is_some_and(|seconds| ![1, 60].contains(&seconds)) {
            return Err(invalid("The value for parameter StorageResolution must be 1 or 60."));
        }
        let unit = self.unit.as_deref().unwrap_or("None");
        let unit = UNITS.iter().find(|known| **known == unit);
        let unit = unit.ok_or_else(|| invalid("The value for parameter Unit is not a unit."))?;
        if self.metric_name.is_empty() {
            return Err(ApiError::new("MissingParameter", format!("The parameter {path}.MetricName is required.")));
        }
        self.check_exclusive(path)?;
        let several = |value: f64, count: f64| Sample { count, sum: value * count, ..Sample::value(time, unit, value) };
        let samples: Vec<Sample> = match (self.value, &self.statistic_values) {
            (Some(value), _) => vec![Sample::value(time, unit, value)],
            (None, Some(set)) if set.sample_count > 0.0 && set.minimum <= set.maximum => vec![Sample {
                count: set.sample_count,
                sum: set.sum,
                min: set.minimum,
                max: set.maximum,
                ..Sample::value(time, unit, 0.0)
            }],
            (None, Some(_)) => {
                return Err(invalid("StatisticValues need a SampleCount above 0 and a Minimum not above the Maximum."));
            }
            (None, None) => {
                if self.values.len() > VALUES {
                    return Err(invalid(format!(
                        "The collection {path}.Values must not have a size greater than {VALUES}."
                    )));
                }
                if !(self.counts.is_empty() || self.counts.len() == self.values.len()) {
                    return Err(invalid(format!(
                        "The parameters {path}.Values and {path}.Counts must be of the same size."
                    )));
                }
                let counts = self.counts.iter().copied().chain(std::iter::repeat(1.0));
                self.values.iter().zip(counts).map(|(value, count)| several(*value, count)).collect()
            }
        };
        let in_range = |number: &f64| number.is_finite() && number.abs() <= 2_f64.powi(RANGE);
        let sound = |sample: &Sample| [sample.count, sample.sum, sample.min, sample.max].iter().all(in_range);
        match samples.iter().find(|sample| !sound(sample)) {
            Some(sample) => Err(invalid(format!("The value {} for parameter {path}.Value is invalid.", sample.sum))),
            None => Ok(samples),
        }
    }

    /// Checks that the datum has exactly one of its three kinds of values.
    fn check_exclusive(&self, path: &str) -> Outcome<()> {
        let kinds = [
            ("Value", self.value.is_some()),
            ("Values", !self.values.is_empty()),
            ("StatisticValues", self.statistic_values.is_some()),
        ];
        let given: Vec<&str> = kinds.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect();
        match given.as_slice() {
            [_] => Ok(()),
            [] => Err(ApiError::new(
                "MissingParameter",
                format!(
                    "At least one of the parameters {path}.Value, {path}.Values and {path}.StatisticValues must be specified."
                ),
            )),
            [one, other, ..] => Err(ApiError::new(
                "InvalidParameterCombination",
                format!(
                    "The parameters {path}.{one} and {path}.{other} are mutually exclusive and you have specified both."
                ),
            )),
        }
    }
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct List {
    namespace: Option<String>,
    metric_name: Option<String>,
    #[serde(default)]
    dimensions: Vec<DimensionFilter>,
    next_token: Option<String>,
    recently_active: Option<String>,
    /// Metrics of one account; there is only this one.
    owning_account: Option<String>,
    #[serde(default)]
    include_linked_accounts: bool,
}

#[derive(Deserialize)]
#[serde(rename_all = "PascalCase", deny_unknown_fields)]
struct DimensionFilter {
    name: String,
    value: Option<String>,
}

fn list(cloud: &Cloud, call: &Call<'_, Value>, request: List) -> Outcome<Value> {
    if request.recently_active.as_deref().is_some_and(|word| word != "PT3H") {
        return Err(invalid("The value for parameter RecentlyActive must be PT3H."));
    }
    let since = call.now - chrono::TimeDelta::hours(3);
    let names = cloud.metrics.names(|metric| {
        metric.region == call.region
            && request.owning_account.as_deref().is_none_or(|account| call.account == *account)
            && request.namespace.as_ref().is_none_or(|namespace| *namespace == metric.namespace)
            && request.metric_name.as_ref().is_none_or(|name| *name == metric.name)
            && request.dimensions.iter().all(|filter| {
                let value = metric.dimensions.get(&filter.name);
                value.is_some_and(|value| filter.value.as_ref().is_none_or(|wanted| wanted == value))
            })
    });
    let active = names.into_iter().filter(|(_, latest)| request.recently_active.is_none() || *latest >= since);
    let keyed =
        active.map(|(metric, _)| (format!("{}/{}/{:?}", metric.namespace, metric.name, metric.dimensions), metric));
    let page = Page::cut(keyed.collect(), Some(PAGE), request.next_token.as_deref(), |(key, _)| key)?;
    let owners: Option<Vec<&str>> =
        request.include_linked_accounts.then(|| vec![call.account.as_str(); page.items.len()]);
    let shown = page.items.into_iter().map(|(_, metric)| {
        json!({
            "Namespace": metric.namespace,
            "MetricName": metric.name,
            "Dimensions": render_dimensions(&metric.dimensions),
        })
    });
    Ok(json!({"Metrics": shown.collect::<Vec<_>>(), "NextToken": page.next, "OwningAccounts": owners}))
}
