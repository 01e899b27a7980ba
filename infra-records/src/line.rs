//! The lines of a record, as far as a recorded run needs them.

use crate::format::{Closed, Common};
use chrono::{DateTime, Utc};
use infra_core::{diagnostic::Diagnostic, diff::Action, execution::ExecutionGraph, urn::Urn};
use serde::{Deserialize, Serialize};
use serde_json::Value as Json;
use std::collections::BTreeMap;

/// A property that a step changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Change {
    /// Path of the property.
    pub path: String,
    /// Recorded value; null if there is none. A secret is `"[secret]"`.
    #[serde(default)]
    pub old: Json,
    /// Declared value; null if there is none. A secret is `"[secret]"`, an unknown value `"(known after apply)"`.
    #[serde(default)]
    pub new: Json,
    /// `true` if the change replaces the resource.
    #[serde(default)]
    pub replaces: bool,
}

/// A line without its time. The variants are those of [`infra_core::event::Event`], and the last line of a record.
pub(crate) enum Line {
    Settled(Settled),
    Drifted(Drifted),
    StepPlanned(Planned),
    Planned(Plan),
    StepStarted(Step),
    StepStatus(StepStatus),
    StepFinished(StepFinished),
    StepFailed(StepFailed),
    StepSkipped(Step),
    Message(Diagnostic),
    RunFinished(RunFinished),
    RunClosed(Closed),
    /// The first line, or an event of a later version.
    Other,
}

#[derive(Deserialize)]
pub(crate) struct Settled {
    pub(crate) urn: Urn,
    pub(crate) outcome: String,
}

#[derive(Deserialize)]
pub(crate) struct Drifted {
    pub(crate) urn: Urn,
    #[serde(default)]
    pub(crate) gone: bool,
    #[serde(default)]
    pub(crate) diff: Vec<Change>,
}

#[derive(Deserialize)]
pub(crate) struct Plan {
    #[serde(default)]
    pub(crate) counts: BTreeMap<Action, usize>,
    pub(crate) execution: ExecutionGraph,
}

#[derive(Deserialize)]
pub(crate) struct Step {
    pub(crate) urn: Urn,
    pub(crate) action: Action,
}

#[derive(Deserialize)]
pub(crate) struct StepStatus {
    pub(crate) urn: Urn,
    pub(crate) message: String,
}

#[derive(Deserialize)]
pub(crate) struct StepFinished {
    pub(crate) urn: Urn,
    pub(crate) action: Action,
    #[serde(default)]
    pub(crate) id: Option<String>,
}

#[derive(Deserialize)]
pub(crate) struct StepFailed {
    pub(crate) urn: Urn,
    pub(crate) action: Action,
    pub(crate) diagnostic: Diagnostic,
}

#[derive(Deserialize)]
pub(crate) struct RunFinished {
    pub(crate) success: bool,
    #[serde(default)]
    pub(crate) interrupted: bool,
    #[serde(default)]
    pub(crate) counts: BTreeMap<Action, usize>,
    #[serde(default)]
    pub(crate) failures: Vec<Diagnostic>,
    #[serde(default)]
    pub(crate) outputs: BTreeMap<String, Json>,
    pub(crate) elapsed_ms: u64,
}

/// A step of a plan, before it is executed.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Planned {
    pub(crate) urn: Urn,
    pub(crate) action: Action,
    #[serde(default)]
    pub(crate) region: Option<String>,
    #[serde(default)]
    pub(crate) diff: Vec<Change>,
    #[serde(default)]
    pub(crate) renamed_from: Option<Urn>,
    #[serde(default)]
    pub(crate) note: Option<String>,
}

/// Parses a line and its time, or returns `None` for a line that is no event.
pub(crate) fn parse(text: &str) -> Option<(DateTime<Utc>, Line)> {
    // The second pass knows the type. An enum with a tag would first copy every value.
    let common: Common = serde_json::from_str(text).ok()?;
    let line = content(&common.event, text).ok()?;
    Some((common.at, line))
}

fn content(event: &str, text: &str) -> serde_json::Result<Line> {
    Ok(match event {
        "settled" => Line::Settled(serde_json::from_str(text)?),
        "drifted" => Line::Drifted(serde_json::from_str(text)?),
        "step_planned" => Line::StepPlanned(serde_json::from_str(text)?),
        "planned" => Line::Planned(serde_json::from_str(text)?),
        "step_started" => Line::StepStarted(serde_json::from_str(text)?),
        "step_status" => Line::StepStatus(serde_json::from_str(text)?),
        "step_finished" => Line::StepFinished(serde_json::from_str(text)?),
        "step_failed" => Line::StepFailed(serde_json::from_str(text)?),
        "step_skipped" => Line::StepSkipped(serde_json::from_str(text)?),
        "message" => Line::Message(serde_json::from_str(text)?),
        "run_finished" => Line::RunFinished(serde_json::from_str(text)?),
        "run_closed" => Line::RunClosed(serde_json::from_str(text)?),
        _ => Line::Other,
    })
}
