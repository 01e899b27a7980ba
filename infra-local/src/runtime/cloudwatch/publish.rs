//! Metrics that the cloud publishes for instances, balancers and groups.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Cloud;
use crate::model::Region;
use crate::model::autoscaling::{Group, Lifecycle};
use crate::model::cloudwatch::metrics::{MetricName, Metrics, Sample};
use crate::model::ec2::instance::InstanceState;
use crate::model::ec2::instance_type::InstanceType;
use crate::runtime::autoscaling::{CORES_PER_VCPU, scaled};
use crate::runtime::process;
use crate::state::traffic::{Counts, Traffic};

/// Samples per minute of AWS's time.
const PER_MINUTE: f64 = 4.0;

/// Lower bound of the interval between samples.
const SHORTEST: TimeDelta = TimeDelta::milliseconds(500);

/// Converts counters to samples.
pub(super) struct Publisher {
    time_scale: f64,
    published: Option<DateTime<Utc>>,
    /// CPU time used so far, by instance, in seconds.
    cpu: BTreeMap<String, f64>,
    /// Counts by ARN of the target group.
    traffic: BTreeMap<String, Counts>,
}

/// The measured resources.
#[derive(Default)]
pub(super) struct Sources {
    instances: Vec<Instance>,
    targets: Vec<TargetGroup>,
    /// Values that need no counter: metric, unit, value.
    gauges: Vec<(MetricName, &'static str, f64)>,
}

struct Instance {
    id: String,
    region: String,
    group: Option<String>,
    pids: Vec<u32>,
    vcpus: u32,
}

struct TargetGroup {
    arn: String,
    region: String,
    /// Name in CloudWatch: `targetgroup/name/id`.
    label: String,
    /// Names of the balancers that forward to it: `app/name/id`.
    balancers: Vec<String>,
    counts: Counts,
    targets: u32,
}

/// Returns the sources of metrics in the state.
pub(super) fn sources(cloud: &Cloud, traffic: &Traffic) -> Sources {
    let mut sources = Sources::default();
    for region in cloud.regions.values() {
        instances(region, &mut sources);
        balancers(region, traffic, &mut sources);
        for group in region.autoscaling.groups.values() {
            capacities(region, group, &mut sources);
        }
    }
    sources
}

fn instances(region: &Region, sources: &mut Sources) {
    for instance in region.ec2.instances.values().filter(|instance| instance.state == InstanceState::Running) {
        let services = instance.runtime.services.values();
        sources.instances.push(Instance {
            id: instance.id.clone(),
            region: region.name.clone(),
            group: instance.tags.get("aws:autoscaling:groupName").cloned(),
            pids: services.filter_map(|service| Some(service.process?.pid)).collect(),
            vcpus: InstanceType::named(&instance.instance_type).map_or(1, |kind| kind.vcpus),
        });
    }
}

fn balancers(region: &Region, traffic: &Traffic, sources: &mut Sources) {
    for balancer in region.elbv2.load_balancers.values() {
        let name =
            metric(region, "AWS/ApplicationELB", "ActiveConnectionCount", [("LoadBalancer", label(&balancer.arn))]);
        let connections = traffic.of(&balancer.arn).connections;
        if connections > 0 {
            sources.gauges.push((name, "Count", connections as f64));
        }
    }
    for group in region.elbv2.target_groups.values() {
        let label = label(&group.arn);
        let balancers: Vec<String> =
            region.balancers_of(&group.arn).into_iter().map(|balancer| self::label(&balancer.arn)).collect();
        let in_state = |state: &str| group.targets.iter().filter(|target| target.health.state == state).count();
        let (healthy, unhealthy) = (in_state("healthy"), in_state("unhealthy"));
        for balancer in &balancers {
            for (name, count) in [("HealthyHostCount", healthy), ("UnHealthyHostCount", unhealthy)] {
                let dimensions = [("TargetGroup", label.clone()), ("LoadBalancer", balancer.clone())];
                let name = metric(region, "AWS/ApplicationELB", name, dimensions);
                sources.gauges.push((name, "Count", count as f64));
            }
        }
        sources.targets.push(TargetGroup {
            arn: group.arn.clone(),
            region: region.name.clone(),
            label,
            balancers,
            counts: traffic.of(&group.arn),
            targets: healthy as u32,
        });
    }
}

/// Adds the metrics that `EnableMetricsCollection` enables.
fn capacities(region: &Region, group: &Group, sources: &mut Sources) {
    let count =
        |wanted: fn(&Lifecycle) -> bool| group.members.iter().filter(|member| wanted(&member.lifecycle)).count();
    for name in &group.collected {
        let value = match name.as_str() {
            "GroupMinSize" => group.min as usize,
            "GroupMaxSize" => group.max as usize,
            "GroupDesiredCapacity" => group.desired as usize,
            "GroupInServiceInstances" => count(|state| *state == Lifecycle::InService),
            "GroupPendingInstances" => count(|state| state.is_pending()),
            "GroupStandbyInstances" => count(|state| *state == Lifecycle::Standby),
            "GroupTerminatingInstances" => count(|state| state.is_leaving()),
            _ => group.members.len(),
        };
        let name = metric(region, "AWS/AutoScaling", name, [("AutoScalingGroupName", group.name.clone())]);
        sources.gauges.push((name, "None", value as f64));
    }
}

impl Publisher {
    pub(super) fn new(time_scale: f64) -> Self {
        Self { time_scale, published: None, cpu: BTreeMap::new(), traffic: BTreeMap::new() }
    }

