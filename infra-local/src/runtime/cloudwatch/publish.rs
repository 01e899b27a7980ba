//! Metrics that the cloud publishes for instances, balancers, groups and databases.

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use crate::model::Cloud;
use crate::model::Region;
use crate::model::autoscaling::{Group, Lifecycle};
use crate::model::cloudwatch::metrics::{MetricName, Metrics, Sample};
use crate::model::ec2::instance::InstanceState;
use crate::model::ec2::instance_type::InstanceType;
use crate::model::elbv2::ProtocolVersion;
use crate::runtime::autoscaling::{CORES_PER_VCPU, scaled};
use crate::runtime::process;
use crate::state::databases::Databases;
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
    /// Counts by ARN of the target group or balancer.
    traffic: BTreeMap<String, Counts>,
}

/// The stores of the samples.
#[derive(Clone, Default)]
pub(super) struct Stores {
    pub(super) published: Metrics,
    pub(super) always_recorded: Metrics,
}

impl Stores {
    pub(super) fn of(cloud: &Cloud) -> Self {
        Self { published: cloud.metrics.clone(), always_recorded: cloud.always_recorded_metrics.clone() }
    }
}

/// The measured resources.
#[derive(Default)]
pub(super) struct Sources {
    instances: Vec<Instance>,
    targets: Vec<TargetGroup>,
    balancers: Vec<Balancer>,
    /// Values that need no counter.
    gauges: Vec<Gauge>,
    /// Values of [`ALWAYS_RECORDED`], which CloudWatch publishes only once the group has enabled its metrics.
    always_recorded: Vec<Gauge>,
}

/// A metric, its unit and its value.
type Gauge = (MetricName, &'static str, f64);

struct Balancer {
    arn: String,
    /// Metrics of errors that the balancer itself returns, with a status of 4xx and 5xx.
    errors: [MetricName; 2],
    counts: Counts,
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
    is_grpc: bool,
}

/// Returns the sources of metrics in the state.
pub(super) fn sources(cloud: &Cloud, traffic: &Traffic, databases: &Databases) -> Sources {
    let mut sources = Sources::default();
    for region in cloud.regions.values() {
        instances(region, &mut sources);
        balancers(region, traffic, &mut sources);
        for group in region.autoscaling.groups.values() {
            capacities(region, group, &mut sources);
        }
        database_instances(region, databases, &mut sources);
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
        let counts = traffic.of(&balancer.arn);
        if counts.connections > 0 {
            sources.gauges.push((name, "Count", counts.connections as f64));
        }
        let errors = ["HTTPCode_ELB_4XX_Count", "HTTPCode_ELB_5XX_Count"]
            .map(|name| metric(region, "AWS/ApplicationELB", name, [("LoadBalancer", label(&balancer.arn))]));
        sources.balancers.push(Balancer { arn: balancer.arn.clone(), errors, counts });
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
            is_grpc: group.version == ProtocolVersion::Grpc,
        });
    }
}

/// Metrics of groups that are recorded even if the group has not enabled them.
const ALWAYS_RECORDED: &[&str] = &["GroupDesiredCapacity", "GroupInServiceInstances"];

