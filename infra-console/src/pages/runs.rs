//! Pages of the runs.

use super::{Failure, Frame, Page, Shared, render};
use crate::views::{
    Problem,
    runs::{Compared, ComparedStep, Comparison, Run, Runs, Status, Step, Summary},
};
use askama::Template;
use axum::{
    Router,
    extract::{Path, Query, State},
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
    topics: &'static str,
}

impl RunPage {
    /// Returns the steps of the page. Of a large run, these are the steps that have started last or failed.
    fn steps(&self) -> Vec<&Step> {
        let mut steps: Vec<&Step> = self.run.steps.iter().collect();
        if steps.len() <= SHOWN {
            return steps;
        }
        steps.sort_by_key(|step| (step.error.is_none(), std::cmp::Reverse(step.started_ms)));
        steps.truncate(SHOWN);
        steps.sort_by_key(|step| (step.started_ms.is_none(), step.started_ms));
        steps
    }

    /// Returns the number of steps that the page leaves out.
    fn hidden(&self) -> usize {
        self.run.steps.len() + self.run.omitted - self.steps().len()
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

async fn page(State(shared): State<Shared>, frame: Frame, Path(id): Path<String>) -> Page {
    match Run::load(&shared.context, &id) {
        Ok(run) => {
            // The bars of running steps grow.
            let topics = if run.summary.status == Status::Running { "stack clock" } else { "" };
            Ok(render(&RunPage { frame, run, topics }))
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
