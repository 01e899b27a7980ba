//! The past of a resource, from the records of the runs.

use super::{
    Context,
    plan::Change,
    runs::{self, Step, Summary},
    schemas::UrnSchema,
};
use chrono::{DateTime, TimeDelta, Utc};
use infra_core::urn::Urn;
use infra_records::{Outcome, Run as Recorded};
use schemars::JsonSchema;
use serde::Serialize;

/// Number of runs that are searched.
const RUNS: usize = 30;

/// An event in the past of a resource.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "PastEvent")]
pub(crate) struct Past {
    /// Time of the event; of a step, its start.
    pub(crate) at: DateTime<Utc>,
    pub(crate) run: Summary,
    #[serde(flatten)]
    pub(crate) event: PastEvent,
}

/// Kind of an event, with its details.
#[derive(Debug, Serialize, JsonSchema)]
#[serde(tag = "event", rename_all = "lowercase")]
#[schemars(rename = "PastEventKind")]
pub(crate) enum PastEvent {
    /// A run worked on the resource.
    Step(Box<PastStep>),
    /// A run settled an operation that an earlier run had left open.
    Settled { outcome: String },
    /// The actual state differed from the recorded one.
    Drifted {
        /// `true` if the resource no longer existed.
        gone: bool,
        changes: Vec<Change>,
    },
    /// The declaration was renamed.
    Renamed {
        #[schemars(with = "UrnSchema")]
        from: Urn,
    },
}

/// A step with its reason and its phases.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct PastStep {
    #[serde(flatten)]
    pub(crate) step: Step,
    /// ID at the provider after the step.
    pub(crate) id: Option<String>,
    pub(crate) region: Option<String>,
    /// Reason of the action, in addition to the changes.
    pub(crate) note: Option<String>,
    /// Differing properties that caused the action.
    pub(crate) changes: Vec<Change>,
    /// Messages of the provider about its progress.
    pub(crate) phases: Vec<Phase>,
}

/// A phase of a step.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "StepPhase")]
pub(crate) struct Phase {
    /// Start of the phase, in milliseconds from the start of the run.
    pub(crate) started_ms: u64,
    /// Time until the next phase or the end of the step; `None` while it lasts.
    pub(crate) elapsed_ms: Option<u64>,
    pub(crate) message: String,
}

impl Past {
    /// Returns the step, if the event is one.
    pub(crate) fn step(&self) -> Option<&PastStep> {
        match &self.event {
            PastEvent::Step(step) => Some(step),
            _ => None,
        }
    }
}

impl PastStep {
    fn of(step: &infra_records::Step) -> Self {
        let ends = step.progress.iter().skip(1).map(|next| Some(next.at_ms)).chain([step.finished_ms]);
        let phases = step.progress.iter().zip(ends).map(|(progress, end)| Phase {
            started_ms: progress.at_ms,
            elapsed_ms: end.map(|end| end.saturating_sub(progress.at_ms)),
            message: progress.message.clone(),
        });
        let id = match &step.outcome {
            Outcome::Finished { id } => id.clone(),
            _ => None,
        };
        Self {
            id,
            region: step.region.clone(),
            note: step.note.clone(),
            changes: step.diff.iter().map(Change::recorded).collect(),
            phases: phases.collect(),
            step: Step::of(step, false),
        }
    }
}

/// Returns the events of a resource in the newest runs, the newest first.
pub(crate) fn of_resource(context: &Context, urn: &Urn) -> Vec<Past> {
    let summaries = runs::Runs::load(context).runs.into_iter().filter(|run| run.command != "preview").take(RUNS);
    let mut past = Vec::new();
    for run in summaries {
        if let Ok(recorded) = runs::read(context, &run.id) {
            past.extend(of_run(&recorded, &run, urn));
        }
    }
    past.sort_by_key(|event| std::cmp::Reverse(event.at));
    past
}

fn of_run(recorded: &Recorded, run: &Summary, urn: &Urn) -> Vec<Past> {
    let event = |milliseconds: u64, event: PastEvent| {
        let after = TimeDelta::milliseconds(i64::try_from(milliseconds).unwrap_or(i64::MAX));
        Past { at: run.at.checked_add_signed(after).unwrap_or(run.at), run: run.clone(), event }
    };
    let settled = recorded.settled.iter().filter(|settled| settled.urn == *urn);
    let settled = settled.map(|it| event(it.at_ms, PastEvent::Settled { outcome: it.outcome.clone() }));
    let drifted = recorded.drifted.iter().filter(|drifted| drifted.urn == *urn).map(|it| {
        let changes = it.diff.iter().map(Change::recorded).collect();
        event(it.at_ms, PastEvent::Drifted { gone: it.gone, changes })
    });
    let steps = recorded.steps.iter().filter(|step| step.urn == *urn);
    let renamed = steps.clone().filter_map(|step| {
        let at = step.started_ms.or(recorded.planned_ms)?;
        Some(event(at, PastEvent::Renamed { from: step.renamed_from.clone()? }))
    });
    let executed =
        steps.filter_map(|step| Some(event(step.started_ms?, PastEvent::Step(Box::new(PastStep::of(step))))));
    settled.chain(drifted).chain(renamed).chain(executed).collect()
}
