//! The rehearsal of a plan.

use crate::RehearsalError;
use crate::calls::{self, Call};
use crate::report::{PerpetualDiff, Rehearsal, RehearsedStep, Unrehearsed};
use crate::simulated::NOT_REHEARSED;
use crate::stage::{Deployment, Stage};
use infra_core::{
    Urn,
    diagnostic::{Diagnostic, Severity},
    diff::Action,
    event::{Event, Events},
    plan::Selection,
};
use std::{
    collections::BTreeSet,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};

/// Executes the plan of a stack in a scratch cloud and reports the result. `events` receives the events of the rehearsed
/// run.
pub async fn rehearse(
    deployment: &Deployment<'_>,
    selection: Selection,
    events: Events,
) -> Result<Rehearsal, RehearsalError> {
    let started = Instant::now();
    let stage = deployment.stage().await?;
    let outcome = run(deployment, &stage, selection, events).await;
    stage.scratch.stop().await;
    let rehearsal = outcome?;
    Ok(Rehearsal { elapsed: started.elapsed(), ..rehearsal })
}

async fn run(
    deployment: &Deployment<'_>,
    stage: &Stage,
    selection: Selection,
    events: Events,
) -> Result<Rehearsal, RehearsalError> {
    let observed = Arc::new(Mutex::new(Observed::default()));
    let observer = observed.clone();
    let events = Events::to(move |event| {
        observer.lock().unwrap_or_else(PoisonError::into_inner).add(&event);
        events.send(event);
    });
    let run = stage.engine.up(deployment.script).select(selection.clone()).continue_on_error(true).events(events);
    let report = run.await?;
    let observed = std::mem::take(&mut *observed.lock().unwrap_or_else(PoisonError::into_inner));
    let calls = stage.scratch.calls_after(stage.first_call)?;
    let mut rehearsal = observed.rehearsal(&calls);
    rehearsal.seeded = stage.seeded.count;
    rehearsal.not_rehearsed.extend(stage.seeded.missing.iter().cloned());
    if report.is_success() {
        rehearsal.perpetual = perpetual(deployment, stage, selection).await?;
    }
    Ok(rehearsal)
}

/// Returns the differences that a refresh and a second plan find right after the run.
async fn perpetual(
    deployment: &Deployment<'_>,
    stage: &Stage,
    selection: Selection,
) -> Result<Vec<PerpetualDiff>, RehearsalError> {
    // Outputs may change once after the resource was created, such as the public address of an instance that an Elastic
    // IP address is associated with. The second refresh finds what differs each time.
    let mut refreshed = stage.engine.refresh(deployment.script).await?;
    let is_input = |path: &str| !path.starts_with("outputs.");
    refreshed.drift.retain(|drift| drift.gone || drift.diff.properties.iter().any(|it| is_input(&it.path)));
    let again = stage.engine.refresh(deployment.script).await?;
    let known: BTreeSet<Urn> = refreshed.drift.iter().map(|drift| drift.urn.clone()).collect();
    let drift = refreshed.drift.into_iter().chain(again.drift.into_iter().filter(|drift| !known.contains(&drift.urn)));
    let mut found: Vec<PerpetualDiff> =
        drift.map(|drift| PerpetualDiff { urn: drift.urn, drift: true, action: None, diff: drift.diff }).collect();
    // A replacement that the user requested would be requested again.
    let selection = Selection { replace: Vec::new(), ..selection };
    let plan = stage.engine.preview(deployment.script).select(selection).await?;
    let changes = plan.steps.into_iter().filter(|step| !step.lookup && step.action != Action::Same);
    found.extend(changes.map(|step| PerpetualDiff {
        urn: step.urn,
        drift: false,
        action: Some(step.action),
        diff: step.diff,
    }));
    Ok(found)
}

/// Events of a rehearsed run.
#[derive(Default)]
struct Observed {
    steps: Vec<(Urn, Action, bool)>,
    failures: Vec<(Option<Urn>, Diagnostic)>,
    skipped: Vec<Urn>,
    warnings: Vec<Diagnostic>,
}

impl Observed {
    fn add(&mut self, event: &Event) {
        match event {
            Event::StepFinished { urn, action, .. } => self.steps.push((urn.clone(), *action, true)),
            Event::StepFailed { urn, action, diagnostic, .. } => {
                self.steps.push((urn.clone(), *action, false));
                self.failures.push((Some(urn.clone()), diagnostic.clone()));
            }
            Event::StepSkipped { urn, .. } => self.skipped.push(urn.clone()),
            Event::Message(diagnostic) if diagnostic.severity == Severity::Warning => {
                self.warnings.push(diagnostic.clone());
            }
            Event::RunStarted { .. }
            | Event::Settled { .. }
            | Event::Drifted { .. }
            | Event::StepPlanned { .. }
            | Event::Planned { .. }
            | Event::StepStarted { .. }
            | Event::StepStatus { .. }
            | Event::Message(_)
            | Event::RunFinished { .. } => {}
        }
    }

    /// Distinguishes errors that AWS would return from limits of the rehearsal.
    fn rehearsal(self, calls: &[Call]) -> Rehearsal {
        let mut rehearsal = Rehearsal { warnings: self.warnings, ..Rehearsal::default() };
        for (urn, diagnostic) in self.failures {
            let unsupported = urn.as_ref().and_then(|urn| limit(urn, &diagnostic, calls).map(|reason| (urn, reason)));
            match unsupported {
                Some((urn, reason)) => rehearsal.not_rehearsed.push(Unrehearsed::new(urn, &reason)),
                None => rehearsal.failures.push(diagnostic),
            }
        }
        let skipped: BTreeSet<Urn> = self.skipped.into_iter().collect();
        let cause = "a resource that it depends on failed or was not rehearsed";
        rehearsal.not_rehearsed.extend(skipped.iter().map(|urn| Unrehearsed::new(urn, cause)));
        // A replacement has two steps, and its calls are counted once.
        let mut counted: BTreeSet<Urn> = BTreeSet::new();
        for (urn, action, succeeded) in self.steps {
            let is_first = counted.insert(urn.clone());
            let calls = calls::count(calls.iter().filter(|call| is_first && call.is_for(&urn)));
            rehearsal.steps.push(RehearsedStep { urn, action, succeeded, calls });
        }
        rehearsal
    }
}

/// Returns the limit of the rehearsal that made a step fail, or `None` if AWS would refuse the step as well.
fn limit(urn: &Urn, diagnostic: &Diagnostic, calls: &[Call]) -> Option<String> {
    if let Some((_, reason)) = diagnostic.summary.split_once(NOT_REHEARSED) {
        return Some(reason.to_owned());
    }
    let last = calls.iter().rev().find(|call| call.is_for(urn) && call.error.is_some())?;
    let error = last.error.as_ref().filter(|_| last.is_unsupported())?;
    Some(format!("the local cloud cannot execute {}: {}", last.name(), error.message))
}
