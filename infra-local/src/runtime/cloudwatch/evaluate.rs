//! Evaluation of an alarm by its metric.

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::json;

use crate::model::cloudwatch::alarm::{Alarm, AlarmState, Missing};
use crate::model::cloudwatch::metrics::{MetricName, Metrics, Statistic};

/// Additional periods that are read because values may arrive late.
const MARGIN: u32 = 2;

/// Lower bound of a period in real time, regardless of the time scale.
const SHORTEST_MILLISECONDS: i64 = 1000;

/// A period: its start and its value. `None` is a missing value.
pub(super) type Point = Option<(DateTime<Utc>, f64)>;

/// The state that the metric calls for.
#[derive(Debug, PartialEq)]
pub(super) struct Verdict {
    pub(super) state: AlarmState,
    pub(super) reason: String,
    /// JSON.
    pub(super) data: String,
}

/// Returns the end of the last complete period.
pub(super) fn end(alarm: &Alarm, now: DateTime<Utc>, time_scale: f64) -> DateTime<Utc> {
    let length = length(alarm, time_scale).num_milliseconds();
    let end = now.timestamp_millis().div_euclid(length) * length;
    DateTime::from_timestamp_millis(end).unwrap_or(now)
}

/// Returns the periods before `end`, newest first.
pub(super) fn window(
    alarm: &Alarm,
    region: &str,
    metrics: &Metrics,
    end: DateTime<Utc>,
    time_scale: f64,
) -> Vec<Point> {
    let Some(statistic) = Statistic::parse(&alarm.statistic) else { return Vec::new() };
    let name = MetricName {
        region: region.to_owned(),
        namespace: alarm.namespace.clone(),
        name: alarm.metric.clone(),
        dimensions: alarm.dimensions.clone(),
    };
    let (length, count) = (length(alarm, time_scale), (alarm.evaluation_periods + MARGIN).cast_signed());
    let periods = metrics.periods(&name, alarm.unit.as_deref(), end - length * count, end, length);
    (1..=count)
        .map(|age| {
            let start = end - length * age;
            let period = periods.iter().find(|period| period.start == start)?;
            Some((start, period.statistic(statistic)?))
        })
        .collect()
}

/// Returns the values of the evaluated periods, newest first.
pub(super) fn recent(alarm: &Alarm, window: &[Point]) -> Vec<f64> {
    window.iter().flatten().map(|(_, value)| *value).take(alarm.evaluation_periods as usize).collect()
}

/// Returns the state that a window calls for; `None` when the alarm keeps its state.
pub(super) fn verdict(alarm: &Alarm, window: &[Point]) -> Option<Verdict> {
    let evaluated = alarm.evaluation_periods as usize;
    let needed = alarm.datapoints_to_alarm.unwrap_or(alarm.evaluation_periods) as usize;
    let breaches = |value: f64| alarm.comparison.breaches(value, alarm.threshold);
    // AWS ignores missing periods if the window, with the late values, contains enough values.
    let present: Vec<(DateTime<Utc>, f64)> = window.iter().flatten().copied().take(evaluated).collect();
    let missing = evaluated - present.len();
    let breaching = present.iter().filter(|(_, value)| breaches(*value)).count();
    let treatment = alarm.missing.unwrap_or(Missing::Missing);
    let state = match treatment {
        Missing::Breaching if breaching + missing >= needed => AlarmState::Alarm,
        Missing::Breaching | Missing::NotBreaching if breaching < needed => AlarmState::Ok,
        _ if breaching >= needed => AlarmState::Alarm,
        Missing::Missing if present.is_empty() => AlarmState::InsufficientData,
        _ if breaching < present.len() || missing == 0 => AlarmState::Ok,
        // All present values breach, but there are too few of them: only an old enough one triggers the alarm.
        Missing::Missing if window.iter().rposition(Option::is_some).is_some_and(|age| age + 1 >= needed) => {
            AlarmState::Alarm
        }
        _ => return None,
    };
    Some(Verdict { state, reason: reason(alarm, state, &present, missing, needed), data: data(alarm, &present) })
}

fn length(alarm: &Alarm, time_scale: f64) -> TimeDelta {
    let scaled = f64::from(alarm.period_seconds) * 1000.0 / time_scale.max(1e-3);
    TimeDelta::milliseconds((scaled as i64).max(SHORTEST_MILLISECONDS))
}

/// Returns the reason of a state change, in AWS's form.
fn reason(alarm: &Alarm, state: AlarmState, present: &[(DateTime<Utc>, f64)], missing: usize, needed: usize) -> String {
    let plural = |count: usize| if count == 1 { "datapoint was" } else { "datapoints were" };
    if state == AlarmState::InsufficientData {
        return format!("Insufficient Data: {missing} {} unknown.", plural(missing));
    }
    let breaching = |value: f64| alarm.comparison.breaches(value, alarm.threshold);
    let listed: Vec<&(DateTime<Utc>, f64)> =
        present.iter().filter(|(_, value)| breaching(*value) == (state == AlarmState::Alarm)).collect();
    let treatment = alarm.missing.unwrap_or(Missing::Missing);
    if listed.is_empty() {
        let word = if treatment == Missing::Breaching { "Breaching" } else { "NonBreaching" };
        return format!(
            "Threshold Crossed: no datapoints were received for {missing} periods and {missing} missing {} treated as [{word}].",
            plural(missing)
        );
    }
    let points: Vec<String> =
        listed.iter().map(|(time, value)| format!("{value:?} ({})", time.format("%d/%m/%y %H:%M:%S"))).collect();
    let not = if state == AlarmState::Alarm { "" } else { "not " };
    let (from, to) = if state == AlarmState::Alarm { ("OK", "ALARM") } else { ("ALARM", "OK") };
    let least = if state == AlarmState::Alarm { needed } else { alarm.evaluation_periods as usize + 1 - needed };
    format!(
        "Threshold Crossed: {} out of the last {} datapoints [{}] {} {not}{} the threshold ({:?}) (minimum {least} {} for {from} -> {to} transition).",
        listed.len(),
        alarm.evaluation_periods,
        points.join(", "),
        if listed.len() == 1 { "was" } else { "were" },
        alarm.comparison.words(),
        alarm.threshold,
        if least == 1 { "datapoint" } else { "datapoints" },
    )
}

fn data(alarm: &Alarm, present: &[(DateTime<Utc>, f64)]) -> String {
    let values: Vec<f64> = present.iter().rev().map(|(_, value)| *value).collect();
    json!({
        "version": "1.0",
        "statistic": alarm.statistic,
        "period": alarm.period_seconds,
        "recentDatapoints": values,
        "threshold": alarm.threshold,
    })
    .to_string()
}
