//! The recorded runs of the stack.

use super::{
    Context, Problem, Query,
    parameters::{Parameters, invalid},
    schemas::{ActionSchema, DiagnosticSchema, UrnSchema},
};
use chrono::{DateTime, Utc};
use infra_core::{diagnostic::Diagnostic, diff::Action, urn::Urn};
use infra_records::{Outcome, RecordSummary, Run as Recorded, Status as RecordStatus, critical_path, find, list};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Names of the parameters that select steps of a run, besides the `limit` of their number.
pub(crate) const PARAMETERS: &[&str] = &["q", "outcome", "after"];

/// Largest number of steps that a view contains.
const STEPS: u64 = 2_000;

/// Largest number of resources that a comparison contains.
const COMPARED: usize = 500;

/// The runs of the stack, the newest first.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Runs {
    pub(crate) runs: Vec<Summary>,
}

/// A run without its steps.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "RunSummary")]
pub(crate) struct Summary {
    pub(crate) id: String,
    pub(crate) command: String,
    /// User and host.
    pub(crate) by: String,
    pub(crate) target: String,
    /// Start of the run.
    pub(crate) at: DateTime<Utc>,
    pub(crate) status: Status,
    /// Duration until now, or until the end, in milliseconds; `None` for a run whose process was killed.
    pub(crate) elapsed_ms: Option<u64>,
    /// Number of successful steps by action; of planned steps for a preview.
    #[schemars(with = "BTreeMap<ActionSchema, usize>")]
    pub(crate) counts: BTreeMap<Action, usize>,
}

/// Progress of a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
#[schemars(rename = "RunStatus")]
pub(crate) enum Status {
    Running,
    Succeeded,
    Failed,
    /// The plan was rejected, or the run was interrupted.
    Interrupted,
    /// The process was killed. The next run settles its operations.
    Killed,
}

/// A run with the selected steps.
#[derive(Debug, Serialize, JsonSchema)]
pub(crate) struct Run {
    #[serde(flatten)]
    pub(crate) summary: Summary,
    /// The selected steps: the executed ones by start, and then the others.
    pub(crate) steps: Vec<Step>,
    /// Number of steps that match the selection and precede these.
    pub(crate) after: usize,
    /// Number of steps that match the selection.
    pub(crate) matching: usize,
    /// Number of all steps by outcome.
    pub(crate) outcomes: BTreeMap<StepOutcome, usize>,
    /// End of the time axis, in milliseconds from the start of the run.
    pub(crate) end_ms: u64,
    /// End of the planning.
    pub(crate) planned_ms: Option<u64>,
    /// Warnings, errors and notes, the oldest first.
    #[schemars(with = "Vec<DiagnosticSchema>")]
    pub(crate) messages: Vec<Diagnostic>,
    #[schemars(with = "Vec<DiagnosticSchema>")]
    pub(crate) failures: Vec<Diagnostic>,
    /// Outcomes of the operations that an earlier run left open.
    pub(crate) settled: Vec<String>,
    /// Number of lines of the record that could not be read.
    pub(crate) unreadable: usize,
    /// `true` if the record was too large and lacks steps.
    pub(crate) truncated: bool,
}

/// A step of a run. Times are in milliseconds from the start of the run.
#[derive(Clone, Debug, Serialize, JsonSchema)]
#[schemars(rename = "RunStep")]
pub(crate) struct Step {
    #[schemars(with = "UrnSchema")]
    pub(crate) urn: Urn,
    #[schemars(with = "ActionSchema")]
    pub(crate) action: Action,
    pub(crate) started_ms: Option<u64>,
    /// End of the step; `None` while it is executed.
    pub(crate) finished_ms: Option<u64>,
    pub(crate) outcome: StepOutcome,
    /// `true` if the step is on the chain that determined the duration of the run.
    pub(crate) critical: bool,
    /// Last progress.
    pub(crate) progress: Option<String>,
    #[schemars(with = "Option<DiagnosticSchema>")]
    pub(crate) error: Option<Diagnostic>,
}

/// Result of a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum StepOutcome {
    Waiting,
    Running,
    Succeeded,
    Failed,
    Skipped,
}