    /// Returns whether the next samples are due.
    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        let interval = scaled(60.0 / PER_MINUTE, self.time_scale).max(SHORTEST);
        self.published.is_none_or(|published| now - published >= interval)
    }

    /// Records the differences since the previous samples.
    pub(super) fn publish(&mut self, sources: &Sources, metrics: &Metrics, now: DateTime<Utc>) {
        let since = self.published.replace(now).map(|published| now - published);
        for (name, unit, value) in &sources.gauges {
            metrics.record(name, Sample::value(now, unit, *value));
        }
        self.utilisation(sources, metrics, now, since);
        let before = std::mem::take(&mut self.traffic);
        for group in &sources.targets {
            let old = before.get(&group.arn).copied().unwrap_or_default();
            // A counter that decreases has been reset.
            let old = if old.requests > group.counts.requests { Counts::default() } else { old };
            self.traffic.insert(group.arn.clone(), group.counts);
            requests(group, &old, metrics, now);
        }
    }

    fn utilisation(&mut self, sources: &Sources, metrics: &Metrics, now: DateTime<Utc>, since: Option<TimeDelta>) {
        let roots = sources.instances.iter().flat_map(|instance| instance.pids.iter().copied()).collect();
        let used = if sources.instances.is_empty() { BTreeMap::new() } else { process::cpu_time(&roots) };
        let before = std::mem::take(&mut self.cpu);
        for instance in &sources.instances {
            let total: f64 = instance.pids.iter().filter_map(|pid| used.get(pid)).map(Duration::as_secs_f64).sum();
            self.cpu.insert(instance.id.clone(), total);
            let (Some(old), Some(since)) = (before.get(&instance.id), since) else { continue };
            let elapsed = since.num_milliseconds() as f64 / 1000.0;
            if total < *old || elapsed <= 0.0 {
                continue;
            }
            let capacity = f64::from(instance.vcpus) * CORES_PER_VCPU * elapsed;
            let percent = ((total - old) / capacity * 100.0).min(100.0);
            let group = instance.group.iter().map(|group| ("AutoScalingGroupName", group));
            for (dimension, value) in [("InstanceId", &instance.id)].into_iter().chain(group) {
                let name = MetricName {
                    region: instance.region.clone(),
                    namespace: "AWS/EC2".to_owned(),
                    name: "CPUUtilization".to_owned(),
                    dimensions: [(dimension.to_owned(), value.clone())].into(),
                };
                metrics.record(&name, Sample::value(now, "Percent", percent));
            }
        }
    }
}

/// Records the requests and responses of targets since `old`. As on AWS, metrics without events have no value.
fn requests(group: &TargetGroup, old: &Counts, metrics: &Metrics, now: DateTime<Utc>) {
    let alone = BTreeMap::from([("TargetGroup".to_owned(), group.label.clone())]);
    let mut series = vec![alone.clone()];
    for balancer in &group.balancers {
        let balancer = ("LoadBalancer".to_owned(), balancer.clone());
        series.push(BTreeMap::from([balancer.clone()]));
        series.push(alone.clone().into_iter().chain([balancer]).collect());
    }
    let record = |name: &str, dimensions: &BTreeMap<String, String>, sample: Sample| {
        let name = MetricName {
            region: group.region.clone(),
            namespace: "AWS/ApplicationELB".to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.clone(),
        };
        metrics.record(&name, sample);
    };
    let ones = |count: u64| Sample { count: count as f64, sum: count as f64, ..Sample::value(now, "Count", 1.0) };
    let requests_since = group.counts.requests - old.requests;
    for dimensions in &series {
        if requests_since > 0 {
            record("RequestCount", dimensions, ones(requests_since));
        }
        for (class, (new, old)) in (2..).zip(group.counts.responses.iter().zip(&old.responses)) {
            if new > old {
                record(&format!("HTTPCode_Target_{class}XX_Count"), dimensions, ones(new - old));
            }
        }
        for (seconds, count) in group.counts.times.since(&old.times) {
            let sample = Sample { count, sum: seconds * count, ..Sample::value(now, "Seconds", seconds) };
            record("TargetResponseTime", dimensions, sample);
        }
    }
    if requests_since > 0 && group.targets > 0 {
        let each = requests_since as f64 / f64::from(group.targets);
        for dimensions in series.iter().filter(|dimensions| dimensions.contains_key("TargetGroup")) {
            record("RequestCountPerTarget", dimensions, Sample { sum: each, ..Sample::value(now, "Count", each) });
        }
    }
}

