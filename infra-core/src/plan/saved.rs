//! Plans that are saved and applied by a later run.

use super::{Plan, Step};
use crate::{
    diagnostic::Diagnostic,
    state::State,
    value::{self, Seal},
};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// The format of saved plans that this version writes.
const VERSION: u32 = 2;

/// A saved plan: the only changes that a later run may make. As text it is JSON with every secret encrypted with the
/// key of the store.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SavedPlan {
    plan: u32,
    program: String,
    stack: String,
    target: String,
    serial: u64,
    content: Plan,
}

/// The reason why a saved plan cannot be applied.
#[derive(Debug, thiserror::Error)]
pub enum PlanFileError {
    /// The text is not a plan.
    #[error("the saved plan cannot be read: {0}")]
    Malformed(String),
    /// The plan belongs to another stack or target.
    #[error("the saved plan is for {found}, not for {expected}")]
    Foreign {
        /// Program, stack and target of the plan.
        found: String,
        /// Program, stack and target of the run.
        expected: String,
    },
    /// The stack has changed since the plan was made.
    #[error("the stack has changed since the plan was saved: its state had serial {planned}, and now has {current}")]
    Stale {
        /// Serial of the state in the plan.
        planned: u64,
        /// Current serial of the state.
        current: u64,
    },
    /// The run would do more than the plan contains.
    #[error("the run would make changes that the saved plan does not contain")]
    Exceeded(Vec<Diagnostic>),
}

impl SavedPlan {
    /// Saves a plan that was made from this state.
    pub fn new(plan: &Plan, state: &State, target: &str) -> Self {
        Self {
            plan: VERSION,
            program: state.program.clone(),
            stack: state.stack.clone(),
            target: target.to_owned(),
            serial: state.serial,
            content: plan.clone(),
        }
    }

    /// Serialises the plan as text.
    pub fn to_text(&self, seal: &Arc<dyn Seal>) -> Result<String, PlanFileError> {
        let text = value::sealing(seal, || serde_json::to_string_pretty(self));
        text.map_err(|error| PlanFileError::Malformed(error.to_string()))
    }

    /// Parses a plan from its text.
    pub fn from_text(text: &str, seal: &Arc<dyn Seal>) -> Result<Self, PlanFileError> {
        let malformed = |error: serde_json::Error| PlanFileError::Malformed(error.to_string());
        let head: serde_json::Value = serde_json::from_str(text).map_err(malformed)?;
        if head["plan"] != VERSION {
            return Err(PlanFileError::Malformed(format!(
                "its format is {}, and this version reads {VERSION}",
                head["plan"]
            )));
        }
        value::sealing(seal, || serde_json::from_str(text)).map_err(malformed)
    }

    /// Checks that it was made for this stack in its current state.
    pub fn check_state(&self, state: &State, target: &str) -> Result<(), PlanFileError> {
        let (found, expected) = (
            format!("{}/{} on {}", self.program, self.stack, self.target),
            format!("{}/{} on {target}", state.program, state.stack),
        );
        if found != expected {
            return Err(PlanFileError::Foreign { found, expected });
        }
        if self.serial != state.serial {
            return Err(PlanFileError::Stale { planned: self.serial, current: state.serial });
        }
        Ok(())
    }

    /// Returns the plan.
    pub fn plan(&self) -> &Plan {
        &self.content
    }

    /// Checks that `plan` does nothing that this one does not contain. It may do less.
    pub fn check_plan(&self, plan: &Plan) -> Result<(), PlanFileError> {
        let says = |step: &&Step| !self.content.steps.contains(step);
        let exceeding: Vec<Diagnostic> =
            plan.steps.iter().filter(|step| !step.is_silent()).filter(says).map(|step| self.exceeded(step)).collect();
        if exceeding.is_empty() { Ok(()) } else { Err(PlanFileError::Exceeded(exceeding)) }
    }

    fn exceeded(&self, step: &Step) -> Diagnostic {
        let planned = self
            .content
            .steps
            .iter()
            .find(|planned| (&planned.urn, planned.generation) == (&step.urn, step.generation));
        let summary = match planned {
            None => format!("the saved plan does not contain the step `{}`", step.action),
            Some(planned) if planned.action != step.action => {
                format!("the saved plan contains the step `{}` instead of `{}`", planned.action, step.action)
            }
            Some(_) => format!("the saved plan contains the step `{}` with other values", step.action),
        };
        let why: Vec<String> = step.diff.properties.iter().map(ToString::to_string).collect();
        let diagnostic = Diagnostic::error(summary).about(&step.urn);
        let diagnostic = if why.is_empty() { diagnostic } else { diagnostic.because(why.join("\n")) };
        diagnostic.hint("save a new plan with `preview --save-plan FILE`")
    }
}
