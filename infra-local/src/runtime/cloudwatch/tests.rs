//! Tests of alarms over time, with simulated metrics.
#![allow(clippy::unwrap_used)]

use std::collections::BTreeMap;

use super::*;
use crate::model::cloudwatch::alarm::{Alarm, Comparison, Missing};
use crate::model::cloudwatch::metrics::{MetricName, Sample, Statistic};
use crate::state::databases::Databases;
use crate::state::traffic::Traffic;

const REGION: &str = "us-east-1";

fn at(second: i64) -> DateTime<Utc> {
    DateTime::from_timestamp(1_800_000_000 + second, 0).unwrap()
}

fn metric() -> MetricName {
    MetricName { region: REGION.into(), namespace: "N".into(), name: "m".into(), dimensions: BTreeMap::new() }
}

/// Returns an alarm for two of the last three minutes above 5.
fn alarm(missing: Option<Missing>) -> Alarm {
    Alarm {
        name: "a".into(),
        arn: "arn:a".into(),
        description: None,
        actions_enabled: true,
        actions: BTreeMap::new(),
        namespace: "N".into(),
        metric: "m".into(),
        dimensions: BTreeMap::new(),
        statistic: "Average".into(),
        period_seconds: 60,
        unit: None,
        evaluation_periods: 3,
        datapoints_to_alarm: Some(2),
        threshold: 5.0,
        comparison: Comparison::GreaterThanThreshold,
        missing,
        tags: BTreeMap::new(),
        state: AlarmState::InsufficientData,
        reason: String::new(),
        reason_data: None,
        configured: at(0),
        state_updated: at(0),
        transitioned: at(0),
    }
}

/// Returns the verdict on five minutes, oldest first: `0` and `X` are values below and above the threshold, `-` is a
/// missing value.
fn verdict(pattern: &str, alarm: &Alarm) -> Option<AlarmState> {
    let metrics = Metrics::default();
    for (minute, value) in (0..).zip(pattern.chars()) {
        let value = match value {
            'X' => 9.0,
            '0' => 1.0,
            _ => continue,
        };
        metrics.record(&metric(), Sample::value(at(minute * 60 + 30), "None", value));
    }
    let window = evaluate::window(alarm, REGION, &metrics, at(300), 1.0);
    evaluate::verdict(alarm, &window).map(|verdict| verdict.state)
}

#[test]
fn missing_values_are_treated_as_aws_documents() {
    use AlarmState::{Alarm as A, InsufficientData as I, Ok as O};
    // One column per treatment: missing, ignore, breaching, notBreaching; "keep" is None.
    for (pattern, needed, expected) in [
        ("0-X-X", 2, [Some(A), Some(A), Some(A), Some(A)]),
        ("00X0X", 2, [Some(A), Some(A), Some(A), Some(A)]),
        ("0-X--", 2, [Some(O), Some(O), Some(A), Some(O)]),
        ("----0", 2, [Some(O), Some(O), Some(A), Some(O)]),
        ("---X-", 2, [Some(A), None, Some(A), Some(O)]),
        ("-----", 2, [Some(I), None, Some(A), Some(O)]),
        ("0-X-X", 3, [Some(O), Some(O), Some(O), Some(O)]),
        ("0XX-X", 3, [Some(A), Some(A), Some(A), Some(A)]),
        ("--X--", 3, [Some(A), None, Some(A), Some(O)]),
        ("----X", 3, [None, None, Some(A), Some(O)]),
    ] {
        let treatments = [None, Some(Missing::Ignore), Some(Missing::Breaching), Some(Missing::NotBreaching)];
        for (treatment, expected) in treatments.into_iter().zip(expected) {
            let alarm = Alarm { datapoints_to_alarm: Some(needed), ..alarm(treatment) };
            assert_eq!(verdict(pattern, &alarm), expected, "{pattern} {needed} of 3, {treatment:?}");
        }
    }
}