/// The steps of two runs beside each other.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "RunComparison")]
pub(crate) struct Comparison {
    pub(crate) one: Summary,
    pub(crate) other: Summary,
    /// Resources with a step in one of the runs, those with the largest difference first, and those whose durations
    /// cannot be compared last.
    pub(crate) rows: Vec<Compared>,
    /// Number of resources that are omitted.
    pub(crate) omitted: usize,
}

/// The steps of a resource in two runs.
#[derive(Debug, Serialize, JsonSchema)]
#[schemars(rename = "ComparedSteps")]
pub(crate) struct Compared {
    #[schemars(with = "UrnSchema")]
    pub(crate) urn: Urn,
    /// `None` if the run had no step for the resource.
    pub(crate) one: Option<ComparedStep>,
    pub(crate) other: Option<ComparedStep>,
    /// Duration in the other run minus the duration in the first one, in milliseconds; `None` if one is not known.
    pub(crate) difference_ms: Option<i64>,
}

/// The step of a resource in one of the compared runs.
#[derive(Clone, Copy, Debug, Serialize, JsonSchema)]
pub(crate) struct ComparedStep {
    #[schemars(with = "ActionSchema")]
    pub(crate) action: Action,
    pub(crate) outcome: StepOutcome,
    /// Duration, in milliseconds; `None` while it is executed, or if it did not start.
    pub(crate) elapsed_ms: Option<u64>,
}

impl Status {
    /// Returns the word for people and for CSS classes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            Status::Running => "running",
            Status::Succeeded => "succeeded",
            Status::Failed => "failed",
            Status::Interrupted => "interrupted",
            Status::Killed => "killed",
        }
    }
}

impl From<RecordStatus> for Status {
    fn from(status: RecordStatus) -> Self {
        match status {
            RecordStatus::Running => Self::Running,
            RecordStatus::Killed => Self::Killed,
            RecordStatus::Finished { interrupted: true, .. } => Self::Interrupted,
            RecordStatus::Finished { success: true, .. } => Self::Succeeded,
            RecordStatus::Finished { .. } => Self::Failed,
        }
    }
}

impl StepOutcome {
    pub(crate) const ALL: [Self; 5] = [Self::Waiting, Self::Running, Self::Succeeded, Self::Failed, Self::Skipped];

    /// Returns the word for people and for CSS classes.
    pub(crate) fn name(self) -> &'static str {
        match self {
            StepOutcome::Waiting => "waiting",
            StepOutcome::Running => "running",
            StepOutcome::Succeeded => "succeeded",
            StepOutcome::Failed => "failed",
            StepOutcome::Skipped => "skipped",
        }
    }
}

/// The parameters of the runs: none.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunsQuery {}

impl Query for RunsQuery {
    type View = Runs;

    async fn load(self, context: &Context) -> Result<Runs, Problem> {
        Ok(Runs::load(context))
    }
}

/// The parameters of a run.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RunQuery {
    /// ID of the run, as the list of the runs shows it.
    id: String,
    /// Only steps whose URN contains this text.
    #[serde(default)]
    q: Option<String>,
    /// Only steps with this outcome: `waiting`, `running`, `succeeded`, `failed` or `skipped`.
    #[serde(default)]
    outcome: Option<String>,
    /// Number of matching steps to leave out. If omitted, 0; while the run goes on, all but the last steps that have
    /// started.
    #[serde(default)]
    after: Option<u64>,
    /// Maximum number of steps, from 1 to 2000. 2000 if omitted.
    #[serde(default)]
    limit: Option<u64>,
}

/// A selection of steps.
struct Selection {
    text: String,
    outcome: Option<StepOutcome>,
    after: Option<usize>,
    limit: usize,
}

impl Selection {
    fn parse(parameters: &Parameters) -> Result<Self, Problem> {
        let outcome = match parameters.text("outcome") {
            "" => None,
            name => Some(StepOutcome::ALL.into_iter().find(|outcome| outcome.name() == name).ok_or_else(|| {
                let names = StepOutcome::ALL.map(StepOutcome::name).join(", ");
                invalid("outcome", name, format!("use one of {names}"))
            })?),
        };
        let number = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        Ok(Self {
            text: parameters.text("q").to_lowercase(),
            outcome,
            after: parameters.number("after", 0..=u64::from(u32::MAX))?.map(number),
            limit: number(parameters.number("limit", 1..=STEPS)?.unwrap_or(STEPS)),
        })
    }

