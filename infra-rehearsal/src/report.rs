//! The result of a rehearsal.

use crate::calls::CallCount;
use infra_core::{
    Urn,
    diagnostic::Diagnostic,
    diff::{Action, Diff},
};
use serde::Serialize;
use std::{fmt, time::Duration};

/// The result of a rehearsal. Texts contain no secrets.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Rehearsal {
    /// Number of recorded resources that were recreated in the scratch cloud.
    pub seeded: usize,
    /// Number of resources of other stacks that were recreated in the scratch cloud.
    pub neighbours: usize,
    /// The executed steps, in the order of their completion, without those of resources that were not rehearsed.
    pub steps: Vec<RehearsedStep>,
    /// Errors that AWS would return too.
    pub failures: Vec<Diagnostic>,
    /// Warnings of the plan: losses of data, closed paths.
    pub warnings: Vec<Diagnostic>,
    /// Differences that a second run would find, although nothing has changed.
    pub perpetual: Vec<PerpetualDiff>,
    /// Resources whose steps could not be rehearsed, with the reason.
    pub not_rehearsed: Vec<Unrehearsed>,
    /// Resources of other stacks that could not be recreated, with the reason. Only programs that use them are affected.
    pub missing_neighbours: Vec<Unrehearsed>,
    /// The boundary at which an interrupted run did not converge, if the rehearsal interrupted runs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crashes: Option<Crashes>,
    /// Duration of the rehearsal.
    #[serde(rename = "elapsed_ms", serialize_with = "milliseconds")]
    pub elapsed: Duration,
}

/// A step as it was executed in the scratch cloud.
#[derive(Clone, Debug, Serialize)]
pub struct RehearsedStep {
    /// The resource.
    pub urn: Urn,
    /// The action.
    pub action: Action,
    /// True when the step succeeded.
    pub succeeded: bool,
    /// The API calls of the step. The deletion of a replaced resource is counted with the step that completed first.
    pub calls: Vec<CallCount>,
    /// The dependencies whose outputs the scratch cloud did not return.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub assumes: Vec<Assumption>,
}

/// A dependency of a rehearsed step that was not rehearsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Assumption {
    /// The dependency.
    pub urn: Urn,
    /// Its outputs.
    pub outputs: AssumedOutputs,
}

/// Outputs that the scratch cloud did not return.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum AssumedOutputs {
    /// The outputs in the recorded state.
    Recorded,
    /// Outputs of the right shape, which no cloud has returned.
    Synthesised,
}

impl fmt::Display for AssumedOutputs {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            AssumedOutputs::Recorded => "recorded outputs",
            AssumedOutputs::Synthesised => "synthesised outputs",
        })
    }
}

/// A difference between the resource and its declaration right after it was applied.
#[derive(Clone, Debug, Serialize)]
pub struct PerpetualDiff {
    /// The resource.
    pub urn: Urn,
    /// True when a refresh found it; false when a second plan did.
    pub drift: bool,
    /// The action that the second plan contains.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub action: Option<Action>,
    /// The differences.
    #[serde(skip_serializing_if = "Diff::is_empty")]
    pub diff: Diff,
}

/// A resource that was not rehearsed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Unrehearsed {
    /// The resource.
    pub urn: Urn,
    /// The reason.
    pub reason: String,
}

/// The result of runs that were interrupted.
#[derive(Clone, Debug, Default, Serialize)]
pub struct Crashes {
    /// Number of interrupted runs.
    pub interrupted: usize,
    /// Description of each run that did not converge.
    pub failures: Vec<String>,
}

impl Unrehearsed {
    pub(crate) fn new(urn: &Urn, reason: &str) -> Unrehearsed {
        Unrehearsed { urn: urn.clone(), reason: reason.to_owned() }
    }
}

impl Rehearsal {
    /// Returns whether the plan would succeed, as far as it was rehearsed, and a second run would change nothing.
    pub fn is_success(&self) -> bool {
        let converges = self.crashes.as_ref().is_none_or(|crashes| crashes.failures.is_empty());
        self.failures.is_empty() && self.perpetual.is_empty() && converges
    }

    /// Returns the number of API calls of all steps.
    pub fn call_count(&self) -> usize {
        self.steps.iter().flat_map(|step| &step.calls).map(|calls| calls.count).sum()
    }
}

fn milliseconds<S: serde::Serializer>(duration: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u64(u64::try_from(duration.as_millis()).unwrap_or(u64::MAX))
}
