//! CloudWatch's alarms and metrics.

pub(crate) mod alarm;
pub(crate) mod metrics;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use alarm::{Alarm, AlarmState, HistoryItem, HistoryKind};

/// Number of history items that are kept per region. AWS keeps those of thirty days.
const HISTORY: usize = 1000;

/// CloudWatch's part of a region.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct CloudWatch {
    /// By name.
    pub(crate) alarms: BTreeMap<String, Alarm>,
    /// Oldest first.
    pub(crate) history: Vec<HistoryItem>,
}

crate::model::changes::record_by_field!(CloudWatch {
    whole: [history],
    maps: [alarms],
    parts: [],
    children: [],
    apart: []
});

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
        true
    }
}
