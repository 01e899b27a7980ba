//! Pages of the runs.

use super::{Failure, Frame, Page, Shared, render};
use crate::views::{
    Problem,
    parameters::Parameters,
    runs::{Compared, ComparedStep, Comparison, PARAMETERS, Run, Runs, Status, Step, StepOutcome, Summary},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, RawQuery, State},
    routing::get,
};
use infra_core::diagnostic::Diagnostic;
use serde::Deserialize;

/// Number of steps that the page of a run shows. Their rows are updated several times a second.
const SHOWN: usize = 150;

/// Width of the time axis, in the units of its pictures.
const AXIS: u64 = 1000;

pub(super) fn routes() -> Router<Shared> {
    Router::new().route("/runs", get(list)).route("/runs/compare", get(compare)).route("/runs/{id}", get(page))
}

#[derive(Template)]
#[template(path = "runs.html")]
struct RunsPage {
    frame: Frame,
    runs: Runs,
    topics: &'static str,
}

#[derive(Template)]
#[template(path = "run.html")]
struct RunPage {
    frame: Frame,
    run: Run,
    parameters: Parameters,
    topics: &'static str,
}

impl RunPage {
    /// Returns the URL of the steps after this number of matching steps.
    fn link(&self, after: usize) -> String {
        self.parameters.link(&format!("/runs/{}", self.run.summary.id), &[("after", &after.to_string())])
    }

    fn previous(&self) -> Option<String> {
        (self.run.after > 0).then(|| self.link(self.run.after.saturating_sub(SHOWN)))
    }

    fn next(&self) -> Option<String> {
        let end = self.run.after + self.run.steps.len();
        (end < self.run.matching).then(|| self.link(end))
    }

    /// Returns which of the matching steps the page shows.
    fn shown(&self) -> String {
        let (first, last) = (self.run.after + 1, self.run.after + self.run.steps.len());
        match self.run.matching {
            0 => "no step matches".to_owned(),
            matching => format!("steps {first} to {last} of {matching}"),
        }
    }

    /// Returns whether the page does not show all steps, so that the user needs a filter.
    fn is_partial(&self) -> bool {
        self.run.steps.len() < self.run.outcomes.values().sum()
    }

    /// Returns position and width of the bar of a step.
    fn bar(&self, step: &Step) -> Option<(u64, u64)> {
        let start = step.started_ms?;
        let end = step.finished_ms.unwrap_or(self.run.end_ms).max(start);
        let at = |time: u64| time.min(self.run.end_ms) * AXIS / self.run.end_ms;
        // A bar of no width would be invisible.
        Some((at(start).min(AXIS - 2), (at(end) - at(start)).max(2)))
    }

    /// Returns the marks of the time axis: position and label.
    fn ticks(&self) -> Vec<String> {
        const TICKS: u64 = 5;
        (0..=TICKS).map(|tick| super::duration(self.run.end_ms * tick / TICKS)).collect()
    }
}

#[derive(Template)]
#[template(path = "compare.html")]
struct ComparePage {
    frame: Frame,
    comparison: Comparison,
    topics: &'static str,
}

impl ComparePage {
    fn runs(&self) -> [&Summary; 2] {
        [&self.comparison.one, &self.comparison.other]
    }
}

/// Returns the outcomes that a run has, with their numbers.
fn outcomes(run: &Run) -> impl Iterator<Item = (StepOutcome, usize)> {
    run.outcomes.iter().map(|(outcome, count)| (*outcome, *count))
}

/// Returns the text of a step.
fn cell(side: Option<&ComparedStep>) -> String {
    match side {
        None => "no step".to_owned(),
        Some(ComparedStep { action, elapsed_ms: None, .. }) => action.to_string(),
        Some(ComparedStep { action, elapsed_ms: Some(elapsed), .. }) => {
            format!("{action}, {}", super::duration(*elapsed))
        }
    }
}

/// Returns the difference of the durations.
fn difference(row: &Compared) -> String {
    let Some(difference) = row.difference_ms else { return String::new() };
    let sign = if difference < 0 { '−' } else { '+' };
    format!("{sign}{}", super::duration(difference.unsigned_abs()))
}

async fn list(State(shared): State<Shared>, frame: Frame) -> Page {
    Ok(render(&RunsPage { frame, runs: Runs::load(&shared.context), topics: "stack" }))
}

async fn page(State(shared): State<Shared>, frame: Frame, Path(id): Path<String>, RawQuery(query): RawQuery) -> Page {
    let loaded = || {
        let parameters = Parameters::parse(query.as_deref().unwrap_or_default(), PARAMETERS)?;
        let limited = parameters.with("limit", SHOWN.to_string());
        Ok::<_, Problem>((Run::load(&shared.context, &id, &limited)?, parameters))
    };
    match loaded() {
        Ok((run, parameters)) => {
            // The bars of running steps grow.
            let topics = if run.summary.status == Status::Running { "stack clock" } else { "" };
            Ok(render(&RunPage { frame, run, parameters, topics }))
        }
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}

#[derive(Deserialize)]
struct Selected {
    #[serde(default)]
    one: String,
    #[serde(default)]
    other: String,
}

async fn compare(State(shared): State<Shared>, frame: Frame, Query(selected): Query<Selected>) -> Page {
    let compared = if selected.one.is_empty() || selected.other.is_empty() {
        let incomplete = Diagnostic::error("a comparison needs two runs");
        Err(Problem::invalid(incomplete.hint("select both on the page `Runs`")))
    } else {
        Comparison::load(&shared.context, &selected.one, &selected.other)
    };
    match compared {
        Ok(comparison) => Ok(render(&ComparePage { frame, comparison, topics: "" })),
        Err(problem) => Err(Failure::of(frame)(problem)),
    }
}
