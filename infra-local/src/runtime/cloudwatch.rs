//! Samples metrics, evaluates alarms, and executes their actions.
//!
//! - [`publish`]: the metrics of instances, balancers, groups and databases
//! - [`evaluate`]: the state of an alarm by its metric
//! - [`keep`]: the series on disk

mod evaluate;
mod keep;
mod publish;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::time::Duration;

use chrono::{DateTime, Utc};

use super::background::PhaseWatch;
use crate::domain::autoscaling::adjust;
use crate::domain::autoscaling::adjust::Trigger;
use crate::model::Cloud;
use crate::model::Region;
use crate::model::cloudwatch::NO_TOPICS;
use crate::model::cloudwatch::alarm::{AlarmState, HistoryItem, HistoryKind};
use crate::model::cloudwatch::metrics::Metrics;
use crate::state::Shared;
use keep::Keeper;
use publish::{Publisher, Stores};

/// Interval of checks for the end of a period.
const TICK: Duration = Duration::from_millis(200);

/// Samples and evaluates until the cloud stops. `time_scale` divides the periods of alarms.
pub(crate) async fn run(shared: Shared, time_scale: f64, mut phase: PhaseWatch) {
    let stores = shared.read(Stores::of);
    let mut keeper = Keeper::restore(shared.directory(), &stores);
    let mut publisher = Publisher::new(time_scale);
    let mut watcher = shared.read(|cloud| Watcher::new(cloud, time_scale));
    loop {
        let now = Utc::now();
        if publisher.is_due(now) {
            let sources = shared.read(|cloud| publish::sources(cloud, shared.traffic(), shared.databases()));
            publisher.publish(&sources, &stores, now);
        }
        if shared.read(|cloud| watcher.has_work(cloud, now)) {
            shared.update(|cloud| watcher.evaluate_all(cloud, now));
        }
        keeper.write_when_due(&stores).await;
        tokio::select! {
            () = tokio::time::sleep(TICK) => {}
            _ = phase.ended() => break,
        }
    }
    if shared.directory().exists() {
        keeper.write(&stores).await;
    }
}

/// State of the alarms between two evaluations.
struct Watcher {
    time_scale: f64,
    /// Alarms by region and name.
    known: BTreeMap<(String, String), Known>,
}

#[derive(Clone, Copy)]
struct Known {
    /// End of the last evaluated period.
    evaluated: DateTime<Utc>,
    /// The last transition whose actions were executed.
    acted: Option<DateTime<Utc>>,
}

impl Watcher {
    /// Adopts the alarms with their states: the previous process has executed their actions.
    fn new(cloud: &Cloud, time_scale: f64) -> Self {
        let mut known = BTreeMap::new();
        for region in cloud.regions.values() {
            for alarm in region.cloudwatch.alarms.values() {
                let now = Known { evaluated: DateTime::UNIX_EPOCH, acted: Some(alarm.transitioned) };
                known.insert((region.name.clone(), alarm.name.clone()), now);
            }
        }
        Self { time_scale, known }
    }

    fn has_work(&self, cloud: &Cloud, now: DateTime<Utc>) -> bool {
        cloud.regions.values().any(|region| {
            region.cloudwatch.alarms.values().any(|alarm| {
                let known = self.known.get(&(region.name.clone(), alarm.name.clone()));
                known.is_none_or(|known| {
                    known.acted != Some(alarm.transitioned)
                        || known.evaluated < evaluate::end(alarm, now, self.time_scale)
                })
            })
        })
    }

    /// Evaluates the alarms that have a new period, and executes the actions that are due.
    fn evaluate_all(&mut self, cloud: &mut Cloud, now: DateTime<Utc>) {
        let metrics = cloud.metrics.clone();
        let regions = &cloud.regions;
        self.known.retain(|(region, name), _| {
            regions.get(region).is_some_and(|region| region.cloudwatch.alarms.contains_key(name))
        });
        for region in cloud.regions.values_mut() {
            let names: Vec<String> = region.cloudwatch.alarms.keys().cloned().collect();
            for name in names {
                self.evaluate_alarm(region, &name, &metrics, now);
            }
        }
    }

    fn evaluate_alarm(&mut self, region: &mut Region, name: &str, metrics: &Metrics, now: DateTime<Utc>) {
        let Some(alarm) = region.cloudwatch.alarms.get(name).cloned() else { return };
        let key = (region.name.clone(), name.to_owned());
        // A new alarm has had no actions, and its initial state needs none.
        let first = Some(alarm.transitioned).filter(|_| alarm.state == AlarmState::InsufficientData);
        let known = *self.known.entry(key.clone()).or_insert(Known { evaluated: DateTime::UNIX_EPOCH, acted: first });
        let end = evaluate::end(&alarm, now, self.time_scale);
        let window = evaluate::window(&alarm, &region.name, metrics, end, self.time_scale);
        let evaluates = known.evaluated < end && known.acted == Some(alarm.transitioned);
        if evaluates
            && let Some(verdict) = evaluate::verdict(&alarm, &window)
            && verdict.state != alarm.state
        {
            tracing::info!(alarm = name, state = verdict.state.name(), "{}", verdict.reason);
            region.cloudwatch.set_state(name, verdict.state, verdict.reason, Some(verdict.data), now);
        }
        let Some(alarm) = region.cloudwatch.alarms.get(name).cloned() else { return };
        let transitioned = known.acted != Some(alarm.transitioned);
        // Scaling actions are repeated while the state lasts.
        if transitioned || (evaluates && alarm.state == AlarmState::Alarm) {
            let values = evaluate::recent(&alarm, &window);
            for action in alarm.due_actions() {
                act(region, name, action, &values, transitioned, (now, self.time_scale));
            }
        }
        self.known.insert(key, Known { evaluated: end, acted: Some(alarm.transitioned) });
    }
}

/// Executes a scaling policy for an alarm, and records the result in the alarm's history.
fn act(
    region: &mut Region,
    alarm: &str,
    action: &str,
    values: &[f64],
    transitioned: bool,
    (now, time_scale): (DateTime<Utc>, f64),
) {
    let Some((threshold, state)) = region.cloudwatch.alarms.get(alarm).map(|alarm| (alarm.threshold, alarm.state))
    else {
        return;
    };
    let found = region.autoscaling.groups.values_mut().find_map(|group| {
        let policy = group.policies.values().find(|policy| policy.arn == action)?.name.clone();
        Some((group, policy))
    });
    let outcome = match found {
        Some((group, policy)) => {
            let trigger = Trigger {
                who: format!("a monitor alarm {alarm} in state {} triggered policy {policy}", state.name()),
                values: values.iter().map(|value| value - threshold).collect(),
                honours_cooldown: true,
            };
            adjust::execute(group, &policy, &trigger, now, time_scale).map_err(|error| error.message)
        }
        None if action.starts_with("arn:aws:sns:") => Err(NO_TOPICS.to_owned()),
        None => Err("the scaling policy does not exist any more".to_owned()),
    };
    // For a repeated action, only an effect is worth recording.
    if !transitioned && !matches!(outcome, Ok(true)) {
        return;
    }
    let (state, summary) = match &outcome {
        Ok(_) => ("Succeeded", format!("Successfully executed action {action}")),
        Err(error) => ("Failed", format!("Failed to execute action {action}: {error}")),
    };
    let data = serde_json::json!({"actionState": state, "notificationResource": action, "error": outcome.err()});
    region.cloudwatch.remember(HistoryItem {
        alarm: alarm.to_owned(),
        time: now,
        kind: HistoryKind::Action,
        summary: summary.chars().take(255).collect(),
        data: data.to_string(),
    });
}
