//! CloudWatch's alarms and metrics.

pub(crate) mod alarm;
pub(crate) mod composite;
pub(crate) mod metrics;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use alarm::{Alarm, AlarmState, HistoryItem, HistoryKind};
use composite::{CompositeAlarm, Rule};

/// Cause of the failure of a notification. On AWS, an action fails in the same way if its topic does not exist.
pub(crate) const NO_TOPICS: &str = "the local cloud has no Simple Notification Service";

/// Number of history items that are kept per region. AWS keeps those of thirty days.
const HISTORY: usize = 1000;

/// CloudWatch's part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CloudWatch {
    /// By name.
    pub(crate) alarms: BTreeMap<String, Alarm>,
    /// By name.
    pub(crate) composites: BTreeMap<String, CompositeAlarm>,
    /// By name.
    pub(crate) dashboards: BTreeMap<String, Dashboard>,
    /// Oldest first.
    pub(crate) history: Vec<HistoryItem>,
}

crate::model::changes::record_by_field!(CloudWatch {
    whole: [history],
    maps: [alarms, composites, dashboards],
    parts: [],
    children: [],
    apart: []
});

/// A dashboard. The local cloud stores it and does not display it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Dashboard {
    pub(crate) name: String,
    /// JSON.
    pub(crate) body: String,
    pub(crate) modified: DateTime<Utc>,
}

/// Rounds of evaluation after a change: composite alarms may be nested as deep.
const NESTING: usize = 10;

impl CloudWatch {
    /// Adds an item to an alarm's history.
    pub(crate) fn remember(&mut self, item: HistoryItem) {
        self.history.push(item);
        let surplus = self.history.len().saturating_sub(HISTORY);
        self.history.drain(..surplus);
    }

    /// Sets the state of an alarm, and returns whether it changed.
    pub(crate) fn set_state(
        &mut self,
        name: &str,
        state: AlarmState,
        reason: String,
        data: Option<String>,
        now: DateTime<Utc>,
    ) -> bool {
        if self.composites.contains_key(name) {
            return self.set_composite_state(name, state, reason, data, now);
        }
        let Some(alarm) = self.alarms.get_mut(name) else { return false };
        let before = alarm.state;
        let old = serde_json::json!({"stateValue": before.name(), "stateReason": alarm.reason});
        let new = serde_json::json!({"stateValue": state.name(), "stateReason": reason});
        alarm.state = state;
        alarm.reason = reason;
        alarm.reason_data = data;
        alarm.state_updated = now;
        if before == state {
            return false;
        }
        alarm.transitioned = now;
        self.remember(HistoryItem {
            alarm: name.to_owned(),
            time: now,
            kind: HistoryKind::StateUpdate,
            summary: format!("Alarm updated from {} to {}", before.name(), state.name()),
            data: serde_json::json!({"version": "1.0", "oldState": old, "newState": new}).to_string(),
        });
        self.evaluate_composites(now);
        true
    }

    /// Returns the state of the alarm with a name or ARN.
    pub(crate) fn state_of(&self, reference: &str) -> Option<AlarmState> {
        let name = reference.split_once(":alarm:").map_or(reference, |(_, name)| name);
        let composite = || self.composites.get(name).map(|alarm| alarm.state);
        self.alarms.get(name).map(|alarm| alarm.state).or_else(composite)
    }

    /// Sets the states that the rules of composite alarms call for.
    pub(crate) fn evaluate_composites(&mut self, now: DateTime<Utc>) {
        for _ in 0..NESTING {
            let mut changes = Vec::new();
            for alarm in self.composites.values() {
                let Ok(rule) = Rule::parse(&alarm.rule) else { continue };
                let holds = rule.holds(&|name| self.state_of(name));
                let state = if holds { AlarmState::Alarm } else { AlarmState::Ok };
                if state != alarm.state {
                    changes.push((alarm.name.clone(), state));
                }
            }
            if changes.is_empty() {
                return;
            }
            for (name, state) in changes {
                let reason = format!("{name} transitioned to {} because of the states in its alarm rule", state.name());
                self.set_composite_state(&name, state, reason, None, now);
            }
        }
    }

    fn set_composite_state(
        &mut self,
        name: &str,
        state: AlarmState,
        reason: String,
        data: Option<String>,
        now: DateTime<Utc>,
    ) -> bool {
        let Some(alarm) = self.composites.get_mut(name) else { return false };
        let before = alarm.state;
        let old = serde_json::json!({"stateValue": before.name(), "stateReason": alarm.reason});
        let new = serde_json::json!({"stateValue": state.name(), "stateReason": reason});
        (alarm.state, alarm.reason, alarm.reason_data, alarm.state_updated) = (state, reason, data, now);
        if before == state {
            return false;
        }
        alarm.transitioned = now;
        let actions = alarm.actions.get(&state).filter(|_| alarm.actions_enabled).cloned().unwrap_or_default();
        self.remember(HistoryItem {
            alarm: name.to_owned(),
            time: now,
            kind: HistoryKind::StateUpdate,
            summary: format!("Alarm updated from {} to {}", before.name(), state.name()),
            data: serde_json::json!({"version": "1.0", "oldState": old, "newState": new}).to_string(),
        });
        for action in actions {
            self.remember(HistoryItem {
                alarm: name.to_owned(),
                time: now,
                kind: HistoryKind::Action,
                summary: format!("Failed to execute action {action}: {NO_TOPICS}"),
                data: serde_json::json!({"actionState": "Failed", "notificationResource": action}).to_string(),
            });
        }
        true
    }
}
