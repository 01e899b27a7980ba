//! Plans that a user may approve.

use super::{Context, Problem, schemas::ActionSchema};
use crate::audit::{self, Action as Audited};
use infra_core::{
    diagnostic::Diagnostic,
    diff::Action,
    execute::Report,
    plan::{Plan as EnginePlan, Step as PlannedStep},
    urn::Pattern,
};
use schemars::JsonSchema;
use serde::Serialize;
use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

/// Number of plans that the console keeps.
const KEPT: usize = 16;

/// The longest value of a difference, in characters.
const LONGEST: usize = 400;

/// The plans that were made or opened since the start of the console.
#[derive(Default)]
pub(crate) struct Plans(Mutex<VecDeque<Arc<Kept>>>);

/// A plan with what is needed to execute it.
pub(crate) struct Kept {
    plan: Plan,
    saved: String,
    replace: Vec<Pattern>,
    progress: Mutex<Progress>,
}

/// Progress of a plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "state")]
pub(crate) enum Progress {
    /// The plan waits for approval.
    Proposed,
    /// The plan is executed.
    Running,
    /// The run has finished.
    Finished {
        /// `true` if every step succeeded.
        success: bool,
        /// The errors.
        failures: Vec<Diagnostic>,
    },
}

/// A plan. Secrets are masked.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Plan {
    pub(crate) id: String,
    /// Time of the preview, RFC 3339.
    pub(crate) at: String,
    /// Number of steps by action.
    pub(crate) counts: BTreeMap<Action, usize>,
    pub(crate) steps: Vec<Step>,
    pub(crate) warnings: Vec<Diagnostic>,
    /// Expected duration from the durations of earlier runs, in milliseconds; `None` if no step has one.
    pub(crate) expected_ms: Option<u64>,
    /// `true` if it deletes or replaces something.
    pub(crate) destructive: bool,
    /// Serial of the state that it was made for.
    pub(crate) serial: u64,
}

/// A step of a plan.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Step {
    pub(crate) urn: String,
    pub(crate) name: String,
    /// Type token, such as `aws:ec2:Instance`.
    pub(crate) kind: String,
    #[schemars(with = "ActionSchema")]
    pub(crate) action: Action,
    pub(crate) region: Option<String>,
    /// Reason of the action.
    pub(crate) note: Option<String>,
    /// The differing properties.
    pub(crate) changes: Vec<Change>,
    /// `true` if it is on the longest chain of steps.
    pub(crate) critical: bool,
    /// Duration in an earlier run, in milliseconds.
    pub(crate) expected_ms: Option<u64>,
}

/// A differing property of a step.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct Change {
    /// Names and indices, separated by dots.
    pub(crate) path: String,
    /// `None` if the property was absent.
    pub(crate) old: Option<String>,
    /// `None` if the property will be absent.
    pub(crate) new: Option<String>,
    /// `true` if the change replaces the resource.
    pub(crate) replaces: bool,
}

impl Plans {
    /// Plans the changes of the program and keeps the plan. Resources that match a pattern are replaced.
    pub(crate) async fn propose(&self, context: &Context, replace: Vec<Pattern>) -> Result<Arc<Kept>, Problem> {
        let proposal = context.source.preview(replace.clone()).await?;
        self.keep(context, &proposal.plan, proposal.saved, replace).await
    }

    /// Opens a plan that `preview --save-plan` wrote.
    pub(crate) async fn open(&self, context: &Context, saved: String) -> Result<Arc<Kept>, Problem> {
        let proposal = context.source.open_plan(saved).await?;
        self.keep(context, &proposal.plan, proposal.saved, Vec::new()).await
    }

    async fn keep(
        &self,
        context: &Context,
        plan: &EnginePlan,
        saved: String,
        replace: Vec<Pattern>,
    ) -> Result<Arc<Kept>, Problem> {
        let plan = Plan::of(context, plan).await?;
        let kept = Arc::new(Kept { plan, saved, replace, progress: Mutex::new(Progress::Proposed) });
        let mut plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if plans.len() == KEPT {
            plans.pop_front();
        }
        plans.push_back(kept.clone());
        Ok(kept)
    }

    /// Returns a kept plan.
    pub(crate) fn get(&self, id: &str) -> Result<Arc<Kept>, Problem> {
        let plans = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        plans.iter().find(|kept| kept.plan.id == id).cloned().ok_or_else(|| {
            let missing = Diagnostic::error(format!("there is no plan `{id}`"));
            Problem::not_found(
                missing.hint("a plan is kept until the console stops, or 16 others were made; preview again"),
            )
        })
    }
}

impl Kept {
    pub(crate) fn plan(&self) -> &Plan {
        &self.plan
    }

