//! The metrics of a stack's resources on AWS, which CloudWatch keeps.

use super::document::{Document, Point, Series};
use crate::views::{
    Context, Problem,
    inventory::{Inventory, Kind, Resource},
    range::Range,
};
use infra_core::{
    diagnostic::Diagnostic,
    monitoring::{MetricQuery, Period, Sample},
    state::State,
};
use std::collections::{BTreeMap, BTreeSet};

/// Maximum number of resources whose metrics are read, because each request is charged by the metric.
const RESOURCES: usize = 100;

/// Length of the shortest intervals, in seconds, and the number of intervals above which they become longer.
const INTERVAL: i64 = 60;
const INTERVALS: i64 = 240;

/// Kind, namespace, dimension, metric and statistics of the plots.
const METRICS: &[(Kind, &str, &str, &str, &[&str])] = &[
    (Kind::Balancer, "AWS/ApplicationELB", "LoadBalancer", "RequestCount", &["Sum"]),
    (Kind::Balancer, "AWS/ApplicationELB", "LoadBalancer", "HTTPCode_Target_4XX_Count", &["Sum"]),
    (Kind::Balancer, "AWS/ApplicationELB", "LoadBalancer", "HTTPCode_Target_5XX_Count", &["Sum"]),
    (Kind::Balancer, "AWS/ApplicationELB", "LoadBalancer", "HTTPCode_ELB_5XX_Count", &["Sum"]),
    (Kind::Balancer, "AWS/ApplicationELB", "LoadBalancer", "TargetResponseTime", &["Average", "p50", "p95", "p99"]),
    (Kind::Group, "AWS/AutoScaling", "AutoScalingGroupName", "GroupDesiredCapacity", &["Average"]),
    (Kind::Group, "AWS/AutoScaling", "AutoScalingGroupName", "GroupInServiceInstances", &["Average"]),
    (Kind::Group, "AWS/EC2", "AutoScalingGroupName", "CPUUtilization", &["Average"]),
    (Kind::Instance, "AWS/EC2", "InstanceId", "CPUUtilization", &["Average"]),
    (Kind::Database, "AWS/RDS", "DBInstanceIdentifier", "DatabaseConnections", &["Average"]),
    (Kind::Database, "AWS/RDS", "DBInstanceIdentifier", "ReplicaLag", &["Average"]),
    (Kind::Database, "AWS/RDS", "DBInstanceIdentifier", "AuroraReplicaLag", &["Average"]),
];

/// A resource, and the value of its dimension in CloudWatch.
struct Measured {
    resource: Resource,
    dimension: String,
}

/// Reads the metrics of the recorded resources.
pub(super) async fn load(context: &Context, range: &Range) -> Result<(Inventory, Document), Problem> {
    let monitoring = context.monitoring()?;
    let mut measured = context.source.state().await?.map(|state| measured(&state)).unwrap_or_default();
    if measured.is_empty() {
        let none = Diagnostic::error("the stack has no resource with metrics on AWS");
        let hint = "load balancers, Auto Scaling groups, instances and databases have metrics; deploy them with \
                    `stack --target aws up`";
        return Err(Problem::not_found(none.hint(hint)));
    }
    measured.truncate(RESOURCES);
    let regions: BTreeSet<String> = measured.iter().map(|one| one.resource.region.clone()).collect();
    let mut document = Document::default();
    for region in regions {
        let of_region = measured.iter().filter(|one| one.resource.region == region);
        let queries: Vec<MetricQuery> = of_region.flat_map(queries).collect();
        let found = monitoring.metrics(&region, &queries, period(range)).await?;
        document.series.extend(series(&region, queries.into_iter().zip(found)));
    }
    let resources = measured.into_iter().map(|one| one.resource).collect();
    Ok((Inventory { resources, ..Inventory::default() }, document))
}

/// Returns the recorded resources with metrics.
fn measured(state: &State) -> Vec<Measured> {
    let current = state.resources.iter().filter_map(|(urn, resource)| Some((urn, resource.current.as_ref()?)));
    let one = current.filter_map(|(urn, generation)| {
        let (id, region) = (generation.id.as_ref()?, generation.region.clone()?);
        let (kind, name, dimension) = match urn.kind() {
            "aws:elb:LoadBalancer" => {
                let label = id.split_once(":loadbalancer/")?.1;
                (Kind::Balancer, label.split('/').nth(1)?, label)
            }
            "aws:autoscaling:AutoScalingGroup" => (Kind::Group, id.as_str(), id.as_str()),
            "aws:ec2:Instance" => (Kind::Instance, id.as_str(), id.as_str()),
            "aws:rds:DbInstance" => (Kind::Database, id.as_str(), id.as_str()),
            _ => return None,
        };
        let shown = if kind == Kind::Instance { urn.name() } else { name };
        let (id, name, state) = (name.to_owned(), shown.to_owned(), String::new());
        Some(Measured { dimension: dimension.to_owned(), resource: Resource { kind, region, id, name, state } })
    });
    let mut all: Vec<Measured> = one.collect();
    all.sort_by(|one, other| one.resource.cmp(&other.resource));
    all
}

fn queries(measured: &Measured) -> impl Iterator<Item = MetricQuery> + '_ {
    let of_kind = METRICS.iter().filter(|(kind, ..)| *kind == measured.resource.kind);
    of_kind.flat_map(move |(_, namespace, dimension, metric, statistics)| {
        statistics.iter().map(move |statistic| MetricQuery {
            namespace: (*namespace).to_owned(),
            metric: (*metric).to_owned(),
            dimensions: [((*dimension).to_owned(), measured.dimension.clone())].into(),
            statistic: (*statistic).to_owned(),
        })
    })
}

/// Returns the interval of a range: whole minutes, so that the number of values is limited.
fn period(range: &Range) -> Period {
    // Rounded up.
    let all = INTERVALS * INTERVAL;
    let seconds = (((range.to - range.from) / 1000 + all - 1) / all).max(1) * INTERVAL;
    Period { from: range.from, to: range.to, seconds: u32::try_from(seconds).unwrap_or(u32::MAX) }
}

/// Merges the statistics of each metric.
fn series(region: &str, found: impl Iterator<Item = (MetricQuery, Vec<Sample>)>) -> Vec<Series> {
    let mut all: BTreeMap<(String, String, BTreeMap<String, String>), Series> = BTreeMap::new();
    for (query, samples) in found.filter(|(_, samples)| !samples.is_empty()) {
        let MetricQuery { namespace, metric, dimensions, statistic } = query;
        let key = (namespace.clone(), metric.clone(), dimensions.clone());
        let series = all.entry(key).or_insert_with(|| Series {
            region: region.to_owned(),
            namespace,
            metric,
            dimensions,
            unit: None,
            points: Vec::new(),
            percentiles: BTreeMap::new(),
        });
        if statistic.starts_with('p') {
            let values = samples.iter().map(|sample| (sample.at, sample.value));
            series.percentiles.insert(statistic, values.collect());
        } else {
            let point = |sample: &Sample| Point(sample.at, 1.0, sample.value, sample.value, sample.value);
            series.points = samples.iter().map(point).collect();
        }
    }
    all.into_values().collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn intervals_are_whole_minutes() {
        let seconds = |minutes: i64| period(&Range { name: "custom", from: 0, to: minutes * 60_000 }).seconds;
        assert_eq!([5, 180, 240, 241, 7 * 1440].map(seconds), [60, 60, 60, 120, 2520]);
    }
}
