//! Metrics of groups: CPU time of their instances, requests to their target groups.

use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};

use super::scaled;
use crate::model::Cloud;
use crate::model::ec2::instance_type::InstanceType;
use crate::runtime::process;
use crate::state::traffic::Traffic;

/// Share of a core that counts as one vCPU, because a development machine has fewer cores than the declared instances.
pub(crate) const CORES_PER_VCPU: f64 = 0.125;

/// Period for which samples are kept: the longest one that AWS evaluates.
const KEPT_SECONDS: f64 = 900.0;

/// Samples per minute of AWS's time.
const PER_MINUTE: f64 = 12.0;

/// Time series of the metrics of groups.
pub(super) struct Metrics {
    time_scale: f64,
    sampled: Option<DateTime<Utc>>,
    /// Used CPU time by instance.
    cpu: BTreeMap<String, Series>,
    /// Total of requests by ARN of the target group.
    requests: BTreeMap<String, Series>,
}

/// Sources of the metrics.
#[derive(Default)]
pub(super) struct Sources {
    /// Processes and vCPUs by instance.
    instances: BTreeMap<String, (Vec<u32>, u32)>,
    target_groups: BTreeSet<String>,
}

/// Readings of a counter, oldest first.
#[derive(Default)]
struct Series(VecDeque<(DateTime<Utc>, f64)>);

/// Returns the members' processes and target groups of all groups that follow a metric.
pub(super) fn sources(cloud: &Cloud) -> Sources {
    let mut sources = Sources::default();
    for region in cloud.regions.values() {
        for group in region.autoscaling.groups.values().filter(|group| !group.policies.is_empty()) {
            sources.target_groups.extend(group.target_groups.iter().cloned());
            for member in &group.members {
                let Some(instance) = region.ec2.instances.get(&member.instance) else { continue };
                let services = instance.runtime.services.values();
                let pids = services.filter_map(|service| Some(service.process?.pid)).collect();
                let vcpus = InstanceType::named(&instance.instance_type).map_or(1, |kind| kind.vcpus);
                sources.instances.insert(instance.id.clone(), (pids, vcpus));
            }
        }
    }
    sources
}

impl Metrics {
    pub(super) fn new(time_scale: f64) -> Self {
        Self { time_scale, sampled: None, cpu: BTreeMap::new(), requests: BTreeMap::new() }
    }

    /// Returns whether the next sample is due.
    pub(super) fn is_due(&self, now: DateTime<Utc>) -> bool {
        let interval = scaled(60.0 / PER_MINUTE, self.time_scale).max(TimeDelta::milliseconds(200));
        self.sampled.is_none_or(|sampled| now - sampled >= interval)
    }

    /// Takes a sample of all sources.
    pub(super) fn sample(&mut self, sources: &Sources, traffic: &Traffic, now: DateTime<Utc>) {
        self.sampled = Some(now);
        let roots = sources.instances.values().flat_map(|(pids, _)| pids.iter().copied()).collect();
        let used = if sources.instances.is_empty() { BTreeMap::new() } else { process::cpu_time(&roots) };
        for (id, (pids, vcpus)) in &sources.instances {
            let time: Duration = pids.iter().filter_map(|pid| used.get(pid)).sum();
            // Relative to the instance's full capacity, so that the rate is its utilisation.
            self.record_cpu(id, time.as_secs_f64() / (f64::from(*vcpus) * CORES_PER_VCPU), now);
        }
        for arn in &sources.target_groups {
            self.record_requests(arn, traffic.of(arn).requests, now);
        }
        self.cpu.retain(|id, _| sources.instances.contains_key(id));
        self.requests.retain(|arn, _| sources.target_groups.contains(arn));
    }

    pub(super) fn record_cpu(&mut self, instance: &str, seconds: f64, now: DateTime<Utc>) {
        self.cpu.entry(instance.to_owned()).or_default().push(now, seconds, self.time_scale);
    }

    pub(super) fn record_requests(&mut self, target_group: &str, count: u64, now: DateTime<Utc>) {
        let series = self.requests.entry(target_group.to_owned()).or_default();
        series.push(now, count as f64, self.time_scale);
    }

    /// Returns the CPU utilisation of an instance in percent over the last period; `None` before a whole period has
    /// been measured.
    pub(super) fn cpu(&self, instance: &str, period: TimeDelta) -> Option<f64> {
        Some((self.cpu.get(instance)?.rate(period)? * 100.0).min(100.0))
    }

    /// Returns the requests per minute to a target group over the last period.
    pub(super) fn requests(&self, target_group: &str, period: TimeDelta) -> Option<f64> {
        Some(self.requests.get(target_group)?.rate(period)? * 60.0)
    }
}

impl Series {
    fn push(&mut self, now: DateTime<Utc>, value: f64, time_scale: f64) {
        // A counter that decreases belongs to a process that was started again.
        if self.0.back().is_some_and(|(_, last)| value < *last) {
            self.0.clear();
        }
        self.0.push_back((now, value));
        let kept = scaled(KEPT_SECONDS, time_scale).max(TimeDelta::minutes(1));
        while self.0.len() > 2 && self.0.front().is_some_and(|(time, _)| now - *time > kept) {
            self.0.pop_front();
        }
    }

    /// Returns the growth per second over the last period; `None` unless most of the period has been measured.
    fn rate(&self, period: TimeDelta) -> Option<f64> {
        let (now, last) = self.0.back()?;
        let from = *now - period;
        let (then, first) = self.0.iter().rev().take_while(|(time, _)| *time >= from).last()?;
        let span = *now - *then;
        if span * 10 < period * 8 {
            return None;
        }
        Some((last - first) * 1000.0 / span.num_milliseconds() as f64)
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn at(second: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(1_700_000_000 + second, 0).unwrap()
    }

    #[test]
    fn utilisation_is_the_average_of_the_period_and_at_most_100_percent() {
        let mut metrics = Metrics::new(1.0);
        let minute = TimeDelta::minutes(1);
        for second in 0..=20 {
            metrics.record_cpu("i-1", second as f64 * 1.5, at(second * 3));
            assert_eq!(metrics.cpu("i-1", minute).is_some(), second * 3 >= 48, "{second}");
        }
        assert!((metrics.cpu("i-1", minute).unwrap() - 50.0).abs() < 0.01);
        for second in 0..=20 {
            metrics.record_cpu("i-1", 30.0 + second as f64 * 30.0, at(63 + second * 3));
        }
        assert!((metrics.cpu("i-1", minute).unwrap() - 100.0).abs() < 0.01);
    }

    #[test]
    fn a_reset_counter_is_measured_from_zero() {
        let mut metrics = Metrics::new(1.0);
        for second in 0..=20_u32 {
            metrics.record_requests("arn", u64::from(second) * 100, at(i64::from(second) * 3));
        }
        assert!((metrics.requests("arn", TimeDelta::minutes(1)).unwrap() - 2000.0).abs() < 0.01);
        metrics.record_requests("arn", 0, at(63));
        assert_eq!(metrics.requests("arn", TimeDelta::minutes(1)), None);
    }
}
