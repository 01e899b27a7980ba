//! Rehearsed runs that are interrupted at each change, as by SIGKILL, and repeated.

use crate::RehearsalError;
use crate::breaker::{Breaker, Moment};
use crate::report::Crashes;
use crate::stage::{Deployment, Stage};
use infra_core::{engine::EngineError, plan::Selection, store::StoreError};
use std::{collections::BTreeMap, sync::Arc, time::Duration};
use tokio::time::Instant;

/// Time limit for the release of the state by an interrupted run.
const RELEASE_LIMIT: Duration = Duration::from_secs(5);

/// Interrupts the run of a plan at each of its changes, once before the provider is called and once after, and runs the
/// program again. The second run must complete the first one: with the same number of resources of each kind as an
/// uninterrupted run.
pub async fn with_crashes(deployment: &Deployment<'_>, selection: Selection) -> Result<Crashes, RehearsalError> {
    let stage = deployment.stage().await?;
    let counter = Arc::new(Breaker::new(usize::MAX, Moment::Before));
    let complete = deployment.breaking(&stage, &counter);
    let report = complete.up(deployment.script).select(selection.clone()).await;
    let expected = kinds(&stage);
    stage.scratch.stop().await;
    report?;
    let changes = counter.count();
    let mut crashes = Crashes::default();
    for number in 0..changes {
        for moment in [Moment::Before, Moment::After] {
            let stage = deployment.stage().await?;
            let outcome = interrupt(deployment, &stage, &selection, (number, moment)).await;
            let found = kinds(&stage);
            stage.scratch.stop().await;
            crashes.interrupted += 1;
            let place = match moment {
                Moment::Before => format!("interrupted before change {}", number + 1),
                Moment::After => format!("interrupted after change {}", number + 1),
            };
            match outcome {
                Err(error) => crashes.failures.push(format!("{place}: {error}")),
                Ok(()) if found != expected => {
                    crashes.failures.push(format!("{place}: {}", difference(&expected, &found)));
                }
                Ok(()) => {}
            }
        }
    }
    Ok(crashes)
}

/// Interrupts a run at a change and repeats it.
async fn interrupt(
    deployment: &Deployment<'_>,
    stage: &Stage,
    selection: &Selection,
    (number, moment): (usize, Moment),
) -> Result<(), String> {
    let breaker = Arc::new(Breaker::new(number, moment));
    let engine = deployment.breaking(stage, &breaker);
    tokio::select! {
        () = breaker.reached() => {}
        report = engine.up(deployment.script).select(selection.clone()) => {
            report.map_err(|error| error.to_string())?;
        }
    }
    let end = Instant::now() + RELEASE_LIMIT;
    let report = loop {
        match stage.engine.up(deployment.script).select(selection.clone()).await {
            Err(EngineError::Store(StoreError::Locked { .. })) if Instant::now() < end => {
                tokio::task::yield_now().await;
            }
            other => break other.map_err(|error| error.to_string())?,
        }
    };
    match report.failures.first() {
        Some(failure) => Err(failure.to_string()),
        None => Ok(()),
    }
}

/// Returns the number of resources of each kind in the scratch cloud.
fn kinds(stage: &Stage) -> BTreeMap<String, usize> {
    let mut kinds = BTreeMap::new();
    for path in stage.scratch.inventory() {
        let kind = path.rsplit_once('/').map_or(path.as_str(), |(kind, _)| kind);
        *kinds.entry(kind.to_owned()).or_insert(0) += 1;
    }
    kinds
}

fn difference(expected: &BTreeMap<String, usize>, found: &BTreeMap<String, usize>) -> String {
    let all = expected.keys().chain(found.keys().filter(|kind| !expected.contains_key(*kind)));
    let count = |counts: &BTreeMap<String, usize>, kind: &String| counts.get(kind).copied().unwrap_or(0);
    let different = all.filter(|kind| count(expected, kind) != count(found, kind));
    let texts: Vec<String> =
        different.map(|kind| format!("{} {kind} instead of {}", count(found, kind), count(expected, kind))).collect();
    format!("the next run leaves {}", texts.join(", "))
}