/// Adds the metrics that `EnableMetricsCollection` enables, and those of [`ALWAYS_RECORDED`].
fn capacities(region: &Region, group: &Group, sources: &mut Sources) {
    let count =
        |wanted: fn(&Lifecycle) -> bool| group.members.iter().filter(|member| wanted(&member.lifecycle)).count();
    let gauge = |name: &str| {
        let value = match name {
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
        (name, "None", value as f64)
    };
    sources.gauges.extend(group.collected.iter().map(|name| gauge(name)));
    sources.always_recorded.extend(ALWAYS_RECORDED.iter().map(|name| gauge(name)));
}

/// Adds the connections of databases, and the lag of replicas that replicate.
fn database_instances(region: &Region, databases: &Databases, sources: &mut Sources) {
    for instance in region.rds.instances.values().filter(|instance| instance.is_serving()) {
        let gauge = |name: &str, unit, value| {
            (metric(region, "AWS/RDS", name, [("DBInstanceIdentifier", instance.id.clone())]), unit, value)
        };
        if let Some(server) = instance.runtime.backend {
            let connections = databases.connections(server);
            sources.gauges.push(gauge("DatabaseConnections", "Count", connections as f64));
        }
        let lag = databases.lag(&instance.resource_id).filter(|_| region.rds.upstream(instance).is_some());
        sources.gauges.extend(lag.map(|lag| match instance.cluster {
            Some(_) => gauge("AuroraReplicaLag", "Milliseconds", lag.as_secs_f64() * 1000.0),
            None => gauge("ReplicaLag", "Seconds", lag.as_secs_f64()),
        }));
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
    pub(super) fn publish(&mut self, sources: &Sources, stores: &Stores, now: DateTime<Utc>) {
        let since = self.published.replace(now).map(|published| now - published);
        let metrics = &stores.published;
        for (gauges, store) in [(&sources.gauges, metrics), (&sources.always_recorded, &stores.always_recorded)] {
            for (name, unit, value) in gauges {
                store.record(name, Sample::value(now, unit, *value));
            }
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
        for balancer in &sources.balancers {
            let old = before.get(&balancer.arn).map(|counts| counts.own_errors).unwrap_or_default();
            self.traffic.insert(balancer.arn.clone(), balancer.counts);
            for ((name, new), old) in balancer.errors.iter().zip(balancer.counts.own_errors).zip(old) {
                // A listener that was replaced counts from 0 again.
                let count = if new < old { new } else { new - old };
                if count > 0 {
                    metrics.record(name, ones(count, now));
                }
            }
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
    let requests_since = group.counts.requests - old.requests;
    for dimensions in &series {
        if requests_since > 0 {
            record("RequestCount", dimensions, ones(requests_since, now));
        }
        if requests_since > 0 && group.is_grpc && dimensions.contains_key("LoadBalancer") {
            record("GrpcRequestCount", dimensions, ones(requests_since, now));
        }
        let connection_errors = group.counts.connection_errors.saturating_sub(old.connection_errors);
        if connection_errors > 0 {
            record("TargetConnectionErrorCount", dimensions, ones(connection_errors, now));
        }
        for (class, (new, old)) in (2..).zip(group.counts.responses.iter().zip(&old.responses)) {
            if new > old {
                record(&format!("HTTPCode_Target_{class}XX_Count"), dimensions, ones(new - old, now));
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

/// Returns a sample of events that count 1 each.
fn ones(count: u64, now: DateTime<Utc>) -> Sample {
    Sample { count: count as f64, sum: count as f64, ..Sample::value(now, "Count", 1.0) }
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
            is_grpc: false,
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
        let (stores, mut publisher) = (Stores::default(), Publisher::new(1.0));
        let metrics = &stores.published;
        let balancer = ("LoadBalancer", "app/b/1");
        let targets = ("TargetGroup", "targetgroup/t/1");
        publisher.publish(&counted(10, [9, 0, 1, 0], &[0.1]), &stores, at(30));
        let mut later = counted(16, [13, 0, 1, 2], &[0.1, 0.2, 0.2, 0.5]);
        later.targets[0].counts.connection_errors = 2;
        publisher.publish(&later, &stores, at(61));
        for dimensions in [&[balancer][..], &[targets], &[balancer, targets]] {
            assert_eq!(value_of(metrics, "RequestCount", dimensions, "Sum"), Some(6.0), "{dimensions:?}");
        }
        assert_eq!(value_of(metrics, "HTTPCode_Target_2XX_Count", &[balancer], "Sum"), Some(4.0));
        assert_eq!(value_of(metrics, "HTTPCode_Target_5XX_Count", &[balancer], "Sum"), Some(2.0));
        assert_eq!(value_of(metrics, "HTTPCode_Target_4XX_Count", &[balancer], "Sum"), None, "what did not happen");
        assert_eq!(value_of(metrics, "TargetConnectionErrorCount", &[balancer], "Sum"), Some(2.0));
        assert_eq!(value_of(metrics, "RequestCountPerTarget", &[targets], "Sum"), Some(3.0));
        assert_eq!(value_of(metrics, "RequestCountPerTarget", &[balancer], "Sum"), None);
        let average = value_of(metrics, "TargetResponseTime", &[balancer], "Average").unwrap();
        assert!((average - 0.3).abs() < 1e-9, "{average}");
        let most = value_of(metrics, "TargetResponseTime", &[balancer], "p99").unwrap();
        assert!((0.4..0.6).contains(&most), "{most}");
        publisher.publish(&counted(1, [1, 0, 0, 0], &[0.1]), &stores, at(90));
        assert_eq!(
            value_of(metrics, "RequestCount", &[balancer], "Sum"),
            Some(7.0),
            "a counter that started again at 0"
        );
    }

    #[test]
    fn requests_to_targets_of_grpc_are_also_counted_as_such() {
        let (stores, mut publisher) = (Stores::default(), Publisher::new(1.0));
        let counted = |is_grpc| {
            let mut sources = counted(5, [5, 0, 0, 0], &[0.1]);
            sources.targets[0].is_grpc = is_grpc;
            sources
        };
        let (balancer, targets) = (("LoadBalancer", "app/b/1"), ("TargetGroup", "targetgroup/t/1"));
        let sum = |dimensions: &[(&str, &str)]| value_of(&stores.published, "GrpcRequestCount", dimensions, "Sum");
        publisher.publish(&counted(false), &stores, at(61));
        assert_eq!(sum(&[balancer]), None);
        let mut publisher = Publisher::new(1.0);
        publisher.publish(&counted(true), &stores, at(62));
        assert_eq!([sum(&[balancer]), sum(&[balancer, targets]), sum(&[targets])], [Some(5.0), Some(5.0), None]);
        assert_eq!(value_of(&stores.published, "GrpcRequestCount", &[balancer], "Maximum"), Some(1.0));
    }

    #[test]
    fn own_errors_of_balancers_are_published_and_survive_a_replaced_listener() {
        let (stores, mut publisher) = (Stores::default(), Publisher::new(1.0));
        let balancer = ("LoadBalancer", "app/b/1");
        let sources = |own_errors| {
            let errors = ["HTTPCode_ELB_4XX_Count", "HTTPCode_ELB_5XX_Count"].map(|name| MetricName {
                region: "r".to_owned(),
                namespace: "AWS/ApplicationELB".to_owned(),
                name: name.to_owned(),
                dimensions: [(balancer.0.to_owned(), balancer.1.to_owned())].into(),
            });
            let counts = Counts { own_errors, ..Counts::default() };
            let balancer = Balancer { arn: "arn:b".to_owned(), errors, counts };
            Sources { balancers: vec![balancer], ..Sources::default() }
        };
        for (second, errors) in [(60, [0, 5]), (70, [0, 7]), (80, [0, 1])] {
            publisher.publish(&sources(errors), &stores, at(second));
        }
        let sum = |name| value_of(&stores.published, name, &[balancer], "Sum");
        assert_eq!(sum("HTTPCode_ELB_5XX_Count"), Some(8.0));
        assert_eq!(sum("HTTPCode_ELB_4XX_Count"), None);
    }
}