    fn matches(&self, step: &Step) -> bool {
        self.outcome.is_none_or(|outcome| outcome == step.outcome)
            && (self.text.is_empty() || step.urn.as_str().to_lowercase().contains(&self.text))
    }

    /// Returns the number of matching steps that are left out.
    fn after(&self, matching: &[Step], status: Status) -> usize {
        let started = || matching.iter().take_while(|step| step.started_ms.is_some()).count();
        let newest = || if status == Status::Running { started().saturating_sub(self.limit) } else { 0 };
        self.after.unwrap_or_else(newest).min(matching.len())
    }
}

impl Query for RunQuery {
    type View = Run;

    async fn load(self, context: &Context) -> Result<Run, Problem> {
        let number = |number: Option<u64>| number.map(|number| number.to_string());
        let parameters = Parameters::of([
            ("q", self.q),
            ("outcome", self.outcome),
            ("after", number(self.after)),
            ("limit", number(self.limit)),
        ])?;
        Run::load(context, &self.id, &parameters)
    }
}

/// The parameters of a comparison.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ComparisonQuery {
    /// ID of the first run, as the list of the runs shows it.
    one: String,
    /// ID of the run that is compared with it.
    other: String,
}

impl Query for ComparisonQuery {
    type View = Comparison;

    async fn load(self, context: &Context) -> Result<Comparison, Problem> {
        Comparison::load(context, &self.one, &self.other)
    }
}

impl Runs {
    /// Lists the runs.
    pub(crate) fn load(context: &Context) -> Self {
        let source = &context.source;
        let runs = list(source.directory(), source.program(), source.stack());
        Self { runs: runs.into_iter().map(Summary::of).collect() }
    }
}

impl Summary {
    fn of(record: RecordSummary) -> Self {
        let header = record.header;
        let end = match record.status {
            RecordStatus::Running => Some(Utc::now()),
            RecordStatus::Killed => None,
            RecordStatus::Finished { .. } => record.finished,
        };
        Self {
            id: record.id,
            elapsed_ms: end.map(|end| u64::try_from((end - header.at).num_milliseconds()).unwrap_or_default()),
            at: header.at,
            command: header.command,
            by: header.by,
            target: header.target,
            status: record.status.into(),
            counts: if record.counts.is_empty() { record.planned } else { record.counts },
        }
    }
}

impl Run {
    /// Reads a run. Parameters have the names [`PARAMETERS`], or `limit`.
    pub(crate) fn load(context: &Context, id: &str, parameters: &Parameters) -> Result<Self, Problem> {
        let selection = Selection::parse(parameters)?;
        let recorded = read(context, id)?;
        let summary = summary(context, id)?;
        Ok(Self::of(&recorded, summary, &selection))
    }

    fn of(recorded: &Recorded, summary: Summary, selection: &Selection) -> Self {
        let mut steps = steps(recorded);
        let mut outcomes = BTreeMap::new();
        for step in &steps {
            *outcomes.entry(step.outcome).or_default() += 1;
        }
        steps.retain(|step| selection.matches(step));
        let matching = steps.len();
        let after = selection.after(&steps, summary.status);
        let steps = steps.into_iter().skip(after).take(selection.limit).collect();
        let now = summary.elapsed_ms.filter(|_| summary.status == Status::Running);
        Self {
            end_ms: now.or(recorded.finished_ms).unwrap_or(recorded.last_ms).max(1),
            planned_ms: recorded.planned_ms,
            steps,
            after,
            matching,
            outcomes,
            messages: recorded.messages.iter().map(|message| message.diagnostic.clone()).collect(),
            failures: recorded.failures.clone(),
            settled: recorded.settled.iter().map(|each| format!("{}: {}", each.urn.short(), each.outcome)).collect(),
            unreadable: recorded.unreadable,
            truncated: recorded.truncated,
            summary,
        }
    }
}

/// Returns the steps that change something: the executed ones by start, and then the others.
fn steps(recorded: &Recorded) -> Vec<Step> {
    let critical: BTreeSet<usize> = critical_path(recorded).into_iter().collect();
    let steps = recorded.steps.iter().enumerate().map(|(at, step)| Step::of(step, critical.contains(&at)));
    let mut steps: Vec<Step> = steps.filter(|step| step.action != Action::Same).collect();
    steps.sort_by_key(|step| (step.started_ms.is_none(), step.started_ms, step.finished_ms));
    steps
}