#[test]
fn comparisons_and_percentiles_are_evaluated() {
    for (comparison, at_threshold) in [
        (Comparison::GreaterThanThreshold, false),
        (Comparison::GreaterThanOrEqualToThreshold, true),
        (Comparison::LessThanThreshold, false),
        (Comparison::LessThanOrEqualToThreshold, true),
    ] {
        assert_eq!(comparison.breaches(5.0, 5.0), at_threshold, "{comparison:?}");
    }
    let low = Alarm { statistic: "p0".into(), ..alarm(None) };
    assert_eq!(verdict("00X0X", &low), Some(AlarmState::Alarm));
}

struct World {
    cloud: Cloud,
    watcher: Watcher,
}

impl World {
    fn new(time_scale: f64) -> Self {
        let mut cloud = Cloud::default();
        cloud.complete();
        let watcher = Watcher::new(&cloud, time_scale);
        let mut world = Self { cloud, watcher };
        let alarm = Alarm { evaluation_periods: 1, datapoints_to_alarm: None, ..alarm(None) };
        world.cloud.regions.get_mut(REGION).unwrap().cloudwatch.alarms.insert(alarm.name.clone(), alarm);
        world
    }

    fn evaluate_at(&mut self, second: i64) -> AlarmState {
        if self.watcher.has_work(&self.cloud, at(second)) {
            self.watcher.evaluate_all(&mut self.cloud, at(second));
        }
        self.cloud.regions[REGION].cloudwatch.alarms["a"].state
    }

    fn record(&mut self, second: i64, value: f64) {
        self.cloud.metrics.record(&metric(), Sample::value(at(second), "None", value));
    }
}

#[test]
fn an_alarm_is_evaluated_at_the_end_of_a_period_and_records_its_reason() {
    let mut world = World::new(1.0);
    world.record(10, 9.0);
    assert_eq!(world.evaluate_at(30), AlarmState::InsufficientData, "the period is not over");
    assert_eq!(world.evaluate_at(61), AlarmState::Alarm);
    let watching = &world.cloud.regions[REGION].cloudwatch;
    let reason = &watching.alarms["a"].reason;
    assert!(reason.contains("1 out of the last 1 datapoints [9.0 ("), "{reason}");
    assert!(reason.contains("was greater than the threshold (5.0) (minimum 1 datapoint for OK -> ALARM"), "{reason}");
    assert!(!world.watcher.has_work(&world.cloud, at(100)), "nothing to do before the next period is over");
    world.record(70, 1.0);
    assert_eq!(world.evaluate_at(121), AlarmState::Ok);
    let summaries: Vec<&str> =
        world.cloud.regions[REGION].cloudwatch.history.iter().map(|item| item.summary.as_str()).collect();
    assert_eq!(summaries, ["Alarm updated from INSUFFICIENT_DATA to ALARM", "Alarm updated from ALARM to OK"]);
}

#[test]
fn the_time_scale_shortens_periods() {
    let mut world = World::new(30.0);
    world.record(10, 9.0);
    assert_eq!(world.evaluate_at(11), AlarmState::InsufficientData);
    assert_eq!(world.evaluate_at(12), AlarmState::Alarm, "a minute is two seconds");
}

#[test]
fn published_metrics_are_differences_of_counters() {
    let mut cloud = Cloud::default();
    cloud.complete();
    let mut publisher = Publisher::new(1.0);
    let sources = publish::sources(&cloud, &Traffic::default(), &Databases::default());
    publisher.publish(&sources, &Stores::of(&cloud), at(0));
    assert!(!publisher.is_due(at(10)));
    assert!(publisher.is_due(at(15)));
    assert!(cloud.metrics.names(|_| true).is_empty(), "nothing runs, nothing is measured");
    cloud.metrics.record(&metric(), Sample::value(at(1), "Count", 2.0));
    let periods = cloud.metrics.periods(&metric(), None, at(0), at(60), chrono::TimeDelta::seconds(60));
    assert_eq!(periods[0].statistic(Statistic::Sum), Some(2.0));
}
