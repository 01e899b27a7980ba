//! The plots of namespaces other than AWS's: the metrics that programs publish.

use super::{
    charts::{Chart, Question, SERIES},
    document::{Document, Series as Samples},
    samples::Timeline,
};
use crate::{
    plot::{Colour, Plot, Series, Shape},
    views::{inventory::Resource, range::Range},
};
use std::{borrow::Cow, collections::BTreeMap};

/// The largest number of plots of a namespace.
const CHARTS: usize = 24;

/// CloudWatch's units with their symbols. Metrics with other units are shown without one.
const UNITS: &[(&str, &str)] = &[
    ("Seconds", "s"),
    ("Milliseconds", "ms"),
    ("Microseconds", "µs"),
    ("Bytes", "B"),
    ("Kilobytes", "kB"),
    ("Megabytes", "MB"),
    ("Gigabytes", "GB"),
    ("Percent", "%"),
    ("Count", "count"),
    ("Bytes/Second", "B/s"),
    ("Count/Second", "1/s"),
];

/// Returns a plot per metric of a namespace, with a series per set of dimensions.
pub(super) fn charts(document: &Document, namespace: &Resource, range: &Range) -> Vec<Chart> {
    let mut metrics: BTreeMap<&str, Vec<&Samples>> = BTreeMap::new();
    for series in document.of_namespace(&namespace.region, &namespace.id) {
        metrics.entry(&series.metric).or_default().push(series);
    }
    let charts = metrics.into_iter().take(CHARTS).map(|(metric, samples)| chart(namespace, metric, &samples, range));
    charts.collect()
}

fn chart(namespace: &Resource, metric: &str, samples: &[&Samples], range: &Range) -> Chart {
    let timeline = Timeline::of(samples.iter().copied());
    let all = samples.iter().map(|samples| (described(samples), timeline.average(samples, 1.0, range)));
    let mut all: Vec<_> = all.filter(|(_, points)| !points.is_empty()).collect();
    let omitted = all.len().saturating_sub(SERIES);
    all.truncate(SERIES);
    let series = (0..).zip(all).map(|(index, (name, points))| Series { name, colour: Colour::Series(index), points });
    let unit = samples.iter().find_map(|samples| samples.unit.as_deref());
    let unit = UNITS.iter().find(|(name, _)| Some(*name) == unit).map_or("", |(_, symbol)| *symbol);
    let (from, to) = (range.from, range.to);
    let plot = Plot { unit, shape: Shape::Lines, from, to, series: series.collect(), marks: Vec::new() };
    let parts = [namespace.kind.name(), &namespace.region, &namespace.id, metric];
    Chart {
        id: parts.join("."),
        question: Question::Metric,
        title: Cow::Owned(format!("{metric} (average)")),
        metrics: vec![Cow::Owned(metric.to_owned())],
        empty: plot.is_empty().then(|| Question::Metric.reason()),
        omitted,
        plot,
    }
}

/// Returns the dimensions of a series in one line.
fn described(samples: &Samples) -> String {
    let dimensions: Vec<String> = samples.dimensions.iter().map(|(name, value)| format!("{name}={value}")).collect();
    if dimensions.is_empty() { samples.metric.clone() } else { dimensions.join(", ") }
}