    pub(crate) fn progress(&self) -> Progress {
        self.progress.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn set(&self, progress: Progress) {
        *self.progress.lock().unwrap_or_else(PoisonError::into_inner) = progress;
    }

    /// Starts to execute the plan, once the approval is recorded in the audit file.
    pub(crate) fn approve(self: Arc<Self>, context: &Arc<Context>) -> Result<(), Problem> {
        let source = &context.source;
        if source.target() != "local" {
            let refused = Diagnostic::error("the console approves plans only for the local cloud");
            return Err(Problem::refused(refused.hint("run `stack up --plan FILE --target aws` in a terminal")));
        }
        {
            let mut progress = self.progress.lock().unwrap_or_else(PoisonError::into_inner);
            if *progress != Progress::Proposed {
                return Err(Problem::refused(Diagnostic::error("the plan has been approved already")));
            }
            let changes = self.plan.steps.len();
            let action = Audited::PlanApproved { serial: self.plan.serial, changes };
            audit::record(source.directory(), source.program(), source.stack(), action)
                .map_err(|error| Problem::not_recorded("the plan is not executed", &error))?;
            *progress = Progress::Running;
        }
        let context = context.clone();
        tokio::spawn(async move {
            let outcome = context.source.apply(self.saved.clone(), self.replace.clone()).await;
            self.set(match outcome {
                Ok(report) => Progress::Finished { success: report.is_success(), failures: failures(report) },
                Err(diagnostic) => Progress::Finished { success: false, failures: vec![diagnostic] },
            });
        });
        Ok(())
    }
}

fn failures(report: Report) -> Vec<Diagnostic> {
    report.failures
}

impl Plan {
    /// Plans the changes of the program, without keeping the plan for an approval.
    pub(crate) async fn preview(context: &Context, replace: Vec<Pattern>) -> Result<Self, Problem> {
        let proposal = context.source.preview(replace).await?;
        Self::of(context, &proposal.plan).await
    }

    async fn of(context: &Context, plan: &EnginePlan) -> Result<Self, Problem> {
        let history = context.source.history().await?;
        let expected = |urn: &_, action| history.iter().rev().find_map(|entry| entry.durations.of(urn, action));
        let known = plan.execution.tasks.iter().any(|task| expected(task.urn(), task.action()).is_some());
        let (path, total) = plan.execution.critical_path(|task| match expected(task.urn(), task.action()) {
            Some(duration) => duration,
            None if known => Duration::ZERO,
            None => Duration::from_secs(1),
        });
        let critical: Vec<_> = path.iter().map(|task| plan.execution.tasks[*task].urn()).collect();
        let steps = plan.steps.iter().filter(|step| !step.is_silent()).map(|step| Step {
            critical: critical.contains(&&step.urn),
            expected_ms: expected(&step.urn, step.action).map(milliseconds),
            ..Step::of(step)
        });
        let serial = context.source.state().await?.map_or(0, |state| state.serial);
        let mut id = [0; 8];
        getrandom::fill(&mut id).map_err(|error| Diagnostic::error(error.to_string()))?;
        Ok(Self {
            id: hex::encode(id),
            at: chrono::Utc::now().to_rfc3339_opts(chrono::SecondsFormat::Secs, true),
            counts: plan.counts(),
            steps: steps.collect(),
            warnings: plan.warnings.clone(),
            expected_ms: known.then(|| milliseconds(total)),
            destructive: plan.is_destructive(),
            serial,
        })
    }
}

fn milliseconds(duration: Duration) -> u64 {
    duration.as_millis() as u64
}

impl Step {
    fn of(step: &PlannedStep) -> Self {
        let changes = step.diff.properties.iter().map(|property| {
            let text = |value: &infra_core::value::Value| {
                (!matches!(value, infra_core::value::Value::Null)).then(|| cut(value.masked()))
            };
            Change {
                path: property.path.clone(),
                old: text(&property.old),
                new: text(&property.new),
                replaces: property.replaces,
            }
        });
        Self {
            urn: step.urn.to_string(),
            name: step.urn.name().to_owned(),
            kind: step.urn.kind().to_owned(),
            action: step.action,
            region: step.region.clone(),
            note: step.note.clone(),
            changes: changes.collect(),
            critical: false,
            expected_ms: None,
        }
    }
}

impl Change {
    /// Converts a change of a record, in which secrets are masked.
    pub(super) fn recorded(change: &infra_records::Change) -> Self {
        let text = |value: &serde_json::Value| (!value.is_null()).then(|| cut(value.clone()));
        Self { path: change.path.clone(), old: text(&change.old), new: text(&change.new), replaces: change.replaces }
    }
}

fn cut(value: serde_json::Value) -> String {
    let text = match value {
        serde_json::Value::String(text) => text,
        other => other.to_string(),
    };
    match text.char_indices().nth(LONGEST) {
        Some((end, _)) => format!("{}…", &text[..end]),
        None => text,
    }
}
