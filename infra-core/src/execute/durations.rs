//! Durations of steps, measured by earlier runs.

use crate::{diff::Action, urn::Urn};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, time::Duration};

/// Mean durations of successful steps, by resource kind and action.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Durations(BTreeMap<String, BTreeMap<Action, Mean>>);

#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
struct Mean {
    count: u64,
    mean_ms: f64,
}

impl Durations {
    /// Returns the expected duration of this action on a resource; `None` if no earlier run has measured it.
    ///
    /// A replacement is expected to take as long as a creation, because its deletion is a separate task.
    pub fn of(&self, urn: &Urn, action: Action) -> Option<Duration> {
        let action = if action == Action::Replace { Action::Create } else { action };
        let mean = self.0.get(urn.kind())?.get(&action)?;
        Some(Duration::from_secs_f64(mean.mean_ms / 1000.0))
    }

    /// Adds a measurement.
    pub(crate) fn record(&mut self, urn: &Urn, action: Action, duration: Duration) {
        let action = if action == Action::Replace { Action::Create } else { action };
        let mean = self.0.entry(urn.kind().to_owned()).or_default().entry(action).or_default();
        mean.count += 1;
        mean.mean_ms += (duration.as_secs_f64() * 1000.0 - mean.mean_ms) / mean.count as f64;
    }

    /// Adds the measurements of a later run, which replace those of the same kinds and actions.
    pub(crate) fn update(&mut self, later: Self) {
        for (kind, means) in later.0 {
            self.0.entry(kind).or_default().extend(means);
        }
    }

    /// Returns `true` if nothing was measured.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}