/// Returns CloudWatch's name of the resource with this ARN.
fn label(arn: &str) -> String {
    let name = arn.rsplit(':').next().unwrap_or(arn);
    name.strip_prefix("loadbalancer/").unwrap_or(name).to_owned()
}

fn metric<const N: usize>(region: &Region, namespace: &str, name: &str, dimensions: [(&str, String); N]) -> MetricName {
    MetricName {
        region: region.name.clone(),
        namespace: namespace.to_owned(),
        name: name.to_owned(),
        dimensions: dimensions.into_iter().map(|(name, value)| (name.to_owned(), value)).collect(),
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;
    use crate::model::cloudwatch::metrics::Statistic;
    use crate::state::times::Times;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
    }

    /// Returns the counts of a target group with two healthy targets behind one balancer.
    fn counted(requests: u64, responses: [u64; 4], seconds: &[f64]) -> Sources {
        let counts = Counts { requests, responses, times: Times::of(seconds), ..Counts::default() };
        let group = TargetGroup {
            arn: "arn:targets".to_owned(),
            region: "r".to_owned(),
            label: "targetgroup/t/1".to_owned(),
            balancers: vec!["app/b/1".to_owned()],
            counts,
            targets: 2,
        };
        Sources { targets: vec![group], ..Sources::default() }
    }

    fn value_of(metrics: &Metrics, name: &str, dimensions: &[(&str, &str)], statistic: &str) -> Option<f64> {
        let name = MetricName {
            region: "r".to_owned(),
            namespace: "AWS/ApplicationELB".to_owned(),
            name: name.to_owned(),
            dimensions: dimensions.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
        };
        let periods = metrics.periods(&name, None, at(60), at(120), TimeDelta::seconds(60));
        periods.first()?.statistic(Statistic::parse(statistic)?)
    }

    #[test]
    fn requests_are_published_by_balancer_and_target_group() {
        let (metrics, mut publisher) = (Metrics::default(), Publisher::new(1.0));
        let balancer = ("LoadBalancer", "app/b/1");
        let targets = ("TargetGroup", "targetgroup/t/1");
        publisher.publish(&counted(10, [9, 0, 1, 0], &[0.1]), &metrics, at(30));
        publisher.publish(&counted(16, [13, 0, 1, 2], &[0.1, 0.2, 0.2, 0.5]), &metrics, at(61));
        for dimensions in [&[balancer][..], &[targets], &[balancer, targets]] {
            assert_eq!(value_of(&metrics, "RequestCount", dimensions, "Sum"), Some(6.0), "{dimensions:?}");
        }
        assert_eq!(value_of(&metrics, "HTTPCode_Target_2XX_Count", &[balancer], "Sum"), Some(4.0));
        assert_eq!(value_of(&metrics, "HTTPCode_Target_5XX_Count", &[balancer], "Sum"), Some(2.0));
        assert_eq!(value_of(&metrics, "HTTPCode_Target_4XX_Count", &[balancer], "Sum"), None, "what did not happen");
        assert_eq!(value_of(&metrics, "RequestCountPerTarget", &[targets], "Sum"), Some(3.0));
        assert_eq!(value_of(&metrics, "RequestCountPerTarget", &[balancer], "Sum"), None);
        let average = value_of(&metrics, "TargetResponseTime", &[balancer], "Average").unwrap();
        assert!((average - 0.3).abs() < 1e-9, "{average}");
        let most = value_of(&metrics, "TargetResponseTime", &[balancer], "p99").unwrap();
        assert!((0.4..0.6).contains(&most), "{most}");
        publisher.publish(&counted(1, [1, 0, 0, 0], &[0.1]), &metrics, at(90));
        assert_eq!(
            value_of(&metrics, "RequestCount", &[balancer], "Sum"),
            Some(7.0),
            "a counter that started again at 0"
        );
    }
}
