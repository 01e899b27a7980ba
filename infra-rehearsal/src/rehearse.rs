//! The rehearsal of a plan.

use crate::RehearsalError;
use crate::answers::{Assumed, NOT_REHEARSED};
use crate::calls::{self, Call};
use crate::report::{AssumedOutputs, Assumption, PerpetualDiff, Rehearsal, RehearsedStep, Unrehearsed};
use crate::stage::{Deployment, Stage};
use infra_core::{
    Urn,
    diagnostic::{Diagnostic, Severity},
    diff::Action,
    engine::EngineError,
    event::{Event, Events},
    execute::{Drift, Report},
    graph::ResourceGraph,
    plan::Selection,
    urn::Pattern,
};
use std::{
    collections::{BTreeMap, BTreeSet},
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
    let (report, selection) = up(deployment, stage, selection, &events).await?;
    let observed = std::mem::take(&mut *observed.lock().unwrap_or_else(PoisonError::into_inner));
    let calls = stage.scratch.calls_after(stage.first_call)?;
    let graph = stage.engine.declared(deployment.script)?;
    let assumed = stage.answers.assumed();
    let contents = &stage.contents;
    let mut rehearsal = observed.rehearsal(&calls, &graph, &assumed);
    (rehearsal.seeded, rehearsal.neighbours) = (contents.seeded, contents.neighbours);
    rehearsal.missing_neighbours.clone_from(&contents.missing_neighbours);
    rehearsal.not_rehearsed.extend(assumed.iter().map(|(urn, assumed)| Unrehearsed::new(urn, &assumed.reason)));
    rehearsal.not_rehearsed.extend(left_out(&graph, &stage.answers.unanswered()));
    if report.is_success() {
        rehearsal.perpetual = perpetual(deployment, stage, selection).await?;
    }
    Ok(rehearsal)
}

/// Executes the program. Lookups that only the target can answer are excluded, and so is everything that uses them. Returns
/// the selection that was executed.
async fn up(
    deployment: &Deployment<'_>,
    stage: &Stage,
    mut selection: Selection,
    events: &Events,
) -> Result<(Report, Selection), RehearsalError> {
    let mut excluded = BTreeSet::new();
    loop {
        let run = stage.engine.up(deployment.script).select(selection.clone()).continue_on_error(true);
        let outcome = run.events(events.clone()).await;
        let unanswered = stage.answers.unanswered();
        if !matches!(outcome, Err(EngineError::Refused(_))) || unanswered.is_subset(&excluded) {
            return Ok((outcome?, selection));
        }
        let graph = stage.engine.declared(deployment.script)?;
        selection.exclude.extend(users(&graph, &unanswered).iter().map(|urn| Pattern::from(urn.to_string())));
        excluded = unanswered;
    }
}

/// Returns these resources and everything that depends on them.
fn users(graph: &ResourceGraph, used: &BTreeSet<Urn>) -> BTreeSet<Urn> {
    let mut users = used.clone();
    for node in graph.in_order() {
        if graph.dependencies(&node.urn).into_iter().any(|urn| users.contains(urn)) {
            users.insert(node.urn.clone());
        }
    }
    users
}

/// Returns the declarations that need an answer which only the target has.
fn left_out(graph: &ResourceGraph, unanswered: &BTreeSet<Urn>) -> Vec<Unrehearsed> {
    let left_out = users(graph, unanswered).into_iter().map(|urn| {
        let is_lookup = unanswered.contains(&urn);
        let reason = if is_lookup { "only the target can answer the lookup" } else { "it depends on such a lookup" };
        Unrehearsed::new(&urn, reason)
    });
    left_out.collect()
}

/// Returns the differences that a refresh and a second plan find right after the run.
async fn perpetual(
    deployment: &Deployment<'_>,
    stage: &Stage,
    selection: Selection,
) -> Result<Vec<PerpetualDiff>, RehearsalError> {
    let mut drift = stage.engine.refresh(deployment.script).await?.drift;
    if !drift.is_empty() {
        // Outputs may change once after the resource was created, such as the public address of an instance that an
        // Elastic IP address is associated with. The second refresh finds what differs each time.
        let is_input = |path: &str| !path.starts_with("outputs.");
        drift.retain(|drift| drift.gone || drift.diff.properties.iter().any(|it| is_input(&it.path)));
        let known: BTreeSet<Urn> = drift.iter().map(|drift| drift.urn.clone()).collect();
        let again = stage.engine.refresh(deployment.script).await?.drift;
        drift.extend(again.into_iter().filter(|drift| !known.contains(&drift.urn)));
    }
    let differing = |drift: Drift| PerpetualDiff { urn: drift.urn, drift: true, action: None, diff: drift.diff };
    let mut found: Vec<PerpetualDiff> = drift.into_iter().map(differing).collect();
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
    fn rehearsal(self, calls: &[Call], graph: &ResourceGraph, assumed: &BTreeMap<Urn, Assumed>) -> Rehearsal {
        let mut rehearsal = Rehearsal { warnings: self.warnings, ..Rehearsal::default() };
        for (urn, diagnostic) in self.failures {
            let limit = urn.and_then(|urn| {
                let uses = assumptions(&urn, graph, assumed);
                limit(&urn, &diagnostic, calls, &uses).map(|reason| Unrehearsed { urn, reason })
            });
            match limit {
                Some(unrehearsed) => rehearsal.not_rehearsed.push(unrehearsed),
                None => rehearsal.failures.push(diagnostic),
            }
        }
        let skipped: BTreeSet<Urn> = self.skipped.into_iter().collect();
        let cause = "a resource that it depends on failed or was not rehearsed";
        rehearsal.not_rehearsed.extend(skipped.iter().map(|urn| Unrehearsed::new(urn, cause)));
        // A replacement has two steps, and its calls are counted once.
        let mut counted: BTreeSet<Urn> = BTreeSet::new();
        for (urn, action, succeeded) in self.steps.into_iter().filter(|(urn, ..)| !assumed.contains_key(urn)) {
            let is_first = counted.insert(urn.clone());
            let calls = calls::count(calls.iter().filter(|call| is_first && call.is_for(&urn)));
            let assumes = assumptions(&urn, graph, assumed);
            rehearsal.steps.push(RehearsedStep { urn, action, succeeded, calls, assumes });
        }
        rehearsal
    }
}

/// Returns the dependencies of a resource whose outputs the scratch cloud did not return.
fn assumptions(urn: &Urn, graph: &ResourceGraph, assumed: &BTreeMap<Urn, Assumed>) -> Vec<Assumption> {
    let used = graph.dependencies(urn).into_iter();
    used.filter_map(|used| Some(Assumption { urn: used.clone(), outputs: assumed.get(used)?.outputs? })).collect()
}

/// Returns the limit of the rehearsal that made a step fail, or `None` if AWS would refuse the step as well. Operations that a
/// limit prevents have not failed, except for lookups.
fn limit(urn: &Urn, diagnostic: &Diagnostic, calls: &[Call], uses: &[Assumption]) -> Option<String> {
    if let Some((_, reason)) = diagnostic.summary.split_once(NOT_REHEARSED) {
        return Some(reason.to_owned());
    }
    // The inputs could not be computed, or a policy does not allow them.
    let is_sent = calls.iter().any(|call| call.is_for(urn));
    let synthesised = uses.iter().find(|it| it.outputs == AssumedOutputs::Synthesised && !is_sent)?;
    Some(format!("it uses {} of `{}`: {}", synthesised.outputs, synthesised.urn.name(), diagnostic.summary))
}