impl Step {
    pub(super) fn of(step: &infra_records::Step, critical: bool) -> Self {
        let (outcome, error) = match &step.outcome {
            Outcome::Waiting => (StepOutcome::Waiting, None),
            Outcome::Running => (StepOutcome::Running, None),
            Outcome::Finished { .. } => (StepOutcome::Succeeded, None),
            Outcome::Failed(diagnostic) => (StepOutcome::Failed, Some(diagnostic.clone())),
            Outcome::Skipped => (StepOutcome::Skipped, None),
        };
        Self {
            urn: step.urn.clone(),
            action: step.action,
            started_ms: step.started_ms,
            finished_ms: step.finished_ms,
            outcome,
            critical,
            progress: step.progress.last().map(|progress| progress.message.clone()),
            error,
        }
    }

    /// Returns the duration, in milliseconds.
    pub(crate) fn elapsed_ms(&self) -> Option<u64> {
        Some(self.finished_ms?.saturating_sub(self.started_ms?))
    }
}

impl Comparison {
    /// Reads two runs.
    pub(crate) fn load(context: &Context, one: &str, other: &str) -> Result<Self, Problem> {
        let load = |id: &str| Ok::<_, Problem>((steps(&read(context, id)?), summary(context, id)?));
        let ((one_steps, one), (other_steps, other)) = (load(one)?, load(other)?);
        // A replacement has a second step, the deletion of the previous generation.
        let mut rows: BTreeMap<(Urn, bool), Compared> = BTreeMap::new();
        for (steps, first) in [(&one_steps, true), (&other_steps, false)] {
            for step in steps {
                let empty = || Compared { urn: step.urn.clone(), one: None, other: None, difference_ms: None };
                let row = rows.entry((step.urn.clone(), step.action == Action::Delete)).or_insert_with(empty);
                let side = if first { &mut row.one } else { &mut row.other };
                let elapsed_ms = step.elapsed_ms();
                *side = Some(ComparedStep { action: step.action, outcome: step.outcome, elapsed_ms });
            }
        }
        for row in rows.values_mut() {
            let [one, other] = [row.one, row.other].map(|step| step.and_then(|step| step.elapsed_ms));
            row.difference_ms = one.zip(other).map(|(one, other)| other.cast_signed() - one.cast_signed());
        }
        let mut rows: Vec<Compared> = rows.into_values().collect();
        rows.sort_by_key(|row| std::cmp::Reverse(row.difference_ms.map(i64::unsigned_abs)));
        let omitted = rows.len().saturating_sub(COMPARED);
        rows.truncate(COMPARED);
        Ok(Self { one, other, rows, omitted })
    }
}

/// Progress of the newest run for the graph: the resources that it works on, and those whose step failed.
pub(crate) fn latest(context: &Context) -> BTreeMap<Urn, StepOutcome> {
    let newest = Runs::load(context).runs.into_iter().find(|run| run.command != "preview");
    let Some(newest) = newest.filter(|run| matches!(run.status, Status::Running | Status::Failed)) else {
        return BTreeMap::new();
    };
    let Ok(recorded) = read(context, &newest.id) else {
        return BTreeMap::new();
    };
    let shown = [StepOutcome::Running, StepOutcome::Failed];
    let steps = recorded.steps.iter().map(|step| Step::of(step, false));
    steps.filter(|step| shown.contains(&step.outcome)).map(|step| (step.urn, step.outcome)).collect()
}

/// Reads the record of a run.
pub(super) fn read(context: &Context, id: &str) -> Result<Recorded, Problem> {
    let source = &context.source;
    let path = find(source.directory(), source.program(), source.stack(), id).ok_or_else(|| missing(id))?;
    Recorded::read(&path).map_err(|error| {
        Diagnostic::error("the record of the run cannot be read")
            .about(path.display())
            .because(error.to_string())
            .into()
    })
}

fn summary(context: &Context, id: &str) -> Result<Summary, Problem> {
    Runs::load(context).runs.into_iter().find(|run| run.id == id).ok_or_else(|| missing(id))
}

fn missing(id: &str) -> Problem {
    let missing = Diagnostic::error(format!("there is no run `{id}`"));
    Problem::not_found(missing.hint("the page `Runs` lists them; the oldest ones are deleted"))
}
